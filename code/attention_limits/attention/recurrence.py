"""What the recurrences share: a state that passes along the tokens, a chunk of them at a time.

The token recurrence of ``define`` takes n steps that wait for each other.  Chunks take n / CHUNK:
within one, all pairs of tokens meet in matrix products, and all that came before is seen through
the state.  A mechanism brings the function that takes a state and a chunk of tokens to the
chunk's outputs and the next state; ``linear`` and its gated kin differ in nothing else.
"""

from collections.abc import Callable
from typing import NamedTuple

import sympy as sp
import torch
from torch.nn.functional import pad

from attention_limits.symbols import n

CHUNK = 64  # tokens a chunk: their square is no bigger than a state of d = 64


class State(NamedTuple):
    """All that a stream keeps: one matrix (..., d, d_v), in float32 at the least."""

    matrix: torch.Tensor


def scan(
    chunk: Callable[..., tuple[torch.Tensor, torch.Tensor]],
    state: torch.Tensor,
    q: torch.Tensor,
    *tokens: torch.Tensor,
    lengths: int | list[int] = CHUNK,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Causal outputs, (..., n_q, d_v), and the state at the end.

    Args:
        chunk: takes a state and a chunk of each of ``q`` and ``tokens`` to a chunk of outputs
            and the next state; it never sees a chunk without tokens.
        state: what the tokens before have left, (..., d, d_v).
        q: queries (..., n_q, d).
        tokens: keys, values, gates, each (..., n_k, width).
        lengths: of the chunks: one for all but the last, or one for each.
    """
    # Aligned bottom-right: keys before the first query pass unasked, as under a query of 0, and
    # queries before the first key are cut off, as there is nothing that they could see.
    surplus = tokens[0].shape[-2] - q.shape[-2]
    q = pad(q, (0, 0, surplus, 0)) if surplus else q  # a negative number of rows is cut off
    # Splitting once keeps the backward linear: a slice in the loop would scatter each chunk's
    # gradient into a tensor of full length.
    chunks = zip(*(x.split(lengths, dim=-2) for x in (q, *tokens)), strict=True)
    outputs = []
    for parts in chunks if q.shape[-2] else ():
        out, state = chunk(state, *parts)
        outputs.append(out)
    if outputs:
        out = torch.cat(outputs, dim=-2)
    else:  # of no rows, but of the right shape, and for gradients of 0 made of all that there is
        out = q @ state + sum(x[..., :0, :].sum() for x in tokens)
    return (pad(out, (0, 0, -surplus, 0)) if surplus else out), state


def widened(*tensors: torch.Tensor) -> list[torch.Tensor]:
    """The tensors in float32 at the least: half precision cannot sum many keys."""
    return [x.to(torch.promote_types(x.dtype, torch.float32)) for x in tensors]


def start(k: torch.Tensor, v: torch.Tensor, *gates: torch.Tensor) -> torch.Tensor:
    """The state before the first token: zeros, one matrix for each head of keys and values."""
    lead = torch.broadcast_shapes(*(x.shape[:-2] for x in (k, v, *gates)))
    return v.new_zeros(*lead, k.shape[-1], v.shape[-1])


def resume(
    state: tuple[torch.Tensor] | None, k: torch.Tensor, v: torch.Tensor, *gates: torch.Tensor
) -> torch.Tensor:
    """The matrix that a stream's next tokens find: what is held, or at its start zeros.

    Raises:
        ValueError: naming k, if the tokens are not such as to have left what is held.
    """
    fresh = start(k, v, *gates)
    if state is None:
        return fresh
    (held,) = state
    if (held.shape, held.dtype, held.device) != (fresh.shape, fresh.dtype, fresh.device):
        raise ValueError(
            f"k must continue its stream, and with v keep a state of shape {tuple(held.shape)} in "
            f"{held.dtype} on {held.device}, got {tuple(fresh.shape)} in {fresh.dtype} on "
            f"{fresh.device}"
        )
    return held


def pairs(length: int = CHUNK) -> sp.Expr:
    """How many pairs of tokens meet within a chunk, those that a mask then takes out included."""
    whole = sp.floor(n / length)
    return length**2 * whole + (n - length * whole) ** 2
