r"""Linear attention: keys and values are summed up before the query is known.

.. math::

    o_i = \frac{\sum_{j \in V_i} \bigl( \phi(q_i) \cdot \phi(k_j) \bigr) \, v_j}
               {\sum_{j \in V_i} \phi(q_i) \cdot \phi(k_j)}
        = \frac{\phi(q_i)^\top \sum_{j \in V_i} \phi(k_j) \, v_j^\top}
               {\phi(q_i)^\top \sum_{j \in V_i} \phi(k_j)}

.. math::

    \phi(x) = \operatorname{elu}(x) + 1
    \quad\text{or}\quad
    \phi(x) = \max(x, 0),

entry by entry, where V_i is all keys or, if causal, those with 0 ≤ j ≤ i; with n_q ≠ n_k, those
with j ≤ i + n_k − n_q (bottom-right alignment).  It is a weighted mean of the values like
dense attention's, but with other weights: φ(q)·φ(k) for e^(q·k).  Since q enters last, the sums
over j are the same for every query, and decoding keeps them: a state of d (d + 1) numbers.

The normaliser is part of the definition.  Where it is 0 (no key is seen, or with "relu" none
that shares a positive entry with the query), o_i = 0 with zero gradients.  There is no 1/√d: for
"relu" any scale cancels, and for "elu" the definition has none.

It needs 4nd(d + 1) FLOPs, causal or not: linear in n, and fewer than dense attention from
n = d + 2 on, causal from n = 2d + 2 on.  Memory is linear, and that of a stream constant.  The
price is sharpness: of queries that see all of some keys (no mask, or keys before all of them), the
weights on keys of their own among those, added up, are at most d, so no more than d/p of them can
each put a share p of its weight on a key of its own.  Causal, each can on the newest key.

Source: :cite:t:`katharopoulos2020transformers`.  Taught in: "Quadratic cost".
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import sympy as sp
import torch
from torch.autograd import forward_ad
from torch.nn.functional import pad

from attention_limits import checks, symbols, tensors
from attention_limits.attention import dense, packed, recurrence
from attention_limits.attention.cost import Cost
from attention_limits.attention.packed import Segments
from attention_limits.attention.transforms import ByHand, one_call
from attention_limits.formula import Formula

# What `help` shows, and first of all functions: states are looked up where they are returned.
__all__ = ["CHUNK", "FEATURE_MAPS", "SEGMENT", "SLOPES", "attend", "cost", "define", "step"]

LOG2_E = 1 / math.log(2)

# Causal: so many tokens a chunk.  Within one, all pairs meet, later ones in vain: with chunks of d
# tokens, they would take as many FLOPs as are needed in all.
CHUNK = 32
# And of so many tokens the pairs of every chunk are computed at once, in the same memory for all
# segments: what comes fresh from the system is cleared first, and that takes as long as the rest.
SEGMENT = 512

FEATURE_MAPS = {
    # elu(x) + 1.  The function elu, e^x − 1 for x < 0, rounds away a small e^x before 1 is added.
    # A power of 2, for that of e takes three times as long on some CPUs.
    "elu": lambda x: x.relu() + x.clamp(max=0).mul_(LOG2_E).exp2_(),
    "relu": torch.relu,
}


def _elu_(x: torch.Tensor) -> None:
    """The same, written over x, which autograd could not undo."""
    positive = x.relu()
    x.clamp_(max=0).mul_(LOG2_E).exp2_().add_(positive)


IN_PLACE = {"elu": _elu_, "relu": torch.relu_}
SLOPES = {  # φ′(x), from φ(x)
    "elu": lambda phi: phi.clamp(max=1),
    "relu": torch.sign,
}


def define(
    q: np.ndarray,
    k: np.ndarray,
    v: np.ndarray,
    *,
    causal: bool = False,
    feature_map: str = "elu",
) -> np.ndarray:
    """The first fraction above, word for word, on (n, d) arrays; leading axes broadcast."""
    checks.check_choice("feature_map", feature_map, FEATURE_MAPS)

    def phi(x):
        positive = np.maximum(x, 0)
        return {"relu": positive, "elu": positive + np.exp(np.minimum(x, 0))}[feature_map]

    sees = dense.visible(q.shape[-2], n_k=k.shape[-2], causal=causal)

    def one_head(q, k, v):
        o = np.zeros((len(q), v.shape[-1]))
        for i, V in enumerate(sees):
            weights = phi(k[V]) @ phi(q[i])
            if weights.sum() != 0:
                o[i] = weights @ v[V] / weights.sum()
        return o

    return np.vectorize(one_head, [float], signature="(i,d),(j,d),(j,e)->(i,e)")(q, k, v)


@tensors.own_precision
def attend(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    *,
    causal: bool = False,
    feature_map: str = "elu",
    segments: Segments | None = None,
) -> torch.Tensor:
    """The second fraction, on (..., n, d) tensors, in time and memory linear in n.

    Half precision is computed in float32.  What some query sees must be finite.  Causal, it is
    differentiable twice.

    There is no ``mask``.  If ``causal``, padding on the right changes no other output: ignore its
    own.  Anywhere else, or if not causal, give it keys of −∞, or of 0 for "relu", whose φ is 0.
    It must be finite otherwise, NaN spoils its neighbours, unless ``segments`` names it.

    Args:
        q: queries (..., n_q, d).
        k: keys (..., n_k, d), in the dtype and on the device of ``q``.
        v: values (..., n_k, d_v), likewise.  Leading axes broadcast, as for ``dense.attend``.
        causal: whether a query sees only keys up to its own position, the last query's being
            that of the last key.
        feature_map: φ, "elu" or "relu".
        segments: where packed sequences are: see ``attention_limits.attention.packed``.

    Returns:
        (..., n_q, d_v), in the dtype of ``q``.  A query whose normaliser is 0 gets 0, and its
        gradients are 0.

    Raises:
        ValueError: naming the argument, if shapes, dtypes or devices do not fit, or if there is
            no such feature map.
    """
    lead = tensors.check(q, k, v)
    checks.check_choice("feature_map", feature_map, FEATURE_MAPS)
    segments = packed.given(segments, lead, k.shape[-2])
    return _computed(q, k, v, causal, feature_map, segments)


def cost(*, causal: bool = False) -> Cost:
    """Causal, each chunk also computes its own square; the state is float32 at the least.

    The normaliser, causal, takes sums and no product of matrices: those are all that is counted.
    """
    n, d, b = symbols.n, symbols.d, symbols.b
    needed = 4 * n * d * (d + 1)  # phi(k) into the sums, and phi(q) out of them
    executed = 4 * d * (n * d + recurrence.pairs(CHUNK)) if causal else needed
    return Cost(
        needed=Formula(needed, "FLOPs", "needed by linear attention"),
        executed=Formula(executed, "FLOPs", "executed by linear attention"),
        held=Formula(sp.Max(b, 4) * d * (d + 1), "bytes", "held by linear attention"),
    )


class Sums(NamedTuple):
    """Sums over all keys of a stream so far, (..., d, d_v + 1): of φ(k) vᵀ and, last, of φ(k)."""

    sums: torch.Tensor


@tensors.own_precision
def step(
    state: Sums | None,
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    *,
    feature_map: str = "elu",
) -> tuple[torch.Tensor, Sums]:
    """Causal linear attention for the next token, or the next few, of a stream.

    Args:
        state: what the last step returned; None starts a stream.
        q: queries of the new tokens only, shaped as for ``attend``.
        k: their keys.
        v: their values.
        feature_map: as for ``attend``.

    Returns:
        The new tokens' outputs and the state that the next step wants, of a size that does not
        depend on how many tokens there were.

    Raises:
        ValueError: naming the argument, if it does not fit the others or the stream.
    """
    tensors.check(q, k, v)
    tensors.check_stream(q, k)
    checks.check_choice("feature_map", feature_map, FEATURE_MAPS)
    sums = recurrence.resume(state, *_no_tokens(k, v))
    out, sums = _scan(sums, q, k, v, feature_map)
    return out, Sums(sums)


@one_call
def _computed(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    causal: bool,
    feature_map: str,
    segments: torch.Tensor | None,
) -> torch.Tensor:
    def compute(q, k, v):
        if causal:
            out, _ = _scan(recurrence.start(*_no_tokens(k, v)), q, k, v, feature_map)
            return out
        phi_q, phi_k, v_1 = _prepared(q, k, v, feature_map=feature_map)
        return _normalised(phi_q @ (phi_k.mT @ v_1)).to(q.dtype)

    return packed.alone(compute, segments, [q], [k, v])


def _no_tokens(k: torch.Tensor, v: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Keys and (v, 1) as the sums take them, in float32 at the least, of no tokens."""
    no_keys, no_values = recurrence.widened(k[..., :0, :], v[..., :0, :])
    return no_keys, pad(no_values, (0, 1))


def _prepared(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, *, feature_map: str
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """φ(q), φ(k) and (v, 1), in float32 at the least."""
    checks.check_choice("feature_map", feature_map, FEATURE_MAPS)
    phi = FEATURE_MAPS[feature_map]
    q, k, v = recurrence.widened(q, k, v)
    return phi(q), phi(k), pad(v, (0, 1), value=1)  # the normaliser is one more column


def _scan(
    sums: torch.Tensor, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, feature_map: str
) -> tuple[torch.Tensor, torch.Tensor]:
    """Causal outputs, and the sums at the end."""
    if not _joined(q, k, v).numel():  # no heads: nobody asks
        phi_q, phi_k, v_1 = _prepared(q, k, v, feature_map=feature_map)
        new = phi_k.mT @ v_1
        return _normalised(phi_q @ new).to(q.dtype), sums + new
    surplus = k.shape[-2] - q.shape[-2]
    if surplus > 0:
        # Keys before the first query are seen by all of them: one product takes them all.
        (old_k, k), (old_v, v) = (x.tensor_split([surplus], dim=-2) for x in (k, v))
        _, phi_k, v_1 = _prepared(q[..., :0, :], old_k, old_v, feature_map=feature_map)
        sums = sums + phi_k.mT @ v_1
    if surplus < 0:
        q = q[..., -surplus:, :]  # those before the first key are blind
    whole: Sequence[torch.Tensor] = (sums, q, k, v)
    lead = q.shape[:-2]
    if one_axis := lead == k.shape[:-2] == v.shape[:-2]:  # of heads: there is a kernel for that
        whole = [x[None].flatten(0, -3) for x in whole]
    out, end = _tokens(*whole, feature_map=feature_map)
    out, sums = out.to(q.dtype), end.reshape(sums.shape)
    if one_axis:
        out = out.reshape(*lead, *out.shape[-2:])
    return (pad(out, (0, 0, -surplus, 0)) if surplus < 0 else out), sums


# The outputs of as many queries as keys, and the sums at the end. The backward pass is a scan, too,
# from the end: a key needs to know of the queries after it only the sum of φ(q) gᵀ, with g for what
# comes down to the numerator and normaliser of each.
#
# Below, capitals stand for the chunks of a segment, (chunks, heads, tokens, width) with all heads
# in one axis, and S for one matrix a head.  Q and K are features, M is what the weights P mix and
# T divides.  The chunks of all segments lie in the same memory, and are computed in place.


def _forward(sums, q, k, v, *, mask, feature_map):
    """Keeps all normalisers, and the sums before each segment."""
    lead = _joined(q, k, v)
    n, d, d_v, heads = q.shape[-2], k.shape[-1], v.shape[-1], lead.numel()
    out, total = (sums.new_empty(*lead, n, width) for width in (d_v, 1))
    segments = _segments(*(x.expand(*lead, *x.shape[-2:]) for x in (q, k, v)), out, total)
    starts = sums.new_empty(len(segments), heads, d, d_v + 1)
    S, z = _parted(sums.expand(*lead, d, d_v + 1).flatten(0, -3))
    rooms = _rooms(sums, heads, n, d, d, d_v, d_v, None)
    for start, (*inputs, out_here, total_here) in zip(starts, segments, strict=True):
        start.copy_(torch.cat([S, z], dim=-1))
        (Q, K, V, M, P), chunks = rooms(*_tiled(out_here).shape)
        _load(inputs, (Q, K, V), feature_map)
        _product(P, Q, K.mT).tril_()  # a query's own chunk is seen pair by pair
        _product(M, P, V)
        for Q_c, K_c, V_c, M_c, _ in chunks:
            _add_product(M_c, Q_c, S)  # and earlier ones through the sums
            _add_product(S, K_c.mT, V_c)
        before, z = _running(z, K.sum(-2))
        T = (Q * before.mT).sum(-1, keepdim=True) + P.sum(-1, keepdim=True)
        _tiled(total_here).copy_(_apart(T, lead))
        _tiled(out_here).copy_(_apart(M.div_(_divisor(T)), lead))
    end = _apart(torch.cat([S, z], dim=-1), lead, axis=0)
    end = end if end.shape == sums.shape else _first(end, sums.shape).clone()
    return [out, end], [total, *(_apart(start, lead, axis=0) for start in starts)]


def _backward(tensors, kept, upstream, *, mask, feature_map):
    """The gradients of the first sums and of q, k and v; dX stands for that of X."""
    (sums, q, k, v), (out, _, total, *starts), (d_out, d_end) = tensors, kept, upstream
    lead, slope = out.shape[:-2], SLOPES[feature_map]
    n, d, d_v, heads = q.shape[-2], k.shape[-1], v.shape[-1], lead.numel()
    grads = [torch.empty_like(x) for x in (q, k, v)]
    # All with as many axes; and where heads share something, each as if it had its own.
    aligned = [x[(None,) * (out.ndim - x.ndim)] for x in (q, k, v, *grads)]
    apart = [x.expand(*lead, *x.shape[-2:]) for x in aligned[:3]]
    segments = _segments(*apart, d_out, out, total, *aligned[3:])
    d_sums = sums.new_zeros(*lead, d, d_v + 1)
    _first(d_sums, sums.shape).copy_(d_end)
    dS, dz = _parted(d_sums.flatten(0, -3))
    rooms = _rooms(sums, heads, n, d, d, d_v, d_v, d, d, d_v, None, None)
    for start, segment in reversed([*zip(starts, segments, strict=True)]):
        *inputs, d_out_here, out_here, total_here = segment[:6]
        (Q, K, V, G, dQ, dK, dV, P, dP), chunks = rooms(*_tiled(out_here).shape)
        _load(inputs, (Q, K, V), feature_map)
        # Of out = mix / total: what comes down to the mix, G, and to the total, g.
        divisor = _divisor(_tiled(total_here).flatten(1, -3))
        # Where the normaliser is 0 the output is, whatever comes down to it.
        _apart(G, lead).copy_(_tiled(d_out_here).masked_fill(_tiled(total_here) == 0, 0))
        _apart(dV, lead).copy_(_tiled(out_here))
        g = (G.div_(divisor) * dV).sum(-1, keepdim=True).neg_()
        # Pair by pair.
        _product(P, Q, K.mT).tril_()
        _product(dP, G, V.mT).add_(g).tril_()
        for d_part, a, b in ((dQ, dP, K), (dK, dP.mT, Q), (dV, P.mT, G)):
            _product(d_part, a, b)
        # Through the sums: of earlier keys for a query, of later queries for a key.
        S, z = _parted(start.flatten(0, -3))
        for _, K_c, V_c, G_c, dQ_c, *_ in chunks:
            _add_product(dQ_c, G_c, S.mT)
            _add_product(S, K_c.mT, V_c)
        for Q_c, K_c, V_c, G_c, _, dK_c, dV_c, *_ in reversed(chunks):
            _add_product(dK_c, V_c, dS.mT)
            _add_product(dV_c, K_c, dS)
            _add_product(dS, Q_c.mT, G_c)
        before, _ = _running(z, K.sum(-2))
        after, dz = _running(dz, (g * Q).sum(-2).flip(0))
        dQ.addcmul_(g, before.mT).mul_(slope(Q))
        dK.add_(after.flip(0).mT).mul_(slope(K))
        for d_part, here in zip((dQ, dK, dV), segment[6:], strict=True):
            here = _tiled(here)
            here.copy_(_apart(d_part, lead).sum_to_size(here.shape))
    d_sums = _apart(torch.cat([dS, dz], dim=-1), lead, axis=0).sum_to_size(sums.shape)
    return d_sums, *grads


def _plain(sums, q, k, v, *, mask, feature_map):
    """The same in few words, which PyTorch can differentiate: nothing is written over."""

    def chunk(sums, phi_q, phi_k, v_1):
        out = (phi_q @ phi_k.mT).tril() @ v_1 + phi_q @ sums
        return out, sums + phi_k.mT @ v_1

    out, sums = recurrence.scan(chunk, sums, *_prepared(q, k, v, feature_map=feature_map))
    return [_normalised(out), sums]


_tokens = ByHand(_forward, _backward, outputs=2, keeps_outputs=True, plain=_plain)


def _segments(*whole: torch.Tensor) -> list[tuple[torch.Tensor, ...]]:
    """All cut alike along the tokens: SEGMENT each, the chunks that are left, and the rest."""
    n = whole[0].shape[-2]
    if 0 < n <= CHUNK:  # a stream's step, which should not wait
        return [whole]
    rest = n % CHUNK
    lengths = [SEGMENT] * ((n - rest) // SEGMENT) + [(n - rest) % SEGMENT, rest]
    lengths = [length for length in lengths if length]
    return [*zip(*(x.split(lengths, dim=-2) for x in whole), strict=True)]


def _tiled(x: torch.Tensor) -> torch.Tensor:
    """A view of a segment: (..., n, width) as (chunks, ..., tokens, width)."""
    return x[None] if x.shape[-2] <= CHUNK else x.unflatten(-2, (-1, CHUNK)).movedim(-3, 0)


def _joined(*inputs: torch.Tensor) -> torch.Size:
    """What their leading axes broadcast to; at once where there is nothing to broadcast."""
    leads = {x.shape[:-2] for x in inputs}
    return leads.pop() if len(leads) == 1 else torch.broadcast_shapes(*leads)


def _apart(x: torch.Tensor, lead: torch.Size, axis: int = 1) -> torch.Tensor:
    """A view with the leading axes where those of all heads are one."""
    return x if len(lead) == 1 else x.unflatten(axis, lead)


def _rooms(like: torch.Tensor, heads: int, n: int, *widths: int | None) -> Callable:
    """Takes the shape of a segment's chunks to memory for them; None is as wide as a chunk long.

    It comes in whole, a list of tensors, and once more chunk by chunk.
    """
    longest = heads * min(SEGMENT, n)
    memory = [like.new_empty(longest * (min(CHUNK, n) if w is None else w)) for w in widths]

    held: dict[tuple[int, ...], tuple] = {}  # `functools.cache` is not for torch.compile

    def rooms(chunks: int, *shape: int) -> tuple[list[torch.Tensor], list[tuple]]:
        tokens = shape[-2]
        if (chunks, tokens) not in held:
            shapes = [(chunks, heads, tokens, tokens if w is None else w) for w in widths]
            parts = zip(memory, shapes, strict=True)
            whole = [part[: math.prod(shape)].view(shape) for part, shape in parts]
            held[chunks, tokens] = whole, [*zip(*whole, strict=True)]
        return held[chunks, tokens]

    return rooms


def _load(inputs: Sequence[torch.Tensor], rooms: Sequence[torch.Tensor], feature_map: str) -> None:
    """Queries, keys and values of a segment into memory for their chunks, as φ(q), φ(k) and v."""
    for x, room in zip(inputs, rooms, strict=True):
        _apart(room, x.shape[:-2]).copy_(_tiled(x))
    for room in rooms[:2]:
        IN_PLACE[feature_map](room)


def _product(x: torch.Tensor, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Write ab over x, for all chunks of a segment at once."""
    _add_product(*(y.flatten(0, 1) for y in (x, a, b)), beta=0)
    return x


def _add_product(x: torch.Tensor, a: torch.Tensor, b: torch.Tensor, *, beta: int = 1) -> None:
    """Write βx + ab over x: ``x.baddbmm_``, whose FLOPs PyTorch's counter would overlook."""
    if forward_ad._current_level >= 0:  # which has no formula for `out`
        x.baddbmm_(a, b, beta=beta)
    else:
        torch.baddbmm(x, a, b, beta=beta, out=x)


def _parted(sums: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Copies of the sums of φ(k) vᵀ and of φ(k), the last column."""
    return sums[..., :-1].clone(memory_format=torch.contiguous_format), sums[..., -1:].clone()


def _running(first: torch.Tensor, vectors: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Columns summed up, from ``first``: what is there before each of them, and after the last."""
    columns = torch.cat([first[None], vectors[..., None]]).cumsum(0)
    return columns[:-1], columns[-1]


def _first(x: torch.Tensor, shape: torch.Size) -> torch.Tensor:
    """Along what was expanded from this shape, the first of all that are alike: a view."""
    x = x[(0,) * (x.ndim - len(shape))]
    for axis, size in enumerate(shape):
        x = x.narrow(axis, 0, size)
    return x


def _divisor(total: torch.Tensor) -> torch.Tensor:
    """What divides to 0, with zero gradients, where the normaliser is 0."""
    # And not where `total > 0` fails, which would take NaN for a row that saw nothing.
    return total.masked_fill(total == 0, torch.inf)


def _normalised(sums: torch.Tensor) -> torch.Tensor:
    """All columns over the last one."""
    mix, total = sums.split([sums.shape[-1] - 1, 1], dim=-1)
    return mix / _divisor(total)
