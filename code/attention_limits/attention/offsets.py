r"""Attention at offsets: each query sees the keys at a few fixed distances, near ones and far ones.

.. math::

    o_i = \sum_{j \in V_i} \frac{e^{s_{ij}}}{\sum_{l \in V_i} e^{s_{il}}} \, v_j, \qquad
    s_{ij} = \frac{q_i \cdot k_j}{\sqrt{d}}, \qquad
    V_i = \{\, j : i - j \in \Delta,\ 0 \le j < n \,\}

Δ is a set of integers: 0 is the query's own key, a negative offset looks ahead.  With n_q ≠ n_k,
i counts from n_k − n_q (bottom-right alignment).  An offset beyond the sequence sees nothing, and
where V_i is empty, o_i = 0.

It needs 4d Σ max(0, n − |δ|) FLOPs, the sum over Δ, and executes no others.  The backward pass,
which computes the scores again, needs 3.5 times as many.  Memory is linear in n and, but for a
tile, the same for any Δ; a stream holds the last max Δ keys and values.

With {0, 1, 2, 4, …} below n, a power of two, that is 4d(n log₂n + 1) FLOPs, and a token at distance
D is as many layers away as D has ones in binary.  With {0, 2^l} in layer l, two keys a query do:
n tokens are reached in log₂n layers, each by one path.

The price is what lies between: with powers of two, a query does not see the key at distance 3,
and what comes from there through another layer comes mixed with what that layer let in.  Use it
where you know the distances that matter, such as the seasons of a time series.

Source: :cite:t:`li2019enhancing` for powers of two, :cite:t:`child2019generating` for strides,
:cite:t:`capps2026fibonacci` for Fibonacci numbers.  Taught in: "Future directions".
"""

import math
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import sympy as sp
import torch

from attention_limits import checks, symbols, tensors
from attention_limits.attention import dense, packed
from attention_limits.attention.cost import Cost
from attention_limits.attention.options import distinct_offsets
from attention_limits.attention.packed import Segments
from attention_limits.attention.transforms import ByHand, one_call
from attention_limits.formula import Formula

# What `help` shows, and first of all functions: states are looked up where they are returned.
__all__ = [
    "PAIRS",
    "ROWS",
    "attend",
    "butterfly",
    "cost",
    "define",
    "fibonacci",
    "powers_of_two",
    "step",
    "visible",
]

PAIRS = 8192  # of a query and a key in a tile, over all heads: these keys and values stay in cache
ROWS = 128  # at most so many queries in a tile, however few keys each of them sees


def powers_of_two(n: int) -> tuple[int, ...]:
    """Offsets 0, 1, 2, 4, 8, … below n."""
    n = checks.check_count("n", n, least=1)
    return (0, *(2**layer for layer in range((n - 1).bit_length())))


def fibonacci(n: int) -> tuple[int, ...]:
    """Offsets 0, 1, 2, 3, 5, 8, … below n."""
    n = checks.check_count("n", n, least=1)
    offsets, following = [0], (1, 2)
    while following[0] < n:
        offsets.append(following[0])
        following = following[1], sum(following)
    return tuple(offsets)


def butterfly(layer: int) -> tuple[int, ...]:
    """Offsets 0 and 2^layer, for the layers 0, 1, 2, … of one model."""
    layer = checks.check_count("layer", layer)
    return (0, 2**layer)


def visible(
    n: int, *, n_k: int | None = None, offsets: Iterable[int], causal: bool = False
) -> np.ndarray:
    """Who sees whom: (n, n_k) booleans, query i in rows, key j in columns; n_k = n if not given."""
    n_k = n if n_k is None else n_k
    n = checks.check_count("n", n)
    n_k = checks.check_count("n_k", n_k)
    i, j = np.ogrid[n_k - n : n_k, :n_k]  # the queries are the last n of n_k positions
    return np.isin(i - j, distinct_offsets(offsets, causal))


def define(
    q: np.ndarray,
    k: np.ndarray,
    v: np.ndarray,
    *,
    offsets: Iterable[int],
    causal: bool = False,
    mask: np.ndarray | None = None,
    scale: float | np.ndarray | None = None,
) -> np.ndarray:
    """The equation above on (n, d) arrays: dense attention's, over the V_i that are left."""
    sees = visible(q.shape[-2], n_k=k.shape[-2], offsets=offsets, causal=causal)
    return dense.define(q, k, v, mask=sees if mask is None else sees & mask, scale=scale)


@tensors.own_precision
def attend(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    *,
    offsets: Iterable[int],
    causal: bool = False,
    mask: torch.Tensor | None = None,
    scale: float | torch.Tensor | None = None,
    segments: Segments | None = None,
) -> torch.Tensor:
    """The same on (..., n, d) tensors, tile by tile, in memory linear in n.

    Differentiable twice.  Half precision is computed in float32.  What a query does not see may
    hold anything, NaN included.

    Args:
        q: queries (..., n_q, d).
        k: keys (..., n_k, d), in the dtype and on the device of ``q``.
        v: values (..., n_k, d_v), likewise.  Leading axes broadcast, as for ``dense.attend``.
        offsets: how far back the keys lie that a query sees, each counted once.
        causal: a promise that no offset is negative, which is then checked.
        mask: booleans that broadcast to (..., n_q, n_k), True = may look.  Joined with the offsets
            by AND.  Only the entries at an offset are read: one row for all queries stays one row.
        scale: what multiplies the inner products, a number or a tensor that broadcasts to
            (..., n_q, 1), such as (h, 1, 1); None means d^-1/2.
        segments: where packed sequences are: see ``attention_limits.attention.packed``.

    Returns:
        (..., n_q, d_v), in the dtype of ``q``.  A query that sees nothing gets 0, and its
        gradients are 0.

    Raises:
        ValueError: naming the argument, if shapes, dtypes or devices do not fit, if there is no
            offset or one that is no integer or, if ``causal``, is negative.
    """
    lead = tensors.check(q, k, v, mask=mask)
    offsets = distinct_offsets(offsets, causal)
    dtype = q.dtype
    q, factor = tensors.folded(q, scale, lead)
    segments = packed.given(segments, lead, k.shape[-2])
    return _computed(q, k, v, mask, factor, offsets, segments).to(dtype)


def cost(*, offsets: Iterable[int], causal: bool = False) -> Cost:
    """Offset δ makes n − |δ| pairs; the executed ones are these, and no other."""
    n, d, b, distinct = symbols.n, symbols.d, symbols.b, distinct_offsets(offsets, causal)
    flops = 4 * d * sum(sp.Max(0, n - abs(x)) for x in distinct)
    held = n if distinct[0] < 0 else sp.Min(n, distinct[-1])
    return Cost(
        needed=Formula(flops, "FLOPs", "needed by attention at offsets"),
        executed=Formula(flops, "FLOPs", "executed by attention at offsets"),
        held=Formula(2 * held * d * b, "bytes", "held by attention at offsets"),
    )


class Recent(NamedTuple):
    """The last keys and values of a stream, as many as its largest offset."""

    keys: torch.Tensor
    values: torch.Tensor


@tensors.own_precision
def step(
    state: Recent | None,
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    *,
    offsets: Iterable[int],
    scale: float | torch.Tensor | None = None,
) -> tuple[torch.Tensor, Recent]:
    """Attention at offsets for the next token, or the next few, of a stream.

    Args:
        state: what the last step returned; None starts a stream.
        q: queries of the new tokens only, shaped as for ``attend``.
        k: their keys.
        v: their values.
        offsets: as for ``attend``, none of them negative, and the same in every step.
        scale: as for ``attend``.

    Returns:
        The new tokens' outputs and the state that the next step wants.

    Raises:
        ValueError: naming the argument, if it does not fit the others or the stream.
    """
    offsets = distinct_offsets(offsets, causal=True)
    tensors.check(q, k, v)
    tensors.check_stream(q, k)
    if state is not None:
        tensors.check_continues("k", k, state.keys)
        tensors.check_continues("v", v, state.values)
        k, v = torch.cat([state.keys, k], dim=-2), torch.cat([state.values, v], dim=-2)
    out = attend(q, k, v, offsets=offsets, scale=scale)
    gone = max(0, k.shape[-2] - offsets[-1])
    # A view would keep alive what is gone.
    return out, Recent(*(x[..., gone:, :].clone() for x in (k, v)))


@one_call
def _computed(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    mask: torch.Tensor | None,
    scale: float,
    offsets: list[int],
    segments: torch.Tensor | None,
) -> torch.Tensor:
    def compute(q, k, v, mask):
        if mask is not None:  # a view, which takes no memory
            mask = mask.expand(torch.broadcast_shapes(mask.shape, (q.shape[-2], k.shape[-2])))
        dtype, wide = v.dtype, torch.promote_types(q.dtype, torch.float32)
        lead = torch.broadcast_shapes(*(x.shape[:-2] for x in (q, k, v)))
        # Of what is not contiguous, index_select copies everything, and would do so for each tile.
        q, k, v = (x.to(wide).expand(*lead, *x.shape[-2:]).contiguous() for x in (q, k, v))
        (out,) = _tiled(q, k, v, mask=mask, offsets=offsets, scale=scale)
        return out.to(dtype)

    return packed.alone(compute, segments, [q], [k, v], [mask])


# Softmax over gathered keys.  A query is a row in here, (..., n, 1, d), and its keys a matrix:
# PyTorch multiplies a row by a matrix several times faster than a matrix by a column.


def _forward(q, k, v, *, mask, offsets, scale):
    out = v.new_zeros(*q.shape[:-1], v.shape[-1])
    for rows, near, sees in _tiles(q, k, mask, offsets):
        s = scale * (q[..., rows, None, :] @ _gathered(k, near, sees).mT)
        s = _masked(s, sees, -torch.inf)
        weights = _masked((s - s.amax(-1, keepdim=True)).exp(), sees, 0)
        # The largest score alone makes the sum 1: where it is less, nothing is seen.
        total = weights.sum(-1, keepdim=True).clamp(min=1)
        out[..., rows, None, :] = weights @ _gathered(v, near, sees) / total
    return [out], ()


def _backward(tensors, kept, upstream, *, mask, offsets, scale):
    q, k, v, g = (x.contiguous() for x in (*tensors, *upstream))
    dq, dk, dv = q.new_zeros(q.shape), k.new_zeros(k.shape), v.new_zeros(v.shape)
    log_sum, mean = q.new_zeros(*q.shape[:-1], 1), q.new_zeros(*q.shape[:-1], 1)
    for rows, near, sees in _tiles(q, k, mask, offsets):
        near_k = _gathered(k, near, sees)
        s = _masked(scale * (q[..., rows, None, :] @ near_k.mT), sees, -torch.inf)
        dp = _masked(g[..., rows, None, :] @ _gathered(v, near, sees).mT, sees, 0)
        log_sum[..., rows, :] = s.logsumexp(-1)
        p = _masked((s - log_sum[..., rows, None, :]).exp(), sees, 0)
        mean[..., rows, :] = (p * dp).sum(-1)  # ⟨g, p⟩ of the softmax's backward pass
        dq[..., rows, None, :] = scale * p * (dp - mean[..., rows, None, :]) @ near_k
    # Instead of scattering to keys, each key gathers from the queries that see it, at −Δ.
    seen_by = None if mask is None else mask.mT
    for rows, near, sees in _tiles(k, q, seen_by, [-offset for offset in offsets]):
        near_q, near_g = _gathered(q, near, sees), _gathered(g, near, sees)
        s = scale * (k[..., rows, None, :] @ near_q.mT)
        p = _masked((s - _gathered(log_sum, near, sees).mT).exp(), sees, 0)
        dp = _masked(v[..., rows, None, :] @ near_g.mT, sees, 0)
        dv[..., rows, None, :] = p @ near_g
        dk[..., rows, None, :] = scale * p * (dp - _gathered(mean, near, sees).mT) @ near_q
    return dq, dk, dv


_tiled = ByHand(_forward, _backward)


def _tiles(
    x: torch.Tensor, y: torch.Tensor, mask: torch.Tensor | None, offsets: list[int]
) -> Iterator[tuple[slice, torch.Tensor, torch.Tensor | None]]:
    """Rows of x, the rows of y at the offsets from each of them, and which of these it sees.

    None there means that it sees all.  Rows of x from which no offset leads to a row of y are
    left out.
    """
    n_x, n_y, heads = x.shape[-2], y.shape[-2], math.prod(x.shape[:-2])
    first = n_y - n_x  # position of the first row of x
    # From position p, an offset leads to a row of y if 0 ≤ p − δ < n_y.  Between these positions
    # it is the same offsets that do: there is nothing to pad, and nothing to mask.
    ends = {end for offset in offsets for end in (offset, offset + n_y) if first < end < n_y}
    for start, stop in pairwise(sorted({first, *ends, n_y})):
        within = [offset for offset in offsets if 0 <= start - offset < n_y]
        size = min(ROWS, PAIRS // max(1, heads * len(within))) or 1
        back = torch.tensor(within, device=x.device, dtype=torch.long)
        for top in range(start, stop if within else start, size):
            position = torch.arange(top, min(top + size, stop), device=x.device)[:, None]
            near = position - back
            sees = None if mask is None else mask[..., position - first, near][..., None, :]
            yield slice(top - first, top - first + len(position)), near, sees


def _gathered(x: torch.Tensor, near: torch.Tensor, sees: torch.Tensor | None) -> torch.Tensor:
    """Rows of x, (..., rows, |Δ|, width), 0 where they are not seen: 0 · NaN would still be NaN."""
    rows = x.index_select(-2, near.flatten()).unflatten(-2, near.shape)
    return rows if sees is None else torch.where(sees.mT, rows, 0)


def _masked(x: torch.Tensor, sees: torch.Tensor | None, other: float) -> torch.Tensor:
    return x if sees is None else torch.where(sees, x, other)
