"""Linformer: as many keys and values as there are rows in two projections of the sequence.

    o = σ(q (Eᵀ k)ᵀ/√d) Fᵀ v,   E and F of n_k rows and r columns

A row of E goes with each token, which sums over all of them: nothing here can be causal.

Source: Sinong Wang and others, "Linformer: Self-Attention with Linear Complexity", 2020.
"""

import numpy as np
import torch

RANK = 4


def inputs(q, k, v, generator):
    noise = torch.randn(2, k.shape[-2], RANK, generator=generator, dtype=k.dtype)
    return {"E": noise[0], "F": noise[1]}


def define(q, k, v, E, F):
    scores = q @ (E.T @ k).T / np.sqrt(q.shape[-1])
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    return weights / weights.sum(-1, keepdims=True) @ (F.T @ v)


def attend(q, k, v, E, F):
    dtype = q.dtype
    q, k, v, E, F = (x.to(torch.promote_types(dtype, torch.float32)) for x in (q, k, v, E, F))
    scores = q @ (E.mT @ k).mT * q.shape[-1] ** -0.5
    return (scores.softmax(-1) @ (F.mT @ v)).to(dtype)


def cost():
    return {"executed": lambda n, d: 8 * n * RANK * d}
