r"""The gated delta rule: a state that overwrites key by key, and forgets as a whole.

.. math::

    S_i = e^{g_i} \bigl( I - \beta_i \hat{k}_i \hat{k}_i^\top \bigr) S_{i-1}
          + \beta_i \hat{k}_i v_i^\top, \qquad
    o_i = \frac{S_i^\top q_i}{\sqrt{d}}, \qquad
    \hat{k} = \frac{k}{\|k\|}

from S = 0: the delta rule, with 0 < β < 2, on a state that first decays, as in gated linear
attention, by one number a token, where g is ``log_decay``, at most 0; g = −∞ forgets all.  The
delta rule alone can clear one key at a time, decay alone only all of them alike.  Always causal;
with n_q ≠ n_k, query i sees the keys j ≤ i + n_k − n_q (bottom-right alignment), and 0 where
there is none.  A key of 0 stays 0 and writes nothing.

It needs 6nd² FLOPs and a stream holds d² numbers, as for the delta rule; the price is the same
too, no more than d things told apart.  Use it for long streams that change their subject.

Source: :cite:t:`yang2025gated`.  Taught in: "Future directions".
"""

from functools import partial

import numpy as np
import torch

from attention_limits import tensors
from attention_limits.attention import delta_rule, packed, recurrence
from attention_limits.attention.cost import Cost
from attention_limits.attention.delta_rule import writes
from attention_limits.attention.gated_linear import decays
from attention_limits.attention.options import column
from attention_limits.attention.packed import Segments
from attention_limits.attention.recurrence import State
from attention_limits.attention.transforms import one_call
from attention_limits.formula import Formula


def define(
    q: np.ndarray,
    k: np.ndarray,
    v: np.ndarray,
    log_decay: np.ndarray,
    beta: np.ndarray,
    *,
    scale: float | np.ndarray | None = None,
) -> np.ndarray:
    """The recurrence above, word for word, on (n, d) arrays; leading axes broadcast."""
    q = q * (1 / np.sqrt(max(q.shape[-1], 1)) if scale is None else scale)
    length = np.linalg.norm(k, axis=-1, keepdims=True)
    k = k / np.where(length == 0, 1, length)

    def one_head(q, k, v, decay, beta):
        S, o = np.zeros((k.shape[-1], v.shape[-1])), np.zeros((len(q), v.shape[-1]))
        first = len(q) - len(k)  # the last query sits at the last key
        for i, (k_i, v_i, decay_i, beta_i) in enumerate(
            zip(k, v, decay, beta, strict=True), start=first
        ):
            S = decay_i * (S - beta_i * np.outer(k_i, k_i) @ S) + beta_i * np.outer(k_i, v_i)
            if i >= 0:
                o[i] = S.T @ q[i]
        return o

    heads = np.vectorize(one_head, [float], signature="(i,d),(j,d),(j,e),(j,g),(j,g)->(i,e)")
    return heads(q, k, v, np.exp(column(log_decay, q, k, v)), column(beta, q, k, v))


@tensors.own_precision
def attend(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    log_decay: torch.Tensor,
    beta: torch.Tensor,
    *,
    scale: float | torch.Tensor | None = None,
    segments: Segments | None = None,
) -> torch.Tensor:
    """The same on (..., n, d) tensors, a chunk at a time, in time and memory linear in n.

    Half precision is computed in float32.  No decay is too strong, −∞ included.

    There is no ``mask``.  Padding on the right changes no other output: ignore its own.  Anywhere
    else, give it β = 0 and ``log_decay`` 0, which leave the state as it is.  It must be
    finite, NaN spoils its neighbours, unless ``segments`` names it.

    Args:
        q: queries (..., n_q, d).
        k: keys (..., n_k, d) of any length, in the dtype and on the device of ``q``.
        v: values (..., n_k, d_v), likewise.  Leading axes broadcast, as for ``dense.attend``.
        log_decay: g, (..., n_k, 1), of any floating-point dtype, at most 0 (nobody looks).
        beta: (..., n_k, 1), likewise, between 0 and 2 (nor here).  A gate that is shaped like
            ``k`` or the outputs without their last axis, or has a single axis, is (..., n_k).
        scale: what multiplies the outputs, a number or a tensor that broadcasts to
            (..., n_q, 1), such as (h, 1, 1); None means d^-1/2.
        segments: where packed sequences are: see ``attention_limits.attention.packed``.

    Returns:
        (..., n_q, d_v), in the dtype of ``q``.  A query that sees nothing gets 0, and its
        gradients are 0; a key of 0 gets the gradient 0.

    Raises:
        ValueError: naming the argument, if shapes, dtypes or devices do not fit.
    """
    tokens, factor = _checked(q, k, v, log_decay, beta, scale)
    lead = torch.broadcast_shapes(*(x.shape[:-2] for x in tokens))
    segments = packed.given(segments, lead, k.shape[-2])
    return _from_start(*tokens, factor, segments).to(q.dtype)


def cost() -> Cost:
    """That of the delta rule: the decays are factors, and no matrix product has more to do."""
    same = delta_rule.cost()
    return Cost(
        needed=Formula(same.needed.expr, "FLOPs", "needed by the gated delta rule"),
        executed=Formula(same.executed.expr, "FLOPs", "executed by the gated delta rule"),
        held=Formula(same.held.expr, "bytes", "held by the gated delta rule"),
    )


@tensors.own_precision
def step(
    state: State | None,
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    log_decay: torch.Tensor,
    beta: torch.Tensor,
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
        beta: their β.
        scale: as for ``attend``.

    Returns:
        The new tokens' outputs and the state that the next step wants, of a size that does not
        depend on how many tokens there were.

    Raises:
        ValueError: naming the argument, if it does not fit the others or the stream.
    """
    tokens, factor = _checked(q, k, v, log_decay, beta, scale)
    tensors.check_stream(q, k)
    S = recurrence.resume(state, *tokens[1:])
    out, S = recurrence.scan(partial(_chunk, factor), S, *tokens)
    return out.to(q.dtype), State(S)


def _checked(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    log_decay: torch.Tensor,
    beta: torch.Tensor,
    scale: float | torch.Tensor | None,
) -> tuple[list[torch.Tensor], float]:
    lead = tensors.check(q, k, v)
    log_decay = tensors.check_gate("log_decay", log_decay, k, lead)
    beta = tensors.check_gate("beta", beta, k, lead)
    lead = tensors.joined("log_decay", log_decay, lead)
    lead = tensors.joined("beta", beta, lead)
    q, factor = tensors.folded(q, scale, lead)
    return recurrence.widened(q, k, v, log_decay, beta), factor


@one_call
def _from_start(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    log_decay: torch.Tensor,
    beta: torch.Tensor,
    factor: float,
    segments: torch.Tensor | None,
) -> torch.Tensor:
    def compute(q, *tokens):
        out, _ = recurrence.scan(partial(_chunk, factor), recurrence.start(*tokens), q, *tokens)
        return out

    return packed.alone(compute, segments, [q], [k, v, log_decay, beta])


def _chunk(
    factor: float,
    S: torch.Tensor,
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    log_decay: torch.Tensor,
    beta: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor]:
    """The delta rule's, where all that is found has decayed since it was left."""
    k = tensors.unit(k)
    between, before, after = decays(log_decay)
    u = writes(k @ k.mT * between, before * (k @ S), v, beta)
    out = (q @ k.mT * between) @ u + before * (q @ S)
    return factor * out, before[..., -1:, :] * S + (after * k).mT @ u
