r"""Linear attention: what a query sees is summed up before the query is known.

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
with j ≤ i + n_k − n_q (bottom-right alignment).  A weighted mean of the values like dense
attention's, but of other weights: φ(q)·φ(k) for e^(q·k).  As q enters last, the sums over j are
the same for every query, and a stream carries them along: a state of d (d + 1) numbers.

The normaliser is part of the definition.  Where it is 0 (no key is seen, or with "relu" none
that shares a positive entry with the query), o_i = 0 with zero gradients.  There is no 1/√d: for
"relu" any scale cancels, and for "elu" the definition has none.

It needs 4nd(d + 1) FLOPs, causal or not: linear in n, and fewer than dense attention from
n = d + 2 on, causal from n = 2d + 2 on.  Memory is linear, and that of a stream constant.  The
price is that constant: a state of d features can tell no more than d keys apart.

Source: :cite:t:`katharopoulos2020transformers`.  Taught in: "Quadratic cost".
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import sympy as sp
import torch
from torch.autograd.function import once_differentiable
from torch.nn.functional import pad

from attention_limits import checks, symbols, tensors
from attention_limits.attention import dense, recurrence
from attention_limits.attention.cost import Cost
from attention_limits.formula import Formula

# What `help` shows, and first of all functions: states are looked up where they are returned.
__all__ = ["FEATURE_MAPS", "SEGMENT", "SLOPES", "attend", "cost", "define", "step"]

# Causal: so many tokens have their features computed at once, and anew on the way back.  Those of
# a long text would fill tensors that come fresh from the system each time, and clearing these
# takes as long as the rest.
SEGMENT = 256

FEATURE_MAPS = {
    # elu(x) + 1.  The function elu, e^x − 1 for x < 0, rounds away a small e^x before 1 is added.
    "elu": lambda x: x.relu() + x.clamp(max=0).exp(),
    "relu": torch.relu,
}
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
) -> torch.Tensor:
    """The second fraction, on (..., n, d) tensors, in time and memory linear in n.

    Half precision is computed in float32.  What some query sees must be finite.  Causal, it is
    differentiable once.

    There is no ``mask``.  If ``causal``, padding on the right changes no other output: ignore its
    own.  Anywhere else, or if not causal, give it keys of −∞, or of 0 for "relu", whose φ is 0.
    Padding must be finite otherwise, NaN spoils its neighbours.

    Args:
        q: queries (..., n_q, d).
        k: keys (..., n_k, d), in the dtype and on the device of ``q``.
        v: values (..., n_k, d_v), likewise.  Leading axes broadcast, as for ``dense.attend``.
        causal: whether a query sees only keys up to its own position, the last query's being
            that of the last key.
        feature_map: φ, "elu" or "relu".

    Returns:
        (..., n_q, d_v), in the dtype of ``q``.  A query whose normaliser is 0 gets 0, and its
        gradients are 0.

    Raises:
        ValueError: naming the argument, if shapes, dtypes or devices do not fit, or if there is
            no such feature map.
    """
    tensors.check(q, k, v)
    if causal:
        empty = (x[..., :0, :] for x in (q, k, v))
        _, no_keys, no_values = _prepared(*empty, feature_map=feature_map)
        out, _ = _scan(recurrence.start(no_keys, no_values), q, k, v, feature_map)
        return out
    phi_q, phi_k, v_1 = _prepared(q, k, v, feature_map=feature_map)
    return _normalised(phi_q @ (phi_k.mT @ v_1)).to(q.dtype)


def cost(*, causal: bool = False) -> Cost:
    """Causal, each chunk also computes its own square; the state is float32 at the least."""
    n, d, b = symbols.n, symbols.d, symbols.b
    needed = 4 * n * d * (d + 1)  # phi(k) into the sums, and phi(q) out of them
    executed = needed + 2 * (2 * d + 1) * recurrence.pairs() if causal else needed
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
    empty = (x[..., :0, :] for x in (q, k, v))
    _, no_keys, no_values = _prepared(*empty, feature_map=feature_map)
    sums = recurrence.resume(state, no_keys, no_values)
    out, sums = _scan(sums, q, k, v, feature_map)
    return out, Sums(sums)


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
    surplus = k.shape[-2] - q.shape[-2]
    if surplus > 0:
        # Keys before the first query are old news to all of them: one product takes them all.
        (old_k, k), (old_v, v) = (x.tensor_split([surplus], dim=-2) for x in (k, v))
        _, phi_k, v_1 = _prepared(q[..., :0, :], old_k, old_v, feature_map=feature_map)
        sums = sums + phi_k.mT @ v_1
    if surplus < 0:
        q = q[..., -surplus:, :]  # those before the first key are blind
    whole: Sequence[torch.Tensor] = (sums, q, k, v)
    lead = q.shape[:-2]
    if one_axis := lead == k.shape[:-2] == v.shape[:-2]:  # of heads: there is a kernel for that
        whole = [x[None].flatten(0, -3) for x in whole]
    out, end = _Scan.apply(*whole, feature_map)
    out, sums = out.to(q.dtype), end.reshape(sums.shape)
    if one_axis:
        out = out.reshape(*lead, *out.shape[-2:])
    return (pad(out, (0, 0, -surplus, 0)) if surplus < 0 else out), sums


class _Scan(torch.autograd.Function):
    """The outputs of as many queries as keys, and the sums at the end.

    The way back is a scan too, from the end: a key needs to know of the queries after it only
    the sum of φ(q) gᵀ, with g for what comes down to the numerator and normaliser of each.
    """

    @staticmethod
    def forward(ctx, sums, q, k, v, feature_map):
        starts, outputs, totals = [], [], []
        for tokens in _segments(q, k, v):
            starts.append(sums)
            prepared = _prepared(*tokens, feature_map=feature_map)
            out, sums = recurrence.scan(_chunk, sums, *prepared)
            outputs.append(_normalised(out))
            totals.append(out[..., -1:].clone())  # a view would keep the rest alive
        out = torch.cat(outputs, dim=-2)
        ctx.save_for_backward(q, k, v, out, torch.cat(totals, dim=-2), *starts)
        ctx.feature_map = feature_map
        return out, sums

    @staticmethod
    @once_differentiable
    @tensors.own_precision
    def backward(ctx, d_out, d_sums):
        q, k, v, out, total, *starts = ctx.saved_tensors
        grads = [torch.empty_like(x) for x in (q, k, v)]
        segments = zip(_segments(q, k, v, out, total, d_out, *grads), starts, strict=True)
        for (*tokens, out, total, d_out, d_q, d_k, d_v), sums in reversed(list(segments)):
            phi_q, phi_k, _ = prepared = _prepared(*tokens, feature_map=ctx.feature_map)
            # Of out = mix / total: what comes down to the mix, and to the total.
            g = torch.cat([d_out, -(d_out * out).sum(-1, keepdim=True)], dim=-1)
            g *= torch.where(total == 0, 0, 1 / total)
            d_phi_q, d_phi_k, d_v_1, d_sums = _scan_back(sums, d_sums, *prepared, g)
            slope = SLOPES[ctx.feature_map]
            d_q.copy_((d_phi_q * slope(phi_q)).sum_to_size(d_q.shape))
            d_k.copy_((d_phi_k * slope(phi_k)).sum_to_size(d_k.shape))
            d_v.copy_(d_v_1[..., :-1].sum_to_size(d_v.shape))
        return d_sums, *grads, None


def _segments(*tensors: torch.Tensor) -> Iterator[tuple[torch.Tensor, ...]]:
    return zip(*(x.split(SEGMENT, dim=-2) for x in tensors), strict=True)


def _chunk(
    sums: torch.Tensor, phi_q: torch.Tensor, phi_k: torch.Tensor, v_1: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Earlier chunks are seen through the sums, a query's own chunk pair by pair."""
    out = _add_product(phi_q @ sums, (phi_q @ phi_k.mT).tril_(), v_1)
    return out, _add_product(sums, phi_k.mT, v_1)


def _scan_back(
    sums: torch.Tensor, d_sums: torch.Tensor, *tokens: torch.Tensor
) -> tuple[torch.Tensor, ...]:
    """From the last chunk to the first: the gradients of φ(q), φ(k), (v, 1) and the first sums."""
    chunks = list(zip(*(x.split(recurrence.CHUNK, dim=-2) for x in tokens), strict=True))
    starts = [sums]
    for _, phi_k, v_1, _ in chunks[:-1]:
        starts.append(_add_product(starts[-1], phi_k.mT, v_1))
    grads: list[list[torch.Tensor]] = []
    for sums, chunk in zip(reversed(starts), reversed(chunks), strict=True):
        *three, d_sums = _chunk_back(sums, d_sums, *chunk)
        grads.insert(0, three)
    return *(torch.cat(parts, dim=-2) for parts in zip(*grads, strict=True)), d_sums


def _chunk_back(
    sums: torch.Tensor,
    d_sums: torch.Tensor,
    phi_q: torch.Tensor,
    phi_k: torch.Tensor,
    v_1: torch.Tensor,
    g: torch.Tensor,
) -> tuple[torch.Tensor, ...]:
    """The way back of ``_chunk``, product by product, from g for its outputs."""
    weights, d_weights = (phi_q @ phi_k.mT).tril_(), (g @ v_1.mT).tril_()
    d_phi_q = _add_product(g @ sums.mT, d_weights, phi_k)
    d_phi_k = _add_product(v_1 @ d_sums.mT, d_weights.mT, phi_q)
    d_v_1 = _add_product(phi_k @ d_sums, weights.mT, g)
    return d_phi_q, d_phi_k, d_v_1, _add_product(d_sums, phi_q.mT, g).sum_to_size(d_sums.shape)


def _add_product(x: torch.Tensor, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """The sum x + ab, by one kernel where there is one axis of heads."""
    heads = x.shape[:-2]
    one = len(heads) == 1 and heads == a.shape[:-2] == b.shape[:-2]
    return torch.baddbmm(x, a, b) if one else x + a @ b


def _normalised(sums: torch.Tensor) -> torch.Tensor:
    """All columns over the last one; 0, with zero gradients, where that is 0."""
    mix, total = sums.split([sums.shape[-1] - 1, 1], dim=-1)
    none = total == 0  # and not `total > 0`, which would take NaN for a row that saw nothing
    return torch.where(none, 0, mix / torch.where(none, 1, total))
