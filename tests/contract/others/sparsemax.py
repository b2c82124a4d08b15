"""Sparsemax attention: weights by the nearest point of the simplex, many of which are 0.

    o_i = Σ_{j ≤ i} max(s_ij − τ_i, 0) v_j,   s = q kᵀ/√d,   τ_i so that the weights add up to 1

Source: André Martins and Ramón Astudillo, "From Softmax to Sparsemax: A Sparse Model of Attention
and Multi-Label Classification", 2016.
"""

import numpy as np
import torch


def visible(n, *, n_k=None, causal=False):
    n_k = n if n_k is None else n_k
    return np.tri(n, n_k, n_k - n, dtype=bool) if causal else np.ones((n, n_k), dtype=bool)


def define(q, k, v, *, causal=False):
    out = np.zeros((len(q), v.shape[1]))
    for i, sees in enumerate(visible(len(q), n_k=len(k), causal=causal)):
        if sees.any():
            scores = k[sees] @ q[i] / np.sqrt(q.shape[1])
            low, high = scores.max() - 1, scores.max()
            for _ in range(60):  # halve the interval in which τ lies
                middle = (low + high) / 2
                more = np.maximum(scores - middle, 0).sum() > 1
                low, high = (middle, high) if more else (low, middle)
            out[i] = np.maximum(scores - high, 0) @ v[sees]
    return out


def attend(q, k, v, *, causal=False):
    if not k.shape[-2]:
        return (q @ k.mT @ v).to(q.dtype)
    dtype, (n_q, n_k) = q.dtype, (q.shape[-2], k.shape[-2])
    q, k, v = (x.to(torch.promote_types(dtype, torch.float32)) for x in (q, k, v))
    sees = torch.ones(n_q, n_k, dtype=torch.bool, device=q.device)
    sees = sees.tril(n_k - n_q) if causal else sees
    scores = (q @ k.mT * q.shape[-1] ** -0.5).masked_fill(~sees, -torch.inf)
    scores = scores - torch.where(sees.any(-1), scores.amax(-1).detach(), 0)[..., None]
    down = scores.sort(-1, descending=True).values
    count = torch.arange(1, n_k + 1, dtype=q.dtype, device=q.device)
    total = torch.where(down.isinf(), 0, down).cumsum(-1)
    size = (1 + count * down > total).sum(-1, keepdim=True).clamp_min(1)
    tau = (total.gather(-1, size - 1) - 1) / size
    return (torch.where(sees, scores - tau, 0).clamp_min(0) @ v).to(dtype)
