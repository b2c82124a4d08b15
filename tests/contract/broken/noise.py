"""Noise that is drawn anew in each call."""

import torch

CAUSAL = True


def attend(q, k, v):
    weights = (q @ k.mT).square().tril(k.shape[-2] - q.shape[-2])
    noise = 1 + 0.1 * torch.rand((), dtype=q.dtype, device=q.device)
    return noise * (weights / weights.sum(-1, keepdim=True).clamp_min(1e-30)) @ v
