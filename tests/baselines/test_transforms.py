"""Every public function of every baseline, under the transforms of PyTorch."""

import importlib

import pytest
import torch
from helpers.tables import assert_rows_for
from helpers.tensors import draw
from helpers.transforms import QUIET, Case, compiled, drawn, everything_tried, of_tensors

from attention_limits import baselines
from attention_limits.baselines import BASELINES, convolution, recurrent

pytestmark = QUIET

D, D_IN, WIDTH = 3, 2, 3
network = [(D, D_IN), (D, D), (D,)]
kernel = [(WIDTH, D, D_IN), (D,)]
x, states = ("n", D_IN), ("n", D)


# By baseline and function, and how it is called.
CASES = {
    "recurrent apply": Case(recurrent.apply, drawn(x, *network)),
    "recurrent apply, from a state": Case(
        lambda x, *others: recurrent.apply(x, *others[:-1], start=others[-1]),
        drawn((2, "n", D_IN), *network, (2, D)),
    ),
    "recurrent step": Case(recurrent.step, drawn((D,), x, *network)),
    "recurrent jacobians": Case(recurrent.jacobians, drawn(states, (D, D))),
    "recurrent log_gradients": Case(recurrent.log_gradients, drawn(states, (D, D))),
    "recurrent lyapunov": Case(recurrent.lyapunov, drawn(states, (D, D))),
    "recurrent scan": Case(recurrent.scan, drawn(("n", D, D), states)),
    "convolution apply": Case(convolution.apply, drawn(x, *kernel)),
    "convolution apply, depthwise": Case(
        lambda x, kernel: convolution.apply(x, kernel, causal=True, dilation=2),
        drawn((2, "n", D_IN), (WIDTH, D_IN)),
    ),
    "convolution step": Case(convolution.step, drawn((WIDTH - 1, D_IN), x, *kernel)),
}


def test_every_function_of_tensors_is_among_the_cases():
    public = {
        f"{name} {function}"
        for name in BASELINES
        for function in of_tensors(importlib.import_module(f"{baselines.__name__}.{name}"))
    }
    tried = {name.partition(",")[0] for name in CASES} | {"recurrent newton"}  # tried below
    assert_rows_for(public, {"CASES in tests/baselines/test_transforms.py": tried})


@everything_tried(CASES)
def test_goes_through(case, transform):
    transform(case)


def test_newton_is_refused_by_name_where_values_are_not_to_be_looked_at():
    inputs = draw((2, 5, D_IN), *network)
    with pytest.raises(ValueError, match=r"^x must have its samples in leading axes, .*vmap"):
        torch.func.vmap(lambda x: recurrent.newton(x, *inputs[1:])[0])(inputs[0])
    with pytest.raises(torch._dynamo.exc.Unsupported, match="newton must run outside of compiled"):
        compiled(lambda *inputs: recurrent.newton(*inputs))(*inputs)
    expected, iterations = recurrent.newton(*inputs)
    torch._dynamo.reset()
    around = torch.compile(lambda *inputs: recurrent.newton(*inputs), backend="aot_eager")
    found, count = around(*inputs)
    assert torch.equal(found, expected)
    assert count == iterations
