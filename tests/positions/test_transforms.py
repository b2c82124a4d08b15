"""Every public function of every encoding, under the transforms of PyTorch."""

import importlib

import pytest
import torch
from helpers.tables import assert_rows_for
from helpers.transforms import COMPILERS, QUIET, Case, compiled, drawn, everything_tried, of_tensors

from attention_limits import positions
from attention_limits.positions import (
    POSITIONS,
    alibi,
    learned,
    lstm_generated,
    none,
    relative_bias,
    rotary,
    shaw,
    sinusoidal,
    time_aware,
)

pytestmark = QUIET

HEADS, D, HIDDEN, N_MAX = 2, 4, 2, 20
BUCKETS = {"causal": True, "buckets": 4, "max_distance": 6}


def with_positions(make):
    """And positions, out of order."""
    return lambda n, seed: [*make(n, seed), (torch.arange(n) * 3 + seed) % n]


def with_times(*shapes):
    """And times, which never go back: seconds, or nanoseconds since long ago."""

    def make(n, seed):
        generator = torch.Generator().manual_seed(seed)
        steps = torch.rand(n, generator=generator, dtype=torch.float64) + 0.1
        return [*drawn(*shapes)(n, seed), steps.cumsum(0)]

    return make


def with_nanoseconds(n, seed):
    return [*drawn(("n", D))(n, seed), 10**18 + torch.arange(n) * (seed + 1)]


x, scores = ("n", D), (HEADS, "n", "n")
cell = [(4 * HIDDEN, D), (4 * HIDDEN, HIDDEN), (4 * HIDDEN,), (D, HIDDEN)]
PERIODS = torch.tensor([0.5, 8.0], dtype=torch.float64)

# By encoding and function, and how it is called. What `apply` calls is compiled with it.
CASES = {
    "none apply": Case(none.apply, drawn(x)),
    "sinusoidal apply": Case(sinusoidal.apply, drawn(x)),
    "sinusoidal apply, at positions": Case(
        lambda x, p: sinusoidal.apply(x, positions=p),
        with_positions(drawn(x)),
        given=1,
        compilers=(),
    ),
    "sinusoidal encoding": Case(lambda p: sinusoidal.encoding(p, D), drawn(("n",)), compilers=()),
    "sinusoidal angles": Case(
        lambda p, omega: sinusoidal.angles(p, omega).sin(), drawn(("n",), (D // 2,)), compilers=()
    ),
    "learned apply": Case(
        lambda x, table: learned.apply(x, table, start=3), drawn(x, (N_MAX, D)), most=N_MAX - 3
    ),
    "learned apply, at positions": Case(
        lambda x, table, p: learned.apply(x, table, positions=p),
        with_positions(drawn(x, (N_MAX, D))),
        given=1,
    ),
    "rotary apply": Case(rotary.apply, drawn(x)),
    "rotary apply, in halves": Case(
        lambda x, theta, p: rotary.apply(x, frequencies=theta, positions=p, layout="half"),
        drawn(x, (D // 2,), ("n",)),
    ),
    "rotary cos_sin": Case(
        lambda p, theta: rotary.cos_sin(p, theta, dtype=torch.float64)[1],
        drawn(("n",), (D // 2,)),
        compilers=(),
    ),
    "rotary rotate": Case(
        rotary.rotate,
        drawn(x, ("n", D // 2), ("n", D // 2)),
        deep=COMPILERS,  # as in `apply`
    ),
    "rotary to_half": Case(rotary.to_half, drawn(x), compilers=()),
    "rotary to_interleaved": Case(rotary.to_interleaved, drawn(x), compilers=()),
    "rotary interpolated": Case(
        lambda theta: rotary.interpolated(theta, 2.0), drawn((3,)), lengths=(), compilers=()
    ),
    "alibi apply": Case(alibi.apply, drawn(scores, (HEADS,))),
    "alibi bias": Case(
        lambda x, slopes, p: alibi.bias(*x.shape, slopes, positions_q=p) * x,
        with_positions(drawn(("n", "n"), (HEADS,))),
        given=1,
        compilers=(),
    ),
    "relative_bias apply": Case(
        lambda s, table: relative_bias.apply(s, table, **BUCKETS), drawn(scores, (HEADS, 4))
    ),
    "relative_bias bias": Case(
        lambda x, table, p: relative_bias.bias(*x.shape, table, positions_k=p, **BUCKETS) * x,
        with_positions(drawn(("n", "n"), (HEADS, 4))),
        given=1,
        compilers=(),
    ),
    "relative_bias bucket": Case(
        lambda x, p: x * relative_bias.bucket(p - 2, causal=False),
        with_positions(drawn(("n",))),
        given=1,
        compilers=(),
    ),
    "shaw apply": Case(
        lambda *tensors: shaw.apply(*tensors, causal=True), drawn(x, x, x, (5, D), (3, D))
    ),
    "shaw bias": Case(
        lambda q, table: shaw.bias(q, table, q.shape[0]), drawn(x, (5, D)), compilers=()
    ),
    "shaw mix": Case(shaw.mix, drawn(("n", "n"), x, (5, D)), compilers=()),
    "time_aware apply": Case(
        lambda s, m, kappa, c, t: time_aware.apply(s, t, t, m, knots=kappa, changes=c),
        with_times(scores, (HEADS,), (3,), (HEADS, 3)),
        given=1,
    ),
    "time_aware bias": Case(
        lambda m, t: time_aware.bias(t, t, m), with_times((HEADS,)), given=1, compilers=()
    ),
    "time_aware rotate": Case(
        lambda x, t: time_aware.rotate(x, t, periods=PERIODS.to(x)), with_nanoseconds, given=1
    ),
    "lstm_generated apply": Case(lstm_generated.apply, drawn(x, *cell)),
    "lstm_generated step": Case(
        lambda h, c, *inputs: lstm_generated.step(lstm_generated.State(h, c), *inputs),
        drawn((HIDDEN,), (HIDDEN,), x, *cell),
        deep=("compile for any length",),  # as `apply` is, by the same loop
    ),
}


def test_every_function_of_tensors_is_among_the_cases():
    modules = {name: importlib.import_module(f"{positions.__name__}.{name}") for name in POSITIONS}
    public = {f"{name} {door}" for name, module in modules.items() for door in of_tensors(module)}
    tried = {name.partition(",")[0] for name in CASES}
    assert_rows_for(public, {"CASES in tests/positions/test_transforms.py": tried})


@everything_tried(CASES)
def test_goes_through(case, transform):
    transform(case)


BAD = {
    "positions": lambda bad: learned.apply(torch.zeros(3, D), torch.zeros(4, D), positions=bad),
    "times": lambda bad: time_aware.rotate(torch.zeros(3, D), bad, periods=PERIODS),
}


@pytest.mark.parametrize("name", BAD)
def test_values_are_refused_within_vmap_and_asserted_in_compiled_programs(name):
    right = torch.tensor([0, 1, 2])
    wrong = torch.tensor([1, 2, -1])
    for axis in (0, 1):
        with pytest.raises(ValueError, match=rf"^{name} must .*, got "):
            torch.func.vmap(BAD[name], in_dims=axis)(torch.stack([right, wrong], dim=axis))
    program = compiled(BAD[name])
    assert torch.equal(program(right), BAD[name](right))
    with pytest.raises(RuntimeError, match=rf"^{name} must "):
        program(wrong)
