"""What every mechanism asks of its inputs, checked in one place.

A wrong shape that broadcasts by accident gives wrong numbers and no error, so it is refused here,
by a ValueError that names the argument and says what would be right. Nothing looks at a value,
only at shapes, dtypes and devices: the checks run on the ``meta`` device and cost no transfer.
"""

import contextlib
import functools
import math
from collections.abc import Callable, Iterator
from typing import ParamSpec, TypeVar

import torch

from attention_limits.checks import Symbolic, check_number, is_number

P = ParamSpec("P")
R = TypeVar("R")

Symbolic.register(torch.SymInt)

FLOATS = frozenset({torch.float64, torch.float32, torch.bfloat16, torch.float16})
INTEGERS = frozenset({torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8})
REALS = frozenset({torch.float64, torch.float32})  # bfloat16 has no odd integer above 256

# Whose gradients are products of matrices, which autocast rounds.
PRODUCTS = ("Mm", "Bmm", "Addmm", "Baddbmm", "Mv", "Dot", "LinalgSolve", "LinalgVec")

# What tensors are made of, as messages say it.  All are dense: PyTorch has few functions for
# nested, sparse and quantised ones, and 8 bits are a way to store numbers, not to add them up.
KINDS = {
    FLOATS: "a dense tensor of float16, bfloat16, float32 or float64",
    REALS: "a dense tensor of float32 or float64",
    INTEGERS: "a dense tensor of integers, int8 to int64 or uint8",
    INTEGERS | REALS: "a dense tensor of integers, float32 or float64",
    frozenset({torch.bool}): "a dense tensor of torch.bool, True = may look",
}


def check(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, *, mask: torch.Tensor | None = None
) -> torch.Size:
    """Refuse queries, keys, values and a mask that do not fit together.

    Args:
        q: queries (..., n_q, d).
        k: keys (..., n_k, d).
        v: values (..., n_k, d_v).
        mask: booleans that broadcast to the scores, (..., n_q, n_k).

    Returns:
        The leading axes that those of ``q``, ``k`` and ``v`` broadcast to.

    Raises:
        ValueError: naming the argument, if one of them does not fit.
    """
    for name, x in {"q": q, "k": k, "v": v}.items():
        check_like(name, x, "q", q)
    if k.shape[-1] != q.shape[-1]:
        raise ValueError(f"k must have the width of q, d = {q.shape[-1]}, got {shape_of(k)}")
    if v.shape[-2] != k.shape[-2]:
        raise ValueError(f"v must have one row per key, n_k = {k.shape[-2]}, got {shape_of(v)}")
    lead = q.shape[:-2]
    for name, x in {"k": k, "v": v}.items():
        lead = joined(name, x, lead)
    if mask is not None:
        _check_mask(mask, (*lead, q.shape[-2], k.shape[-2]), q.device)
    return lead


def check_gate(
    name: str, gate: torch.Tensor, k: torch.Tensor, lead: torch.Size, *, per_channel: bool = False
) -> torch.Tensor:
    """Refuse a gate that has not one row per key, of one number or, if ``per_channel``, of d.

    It comes without an axis of its own if it is shaped like the keys, or the values that come out,
    without their last axis, or has a single one.  Nothing else is tried: what broadcasts to one
    reading at one length would broadcast to the other at the next.

    Args:
        name: what the caller calls it.
        gate: (..., n_k), (..., n_k, 1) or, if allowed, (..., n_k, d), of any floating-point dtype:
            within autocast, some of what gates are made by comes in float32.
        k: the keys that it goes with, (..., n_k, d), checked before.
        lead: the leading axes that ``check`` returned.
        per_channel: whether a gate as wide as a key is allowed, too.

    Returns:
        The gate as (..., n_k, 1) or (..., n_k, d), in the dtype that keys are computed in.

    Raises:
        ValueError: naming the gate.
    """
    check_kind(name, gate)
    if gate.device != k.device:
        raise ValueError(f"{name} must have the device of k, {k.device}, got {gate.device}")
    gate = gate.to(torch.promote_types(k.dtype, torch.float32))
    n = k.shape[-2]
    for without in ((n,), k.shape[:-1], (*lead, n)):
        # Axes are counted first: a size that is symbolic should be compared with none by chance.
        if gate.ndim == len(without) and gate.shape == without:
            return gate[..., None]
    widths = sorted({1, k.shape[-1]}) if per_channel else [1]
    if gate.ndim < 2 or gate.shape[-2] != n or gate.shape[-1] not in widths:
        rows = " or ".join(f"(..., {n}, {width})" for width in widths)
        raise ValueError(
            f"{name} must have one row per key, {rows}, or be {(*lead, n)} or {(n,)}, "
            f"got {shape_of(gate)}"
        )
    return gate


def folded(
    q: torch.Tensor, scale: float | torch.Tensor | None, lead: torch.Size
) -> tuple[torch.Tensor, float]:
    """The queries, and the one number by which their scores are left to multiply.

    A scale that is a tensor goes into the queries, in float32 at the least: so it may differ
    between heads, and a learned one gets its gradient.

    Args:
        q: queries (..., n_q, d), checked before.
        scale: a number, or a tensor that broadcasts to (..., n_q, 1); None means d^-1/2.
        lead: the leading axes that ``check`` returned.

    Raises:
        ValueError: naming the scale, if it is none.
    """
    if scale is None:
        return q, max(q.shape[-1], 1) ** -0.5  # of no width: all scores are 0
    scale = check_per_query("scale", scale, q, lead)
    if not isinstance(scale, torch.Tensor):
        return q, scale
    q = q.to(torch.promote_types(q.dtype, torch.float32))
    scale = scale.to(q.dtype)
    # Queries that see nothing may hold NaN, and their gradient of 0 times NaN would be the scale's.
    finite = q.isfinite()
    return torch.where(finite, torch.where(finite, q, 0) * scale, q * scale.detach()), 1.0


def check_per_query(
    name: str,
    x: float | torch.Tensor,
    q: torch.Tensor,
    lead: torch.Size,
    *,
    infinite: bool = False,
) -> float | torch.Tensor:
    """Refuse what is neither a finite number nor a tensor of one a query, (..., n_q, 1).

    Returns:
        The number as Python's own, or the tensor.

    Args:
        name: what the caller calls it.
        x: what was given.
        q: the queries, checked before.
        lead: the leading axes that ``check`` returned.
        infinite: whether ∞ and −∞ are right, too.
    """
    if not is_number(x):
        check_broadcasts(name, x, (*lead, q.shape[-2], 1), q.device, each="query")
        return x
    return float(x) if infinite and abs(x) == math.inf else check_number(name, x)


def check_broadcasts(
    name: str, x: object, wanted: tuple[int, ...], device: torch.device, *, each: str = "score"
) -> None:
    """Refuse what is no floating-point tensor that broadcasts to what is wanted."""
    x = check_kind(name, x, also="a number or " if each == "query" else "")
    if x.device != device:
        raise ValueError(f"{name} must be on the device of q, {device}, got {x.device}")
    axes = zip(reversed(x.shape), reversed(wanted), strict=False)
    if x.ndim > len(wanted) or any(ours not in (1, theirs) for ours, theirs in axes):
        raise ValueError(
            f"{name} must broadcast to one number a {each}, {wanted}, got {shape_of(x)}"
        )


def check_continues(name: str, chunk: torch.Tensor, held: torch.Tensor) -> None:
    """Refuse a chunk of a stream that differs from what is held in more than its length."""
    check_tensor(name, chunk)
    if chunk.dtype != held.dtype or chunk.device != held.device:
        raise ValueError(
            f"{name} must continue its stream in {held.dtype} on {held.device}, "
            f"got {chunk.dtype} on {chunk.device}"
        )
    if chunk.shape[:-2] != held.shape[:-2] or chunk.shape[-1] != held.shape[-1]:
        raise ValueError(
            f"{name} must continue its stream, which has shape {shape_of(held)}, "
            f"along the second last axis only, got {shape_of(chunk)}"
        )


def check_stream(q: torch.Tensor, k: torch.Tensor) -> None:
    """Refuse new tokens of a stream that have not one query for each key."""
    if q.shape[-2] != k.shape[-2]:
        raise ValueError(f"q must have one row per key, {k.shape[-2]}, got {shape_of(q)}")


def unit(x: torch.Tensor) -> torch.Tensor:
    """Each vector at length 1, in float32 at the least; a zero vector stays one, its gradient 0.

    Of any length but zero: squares of 1e20 and of 1e-25 are none that float32 has, so that a
    vector is first divided by its largest entry.  That changes neither result nor gradient.
    """
    x = x.to(torch.promote_types(x.dtype, torch.float32))
    if not x.shape[-1]:
        return x
    largest = x.detach().abs().amax(-1, keepdim=True)
    x = x / largest.clamp_min(torch.finfo(x.dtype).tiny)
    length = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
    return x / torch.where(length == 0, torch.inf, length)


def own_precision(function: Callable[P, R]) -> Callable[P, R]:
    """Make a function compute as its numbers come, and return that, whatever autocast is around.

    Autocast rounds what meets in a product, whoever needs its digits; it would be another
    mechanism, and a hand-written backward pass would not be that of its forward pass.  A model
    under autocast hands over tensors of half precision, and gets these.  The same holds for the
    backward pass, if it is called within autocast, by ``torch.func.grad`` say.
    """

    @functools.wraps(function)
    def computed(*args: P.args, **kwargs: P.kwargs) -> R:
        for x in (*args, *kwargs.values()):
            if isinstance(x, torch.Tensor):
                with without_autocast(x.device):
                    results = function(*args, **kwargs)
                if torch.is_grad_enabled() and not torch.compiler.is_compiling():
                    _differentiated_as_computed(results, (*args, *kwargs.values()), x.device.type)
                return results
        return function(*args, **kwargs)

    return computed


def _differentiated_as_computed(results: object, inputs: tuple, kind: str) -> None:
    """Turn autocast off in the backward pass between results and inputs, too.

    The nodes between them are looked for in the backward pass, and only if there is an autocast.
    """
    given = {*_nodes(inputs)}
    roots = {*_nodes(results)} - given
    if not roots or not torch.amp.is_autocast_available(kind):
        return
    seen = roots | given
    before: list[bool] = []

    def enter(_: object) -> None:
        before.append(torch.is_autocast_enabled(kind))
        torch.set_autocast_enabled(kind, False)

    def leave(*_: object) -> None:
        torch.set_autocast_enabled(kind, before.pop())

    def enter_all(upstream: object) -> None:
        if torch.is_autocast_enabled(kind):
            waiting = [*roots]
            while waiting:
                new = {node for node, _ in waiting.pop().next_functions if node is not None} - seen
                seen.update(new)
                waiting.extend(new)
                for node in new:
                    if node.name().startswith(PRODUCTS):
                        node.register_prehook(enter)
                        node.register_hook(leave)
        enter(upstream)

    for root in roots:
        root.register_prehook(enter_all)
        root.register_hook(leave)


def _nodes(x: object) -> Iterator[torch.autograd.graph.Node]:
    """Those by which tensors, in tuples or not, came about."""
    if isinstance(x, torch.Tensor):
        if x.grad_fn is not None:
            yield x.grad_fn
    elif isinstance(x, tuple):
        for part in x:
            yield from _nodes(part)


def without_autocast(device: torch.device) -> contextlib.AbstractContextManager:
    """As numbers come: mechanisms know themselves what may be rounded, and what must not be."""
    kind = device.type
    if torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind):
        return torch.autocast(kind, enabled=False)
    return contextlib.nullcontext()


def check_kind(
    name: str, x: object, kinds: frozenset[torch.dtype] = FLOATS, *, also: str = ""
) -> torch.Tensor:
    """Refuse what is no dense tensor of one of the dtypes, a row of ``KINDS``.

    Args:
        name: what the caller calls it.
        x: what was given.
        kinds: which dtypes are right.
        also: what else would be right, for the message.

    Returns:
        The tensor.
    """
    if not isinstance(x, torch.Tensor):
        got = f"{type(x)}, not a torch tensor"
    elif x.is_nested:
        got = "a nested one"
    elif x.layout != torch.strided:
        got = f"one of the layout {x.layout}"
    elif x.dtype not in kinds:
        got = str(x.dtype)
    else:
        return x
    raise ValueError(f"{name} must be {also}{KINDS[kinds]}, got {got}")


def check_tensor(name: str, x: torch.Tensor) -> None:
    """Refuse what is no tensor of real numbers with two axes or more."""
    check_kind(name, x)
    check_rows(name, x, "(..., n, d)")


def check_like(name: str, x: torch.Tensor, name_of_other: str, other: torch.Tensor) -> None:
    """Refuse a tensor of another dtype, or on another device, than the other."""
    check_tensor(name, x)
    check_same(name, x, name_of_other, other)


def check_same(name: str, x: torch.Tensor, name_of_other: str, other: torch.Tensor) -> None:
    """The same of a tensor of any number of axes."""
    for kind in ("dtype", "device"):
        ours, theirs = getattr(x, kind), getattr(other, kind)
        if ours != theirs:
            # Under autocast inputs come in half precision, and parameters do not.
            raise ValueError(
                f"{name} must have the {kind} of {name_of_other}, {theirs}, got {ours}; "
                f"{name}.to({name_of_other}.{kind}) has it"
            )


def _check_mask(mask: torch.Tensor, scores: tuple[int, ...], device: torch.device) -> None:
    check_kind("mask", mask, frozenset({torch.bool}))
    if mask.device != device:
        raise ValueError(f"mask must be on the device of q, {device}, got {mask.device}")
    try:
        fits = torch.broadcast_shapes(mask.shape, scores) == scores
    except RuntimeError:
        fits = False
    if not fits:
        raise ValueError(f"mask must broadcast to (..., n_q, n_k) = {scores}, got {shape_of(mask)}")


def joined(name: str, x: torch.Tensor, lead: torch.Size) -> torch.Size:
    """The leading axes that ``lead`` and those of ``x`` broadcast to, or a refusal of ``x``."""
    try:
        return torch.broadcast_shapes(lead, x.shape[:-2])
    except RuntimeError:
        raise ValueError(
            f"{name} must have leading axes that broadcast with {tuple(lead)}, got {shape_of(x)}"
        ) from None


def shape_of(x: torch.Tensor) -> tuple[int, ...]:
    """A shape as messages show it."""
    return tuple(x.shape)


def check_tensors(**tensors: torch.Tensor) -> None:
    """Refuse what is no floating-point tensor, or differs from the first in dtype or device."""
    name_of_first, first = next(iter(tensors.items()))
    for name, x in tensors.items():
        check_kind(name, x)
        check_same(name, x, name_of_first, first)


def check_rows(name: str, x: torch.Tensor, wanted: str) -> None:
    """Refuse what has no axis of tokens."""
    if x.ndim < 2:
        raise ValueError(f"{name} must have at least two axes, {wanted}, got {shape_of(x)}")


def check_shape(name: str, x: torch.Tensor, wanted: tuple[int, ...]) -> None:
    """Refuse any other shape."""
    if x.shape != wanted:
        raise ValueError(f"{name} must have the shape {tuple(wanted)}, got {shape_of(x)}")


def check_leads(**leads: torch.Size) -> None:
    """Refuse leading axes that do not broadcast with those named before them."""
    joined = torch.Size()
    for name, lead in leads.items():
        try:
            joined = torch.broadcast_shapes(joined, lead)
        except RuntimeError:
            raise ValueError(
                f"{name} must have leading axes that broadcast with {tuple(joined)}, "
                f"got {tuple(lead)}"
            ) from None
