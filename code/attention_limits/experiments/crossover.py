"""What share of a layer's time is attention, at the length where it is half of the FLOPs?

One layer of a Transformer in inference, on n* tokens, in float32. Its parts are timed in turn:
attention alone, three times over (fused, fused and causal, written out), and everything else, that
is four projections, an MLP with a GELU, two norms and two additions. Each repeat times every part
once, so that what disturbs the machine disturbs them all, and gives one share of each.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from statistics import median

import torch
from torch.nn.functional import gelu, layer_norm, linear

from attention_limits.attention import dense
from attention_limits.checks import Plain
from attention_limits.experiments.scaling import written_out
from attention_limits.layer import CROSSOVER
from attention_limits.progress import Progress, silent
from attention_limits.runs import timing
from attention_limits.runs.records import Run

COLUMNS = ("part", "threads", "repeat", "quantity", "value")
TIMED = True
REST = "rest"
ATTEND: dict[str, Callable[..., torch.Tensor]] = {
    "fused": dense.attend,
    "fused, causal": partial(dense.attend, causal=True),
    "written out": written_out,
}


@dataclass(frozen=True)
class Config(Plain):
    """What a run depends on, the machine aside.

    Args:
        d_model: the width; the MLP is four times as wide.
        heads: how many heads share it, keys and values included.
        repeats: how often every part is timed, on one thread and on all.
        device: where.
        threads: how many threads of a CPU compute; one alone is timed as well.
        seed: of the numbers that go in.
    """

    d_model: int = 512
    heads: int = 8
    repeats: int = 31
    device: str = "cpu"
    threads: int = 2
    seed: int = 0

    @property
    def n(self) -> int:
        """The crossover of this layer: six widths."""
        sizes = dict(d_model=self.d_model, h=self.heads, g=self.heads, c=2, f=4 * self.d_model)
        return int(CROSSOVER(**sizes))


PRESETS = {
    "smoke": Config(d_model=16, heads=2, repeats=2),
    "book": Config(repeats=0),
    "full": Config(),
}
DURATIONS = {"smoke": "a second", "book": "a few seconds", "full": "about two minutes"}


def measure(config: Config, progress: Progress | None = None) -> Iterator[dict]:
    """Seconds of every part, in turn, on one thread and then on all; rows as they come."""
    progress = progress or silent
    parts = _parts(config)
    counts = sorted({1, config.threads})
    for number, threads in enumerate(counts):
        on = (config.device, threads)
        calls = {name: timing.warm_up(part, *on) for name, part in parts.items()}
        for repeat in range(config.repeats):
            done = (number + repeat / config.repeats) / len(counts)
            progress(done, f"{threads} thread{'' if threads == 1 else 's'}, repeat {repeat + 1}")
            for name, part in parts.items():
                value = timing.seconds(part, *on, calls[name])
                yield dict(zip(COLUMNS, (name, threads, repeat, "seconds", value), strict=True))


def shares(run: Run, name: str, threads: int) -> list[float]:
    """Attention's part of attention and all the rest, one of each repeat."""
    attention, rest = (run.values(part=part, threads=threads) for part in (name, REST))
    return [a / (a + b) for a, b in zip(attention, rest, strict=True)]


def typical(run: Run, name: str, threads: int) -> float:
    """The median of the shares."""
    return median(shares(run, name, threads))


def _parts(config: Config) -> dict[str, Callable[[], torch.Tensor]]:
    """What is timed, by name."""
    generator, width = torch.Generator().manual_seed(config.seed), config.d_model

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator).to(config.device)

    heads = (config.heads, config.n, width // config.heads)
    q, k, v = (normal(*heads) for _ in range(3))
    x, mixed = normal(config.n, width), normal(config.n, width)
    four = [normal(width, width) / width**0.5 for _ in range(4)]
    wide, back = normal(4 * width, width) / width**0.5, normal(width, 4 * width) / width**0.5

    def rest() -> torch.Tensor:
        normed = layer_norm(x, (width,))
        for weights in four[:3]:
            linear(normed, weights)
        y = x + linear(mixed, four[3])
        return y + linear(gelu(linear(layer_norm(y, (width,)), wide)), back)

    attends = {name: partial(attend, q, k, v) for name, attend in ATTEND.items()}
    return {**attends, REST: rest}
