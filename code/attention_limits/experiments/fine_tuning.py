"""Rotary models after a few more steps on longer sequences, cured before or not.

The models are those of ``cures``, trained on 8 to 32 tokens. They go on for 50 or 200 steps on
sequences of 256, as many tokens a step as before, with the frequencies of a cure; a control begins
at new weights. The rate is searched on two seeds that were trained along and are not tested.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import product, starmap
from pathlib import Path
from typing import ClassVar

from torch import nn

from attention_limits import training
from attention_limits.experiments import conditions, cures, grid, search
from attention_limits.experiments.conditions import LONGEST, SETTINGS, TRAINED
from attention_limits.experiments.cures import (
    CURED,
    CURES,
    FREQUENCIES,
    INTERPOLATED,
    NOTHING,
    NTK,
)
from attention_limits.experiments.search import Budget
from attention_limits.models import Architecture
from attention_limits.progress import Progress, part
from attention_limits.runs.records import Run
from attention_limits.runs.table import Table, spread
from attention_limits.tasks import Task
from attention_limits.training import Recipe

COLUMNS = (
    "task",
    "cure",
    "more",
    "seed",
    "rate",
    "ended",
    "at_edge",
    "loss",
    "n",
    "accuracy",
)
SCRATCH = "from scratch"
STARTS = (NOTHING, INTERPOLATED, NTK, "YaRN 1-4", SCRATCH)


@dataclass(frozen=True, kw_only=True)
class Config(search.Config):
    """What a run depends on, the machine aside: as ``search.Config``, of ``SETTINGS``, and

    Args:
        cures: of ``STARTS``.
        more: steps on long sequences; the rate is chosen with the fewest.
        budget: of the search before, on short ones.
        rates: of the search after, neighbours on ``search.GRID``.
        lengths: of the sequences that are asked.
    """

    CHOICES: ClassVar = {"settings": SETTINGS, "cures": (*CURES, SCRATCH)}

    settings: tuple[str, ...] = tuple(SETTINGS)
    cures: tuple[str, ...] = STARTS
    more: tuple[int, ...] = (50, 200)
    budget: Budget = field(default_factory=lambda: Budget(rates=(1e-3, 3e-3, 1e-2)))
    rates: tuple[float, ...] = (3e-4, 1e-3, 3e-3)
    lengths: tuple[int, ...] = (32, 256)
    count: int = 300


PRESETS = {
    "smoke": Config(
        settings=("first token",),
        cures=(NOTHING, SCRATCH),
        more=(2, 3),
        seeds=(0, 1),
        budget=Budget(rates=(3e-3,), patience=(1,), seeds=(1000,)),
        rates=(1e-3,),
        steps=10,
        count=20,
    ),
    "book": Config(
        settings=("first token",),
        cures=(INTERPOLATED,),
        more=(10,),
        seeds=(0, 1),
        budget=Budget(rates=(3e-3,), patience=(1,)),
        rates=(1e-3,),
        count=100,
    ),
    "full": Config(),
}
DURATIONS = {
    "smoke": "a few seconds",
    "book": "half a minute",
    "full": "about three quarters of an hour",
}


@dataclass(frozen=True)
class Cell(grid.Cell):
    """One task, and what is done before models go on."""

    setting: str
    cure: str


def cells(config: Config) -> Iterator[Cell]:
    """Every cure on every task."""
    return starmap(Cell, product(config.settings, config.cures))


def long_recipe(recipe: Recipe, steps: int) -> Recipe:
    """As many tokens a step as the longest sequences had, in sequences of the longest."""
    batch = recipe.batch * TRAINED[1] // LONGEST
    return replace(recipe, steps=steps, lengths=(LONGEST, LONGEST), batch=batch, warm_up=10)


def run_cell(
    cell: Cell, config: Config, checkpoints: Path | None, progress: Progress
) -> list[dict]:
    """A row for each number of steps, length and seed."""
    task = SETTINGS[cell.setting].make()
    cure = NOTHING if cell.cure == SCRATCH else cell.cure
    turning = cures.architecture(cures.cured(cure, LONGEST))
    tried, tested = _starts(cell, turning, config, checkpoints, part(progress, 0, 2))
    recipe = long_recipe(conditions.recipe(cell.setting, "plain"), min(config.more))
    count = max(1, config.count // 3)
    choice = searched(turning, task, recipe, config, config.rates, tried)
    rows: list[dict] = []
    for number, more in enumerate(config.more):
        trained = training.train(
            turning,
            task,
            replace(recipe, steps=more),
            seeds=config.seeds,
            rates=choice.rate,
            start=tested,
            device=config.device,
            progress=part(progress, len(config.more) + number, 2 * len(config.more), "longer, "),
        )
        losses = search.losses(trained, task, recipe, count)
        same = {"task": cell.setting, "cure": cell.cure, "more": more, "at_edge": choice.at_edge}
        rows += grid.rows(COLUMNS, trained, task, config.lengths, config.count, same, loss=losses)
    return rows


def searched(
    architecture: Architecture,
    task: Task,
    recipe: Recipe,
    config: search.Config,
    rates: Sequence[float],
    start: nn.Module | None,
) -> search.Choice:
    """The rate at which models go on, or begin; one of a single rate is taken as it is."""

    def trials(rates: Sequence[float]) -> list[search.Trial]:
        found = []
        for rate in rates:
            trained = training.train(
                architecture,
                task,
                recipe,
                seeds=config.budget.seeds,
                rates=rate,
                start=start,
                device=config.device,
            )
            found += search.compared(trained, task, recipe, max(1, config.count // 3))
        return found

    return search.chosen(trials(rates) if len(rates) == 1 else search.bracketed(rates, trials))


def _starts(
    cell: Cell,
    turning: Architecture,
    config: Config,
    checkpoints: Path | None,
    progress: Progress,
) -> tuple[nn.Module | None, nn.Module | None]:
    """Models that were trained on short sequences: those that choose a rate, and the tested."""
    if cell.cure == SCRATCH:
        return None, None
    task, before = SETTINGS[cell.setting].make(), cures.architecture(FREQUENCIES[CURED])
    recipe = conditions.recipe(cell.setting, "plain", config.steps)
    choice, tested = search.train(before, task, recipe, config, checkpoints, progress)
    tried = training.train_ensemble(
        before,
        task,
        replace(recipe, steps=choice.steps),
        seeds=config.budget.seeds,
        rates=choice.rate,
        device=config.device,
    )
    choosing, asked = (cures.turned_by(each, turning, cell.setting) for each in (tried, tested))
    return choosing.model, asked.model


# --- what was found -----------------------------------------------------------------------------


def accuracies(run: Run, task: str, cure: str, more: int, n: int = LONGEST) -> list[float]:
    """How often the last answer of a sequence is right, one number a seed."""
    return run.values("accuracy", task=task, cure=cure, more=more, n=n)


def table(run: Run, n: int = LONGEST) -> Table:
    """Means over seeds, and the least and the most, after so many steps more."""
    rows = []
    for cure, more in product(run.config["cures"], run.config["more"]):
        found = (accuracies(run, task, cure, more, n) for task in run.config["settings"])
        rows.append([cure, f"{more}", *(spread(x) if x else "–" for x in found)])
    return Table(["frequencies", "more steps", *run.config["settings"]], rows)
