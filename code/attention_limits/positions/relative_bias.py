r"""Relative bias: a learned number for each bucket of distances is added to a score.

.. math::

    s'_{ij} = s_{ij} + T_{h, \, \beta(i - j)}

With B buckets for the keys behind, half of them, E = ⌊B/2⌋, hold one distance each.  The L = B − E
others begin at distances in equal ratios, from E up to ``max_distance`` = D, and the last has no
end:

.. math::

    \beta(t) = \begin{cases}
        t & t < E \\
        E + \min\left( L - 1, \left\lfloor L \, \frac{\ln (t / E)}{\ln (D / E)} \right\rfloor
        \right) & t \ge E
    \end{cases}

If ``causal``, all buckets are for the keys behind, and keys ahead share the bucket of distance 0.
Else the first half is for the keys behind and the second for those ahead; the first bucket of the
second half stays empty, since no key ahead has the distance 0.  The paper's code does the same.

The borders are found in integers, since t ≥ E (D/E)^(k/L) just if t^L ≥ E^(L−k) D^k.  Logarithms
of floating-point numbers put a distance on a border on either side: 10 on the wrong one, in
float64, with B = 10 and D = 160.  Borders in a narrow range may coincide; a bucket between them is
empty.

It costs hn² additions and hB parameters.  The price: all distances in the last bucket are one, and
a bucket that was not seen in training has a number that was never learned.  Use it where near
distances matter one by one, and far ones roughly.

Source: :cite:t:`raffel2020exploring`.  Taught in: "Positional encodings".
"""

import functools
import operator

import numpy as np
import sympy as sp
import torch

from attention_limits import symbols
from attention_limits.checks import check_count
from attention_limits.formula import Formula
from attention_limits.positions.cost import EncodingCost
from attention_limits.positions.options import buckets_a_side
from attention_limits.positions.scores import added, differences, sizes
from attention_limits.tensors import (
    INTEGERS,
    check_kind,
    check_leads,
    check_tensor,
    own_precision,
    shape_of,
)

PLACE = "scores"


def define(
    scores: np.ndarray,
    table: np.ndarray,
    *,
    causal: bool,
    buckets: int = 32,
    max_distance: int = 128,
    positions_q: np.ndarray | None = None,
    positions_k: np.ndarray | None = None,
) -> np.ndarray:
    """The equations above, word for word, on (h, n_q, n_k) arrays; leading axes broadcast."""
    B, D = buckets_a_side(causal, buckets, max_distance)
    E = B // 2
    L = B - E

    @functools.cache
    def beta(difference):
        difference = int(difference)  # of any size, where powers of int64 overflow
        t = max(difference, 0) if causal else abs(difference)
        far = [E + k for k in range(L) if t**L >= E ** (L - k) * D**k]
        return (B if difference < 0 and not causal else 0) + (t if t < E else far[-1])

    def one_sequence(T, i, j):
        return T[:, np.vectorize(beta, [int])(i[:, None] - j)]

    n_q, n_k = scores.shape[-2:]
    i = np.arange(n_k - n_q, n_k) if positions_q is None else positions_q
    j = np.arange(n_k) if positions_k is None else positions_k
    look_up = np.vectorize(one_sequence, [float], signature="(h,b),(i),(j)->(h,i,j)")
    return scores + look_up(table, i, j)


@own_precision
def apply(
    scores: torch.Tensor,
    table: torch.Tensor,
    *,
    causal: bool,
    buckets: int = 32,
    max_distance: int = 128,
    positions_q: torch.Tensor | None = None,
    positions_k: torch.Tensor | None = None,
) -> torch.Tensor:
    """The same on (..., h, n_q, n_k) tensors; output in the dtype of ``scores``.

    Takes what ``bias`` takes, and refuses what it refuses, and ``scores`` of other heads.
    """
    n_q, n_k = sizes(scores)
    on_top = bias(
        n_q,
        n_k,
        table,
        causal=causal,
        buckets=buckets,
        max_distance=max_distance,
        positions_q=positions_q,
        positions_k=positions_k,
    )
    return added(scores, on_top)


@own_precision
def bias(
    n_q: int,
    n_k: int,
    table: torch.Tensor,
    *,
    causal: bool,
    buckets: int = 32,
    max_distance: int = 128,
    positions_q: torch.Tensor | None = None,
    positions_k: torch.Tensor | None = None,
) -> torch.Tensor:
    """What goes on top of the scores, of all pairs.

    Args:
        n_q: number of queries.
        n_k: number of keys.
        table: T, (..., h, buckets).
        causal: whether keys ahead are of no interest, and all buckets are for those behind.
        buckets: how many there are; if not ``causal``, for both sides together, and even.
        max_distance: D, from where on all distances share a bucket; more than E.
        positions_q: i, (..., n_q), integers on the device of ``table``, at most 2^62 in size, so
            that differences are exact; None means the last n_q of n_k positions.
        positions_k: j, (..., n_k), likewise; None means 0, 1, …  Leading axes broadcast, those of
            positions and those of ``table`` alike.

    Returns:
        (..., h, n_q, n_k), in the dtype of ``table``, but in float32 at the least: the gradient of
        a bucket is a sum over many pairs, of which half precision would lose most.

    Raises:
        ValueError: naming the argument, if it does not fit.
    """
    check_tensor("table", table)
    buckets = check_count("buckets", buckets, least=1)
    if table.shape[-1] != buckets:
        raise ValueError(f"table must have the shape (..., h, {buckets}), got {shape_of(table)}")
    difference = differences(n_q, n_k, positions_q, positions_k, table.device)
    column = bucket(difference, causal=causal, buckets=buckets, max_distance=max_distance)
    column = column.unsqueeze(-3)  # all heads look up the same
    check_leads(table=table.shape[:-2], positions=column.shape[:-3])
    lead = torch.broadcast_shapes(table.shape[:-1], column.shape[:-2])
    wide = table.to(torch.promote_types(table.dtype, torch.float32)).unsqueeze(-2)
    # A row of the table for each query, none of them copied.
    return wide.expand(*lead, n_q, buckets).gather(-1, column.expand(*lead, n_q, n_k))


def bucket(
    distance: torch.Tensor, *, causal: bool, buckets: int = 32, max_distance: int = 128
) -> torch.Tensor:
    """β, the bucket of each distance i − j, positive for keys behind.

    Args:
        distance: integers of any shape.
        causal: as for ``bias``.
        buckets: as for ``bias``.
        max_distance: as for ``bias``.

    Returns:
        Integers of the same shape, from 0 to ``buckets`` − 1.

    Raises:
        ValueError: naming the argument, if it does not fit.
    """
    check_kind("distance", distance, INTEGERS)
    side, max_distance = buckets_a_side(causal, buckets, max_distance)
    # A compiler may take both for symbols, of which no borders could be found.
    side, max_distance = operator.index(side), operator.index(max_distance)
    borders = torch.tensor(_borders(side, max_distance), device=distance.device)
    distance = distance.long()  # of narrower integers, the least has no absolute value
    if causal:
        return torch.bucketize(distance.clamp(min=0), borders, right=True)
    return torch.bucketize(distance.abs(), borders, right=True) + side * (distance < 0)


def cost(*, buckets: int = 32) -> EncodingCost:
    """A number for each head and bucket; an addition for each pair and head."""
    buckets = check_count("buckets", buckets, least=1)
    n, h = symbols.n, symbols.h
    return EncodingCost(
        parameters=Formula(buckets * h, "numbers", "parameters of the relative bias"),
        flops=Formula(h * n**2, "FLOPs", "added by the relative bias"),
    )


@torch.compiler.assume_constant_result  # what is cached is none to it, nor could it look inside
def _borders(side: int, max_distance: int) -> tuple[int, ...]:
    return _found_borders(side, max_distance)


@functools.cache
def _found_borders(side: int, max_distance: int) -> tuple[int, ...]:
    """The distances at which buckets 1, 2, … of one side begin: E^(1−k/L) D^(k/L), rounded up."""
    exact = side // 2
    far = side - exact
    borders = list(range(1, exact + 1))
    for k in range(1, far):
        root, is_exact = sp.integer_nthroot(exact ** (far - k) * max_distance**k, far)
        borders.append(root if is_exact else root + 1)
    return tuple(borders)
