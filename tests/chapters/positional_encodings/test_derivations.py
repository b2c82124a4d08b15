"""The formulas on positions, against the encodings that they speak of."""

import math

import numpy as np
import pytest
import sympy as sp
import torch

from attention_limits.chapters.positional_encodings.derivations import encodings as derived
from attention_limits.chapters.positional_encodings.derivations import (
    longer_contexts as longer_derived,
)
from attention_limits.chapters.positional_encodings.derivations import rotary as rotary_derived
from attention_limits.positions import alibi, rotary, sinusoidal
from attention_limits.symbols import frequencies, omega

SIZES = pytest.mark.parametrize(("d", "base"), [(2, 10000.0), (8, 100.0), (64, 10000.0)])


@SIZES
def test_frequencies_and_periods_are_those_of_the_code(d, base):
    """d and d/2 were mixed up: the slowest frequency would turn at the square root of its speed."""
    at = {"i": np.arange(d // 2), "F": d // 2, "base": base}
    omega = sinusoidal.frequencies(d, base=base).numpy()
    np.testing.assert_allclose(derived.FREQUENCY.numpy(**at), omega, rtol=1e-13)
    np.testing.assert_allclose(derived.PERIOD.numpy(**at), 2 * np.pi / omega, rtol=1e-13)


@SIZES
def test_kernel_and_distance_are_those_of_the_code(d, base):
    encoding = sinusoidal.encoding(torch.arange(50), d, base=base)
    at = {"F": d // 2, "base": base, "delta": np.arange(50)}
    kernel = (encoding @ encoding[0]).numpy()
    np.testing.assert_allclose(derived.KERNEL.numpy(**at), kernel, atol=1e-12)
    apart = (encoding - encoding[0]).norm(dim=-1).numpy()
    np.testing.assert_allclose(
        rotary_derived.APART.numpy(**at), apart, atol=1e-7
    )  # a root of nearly 0
    neighbours = rotary_derived.RESOLUTION(F=d // 2, base=base)
    np.testing.assert_allclose(encoding.diff(dim=0).norm(dim=-1).numpy(), neighbours, rtol=1e-12)


def test_the_new_base_is_that_of_the_code():
    d, base, factor = 16, 100.0, 4.0
    scaled = longer_derived.NTK_BASE(F=d // 2, base=base, factor=factor)
    expected = rotary.ntk_aware(d, base, factor)
    torch.testing.assert_close(rotary.frequencies(d, base=scaled), expected)


@pytest.mark.parametrize("slope", [0.5, 2**-8])
def test_reach_and_window_are_those_of_the_weights(slope):
    """One key more or less than the window leaves another share out."""
    weights = torch.softmax(alibi.bias(1, 20000, torch.tensor([slope]).double())[0, 0], -1).flip(-1)
    distance = derived.E_FOLDING_DISTANCE(slope=slope)
    assert weights[round(distance)] / weights[0] == pytest.approx(math.exp(-1))
    window = derived.WINDOW(slope=slope, epsilon=0.01)
    held = weights.cumsum(0)
    assert held[math.floor(window) - 1] <= 0.99 <= held[math.ceil(window) - 1]
    assert weights[0].item() == pytest.approx(derived.NEAREST_EVER(slope=slope))


def test_shares_of_a_model():
    """By hand, for 12 layers of width 768 with 12 heads on 1024 tokens: all but free."""
    n, width, heads, layers = 1024, 768, 12, 12
    layer = 24 * n * width**2 + 4 * n**2 * width
    size = {"n": n, "d_model": width}
    assert derived.CLASSIC(**size) == layer
    added = derived.ADDED_SHARE(**size, layers=layers)
    assert added == pytest.approx(n * width / (layers * layer)) == pytest.approx(3.7e-6, rel=0.01)
    assert derived.TURNED_SHARE(**size) == pytest.approx(6 * n * width / layer)
    sloped = derived.SLOPED_SHARE(**size, h=heads)
    assert sloped == pytest.approx(2 * heads * n**2 / layer) == pytest.approx(0.0014, rel=0.03)


def test_no_row_of_frequencies_is_left_out_of_the_counting():
    """The commutant, counted by linear algebra: d of the d² dimensions, and no more."""
    omegas = sinusoidal.frequencies(8, base=100.0).numpy()
    turn = np.zeros((8, 8))
    for i, angle in enumerate(omegas):
        turn[2 * i : 2 * i + 2, 2 * i : 2 * i + 2] = sp.matrix2numpy(
            derived.rotation(-omega).subs(omega, angle), dtype=float
        )
    change = np.kron(turn.T, turn.T) - np.eye(64)  # vec(Rᵀ M R − M), row by row
    left = 64 - np.linalg.matrix_rank(change, tol=1e-9)
    assert left == rotary_derived.frequencies_do_not_mix().steps[-1].rhs.subs(frequencies, 4) == 8


def test_longer_sequences_ask_what_the_code_does():
    """The chart's three cures are those of the package, or its turns are another context's."""
    d, base, factor, context = 128, 10000.0, 8.0, 4096
    at = {"F": d // 2, "base": base, "i": np.arange(d // 2)}
    theta = rotary.frequencies(d, base=base)
    turns = longer_derived.TURNS.numpy(**at, context=context)
    np.testing.assert_allclose(turns, context * theta.numpy() / (2 * np.pi))
    by_base = longer_derived.NTK_AWARE.numpy(F=d // 2, i=at["i"], factor=factor)
    expected = factor * rotary.ntk_aware(d, base, factor) / theta
    np.testing.assert_allclose(by_base, expected.numpy())
    by_turns = longer_derived.YARN.numpy(**at, context=context, factor=factor, low=1, high=32)
    expected = factor * rotary.yarn(d, base, factor, context) / theta
    np.testing.assert_allclose(by_turns, expected.numpy())


def test_a_product_prints_what_it_multiplies():
    """A chapter would show the sum that a product of matrices comes to, and not the matrices."""
    product = derived.Product(derived.pair(omega, 1).T, derived.pair(omega, 2))
    assert sp.simplify(product.doit() - sp.cos(omega)) == 0
    assert sp.latex(product).count("matrix") == 4
    assert sp.latex(product**2).endswith(r"^{2}")
    assert product.free_symbols == {omega}
