r"""Dense attention: each query sees every key, or every key up to its own.

.. math::

    o_i = \sum_{j \in V_i} \frac{e^{s_{ij}}}{\sum_{l \in V_i} e^{s_{il}}} \, v_j, \qquad
    s_{ij} = \frac{q_i \cdot k_j}{\sqrt{d}}, \qquad
    V_i = \{\, j : 0 \le j < n \,\}
    \quad\text{or, if causal,}\quad
    V_i = \{\, j : 0 \le j \le i \,\}

A weighted mean of the values, the weights a softmax of the scores.  With fewer queries than keys
the queries are the last ones (bottom-right alignment, as a cache needs it): causal is then
j ≤ i + n_k − n_q.  A ``mask`` takes keys out of every V_i.  Where V_i is empty, o_i = 0.

It needs 4n²d FLOPs, causal 2n(n + 1)d, and holds all 2nd numbers of its keys and values.
The scores themselves, n² of them, need never be held: without a mask, memory is linear in n.
Use it whenever you can afford it.  It is exact, it reaches every token in one layer, and it is
what every other mechanism of this book is measured against.

Source: :cite:t:`vaswani2017attention`.  Taught in: "Attention".
"""

import math
from typing import NamedTuple

import numpy as np
import sympy as sp
import torch
from torch.nn.functional import scaled_dot_product_attention

from attention_limits import symbols
from attention_limits.attention import inputs
from attention_limits.attention.cost import Cost
from attention_limits.formula import Formula


def visible(n: int, *, n_k: int | None = None, causal: bool = False) -> np.ndarray:
    """Who sees whom: (n, n_k) booleans, query i in rows, key j in columns; n_k = n if not given."""
    n_k = n if n_k is None else n_k
    inputs.check_count("n", n)
    inputs.check_count("n_k", n_k)
    i, j = np.ogrid[n_k - n : n_k, :n_k]  # the queries are the last n of n_k positions
    return j <= i if causal else np.full((n, n_k), True)


def define(
    q: np.ndarray,
    k: np.ndarray,
    v: np.ndarray,
    *,
    causal: bool = False,
    mask: np.ndarray | None = None,
    scale: float | None = None,
) -> np.ndarray:
    """The equation above, word for word, on (n, d) arrays; leading axes broadcast."""
    scale = 1 / np.sqrt(q.shape[-1]) if scale is None else scale
    sees = visible(q.shape[-2], n_k=k.shape[-2], causal=causal)
    sees = sees if mask is None else sees & mask

    def one_head(q, k, v, sees):
        o = np.zeros((len(q), v.shape[-1]))
        for i, V in enumerate(sees):
            if V.any():
                s = scale * k[V] @ q[i]
                weights = np.exp(s - s.max())  # the shift cancels; without it, exp overflows
                o[i] = weights / weights.sum() @ v[V]
        return o

    heads = np.vectorize(one_head, [float], signature="(i,d),(j,d),(j,e),(i,j)->(i,e)")
    return heads(q, k, v, sees)


def attend(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    *,
    causal: bool = False,
    mask: torch.Tensor | None = None,
    scale: float | None = None,
) -> torch.Tensor:
    """The same on (..., n, d) tensors, by PyTorch's fused kernels.

    Memory is linear in n where a fused kernel takes the call: no mask, d_v = d and, if causal,
    n_q = n_k.

    What no query may see, padding say, may hold anything, NaN included.  What some query sees must
    be finite: the others give it the weight 0, and 0 · NaN is NaN.

    Args:
        q: queries (..., n_q, d).
        k: keys (..., n_k, d), in the dtype and on the device of ``q``.
        v: values (..., n_k, d_v), likewise.  Leading axes broadcast: grouped heads are queries
            (g, r, n, d) against keys and values (g, 1, n, d).
        causal: whether a query sees only keys up to its own position, the last query's being
            that of the last key.
        mask: booleans that broadcast to (..., n_q, n_k), True = may look.  Joined with ``causal``
            by AND.  Costs memory of the order n_q · n_k.
        scale: what multiplies the inner products; None means d^-1/2.

    Returns:
        (..., n_q, d_v), in the dtype of ``q``.  A query that sees nothing gets 0, and its
        gradients are 0.

    Raises:
        ValueError: naming the argument, if shapes, dtypes or devices do not fit.
    """
    lead = inputs.check(q, k, v, mask=mask)
    n_q, n_k = q.shape[-2], k.shape[-2]
    causal = causal and n_q > 1  # a single query is the last one, which sees all keys
    if mask is None and (n_q == n_k or not causal):
        return _fused(q, k, v, lead, is_causal=causal, scale=scale)
    sees = torch.ones(n_q, n_k, dtype=torch.bool, device=q.device)
    # PyTorch's own is_causal aligns top-left, and excludes a mask.
    sees = sees.tril(n_k - n_q) if causal else sees
    sees = sees if mask is None else sees & mask
    # The row of a query that sees nothing would be 0/0. It looks at everything instead, and
    # `where` then discards both what it sees and its gradient; likewise what nobody sees.
    awake, seen = sees.any(-1)[..., None], sees.any(-2)[..., None]
    q, k, v = torch.where(awake, q, 0), torch.where(seen, k, 0), torch.where(seen, v, 0)
    return torch.where(awake, _fused(q, k, v, lead, attn_mask=sees | ~awake, scale=scale), 0)


def cost(*, causal: bool = False) -> Cost:
    """Causal attention needs about half the FLOPs; the executed square stays a square."""
    n, d, b, i = symbols.n, symbols.d, symbols.b, symbols.i
    pairs = sp.factor(sp.summation(i + 1, (i, 0, n - 1))) if causal else n**2
    return Cost(
        needed=Formula(4 * d * pairs, "FLOPs", "needed by dense attention"),
        executed=Formula(4 * d * n**2, "FLOPs", "executed by dense attention"),
        held=Formula(2 * n * d * b, "bytes", "held by dense attention"),
    )


class Cache(NamedTuple):
    """All keys and values of a stream so far."""

    keys: torch.Tensor
    values: torch.Tensor


def step(
    state: Cache | None,
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    *,
    scale: float | None = None,
) -> tuple[torch.Tensor, Cache]:
    """Causal attention for the next token, or the next few, of a stream.

    Args:
        state: what the last step returned; None starts a stream.
        q: queries of the new tokens only, shaped as for ``attend``.
        k: their keys.
        v: their values.
        scale: as for ``attend``.

    Returns:
        The new tokens' outputs and the state that the next step wants.

    Raises:
        ValueError: naming the argument, if it does not fit the others or the stream.
    """
    if state is not None:
        inputs.check_continues("k", k, state.keys)
        inputs.check_continues("v", v, state.values)
        k, v = torch.cat([state.keys, k], dim=-2), torch.cat([state.values, v], dim=-2)
    return attend(q, k, v, causal=True, scale=scale), Cache(k, v)


def _fused(q, k, v, lead, *, attn_mask=None, **options) -> torch.Tensor:
    """One call of PyTorch's kernels, of which the fused ones want exactly two leading axes.

    The last leading axis is never merged, so the keys of grouped heads are expanded, not copied.
    """
    two = (math.prod(lead[:-1]), math.prod(lead[-1:]))

    def four_axes(x: torch.Tensor) -> torch.Tensor:
        return x.expand(*lead, *x.shape[-2:]).reshape(*two, *x.shape[-2:])

    if attn_mask is not None:
        attn_mask = four_axes(attn_mask)
    out = scaled_dot_product_attention(*map(four_axes, (q, k, v)), attn_mask=attn_mask, **options)
    return out.reshape(*lead, *out.shape[-2:])
