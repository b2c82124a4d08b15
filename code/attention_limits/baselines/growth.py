"""How a product of Jacobians grows, factor by factor."""

import math

import torch

from attention_limits.attention.transforms import one_call


@one_call
def log_growth(states: torch.Tensor, w_h: torch.Tensor, start: torch.Tensor) -> torch.Tensor:
    """The logarithm of the norm of the first J, the first two, …, over √d: (..., n, 1).

    Args:
        states: those that the Jacobians are taken at, (..., n, d), in the order of the factors.
        w_h: weights of the states (d, d).
        start: what the logarithms are counted from, (..., 1, 1).
    """
    d = w_h.shape[-1]
    product = torch.eye(d, dtype=w_h.dtype, device=w_h.device) / math.sqrt(d)
    logs = [start]
    for state in states.unbind(-2):
        product = product @ ((1 - state**2).unsqueeze(-1) * w_h)
        growth = torch.linalg.matrix_norm(product)[..., None, None]
        logs.append(logs[-1] + growth.log())
        # To norm 1, or hundreds of factors would leave the range of floating-point numbers.
        product = product / growth.clamp_min(torch.finfo(w_h.dtype).tiny)
    return torch.cat(logs, dim=-2)[..., 1:, :]
