"""Every model gets its learning rate by the same small budget, and is then trained on other seeds.

A model that does worse may have had the wrong learning rate. So each architecture tries the same
rates on each task, on seeds that are used for nothing else, with as many steps as it gets later;
the rate with the best accuracy is its own.
"""

from collections.abc import Sequence
from pathlib import Path
from statistics import mean
from typing import Any

from attention_limits import training
from attention_limits.models import Architecture
from attention_limits.progress import Progress, part, silent
from attention_limits.tasks import Task
from attention_limits.training import Recipe, Trained

RATES = (1e-3, 3e-3, 1e-2)
SEEDS = (1000, 1001)  # of the models that try them
COUNT = 200  # by which rates are compared


def train(
    architecture: Architecture,
    task: Task,
    recipe: Recipe,
    *,
    seeds: Sequence[int],
    device: str = "cpu",
    rates: Sequence[float] = RATES,
    checkpoints: Path | None = None,
    progress: Progress | None = None,
) -> Trained:
    """Models on these seeds, at the learning rate that does best on ``SEEDS``.

    Args:
        architecture: of the models.
        task: what they learn, at the lengths of the recipe; rates are compared at the longest.
        recipe: how.
        seeds: none of those of the trial.
        device: what computes.
        rates: what is tried; a single one is taken as it is.
        checkpoints: a folder for both trainings.
        progress: told how it goes.

    Raises:
        ValueError: naming ``seeds`` if one was already used to choose, or as ``training.train``.
    """
    progress = progress or silent
    if set(seeds) & set(SEEDS):
        raise ValueError(f"seeds must be others than {SEEDS}, which chose the rate, got {seeds}")
    given: dict[str, Any] = {"architecture": architecture, "task": task, "recipe": recipe}
    given["device"] = device
    rate = rates[0]
    if len(rates) > 1:
        trial = training.train_ensemble(
            **given,
            seeds=[seed for _ in rates for seed in SEEDS],
            rates=[rate for rate in rates for _ in SEEDS],
            checkpoint=checkpoints and checkpoints / "trial",
            progress=part(progress, 0, 2, "rates, "),
        )
        rate = best_rate(trial, task, recipe)
    return training.train_ensemble(
        **given,
        seeds=seeds,
        rates=rate,
        checkpoint=checkpoints and checkpoints / "models",
        progress=part(progress, 1, 2),
    )


def best_rate(trial: Trained, task: Task, recipe: Recipe) -> float:
    """The rate with the best mean accuracy on new sequences; of equals, the smallest."""
    rows = training.evaluate(trial, task, recipe.lengths[1], count=COUNT, seed=SEEDS[0])
    found: dict[float, list[float]] = {}
    for row in rows:
        found.setdefault(trial.rates[row["model"]], []).append(row["accuracy"])
    return max(sorted(found), key=lambda rate: mean(found[rate]))
