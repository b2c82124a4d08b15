"""Models shared out among processes, one a core."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from attention_limits import devices, models
from attention_limits.checks import check_count, check_counts
from attention_limits.models import Architecture
from attention_limits.progress import Progress
from attention_limits.tasks import Task
from attention_limits.training import checkpoints
from attention_limits.training.loop import one_each, train
from attention_limits.training.processes import cores, in_processes
from attention_limits.training.recipe import Recipe
from attention_limits.training.trained import Trained


def train_ensemble(
    architecture: Architecture,
    task: Task,
    recipe: Recipe = Recipe(),
    *,
    seeds: Sequence[int] = (0,),
    rates: float | Sequence[float] = 1e-3,
    device: str | torch.device = "cpu",
    checkpoint: str | Path | None = None,
    every: int = 100,
    progress: Progress | None = None,
    workers: int | None = None,
) -> Trained:
    """``train``, with the models shared out among processes of one thread, one a core.

    Threads within a small product would wait for each other most of the time.  The processes stay
    for the next call.  An accelerator gets all models at once, and no processes.  How models are
    shared out changes nothing but the order in which a product sums.

    Each process imports the script that calls this: in a script, call it under
    ``if __name__ == "__main__":``.

    Args:
        architecture: as for ``train``, like all up to ``progress``; ``checkpoint`` names the first
            part of each process's file.
        workers: how many processes; None for one a core, as far as there are models.

    Raises:
        ValueError: as ``train``.
    """
    device, kept = devices.choose(str(device)), checkpoints.place(checkpoint)
    seeds = check_counts("seeds", seeds)
    rates = one_each(rates, seeds)
    every = check_count("every", every, least=1)
    if workers is None:
        workers = cores() if device.type == "cpu" else 1
    workers = min(check_count("workers", workers, least=1), len(seeds))
    common = {"architecture": architecture, "task": task, "recipe": recipe, "every": every}
    shares = np.array_split(np.arange(len(seeds)), workers)
    jobs: list[dict[str, Any]] = [
        {
            **common,
            "seeds": [seeds[number] for number in share],
            "rates": [rates[number] for number in share],
            "device": str(device),
            "checkpoint": kept and kept.with_name(f"{kept.name}.{number}-of-{workers}"),
        }
        for number, share in enumerate(shares)
    ]
    if workers == 1:
        return train(**jobs[0], progress=progress)
    parts = in_processes(jobs, progress)
    with torch.inference_mode(False):  # in which weights could not be trained on
        return _joined(parts, architecture, task, seeds, rates)


def _joined(
    parts: list[tuple],
    architecture: Architecture,
    task: Task,
    seeds: tuple[int, ...],
    rates: tuple[float, ...],
) -> Trained:
    """All models as one, in the order of their seeds."""
    model = models.build(
        architecture, vocabulary=task.vocabulary, classes=task.classes, seeds=seeds
    )
    weights, histories, ended, steps = zip(*parts, strict=True)
    with torch.no_grad():
        for name, w in model.named_parameters():
            w.copy_(torch.from_numpy(np.concatenate([part[name] for part in weights])))
    history, first = [], 0
    for rows, ends in zip(histories, ended, strict=True):
        history += [{**row, "model": row["model"] + first} for row in rows]
        first += len(ends)
    history.sort(key=lambda row: (row["step"], row["model"]))
    return Trained(model, seeds, rates, history, sum(ended, ()), sum(steps, ()))
