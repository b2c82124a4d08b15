"""Scores multiplied by the logarithm of how many keys a query sees: what that carries, of whom.

More keys take weight from the one that is looked for: its share falls as 1/n, unless the scores
grow with ln n. So recency, the task with the most distractors, is asked of models whose scores are
multiplied by λ ln n, n being how many keys a query sees; at first λ = 1/ln 32, as without at the
longest trained length. Two things are told apart:

- λ is "fixed", or "learned", a number a head;
- what is multiplied are the "products" of queries and keys, as ``dense`` has it, or the whole
  "scores": of encodings that add to a score (ALiBi, T5's bias, Shaw's vectors), that as well. Of
  the others, both are the same, and only one is trained.

A control is told nothing of n, and trains as long; those of ``most_recent`` had more patience.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar

import numpy as np

from attention_limits.experiments import conditions, grid, search
from attention_limits.experiments.conditions import ENCODINGS, SETTINGS, TRAINED
from attention_limits.experiments.search import Budget
from attention_limits.models import Architecture
from attention_limits.progress import Progress
from attention_limits.runs.records import Run
from attention_limits.runs.table import Table, spread

COLUMNS = (
    "encoding",
    "variant",
    "seed",
    "rate",
    "steps",
    "ended",
    "at_edge",
    "loss",
    "n",
    "accuracy",
)
SETTING = "most recent"
WITHOUT = "without"
VARIANTS = (WITHOUT, "fixed, products", "learned, products", "fixed, scores", "learned, scores")
ADD_TO_SCORES = ("alibi", "relative_bias", "shaw")
FIRST = float(1 / np.log(TRAINED[1]))


@dataclass(frozen=True, kw_only=True)
class Config(search.Config):
    """What a run depends on, the machine aside: as ``search.Config``, and

    Args:
        encodings: names of ``conditions.ENCODINGS``.
        variants: of ``VARIANTS``.
        budget: of the search.
        lengths: of the sequences that are asked.
    """

    CHOICES: ClassVar = {"settings": SETTINGS, "encodings": ENCODINGS, "variants": VARIANTS}

    settings: tuple[str, ...] = (SETTING,)
    encodings: tuple[str, ...] = (
        "none",
        "none + bos",
        "sinusoidal",
        "learned .02",
        "rotary",
        "alibi",
        "relative_bias 24",
        "shaw 48",
    )
    variants: tuple[str, ...] = VARIANTS
    budget: Budget = field(default_factory=lambda: Budget(rates=(1e-3, 3e-3, 1e-2), patience=(1,)))
    lengths: tuple[int, ...] = (32, 64, 128, 256)


PRESETS = {
    "smoke": Config(
        encodings=("none", "alibi"),
        variants=("learned, products", "learned, scores"),
        seeds=(0, 1),
        budget=Budget(rates=(3e-3,), patience=(1,)),
        steps=10,
        lengths=(32, 64),
        count=20,
    ),
    "book": Config(
        encodings=("none",),
        variants=("fixed, products",),
        seeds=(0, 1),
        budget=Budget(rates=(3e-3,), patience=(1,)),
        count=100,
    ),
    "full": Config(),
}
DURATIONS = {"smoke": "a few seconds", "book": "half a minute", "full": "about an hour"}


@dataclass(frozen=True)
class Cell(grid.Cell):
    """One encoding, and what is multiplied by what."""

    encoding: str
    variant: str


def cells(config: Config) -> Iterator[Cell]:
    """All variants that differ."""
    for encoding in config.encodings:
        adds = ENCODINGS[encoding].position in ADD_TO_SCORES
        for variant in config.variants:
            if adds or "scores" not in variant:
                yield Cell(encoding, variant)


def architecture(cell: Cell) -> Architecture:
    """The encoding's, with scores that grow or, to compare with, without."""
    if cell.variant == WITHOUT:
        return ENCODINGS[cell.encoding]
    return replace(
        ENCODINGS[cell.encoding],
        options={"log_n": FIRST},
        learn_log_n="learned" in cell.variant,
        log_n_of_bias="scores" in cell.variant,
    )


def run_cell(
    cell: Cell, config: Config, checkpoints: Path | None, progress: Progress
) -> list[dict]:
    """A row for each length and seed."""
    task = SETTINGS[SETTING].under("plain", cell.encoding)
    recipe = conditions.recipe(SETTING, "plain", config.steps)
    choice, trained = search.train(architecture(cell), task, recipe, config, checkpoints, progress)
    losses = search.losses(trained, task, recipe, config.budget.count)
    same = {"encoding": cell.encoding, "variant": cell.variant, "at_edge": choice.at_edge}
    return grid.rows(COLUMNS, trained, task, config.lengths, config.count, same, loss=losses)


def accuracies(run: Run, encoding: str, variant: str, n: int) -> list[float]:
    """How often the last answer of a sequence is right, one number a seed."""
    return run.values("accuracy", encoding=encoding, variant=variant, n=n)


def table(run: Run) -> Table:
    """Means over seeds, and the least and the most."""
    lengths = run.config["lengths"]
    rows = []
    for encoding in run.config["encodings"]:
        for variant in run.config["variants"]:
            found = [accuracies(run, encoding, variant, n) for n in lengths]
            if any(found):
                rows.append([encoding, variant, *(spread(x) if x else "–" for x in found)])
    return Table(["encoding", "λ ln n", *map(str, lengths)], rows)
