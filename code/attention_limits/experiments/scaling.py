"""How FLOPs, memory and time grow with sequence length, mechanism by mechanism.

FLOPs and bytes are counted, and are the same on every machine; seconds are measured. What the
counts leave out:

- FLOPs are those of matrix products; exponentials and sums are not counted.
- The meter of memory does not see what a kernel allocates and frees within itself. For the fused
  kernel that is a few tiles, whatever the length. In inference mode PyTorch hands the meter whole
  functions as one operation, squares inside and all, so memory is metered without that mode.
- On the ``meta`` device PyTorch replaces the fused kernel by plain products, which do hold the
  square, so this one is metered while it really runs.
"""

import functools
import math
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from statistics import median
from typing import NamedTuple

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from attention_limits.attention import dense, linear, online_softmax
from attention_limits.baselines import recurrent
from attention_limits.checks import Plain
from attention_limits.meters import PeakMemory
from attention_limits.progress import Progress, silent
from attention_limits.runs import provenance, timing
from attention_limits.runs.records import Run
from attention_limits.runs.statistics import Fit, fit

COLUMNS = ("mechanism", "n", "quantity", "repeat", "value")
TIMED = True
QUANTITIES = ("flops", "peak_bytes", "seconds")
TAIL = 4  # an exponent is fitted to this many of the longest lengths: short ones are overhead


def written_out(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, *, causal: bool = False
) -> torch.Tensor:
    """Dense attention as the formula has it, each of its squares a tensor."""
    scores = (q / q.shape[-1] ** 0.5) @ k.mT  # to scale the scores would be one more square
    if causal:
        hidden = torch.ones(scores.shape[-2:], dtype=torch.bool, device=q.device).triu(1)
        scores = scores.masked_fill(hidden, -torch.inf)
    return torch.softmax(scores, dim=-1) @ v


ATTEND = {
    "dense": written_out,
    "fused": dense.attend,
    "online_softmax": online_softmax.attend,
    "linear": linear.attend,
}
MECHANISMS = (*ATTEND, "recurrent")


@dataclass(frozen=True)
class Config(Plain):
    """What a run depends on, the machine aside.

    Args:
        mechanisms: names of ``MECHANISMS``.
        lengths: numbers of tokens, ascending.
        d: the width of a head.
        heads: how many heads, or recurrent networks, side by side.
        causal: whether attention sees only what came before; a recurrent network never sees more.
        counted: the longest length whose FLOPs and memory are counted.
        repeats: how often each length is timed; 0 leaves the clock alone.
        budget_seconds: a mechanism grows no further once a call takes longer.
        device: where time is measured. What is counted does not depend on it.
        threads: how many threads of a CPU compute.
        seed: of the numbers that go in.

    Raises:
        ValueError: naming ``mechanisms`` or ``lengths``.
    """

    mechanisms: tuple[str, ...] = MECHANISMS
    lengths: tuple[int, ...] = tuple(2**power for power in range(8, 16))
    d: int = 64
    heads: int = 1
    causal: bool = False
    counted: int = 4096
    repeats: int = 7
    budget_seconds: float = 2.0
    device: str = "cpu"
    threads: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.mechanisms or set(self.mechanisms) - set(MECHANISMS):
            known = ", ".join(MECHANISMS)
            raise ValueError(f"mechanisms must be one or more of {known}, got {self.mechanisms}")
        if not self.lengths or list(self.lengths) != sorted(set(self.lengths)):
            raise ValueError(f"lengths must be one or more, ascending, got {self.lengths}")


PRESETS = {
    "smoke": Config(lengths=(32, 64, 128), d=16, counted=64, repeats=2),
    "book": Config(lengths=(256, 512, 1024, 2048), counted=2048, repeats=0),
    "full": Config(),
}
DURATIONS = {"smoke": "a few seconds", "book": "about ten seconds", "full": "about three minutes"}


def measure(config: Config, progress: Progress | None = None) -> Iterator[dict]:
    """Count and time every mechanism at every length, the shortest first; rows as they come.

    A mechanism that is too slow, or too large for the machine, stops growing: ``progress`` is told.
    """
    progress = progress or silent
    growing = list(config.mechanisms)
    for number, n in enumerate(config.lengths):
        progress(number / len(config.lengths), f"n = {n:,}")
        if n <= config.counted:
            for name in config.mechanisms:
                yield _row(name, n, "flops", 0, counted_flops(name, n, config))
                yield _row(name, n, "peak_bytes", 0, counted_bytes(name, n, config))
        if config.repeats:
            growing = yield from _time_in_turn(growing, n, config, progress)


def counted_flops(name: str, n: int, config: Config) -> int:
    """FLOPs of the matrix products in one call, counted by PyTorch."""
    # The counter does not see into fused kernels; the plain one has the same products.
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), counter:
        _computation(name, _draw(n, config, "meta"), config)()
    return counter.get_total_flops()


def counted_bytes(name: str, n: int, config: Config) -> int:
    """The most bytes that one call holds at once, its output included and its inputs not."""
    inputs = _draw(n, config, "cpu" if name == "fused" else "meta")
    with torch.no_grad(), PeakMemory() as memory:
        _computation(name, inputs, config)()
    return memory.peak


def computations(
    names: Sequence[str], n: int, config: Config
) -> dict[str, Callable[[], torch.Tensor]]:
    """What is timed at one length, by name, ready to be called."""
    inputs = _draw(n, config, config.device)
    return {name: _computation(name, inputs, config) for name in names}


def series(run: Run, mechanism: str, quantity: str) -> tuple[list[int], list[float]]:
    """Lengths and values of one mechanism, one of each a measurement, the shortest first."""
    rows = [r for r in run.records if (r["mechanism"], r["quantity"]) == (mechanism, quantity)]
    return [row["n"] for row in rows], [row["value"] for row in rows]


def typical(run: Run, mechanism: str, quantity: str, n: int) -> float:
    """The median of what was measured at one length."""
    return median(run.values(mechanism=mechanism, quantity=quantity, n=n))


def exponent(run: Run, mechanism: str, quantity: str = "seconds", longest: float = math.inf) -> Fit:
    """The power of n with which a quantity grows, over the ``TAIL`` longest lengths it reached.

    Args:
        run: what was measured.
        mechanism: one of ``MECHANISMS``.
        quantity: what grows.
        longest: lengths beyond it are left out, to compare with a run that went no further.

    Raises:
        ValueError: if fewer than two lengths were measured.
    """
    lengths, values = series(run, mechanism, quantity)
    last = sorted({n for n in lengths if n <= longest})[-TAIL:]
    tail = [(n, value) for n, value in zip(lengths, values, strict=True) if n in last]
    return fit([n for n, _ in tail], [value for _, value in tail])


class _Inputs(NamedTuple):
    """What all mechanisms compute with; to a recurrent network the queries are its inputs."""

    q: torch.Tensor
    k: torch.Tensor
    v: torch.Tensor
    weights: tuple[torch.Tensor, torch.Tensor, torch.Tensor]


def _draw(n: int, config: Config, device: str) -> _Inputs:
    generator, d = torch.Generator().manual_seed(config.seed), config.d

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator).to(device)

    q, k, v = (normal(config.heads, n, d) for _ in range(3))
    return _Inputs(q, k, v, (normal(d, d) / d**0.5, normal(d, d) / d**0.5, normal(d)))


def _computation(name: str, inputs: _Inputs, config: Config) -> Callable[[], torch.Tensor]:
    if name == "recurrent":
        return functools.partial(recurrent.apply, inputs.q, *inputs.weights)
    return functools.partial(ATTEND[name], *inputs[:3], causal=config.causal)


def _time_in_turn(
    names: Sequence[str], n: int, config: Config, progress: Progress
) -> Generator[dict, None, list[str]]:
    """Time each once, then each again, so that a disturbance meets them all; who may grow on."""
    inputs, on = _draw(n, config, config.device), (config.device, config.threads)
    ready: dict[str, tuple[Callable[[], torch.Tensor], int]] = {}
    fastest: dict[str, float] = {}
    for name in names:
        compute = _computation(name, inputs, config)
        try:
            _check_room(name, n, config)
            ready[name] = compute, timing.warm_up(compute, *on)
        except RuntimeError as error:
            if "memory" not in str(error):
                raise
            progress(None, f"{name} stops before n = {n:,}, which does not fit into memory")
    for repeat in range(config.repeats):
        for name, (compute, calls) in ready.items():
            seconds = timing.seconds(compute, *on, calls)
            fastest[name] = min(seconds, fastest.get(name, seconds))
            yield _row(name, n, "seconds", repeat, seconds)
    for name, seconds in fastest.items():
        if seconds > config.budget_seconds and n < config.lengths[-1]:
            progress(None, f"{name} stops at n = {n:,}, where a call takes {seconds:.1f} s")
    return [name for name, seconds in fastest.items() if seconds <= config.budget_seconds]


def _check_room(name: str, n: int, config: Config) -> None:
    """Refuse a square that the machine has no room for, before the system kills the process."""
    free = provenance.free_bytes(config.device)
    if name == "dense" and free is not None and counted_bytes(name, n, config) > free:
        raise torch.OutOfMemoryError(f"out of memory: only {free} bytes are free")


def _row(name: str, n: int, quantity: str, repeat: int, value: float) -> dict:
    return dict(zip(COLUMNS, (name, n, quantity, repeat, value), strict=True))
