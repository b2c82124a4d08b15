r"""Squared scores: the weight of a key is the square of its inner product with the query.

.. math::

    o_i = \frac{\sum_{j \le i} (q_i \cdot k_j)^2 \, v_j}{\sum_{j \le i} (q_i \cdot k_j)^2}

Source: a small mechanism to begin with; put yours in its place.
"""

from typing import NamedTuple

import numpy as np
import torch

from attention_limits import symbols
from attention_limits.attention.cost import Cost
from attention_limits.formula import Formula

CAUSAL = True  # no output depends on a later token, which is checked


def visible(n: int, *, n_k: int | None = None) -> np.ndarray:
    """Who sees whom: a query in each row, the last n of n_k tokens; a key in each column."""
    n_k = n if n_k is None else n_k
    return np.tri(n, n_k, n_k - n, dtype=bool)


def define(q: np.ndarray, k: np.ndarray, v: np.ndarray) -> np.ndarray:
    """The equation above in NumPy, on (n, d) arrays, as slow and as plain as it needs to be."""
    out = np.zeros((len(q), v.shape[1]))
    for i, sees in enumerate(visible(len(q), n_k=len(k))):
        weights = (k[sees] @ q[i]) ** 2
        if weights.sum() > 0:
            out[i] = weights @ v[sees] / weights.sum()
    return out


def attend(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """The same on (..., n, d) tensors of any device and dtype, differentiable."""
    dtype = q.dtype
    # Half precision is summed up in float32, or digits are lost.
    q, k, v = (x.to(torch.promote_types(dtype, torch.float32)) for x in (q, k, v))
    n_q, n_k = q.shape[-2], k.shape[-2]
    sees = torch.ones(n_q, n_k, dtype=torch.bool, device=q.device).tril(n_k - n_q)
    weights = (q @ k.mT).square() * sees
    total = weights.sum(-1, keepdim=True)
    # Who sees nothing gets 0, and no 0/0.
    return (weights @ v / torch.where(total == 0, 1, total)).to(dtype)


def cost() -> Cost:
    """For one head: FLOPs that the equation needs, and that `attend` runs; bytes of a state."""
    n, d, b = symbols.n, symbols.d, symbols.b
    return Cost(
        needed=Formula(2 * d * n * (n + 1), "FLOPs", "needed by squared scores"),
        executed=Formula(4 * d * n**2, "FLOPs", "executed by squared scores"),
        held=Formula(2 * n * d * b, "bytes", "held by squared scores"),
    )


class Cache(NamedTuple):
    """The keys and values of a stream so far."""

    keys: torch.Tensor
    values: torch.Tensor


def step(
    state: Cache | None, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor
) -> tuple[torch.Tensor, Cache]:
    """The next token of a stream, or the next few; None starts one."""
    # Copies: a state must not change when the caller writes into what she handed over.
    held = Cache(k.clone(), v.clone()) if state is None else Cache(*map(_join, state, (k, v)))
    return attend(q, *held), held


def _join(old: torch.Tensor, new: torch.Tensor) -> torch.Tensor:
    return torch.cat([old, new], dim=-2)
