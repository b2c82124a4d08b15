r"""Online softmax: dense attention, exactly, without ever holding a row of its scores.

.. math::

    m' = \max(m, s_{ij}), \qquad
    Z' = Z \, e^{m - m'} + e^{s_{ij} - m'}

.. math::

    o' = o \, e^{m - m'} + e^{s_{ij} - m'} \, v_j, \qquad
    s_{ij} = \frac{q_i \cdot k_j}{\sqrt{d}}

For each query i, key by key over the j that it sees, from m = −∞, Z = 0, o = 0; its output is
o / Z at the end, or 0 if it saw nothing.  m is the largest score so far, Z the sum of the
exponentials, o the weighted sum of the values, both relative to m; when m grows, what has been
summed shrinks with it.  Whole tiles of keys take the same step at once.  Who sees whom is as in
dense attention.

Memory is linear in n, forward and backward, for any widths and any mask that itself is small:
nothing is kept but q, k, v, o and one number a query, m + log Z.  The price is paid in the
backward pass, which computes every score again: 5 products instead of 4, 2.5 times the forward
pass's FLOPs instead of 2.  Causal attention skips the tiles that no query sees, and so does half
the work.

Read it to see how it is done.  The kernels behind ``dense.attend`` do the same without a loop in
Python; use this where they fall back on the square, or where you want to count and change things.

Source: :cite:t:`milakov2018online` for the recurrence, :cite:t:`rabe2021selfattention` for the
memory, :cite:t:`dao2022flashattention` for the tiles and the
backward pass.
Taught in: "Quadratic cost".
"""

from collections.abc import Iterator

import numpy as np
import sympy as sp
import torch

from attention_limits import checks, symbols, tensors
from attention_limits.attention import dense, packed
from attention_limits.attention.cost import Cost
from attention_limits.attention.dense import visible
from attention_limits.attention.packed import Segments
from attention_limits.attention.transforms import ByHand, one_call
from attention_limits.formula import Formula

BLOCK = 128  # queries and keys per tile: small enough that its scores stay in cache


def define(
    q: np.ndarray,
    k: np.ndarray,
    v: np.ndarray,
    *,
    causal: bool = False,
    mask: np.ndarray | None = None,
    scale: float | np.ndarray | None = None,
) -> np.ndarray:
    """The recurrence above, word for word, on (n, d) arrays; leading axes broadcast."""
    q = q * (1 / np.sqrt(max(q.shape[-1], 1)) if scale is None else scale)
    sees = visible(q.shape[-2], n_k=k.shape[-2], causal=causal)
    sees = sees if mask is None else sees & mask

    def one_query(q, k, v, V):
        m, Z, o = -np.inf, 0, np.zeros(v.shape[-1])
        for k_j, v_j in zip(k[V], v[V], strict=True):
            s = k_j @ q
            higher = np.maximum(m, s)
            Z = Z * np.exp(m - higher) + np.exp(s - higher)
            o = o * np.exp(m - higher) + np.exp(s - higher) * v_j
            m = higher
        return o / Z if V.any() else o

    queries = np.vectorize(one_query, [float], signature="(d),(j,d),(j,e),(j)->(e)")
    return queries(q, k[..., None, :, :], v[..., None, :, :], sees)


@tensors.own_precision
def attend(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    *,
    causal: bool = False,
    mask: torch.Tensor | None = None,
    scale: float | torch.Tensor | None = None,
    block: int = BLOCK,
    segments: Segments | None = None,
) -> torch.Tensor:
    """The same on (..., n, d) tensors, tile by tile, in memory linear in n.

    Differentiable twice.  Half precision is computed in float32.  What may hold NaN is as for
    ``dense.attend``: what no query sees.

    Args:
        q: queries (..., n_q, d).
        k: keys (..., n_k, d), in the dtype and on the device of ``q``.
        v: values (..., n_k, d_v), likewise.  Leading axes broadcast, as for ``dense.attend``.
        causal: whether a query sees only keys up to its own position, the last query's being
            that of the last key.
        mask: booleans that broadcast to (..., n_q, n_k), True = may look.  Joined with ``causal``
            by AND.  It is cut into tiles, never expanded: one row for all queries stays one row.
        scale: what multiplies the inner products, a number or a tensor that broadcasts to
            (..., n_q, 1), such as (h, 1, 1); None means d^-1/2.
        block: how many queries and how many keys make a tile; the result does not depend on it.
        segments: where packed sequences are: see ``attention_limits.attention.packed``.

    Returns:
        (..., n_q, d_v), in the dtype of ``q``.  A query that sees nothing gets 0, and its
        gradients are 0.

    Raises:
        ValueError: naming the argument, if shapes, dtypes or devices do not fit, or if ``block``
            is no integer of at least 1.
    """
    lead = tensors.check(q, k, v, mask=mask)
    block = checks.check_count("block", block, least=1)
    dtype = q.dtype
    q, factor = tensors.folded(q, scale, lead)
    segments = packed.given(segments, lead, k.shape[-2])
    return _computed(q, k, v, mask, factor, causal, block, segments).to(dtype)


def cost(*, causal: bool = False, block: int = BLOCK) -> Cost:
    """Dense attention's, but for the tiles: causal, only those on the diagonal do too much."""
    block = checks.check_count("block", block, least=1)
    n, d, exact = symbols.n, symbols.d, dense.cost(causal=causal)
    whole = sp.floor(n / block)  # tiles of queries; the t-th sees t tiles of keys, the rest all
    tiles = block**2 * whole * (whole + 1) / 2 + (n - block * whole) * n
    return Cost(
        needed=Formula(exact.needed.expr, "FLOPs", "needed by online softmax"),
        executed=Formula(
            4 * d * (tiles if causal else n**2), "FLOPs", "executed by online softmax"
        ),
        held=Formula(exact.held.expr, "bytes", "held by online softmax"),
    )


@one_call
def _computed(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    mask: torch.Tensor | None,
    scale: float,
    causal: bool,
    block: int,
    segments: torch.Tensor | None,
) -> torch.Tensor:
    def compute(q, k, v, mask):
        dtype, wide = v.dtype, torch.promote_types(q.dtype, torch.float32)
        lead = torch.broadcast_shapes(*(x.shape[:-2] for x in (q, k, v)))
        q, k, v = (x.to(wide).expand(*lead, *x.shape[-2:]) for x in (q, k, v))
        (out,) = _tiled(scale * q, k, v, mask=mask, causal=causal, block=block)
        return out.to(dtype)

    return packed.alone(compute, segments, [q], [k, v], [mask])


# In these Q, K, V, … are lists of tiles, views into q, k, v, …


def _forward(q, k, v, *, mask, causal, block):
    out, z = q.new_zeros(*q.shape[:-1], v.shape[-1]), q.new_zeros(*q.shape[:-1], 1)
    # Not −∞, or a tile in which a row sees nothing would bring it to e^(−∞ + ∞).
    m = torch.full_like(z, torch.finfo(z.dtype).min)
    Q, K, V, M, Z, OUT = (x.split(block, dim=-2) for x in (q, k, v, m, z, out))
    for i, j, sees in _tiles(q, k, mask, causal, block):
        s = _scores(Q[i], K[j], sees)
        higher = torch.maximum(M[i], s.amax(-1, keepdim=True))
        rescale, weights = (M[i] - higher).exp(), (s - higher).exp()
        Z[i].mul_(rescale).add_(weights.sum(-1, keepdim=True))
        OUT[i].mul_(rescale).add_(weights @ _seen(V[j], sees))
        M[i].copy_(higher)
    # The largest score alone gives Z a 1: where it is less, nothing was seen, and 0 / 1 is 0.
    out.div_(z.clamp_(min=1))
    return [out], [m + z.log()]


def _backward(tensors, kept, upstream, *, mask, causal, block):
    (q, k, v), (out, log_sum), (g,) = tensors, kept, upstream
    # A query that saw nothing was given 0, whatever it holds and whatever comes down to it.
    has_keys = log_sum != torch.finfo(log_sum.dtype).min
    q, g = torch.where(has_keys, q, 0), torch.where(has_keys, g, 0)
    mean = (g * out).sum(-1, keepdim=True)  # ⟨g, p⟩ of the softmax's gradient, p ∘ (g − ⟨g, p⟩)
    dq, dk, dv = q.new_zeros(q.shape), k.new_zeros(k.shape), v.new_zeros(v.shape)
    whole = q, k, v, g, mean, log_sum, dq, dk, dv
    Q, K, V, G, MEAN, LOG_SUM, DQ, DK, DV = (x.split(block, dim=-2) for x in whole)
    for i, j, sees in _tiles(q, k, mask, causal, block):
        near_k, near_v = _seen(K[j], sees), _seen(V[j], sees)
        p = (_scores(Q[i], near_k, sees) - LOG_SUM[i]).exp()
        ds = p * (G[i] @ near_v.mT - MEAN[i])
        DV[j].add_(p.mT @ G[i])
        DQ[i].add_(ds @ near_k)
        DK[j].add_(ds.mT @ Q[i])
    return dq, dk, dv


def _plain(q, k, v, *, mask, causal, block):
    """The same with nothing written over, as PyTorch needs it to differentiate it."""
    Q, K, V = (x.split(block, dim=-2) for x in (q, k, v))
    OUT = [v.new_zeros(*x.shape[:-1], v.shape[-1]) for x in Q]
    Z = [q.new_zeros(*x.shape[:-1], 1) for x in Q]
    M = [torch.full_like(z, torch.finfo(z.dtype).min) for z in Z]
    for i, j, sees in _tiles(q, k, mask, causal, block):
        s = _scores(Q[i], K[j], sees)
        higher = torch.maximum(M[i], s.amax(-1, keepdim=True))
        rescale, weights = (M[i] - higher).exp(), (s - higher).exp()
        Z[i] = Z[i] * rescale + weights.sum(-1, keepdim=True)
        OUT[i] = OUT[i] * rescale + weights @ _seen(V[j], sees)
        M[i] = higher
    return [torch.cat(OUT, dim=-2) / torch.cat(Z, dim=-2).clamp(min=1)]


_tiled = ByHand(_forward, _backward, keeps_outputs=True, plain=_plain)


def _tiles(
    q: torch.Tensor, k: torch.Tensor, mask: torch.Tensor | None, causal: bool, block: int
) -> Iterator[tuple[int, int, torch.Tensor | None]]:
    """The tiles in which somebody may see something: of queries, of keys, and who sees whom.

    None there means that all see all, which is so for most tiles and saves them the masking.
    """
    n_q, n_k = q.shape[-2], k.shape[-2]
    if mask is not None:
        mask = mask.expand(torch.broadcast_shapes(mask.shape, (n_q, n_k)))  # a view, no memory
    for top in range(0, n_q, block):
        bottom = min(top + block, n_q)
        first, last = top + n_k - n_q, bottom - 1 + n_k - n_q  # positions of the tile's queries
        for left in range(0, last + 1 if causal else n_k, block):
            right = min(left + block, n_k)
            sees = None if mask is None else mask[..., top:bottom, left:right]
            if causal and right - 1 > first:  # on the diagonal
                past = torch.ones(bottom - top, right - left, dtype=torch.bool, device=q.device)
                past = past.tril(first - left)
                sees = past if sees is None else sees & past
            yield top // block, left // block, sees


def _scores(q: torch.Tensor, k: torch.Tensor, sees: torch.Tensor | None) -> torch.Tensor:
    s = q @ k.mT
    return s if sees is None else s.masked_fill_(~sees, -torch.inf)


def _seen(x: torch.Tensor, sees: torch.Tensor | None) -> torch.Tensor:
    """Keys or values, 0 where no query of the tile sees them: 0 · NaN would still be NaN."""
    return x if sees is None else torch.where(sees.any(-2)[..., None], x, 0)
