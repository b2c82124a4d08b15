"""Nyström attention: the softmax matrix from a few landmarks, as Nyströmformer has it.

With q̃ and k̃ the means of segments of q and k, σ the softmax of rows and F⁺ a pseudo-inverse by six
steps of an iteration of third order,

    o = σ(q k̃ᵀ/√d) · σ(q̃ k̃ᵀ/√d)⁺ · σ(q̃ kᵀ/√d) · v.

An approximation of dense attention, which is what `visible` holds it to.  The convolution of the
values that the model adds is left out.

Source: Yunyang Xiong and others, "Nyströmformer: A Nyström-Based Algorithm for Approximating
Self-Attention", 2021.
"""

import numpy as np
import torch

CASES = [{"landmarks": 4}]


def visible(n, *, n_k=None):
    return np.ones((n, n if n_k is None else n_k), dtype=bool)


def attend(q, k, v, *, landmarks):
    if not (q.shape[-2] and k.shape[-2]):
        raise ValueError(f"q and k must have tokens, got {tuple(q.shape)} and {tuple(k.shape)}")
    dtype = q.dtype
    q, k, v = (x.to(torch.promote_types(dtype, torch.float32)) for x in (q, k, v))
    few_q, few_k = means(q, landmarks), means(k, landmarks)
    left, middle, right = softmax(q, few_k), softmax(few_q, few_k), softmax(few_q, k)
    return (left @ (pseudo_inverse(middle) @ (right @ v))).to(dtype)


def softmax(q, k):
    return (q @ k.mT * q.shape[-1] ** -0.5).softmax(-1)


def means(x, count):
    parts = x.tensor_split(min(count, x.shape[-2]), dim=-2)
    return torch.stack([part.mean(-2) for part in parts], dim=-2)


def pseudo_inverse(a):
    one = torch.eye(min(a.shape[-2:]), dtype=a.dtype, device=a.device)
    z = a.mT / (a.abs().sum(-2).amax(-1) * a.abs().sum(-1).amax(-1))[..., None, None]
    if a.shape[-1] != a.shape[-2]:
        return torch.linalg.pinv(a)
    for _ in range(6):
        az = a @ z
        z = z @ (13 * one - az @ (15 * one - az @ (7 * one - az))) / 4
    return z
