r"""Relative vectors: keys and values are displaced by a vector learned for their offset.

.. math::

    s_{ij} = \frac{q_i \cdot (k_j + a^K_{c(j - i)})}{\sqrt{d}}, \qquad
    o_i = \sum_{j \in V_i} \frac{e^{s_{ij}}}{\sum_{l \in V_i} e^{s_{il}}} \,
    (v_j + a^V_{c(j - i)})

.. math::

    c(\delta) = \max(-r, \min(r, \delta))

Unlike a number on top of a score, q_i · a depends on the query, which can ask for a place: the key
three back, say.  And the values are displaced, too, so that the output shows where they come from.
This is why the interface is that of a whole attention, and not only that of its scores: the first
part needs the queries, the second the weights.  ``bias`` is the first half alone, on top of the
scores of any attention that takes one.

Written like this, it needs n² vectors of width d.  But no more than 2r + 1 of them differ.  So each
query is multiplied with each of these once, 2n(2r + 1)d FLOPs, and each pair looks its number up;
the weights of an output are first summed by offset, and then multiplied with the table.

It costs these FLOPs twice, 2n² additions, and (2r + 1)2d parameters, which all heads share unless
told.  The price: all n² weights are held in memory, where fused kernels hold none; and beyond r
positions, all keys have the same offset.  Use it where short offsets have meanings of their own.

i and j may also be positions that are given: of keys that stand farther apart than one token, the
offset is clipped all the same.

Source: :cite:t:`shaw2018self`.  Taught in: "Positional encodings".
"""

import numpy as np
import torch

from attention_limits import symbols, tensors
from attention_limits.checks import check_count, check_number
from attention_limits.formula import Formula
from attention_limits.positions.cost import EncodingCost
from attention_limits.positions.inputs import distances
from attention_limits.positions.scores import differences
from attention_limits.tensors import check_leads, check_like, joined, shape_of

PLACE = "scores"


def define(
    q: np.ndarray,
    k: np.ndarray,
    v: np.ndarray,
    key_table: np.ndarray,
    value_table: np.ndarray | None = None,
    *,
    causal: bool = False,
    scale: float | None = None,
    positions_q: np.ndarray | None = None,
    positions_k: np.ndarray | None = None,
) -> np.ndarray:
    """The equations above, word for word, on (n, d) arrays; leading axes broadcast."""
    scale = 1 / np.sqrt(q.shape[-1]) if scale is None else scale
    value_table = np.zeros((1, v.shape[-1])) if value_table is None else value_table
    n_q, n_k = q.shape[-2], k.shape[-2]
    first = n_k - n_q  # the queries are the last n_q of n_k tokens
    places_q = np.arange(first, n_k) if positions_q is None else positions_q
    places_k = np.arange(n_k) if positions_k is None else positions_k

    def one_head(q, k, v, key_table, value_table, places_q, places_k):
        def displaced(x, table, offsets):
            r = len(table) // 2
            return x + table[r + np.maximum(-r, np.minimum(r, offsets))]

        o = np.zeros((len(q), v.shape[-1]))
        for i in range(first, len(k)):
            V = slice(0, max(i + 1, 0)) if causal else slice(None)
            if len(k[V]):
                offsets = places_k[V] - places_q[i - first]
                s = scale * displaced(k[V], key_table, offsets) @ q[i - first]
                weights = np.exp(s - s.max())  # the shift cancels; without it, exp overflows
                o[i - first] = weights / weights.sum() @ displaced(v[V], value_table, offsets)
        return o

    signature = "(i,d),(j,d),(j,e),(r,d),(s,e),(i),(j)->(i,e)"
    heads = np.vectorize(one_head, [float], signature=signature)
    return heads(q, k, v, key_table, value_table, places_q, places_k)


@tensors.own_precision
def apply(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    key_table: torch.Tensor,
    value_table: torch.Tensor | None = None,
    *,
    causal: bool = False,
    scale: float | None = None,
    positions_q: torch.Tensor | None = None,
    positions_k: torch.Tensor | None = None,
) -> torch.Tensor:
    """The same on (..., n, d) tensors, without a tensor of n² vectors.

    Args:
        q: queries (..., n_q, d), the last n_q of n_k positions.
        k: keys (..., n_k, d), in the dtype and on the device of ``q``.
        v: values (..., n_k, d_v), likewise.
        key_table: a^K, (..., 2r + 1, d), likewise: the offset −r first, r last.
        value_table: a^V, (..., 2r + 1, d_v), likewise, of this or of another r; None means 0.
            Leading axes broadcast: a table for each head is (h, 2r + 1, d).
        causal: whether a query sees only keys up to its own place in the sequence.
        scale: what multiplies the inner products; None means d^-1/2.
        positions_q: i, (..., n_q), integers on the device of ``q``, at most 2^62 in size, so that
            offsets are exact, with leading axes that broadcast with those of ``q``; None means the
            last n_q of n_k positions.
        positions_k: j, (..., n_k), likewise; None means 0, 1, …

    Returns:
        (..., n_q, d_v), in the dtype of ``q``.  A query that sees nothing gets 0, and its
        gradients are 0.

    Raises:
        ValueError: naming the argument, if shapes, dtypes or devices do not fit.
    """
    lead = tensors.check(q, k, v)
    _check_table("key_table", key_table, "q", q, lead)
    if value_table is not None:
        _check_table("value_table", value_table, "v", v, lead)
    scale = _default(scale, q)
    where = {"positions_q": positions_q, "positions_k": positions_k}
    scores = scale * (q @ k.mT) + bias(q, key_table, k.shape[-2], scale=scale, **where)
    hidden = (distances(q.shape[-2], k.shape[-2], q.device) < 0) & causal
    weights = scores.masked_fill(hidden, -torch.inf).softmax(-1)
    # A query that sees nothing got NaN; what is filled stops its gradient as well.
    weights = weights.masked_fill(hidden, 0).to(v.dtype)
    return weights @ v if value_table is None else mix(weights, v, value_table, **where)


@tensors.own_precision
def bias(
    q: torch.Tensor,
    table: torch.Tensor,
    n_k: int,
    *,
    scale: float | None = None,
    positions_q: torch.Tensor | None = None,
    positions_k: torch.Tensor | None = None,
) -> torch.Tensor:
    """What goes on top of the scores: each query's inner products with the vectors of a table.

    Args:
        q: queries (..., n_q, d), the last n_q of n_k positions.
        table: a^K, (..., 2r + 1, d), in the dtype and on the device of ``q``.
        n_k: number of keys.
        scale: what multiplies the inner products; None means d^-1/2.
        positions_q: as for ``apply``.
        positions_k: as for ``apply``.

    Returns:
        (..., n_q, n_k), in the dtype of ``q``, but in float32 at the least: the gradient of the
        offset r is a sum over all keys beyond, of which half precision would lose most.

    Raises:
        ValueError: naming the argument, if shapes, dtypes or devices do not fit.
    """
    tensors.check_tensor("q", q)
    n_k = check_count("n_k", n_k)
    _check_table("table", table, "q", q, q.shape[:-2])
    by_offset = _default(scale, q) * (q @ table.mT)
    by_offset = by_offset.to(torch.promote_types(q.dtype, torch.float32))
    column = _column(q.shape[-2], n_k, table, positions_q, positions_k)
    check_leads(q=by_offset.shape[:-2], positions=column.shape[:-2])
    lead = torch.broadcast_shapes(by_offset.shape[:-2], column.shape[:-2])
    by_offset = by_offset.expand(*lead, *by_offset.shape[-2:])
    return by_offset.gather(-1, column.expand(*lead, *column.shape[-2:]))


@tensors.own_precision
def mix(
    weights: torch.Tensor,
    v: torch.Tensor,
    table: torch.Tensor,
    *,
    positions_q: torch.Tensor | None = None,
    positions_k: torch.Tensor | None = None,
) -> torch.Tensor:
    """Σ_j α_ij (v_j + a_c(j−i)), the weights α_ij having been summed by offset for the second part.

    Args:
        weights: α, (..., n_q, n_k), of the last n_q of n_k positions.
        v: values (..., n_k, d_v), in the dtype and on the device of ``weights``.
        table: a^V, (..., 2r + 1, d_v), likewise.
        positions_q: as for ``apply``, with leading axes that broadcast to those of ``weights``.
        positions_k: likewise.

    Returns:
        (..., n_q, d_v), in the dtype of ``v``.

    Raises:
        ValueError: naming the argument, if shapes, dtypes or devices do not fit.
    """
    tensors.check_tensor("weights", weights)
    check_like("v", v, "weights", weights)
    if v.shape[-2] != weights.shape[-1]:
        raise ValueError(f"v must have one row per key, {weights.shape[-1]}, got {shape_of(v)}")
    _check_table("table", table, "v", v, joined("v", v, weights.shape[:-2]))
    # Beyond r, many small weights share a sum, and kernels may add one by one: half precision
    # would stop at 256 of them.
    wide = weights.to(torch.promote_types(weights.dtype, torch.float32))
    n_q, n_k = weights.shape[-2:]
    column = _column(n_q, n_k, table, positions_q, positions_k)
    if joined("positions", column, weights.shape[:-2]) != weights.shape[:-2]:
        raise ValueError(
            f"positions must have leading axes that broadcast to {shape_of(weights)[:-2]}, "
            f"got {shape_of(column)[:-2]}"
        )
    column = column.expand(weights.shape)
    by_offset = wide.new_zeros(*weights.shape[:-1], table.shape[-2]).scatter_add(-1, column, wide)
    return weights @ v + by_offset.to(v.dtype) @ table


def cost(*, max_distance: int) -> EncodingCost:
    """Of keys and values, each with a table for offsets up to ±max_distance that heads share."""
    max_distance = check_count("max_distance", max_distance)
    n, d, h = symbols.n, symbols.d, symbols.h
    rows = 2 * max_distance + 1
    keys = 2 * n * rows * d + n * rows + n**2  # products, their scale, on top of the scores
    values = n**2 + 2 * n * rows * d + n * d  # weights summed, products, on top of the output
    return EncodingCost(
        parameters=Formula(2 * rows * d, "numbers", "parameters of relative vectors"),
        flops=Formula(h * (keys + values), "FLOPs", "added by relative vectors"),
    )


def _column(
    n_q: int,
    n_k: int,
    table: torch.Tensor,
    positions_q: torch.Tensor | None,
    positions_k: torch.Tensor | None,
) -> torch.Tensor:
    """Which row of the table each pair takes, r + c(j − i): (..., n_q, n_k) integers."""
    r = table.shape[-2] // 2
    return r - differences(n_q, n_k, positions_q, positions_k, table.device).clamp(-r, r)


def _default(scale: float | None, q: torch.Tensor) -> float:
    return max(q.shape[-1], 1) ** -0.5 if scale is None else check_number("scale", scale)


def _check_table(name, table, name_of_rows, rows, lead) -> None:
    """Refuse what has not an odd number of vectors as wide as the rows that they displace."""
    check_like(name, table, name_of_rows, rows)
    if table.shape[-1] != rows.shape[-1] or not table.shape[-2] % 2:
        raise ValueError(
            f"{name} must have an odd number of rows, 2r + 1, as wide as {name_of_rows}, "
            f"{rows.shape[-1]}, got {shape_of(table)}"
        )
    joined(name, table, lead)
