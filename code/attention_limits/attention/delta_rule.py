r"""The delta rule: before a key gets a new value, its old value is looked up and removed.

.. math::

    S_i = S_{i-1} - \beta_i \, \hat{k}_i \bigl( S_{i-1}^\top \hat{k}_i - v_i \bigr)^\top
        = \bigl( I - \beta_i \hat{k}_i \hat{k}_i^\top \bigr) S_{i-1}
          + \beta_i \hat{k}_i v_i^\top

.. math::

    o_i = \frac{S_i^\top q_i}{\sqrt{d}}, \qquad
    \hat{k} = \frac{k}{\|k\|}

from S = 0, where 0 < β < 2 says how much of it.  β = 1 replaces the key's old value; a smaller β
moves it part of the way, one step of gradient descent on ‖Sᵀk̂ − v‖²/2; beyond 1, some of the old
value stays, with the opposite sign, which lets a state count modulo two.  Keys are normalised to
length 1, so the factor in brackets never makes a state grow; a key of 0 stays 0 and does nothing.
Always causal; with n_q ≠ n_k, query i sees the keys j ≤ i + n_k − n_q (bottom-right alignment), and
0 where there is none.

It needs 6nd² FLOPs, 2d² a token for each of the lookup, the write and the answer: half as many
again as linear attention, whose state it keeps, d² numbers a stream.  But linear attention sums all
values that a key ever had; the delta rule overwrites, so d orthogonal keys keep their latest values
exactly.  Use it where the past is to be looked up and changed, and has no more than d things.

Source: :cite:t:`schlag2021linear` for the rule, :cite:t:`yang2024parallelizing` for the chunks,
:cite:t:`grazzi2025unlocking` for β > 1.  Taught in: "Future directions".
"""

from functools import partial

import numpy as np
import sympy as sp
import torch

from attention_limits import symbols, tensors
from attention_limits.attention import packed, recurrence
from attention_limits.attention.cost import Cost
from attention_limits.attention.options import column
from attention_limits.attention.packed import Segments
from attention_limits.attention.recurrence import State
from attention_limits.attention.transforms import one_call
from attention_limits.formula import Formula


def define(
    q: np.ndarray,
    k: np.ndarray,
    v: np.ndarray,
    beta: np.ndarray,
    *,
    scale: float | np.ndarray | None = None,
) -> np.ndarray:
    """The first recurrence above, word for word, on (n, d) arrays; leading axes broadcast."""
    q = q * (1 / np.sqrt(max(q.shape[-1], 1)) if scale is None else scale)
    length = np.linalg.norm(k, axis=-1, keepdims=True)
    k = k / np.where(length == 0, 1, length)

    def one_head(q, k, v, beta):
        S, o = np.zeros((k.shape[-1], v.shape[-1])), np.zeros((len(q), v.shape[-1]))
        first = len(q) - len(k)  # the last query sits at the last key
        for i, (k_i, v_i, beta_i) in enumerate(zip(k, v, beta, strict=True), start=first):
            S = S - beta_i * np.outer(k_i, S.T @ k_i - v_i)
            if i >= 0:
                o[i] = S.T @ q[i]
        return o

    heads = np.vectorize(one_head, [float], signature="(i,d),(j,d),(j,e),(j,g)->(i,e)")
    return heads(q, k, v, column(beta, q, k, v))


@tensors.own_precision
def attend(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    beta: torch.Tensor,
    *,
    scale: float | torch.Tensor | None = None,
    segments: Segments | None = None,
) -> torch.Tensor:
    """The same on (..., n, d) tensors, a chunk at a time, in time and memory linear in n.

    Half precision is computed in float32.

    There is no ``mask``.  Padding on the right changes no other output: ignore its own.  Anywhere
    else, give it β = 0, which leaves the state as it is.  It must be finite, NaN spoils its
    neighbours, unless ``segments`` names it.

    Args:
        q: queries (..., n_q, d).
        k: keys (..., n_k, d) of any length, in the dtype and on the device of ``q``.
        v: values (..., n_k, d_v), likewise.  Leading axes broadcast, as for ``dense.attend``.
        beta: (..., n_k, 1), of any floating-point dtype, between 0 and 2 (nobody looks).  One that
            is shaped like ``k`` or the outputs without their last axis, or has a single axis, is
            (..., n_k).
        scale: what multiplies the outputs, a number or a tensor that broadcasts to
            (..., n_q, 1), such as (h, 1, 1); None means d^-1/2.
        segments: where packed sequences are: see ``attention_limits.attention.packed``.

    Returns:
        (..., n_q, d_v), in the dtype of ``q``.  A query that sees nothing gets 0, and its
        gradients are 0; a key of 0 gets the gradient 0.

    Raises:
        ValueError: naming the argument, if shapes, dtypes or devices do not fit.
    """
    tokens, factor = _checked(q, k, v, beta, scale)
    lead = torch.broadcast_shapes(*(x.shape[:-2] for x in tokens))
    segments = packed.given(segments, lead, k.shape[-2])
    return _from_start(*tokens, factor, segments).to(q.dtype)


def cost() -> Cost:
    """Each chunk also computes two squares: of its keys, and of its queries and keys.

    The counter does not see the triangular system that a chunk solves, at most nd · 64 FLOPs in
    all; nor, therefore, do these.
    """
    n, d, b = symbols.n, symbols.d, symbols.b
    needed = 6 * n * d**2  # k out of the state, the correction into it, and q out of it
    return Cost(
        needed=Formula(needed, "FLOPs", "needed by the delta rule"),
        executed=Formula(
            needed + 6 * d * recurrence.pairs(), "FLOPs", "executed by the delta rule"
        ),
        held=Formula(sp.Max(b, 4) * d**2, "bytes", "held by the delta rule"),
    )


@tensors.own_precision
def step(
    state: State | None,
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
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
        beta: their β.
        scale: as for ``attend``.

    Returns:
        The new tokens' outputs and the state that the next step wants, of a size that does not
        depend on how many tokens there were.

    Raises:
        ValueError: naming the argument, if it does not fit the others or the stream.
    """
    tokens, factor = _checked(q, k, v, beta, scale)
    tensors.check_stream(q, k)
    S = recurrence.resume(state, *tokens[1:])
    out, S = recurrence.scan(partial(_chunk, factor), S, *tokens)
    return out.to(q.dtype), State(S)


def writes(
    pairs: torch.Tensor, found: torch.Tensor, v: torch.Tensor, beta: torch.Tensor
) -> torch.Tensor:
    """What each token of a chunk writes under its key: u_i of S_i = S_{i−1} + k̂_i u_iᵀ.

    It is u_i = β_i (v_i − S_{i−1}ᵀ k̂_i), and what S_{i−1} has for k̂_i is what the state before
    the chunk has and what the chunk's earlier tokens wrote, which makes a triangular system:
    u_i + β_i Σ_{j<i} (k̂_i·k̂_j) u_j = β_i (v_i − Sᵀ k̂_i).

    Args:
        pairs: k̂_i·k̂_j, (..., c, c), decayed where things decay; nothing is read but j < i.
        found: Sᵀ k̂_i, (..., c, d_v), likewise.
        v: values of the chunk.
        beta: their β.
    """
    # Substitution: its numbers stay those of the recurrence. Powers of the matrix, which would
    # also give its inverse, grow beyond all digits when keys are alike and β is near 2.
    return torch.linalg.solve_triangular(
        beta * pairs, beta * (v - found), upper=False, unitriangular=True
    )


def _checked(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    beta: torch.Tensor,
    scale: float | torch.Tensor | None,
) -> tuple[list[torch.Tensor], float]:
    lead = tensors.check(q, k, v)
    beta = tensors.check_gate("beta", beta, k, lead)
    lead = tensors.joined("beta", beta, lead)
    q, factor = tensors.folded(q, scale, lead)
    return recurrence.widened(q, k, v, beta), factor


@one_call
def _from_start(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    beta: torch.Tensor,
    factor: float,
    segments: torch.Tensor | None,
) -> torch.Tensor:
    def compute(q, *tokens):
        out, _ = recurrence.scan(partial(_chunk, factor), recurrence.start(*tokens), q, *tokens)
        return out

    return packed.alone(compute, segments, [q], [k, v, beta])


def _chunk(
    factor: float,
    S: torch.Tensor,
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    beta: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Once it is known what is written, the rest is linear attention to it."""
    k = tensors.unit(k)
    u = writes(k @ k.mT, k @ S, v, beta)
    return factor * ((q @ k.mT).tril() @ u + q @ S), S + k.mT @ u
