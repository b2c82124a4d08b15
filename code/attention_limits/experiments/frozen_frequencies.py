"""What models can do without a band of frequencies: after training, or during it.

``score_frequencies`` says which periods scores vary with. That a model needs them does not follow:
others may stand in. So a band is frozen, that is, its frequencies are set to 0, in models that were
trained with all of them; and models train without it from the first step on.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import product, starmap
from pathlib import Path
from typing import ClassVar

from attention_limits.experiments import conditions, cures, grid, search
from attention_limits.experiments.conditions import ENCODINGS, SETTINGS, TRAINED
from attention_limits.experiments.score_frequencies import BANDS, band_name
from attention_limits.experiments.search import Budget
from attention_limits.models import Architecture
from attention_limits.positions import sinusoidal
from attention_limits.progress import Progress
from attention_limits.runs.records import Run
from attention_limits.runs.table import Table, spread

COLUMNS = (
    "task",
    "encoding",
    "without",
    "when",
    "seed",
    "rate",
    "steps",
    "ended",
    "at_edge",
    "loss",
    "n",
    "accuracy",
)
NOTHING = "nothing"
WITHOUT = {NOTHING: (0.0, 0.0), **{band_name(*band): band for band in BANDS}}  # periods, in tokens
ASKED, THROUGHOUT = "when asked", "in training, too"
WIDTHS = {"sinusoidal": Architecture().d_model, "rotary": cures.WIDTH}


@dataclass(frozen=True, kw_only=True)
class Config(search.Config):
    """What a run depends on, the machine aside: as ``search.Config``, of ``SETTINGS``, and

    Args:
        encodings: of ``WIDTHS``.
        without: of ``WITHOUT``; models train without each.
        budget: of the search.
    """

    CHOICES: ClassVar = {"settings": SETTINGS, "encodings": WIDTHS, "without": WITHOUT}

    settings: tuple[str, ...] = ("most recent", "token 3 back")
    encodings: tuple[str, ...] = ("sinusoidal", "rotary")
    without: tuple[str, ...] = tuple(WITHOUT)
    budget: Budget = field(default_factory=lambda: Budget(rates=(1e-3, 3e-3, 1e-2), patience=(1,)))


PRESETS = {
    "smoke": Config(
        settings=("most recent",),
        without=(NOTHING, "32 to 96"),
        seeds=(0, 1),
        budget=Budget(rates=(3e-3,), patience=(1,)),
        steps=10,
        count=20,
    ),
    "book": Config(
        settings=("most recent",),
        encodings=("rotary",),
        without=(NOTHING,),
        seeds=(0, 1),
        budget=Budget(rates=(3e-3,), patience=(1,)),
        count=100,
    ),
    "full": Config(),
}
DURATIONS = {"smoke": "a few seconds", "book": "half a minute", "full": "about twenty minutes"}


@dataclass(frozen=True)
class Cell(grid.Cell):
    """One encoding on one task, and what models train without."""

    setting: str
    encoding: str
    without: str


def cells(config: Config) -> Iterator[Cell]:
    """All of them."""
    return starmap(Cell, product(config.settings, config.encodings, config.without))


def architecture(encoding: str, without: str) -> Architecture:
    """A model whose frequencies of a band are 0."""
    low, high = WITHOUT[without]
    usual = sinusoidal.frequencies(WIDTHS[encoding]).tolist()
    kept = tuple(0.0 if low <= 2 * math.pi / omega < high else omega for omega in usual)
    return replace(ENCODINGS[encoding], position_options={"frequencies": kept})


def run_cell(
    cell: Cell, config: Config, checkpoints: Path | None, progress: Progress
) -> list[dict]:
    """A row for each seed; of models with all frequencies, also with each band frozen."""
    task, n = SETTINGS[cell.setting].make(), TRAINED[1]
    recipe = conditions.recipe(cell.setting, "plain", config.steps)
    own = architecture(cell.encoding, cell.without)
    choice, trained = search.train(own, task, recipe, config, checkpoints, progress)
    losses = search.losses(trained, task, recipe, config.budget.count)
    same = {"task": cell.setting, "encoding": cell.encoding, "at_edge": choice.at_edge}
    rows = []
    for when in (THROUGHOUT, ASKED) if cell.without == NOTHING else (THROUGHOUT,):
        for without in WITHOUT if when == ASKED else (cell.without,):
            asked = cures.turned_by(trained, architecture(cell.encoding, without), cell.setting)
            found = {**same, "without": without, "when": when}
            rows += grid.rows(COLUMNS, asked, task, [n], config.count, found, loss=losses)
    return rows


# --- what was found -----------------------------------------------------------------------------


def accuracies(run: Run, task: str, encoding: str, without: str, when: str = ASKED) -> list[float]:
    """How often the last answer of a sequence is right, one number a seed."""
    return run.values("accuracy", task=task, encoding=encoding, without=without, when=when)


def table(run: Run) -> Table:
    """Means over seeds, and the least and the most."""
    rows = []
    for task, encoding, when in product(
        run.config["settings"], run.config["encodings"], (ASKED, THROUGHOUT)
    ):
        found = [accuracies(run, task, encoding, without, when) for without in WITHOUT]
        if any(found):
            rows.append([task, encoding, when, *(spread(x) if x else "–" for x in found)])
    return Table(["task", "encoding", "frozen", *WITHOUT], rows)
