"""What models are shown: the sequences of a step, as tensors, and how well they were answered."""

from collections.abc import Sequence

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from attention_limits.tasks import IGNORE, Batch, Task
from attention_limits.training.recipe import Recipe


def draw(task: Task, recipe: Recipe, seeds: Sequence[int], step: int) -> Batch:
    """The sequences of a step, (s, batch, n): those of a seed depend on it and the step alone."""
    n, end = recipe.length(step), recipe.range_of_positions(step)
    own = {
        seed: task.sample((seed, step), recipe.batch, n, max_position=end)
        for seed in dict.fromkeys(seeds)
    }
    batches = [own[seed] for seed in seeds]
    times = [batch.times for batch in batches if batch.times is not None]
    return Batch(
        np.stack([batch.inputs for batch in batches]),
        np.stack([batch.targets for batch in batches]),
        np.stack([batch.positions for batch in batches]),
        np.stack(times) if times else None,
    )


def to_tensors(
    batch: Batch, stretched: bool, device: torch.device
) -> tuple[torch.Tensor, torch.Tensor, dict[str, torch.Tensor]]:
    """Tokens, targets, and where they stand, as a model takes it: positions only if stretched."""
    arrays = {"positions": batch.positions if stretched else None, "times": batch.times}
    where = {name: torch.from_numpy(x).to(device) for name, x in arrays.items() if x is not None}
    tokens, targets = (torch.from_numpy(x).to(device) for x in batch[:2])
    return tokens, targets, where


def score(logits: torch.Tensor, targets: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Each model's loss and accuracy, means over what was asked: (s,) and (s,)."""
    asked = (targets != IGNORE).flatten(1)
    losses = cross_entropy(
        logits.flatten(0, -2), targets.flatten(), ignore_index=IGNORE, reduction="none"
    )
    count = asked.sum(1)
    right = (logits.argmax(-1) == targets).flatten(1) & asked
    return losses.view(asked.shape).sum(1) / count, right.sum(1) / count
