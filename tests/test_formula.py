import math

import numpy as np
import pytest
import sympy as sp
import torch
from helpers.expressions import POINTS, expressions, tame_value
from hypothesis import assume, given
from hypothesis import strategies as st

from attention_limits.formula import Formula
from attention_limits.symbols import d, d_model, i, l, n, tau, x

VALUES = {"x": np.array([-2.5, 0.5, 2.0]), "tau": np.array([[0.25], [3.0]]), "n": 4, "d": 6.0}


def by_name(expr, points):
    """What a formula takes: arrays of the points, by the names of the symbols in it."""
    return {s.name: np.array([float(p[s]) for p in points]) for s in expr.free_symbols}


def tensors(values, *, requires_grad=False):
    return {
        name: torch.tensor(value, dtype=torch.float64, requires_grad=requires_grad)
        for name, value in values.items()
    }


# --- the lives agree --------------------------------------------------------------------


@given(expressions(), st.lists(POINTS, min_size=3, max_size=3))
def test_every_life_gives_the_value_that_sympy_gives(expr, points):
    """The chart, the test or the prose computed something else than what the chapter derived."""
    points = [point for point in points if tame_value(expr, point) is not None]
    assume(points)
    true = np.array([tame_value(expr, point) for point in points])
    formula, arrays = Formula(expr), by_name(expr, points)
    np.testing.assert_allclose(formula.numpy(**arrays), true, rtol=1e-12)
    np.testing.assert_allclose(formula.torch(**tensors(arrays)), true, rtol=1e-12)
    assert math.isclose(formula(**{s.name: points[0][s] for s in formula.symbols}), true[0])
    first = {name: array[0].item() for name, array in arrays.items()}
    np.testing.assert_allclose(formula.numpy(**first), true[0], rtol=1e-12)
    np.testing.assert_allclose(formula.torch(**first), true[0], rtol=1e-12)


@given(expressions(smooth=True), POINTS)
def test_gradients_are_the_derivatives(expr, point):
    """Backpropagation through a formula stopped, or went to the wrong symbol."""
    slopes = {s.name: tame_value(sp.diff(expr, s), point) for s in expr.free_symbols}
    assume(None not in slopes.values() and tame_value(expr, point) is not None)
    inputs = tensors(by_name(expr, [point]), requires_grad=True)
    Formula(expr).torch(**inputs).sum().backward()
    for name, slope in slopes.items():
        assert inputs[name].grad.item() == pytest.approx(slope, rel=1e-9, abs=1e-9)


PARTIAL = {
    "no last branch": (sp.Piecewise((x, x > 1)), [np.nan, np.nan, 2]),
    "no last branch, inside": (1 + 2 * sp.Piecewise((x, x > 1)), [np.nan, np.nan, 5]),
    "log": (sp.Piecewise((sp.log(x), x > 0), (7, True)), [7, np.log(0.5), np.log(2)]),
    "division": (sp.Piecewise((1 / (x - 2), x < 2), (7, True)), [-1 / 4.5, -1 / 1.5, 7]),
    "overflow": (sp.Piecewise((sp.exp(1000 * x), x < 0), (7, True)), [0, 7, 7]),
    "constants": (sp.Piecewise((sp.Rational(1, 3), x < 0), (sp.pi, True)), [1 / 3, np.pi, np.pi]),
    "constant first": (sp.Piecewise((1, sp.Lt(0, x, evaluate=False)), (0, True)), [0, 1, 1]),
}


@pytest.mark.parametrize(("expr", "true"), PARTIAL.values(), ids=PARTIAL)
def test_branches_not_taken_do_not_show(expr, true):
    """A branch that has no meaning here warned, or turned into a number where none is."""
    formula = Formula(expr)
    np.testing.assert_allclose(formula.numpy(x=VALUES["x"]), true, rtol=1e-15)
    np.testing.assert_allclose(formula.torch(x=torch.tensor(VALUES["x"])), true, rtol=1e-15)


BROADCAST = [
    x * tau,
    sp.Max(x, tau, 1),
    sp.Min(x, sp.Rational(1, 3), tau),
    sp.Mod(x, tau),
    sp.Piecewise((1, sp.And(x > 0, tau > 1)), (2, True)),
    sp.Piecewise((x, sp.Or(x > 0, tau > 1)), (2, True)),
    sp.Piecewise((1, sp.Not(sp.And(sp.Ne(x, 2), tau > 1))), (tau, x < 0), (3, True)),
    sp.Sum(x**l * tau, (l, 0, n - 1)),
    sp.Sum(sp.Piecewise((x, sp.Or(l < tau, x > 1)), (l, True)), (l, 0, n)),
]


@pytest.mark.parametrize("expr", BROADCAST, ids=str)
def test_shapes_broadcast(expr):
    """A grid of one symbol against another, as a heat map needs it, failed or was misread."""
    formula = Formula(expr)
    values = {s.name: VALUES[s.name] for s in formula.symbols}
    rows, columns = np.broadcast_arrays(values["tau"], values["x"])
    entries = zip(rows.ravel(), columns.ravel(), strict=True)
    fixed = {"n": 4} if n in formula.symbols else {}
    true = np.reshape([formula(tau=t, x=number, **fixed) for t, number in entries], (2, 3))
    np.testing.assert_allclose(formula.numpy(**values), true, rtol=1e-13)
    tensor = tensors({"tau": values["tau"], "x": values["x"]})
    np.testing.assert_allclose(formula.torch(**tensor, **fixed), true, rtol=1e-13)


SUMS = [
    sp.Sum(sp.sin(l * x), (l, 1, n)),
    sp.Sum(1 / (l + 1) ** 2, (l, 0, n - 1)),
    sp.Sum(2**l / n, (l, 0, n)),
    sp.Sum(sp.sqrt(l) * sp.log(l, 2), (l, 1, n)),
    sp.Sum(sp.Max(l, x, 2) + sp.Mod(l, 3), (l, 0, n)),
    sp.Sum(sp.Piecewise((1, l < n / 2), (sp.Rational(1, 3), True)), (l, 0, n)),
    sp.Sum(sp.exp(-l / tau), (l, 0, n - 1)) / sp.Sum(l + i, (l, 1, n), (i, 0, 2)),
    sp.Sum(n**-2, (l, 1, n)),
]


@pytest.mark.parametrize("expr", SUMS, ids=str)
@pytest.mark.parametrize("length", [1, 2, 7])
def test_sums_have_all_of_their_terms(expr, length):
    """A sum lost its last term, or its index, a plain number, broke a tensor function."""
    formula = Formula(expr)
    values = {"n": length, "x": 0.3, "tau": 1.7}
    values = {s.name: values[s.name] for s in formula.symbols}
    point = {s: values[s.name] for s in formula.symbols}
    true = float(expr.subs(point).doit().evalf(30))
    assert formula(**values) == pytest.approx(true, rel=1e-13)
    assert formula.numpy(**values) == pytest.approx(true, rel=1e-13)
    assert formula.torch(**values).item() == pytest.approx(true, rel=1e-13)


def test_a_sum_needs_one_length():
    """Lengths in an array gave one sum for all of them, the wrong one for most."""
    formula = Formula(sp.Sum(x, (l, 1, n)))
    with pytest.raises(ValueError, match="n must be one number, as it limits a sum, got"):
        formula.numpy(n=[2, 3], x=1)
    with pytest.raises(ValueError, match="n must be one number, as it limits a sum, got"):
        formula.torch(n=torch.tensor([2.0, 3.0]), x=1)


# --- exact values -----------------------------------------------------------------------


@given(st.integers(1, 2**60), st.integers(1, 2**60))
def test_integers_are_exact_at_any_size(length, width):
    """A FLOP count beyond 2**53 was rounded, or became a float in the text."""
    value = Formula(4 * n**2 * d)(n=length, d=width)
    assert value == 4 * length**2 * width
    assert type(value) is int


@pytest.mark.parametrize(
    ("expr", "value", "kind"),
    [
        (n**2, 2**80, int),
        (n / 2, 2**39, int),
        (sp.sqrt(n), 2**20, int),
        (sp.Sum(l, (l, 1, n)), 2**39 * (2**40 + 1), int),
        (1 / n, 2.0**-40, float),
        (sp.Mod(n, 3), 1, int),
    ],
)
def test_huge_lengths(expr, value, kind):
    """A length of 2**40 took forever, overflowed or lost its last digit."""
    found = Formula(expr)(n=2**40)
    assert found == value
    assert type(found) is kind


# --- dtypes, shapes and devices -----------------------------------------------------------

KINDS = {
    "constant": sp.Integer(3),
    "irrational": sp.pi + 1,
    "smooth": sp.sqrt(2) * x + sp.log(tau, 2) / 3,
    "steps": sp.Max(x, sp.Rational(1, 3), tau) + sp.floor(x) + sp.Mod(x, tau),
    "cases": sp.Piecewise((1, x > 0), (2, True)),
    "fractions": sp.Piecewise((sp.Rational(1, 3), x > tau), (tau, True)),
    "sum": sp.Sum(x**l / (l + 1), (l, 0, 3)),
}


@pytest.mark.parametrize("shape", [(), (1,), (2, 3)])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("expr", KINDS.values(), ids=KINDS)
def test_values_have_the_dtype_of_the_tensors(expr, dtype, shape):
    """A float32 model became float64 through a formula, or half of it an integer."""
    formula = Formula(expr)
    values = {"x": torch.full(shape, 0.5, dtype=dtype), "tau": 2.0}
    values = {s.name: values[s.name] for s in formula.symbols}
    value = formula.torch(**values)
    assert value.dtype == (dtype if "x" in values else torch.float64)
    assert value.shape == (shape if "x" in values else ())


@pytest.mark.parametrize("expr", KINDS.values(), ids=KINDS)
def test_numbers_alone_are_computed_in_float64(expr):
    """A constant went through float32, PyTorch's default, and kept seven digits."""
    formula = Formula(expr)
    values = {s.name: {"x": 0.5, "tau": 2.0}[s.name] for s in formula.symbols}
    assert formula.torch(**values).dtype == torch.float64
    assert formula.numpy(**values).dtype == np.float64
    true = formula(**values)
    assert formula.torch(**values).item() == pytest.approx(true, rel=1e-15)
    assert formula.numpy(**values) == pytest.approx(true, rel=1e-15)


@pytest.mark.parametrize("expr", [e for e in KINDS.values() if e.has(x)], ids=str)
def test_formulas_run_on_the_device_of_their_tensors(expr):
    """A constant inside a formula stayed on the CPU; the meta device shows it without a GPU."""
    formula = Formula(expr)
    values = {"x": torch.empty(2, 3, device="meta"), "tau": torch.empty(3, device="meta")}
    value = formula.torch(**{s.name: values[s.name] for s in formula.symbols})
    assert value.device.type == "meta"
    assert value.shape == (2, 3)
    assert value.dtype == torch.float32


@pytest.mark.cuda
@pytest.mark.parametrize("expr", [e for e in KINDS.values() if e.has(x)], ids=str)
def test_formulas_run_on_a_gpu(expr):
    """A constant inside a formula stayed on the CPU."""
    formula = Formula(expr)
    values = {"x": torch.tensor([0.5, 3.0]), "tau": torch.tensor([2.0, 2.0])}
    values = {s.name: values[s.name] for s in formula.symbols}
    value = formula.torch(**{name: tensor.cuda() for name, tensor in values.items()})
    assert value.device.type == "cuda"
    torch.testing.assert_close(value.cpu(), formula.torch(**values))


# --- bad input --------------------------------------------------------------------------

LIVES = {
    "call": Formula.__call__,
    "numpy": Formula.numpy,
    "torch": Formula.torch,
}
WRONG = {
    "missing": ({"n": 4}, "d must be given, as a symbol of this formula"),
    "unknown": ({"n": 4, "d": 2, "h": 1}, "h must be a symbol of this formula"),
    "negative": ({"n": -4, "d": 2}, "n must be positive"),
    "zero": ({"n": 4, "d": 0}, "d must be positive"),
    "fraction": ({"n": 4.5, "d": 2}, "n must be an integer"),
    "not a number": ({"n": math.nan, "d": 2}, "n must be positive"),
}


@pytest.mark.parametrize("life", LIVES.values(), ids=LIVES)
@pytest.mark.parametrize(("values", "message"), WRONG.values(), ids=WRONG)
def test_wrong_values_are_refused_by_name(life, values, message):
    """A typing error in a name, or a length of 4.5, gave a number."""
    with pytest.raises(ValueError, match=message):
        life(Formula(4 * n**2 * d), **values)


def test_one_wrong_entry_of_an_array_is_refused():
    """Only the first entry was looked at."""
    with pytest.raises(ValueError, match="n must be an integer"):
        Formula(n**2).numpy(n=[1, 2, 2.5])
    with pytest.raises(ValueError, match="i must be nonnegative"):
        Formula(i**2).numpy(i=[0, 1, -1])


@pytest.mark.parametrize("dtype", [torch.int64, torch.bool, torch.complex64])
def test_tensors_of_integers_are_refused(dtype):
    """Integer division and overflow gave wrong numbers in silence."""
    with pytest.raises(ValueError, match="n must be a floating-point tensor"):
        Formula(1 / n).torch(n=torch.tensor([2]).to(dtype))


@pytest.mark.parametrize("stranger", [sp.Symbol("n"), sp.Symbol("n", positive=True)], ids=repr)
def test_symbols_made_elsewhere_are_refused(stranger):
    """Two symbols called n, of different assumptions: alike in print, different to SymPy."""
    with pytest.raises(
        ValueError, match=r"expr must be of the book's symbols, .*symbols\.py, got n"
    ):
        Formula(stranger**2 + d)


# --- the rest ---------------------------------------------------------------------------


def test_subs_replaces_all_symbols_at_once():
    """Swapping two symbols made them the same."""
    swapped = Formula(n**2 * d, "FLOPs", "work").subs({n: d, d: n})
    assert swapped == Formula(d**2 * n, "FLOPs", "work")


def test_subs_takes_numbers_and_expressions():
    """A replaced symbol was still asked for, or an expression's own symbol was not."""
    formula = Formula(n**2 * d)
    assert formula.subs({d: 64})(n=2) == 256
    assert formula.subs({d: tau * x}).symbols == (n, tau, x)
    with pytest.raises(ValueError, match=r"expr must be of the book's symbols.*, got y"):
        formula.subs({d: sp.Symbol("y")})


def test_symbols_are_sorted_by_name_and_bound_ones_are_not_asked_for():
    """The index of a sum was taken for an argument."""
    assert Formula(sp.Sum(x * l, (l, 0, n)) + d).symbols == (d, n, x)


def test_latex_is_written_as_the_book_writes_it():
    """The model's width was printed as d times model."""
    assert r"d_\text{model}" in Formula(4 * n * d_model**2).latex
    assert Formula(4 * n * d_model).latex == r"4 \, n \, d_\text{model}"
    assert Formula(4 * n * d_model)._repr_latex_() == r"$\displaystyle 4 \, n \, d_\text{model}$"
