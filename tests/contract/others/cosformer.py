"""cosFormer: rectified features, weighted by a cosine of the distance, in linear time.

    o_i = Σ_{j ≤ i} w_ij v_j / Σ_{j ≤ i} w_ij,   w_ij = relu(q_i)·relu(k_j) cos(π/2 (i − j)/M)

As cos(a − b) = cos a cos b + sin a sin b, a query needs two sums over what came before, whatever
the number of tokens up to M.

Source: Zhen Qin and others, "cosFormer: Rethinking Softmax in Attention", 2022.
"""

import math

import numpy as np
import torch

CAUSAL = True
CASES = [{"max_length": 4096}]


def define(q, k, v, *, max_length):
    i = np.arange(len(k) - len(q), len(k))[:, None]
    distance = i - np.arange(len(k))
    w = np.maximum(q, 0) @ np.maximum(k, 0).T * np.cos(np.pi / 2 * distance / max_length)
    w = np.where(distance >= 0, w, 0)
    total = w.sum(-1, keepdims=True)
    return w @ v / np.where(total == 0, 1, total)


def features(x, positions, max_length):
    angle = (math.pi / 2 / max_length * positions.to(x.dtype))[:, None]
    return torch.cat([x.relu() * angle.cos(), x.relu() * angle.sin()], dim=-1)


def attend(q, k, v, *, max_length):
    if k.shape[-2] > max_length or q.shape[-2] > k.shape[-2]:
        raise ValueError(f"k must have n_q to {max_length} rows, got {k.shape[-2]}")
    dtype, n_q = q.dtype, q.shape[-2]
    q, k, v = (x.to(torch.promote_types(dtype, torch.float32)) for x in (q, k, v))
    positions = torch.arange(k.shape[-2], device=k.device)
    q = features(q, positions[len(positions) - n_q :], max_length)
    k = features(k, positions, max_length)
    sums = (k[..., :, None] * with_one(v)[..., None, :]).cumsum(-3)
    return divided((q[..., None, :] @ sums[..., sums.shape[-3] - n_q :, :, :])[..., 0, :]).to(dtype)


def with_one(v):
    return torch.cat([v, torch.ones_like(v[..., :1])], dim=-1)


def divided(sums):
    total = sums[..., -1:]
    return sums[..., :-1] / torch.where(total == 0, 1, total)


def step(state, q, k, v, *, max_length):
    count, sums = state or (0, 0)
    outputs = []
    for row in range(q.shape[-2]):
        at = torch.tensor([count], device=q.device)
        one_q, one_k = (features(x[..., row : row + 1, :], at, max_length) for x in (q, k))
        sums = sums + one_k.mT * with_one(v[..., row : row + 1, :])
        outputs.append(divided(one_q @ sums))
        count += 1
    return torch.cat(outputs, dim=-2), (count, sums)


def cost():
    return {
        "executed": lambda n, d: 2 * n * 2 * d * (d + 1),
        "held": lambda d, b: 2 * d * (d + 1) * b,
    }
