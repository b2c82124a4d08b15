"""What lets a loop over tiles or chunks pass through PyTorch's transforms.

``ByHand`` is for a backward pass that is written by hand: it goes through ``torch.func``, forward
mode and second derivatives.  ``one_call`` is for ``torch.compile``, ``torch.export`` and
``torch.jit.trace``, which would copy a loop out: to them it is one operation, so that neither the
time to compile it nor the graph grows with n, and one graph serves all lengths.
"""

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, NoReturn

import torch
from torch.autograd import Function, forward_ad

from attention_limits.tensors import own_precision

MaybeTensor = torch.Tensor | None


@dataclass(frozen=True)
class ByHand:
    """A computation and its backward pass; it is called as the computation is.

    Attributes:
        forward: takes tensors, ``mask`` and options to the outputs, and to what the backward pass
            wants to have kept.  Forward mode has to go through it and through ``backward``.
        backward: takes the tensors, what was kept, and the gradient of each output, with ``mask``
            and options, to the gradient of each tensor.
        outputs: how many outputs there are.
    """

    forward: Callable[..., tuple[Sequence[torch.Tensor], Sequence[torch.Tensor]]]
    backward: Callable[..., Sequence[torch.Tensor]]
    outputs: int = 1
    keeps_outputs: bool = False
    plain: Callable[..., Sequence[torch.Tensor]] | None = None

    def __call__(
        self, *tensors: torch.Tensor, mask: MaybeTensor = None, **options: object
    ) -> Sequence[torch.Tensor]:
        """The outputs."""
        if torch.compiler.is_compiling() and self.plain is not None:  # in the midst of a stream
            return self.plain(*tensors, mask=mask, **options)
        if forward_ad._current_level >= 0:  # forward mode needs nothing kept, and no help
            given = [x for x in (*tensors, mask) if x is not None]
            # Whatever `vmap` runs along in one of them is in the zero, and so in all of them.
            zero = sum(x.new_zeros((), dtype=tensors[0].dtype) for x in given)
            tensors = tuple(x + zero for x in tensors)
            if self.plain is not None:
                return self.plain(*tensors, mask=mask, **options)
            return self.forward(*tensors, mask=mask, **options)[0]
        learns = torch.is_grad_enabled() and any(x.requires_grad for x in tensors)
        if not learns and not torch._C._are_functorch_transforms_active():
            return self.forward(*tensors, mask=mask, **options)[0]  # there is nothing to go through
        call = _Call(self, options, len(tensors))
        return _Forward.apply(call, *tensors, mask)[: self.outputs]


class _Call(NamedTuple):
    """A pair of passes, its options, and how many tensors it is called on."""

    pair: ByHand
    options: dict[str, Any]
    tensors: int


class _Forward(Function):
    """From the tensors and a mask to the outputs and what is kept."""

    @staticmethod
    def forward(call, *inputs):
        *tensors, mask = inputs
        outputs, kept = call.pair.forward(*tensors, mask=mask, **call.options)
        return *outputs, *kept

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.call, *inputs = inputs
        ctx.shapes = [x.shape for x in output[: ctx.call.pair.outputs]]
        kept = output[ctx.call.pair.outputs :]
        ctx.save_for_backward(*inputs, *(output if ctx.call.pair.keeps_outputs else kept))
        ctx.mark_non_differentiable(*kept)
        ctx.set_materialize_grads(False)  # what is kept has none

    @staticmethod
    def backward(ctx, *upstream):
        of_outputs = zip(upstream, ctx.shapes, strict=False)
        given = ctx.saved_tensors
        upstream = [given[0].new_zeros(shape) if g is None else g for g, shape in of_outputs]
        # Only a second backward pass, or a transform, has to see what this one does.
        watched = torch.is_grad_enabled() or torch._C._are_functorch_transforms_active()
        through = _Backward.apply if watched else _Backward.forward
        backward = functools.partial(through, ctx.call, *given)
        if any(map(torch._C._functorch.is_legacy_batchedtensor, upstream)):
            sizes = [x.shape for x in given[: ctx.call.tensors]]
            return None, *_one_by_one(backward, sizes, upstream), None
        return None, *backward(*upstream), None

    @staticmethod
    def vmap(info, in_dims, call, *inputs):
        return _batched(_Forward, info, in_dims, call, inputs)


class _Backward(Function):
    """From these, what is kept and the gradients of the outputs to those of the tensors."""

    @staticmethod
    @own_precision
    def forward(call, *inputs):
        given, kept, upstream = _Backward._parts(call, inputs)
        *tensors, mask = given
        return tuple(call.pair.backward(tensors, kept, upstream, mask=mask, **call.options))

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.call, *inputs = inputs
        ctx.save_for_backward(*inputs)
        ctx.set_materialize_grads(False)

    @staticmethod
    def backward(ctx, *directions):
        given, kept, upstream = _Backward._parts(ctx.call, ctx.saved_tensors)
        grads = _Twice.apply(ctx.call, *given, *upstream, *directions)
        n = ctx.call.tensors
        return None, *grads[:n], None, *[None] * len(kept), *grads[n:]

    @staticmethod
    def vmap(info, in_dims, call, *inputs):
        return _batched(_Backward, info, in_dims, call, inputs)

    @staticmethod
    def _parts(call, inputs):
        first, last = call.tensors + 1, len(inputs) - call.pair.outputs
        return inputs[:first], inputs[first:last], inputs[last:]


class _Twice(Function):
    """The second derivative, in the direction of what comes down to the tensors' gradients.

    As a backward pass is ⟨g, f⟩ differentiated, and the order of two derivatives does not matter,
    the gradient of g is how the outputs change in this direction, and that of the tensors how
    their gradients do: forward mode through both passes, in no more memory than they take.
    """

    @staticmethod
    @own_precision
    def forward(call, *inputs):
        n, m = call.tensors, call.pair.outputs
        # Along what `vmap` has expanded, forward mode could not write.
        tensors = [x.contiguous() for x in inputs[:n]]
        mask, upstream = inputs[n], inputs[n + 1 : n + 1 + m]
        directions = [
            torch.zeros_like(x) if direction is None else direction
            for x, direction in zip(tensors, inputs[n + 1 + m :], strict=True)
        ]

        def both(*tensors):
            outputs, kept = call.pair.forward(*tensors, mask=mask, **call.options)
            kept = [*outputs, *kept] if call.pair.keeps_outputs else kept
            grads = call.pair.backward(tensors, kept, upstream, mask=mask, **call.options)
            return *grads, *outputs

        _, changes = torch.func.jvp(both, tuple(tensors), tuple(directions))
        return changes

    @staticmethod
    def setup_context(ctx, inputs, output):
        pass

    @staticmethod
    def backward(ctx, *upstream):
        return _refuse_a_third()

    @staticmethod
    def vmap(info, in_dims, call, *inputs):
        return _batched(_Twice, info, in_dims, call, inputs)


_waiting: dict[int, Callable[..., Sequence[torch.Tensor]]] = {}


@torch.library.custom_op("attention_limits::one_by_one", mutates_args=())
def _one(key: int, first: torch.Tensor, second: torch.Tensor | None) -> torch.Tensor:
    upstream = [first] if second is None else [first, second]
    return torch.cat([x.flatten() for x in _waiting[key](*upstream)])


def _one_by_one(
    backward: Callable[..., Sequence[torch.Tensor]],
    shapes: Sequence[torch.Size],
    upstream: Sequence[torch.Tensor],
) -> Iterator[torch.Tensor]:
    """The gradients of many upstream gradients at once, as ``jacobian(vectorize=True)`` asks.

    It batches by other means than ``torch.func.vmap``, which know nothing of our rule, but fall
    back on calling an operation of one output for each.
    """
    key = id(upstream)
    _waiting[key] = backward
    try:
        flat = _one(key, *upstream, *[None] * (2 - len(upstream)))
    finally:
        del _waiting[key]
    parts = flat.split([shape.numel() for shape in shapes], dim=-1)
    return (part.reshape(shape) for part, shape in zip(parts, shapes, strict=True))


def _refuse_a_third() -> NoReturn:
    raise RuntimeError(
        "attend must be differentiated backward twice at the most, got a third backward pass; "
        "torch.func.jvp goes on from there"
    )


def _batched(
    function: type[Function], info: Any, in_dims: tuple, call: _Call, inputs: Sequence[MaybeTensor]
) -> tuple[tuple[torch.Tensor, ...], tuple[int, ...]]:
    """What ``vmap`` runs along becomes the first of the leading axes."""
    pairs = list(zip(inputs, in_dims[1:], strict=True))
    rank = max(x.ndim - (axis is not None) for x, axis in pairs if x is not None)

    def in_front(x: torch.Tensor, axis: int | None) -> torch.Tensor:
        x = x.expand(info.batch_size, *x.shape) if axis is None else x.movedim(axis, 0)
        return x[(slice(None), *[None] * (rank + 1 - x.ndim))]

    results = function.apply(call, *(x if x is None else in_front(x, axis) for x, axis in pairs))
    return results, (0,) * len(results)


def is_one_operation() -> bool:
    """Whether somebody is looking to whom a loop is to be one operation."""
    return torch.compiler.is_compiling() or torch.jit.is_tracing()


def one_call(compute: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
    """Make a computation one operation to whoever compiles, exports or traces it.

    Called from elsewhere it is what it was.  The backward pass computes forward again, so that
    nothing is kept between them but the inputs.

    Args:
        compute: of q, k, v and others, all with their dtypes written to the signature, to an
            output (..., n_q, d_v) in the dtype of v.
    """
    name = f"attention_limits::{compute.__module__.rpartition('.')[-1]}"
    schema = torch.library.infer_schema(compute, mutates_args=())
    # Contiguous, as the compiler is told below.
    forward = torch.library.custom_op(
        name, lambda *inputs: compute(*inputs).contiguous(), mutates_args=(), schema=schema
    )
    backward = torch.library.custom_op(
        f"{name}_backward",
        functools.partial(_pulled_back, compute),
        mutates_args=(),
        schema=schema.replace(") -> Tensor", ", Tensor upstream) -> Tensor[]"),
    )

    @forward.register_fake
    def _(*inputs):
        leads = [x.shape[:-2] for x in _floating(inputs)]
        q, _, v = inputs[:3]
        return v.new_empty(*torch.broadcast_shapes(*leads), q.shape[-2], v.shape[-1])

    @backward.register_fake
    def _(*inputs):
        return [x.new_empty(x.shape) for x in _floating(inputs[:-1])]

    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(*(x for x in inputs if isinstance(x, torch.Tensor)))
        ctx.inputs = [None if isinstance(x, torch.Tensor) else (x,) for x in inputs]

    def differentiate(ctx, upstream):
        saved = iter(ctx.saved_tensors)
        inputs = [next(saved) if x is None else x[0] for x in ctx.inputs]
        grads = iter(backward(*inputs, upstream))
        return tuple(next(grads) if _is_floating(x) else None for x in inputs)

    forward.register_autograd(differentiate, setup_context=setup_context)

    @functools.wraps(compute)
    def called(*inputs):
        return (forward if is_one_operation() else compute)(*inputs)

    return called


@own_precision
def _pulled_back(compute: Callable[..., torch.Tensor], *inputs: Any) -> list[torch.Tensor]:
    """The gradients of the floating-point tensors among the inputs; the last is the output's."""
    *given, upstream = inputs

    def of_floating(*tensors: torch.Tensor) -> torch.Tensor:
        moved = iter(tensors)
        return compute(*(next(moved) if _is_floating(x) else x for x in given))

    with torch.enable_grad():
        _, pull_back, *_ = torch.func.vjp(of_floating, *_floating(given))
    return [x.contiguous() for x in pull_back(upstream)]


def _is_floating(x: object) -> bool:
    return isinstance(x, torch.Tensor) and x.is_floating_point()


def _floating(inputs: Sequence[Any]) -> list[torch.Tensor]:
    return [x for x in inputs if _is_floating(x)]
