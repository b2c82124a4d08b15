r"""Dense attention: each query sees every key, or every key up to its own.

.. math::

    o_i = \sum_{j \in V_i} \frac{e^{s_{ij}}}{\sum_{l \in V_i} e^{s_{il}}} \, v_j, \qquad
    s_{ij} = \frac{q_i \cdot k_j}{\sqrt{d}}

.. math::

    V_i = \{\, j : 0 \le j < n \,\}
    \quad\text{or, if causal,}\quad
    V_i = \{\, j : 0 \le j \le i \,\}

A weighted mean of the values, the weights a softmax of the scores.  With fewer queries than keys
the queries are the last ones (bottom-right alignment, as a cache needs it): causal is then
j ≤ i + n_k − n_q.  A ``mask`` takes keys out of every V_i.  Where V_i is empty, o_i = 0.

It needs 4n²d FLOPs, causal 2n(n + 1)d, and holds all 2nd numbers of its keys and values.
The scores themselves, n² of them, need never be held: without a mask, memory is linear in n.
Use it whenever you can afford it.  It is exact, it reaches every token in one layer, and it is
what every other mechanism of this book is measured against.

Four options change the softmax, alone or together.  With all of them

.. math::

    o_i = \sum_{j \in V_i} \frac{e^{s_{ij}}}{e^{z} + \sum_{l \in V_i} e^{s_{il}}} \, v_j

.. math::

    s_{ij} = \lambda \, \ln |V_i| \, \sqrt{d} \;
    \frac{q_i}{\|q_i\|} \cdot \frac{k_j}{\|k_j\|} + b_{ij}

- ``bias`` = b: what is added to the scores, such as a distance's share in them: see
  ``attention_limits.positions``.
- ``log_n`` = λ: the scores of a query grow with the logarithm of how many keys it sees, so that
  a key ahead of the others keeps its weight when they grow in number.  Of a single key the score
  is 0, whatever it holds; its weight is 1 as ever.
- ``qk_norm``: queries and keys are divided by their lengths, so that a score is a cosine, times
  √d or another ``scale``, and large weights in W_q and W_k cannot make it larger.  A zero vector
  stays one.
- ``sink`` = z: the score of one more key, which every query sees and whose value is 0.  A query
  that finds nothing can look there, and its weights sum to less than 1.  z = 0 is the softmax
  "off by one", z = −∞ the plain one.

A number may be learned: ``scale``, ``log_n`` and ``sink`` may also be tensors, one number a head.
A sink costs one more key, one more query if causal, and 1 to 8 more columns.

Sources: :cite:t:`vaswani2017attention`; :cite:t:`nakanishi2025scalable` for ``log_n``,
:cite:t:`henry2020querykey` and :cite:t:`dehghani2023scaling` for ``qk_norm``,
:cite:t:`xiao2024efficient` and :cite:t:`gu2025when` for ``sink``.  Taught in: "Attention".
"""

import functools
import math
from typing import Any, NamedTuple

import numpy as np
import sympy as sp
import torch
from torch.autograd import forward_ad
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.attention.flex_attention import BlockMask
from torch.nn.functional import pad, scaled_dot_product_attention

from attention_limits import checks, symbols, tensors
from attention_limits.attention import flex, packed
from attention_limits.attention.cost import Cost
from attention_limits.attention.packed import Segments
from attention_limits.attention.transforms import one_call
from attention_limits.formula import Formula

# What `help` shows, and first of all functions: states are looked up where they are returned.
__all__ = ["ALIGNMENT", "attend", "cost", "define", "step", "visible"]

ALIGNMENT = 8  # a sink widens its tensors to a multiple of this, as fused kernels on GPUs want it


def visible(n: int, *, n_k: int | None = None, causal: bool = False) -> np.ndarray:
    """Who sees whom: (n, n_k) booleans, query i in rows, key j in columns; n_k = n if not given."""
    n_k = n if n_k is None else n_k
    n = checks.check_count("n", n)
    n_k = checks.check_count("n_k", n_k)
    i, j = np.ogrid[n_k - n : n_k, :n_k]  # the queries are the last n of n_k positions
    return j <= i if causal else np.full((n, n_k), True)


def define(
    q: np.ndarray,
    k: np.ndarray,
    v: np.ndarray,
    *,
    causal: bool = False,
    mask: np.ndarray | None = None,
    scale: float | np.ndarray | None = None,
    log_n: float | np.ndarray | None = None,
    qk_norm: bool = False,
    sink: float | np.ndarray | None = None,
    bias: np.ndarray | None = None,
) -> np.ndarray:
    """The equations above, word for word, on (n, d) arrays; leading axes broadcast."""
    sees = visible(q.shape[-2], n_k=k.shape[-2], causal=causal)
    sees = sees if mask is None else sees & mask
    scale = _default_scale(q.shape[-1], qk_norm) if scale is None else scale
    if log_n is not None:
        n_seen = sees.sum(-1, keepdims=True)
        scale = scale * log_n * np.log(np.maximum(n_seen, 1))
    sink = -np.inf if sink is None else sink

    def normed(x):
        length = np.linalg.norm(x, axis=-1, keepdims=True)
        return x / np.where(length == 0, 1, length) if qk_norm else x

    def one_head(q, k, v, sees, scale, sink, bias):
        o = np.zeros((len(q), v.shape[-1]))
        for i, V in enumerate(sees):
            if V.any():
                s = scale[i] * normed(k[V]) @ normed(q[i]) + bias[i, V]
                top = np.maximum(s.max(), sink[i])  # it cancels; without it, exp overflows
                weights = np.exp(s - top)
                o[i] = weights @ v[V] / (np.exp(sink[i] - top) + weights.sum())
        return o

    scale, sink = (x + np.zeros((q.shape[-2], 1)) for x in (scale, sink))  # one for each query
    bias = np.zeros(sees.shape) + (0 if bias is None else bias)
    signature = "(i,d),(j,d),(j,e),(i,j),(i,o),(i,o),(i,j)->(i,e)"
    return np.vectorize(one_head, [float], signature=signature)(q, k, v, sees, scale, sink, bias)


@tensors.own_precision
def attend(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    *,
    causal: bool = False,
    mask: torch.Tensor | None = None,
    scale: float | torch.Tensor | None = None,
    log_n: float | torch.Tensor | None = None,
    qk_norm: bool = False,
    sink: float | torch.Tensor | None = None,
    bias: torch.Tensor | None = None,
    segments: Segments | None = None,
) -> torch.Tensor:
    """The same on (..., n, d) tensors, by PyTorch's fused kernels.

    Memory is linear in n where a fused kernel takes the call: no bias, d_v = d and, if causal,
    n_q = n_k and no mask.

    Differentiable once where a fused kernel takes the call, or else, and always within
    ``sdpa_kernel(SDPBackend.MATH)`` of ``torch.nn.attention``, as often as you like.

    What no query may see, padding say, may hold anything, NaN included.  What some query sees must
    be finite: the others give it the weight 0, and 0 · NaN is NaN.

    Args:
        q: queries (..., n_q, d).
        k: keys (..., n_k, d), in the dtype and on the device of ``q``.
        v: values (..., n_k, d_v), likewise.  Leading axes broadcast: grouped heads are queries
            (g, r, n, d) against keys and values (g, 1, n, d).
        causal: whether a query sees only keys up to its own position, the last query's being
            that of the last key.
        mask: booleans that broadcast to (..., n_q, n_k), True = may look.  Joined with ``causal``
            by AND.  Costs memory of its own size, or with ``causal`` of the order n_q · n_k: one
            that hides padding, (..., 1, n_k), is linear in n.
        scale: what multiplies the inner products; None means d^-1/2, under ``qk_norm`` d^1/2.
            It, ``log_n`` and ``sink`` are numbers, or tensors that broadcast to (..., n_q, 1),
            such as (h, 1, 1), on the device of ``q`` and of any floating-point dtype.
        log_n: what multiplies the scores of a query besides, times ln of how many keys it sees;
            None means neither.
        qk_norm: whether queries and keys are divided by their lengths first.
        sink: the score of a key of value 0 that takes part in every softmax, rounded to the dtype
            of ``q``; None means that there is none.
        bias: what is added to the scores, after all else: a tensor that broadcasts to
            (..., n_q, n_k), on the device of ``q`` and of any floating-point dtype.  One of more
            digits than ``q`` is rounded, less the largest that a query sees, which changes
            nothing else.  Costs memory of the order n_q · n_k.
        segments: where packed sequences are: see ``attention_limits.attention.packed``.

    Returns:
        (..., n_q, d_v), in the dtype of ``q``.  A query that sees nothing gets 0, and its
        gradients are 0.

    Raises:
        ValueError: naming the argument, if shapes, dtypes or devices do not fit.
    """
    lead = tensors.check(q, k, v, mask=mask)
    n_q, n_k = q.shape[-2], k.shape[-2]
    if scale is not None:
        scale = tensors.check_per_query("scale", scale, q, lead)
    if log_n is not None:
        log_n = tensors.check_per_query("log_n", log_n, q, lead)
    if sink is not None:
        sink = tensors.check_per_query("sink", sink, q, lead, infinite=True)
    if bias is not None:
        tensors.check_broadcasts("bias", bias, (*lead, n_q, n_k), q.device)
    if segments is not None:
        scale, log_n, sink = (_tensor_of(x, q) for x in (scale, log_n, sink))
        segments = packed.given(segments, lead, n_k)
        return _packed(q, k, v, mask, bias, scale, log_n, sink, qk_norm, causal, segments)
    # PyTorch's own is_causal aligns top-left, and excludes a mask.
    pattern: dict[str, Any] = {"is_causal": False}
    if causal and bias is None and n_q == n_k:
        pattern = {"is_causal": True}
    sees = None
    # One query, the last, sees all keys.
    if mask is not None or (causal and n_q != 1 and not pattern["is_causal"]):
        sees = _sees(mask, n_q, n_k, causal, q.device)
        # The row of a query that sees nothing would be 0/0. It looks at everything instead, and
        # `where` then discards both what it sees and its gradient; likewise what nobody sees.
        has_keys, seen = sees.any(-1)[..., None], sees.any(-2)[..., None]
        q, k, v = torch.where(has_keys, q, 0), torch.where(seen, k, 0), torch.where(seen, v, 0)
        pattern = {"attn_mask": sees | ~has_keys}
    if bias is not None:
        bias = bias.expand(torch.broadcast_shapes(bias.shape, (n_q, n_k)))
        bias = bias if sees is None else torch.where(pattern["attn_mask"], bias, -torch.inf)
        bias, sink = _rounded(bias, sink, q.dtype)
        pattern = {"attn_mask": bias}
    scale = _default_scale(q.shape[-1], qk_norm) if scale is None else scale
    if qk_norm:
        q, k = (tensors.unit(x).to(x.dtype) for x in (q, k))
    if log_n is not None:
        scale = scale * log_n * _log_n_seen(q, n_k, causal, sees)
    if sink is not None or isinstance(scale, torch.Tensor):  # the kernels take one number for all
        q, scale = (scale * q).to(q.dtype), 1.0
    if sink is None:
        out = _fused(q, k, v, lead, scale=scale, **pattern)
    else:
        out = _fused_with_sink(q, k, v, lead, sink, **pattern)
    return out if sees is None else torch.where(has_keys, out, 0)


def cost(*, causal: bool = False, sink: float | torch.Tensor | None = None) -> Cost:
    """Causal attention needs about half the FLOPs; the executed square stays a square.

    With a sink, whatever its value, the square has one more column and, causal, one more row; the
    widths are the next multiple of ``ALIGNMENT`` above d.
    """
    n, d, b, i = symbols.n, symbols.d, symbols.b, symbols.i
    pairs = sp.factor(sp.summation(i + 1, (i, 0, n - 1))) if causal else n**2
    square, width = n**2, d
    if sink is not None:
        square = (n + 1) ** 2 if causal else n * (n + 1)
        width = ALIGNMENT * (sp.floor(d / ALIGNMENT) + 1)
    return Cost(
        needed=Formula(4 * d * pairs, "FLOPs", "needed by dense attention"),
        executed=Formula(4 * width * square, "FLOPs", "executed by dense attention"),
        held=Formula(2 * n * d * b, "bytes", "held by dense attention"),
    )


class Cache(NamedTuple):
    """All keys and values of a stream so far."""

    keys: torch.Tensor
    values: torch.Tensor


@tensors.own_precision
def step(
    state: Cache | None,
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    *,
    scale: float | torch.Tensor | None = None,
    log_n: float | torch.Tensor | None = None,
    qk_norm: bool = False,
    sink: float | torch.Tensor | None = None,
    bias: torch.Tensor | None = None,
) -> tuple[torch.Tensor, Cache]:
    """Causal attention for the next token, or the next few, of a stream.

    Args:
        state: what the last step returned; None starts a stream.
        q: queries of the new tokens only, shaped as for ``attend``.
        k: their keys.
        v: their values.
        scale: as for ``attend``.
        log_n: as for ``attend``: each query counts the keys of the stream so far.
        qk_norm: as for ``attend``; what is held are the keys as they came.
        sink: as for ``attend``; it is no part of what is held.
        bias: as for ``attend``, of the new tokens' scores: n_k is the stream's length so far.

    Returns:
        The new tokens' outputs and the state that the next step wants.

    Raises:
        ValueError: naming the argument, if it does not fit the others or the stream.
    """
    if state is not None:
        tensors.check_continues("k", k, state.keys)
        tensors.check_continues("v", v, state.values)
        k, v = torch.cat([state.keys, k], dim=-2), torch.cat([state.values, v], dim=-2)
    out = attend(
        q, k, v, causal=True, scale=scale, log_n=log_n, qk_norm=qk_norm, sink=sink, bias=bias
    )
    if state is None:  # what was joined is a copy already
        k, v = k.clone(), v.clone()
    return out, Cache(k, v)


def _tensor_of(x: float | torch.Tensor | None, q: torch.Tensor) -> torch.Tensor | None:
    """A number as one for all queries."""
    if x is None or isinstance(x, torch.Tensor):
        return x
    return q.new_full((1, 1), x, dtype=torch.promote_types(q.dtype, torch.float32))


@one_call
def _packed(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    mask: torch.Tensor | None,
    bias: torch.Tensor | None,
    scale: torch.Tensor | None,
    log_n: torch.Tensor | None,
    sink: torch.Tensor | None,
    qk_norm: bool,
    causal: bool,
    segments: torch.Tensor,
) -> torch.Tensor:
    """Each sequence alone: on a GPU in one kernel, if it knows the softmax, or one by one."""
    if bias is log_n is sink is None and not qk_norm and flex.takes(q, k, v, mask):
        pattern = _block_mask(q.shape[-2], causal, q.device)
        lead = torch.broadcast_shapes(*(x.shape[:-2] for x in (q, k, v)))
        folded, factor = tensors.folded(q, scale, lead)

        def fused(spans, queries, keys, pairs):
            return flex.attend(*queries, *keys, pattern, scale=factor, spans=spans)

        return packed.by_row(fused, segments, [folded], [k, v])
    softmax = {"scale": scale, "log_n": log_n, "sink": sink}
    rows = {name: x for name, x in softmax.items() if x is not None}

    def one(q, *others):
        *of_queries, k, v, mask, bias = others
        options = dict(zip(rows, of_queries, strict=True))
        return attend(q, k, v, causal=causal, mask=mask, bias=bias, qk_norm=qk_norm, **options)

    return packed.alone(one, segments, [q, *rows.values()], [k, v], [mask, bias])


@functools.lru_cache(maxsize=32)
def _block_mask(n: int, causal: bool, device: torch.device) -> BlockMask:
    """All pairs, or those with j ≤ i, as the fused kernel wants them."""
    return flex.block_mask(lambda b, h, i, j: (j <= i) | (not causal), n, device)


def _sees(
    mask: torch.Tensor | None, n_q: int, n_k: int, causal: bool, device: torch.device
) -> torch.Tensor:
    """V_i as booleans (..., n_q, n_k), or (..., 1, n_k) if all queries see the same keys."""
    if mask is not None and not causal:
        return mask.expand(torch.broadcast_shapes(mask.shape, (1, n_k)))
    causally = torch.ones(n_q, n_k, dtype=torch.bool, device=device)
    causally = causally.tril(n_k - n_q) if causal else causally
    return causally if mask is None else causally & mask


def _default_scale(d: int, qk_norm: bool) -> float:
    """Queries and keys of length √d score the same, brought to length 1 by ``qk_norm`` or not."""
    root = math.sqrt(max(d, 1))  # of no width: all scores are 0
    return root if qk_norm else 1 / root


def _rounded(
    bias: torch.Tensor, sink: float | torch.Tensor | None, dtype: torch.dtype
) -> tuple[torch.Tensor, float | torch.Tensor | None]:
    """A bias in the dtype of the scores, and the sink that goes with it.

    A softmax does not change with a shift of its row.  Less its largest entry, a bias has most
    digits where the weights are; as it came, far from 0, it may have none.
    """
    wide = torch.promote_types(bias.dtype, dtype)
    if wide == dtype or not bias.shape[-1]:
        return bias.to(dtype), sink
    bias = bias.to(wide)
    top = bias.detach().amax(-1, keepdim=True)
    top = torch.where(top.isfinite(), top, 0)
    return (bias - top).to(dtype), None if sink is None else sink - top


def _log_n_seen(q: torch.Tensor, n_k: int, causal: bool, sees: torch.Tensor | None) -> torch.Tensor:
    """A column of ln |V_i|, in float32 at the least; 0 where nothing is seen."""
    if sees is not None:
        n_seen = sees.sum(-1, keepdim=True)
    elif causal:
        n_seen = torch.arange(n_k - q.shape[-2], n_k, device=q.device)[:, None] + 1
    else:
        n_seen = torch.tensor(n_k, device=q.device)
    return n_seen.clamp(min=1).to(torch.promote_types(q.dtype, torch.float32)).log()


def _fused_with_sink(q, k, v, lead, sink, *, is_causal=False, attn_mask=None) -> torch.Tensor:
    """The same, by one more key, the first of all, whose score is ``sink`` and whose value is 0.

    A further column makes that score: queries hold the sink there, this key 1 and the others 0.
    """
    (n_q, d), d_v, wide = q.shape[-2:], v.shape[-1], torch.promote_types(q.dtype, torch.float32)
    # Neither −∞ nor what overflows: times the zeros of the other keys, they would be NaN.
    most = torch.finfo(q.dtype).max / 2
    sink = torch.as_tensor(sink, dtype=wide, device=q.device).clamp(-most, most).to(q.dtype)
    q = torch.cat([q.expand(*lead, n_q, d), sink.expand(*lead, n_q, 1)], dim=-1)
    # Causal, the i-th query sees the first i keys: one more, ignored, sees the sink alone.
    rows = int(is_causal)
    q = pad(q, (0, -q.shape[-1] % ALIGNMENT, rows, 0))
    k, v = (pad(x, (0, ALIGNMENT - x.shape[-1] % ALIGNMENT, 1, 0)) for x in (k, v))
    k[..., 0, d] = 1
    if attn_mask is not None:
        attn_mask = pad(attn_mask, (1, 0), value=attn_mask.dtype == torch.bool)  # or a bias of 0
    out = _fused(q, k, v, lead, attn_mask=attn_mask, is_causal=is_causal, scale=1.0)
    return out[..., rows:, :d_v]


def _fused(q, k, v, lead, *, attn_mask=None, **options) -> torch.Tensor:
    """One call of PyTorch's kernels, of which the fused ones want exactly two leading axes.

    The last leading axis is never merged, so the keys of grouped heads are expanded, not copied.
    """
    two = (math.prod(lead[:-1]), math.prod(lead[-1:]))

    def four_axes(x: torch.Tensor) -> torch.Tensor:
        return x.expand(*lead, *x.shape[-2:]).reshape(*two, *x.shape[-2:])

    if attn_mask is not None:
        attn_mask = four_axes(attn_mask)
    q, k, v = map(four_axes, (q, k, v))
    transformed = torch._C._are_functorch_transforms_active()
    learned_bias = transformed and attn_mask is not None and attn_mask.is_floating_point()
    # The one kernel that forward mode goes through, and beneath ``vmap`` the gradient of a bias.
    if forward_ad._current_level >= 0 or learned_bias:
        with sdpa_kernel(SDPBackend.MATH):
            out = scaled_dot_product_attention(q, k, v, attn_mask=attn_mask, **options)
        return out.reshape(*lead, *out.shape[-2:])
    out = scaled_dot_product_attention(q, k, v, attn_mask=attn_mask, **options)
    if out.requires_grad and not torch.compiler.is_compiling():
        kernel = out.grad_fn
        if kernel is not None and kernel.name().startswith("ScaledDotProduct"):
            kernel.register_hook(_refusing_a_second)
    return out.reshape(*lead, *out.shape[-2:])


def _refusing_a_second(grads, upstream):
    """The gradients of a fused kernel, which has no second derivative, and shall say so itself."""
    if torch.is_grad_enabled():
        return tuple(None if x is None else _Refusal.apply(x) for x in grads)
    return None


class _Refusal(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(grad):
        return grad.view_as(grad)

    @staticmethod
    def setup_context(ctx, inputs, output):
        pass

    @staticmethod
    def backward(ctx, grad):
        raise RuntimeError(
            "attend must be differentiated once where a fused kernel takes the call, got a second "
            "backward pass; within torch.nn.attention.sdpa_kernel(SDPBackend.MATH) it has one"
        )
