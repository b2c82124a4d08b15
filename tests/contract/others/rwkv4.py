"""The wkv operator of RWKV-4: a mean of values that fades with time, a rate for each channel.

    o_t = σ(q_t) ⊙ (Σ_{j<t} e^{−(t−1−j)w + k_j} v_j + e^{u + k_t} v_t) / (the same without v)

The receptance that the paper calls r is q here, and gates the output.  All is channel by channel,
so that values are as wide as keys, and there are no matrix products.

Source: Bo Peng and others, "RWKV: Reinventing RNNs for the Transformer Era", 2023.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch.nn.functional import softplus

CAUSAL = True


def inputs(q, k, v, generator):
    """What is learned, for each channel: how fast the past fades, and a bonus for the present."""
    noise = torch.randn(2, k.shape[-1], generator=generator, dtype=k.dtype)
    return {"w": softplus(noise[0]), "u": noise[1]}


def define(q, k, v, w, u):
    out = np.zeros((len(q), v.shape[1]))
    shift = len(k) - len(q)
    for i in range(len(q)):
        t = i + shift
        age = t - 1 - np.arange(t + 1)[:, None]
        exponents = np.where(age >= 0, k[: t + 1] - age * w, k[: t + 1] + u)
        weights = np.exp(exponents - exponents.max(0))
        out[i] = (weights * v[: t + 1]).sum(0) / weights.sum(0) / (1 + np.exp(-q[i]))
    return out


class State(NamedTuple):
    """Both sums, divided by e to the power of the largest exponent so far."""

    top: torch.Tensor
    bottom: torch.Tensor
    largest: torch.Tensor


def attend(q, k, v, w, u):
    if q.shape[-2] > k.shape[-2] or v.shape[-1] != k.shape[-1]:
        raise ValueError("k must have the width of v, and a row for each query, got others")
    out, _ = scan(None, k, v, w, u)
    gate = q.to(out.dtype).sigmoid()
    return (gate * out[..., k.shape[-2] - q.shape[-2] :, :]).to(q.dtype)


def step(state, q, k, v, w, u):
    out, state = scan(state, k, v, w, u)
    return (q.to(out.dtype).sigmoid() * out).to(q.dtype), state


def scan(state, k, v, w, u):
    k, v, w, u = (x.to(torch.promote_types(x.dtype, torch.float32)) for x in (k, v, w, u))
    lead = torch.broadcast_shapes(k.shape[:-2], v.shape[:-2])
    if state is None:
        nothing = k.new_zeros(*lead, k.shape[-1])
        state = State(nothing, nothing, torch.full_like(nothing, -torch.inf))
    top, bottom, largest = state
    outputs = [v.new_zeros(*lead, 0, v.shape[-1])]
    for key, value in zip(k.unbind(-2), v.unbind(-2), strict=True):
        most = torch.maximum(largest, key + u)
        past, now = (largest - most).exp(), (key + u - most).exp()
        outputs.append(((past * top + now * value) / (past * bottom + now))[..., None, :])
        most = torch.maximum(largest - w, key)
        past, now = (largest - w - most).exp(), (key - most).exp()
        top, bottom, largest = past * top + now * value, past * bottom + now, most
    return torch.cat(outputs, dim=-2), State(top, bottom, largest)


def cost():
    return {"held": lambda d, b: 3 * d * b}
