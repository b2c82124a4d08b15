"""Softmax attention tile by tile: some queries, and of the keys only those that they may see.

A mechanism says which tiles there are; what is computed in each is here.  A tile reads its keys
where they lie, as views, and gathers only what lies apart; the backward pass adds their
gradients to what is there, again through views.  (With slices of k in a loop under autograd the
backward pass would cost n²: the gradient of each would fill a tensor as long as k.)

Nothing is computed twice.  The weights are kept for the backward pass, one number for each pair of
the tiles; where no gradient is to come, nothing is kept.
"""

import bisect
from collections.abc import Sequence
from typing import NamedTuple

import torch

from attention_limits.attention.transforms import ByHand


class Tile(NamedTuple):
    """Queries that are computed together.

    Attributes:
        rows: which queries.
        spans: which keys they look at, in ascending order.
        limit: ``score_cap`` of who sees whom, (rows, keys); None if all see all.
    """

    rows: slice
    spans: list[slice]
    limit: torch.Tensor | None


def within(tiles: Sequence[Tile], spans: Sequence[Sequence[int]], shift: int) -> list[Tile]:
    """The tiles cut along sequences, each of which sees itself alone.

    Args:
        tiles: of all.
        spans: where the sequences are, in ascending order.
        shift: from a query to its position.
    """
    starts, parts = [start for start, _ in spans], []
    for tile in tiles:
        top, bottom = tile.rows.start + shift, tile.rows.stop + shift
        for start, stop in spans[max(0, bisect.bisect(starts, top) - 1) :]:
            if start >= bottom:
                break
            rows = slice(max(top, start) - shift, min(bottom, stop) - shift)
            cut = [slice(max(x.start, start), min(x.stop, stop)) for x in tile.spans]
            cut = [x for x in cut if x.start < x.stop]
            if rows.start < rows.stop and cut:
                parts.append(Tile(rows, cut, _cut(tile, rows, start, stop)))
    return parts


def _cut(tile: Tile, rows: slice, start: int, stop: int) -> torch.Tensor | None:
    """The limit of some rows of a tile, and of its keys from ``start`` on and before ``stop``."""
    if tile.limit is None:
        return None
    left, right = (
        sum(max(0, min(x.stop, end) - x.start) for x in tile.spans) for end in (start, stop)
    )
    first = tile.rows.start
    return tile.limit[rows.start - first : rows.stop - first, left:right]


def score_cap(sees: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """∞ where a query sees a key, else −∞; the softmax takes the lesser of a score and its limit.

    As fast as adding −∞ and several times faster than filling it in; and where a score overflows
    to ∞ that nobody should see, adding would give NaN.
    """
    infinity = torch.full((), torch.inf, dtype=compute_dtype(dtype), device=sees.device)
    return torch.where(sees, infinity, -infinity)


def compute_dtype(dtype: torch.dtype) -> torch.dtype:
    """Half precision is computed in float32."""
    return torch.promote_types(dtype, torch.float32)


def attend(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    tiles: Sequence[Tile],
    *,
    mask: torch.Tensor | None,
    scale: float,
) -> torch.Tensor:
    """Attention over the tiles; a query that is in none gets 0.

    Args:
        q, k, v: checked by ``tensors.check``; q may have more digits than the others.
        tiles: what there is to compute, in the order of their rows; in each, but for a mask,
            every query sees something.
        mask: booleans that broadcast to (..., n_q, n_k), or None.  Cut into tiles, never expanded.
        scale: what multiplies the inner products.
    """
    if mask is not None:
        square = q.shape[-2], k.shape[-2]
        mask = mask.expand(torch.broadcast_shapes(mask.shape, square))  # a view, no memory
    keep = torch.is_grad_enabled() and any(x.requires_grad for x in (q, k, v))
    dtype, wide = v.dtype, compute_dtype(q.dtype)
    lead = torch.broadcast_shapes(*(x.shape[:-2] for x in (q, k, v)))
    q, k, v = (x.to(wide).expand(*lead, *x.shape[-2:]) for x in (q, k, v))
    (out,) = _tiled(q, k, v, mask=mask, tiles=tiles, scale=scale, keep=keep)
    return out.to(dtype)


# In these two Q, K, V, P, G are those of one tile, q, k, v, g those of all.


def _forward(q, k, v, *, mask, tiles, scale, keep):
    out, kept = v.new_zeros(*q.shape[:-1], v.shape[-1]), []
    for tile in tiles:
        Q, K, V, limit, has_keys = _inputs(q, k, v, tile, mask)
        P = _weights(Q, K, limit, has_keys, scale)
        out[..., tile.rows, :] = P @ V
        if keep:
            kept.append(P)
    return [out], kept


def _backward(tensors, kept, upstream, *, mask, tiles, scale, keep):
    (q, k, v), (g,) = tensors, upstream
    dq, dk, dv = q.new_zeros(q.shape), k.new_zeros(k.shape), v.new_zeros(v.shape)
    for tile, P in zip(tiles, kept or [None] * len(tiles), strict=True):
        Q, K, V, limit, has_keys = _inputs(q, k, v, tile, mask)
        P = _weights(Q, K, limit, has_keys, scale) if P is None else P
        G = g[..., tile.rows, :]
        # A query that saw nothing was given 0, whatever comes down to it.
        G = G if has_keys is None else torch.where(has_keys, G, 0)
        dP = G @ V.mT
        dS = dP.sub_((P * dP).sum(-1, keepdim=True)).mul_(P).mul_(scale)
        dq[..., tile.rows, :] = dS @ K
        _add(dk, tile.spans, dS.mT @ Q)
        _add(dv, tile.spans, P.mT @ G)
    return dq, dk, dv


_tiled = ByHand(_forward, _backward)


def _weights(
    Q: torch.Tensor,
    K: torch.Tensor,
    limit: torch.Tensor | None,
    has_keys: torch.Tensor | None,
    scale: float,
) -> torch.Tensor:
    S = (Q @ K.mT).mul_(scale)
    P = (S if limit is None else S.clamp_(max=limit)).softmax(-1)
    return P if has_keys is None else torch.where(has_keys, P, 0)


def _inputs(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, tile: Tile, mask: torch.Tensor | None
) -> tuple[torch.Tensor | None, ...]:
    """The tile's part of all, and, if there is a mask, which of its queries see anything."""
    Q, K, V = q[..., tile.rows, :], _gather(k, tile.spans, -2), _gather(v, tile.spans, -2)
    if mask is None:
        return Q, K, V, tile.limit, None
    sees = _gather(mask[..., tile.rows, :], tile.spans, -1)
    sees = sees if tile.limit is None else sees & (tile.limit > 0)
    has_keys, seen = sees.any(-1)[..., None], sees.any(-2)[..., None]
    # What is not seen may be NaN, and 0 · NaN would be NaN.
    Q, K, V = torch.where(has_keys, Q, 0), torch.where(seen, K, 0), torch.where(seen, V, 0)
    return Q, K, V, score_cap(sees, q.dtype), has_keys


def _gather(x: torch.Tensor, spans: list[slice], axis: int) -> torch.Tensor:
    parts = [x.narrow(axis, span.start, span.stop - span.start) for span in spans]
    return parts[0] if len(parts) == 1 else torch.cat(parts, axis)


def _add(whole: torch.Tensor, spans: list[slice], parts: torch.Tensor) -> None:
    sizes = [span.stop - span.start for span in spans]
    for span, part in zip(spans, parts.split(sizes, dim=-2), strict=True):
        whole[..., span, :].add_(part)
