"""What an encoding adds to the time of a layer, forward and backward.

FLOPs were counted; time is another thing. Rotations, for one, are few FLOPs and much memory
traffic; a bias keeps attention from the kernel that needs none. So models of one layer are timed
that differ in nothing but the encoding: each repeat times each of them once, in turn, so that what
disturbs the machine disturbs them all, and gives one ratio to the layer that is told no positions.
A vocabulary as small as ours makes the embedding and the last product next to nothing.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from statistics import median

import torch

from attention_limits import models
from attention_limits.checks import Plain
from attention_limits.experiments.conditions import ENCODINGS
from attention_limits.progress import Progress, silent
from attention_limits.runs import timing
from attention_limits.runs.records import Run
from attention_limits.runs.table import Table

COLUMNS = ("encoding", "pass", "n", "threads", "repeat", "quantity", "value")
TIMED = True
NAMES = (
    "none",
    "sinusoidal",
    "learned .02",
    "rotary",
    "alibi",
    "relative_bias 128",
    "shaw 16",
    "lstm_generated",
)
PASSES = ("forward", "forward and backward")
VOCABULARY = 16


@dataclass(frozen=True)
class Config(Plain):
    """What a run depends on, the machine aside.

    Args:
        encodings: of ``conditions.ENCODINGS``; the first is what all are compared with.
        lengths: of the sequences; 256 at most where there is a table of positions.
        batch: how many sequences.
        repeats: how often every encoding is timed.
        device: where.
        threads: of a CPU.
        seed: of weights and tokens.
    """

    encodings: tuple[str, ...] = NAMES
    lengths: tuple[int, ...] = (256, 1024)
    batch: int = 8
    repeats: int = 15
    device: str = "cpu"
    threads: int = 1
    seed: int = 0


PRESETS = {
    "smoke": Config(lengths=(32,), batch=2, repeats=2),
    "book": Config(repeats=0),
    "full": Config(),
}
DURATIONS = {"smoke": "a few seconds", "book": "a few seconds", "full": "about a minute"}


def measure(config: Config, progress: Progress | None = None) -> Iterator[dict]:
    """Seconds of every encoding, in turn; rows as they come."""
    progress = progress or silent
    on = (config.device, config.threads)
    for number, n in enumerate(config.lengths):
        calls = {
            (name, which): call
            for name in config.encodings
            for which, call in zip(PASSES, _passes(name, n, config), strict=True)
        }
        counts = {key: timing.warm_up(call, *on) for key, call in calls.items()}
        for repeat in range(config.repeats):
            done = (number + repeat / config.repeats) / len(config.lengths)
            progress(done, f"n = {n}, repeat {repeat + 1}")
            for (name, which), call in calls.items():
                value = timing.seconds(call, *on, counts[name, which])
                found = (name, which, n, config.threads, repeat, "seconds", value)
                yield dict(zip(COLUMNS, found, strict=True))


def _passes(name: str, n: int, config: Config) -> tuple[Callable[[], object], ...]:
    """What is timed: forward alone, without gradients; and with the backward pass."""
    kind = ENCODINGS[name]
    options = dict(kind.position_options)
    if "n_max" in options:
        options["n_max"] = n
    kind = models.Architecture(position=kind.position, position_options=options, layers=1)
    model = models.build(kind, vocabulary=VOCABULARY, classes=VOCABULARY, seeds=(config.seed,))
    model = model.to(config.device)
    generator = torch.Generator().manual_seed(config.seed)
    shape = (1, config.batch, n)
    tokens = torch.randint(VOCABULARY, shape, generator=generator).to(config.device)

    def both() -> None:
        with torch.inference_mode(False), torch.enable_grad():
            model.zero_grad(set_to_none=True)
            model(tokens.clone()).square().mean().backward()

    return partial(model, tokens), both


def ratios(run: Run, name: str, which: str, n: int) -> list[float]:
    """The time of an encoding over that of the first, one of each repeat."""
    first = run.config["encodings"][0]
    own, other = (run.values(**{"encoding": x, "pass": which, "n": n}) for x in (name, first))
    return [a / b for a, b in zip(own, other, strict=True)]


def table(run: Run) -> Table:
    """Medians of the ratios, with the least and the most."""
    asked = [(which, n) for n in run.config["lengths"] for which in PASSES]
    rows = []
    for name in run.config["encodings"]:
        shown = []
        for which, n in asked:
            found = ratios(run, name, which, n)
            shown.append(f"{median(found):.2f} ({min(found):.2f} … {max(found):.2f})")
        rows.append([name, *shown])
    return Table(["encoding", *(f"{which}, n = {n}" for which, n in asked)], rows)
