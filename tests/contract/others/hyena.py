"""A Hyena operator of order 2: a long convolution between two gates, by Fourier transforms.

    o_i = q_i ⊙ Σ_{j ≤ i} h_{i−j} ⊙ k_j ⊙ v_j

The filter h has a row for each distance; the paper makes it by a small network of the position,
which is left to the model here.

Source: Michael Poli and others, "Hyena Hierarchy: Towards Larger Convolutional Language Models",
2023.
"""

import numpy as np
import torch

CAUSAL = True


def inputs(q, k, v, generator):
    """A filter that fades, of a length of its own."""
    fading = torch.exp(-torch.arange(64, dtype=k.dtype) / 8)[:, None]
    return {"h": fading * torch.randn(64, k.shape[-1], generator=generator, dtype=k.dtype)}


def define(q, k, v, h):
    out = np.zeros_like(v)
    for i in range(len(k)):
        for j in range(max(0, i - len(h) + 1), i + 1):
            out[i] += h[i - j] * k[j] * v[j]
    return q * out


def attend(q, k, v, h):
    if not q.shape[-2:] == k.shape[-2:] == v.shape[-2:]:
        raise ValueError(f"q, k and v must be alike, got {q.shape}, {k.shape}, {v.shape}")
    if not k.numel():
        return q * v
    dtype = torch.promote_types(q.dtype, torch.float32)
    long = k.shape[-2] + len(h)
    x, filters = (torch.fft.rfft(y, n=long, dim=-2) for y in ((k.to(dtype) * v), h.to(dtype)))
    found = torch.fft.irfft(x * filters, n=long, dim=-2)[..., : k.shape[-2], :]
    return (q * found).to(q.dtype)
