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

import itertools
import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from statistics import mean

import torch

from attention_limits import training
from attention_limits.checks import Plain
from attention_limits.experiments import grid
from attention_limits.models import Architecture
from attention_limits.progress import Progress, part, silent
from attention_limits.tasks import Task
from attention_limits.training import Recipe, Trained

# All rates that there are; a budget says where a search begins.
GRID = (1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1, 1.0, 3.0, 10.0)


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


class Config(grid.Config):
    """What a run depends on that searches: as ``grid.Config``, with a budget.

    It is a field of each experiment and none of this class, since a record has the fields in order.

    Raises:
        ValueError: if one of the seeds serves to choose, too.
    """

    budget: Budget

    def __post_init__(self) -> None:
        super().__post_init__()
        if shared := set(self.seeds) & set(self.budget.seeds):
            raise ValueError(f"seeds must be others than those of the search, got {shared}")


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
    rates, rounds = budget.rates, itertools.count()
    for number, patience in enumerate(budget.patience):
        longer = replace(recipe, steps=recipe.steps * patience)

        def tried(rates: Sequence[float], longer=longer, number=number) -> list[Trial]:
            this = f"search {next(rounds)}"
            trained = training.train_ensemble(
                architecture,
                task,
                longer,
                seeds=[seed for _ in rates for seed in budget.seeds],
                rates=[rate for rate in rates for _ in budget.seeds],
                device=device,
                checkpoint=checkpoints and checkpoints / this,
                progress=part(progress, number, len(budget.patience), f"{this}, "),
            )
            if look is not None:
                look(trained)
            return compared(trained, task, longer, budget.count)

        here = bracketed(rates, tried)
        trials += here
        if best(here).accuracy >= budget.enough:
            break
        place = GRID.index(best(here).rate)
        rates = GRID[max(0, place - 1) : place + 2]
    return chosen(trials)


def bracketed(
    rates: Sequence[float], tried: Callable[[Sequence[float]], list[Trial]]
) -> list[Trial]:
    """Rates are tried, and one more beyond the edge as long as the best is at it."""
    here: list[Trial] = []
    while rates:
        here += tried(rates)
        known, place = {trial.rate for trial in here}, GRID.index(best(here).rate)
        beyond = [other for other in (place - 1, place + 1) if 0 <= other < len(GRID)]
        rates = [GRID[other] for other in beyond if GRID[other] not in known]
    return here


def best(trials: Collection[Trial]) -> Trial:
    """The least loss; of equals, the smallest rate."""
    return min(trials, key=lambda trial: (trial.loss, trial.rate))


def chosen(trials: Collection[Trial]) -> Choice:
    """The best of all trials, and whether a neighbour of its rate is missing."""
    found = best(trials)
    as_long = [trial.rate for trial in trials if trial.steps == found.steps]
    at_edge = found.rate in (min(as_long), max(as_long))
    return Choice(found.rate, found.steps, at_edge, tuple(trials))


def train(
    architecture: Architecture,
    task: Task,
    recipe: Recipe,
    config: Config,
    checkpoints: Path | None,
    progress: Progress,
    look: Callable[[Trained], None] | None = None,
) -> tuple[Choice, Trained]:
    """What ``search`` chooses, and models of it on the config's seeds; all else as there."""
    choice = search(
        architecture,
        task,
        recipe,
        config.budget,
        device=config.device,
        checkpoints=checkpoints,
        progress=part(progress, 0, 2),
        look=look,
    )
    trained = training.train_ensemble(
        architecture,
        task,
        replace(recipe, steps=choice.steps),
        seeds=config.seeds,
        rates=choice.rate,
        device=config.device,
        checkpoint=checkpoints and checkpoints / "models",
        progress=part(progress, 1, 2, "tested, "),
    )
    return choice, trained


def compared(trained: Trained, task: Task, recipe: Recipe, count: int) -> list[Trial]:
    """A trial for each rate of models that were trained."""
    losses, accuracies = held_out(trained, task, recipe, count)
    trials = []
    for rate in dict.fromkeys(trained.rates):
        of_rate = [number for number, other in enumerate(trained.rates) if other == rate]
        means = (mean(values[number] for number in of_rate) for values in (losses, accuracies))
        trials.append(Trial(rate, recipe.steps, *means))
    return trials


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


def losses(trained: Trained, task: Task, recipe: Recipe, count: int) -> list[float | None]:
    """Those of ``held_out``, as JSON takes them."""
    return [x if math.isfinite(x) else None for x in held_out(trained, task, recipe, count)[0]]
