"""Every condition gets a learning rate and a number of steps of its own, by one small budget.

A model that does worse under a condition may have had the rate, or the patience, of another. So
each architecture, task and condition searches by itself, on two seeds that are used for nothing
else, by successive halving:

1. All rates of a grid, a factor of about 3 apart, with the task's steps.
2. While the best is at the edge of what was tried, one more beyond it.
3. If the best leaves more than 2 % of the answers wrong, it and its two neighbours get four times
   the steps; then again 2.

Best is the least loss on new sequences of the longest trained length, drawn as in training. Of
accuracies many are alike at 1.00, of losses none; and nothing that is asked later takes part.
"""

import math
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from statistics import mean

import torch

from attention_limits import training
from attention_limits.checks import Plain
from attention_limits.models import Architecture
from attention_limits.progress import Progress, part, silent
from attention_limits.tasks import Task
from attention_limits.training import Recipe, Trained

# All rates that there are; a budget says where a search begins.
GRID = (1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1)


@dataclass(frozen=True, kw_only=True)
class Budget(Plain):
    """What a search may spend.

    Args:
        rates: with which it begins, neighbours on ``GRID``; a single one is taken as it is.
        patience: how many times the task's steps, in turn.
        enough: the accuracy at which nobody is given more.
        seeds: of the models that try them.
        count: new sequences by which they are compared.

    Raises:
        ValueError: if rates are no neighbours on the grid, in order.
    """

    rates: tuple[float, ...] = (1e-3, 3e-3, 1e-2, 3e-2)
    patience: tuple[int, ...] = (1, 4)
    enough: float = 0.98
    seeds: tuple[int, ...] = (1000, 1001)
    count: int = 400

    def __post_init__(self) -> None:
        super().__post_init__()
        places = [GRID.index(rate) for rate in self.rates if rate in GRID]
        together = all(b - a == 1 for a, b in pairwise(places))
        if len(places) != len(self.rates) or not places or not together:
            raise ValueError(f"rates must be neighbours among {GRID}, got {self.rates}")


@dataclass(frozen=True)
class Trial:
    """What a rate and a number of steps came to, over the seeds of the search."""

    rate: float
    steps: int
    loss: float
    accuracy: float


@dataclass(frozen=True)
class Choice:
    """What was chosen, and out of what.

    Attributes:
        rate: the learning rate.
        steps: how many.
        at_edge: whether the rate has no neighbour on one side that was tried with as many steps:
            only if the grid itself ends there, or nothing was searched.
        trials: all that was tried.
    """

    rate: float
    steps: int
    at_edge: bool
    trials: tuple[Trial, ...]


def search(
    architecture: Architecture,
    task: Task,
    recipe: Recipe,
    budget: Budget,
    *,
    device: str = "cpu",
    checkpoints: Path | None = None,
    progress: Progress | None = None,
    look: Callable[[Trained], None] | None = None,
) -> Choice:
    """The rate and the steps of an architecture on a task.

    Args:
        architecture: which.
        task: what it learns, as its condition has it.
        recipe: how; its steps are those of the least patience.
        budget: what may be tried.
        device: what computes.
        checkpoints: a folder for them.
        progress: told how it goes.
        look: called with the models of each round once they are trained.
    """
    if len(budget.rates) == 1 and len(budget.patience) == 1:
        return Choice(budget.rates[0], recipe.steps * budget.patience[0], True, ())
    progress = progress or silent
    trials: list[Trial] = []
    rates, round_ = list(budget.rates), 0
    for number, patience in enumerate(budget.patience):
        longer = replace(recipe, steps=recipe.steps * patience)
        here: dict[float, Trial] = {}
        while rates:
            trained = training.train_ensemble(
                architecture,
                task,
                longer,
                seeds=[seed for _ in rates for seed in budget.seeds],
                rates=[rate for rate in rates for _ in budget.seeds],
                device=device,
                checkpoint=checkpoints and checkpoints / f"search {round_}",
                progress=part(progress, number, len(budget.patience), f"search {round_}, "),
            )
            round_ += 1
            if look is not None:
                look(trained)
            here |= {trial.rate: trial for trial in _tried(trained, task, longer, budget)}
            rates = _beyond(here)
        trials += here.values()
        best = _best(here.values())
        if best.accuracy >= budget.enough:
            break
        place = GRID.index(best.rate)
        rates = list(GRID[max(0, place - 1) : place + 2])
    best = _best(trials)
    with_as_many = [trial.rate for trial in trials if trial.steps == best.steps]
    at_edge = best.rate in (min(with_as_many), max(with_as_many))
    return Choice(best.rate, best.steps, at_edge, tuple(trials))


def _best(trials: Collection[Trial]) -> Trial:
    return min(trials, key=lambda trial: (trial.loss, trial.rate))


def _beyond(tried: dict[float, Trial]) -> list[float]:
    """The next rate on the grid, if the best so far is at an edge of what was tried."""
    place = GRID.index(_best(tried.values()).rate)
    return [
        GRID[other]
        for other in (place - 1, place + 1)
        if 0 <= other < len(GRID) and GRID[other] not in tried
    ]


def _tried(trained: Trained, task: Task, recipe: Recipe, budget: Budget) -> list[Trial]:
    """A trial for each rate of a round."""
    losses, accuracies = held_out(trained, task, recipe, budget.count)
    steps = recipe.steps
    return [
        Trial(
            rate,
            steps,
            *(
                mean(x for x, of in zip(values, trained.rates, strict=True) if of == rate)
                for values in (losses, accuracies)
            ),
        )
        for rate in dict.fromkeys(trained.rates)
    ]


@torch.no_grad()
def held_out(
    trained: Trained, task: Task, recipe: Recipe, count: int
) -> tuple[list[float], list[float]]:
    """Loss and accuracy of each model on new sequences, drawn as the longest in training.

    What diverged has a loss of infinity.
    """
    n, side, device = recipe.lengths[1], len(trained.seeds), _device_of(trained)
    scores = []
    for end in ranges(recipe):
        # Three numbers: the seeds of training are pairs, and those of what is asked end in 1.
        batch = task.sample((0, n, 2), count, n, max_position=end)
        tokens, targets, where = training.to_tensors(batch, end is not None, device)
        wide = {name: x.expand(side, -1, -1) for name, x in where.items()}
        logits = trained.model(tokens.expand(side, -1, -1), **wide)
        scores.append(training.score(logits, targets.expand(side, -1, -1).contiguous()))
    losses, right = (torch.stack(each).mean(0).tolist() for each in zip(*scores, strict=True))
    return [x if math.isfinite(x) else math.inf for x in losses], right


def ranges(recipe: Recipe) -> list[int | None]:
    """Where positions of the longest sequences in training end; of ranges that vary, some."""
    if not recipe.vary_gaps or recipe.max_position is None:
        return [recipe.max_position]
    n = recipe.lengths[1]
    return [round(n * (recipe.max_position / n) ** (share / 3)) for share in range(4)]


def _device_of(trained: Trained) -> torch.device:
    return next(trained.model.parameters()).device


def finite(value: float) -> float | None:
    """A loss as JSON takes it."""
    return value if math.isfinite(value) else None
