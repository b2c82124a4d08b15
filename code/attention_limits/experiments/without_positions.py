"""What a decoder learns that is told no positions, by depth, with and without a first token.

The causal mask shows how many keys a query sees. :cite:t:`kazemnejad2023impact` prove that a first
layer can turn this into positions, if the sequence begins with a token of its own, <bos>, which it
can tell from all others. So models of two and of four layers train on sequences with it and without
(it is one of their tokens), each with its own rate, and patiently, in nearly six times the steps
that models with positions begin with. What two layers make of recency is in ``most_recent``.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import product, starmap
from pathlib import Path
from typing import ClassVar

from attention_limits.experiments import conditions, grid, search
from attention_limits.experiments.conditions import SETTINGS
from attention_limits.experiments.search import Budget
from attention_limits.models import Architecture
from attention_limits.progress import Progress
from attention_limits.runs.records import Run
from attention_limits.runs.table import Table, spread

COLUMNS = (
    "task",
    "layers",
    "start",
    "seed",
    "rate",
    "steps",
    "ended",
    "at_edge",
    "loss",
    "asked",
    "step",
    "n",
    "accuracy",
)
STARTS = ("none", "none + bos")
EVERY = 250  # steps of training, at which its accuracy is noted


@dataclass(frozen=True, kw_only=True)
class Config(search.Config):
    """What a run depends on, the machine aside: as ``search.Config``, of ``SETTINGS``, and

    Args:
        layers: how many the models have.
        starts: of ``STARTS``.
        budget: of the search.
        lengths: of the sequences that are asked.
    """

    CHOICES: ClassVar = {"settings": SETTINGS, "starts": STARTS}

    settings: tuple[str, ...] = ("token 3 back",)
    layers: tuple[int, ...] = (2, 4)
    starts: tuple[str, ...] = STARTS
    steps: int | None = 2000
    budget: Budget = field(default_factory=lambda: Budget(rates=(1e-3, 3e-3, 1e-2), patience=(1,)))
    lengths: tuple[int, ...] = (16, 32, 64, 256)


PRESETS = {
    "smoke": Config(
        settings=("token 3 back",),
        layers=(1,),
        seeds=(0, 1),
        steps=10,
        budget=Budget(rates=(3e-3,), patience=(1,)),
        lengths=(16, 32),
        count=20,
    ),
    "book": Config(
        settings=("token 3 back",),
        layers=(2,),
        seeds=(0, 1),
        steps=400,
        budget=Budget(rates=(3e-3,), patience=(1,)),
        count=100,
    ),
    "full": Config(),
}
DURATIONS = {"smoke": "a few seconds", "book": "half a minute", "full": "about an hour"}


@dataclass(frozen=True)
class Cell(grid.Cell):
    """One task, one depth, and how sequences begin."""

    setting: str
    layers: str
    start: str


def cells(config: Config) -> Iterator[Cell]:
    """Every depth, with and without a first token, on every task."""
    named = [f"{layers} layers" for layers in config.layers]
    return starmap(Cell, product(config.settings, named, config.starts))


def run_cell(
    cell: Cell, config: Config, checkpoints: Path | None, progress: Progress
) -> list[dict]:
    """Rows of the training, as it went; then one for each length and seed."""
    layers = int(cell.layers.partition(" ")[0])
    task = SETTINGS[cell.setting].under("plain", cell.start)
    recipe = conditions.recipe(cell.setting, "plain", config.steps)
    choice, trained = search.train(
        Architecture(layers=layers), task, recipe, config, checkpoints, progress
    )
    losses = search.losses(trained, task, recipe, config.budget.count)
    same = {"task": cell.setting, "layers": layers, "start": cell.start, "at_edge": choice.at_edge}
    rows = []
    for told in trained.history:
        number, step = told["model"], told["step"]
        if step % EVERY == 0 or step == choice.steps:
            of_model = {**told, **trained.of(number), "steps": trained.steps[number]}
            rows.append(grid.row(COLUMNS, of_model, **same, asked="in training", n=None))
    return rows + grid.rows(
        COLUMNS,
        trained,
        task,
        config.lengths,
        config.count,
        {**same, "asked": "new sequences"},
        loss=losses,
        step=trained.steps,
    )


def accuracies(run: Run, task: str, layers: int, start: str, n: int) -> list[float]:
    """How often the last answer of a new sequence is right, one number a seed."""
    asked = {"asked": "new sequences", "n": n}
    return run.values("accuracy", task=task, layers=layers, start=start, **asked)


def table(run: Run) -> Table:
    """Means over seeds, and the least and the most."""
    rows = []
    for task, layers, start in product(
        run.config["settings"], run.config["layers"], run.config["starts"]
    ):
        found = [accuracies(run, task, layers, start, n) for n in run.config["lengths"]]
        if any(found):
            rows.append([task, f"{layers}", start, *(spread(x) if x else "–" for x in found)])
    return Table(["task", "layers", "told", *map(str, run.config["lengths"])], rows)
