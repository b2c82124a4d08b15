"""How many examples layers need that differ in their priors alone: what is missing, and what helps.

Each layer of ``priors`` learns ``signals`` from ever more examples, the same for all layers: all at
once in each step, with Adam. Each layer, condition and number of examples has a learning rate of
its own, of least error on new examples, by models of two seeds that are used for nothing else; the
search goes on while the best is at the edge of what was tried. Once a layer is right as often as
``ENOUGH``, more examples are not tried.

Four conditions:

- plain: the pattern begins anywhere;
- shifted: in each step, each example is moved along the ring by a place of its own. Labels do not
  change, so every layer is shown what a shared one has built in;
- shuffled: all numbers are put into another order. What is near is then not what belongs together;
- aligned: the pattern begins at multiples of its width, where patches begin.
"""

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean
from typing import ClassVar, NamedTuple

import numpy as np
import torch
from torch import nn

from attention_limits import devices
from attention_limits.experiments import grid, search
from attention_limits.experiments.priors import TAPS, Look, OnPatches, Prior, loss, right
from attention_limits.experiments.search import Trial
from attention_limits.experiments.signals import Signals
from attention_limits.models.layers import Initializer
from attention_limits.progress import Progress
from attention_limits.runs.records import Run
from attention_limits.runs.table import Table
from attention_limits.training import updates

COLUMNS = (
    "layer",
    "condition",
    "n",
    "examples",
    "seed",
    "rate",
    "at_edge",
    "loss",
    "accuracy",
    "matched",
)
PLAIN, SHIFTED, SHUFFLED, ALIGNED = "plain", "shifted", "shuffled", "aligned"
CONDITIONS: Mapping[str, Callable[[Signals], Signals]] = {
    PLAIN: lambda signals: signals,
    SHIFTED: lambda signals: signals,
    SHUFFLED: lambda signals: replace(signals, shuffled=True),
    ALIGNED: lambda signals: replace(signals, aligned=True),
}
CONVOLUTION, WIDE, UNSHARED, FULL = "convolution", "wide kernel", "unshared", "fully connected"
RELATIVE, ABSOLUTE, WINDOW = "relative scores", "absolute scores", "relative scores, in a window"
LEARNED = "learned positions"
PATCHES, EVERYWHERE = "among patches", "among overlapping patches"
SHARPNESS = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0)
PACES = (0.1, 0.01)


def local_start(kind: str, sharpness: float, pace: float = 1.0) -> str:
    """What a record calls attention that begins as an approximate convolution."""
    return f"{kind}, α = {sharpness:g}" + (f", pace {pace:g}" if pace != 1 else "")


CORE: Mapping[str, Prior] = {
    CONVOLUTION: Prior(local=True, shared=True),
    WIDE: Prior(local=False, shared=True),
    UNSHARED: Prior(local=True, shared=False),
    FULL: Prior(local=False, shared=False),
    WINDOW: Prior(local=True, shared=True, attention=True),
    RELATIVE: Prior(local=False, shared=True, attention=True),
    ABSOLUTE: Prior(local=False, shared=False, attention=True),
    LEARNED: Prior(local=False, shared=False, attention=True, positions=True),
}
LOCAL_STARTS: Mapping[str, Prior] = {
    local_start(name, alpha, pace): replace(CORE[name], sharpness=alpha, pace=pace)
    for name in (RELATIVE, ABSOLUTE)
    for alpha in SHARPNESS
    for pace in ((1.0, *PACES) if (name, alpha) == (ABSOLUTE, 1.0) else (1.0,))
}
PRIORS: Mapping[str, Prior] = {**CORE, **LOCAL_STARTS}
STRIDES: Mapping[str, int] = {PATCHES: TAPS, EVERYWHERE: 1}
LAYERS = (*PRIORS, *STRIDES)

RATES = (1e-2, 3e-2, 1e-1)  # with which a search begins
SEARCH_SEEDS = (1000, 1001)
STEPS = {PLAIN: 400, SHIFTED: 800, SHUFFLED: 400, ALIGNED: 400}
ENOUGH = 0.975
READ = 0.9  # the accuracy whose price in examples is compared
MATCHED = 0.1  # nats, of the loss in training at which layers are compared, too


@dataclass(frozen=True, kw_only=True)
class Config(grid.Config):
    """What a run depends on, the machine aside: as ``grid.Config``, and

    Args:
        settings: the conditions.
        layers: names of ``LAYERS``.
        lengths: n; of all conditions the middle one, of the plain condition all.
        examples: how many there are to learn from, in turn.
        steps: of all conditions; None for those of ``STEPS``.
        rates: with which a search begins, neighbours on ``search.GRID``; a single one is taken.
    """

    CHOICES: ClassVar = {"settings": CONDITIONS, "layers": LAYERS}

    settings: tuple[str, ...] = tuple(CONDITIONS)
    layers: tuple[str, ...] = LAYERS
    lengths: tuple[int, ...] = (32, 64, 128)
    examples: tuple[int, ...] = (8, 16, 32, 64, 128, 256, 512, 1024)
    rates: tuple[float, ...] = RATES
    count: int = 1000


PRESETS = {
    "smoke": Config(
        settings=(PLAIN, SHIFTED),
        layers=(CONVOLUTION, PATCHES),
        lengths=(16,),
        examples=(8, 16),
        seeds=(0, 1),
        steps=20,
        rates=(3e-2,),
        count=50,
    ),
    "book": Config(
        settings=(PLAIN, SHIFTED),
        layers=(CONVOLUTION, UNSHARED),
        lengths=(32,),
        examples=(16, 64),
        seeds=(0, 1),
        rates=(3e-2,),
        count=500,
    ),
    "full": Config(),
}
DURATIONS = {"smoke": "a few seconds", "book": "half a minute", "full": "about an hour"}


@dataclass(frozen=True)
class Cell(grid.Cell):
    """One layer, under one condition, at one length."""

    layer: str
    condition: str
    n: str


def cells(config: Config) -> Iterator[Cell]:
    """At the middle length, all layers if plain, else all but local starts; at others, the core."""
    middle = config.lengths[len(config.lengths) // 2]
    for condition in config.settings:
        for layer in config.layers:
            if condition == PLAIN or layer not in LOCAL_STARTS:
                yield Cell(layer, condition, f"{middle}")
    for n in config.lengths:
        for layer in config.layers:
            if n != middle and layer in CORE and PLAIN in config.settings:
                yield Cell(layer, PLAIN, f"{n}")


def run_cell(
    cell: Cell, config: Config, checkpoints: Path | None, progress: Progress
) -> list[dict]:
    """A row for each number of examples and each seed, until a layer needs no more."""
    rows: list[dict] = []
    for place, examples in enumerate(config.examples):
        words = f"{cell.name}: {examples} examples"
        progress(place / len(config.examples), words)
        rate, at_edge = best_rate(cell, config, examples)
        found = learn(cell, config, examples, [rate] * len(config.seeds), config.seeds)
        same = {"layer": cell.layer, "condition": cell.condition, "n": int(cell.n)}
        same |= {"examples": examples, "rate": rate, "at_edge": at_edge}
        for seed, *own in zip(config.seeds, *found, strict=True):
            measured = dict(zip(Learned._fields, own, strict=True))
            rows.append(grid.row(COLUMNS, measured, **same, seed=seed))
        if mean(found.accuracy) >= ENOUGH:
            break
    return rows


# --- learning -----------------------------------------------------------------------------------


class Learned(NamedTuple):
    """What models came to: the loss in training, and how often they are right on new examples.

    ``matched`` is that accuracy at the step at which the loss had first come down to ``MATCHED``,
    and None of a model that never did.
    """

    loss: list[float]
    accuracy: list[float]
    matched: list[float | None]


def build(layer: str, n: int, seeds: Sequence[int]) -> nn.Module:
    """A layer of ``LAYERS`` for n numbers, once for each seed."""
    if layer in STRIDES:
        return OnPatches(Initializer(seeds), STRIDES[layer])
    return Look(Initializer(seeds), PRIORS[layer], n)


def best_rate(cell: Cell, config: Config, examples: int) -> tuple[float, bool]:
    """The rate of least error on new examples, and whether it is at the edge of what was tried."""
    if len(config.rates) == 1:
        return config.rates[0], True

    def tried(rates: Sequence[float]) -> list[Trial]:
        each = [rate for rate in rates for _ in SEARCH_SEEDS]
        found = learn(cell, config, examples, each, SEARCH_SEEDS * len(rates))
        errors = 1 - np.reshape(found.accuracy, (len(rates), -1)).mean(1)
        steps = config.steps or STEPS[cell.condition]
        pairs = zip(rates, errors.tolist(), strict=True)
        return [Trial(rate, steps, error, 1 - error) for rate, error in pairs]

    choice = search.chosen(search.bracketed(config.rates, tried))
    return choice.rate, choice.at_edge


def learn(
    cell: Cell,
    config: Config,
    examples: int,
    rates: Sequence[float],
    seeds: Sequence[int],
    drawn: tuple[float, ...] = (),
) -> Learned:
    """Models of a layer, side by side, each with a rate and the examples of its own seed.

    They are judged by other new examples than models of other seeds. The pattern is that of
    ``Signals``, unless another is ``drawn``.
    """
    device = devices.choose(config.device)
    signals = CONDITIONS[cell.condition](Signals(int(cell.n), drawn=drawn))
    draw = functools.cache(lambda seed: signals.sample((seed, examples), examples))
    x, signs = _tensors([draw(seed) for seed in seeds], device)
    judged = _tensors([signals.sample((*seeds, 2), config.count)], device)
    model = build(cell.layer, int(cell.n), seeds).to(device)
    weights = list(model.parameters())
    optimizer = torch.optim.Adam(weights, lr=1.0)
    shifts = torch.Generator().manual_seed(0)
    steps = config.steps or STEPS[cell.condition]
    everybody = torch.ones(len(seeds), dtype=torch.bool, device=device)
    matched: list[float | None] = [None] * len(seeds)
    for step in range(steps):
        shown = shifted(x, shifts) if cell.condition == SHIFTED else x
        losses = loss(model(shown), signs)
        now = [m is None and at <= MATCHED for m, at in zip(matched, losses.tolist(), strict=True)]
        if any(now):
            found = accuracy(model, *judged)
            matched = [f if is_now else m for f, is_now, m in zip(found, now, matched, strict=True)]
        optimizer.zero_grad()
        losses.sum().backward()
        decay = min(1.0, (steps - step) / (0.3 * steps))
        updates.move(weights, optimizer, decay * torch.tensor(rates, device=device), everybody)
    with torch.no_grad():
        final = loss(model(x), signs).tolist()
    return Learned(final, accuracy(model, *judged), matched)


@torch.no_grad()
def accuracy(model: nn.Module, x: torch.Tensor, signs: torch.Tensor) -> list[float]:
    """How often each model is right."""
    side = len(next(model.parameters()))
    return right(model(x.expand(side, -1, -1)), signs).tolist()


def shifted(x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Each example, moved along the ring by a place of its own."""
    n = x.shape[-1]
    by = torch.randint(n, (*x.shape[:-1], 1), generator=generator).to(x.device)
    return x.gather(-1, (torch.arange(n, device=x.device) + by) % n)


def _tensors(
    samples: Sequence[tuple[np.ndarray, np.ndarray]], device: torch.device
) -> tuple[torch.Tensor, torch.Tensor]:
    x, signs = (np.stack(arrays) for arrays in zip(*samples, strict=True))
    return torch.from_numpy(x).to(device), torch.from_numpy(signs).to(device)


# --- what was found -----------------------------------------------------------------------------


def rate(run: Run, layer: str, condition: str, n: int, examples: int) -> float:
    """The learning rate that a layer chose in a run, for as many examples or the next fewer.

    Lengths at which it was not tried under the condition have the rates of one at which it was.
    """
    rows = [row for row in run.records if (row["layer"], row["condition"]) == (layer, condition)]
    rows = [row for row in rows if row["n"] == n] or rows
    return max(
        (row for row in rows if row["examples"] <= examples), key=lambda row: row["examples"]
    )["rate"]


def accuracies(
    run: Run, layer: str, examples: int, condition: str = PLAIN, n: int = 64, what: str = "accuracy"
) -> list[float]:
    """How often a layer is right on new examples, one number a seed."""
    return run.values(what, layer=layer, condition=condition, n=n, examples=examples)


def curve(run: Run, layer: str, condition: str = PLAIN, n: int = 64) -> dict[int, list[float]]:
    """By the number of examples that were tried, the accuracies."""
    tried = {
        examples: accuracies(run, layer, examples, condition, n)
        for examples in run.config["examples"]
    }
    return {examples: found for examples, found in tried.items() if found}


def needed(run: Run, layer: str, condition: str = PLAIN, n: int = 64) -> float | None:
    """How many examples it takes to be right in ``READ`` of all cases; None if all are too few.

    Between two numbers that were tried, the mean accuracy is taken to be linear in the logarithm of
    examples; the fewest that were tried are an upper bound.
    """
    means = {examples: mean(found) for examples, found in curve(run, layer, condition, n).items()}
    before: tuple[int, float] | None = None
    for examples, found in means.items():
        if found >= READ:
            if before is None:
                return float(examples)
            x = np.log([before[0], examples])
            return float(np.exp(np.interp(READ, [before[1], found], x)))
        before = examples, found
    return None


def table(run: Run) -> Table:
    """Examples that each layer needs, under each condition at the middle length, and at others."""
    lengths = run.config["lengths"]
    middle = lengths[len(lengths) // 2]
    asked = [(condition, middle) for condition in run.config["settings"]]
    asked += [(PLAIN, n) for n in lengths if n != middle]
    known = {(row["layer"], row["condition"], row["n"]) for row in run.records}
    rows = []
    for layer in run.config["layers"]:
        cells = (
            in_words(run, layer, condition, n) if (layer, condition, n) in known else ""
            for condition, n in asked
        )
        rows.append([layer, *cells])
    heads = [condition + (f", n = {n}" if n != middle else "") for condition, n in asked]
    return Table(["layer", *heads], rows)


def in_words(run: Run, layer: str, condition: str = PLAIN, n: int = 64) -> str:
    """How many examples, in a table."""
    found = needed(run, layer, condition, n)
    if found is None:
        return f"> {max(run.config['examples']):,}"
    few = found == min(run.config["examples"])
    return f"≤ {found:,.0f}" if few else f"{found:,.0f}"
