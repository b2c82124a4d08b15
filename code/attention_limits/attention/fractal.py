r"""Fractal attention: near keys one by one, far keys in blocks that grow with their distance.

.. math::

    o_i = \sum_{B \in P_i} \frac{|B| \, e^{s_{iB}}}{\sum_{A \in P_i} |A| \, e^{s_{iA}}}
          \, \bar{v}_B, \qquad
    s_{iB} = \frac{q_i \cdot \bar{k}_B}{\sqrt{d}}

.. math::

    \bar{k}_B = \frac{1}{|B|} \sum_{j \in B} k_j, \qquad
    \bar{v}_B = \frac{1}{|B|} \sum_{j \in B} v_j

P_i cuts the keys 0 ≤ j ≤ i, each into exactly one B, always causal; with n_q ≠ n_k, those with
j ≤ i + n_k − n_q (bottom-right alignment).  Positions are cut into leaves of ``block``, and pairs
of leaves into blocks of twice the size, pairs of those again, and so on.  A query in leaf t sees
the keys of leaves t and t − 1 one by one.  Of the blocks of 2^ℓ leaves, it lies in number
a = ⌊t / 2^ℓ⌋ and sees as a whole those that are not its own nor next to it, but whose parents are
next to each other:

.. math::

    2 (\lfloor a / 2 \rfloor - 1) \le c \le a - 2, \qquad \ell = 0, 1, 2, \dots

one if a is even, two if a is odd.  So a block of size S lies between S and 4S behind the query,
at every scale alike: hence the name.  Blocks do not move, so the past never changes.

This is dense attention, exactly, where the keys of a far block agree, whatever their values.
Where they differ by ε, the error is of the order ε: the mean of e^s v is not e^(mean of s) times
the mean of v.  With ``covariance`` a far block gives instead of its mean value

.. math::

    \bar{v}_B + \frac{1}{\sqrt{d}} \, C_B^\top q_i, \qquad
    C_B = \frac{1}{|B|} \sum_{j \in B} (k_j - \bar{k}_B) (v_j - \bar{v}_B)^\top

and the error is of the order ε².  The mass of the block, |B| e^(mean of s), remains too small:
by Jensen's inequality e^(mean of s) is at most the mean of e^s.

It needs 4d FLOPs for each near key and each far block of a query: at most 2 ``block`` and
2 log₂(n / block) of them, n log n in all; a C_B adds 2d².  A stream holds what its next query
sees, and no more.  The price is sharpness: one key far away that fits the query counts only
as a part of its block.  Use it to aggregate over a long past, not to look one thing up in it.

Source: kin to :cite:t:`kang2023fast`, which learns how to sum up a block, and to
:cite:t:`zhu2021htransformer`, which sums up queries, too; the cut is that of the fast multipole
method of :cite:t:`greengard1987fast`.
Taught in: "Future directions".
"""

import math
from typing import NamedTuple

import numpy as np
import sympy as sp
import torch
from torch.nn.functional import pad

from attention_limits import checks, symbols, tensors
from attention_limits.attention import packed
from attention_limits.attention.cost import Cost
from attention_limits.attention.packed import Segments
from attention_limits.attention.transforms import one_call
from attention_limits.formula import Formula

# What `help` shows, and first of all functions: states are looked up where they are returned.
__all__ = ["BLOCK", "LEVELS", "attend", "cost", "cover", "define", "step"]

BLOCK = 64  # keys in a leaf, and queries in a tile: small enough that its scores stay in cache
LEVELS = 48  # sizes of blocks that a Formula adds up; no sequence has 2^48 leaves


def cover(n: int, *, n_k: int | None = None, block: int = BLOCK) -> list[list[tuple[int, int]]]:
    """P_i for each of ``n`` queries: intervals (start, stop) of keys, from the first key on.

    Each key up to the query's own lies in exactly one.  For the blocks of level ℓ end where those
    of level ℓ − 1 begin, at (⌊a/2⌋ − 1) 2^(ℓ + 1) = 2 (⌊a/2⌋ − 1) 2^ℓ leaves; those of level 0
    end at leaf t − 1, where the near keys begin; and those of the last level, a = 2 or 3, begin
    at 0.

    Args:
        n: number of queries, the last of which is that of the last key.
        n_k: number of keys; None means ``n``.
        block: keys in a leaf.

    Raises:
        ValueError: naming the argument, if one of them is no integer or too small.
    """
    n_k = n if n_k is None else n_k
    n = checks.check_count("n", n)
    n_k = checks.check_count("n_k", n_k)
    block = checks.check_count("block", block, least=1)

    def intervals(i):
        t = i // block
        near = [(j, j + 1) for j in range(block * max(0, t - 1), i + 1)]
        far, a, size = [], t, block
        while a >= 2:
            blocks = range(2 * (a // 2 - 1), a - 1)
            far = [(c * size, (c + 1) * size) for c in blocks] + far
            a, size = a // 2, 2 * size
        return far + near

    return [intervals(i) for i in range(n_k - n, n_k)]


def define(
    q: np.ndarray,
    k: np.ndarray,
    v: np.ndarray,
    *,
    block: int = BLOCK,
    scale: float | np.ndarray | None = None,
    covariance: bool = False,
) -> np.ndarray:
    """The equations above, word for word, on (n, d) arrays; leading axes broadcast."""
    q = q * (1 / np.sqrt(max(q.shape[-1], 1)) if scale is None else scale)
    sees = cover(q.shape[-2], n_k=k.shape[-2], block=block)
    blocks = {B for P in sees for B in P}  # which many queries see alike

    def summed(K, V):
        k_mean, v_mean = K.mean(0), V.mean(0)
        C = (K - k_mean).T @ (V - v_mean) / len(K) if covariance else None
        return len(K), k_mean, v_mean, C

    def as_one(q, size, k_mean, v_mean, C):
        return k_mean @ q + np.log(size), v_mean if C is None else v_mean + C.T @ q

    def one_head(q, k, v):
        o = np.zeros((len(q), v.shape[-1]))
        of = {B: summed(k[slice(*B)], v[slice(*B)]) for B in blocks}
        for i, P in enumerate(sees):
            if P:
                seen = [as_one(q[i], *of[B]) for B in P]
                s, values = (np.array(x) for x in zip(*seen, strict=True))
                weights = np.exp(s - s.max())  # the shift cancels; without it, exp overflows
                o[i] = weights / weights.sum() @ values
        return o

    return np.vectorize(one_head, [float], signature="(i,d),(j,d),(j,e)->(i,e)")(q, k, v)


@tensors.own_precision
def attend(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    *,
    block: int = BLOCK,
    scale: float | torch.Tensor | None = None,
    covariance: bool = False,
    segments: Segments | None = None,
) -> torch.Tensor:
    """The same on (..., n, d) tensors, leaf by leaf, in time and memory of the order n log n.

    Half precision is computed in float32.  What some query sees must be finite.

    There is no ``mask``.  Padding on the right must be finite and changes no other output: ignore
    its own.  On the left it would move the borders of the leaves, and count among their means,
    unless ``segments`` names it.

    Args:
        q: queries (..., n_q, d), the last of which is that of the last key.
        k: keys (..., n_k, d), in the dtype and on the device of ``q``.
        v: values (..., n_k, d_v), likewise.  Leading axes broadcast, as for ``dense.attend``.
        block: keys in a leaf.  More of them are more exact, and take longer.
        scale: what multiplies the inner products, a number or a tensor that broadcasts to
            (..., n_q, 1), such as (h, 1, 1); None means d^-1/2.
        covariance: whether a far block also gives how its values vary with its keys.
        segments: where packed sequences are: see ``attention_limits.attention.packed``.

    Returns:
        (..., n_q, d_v), in the dtype of ``q``.  A query before the first key gets 0, and its
        gradients are 0.

    Raises:
        ValueError: naming the argument, if shapes, dtypes or devices do not fit, or if ``block``
            is no integer of at least 1.
    """
    lead = tensors.check(q, k, v)
    block = checks.check_count("block", block, least=1)
    dtype = q.dtype
    q, factor = tensors.folded(q, scale, lead)
    segments = packed.given(segments, lead, k.shape[-2])
    return _from_start(q, k, v, block, factor, covariance, segments).to(dtype)


def cost(*, block: int = BLOCK, covariance: bool = False) -> Cost:
    """Two blocks seen as one count once: all far leaves, less all far pairs of leaves, less ….

    A C_B counts 2d² for each row that it is made of, key or half, and as much for each query that
    sees it.  ``held`` is what the next query sees of the past.
    """
    block = checks.check_count("block", block, least=1)
    n, d, b, level = symbols.n, symbols.d, symbols.b, symbols.l

    def past(size):  # blocks of this size that are far from position n, or would be
        return sp.Max(sp.floor(n / size) - 1, 0)

    def pairs(size):  # the same for all queries up to there, added up
        return past(size) * (n - size * (sp.floor(n / size) + 2) / 2)

    def larger(count):
        return sp.Sum(count(block * 2**level), (level, 1, LEVELS))

    near, far = n * (n + 1) / 2 - block * pairs(block), pairs(block) - larger(pairs)
    whole = sp.floor(n / block)
    rest = n - block * whole
    tiles = block**2 * (whole + past(block)) + rest * (rest + block * sp.Min(whole, 1))
    rows = block * past(block) + 2 * larger(past)
    extra = 2 * d**2 * (far + rows) if covariance else 0
    blocks = (past(block) - larger(past)) * (2 * d + (d**2 if covariance else 0))
    return Cost(
        needed=Formula(4 * d * (near + far) + extra, "FLOPs", "needed by fractal attention"),
        executed=Formula(4 * d * (tiles + far) + extra, "FLOPs", "executed by fractal attention"),
        held=Formula(
            2 * d * b * (n - block * past(block)) + sp.Max(b, 4) * blocks,
            "bytes",
            "held by fractal attention",
        ),
    )


class Leaf(NamedTuple):
    """Keys and values of at most ``block`` tokens."""

    keys: torch.Tensor
    values: torch.Tensor


class Block(NamedTuple):
    """What is left of a far block: means (..., 1, d) and (..., 1, d_v), and C_B (..., d, d_v).

    Without ``covariance``, C_B has no rows.
    """

    keys: torch.Tensor
    values: torch.Tensor
    covariance: torch.Tensor


Far = tuple[tuple[Block, ...], ...]  # one or two of each size, the smallest size first


class Past(NamedTuple):
    """What the next query of a stream sees: the last full leaf, the tokens after it, far blocks."""

    last: Leaf
    rest: Leaf
    far: Far


@tensors.own_precision
def step(
    state: Past | None,
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    *,
    block: int = BLOCK,
    scale: float | torch.Tensor | None = None,
    covariance: bool = False,
) -> tuple[torch.Tensor, Past]:
    """Fractal attention for the next token, or the next few, of a stream.

    Args:
        state: what the last step returned; None starts a stream.
        q: queries of the new tokens only, shaped as for ``attend``.
        k: their keys.
        v: their values.
        block: as for ``attend``.
        scale: as for ``attend``.
        covariance: as for ``attend``.

    Returns:
        The new tokens' outputs and the state that the next step wants, of a size that grows with
        the logarithm of how many tokens there were.

    Raises:
        ValueError: naming the argument, if it does not fit the others or the stream.
    """
    lead = tensors.check(q, k, v)
    block = checks.check_count("block", block, least=1)
    tensors.check_stream(q, k)
    dtype = q.dtype
    q, factor = tensors.folded(q, scale, lead)
    if state is None:
        state = Past(_none_of(k, v), _none_of(k, v), ())
    tensors.check_continues("k", k, state.rest.keys)
    tensors.check_continues("v", v, state.rest.values)
    full = state.last.keys.shape[-2]
    if full not in (0, block):
        raise ValueError(f"block must be that of the stream, {full}, got {block}")
    # Of no width, a covariance has no rows either.
    if state.far and k.shape[-1] and covariance != bool(state.far[0][0].covariance.shape[-2]):
        raise ValueError(
            f"covariance must be that of the stream, {not covariance}, got {covariance}"
        )
    k, v = torch.cat([state.rest.keys, k], dim=-2), torch.cat([state.rest.values, v], dim=-2)
    out, state = _scan(state, q, k, v, block, factor, covariance)
    # A view would keep alive all the tokens of this step.
    last, rest = (Leaf(leaf.keys.clone(), leaf.values.clone()) for leaf in (state.last, state.rest))
    return out.to(dtype), Past(last, rest, state.far)


def _none_of(k: torch.Tensor, v: torch.Tensor) -> Leaf:
    return Leaf(k[..., :0, :], v[..., :0, :])


@one_call
def _from_start(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    block: int,
    factor: float,
    covariance: bool,
    segments: torch.Tensor | None,
) -> torch.Tensor:
    def compute(q, k, v):
        blind = max(0, q.shape[-2] - k.shape[-2])
        start = Past(_none_of(k, v), _none_of(k, v), ())
        out, _ = _scan(start, q[..., blind:, :], k, v, block, factor, covariance)
        return pad(out, (0, 0, blind, 0)).to(v.dtype)

    return packed.alone(compute, segments, [q], [k, v])


def _scan(
    past: Past,
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    block: int,
    factor: float,
    covariance: bool,
) -> tuple[torch.Tensor, Past]:
    """Outputs for the last n_q of the n_k tokens that come after ``past.last``, and what is left.

    All queries of a leaf see the same far blocks: one small product of matrices a leaf.
    """
    wide = torch.promote_types(q.dtype, torch.float32)
    n_k = k.shape[-2]
    old = n_k - q.shape[-2]
    starts = range(0, max(n_k, 1), block)  # one leaf at least, be it empty
    lengths = [max(0, min(n_k, start + block) - max(old, start)) for start in starts]
    # Splitting once keeps the backward linear: a slice in the loop would scatter each leaf's
    # gradient into a tensor of full length.
    queries = q.split(lengths, dim=-2)
    leaves = map(Leaf, k.split(block, dim=-2), v.split(block, dim=-2))
    last, rest, far = past.last, _none_of(k, v), past.far
    outputs: list[torch.Tensor] = []
    for query, own in zip(queries, leaves, strict=True):
        if query.shape[-2] or not outputs:  # old leaves are only summed up; one output there is
            out = _seen(factor * query.to(wide), far, last, own, block)
            outputs.append(out.to(q.dtype))
        if own.keys.shape[-2] < block:
            rest = own
        else:
            if last.keys.shape[-2]:
                far = _pushed(far, _pooled(last, wide, covariance))
            last = own
    return torch.cat(outputs, dim=-2), Past(last, rest, far)


def _seen(query: torch.Tensor, far: Far, last: Leaf, own: Leaf, block: int) -> torch.Tensor:
    """One softmax over far blocks and near keys; the queries are the last ones of their leaf."""
    log_size = [math.log(block << level) for level, same in enumerate(far) for _ in same]
    blocks = [x for same in far for x in same]
    seen: tuple[Block | Leaf, ...] = (*blocks, last, own)
    keys = torch.cat([x.keys.to(query.dtype) for x in seen], dim=-2)
    values = torch.cat([x.values.to(query.dtype) for x in seen], dim=-2)
    rows, columns = query.shape[-2], keys.shape[-2]
    future = torch.ones(rows, columns, dtype=torch.bool, device=query.device)
    future = future.triu(columns - rows + 1)
    scores = query @ keys.mT
    scores.add_(pad(query.new_tensor(log_size), (0, columns - len(blocks))))  # a near key is one
    weights = scores.masked_fill_(future, -torch.inf).softmax(-1)
    out = weights @ values
    if blocks and blocks[0].covariance.shape[-2]:
        share = weights[..., : len(blocks), None] * query[..., None, :]
        out = out + share.flatten(-2) @ torch.cat([x.covariance for x in blocks], dim=-2)
    return out


def _pushed(far: Far, new: Block) -> Far:
    """One more of the smallest size; a third one makes the first two one of twice the size.

    The way a binary counter carries, and just when these two are far enough to be seen as one.
    """
    same, *larger = far or ((),)
    if len(same) < 2:
        return ((*same, new), *larger)
    return ((new,), *_pushed(tuple(larger), _merged(*same)))


def _pooled(rows: Leaf, wide: torch.dtype, covariance: bool) -> Block:
    """Rows of keys and values, all as one."""
    k, v = (x.to(wide) for x in rows)
    keys, values = (x.mean(-2, keepdim=True) for x in (k, v))
    if not covariance:
        return Block(keys, values, values[..., :0, :])
    return Block(keys, values, (k - keys).mT @ (v - values) / k.shape[-2])


def _merged(one: Block, other: Block) -> Block:
    """The two as one; its covariance is that within the two, on average, and that between them."""
    rows = Leaf(*(torch.cat(pair, dim=-2) for pair in zip(one[:2], other[:2], strict=True)))
    both = _pooled(rows, rows.keys.dtype, bool(one.covariance.shape[-2]))
    within = (one.covariance + other.covariance) / 2
    return both._replace(covariance=within + both.covariance)
