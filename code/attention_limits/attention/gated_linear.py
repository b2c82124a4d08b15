r"""Gated linear attention: a sum over the past that also forgets.

.. math::

    S_i = \operatorname{Diag}\bigl( e^{g_i} \bigr) \, S_{i-1} + k_i v_i^\top, \qquad
    o_i = \frac{S_i^\top q_i}{\sqrt{d}}
        = \sum_{j \le i} \frac{q_i^\top \operatorname{Diag}
          \bigl( e^{g_{j+1} + \dots + g_i} \bigr) \, k_j}{\sqrt{d}} \, v_j

from S = 0, where g is ``log_decay``, one number a token or one for each channel of its key, at
most 0: with each later token the state shrinks by the factor e^g, and g = −∞ forgets all.  It may
depend on the token (gated linear attention, and with one number Mamba-2) or be a constant of the
head (retention).  Always causal; with n_q ≠ n_k, query i sees the keys j ≤ i + n_k − n_q
(bottom-right alignment), and 0 where there is none.

It is linear attention without the normaliser: forgetting keeps the sum bounded instead.  It needs
4nd² FLOPs, linear in n; a stream holds d² numbers.  The price is that linear attention's state, d
keys that it can tell apart, now also fades with distance.  Use it for long streams in which the
recent past matters most.

Source: :cite:t:`yang2024gated` for channels, :cite:t:`dao2024transformers` for one number a
token, :cite:t:`sun2023retentive` for one a head.  Taught in: "Future directions".
"""

from functools import partial

import numpy as np
import sympy as sp
import torch
from torch.nn.functional import pad

from attention_limits import symbols, tensors
from attention_limits.attention import packed, recurrence
from attention_limits.attention.cost import Cost
from attention_limits.attention.options import column
from attention_limits.attention.packed import Segments
from attention_limits.attention.recurrence import CHUNK, State
from attention_limits.attention.transforms import one_call
from attention_limits.formula import Formula


def define(
    q: np.ndarray,
    k: np.ndarray,
    v: np.ndarray,
    log_decay: np.ndarray,
    *,
    scale: float | np.ndarray | None = None,
) -> np.ndarray:
    """The recurrence above, word for word, on (n, d) arrays; leading axes broadcast."""
    q = q * (1 / np.sqrt(max(q.shape[-1], 1)) if scale is None else scale)

    def one_head(q, k, v, log_decay):
        S, o = np.zeros((k.shape[-1], v.shape[-1])), np.zeros((len(q), v.shape[-1]))
        first = len(q) - len(k)  # the last query sits at the last key
        for i, (k_i, v_i, g_i) in enumerate(zip(k, v, log_decay, strict=True), start=first):
            S = np.exp(g_i)[:, None] * S + np.outer(k_i, v_i)
            if i >= 0:
                o[i] = S.T @ q[i]
        return o

    heads = np.vectorize(one_head, [float], signature="(i,d),(j,d),(j,e),(j,g)->(i,e)")
    return heads(q, k, v, column(log_decay, q, k, v))


@tensors.own_precision
def attend(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    log_decay: torch.Tensor,
    *,
    scale: float | torch.Tensor | None = None,
    segments: Segments | None = None,
) -> torch.Tensor:
    """The same on (..., n, d) tensors, a chunk at a time, in time and memory linear in n.

    Half precision is computed in float32.  No decay is too strong, −∞ included: e^g is never
    divided by, and where it is 0 the gradient of g is 0.

    There is no ``mask``.  Padding on the right changes no other output: ignore its own.  Anywhere
    else, give it values of 0 and ``log_decay`` 0, which leave the state as it is.  It must be
    finite, NaN spoils its neighbours, unless ``segments`` names it.

    Args:
        q: queries (..., n_q, d).
        k: keys (..., n_k, d), in the dtype and on the device of ``q``.
        v: values (..., n_k, d_v), likewise.  Leading axes broadcast, as for ``dense.attend``.
        log_decay: g, of any floating-point dtype, at most 0 (nobody looks): (..., n_k, 1), or
            (..., n_k, d) for each channel its own, which takes about twice the time.  One that is
            shaped like ``k`` or the outputs without their last axis, or has a single axis, is
            (..., n_k).
        scale: what multiplies the outputs, a number or a tensor that broadcasts to
            (..., n_q, 1), such as (h, 1, 1); None means d^-1/2.
        segments: where packed sequences are: see ``attention_limits.attention.packed``.

    Returns:
        (..., n_q, d_v), in the dtype of ``q``.  A query that sees nothing gets 0, and its
        gradients are 0.

    Raises:
        ValueError: naming the argument, if shapes, dtypes or devices do not fit.
    """
    tokens, factor = _checked(q, k, v, log_decay, scale)
    lead = torch.broadcast_shapes(*(x.shape[:-2] for x in tokens))
    segments = packed.given(segments, lead, k.shape[-2])
    return _from_start(*tokens, factor, segments).to(q.dtype)


def cost(*, per_channel: bool = False) -> Cost:
    """Each chunk also computes its own pairs, per channel only those that the mask leaves."""
    n, d, b = symbols.n, symbols.d, symbols.b
    needed = 4 * n * d**2  # k into the state, and q out of it
    # Blocks of 2^e tokens: a query of their later half meets each key of their earlier one.
    levels = range(1, CHUNK.bit_length())
    halves = sum(2 ** (2 * e - 1) * sp.floor(n / 2**e) for e in levels)
    within = 2 * n * d + 3 * d * halves if per_channel else 4 * d * recurrence.pairs()
    return Cost(
        needed=Formula(needed, "FLOPs", "needed by gated linear attention"),
        executed=Formula(needed + within, "FLOPs", "executed by gated linear attention"),
        held=Formula(sp.Max(b, 4) * d**2, "bytes", "held by gated linear attention"),
    )


@tensors.own_precision
def step(
    state: State | None,
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    log_decay: torch.Tensor,
    *,
    scale: float | torch.Tensor | None = None,
) -> tuple[torch.Tensor, State]:
    """The same for the next token, or the next few, of a stream.

    Args:
        state: what the last step returned; None starts a stream.
        q: queries of the new tokens only, shaped as for ``attend``.
        k: their keys.
        v: their values.
        log_decay: their g.
        scale: as for ``attend``.

    Returns:
        The new tokens' outputs and the state that the next step wants, of a size that does not
        depend on how many tokens there were.

    Raises:
        ValueError: naming the argument, if it does not fit the others or the stream.
    """
    tokens, factor = _checked(q, k, v, log_decay, scale)
    tensors.check_stream(q, k)
    out, S = _scan(recurrence.resume(state, *tokens[1:]), *tokens, factor=factor)
    return out.to(q.dtype), State(S)


def decays(log_decay: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """How much is left within a chunk of (..., c, 1), of whatever each token finds or leaves.

    Returns:
        What token i finds of what token j left, (..., c, c), 0 for j > i; what it finds of the
        state before the chunk, (..., c, 1); what is left of it at the chunk's end, (..., c, 1).
    """
    c = log_decay.shape[-2]
    later = torch.ones(c, c, dtype=torch.bool, device=log_decay.device).tril(-1)
    # Every sum is summed on its own. A difference of two running sums would be ∞ − ∞ after a
    # decay to 0, and without a digit left after one of −1e30.
    sums = torch.where(later, log_decay, 0).cumsum(-2)
    between = sums.exp().tril()  # above the diagonal no sum has a term, so nothing overflows
    return between, log_decay.cumsum(-2).exp(), between[..., -1:, :].mT


def _checked(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    log_decay: torch.Tensor,
    scale: float | torch.Tensor | None,
) -> tuple[list[torch.Tensor], float]:
    lead = tensors.check(q, k, v)
    log_decay = tensors.check_gate("log_decay", log_decay, k, lead, per_channel=True)
    lead = tensors.joined("log_decay", log_decay, lead)
    q, factor = tensors.folded(q, scale, lead)
    return recurrence.widened(q, k, v, log_decay), factor


@one_call
def _from_start(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    log_decay: torch.Tensor,
    factor: float,
    segments: torch.Tensor | None,
) -> torch.Tensor:
    def compute(q, *tokens):
        out, _ = _scan(recurrence.start(*tokens), q, *tokens, factor=factor)
        return out

    return packed.alone(compute, segments, [q], [k, v, log_decay])


def _scan(
    S: torch.Tensor,
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    log_decay: torch.Tensor,
    *,
    factor: float,
) -> tuple[torch.Tensor, torch.Tensor]:
    if log_decay.shape[-1] == 1:
        return recurrence.scan(partial(_chunk, factor), S, q, k, v, log_decay)
    # What remains after the whole chunks goes in powers of two, so that all chunks can be halved.
    n = k.shape[-2]
    rest = [2**e for e in reversed(range(CHUNK.bit_length() - 1)) if n & 2**e]
    lengths = [CHUNK] * (n // CHUNK) + rest
    chunk = partial(_chunk_per_channel, factor)
    return recurrence.scan(chunk, S, q, k, v, log_decay, lengths=lengths)


def _chunk(
    factor: float,
    S: torch.Tensor,
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    log_decay: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor]:
    """With one g a token, the pairs of a chunk only need a factor each."""
    between, before, after = decays(log_decay)
    out = (q @ k.mT * between) @ v + before * (q @ S)
    return factor * out, before[..., -1:, :] * S + (after * k).mT @ v


def _chunk_per_channel(
    factor: float,
    S: torch.Tensor,
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    log_decay: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor]:
    """With one g a channel, query and key share their decays out: neither may grow, or e^g is ∞."""
    scores, q, k, decay = _meet(factor * q, k, log_decay.exp())
    return scores @ v + q @ S, decay.mT * S + k.mT @ v


def _meet(
    q: torch.Tensor, k: torch.Tensor, decay: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """All pairs of a chunk of 2^e tokens, from blocks of one token up to the block of all.

    Where two blocks become one, each query of the later meets each key of the earlier: the key
    brings the decays up to the border between them, the query those from there on.  So all pairs
    meet once, and decays are only ever multiplied, never divided by.

    Returns:
        Scores, (..., c, c), 0 for j > i; queries with all decays since the chunk began; keys with
        all decays until it ends; the decay of the whole, (..., 1, d).
    """
    k, decay = torch.broadcast_tensors(k, decay)
    scores = (q * k).sum(-1)[..., None, None]
    # From here on, (..., blocks, tokens of a block, width).
    q, k, decay = (x[..., None, :] for x in (q * decay, k, decay))
    while scores.shape[-3] > 1:
        (past, present), (q_0, q_1), (k_0, k_1), (decay_0, decay_1) = (
            x.unflatten(-3, (-1, 2)).unbind(-3) for x in (scores, q, k, decay)
        )
        past, present = pad(past, (0, past.shape[-1])), torch.cat([q_1 @ k_0.mT, present], -1)
        scores = torch.cat([past, present], dim=-2)
        q, k = torch.cat([q_0, decay_0 * q_1], dim=-2), torch.cat([decay_1 * k_0, k_1], dim=-2)
        decay = decay_0 * decay_1
    scores, q, k, decay = (x.squeeze(-3) for x in (scores, q, k, decay))
    return scores, q, k, decay
