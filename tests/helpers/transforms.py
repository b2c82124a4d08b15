"""What PyTorch makes of functions, tried on any: each row of TRANSFORMS takes one, and asserts."""

import inspect
from collections.abc import Callable
from typing import NamedTuple

import pytest
import torch
from helpers.tensors import assert_close, draw, gradients
from torch import func
from torch._dynamo.testing import CompileCounterWithBackend
from torch.autograd import forward_ad
from torch.autograd.functional import jacobian
from torch.utils._pytree import tree_leaves
from torch.utils.checkpoint import checkpoint

# What PyTorch says of itself: forward mode compiles its formulas by what it discourages, and `vmap`
# calls a few operations, fused kernels among them, once for each sample.
QUIET = [
    pytest.mark.filterwarnings("ignore:`torch.jit.script`:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:There is a performance drop:UserWarning"),
]


def squared(function):
    """A loss that is not linear in the outputs: its second derivative has all terms."""
    return lambda *inputs: function(*inputs).square().sum()


def every(inputs):
    return tuple(range(len(inputs)))


def all_close(actual, expected, **how):
    for x, y in zip(actual, expected, strict=True):
        assert_close(x, y, **how)


def learning(inputs):
    return [x.detach().clone().requires_grad_() for x in inputs]


def compiled(function, **how):
    torch._dynamo.reset()  # or this is the ninth kernel of one name, and none is made
    return torch.compile(function, fullgraph=True, backend="aot_eager", **how)


class Layer(torch.nn.Module):
    """A function as the module that exporters and data parallelism want."""

    def __init__(self, function, width=None):
        super().__init__()
        self.function = function
        self.width = None if width is None else torch.nn.Parameter(torch.ones(width).double())

    def forward(self, *inputs):
        first, *others = inputs
        return self.function(first if self.width is None else first * self.width, *others)


def vector(results):
    """All that a function returned, in a row: outputs, and the state after them."""
    leaves = [x for x in tree_leaves(results) if isinstance(x, torch.Tensor)]
    return leaves[0] if len(leaves) == 1 else torch.cat([x.flatten() for x in leaves])


def drawn(*shapes):
    """Standard normal tensors as a function of the number of tokens, which is "n" in a shape."""

    def make(n, seed):
        sizes = [tuple(n if size == "n" else size for size in shape) for shape in shapes]
        return draw(*sizes, seed=seed)

    return make


COMPILERS = ("compile within autocast", "compile for any length", "export")


class Case(NamedTuple):
    """A function of tensors, and those that it is tried on.

    Attributes:
        call: takes the tensors, those of floats that have a gradient and those of integers.
        make: from a number of tokens and a seed to tensors of float64 and of integers.
        n: how many tokens to try it on.
        lengths: of tokens that one graph has to serve; () for what has no length.
        most: the longest that there may be.
        given: how many of the tensors, from the last on, have no gradient, such as times.
        rounds: whether it computes in half precision within autocast, as models do.
        compilers: those of ``COMPILERS`` to try: () where another case is compiled around it.
        deep: those of ``TRANSFORMS`` that ``make deep`` tries, as another test does the same.
    """

    call: Callable
    make: Callable
    n: int = 5
    lengths: tuple[int, ...] = (7, 8, 9, 12)
    most: int = 4096
    given: int = 0
    rounds: bool = False
    compilers: tuple[str, ...] = COMPILERS
    deep: tuple[str, ...] = ()

    def function(self, *inputs):
        return vector(self.call(*inputs))

    def inputs(self, n=None, seed=0):
        return [*self.make(self.n if n is None else n, seed)]

    def alone(self, inputs):
        """The function of those that have a gradient, and these."""
        last = len(inputs) - self.given
        return lambda *moved: self.function(*moved, *inputs[last:]), inputs[:last]


def try_vmap(case):
    several = [case.inputs(seed=seed) for seed in (0, 1)]
    expected = torch.stack([case.function(*inputs) for inputs in several])
    together = [torch.stack(each) for each in zip(*several, strict=True)]
    assert_close(func.vmap(case.function)(*together), expected)
    last = [x.movedim(0, -1) for x in together]
    assert_close(func.vmap(case.function, in_dims=-1)(*last), expected)
    for i in every(together):
        given = [x if j == i else x[0] for j, x in enumerate(together)]
        expected = torch.stack(
            [case.function(*(x[b] if j == i else x for j, x in enumerate(given))) for b in (0, 1)]
        )
        axes = tuple(0 if j == i else None for j in every(together))
        assert_close(func.vmap(case.function, in_dims=axes)(*given), expected)


def try_grad(case):
    inputs = case.inputs()
    function, moved = case.alone(inputs)
    leaves = learning(moved)
    expected = torch.autograd.grad(squared(function)(*leaves), leaves)
    plain = func.grad(squared(function), argnums=every(moved))
    all_close(plain(*moved), expected)
    # Of two samples at once, within `vmap` and around it; what has no gradient comes along.
    twice = [torch.stack([x, x]) for x in inputs]
    of_all = func.grad(squared(case.function), argnums=every(moved))
    all_close(func.vmap(of_all)(*twice), [torch.stack([x, x]) for x in expected])
    around = func.grad(squared(func.vmap(case.function)), argnums=every(moved))
    all_close(around(*twice), [torch.stack([x, x]) for x in expected])


def try_jacobians(case):
    function, moved = case.alone(case.inputs())
    rows = jacobian(function, tuple(moved))
    all_close(func.jacrev(function, argnums=every(moved))(*moved), rows)
    all_close(jacobian(function, tuple(moved), vectorize=True), rows)


def try_forward_mode(case):
    function, moved = case.alone(case.inputs())
    directions = [torch.linspace(-1, 1, x.numel()).to(x).view_as(x) for x in moved]
    _, slope = func.jvp(function, tuple(moved), tuple(directions))
    ahead, behind = (
        function(*(x + step * dx for x, dx in zip(moved, directions, strict=True)))
        for step in (1e-6, -1e-6)
    )
    assert_close(slope, (ahead - behind) / 2e-6, within=1e-6)
    with forward_ad.dual_level():
        duals = map(forward_ad.make_dual, moved, directions)
        tangent = forward_ad.unpack_dual(function(*duals)).tangent
        assert_close(torch.zeros_like(slope) if tangent is None else tangent, slope)
    twice = [torch.stack([x, x]) for x in (*case.inputs(), *directions)]
    inputs, directions = twice[: len(case.inputs())], twice[len(case.inputs()) :]
    last = len(inputs) - case.given

    def along(*moved):
        return func.vmap(case.function)(*moved, *inputs[last:])

    _, around = func.jvp(along, tuple(inputs[:last]), tuple(directions))
    assert_close(around, torch.stack([slope, slope]))


def try_a_second_backward_pass(case):
    function, moved = case.alone(case.inputs())
    assert torch.autograd.gradgradcheck(function, learning(moved), fast_mode=True)
    along = [torch.ones_like(x) for x in moved]

    def slopes(*moved):
        grads = func.grad(squared(function), argnums=every(moved))(*moved)
        return sum((x * dx).sum() for x, dx in zip(grads, along, strict=True))

    backward = func.grad(slopes, argnums=every(moved))(*moved)
    _, forward = func.jvp(func.grad(squared(function), argnums=every(moved)), (*moved,), (*along,))
    all_close(backward, forward, within=1e-9)


def try_compile_within_autocast(case):
    """In float32, of which a function of ours rounds nothing, and a model every product."""
    inputs = [x.float() if x.dtype == torch.float64 else x for x in case.inputs()]
    function, moved = case.alone(inputs)

    def within(*moved):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return function(*moved)

    out, grads = gradients(compiled(within), moved)
    expected, wanted = gradients(within if case.rounds else function, moved)
    all_close([out, *grads], [expected, *wanted], within=1e-2 if case.rounds else 1e-5)


def try_compile_for_any_length(case):
    """One graph for all of them."""
    torch._dynamo.reset()
    counting = CompileCounterWithBackend("aot_eager")
    once = torch.compile(case.function, fullgraph=True, dynamic=True, backend=counting)
    for n in case.lengths or (case.n,):
        inputs = case.inputs(n)

        def of(function, inputs=inputs):
            last = len(inputs) - case.given
            return gradients(lambda *moved: function(*moved, *inputs[last:]), inputs[:last])

        # A float is fixed at once: Dynamo would try without, and begin again.
        with torch._dynamo.config.patch(specialize_float=True):
            out, grads = of(once)
        expected, wanted = of(case.function)
        all_close([out, *grads], [expected, *wanted])
    assert counting.frame_count == 1


def try_export(case):
    """Run at another length than it was made at."""
    few, many = (case.inputs(n) for n in (case.lengths or (case.n, case.n))[-2:])
    length = torch.export.Dim("n", min=3, max=case.most)
    axes = tuple(
        {axis: length for axis, (a, b) in enumerate(zip(x.shape, y.shape, strict=True)) if a != b}
        for x, y in zip(few, many, strict=True)
    )
    program = torch.export.export(Layer(case.function), tuple(few), dynamic_shapes=(axes,))
    for inputs in (few, many):
        assert_close(program.module()(*inputs), case.function(*inputs))


def try_what_surrounds_a_training(case):
    """Checkpoints, ``save_on_cpu``, anomaly mode and deterministic algorithms change nothing."""
    function, moved = case.alone(case.inputs())
    loss, moved = squared(function), learning(moved)
    expected = torch.autograd.grad(loss(*moved), moved)
    for reentrant in (False, True):
        again = learning(moved)
        checkpoint(loss, *again, use_reentrant=reentrant).backward()
        all_close([x.grad for x in again], expected)
    with torch.autograd.graph.save_on_cpu():
        kept = loss(*moved)
    all_close(torch.autograd.grad(kept, moved), expected)
    with pytest.warns(UserWarning, match="Anomaly Detection"):
        anomalies = torch.autograd.detect_anomaly(check_nan=True)
    with anomalies:
        all_close(torch.autograd.grad(loss(*moved), moved), expected)
    torch.use_deterministic_algorithms(True)  # which fills memory that nobody has written to
    try:
        all_close(torch.autograd.grad(loss(*moved), moved), expected)
    finally:
        torch.use_deterministic_algorithms(False)


TRANSFORMS = {
    "vmap": try_vmap,
    "grad": try_grad,
    "jacobians": try_jacobians,
    "jvp": try_forward_mode,
    "a second backward pass": try_a_second_backward_pass,
    "compile within autocast": try_compile_within_autocast,
    "compile for any length": try_compile_for_any_length,
    "export": try_export,
    "what surrounds a training": try_what_surrounds_a_training,
}


def everything_tried(cases):
    """Each case with each transform, but of compilers, which take seconds, with those it names."""
    return pytest.mark.parametrize(
        ("case", "transform"),
        [
            pytest.param(
                case,
                transform,
                id=f"{name}-{how}",
                marks=[pytest.mark.deep] if how in case.deep else [],
            )
            for name, case in cases.items()
            for how, transform in TRANSFORMS.items()
            if how not in COMPILERS or how in case.compilers
        ],
    )


def of_tensors(module):
    """The public functions of a module that take a tensor, by name."""
    found = {}
    for name, function in vars(module).items():
        own = inspect.isfunction(function) and function.__module__ == module.__name__
        if own and not name.startswith("_") and name != "define":
            takes = inspect.signature(function).parameters.values()
            if any("torch.Tensor" in str(parameter) for parameter in takes):
                found[name] = function
    return found
