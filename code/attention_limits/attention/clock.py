r"""Clock attention: a head looks at every p-th token only, and keeps its output until the next.

.. math::

    o_i = \sum_{j \in V_i} \frac{e^{s_j}}{\sum_{l \in V_i} e^{s_l}} \, v_j, \qquad
    s_j = \frac{q_t \cdot k_j}{\sqrt{d}}

.. math::

    V_i = \{\, 0, p, 2p, \dots, t \,\}, \qquad
    t = p \lfloor i / p \rfloor

t is the last tick of the head's clock, whose period is p; the heads of a layer have periods of
their own, such as 1, 2, 4 and 8.  p = 1 is dense attention, and like that with ``causal`` a clock
never looks ahead.  With n_q ≠ n_k, i counts from n_k − n_q (bottom-right alignment); if that skips
the tick's own query, the first query there is stands in for it.

With m = ⌈n / p⌉ ticks, it needs 2m(m + 1)d FLOPs, about 1 / p² of dense attention's, and memory is
linear.  A stream holds m keys and values and, for each query head, the last output; it works at the
ticks and not between them.  The price: a head of period p does not see the other tokens, and its
outputs are up to p − 1 tokens late.  Use it beside heads of period 1.

Source: ours, under a name that the literature gives to other things.  Kin: the hidden units of
:cite:t:`koutnik2014clockwork`, which keep their state between the ticks of their own clock, and
:cite:t:`chang2017dilated`, whose layers skip steps.  Taught in: "Future directions".
"""

from collections.abc import Sequence
from typing import NamedTuple, cast

import numpy as np
import sympy as sp
import torch

from attention_limits import checks, symbols, tensors
from attention_limits.attention import dense, packed
from attention_limits.attention.cost import Cost
from attention_limits.attention.options import check_period
from attention_limits.attention.packed import Segments
from attention_limits.attention.transforms import one_call
from attention_limits.formula import Formula

# What `help` shows, and first of all functions: states are looked up where they are returned.
__all__ = ["attend", "cost", "define", "step", "ticks"]


def ticks(n: int, *, period: int) -> np.ndarray:
    """The last tick t at each of n positions: 0, 0, 0, 3, 3, 3, 6, … for a period of 3."""
    n = checks.check_count("n", n)
    period = checks.check_count("period", period, least=1)
    return np.arange(n) // period * period


def define(
    q: np.ndarray,
    k: np.ndarray,
    v: np.ndarray,
    *,
    period: int | Sequence[int],
    scale: float | np.ndarray | None = None,
) -> np.ndarray:
    """The equation above, word for word, on (n, d) arrays; leading axes broadcast."""
    lead = np.broadcast_shapes(*(x.shape[:-2] for x in (q, k, v)))
    period = check_period(period, lead)
    q = q * (1 / np.sqrt(max(q.shape[-1], 1)) if scale is None else scale)
    first = k.shape[-2] - q.shape[-2]  # position of the first query

    def one_head(q, k, v, p):
        o = np.zeros((len(q), v.shape[-1]))
        for i in range(max(first, 0), len(k)):
            t = p * (i // p)
            V = np.arange(0, t + 1, p)
            s = k[V] @ q[max(t - first, 0)]
            weights = np.exp(s - s.max())  # the shift cancels; without it, exp overflows
            o[i - first] = weights / weights.sum() @ v[V]
        return o

    heads = np.vectorize(one_head, [float], signature="(i,d),(j,d),(j,e),()->(i,e)")
    return heads(q, k, v, period)


@tensors.own_precision
def attend(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    *,
    period: int | Sequence[int],
    scale: float | torch.Tensor | None = None,
    segments: Segments | None = None,
) -> torch.Tensor:
    """The same on (..., n, d) tensors: dense attention among the ticks, then held.

    Memory is linear in n where it is for ``dense.attend``, with d_v = d and n_q = n_k, and it is
    differentiable as often as that is.  Tokens between the ticks may hold anything, NaN included,
    in their keys and values.

    There is no ``mask``.  Padding on the right must be finite and changes no other output: ignore
    its own.  On the left it would move the ticks, and be seen at them, unless ``segments`` names
    it.

    Args:
        q: queries (..., n_q, d).
        k: keys (..., n_k, d), in the dtype and on the device of ``q``.
        v: values (..., n_k, d_v), likewise.  Leading axes broadcast, as for ``dense.attend``.
        period: tokens from one tick to the next; or a sequence of them, one for each entry of
            the last leading axis, that of the heads.
        scale: what multiplies the inner products, a number or a tensor that broadcasts to
            (..., n_q, 1), such as (h, 1, 1); None means d^-1/2.
        segments: where packed sequences are: see ``attention_limits.attention.packed``.

    Returns:
        (..., n_q, d_v), in the dtype of ``q``.  A query before the first key gets 0, and its
        gradients are 0.

    Raises:
        ValueError: naming the argument, if shapes, dtypes or devices do not fit, or if a period
            is no integer of at least 1, or there are not as many as heads.
    """
    lead = tensors.check(q, k, v)
    period = check_period(period, lead)
    q, factor = tensors.folded(q, scale, lead)
    q = q.to(k.dtype)
    periods = list(period) if isinstance(period, tuple) else [period]
    segments = packed.given(segments, lead, k.shape[-2])
    return _computed(q, k, v, factor, periods, segments)


@one_call
def _computed(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    scale: float,
    periods: list[int],
    segments: torch.Tensor | None,
) -> torch.Tensor:
    """By one period for all heads, or one for each."""

    def compute(q, k, v):
        if len(periods) == 1:
            return _of_one(q, k, v, scale, periods[0])
        lead = torch.broadcast_shapes(*(x.shape[:-2] for x in (q, k, v)))
        each = zip(*_heads(q, k, v, lead), periods, strict=True)
        return torch.stack([_of_one(*head, scale, p) for *head, p in each], dim=-3)

    return packed.alone(compute, segments, [q], [k, v])


def _of_one(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, scale: float, period: int
) -> torch.Tensor:
    period = min(period, max(q.shape[-2], k.shape[-2], 1))  # there is one tick, then or sooner
    late = (q.shape[-2] - k.shape[-2]) % period  # so many queries come before a tick does
    since = -late % period  # and so many tokens before the first of them was the last tick
    # Whose query is not there, and the first of them stands in for it.
    waking = torch.cat([q[..., : min(late, 1), :], q[..., late::period, :]], dim=-2)
    k, v = k[..., ::period, :], v[..., ::period, :]
    seen = dense.attend(waking, k, v, causal=True, scale=scale)
    return seen.repeat_interleave(period, dim=-2)[..., since : since + q.shape[-2], :]


def cost(*, period: int) -> Cost:
    """Dense attention's, of the ticks; ``held`` counts one output for each of r query heads."""
    period = checks.check_count("period", period, least=1)
    n, d, b, exact = symbols.n, symbols.d, symbols.b, dense.cost(causal=True)
    of_ticks = {n: sp.floor((n + period - 1) / period)}
    held = exact.held.expr.subs(of_ticks) + symbols.group * d * b
    return Cost(
        needed=Formula(exact.needed.expr.subs(of_ticks), "FLOPs", "needed by clock attention"),
        executed=Formula(
            exact.executed.expr.subs(of_ticks), "FLOPs", "executed by clock attention"
        ),
        held=Formula(held, "bytes", "held by clock attention"),
    )


class Latch(NamedTuple):
    """Keys and values at the ticks of a stream, the output of the last, and how many tokens ago."""

    keys: torch.Tensor
    values: torch.Tensor
    output: torch.Tensor
    tokens: int


@tensors.own_precision
def step(
    state: Latch | tuple[Latch, ...] | None,
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    *,
    period: int | Sequence[int],
    scale: float | torch.Tensor | None = None,
) -> tuple[torch.Tensor, Latch | tuple[Latch, ...]]:
    """Clock attention for the next token, or the next few, of a stream.

    Args:
        state: what the last step returned; None starts a stream.
        q: queries of the new tokens only, shaped as for ``attend``.
        k: their keys.
        v: their values.
        period: as for ``attend``, and the same in every step.
        scale: as for ``attend``.

    Returns:
        The new tokens' outputs and the state that the next step wants: one for each head if there
        is a period for each.

    Raises:
        ValueError: naming the argument, if it does not fit the others or the stream.
    """
    lead = tensors.check(q, k, v)
    period = check_period(period, lead)
    tensors.check_stream(q, k)
    q, factor = tensors.folded(q, scale, lead)
    q = q.to(k.dtype)
    if isinstance(period, tuple):
        states = [None] * len(period) if state is None else state
        each = zip(states, *_heads(q, k, v, lead), period, strict=True)
        steps = [step(*head, period=p, scale=factor) for *head, p in each]
        outputs, states = zip(*steps, strict=True)
        return torch.stack(outputs, dim=-3), states
    # Of a stream with one period the state is one, which the type of both cannot say.
    latch = cast(Latch | None, state)
    if latch is None:
        # Not views, which would keep the tokens alive while no tick has come.
        keys, values = (x[..., :0, :].clone() for x in (k, v))
        latch = Latch(keys, values, q.new_zeros(*lead, 1, v.shape[-1]), 0)
    tensors.check_continues("k", k, latch.keys)
    tensors.check_continues("v", v, latch.values)
    if latch.output.shape[:-2] != lead:
        axes = tuple(latch.output.shape[:-2])
        raise ValueError(f"q must continue its stream, with leading axes {axes}, got {tuple(lead)}")
    n, late = k.shape[-2], -latch.tokens % period  # so many tokens come before the next tick
    held = latch.output.repeat_interleave(min(late, n), dim=-2)
    if n <= late:  # no tick, no work
        return held, latch._replace(tokens=latch.tokens + n)
    keys = torch.cat([latch.keys, k[..., late::period, :]], dim=-2)
    values = torch.cat([latch.values, v[..., late::period, :]], dim=-2)
    seen = dense.attend(q[..., late::period, :], keys, values, causal=True, scale=factor)
    # A view of the last output would keep the others alive.
    latch = Latch(keys, values, seen[..., -1:, :].clone(), latch.tokens + n)
    seen = seen.repeat_interleave(min(period, n - late), dim=-2)
    return torch.cat([held, seen], dim=-2)[..., :n, :], latch


def _heads(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, lead: torch.Size
) -> list[tuple[torch.Tensor, ...]]:
    """Queries, keys and values as lists of heads, those on the last leading axis."""
    return [x.expand(*lead, *x.shape[-2:]).unbind(-3) for x in (q, k, v)]
