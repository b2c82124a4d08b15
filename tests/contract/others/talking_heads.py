"""Talking-heads attention: heads mix their scores before the softmax, and their weights after it.

    o^h = Σ_g A_hg σ(Σ_f B_gf q^f k^fᵀ/√d) v^h

Source: Noam Shazeer and others, "Talking-Heads Attention", 2020.
"""

import numpy as np
import torch


def inputs(q, k, v, generator):
    """The two mixtures, each a square of heads."""
    heads = q.shape[-3] if q.ndim > 2 else 1
    noise = torch.randn(2, heads, heads, generator=generator, dtype=q.dtype)
    return {"before": noise[0], "after": noise[1]}


def define(q, k, v, before, after):
    scores = np.einsum("...fid,...fjd->...fij", *np.broadcast_arrays(q, q)[:1], widened(k, q))
    scores = np.einsum("gf,...fij->...gij", before, scores / np.sqrt(q.shape[-1]))
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    weights = np.einsum("hg,...gij->...hij", after, weights / weights.sum(-1, keepdims=True))
    return np.einsum("...hij,...hjd->...hid", weights, widened(v, q))


def widened(x, q):
    return np.broadcast_to(x, (*q.shape[:-2], *x.shape[-2:]))


def attend(q, k, v, before, after):
    if q.ndim < 3 or q.shape[-3] != len(before):
        raise ValueError(f"q must have {len(before)} heads, (..., h, n, d), got {tuple(q.shape)}")
    dtype = q.dtype
    q, k, v, before, after = (
        x.to(torch.promote_types(dtype, torch.float32)) for x in (q, k, v, before, after)
    )
    scores = q @ k.mT * q.shape[-1] ** -0.5
    weights = mixed(before, scores).softmax(-1)
    return (mixed(after, weights) @ v).to(dtype)


def mixed(matrix, squares):
    """Sums over heads; the products of each pair of tokens are one of matrices."""
    return (matrix @ squares.flatten(-2)).unflatten(-1, squares.shape[-2:])
