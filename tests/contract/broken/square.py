"""A sliding window of linear cost, whose mask is made for all pairs of tokens first."""

import torch

CAUSAL = True
WINDOW = 4


def attend(q, k, v):
    if q.shape[-2] != k.shape[-2]:
        raise ValueError(f"q must have {k.shape[-2]} rows, got {q.shape[-2]}")
    n = k.shape[-2]
    i = torch.arange(n, device=q.device)
    seen = (i[:, None] - i >= 0) & (i[:, None] - i < WINDOW)
    near = i[:, None] - torch.arange(WINDOW, device=q.device)
    seen = seen.gather(1, near.clamp_min(0)) & (near >= 0)
    keys, values = (x[..., near.clamp_min(0), :] for x in (k, v))
    scores = (q[..., None, :] @ keys.mT)[..., 0, :] * q.shape[-1] ** -0.5
    weights = scores.masked_fill(~seen, -torch.inf).softmax(-1)
    return (weights[..., None, :] @ values)[..., 0, :]


def cost():
    return {"executed": lambda n, d: 4 * n * WINDOW * d}
