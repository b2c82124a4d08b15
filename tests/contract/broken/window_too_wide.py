"""A window that sees one key more than it says: ≤ for <."""

import numpy as np
import torch

CASES = [{"window": 3}]


def visible(n, *, n_k=None, window):
    i, j = np.ogrid[(n_k or n) - n : n_k or n, : n_k or n]
    return (i - j >= 0) & (i - j < window)


def attend(q, k, v, *, window):
    i = torch.arange(q.shape[-2], device=q.device)[:, None] + k.shape[-2] - q.shape[-2]
    distance = i - torch.arange(k.shape[-2], device=q.device)
    scores = q @ k.mT * q.shape[-1] ** -0.5
    seen = (distance >= 0) & (distance <= window)
    return scores.masked_fill(~seen, -torch.inf).softmax(-1).nan_to_num() @ v
