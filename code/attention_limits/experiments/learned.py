"""Which small models learn which task at all, at the lengths that they are trained on.

Before one asks how far a model carries what it learned, or why it does not, it has to have learned
it. Each task meets the same models, each at its own best learning rate (``tuning``), and is asked
on new sequences of the longest length in training. What is said of a model is said of so many
steps. Beside its accuracy stand its size and what it holds of a sequence of that length, at 4 bytes
a number.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product, starmap
from pathlib import Path
from typing import ClassVar

from attention_limits import models
from attention_limits.experiments import grid, tuning
from attention_limits.experiments.grid import Setting
from attention_limits.models import Architecture
from attention_limits.progress import Progress
from attention_limits.runs.records import Run
from attention_limits.runs.table import Table

COLUMNS = (
    "task",
    "model",
    "seed",
    "rate",
    "steps",
    "ended",
    "n",
    "accuracy",
    "last",
    "parameters",
    "state_bytes",
)

MODELS = {
    "attention": Architecture(position="rotary"),
    "attention, no positions": Architecture(),
    "attention, window 8": Architecture(
        mechanism="sliding_window", options={"window": 8}, position="rotary"
    ),
    "convolution": Architecture(kind="convolution", layers=3),
    "gru": Architecture(kind="gru"),
}


SETTINGS = {
    "token 3 back": Setting("token_back"),
    "most recent": Setting("most_recent"),
    "first token": Setting("first_token"),
    "recall": Setting("recall", {"pairs": 4, "queries": 4}, 600, (16, 32)),
    "copy": Setting("copy", steps=600),
    "prefix majority": Setting("prefix_majority"),
    "motif": Setting("motif"),
    "rule 110": Setting("rule_110"),
    "parity": Setting("parity", lengths=(2, 20)),
    "counting mod 5": Setting("modular_counting", lengths=(2, 20)),
    "S3": Setting("permutations", {"group": "S3"}, lengths=(2, 20)),
    "A5": Setting("permutations", {"group": "A5"}, 600, (2, 20)),
    "agreement": Setting("agreement", lengths=(16, 32)),
    "irregular events": Setting("irregular_events"),
}


@dataclass(frozen=True, kw_only=True)
class Config(grid.Config):
    """What a run depends on, the machine aside: as ``grid.Config``, and

    Args:
        models: names of ``MODELS``.
        rates: learning rates that each model may choose from.
    """

    CHOICES: ClassVar = {"settings": SETTINGS, "models": MODELS}

    settings: tuple[str, ...] = tuple(SETTINGS)
    models: tuple[str, ...] = tuple(MODELS)
    rates: tuple[float, ...] = tuning.RATES


PRESETS = {
    "smoke": Config(settings=("first token",), seeds=(0, 1), rates=(3e-3,), steps=20, count=20),
    "book": Config(
        settings=("first token", "parity"), models=("attention", "gru"), seeds=(0,), rates=(3e-3,)
    ),
    "full": Config(),
}
DURATIONS = {
    "smoke": "a few seconds",
    "book": "about half a minute",
    "full": "about forty minutes",
}


@dataclass(frozen=True)
class Cell(grid.Cell):
    """One kind of model on one task."""

    setting: str
    model: str


def cells(config: Config) -> Iterator[Cell]:
    """Every model on every task."""
    return starmap(Cell, product(config.settings, config.models))


def run_cell(
    cell: Cell, config: Config, checkpoints: Path | None, progress: Progress
) -> list[dict]:
    """A row for each seed."""
    setting, architecture = SETTINGS[cell.setting], MODELS[cell.model]
    trained = grid.train(
        architecture,
        setting,
        config,
        rates=config.rates,
        checkpoints=checkpoints,
        progress=progress,
    )
    n = setting.lengths[1]
    same = {
        "task": cell.setting,
        "model": cell.model,
        "parameters": models.parameters(trained.model),
        "state_bytes": models.state_bytes(architecture, n),
    }
    judged = grid.judge(trained, setting.make(), n, count=config.count)
    return [grid.row(COLUMNS, each, **same) for each in judged]


def accuracies(run: Run, setting: str, model: str, of: str = "last") -> list[float]:
    """One a seed, of the last answer in a sequence or (``of="accuracy"``) of all of them."""
    return run.values(of, task=setting, model=model)


def table(run: Run) -> Table:
    """How often the last answer of a sequence is right: the least and the most of the seeds."""
    rows = []
    for setting in run.config["settings"]:
        found = (accuracies(run, setting, model) for model in run.config["models"])
        chance = SETTINGS[setting].make().chance
        rows.append([setting, f"{chance:.2f}", *map(_spread, found)])
    return Table(["task", "chance", *run.config["models"]], rows)


def _spread(values: list[float]) -> str:
    """One number where there is but one to two digits."""
    least, most = (f"{value:.2f}" for value in (min(values), max(values)))
    return least if least == most else f"{least} … {most}"
