"""How trained models do on sequences that they have not trained on."""

from typing import Any

import numpy as np
import torch

from attention_limits.checks import check_count
from attention_limits.tasks import IGNORE, Task
from attention_limits.training.data import to_tensors
from attention_limits.training.trained import Trained

ROOM = 2**22  # scores of a head, of all models and sequences that are evaluated at once


@torch.no_grad()
def evaluate(
    trained: Trained,
    task: Task,
    n: int,
    *,
    count: int = 500,
    seed: int = 0,
    max_position: int | None = None,
    positions: np.ndarray | None = None,
) -> list[dict[str, Any]]:
    """How models do on sequences that they have not trained on, the same sequences for all of them.

    Args:
        trained: the models.
        task: what to ask; its parameters may be others than those that were learned.
        n: how long the sequences are.
        count: how many.
        seed: of the sequences.
        max_position: where positions are drawn from: see ``tasks``.
        positions: (count, n) integers, where each token stands, instead of what is drawn.

    Returns:
        A row a model: its number, n, ``accuracy`` over all that is asked, and ``last``, over the
        last answer of each sequence, which alone has all of it before it.
    """
    device = next(trained.model.parameters()).device
    n, count = check_count("n", n, least=1), check_count("count", count, least=1)
    drawn = (check_count("seed", seed), n, 1)  # the seeds of training are pairs
    batch = task.sample(drawn, count, n, max_position=max_position)
    stretched = max_position is not None
    if positions is not None:
        batch, stretched = batch._replace(positions=positions), True
    tokens, targets, where = to_tensors(batch, stretched, device)
    side = len(trained.seeds)
    hits = []
    for rows in torch.arange(count).split(max(1, ROOM // (side * n * n))):
        given = {name: x[rows].expand(side, -1, -1) for name, x in where.items()}
        logits = trained.model(tokens[rows].expand(side, -1, -1), **given)
        hits.append(logits.argmax(-1) == targets[rows])
    right = torch.cat(hits, dim=1)
    asked = targets != IGNORE
    last = asked & (asked.cumsum(-1) == asked.sum(-1, keepdim=True))
    all_of_them, at_the_end = (
        [count / among.sum().item() for count in (right & among).sum((1, 2)).tolist()]
        for among in (asked, last)
    )
    return [
        {"model": number, "n": n, "accuracy": all_of_them[number], "last": at_the_end[number]}
        for number in range(side)
    ]
