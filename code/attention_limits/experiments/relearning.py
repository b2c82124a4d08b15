"""Why rotary models learn an offset late after interpolation: parts of them begin anew.

Interpolated models go on, on sequences of 256 tokens, as in ``fine_tuning``, for 200 steps. If what
the first training made of some weights is in the way, then models without it learn faster. So

- queries and keys of one layer are those of a model that was not trained; all else is kept;
- or they are as trained and shorter, so that scores of that layer are a tenth of what they were;
- or all weights are new, and the frequencies are interpolated.

And where nothing is changed, the first training has other rates, too. The rate of the second is
searched in each case.
"""

import copy
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import torch
from torch import nn

from attention_limits import models, training
from attention_limits.experiments import conditions, cures, fine_tuning, grid, search
from attention_limits.experiments.conditions import LONGEST, SETTINGS
from attention_limits.experiments.cures import CURED, FREQUENCIES, INTERPOLATED
from attention_limits.experiments.search import Budget
from attention_limits.models.transformer import Layer, Transformer
from attention_limits.progress import Progress, part
from attention_limits.runs.records import Run
from attention_limits.runs.table import Table, spread
from attention_limits.training import Trained

COLUMNS = (
    "first",
    "changed",
    "seed",
    "rate",
    "ended",
    "at_edge",
    "loss",
    "before",
    "n",
    "accuracy",
)
SETTING = "token 3 back"
FIRST = (3e-3, 1e-2, 3e-2)  # rates of the first training; the last is what a search chose
NOTHING, ALL = "nothing", "all weights new"
SHARPNESS = 0.1  # of the scores of a layer that are softened, times what they were
CHANGES = {  # the layer, from 0, and by what its queries and keys are multiplied; None if new
    "new queries and keys, layer 1": (0, None),
    "new queries and keys, layer 2": (1, None),
    "softer scores, layer 1": (0, math.sqrt(SHARPNESS)),
    "softer scores, layer 2": (1, math.sqrt(SHARPNESS)),
}
CHANGED = (NOTHING, *CHANGES, ALL)


@dataclass(frozen=True, kw_only=True)
class Config(search.Config):
    """What a run depends on, the machine aside: as ``search.Config``, and

    Args:
        first: rates of the first training.
        changed: of ``CHANGED``; what is changed before models go on, after the last of ``first``.
        more: steps on long sequences.
        budget: whose seeds choose the rate of the second training.
        rates: of that search, neighbours on ``search.GRID``.
    """

    CHOICES: ClassVar = {"settings": SETTINGS, "changed": CHANGED}

    settings: tuple[str, ...] = (SETTING,)
    first: tuple[float, ...] = FIRST
    changed: tuple[str, ...] = CHANGED
    more: int = 200
    budget: Budget = field(default_factory=Budget)
    rates: tuple[float, ...] = (3e-3, 1e-2)
    count: int = 300


PRESETS = {
    "smoke": Config(
        first=(3e-2,),
        changed=(NOTHING, "new queries and keys, layer 2", ALL),
        more=2,
        seeds=(0, 1),
        rates=(3e-3,),
        steps=10,
        count=20,
    ),
    "book": Config(first=(3e-2,), changed=(ALL,), more=20, seeds=(0, 1), rates=(1e-2,), count=100),
    "full": Config(),
}
DURATIONS = {
    "smoke": "a few seconds",
    "book": "half a minute",
    "full": "about a quarter of an hour",
}


@dataclass(frozen=True)
class Cell(grid.Cell):
    """The rate of the first training, and what is changed after it."""

    first: str
    changed: str


def cells(config: Config) -> Iterator[Cell]:
    """Every first training as it is; all changes after the last one; and new weights."""
    for first in config.first if NOTHING in config.changed else ():
        yield Cell(f"{first}", NOTHING)
    for changed in config.changed:
        if changed != NOTHING:
            yield Cell("none" if changed == ALL else f"{config.first[-1]}", changed)


def run_cell(
    cell: Cell, config: Config, checkpoints: Path | None, progress: Progress
) -> list[dict]:
    """A row for each seed, at the length that models go on with."""
    task = SETTINGS[SETTING].make()
    turning = cures.architecture(cures.cured(INTERPOLATED, LONGEST))
    recipe = fine_tuning.long_recipe(conditions.recipe(SETTING, "plain"), config.more)
    tried = tested = None
    before: list[float | None] = [None] * len(config.seeds)
    if cell.changed != ALL:
        trained = _first(cell, config, config.seeds, checkpoints, part(progress, 0, 2))
        judged = grid.judge(trained, task, cures.SHORT, count=config.count)
        before = [row["last"] for row in judged]
        tested = changed(trained.model, cell.changed, config.seeds)
        tried = _first(cell, config, config.budget.seeds, None, None).model
        tried = changed(tried, cell.changed, config.budget.seeds)
    choice = fine_tuning.searched(turning, task, recipe, config, config.rates, tried)
    trained = training.train(
        turning,
        task,
        recipe,
        seeds=config.seeds,
        rates=choice.rate,
        start=tested,
        device=config.device,
        progress=part(progress, 1, 2, "longer, "),
    )
    losses = search.losses(trained, task, recipe, max(1, config.count // 3))
    same = {"first": cell.first, "changed": cell.changed, "at_edge": choice.at_edge}
    return grid.rows(
        COLUMNS, trained, task, [LONGEST], config.count, same, loss=losses, before=before
    )


def _first(
    cell: Cell,
    config: Config,
    seeds: tuple[int, ...],
    checkpoints: Path | None,
    progress: Progress | None,
) -> Trained:
    """Models that were trained on short sequences, as their frequencies were."""
    return training.train_ensemble(
        cures.architecture(FREQUENCIES[CURED]),
        SETTINGS[SETTING].make(),
        conditions.recipe(SETTING, "plain", config.steps),
        seeds=seeds,
        rates=float(cell.first),
        device=config.device,
        checkpoint=checkpoints and checkpoints / "models",
        progress=progress,
    )


@torch.no_grad()
def changed(model: nn.Module, change: str, seeds: Sequence[int]) -> nn.Module:
    """A copy whose queries and keys of one layer are others.

    Args:
        model: of as many ``seeds``, which is what new weights are drawn from.
        change: of ``CHANGED``, but for new weights altogether.
        seeds: of the models.
    """
    model = copy.deepcopy(model)
    if change == NOTHING:
        return model
    number, factor = CHANGES[change]
    rows = _queries_and_keys(model, number)
    if factor is not None:
        rows *= factor
        return model
    task = SETTINGS[SETTING].make()
    new = models.build(
        cures.architecture(FREQUENCIES[CURED]),
        vocabulary=task.vocabulary,
        classes=task.classes,
        seeds=seeds,
    )
    rows.copy_(_queries_and_keys(new.to(rows.device), number))
    return model


def _queries_and_keys(model: nn.Module, number: int) -> torch.Tensor:
    """Their weights in a layer, (s, 2 d_model, d_model), to be changed in place."""
    assert isinstance(model, Transformer)
    layer = model.layers[number]
    assert isinstance(layer, Layer)
    weight = layer.attention.project.weight
    return weight[:, : 2 * weight.shape[-1]]


# --- what was found -----------------------------------------------------------------------------


def accuracies(run: Run, change: str, first: float | None = FIRST[-1]) -> list[float]:
    """How often the last answer of a long sequence is right after all, one number a seed."""
    named = "none" if change == ALL else f"{first}"
    return run.values("accuracy", changed=change, first=named)


def table(run: Run) -> Table:
    """Means over seeds, and the least and the most."""
    rows = []
    for cell in dict.fromkeys((row["first"], row["changed"]) for row in run.records):
        own = dict(zip(("first", "changed"), cell, strict=True))
        before = [x for x in run.values("before", **own) if x is not None]
        rate = run.values("rate", **own)[0]
        found = spread(run.values("accuracy", **own))
        rows.append([*cell, spread(before) if before else "–", f"{rate:g}", found])
    heads = ("rate of the first training", "changed", "accuracy after it", "rate", "at the end")
    return Table(list(heads), rows)
