"""A formula's life in the browser: Vega itself, in Chromium, against NumPy and against SymPy.

Nothing here reads the printed expression: what counts is the number that the browser computes.
"""

import dataclasses
import importlib
import inspect
import json
import math
import pkgutil
import warnings

import numpy as np
import pytest
import sympy as sp
import vl_convert
from helpers.built import BOOK, makers
from helpers.expressions import POINTS, expressions, tame_value
from hypothesis import HealthCheck, assume, given, settings
from sympy import (
    Abs,
    And,
    Max,
    Min,
    Mod,
    Not,
    Or,
    Piecewise,
    Rational,
    Sum,
    ceiling,
    cos,
    exp,
    floor,
    log,
    pi,
    sin,
    sqrt,
    tanh,
    true,
)

import attention_limits
from attention_limits import drawing, vega
from attention_limits.formula import Formula
from attention_limits.symbols import d, i, j, l, m, n, tau, w, x

pytestmark = pytest.mark.browser

PLAIN, SUMS = 1e-12, 1e-9  # relative; terms are added in different orders
POINTS_EACH = 24


def formulas() -> dict[str, Formula]:
    """Every formula of the package's modules, and of its mechanisms' costs."""
    found = {}
    for info in pkgutil.walk_packages(attention_limits.__path__, "attention_limits."):
        module = importlib.import_module(info.name)
        short = info.name.removeprefix("attention_limits.")
        for name, value in vars(module).items():
            if isinstance(value, Formula):
                found[f"{short}.{name}"] = value
        for label, cost in costs(module):
            for part in dataclasses.fields(cost):
                found[f"{short}.cost({label}).{part.name}"] = getattr(cost, part.name)
    # The same formula under several names: once is enough.
    return {name: f for f, name in {f: name for name, f in reversed(found.items())}.items()}


def costs(module):
    """What a module's ``cost`` returns: as it is, and with each yes-or-no option turned."""
    function = getattr(module, "cost", None)
    if not inspect.isfunction(function):
        return
    options = inspect.signature(function).parameters.values()
    if not any(option.default is option.empty for option in options):
        yield "", function()
        for option in (o for o in options if isinstance(o.default, bool)):
            turned = {option.name: not option.default}
            yield ", ".join(f"{k}={v}" for k, v in turned.items()), function(**turned)


FORMULAS = formulas()

TRICKY = [
    Mod(x, tau),
    Mod(x, -3),
    Mod(-x, 3),
    Mod(-n, d),
    2 - (x + 1) * Mod(x - 1, tau) ** 2 / 3,
    Mod(Mod(x, 5), tau) - Mod(x, tau),
    Piecewise((x, x > 0), (-(x**2), true)),
    Piecewise((x, x > 1), (tau, And(x > 0, tau > 1))),  # NaN elsewhere
    Piecewise((1, Or(x > 1, Not(And(tau > 1, x > -1)))), (Piecewise((2, n > d), (3, true)), true)),
    -2 * Piecewise((x - 1, sp.Eq(Mod(n, 2), 0)), (x + 1, true)) ** 3,
    log(n, 2),
    log(n, 10) - log(d),
    log(x**2 + 2, tau + 1) ** 2,
    -log(tau, Rational(1, 2)),
    Max(x, tau, Rational(1, 2)),
    x - Min(n, d, w) / Max(n, d),
    d * ceiling(n / d) - n,
    floor(-x) - floor(-n / d) * ceiling(-tau),
    ((x**2 + 1) ** tau) ** Rational(1, 3),
    (x**2 + 1) ** (tau ** (x / 4)),
    (-x) ** 3 + -(x**2) - x**-2,
    2 ** -(x**2) / -(3**tau),
    (-2) ** j,
    sqrt(x**2 + tau) ** -3,
    Abs(x) ** Rational(5, 2),
    tanh(x) + tanh(tau * x) ** 2,
    sp.sinh(x) * sp.cosh(tau) - sp.atan(x) / sp.coth(tau),
    1 / (1 / tau + 1 / (1 + n / (d / tau))),
    1 - (tau - (x - (2 - tau))),
    (x / tau) / (tau / (x**2 + 1)) / 7,
    sin(2 * pi * x) ** 2 + cos(x) * sp.E**x,
    sp.Float(0.1) * x - Rational(-7, 3) * (-tau),
    Sum(1 / (l + tau), (l, 1, n)),
    1 - 2 * Sum(exp(-l / tau), (l, 0, m - 1)) ** 2,
    Sum(l * x, (l, j, j + m)) / Sum(l + 1, (l, 0, n)) - Sum(l, (l, j, j + m)),
    Sum(Mod(l, 3) * Piecewise((tau, l > i), (-1, true)), (l, 0, n + m)),
    Sum(2, (l, 1, m)) * x,
    Sum((-1) ** l / (2 * l + 1), (l, 0, m)),
    tau ** Sum(1 / l, (l, n, n + 3)),
]


@pytest.fixture(scope="module")
def vega_script(tmp_path_factory):
    """Vega as readers get it: that of the built book, or else made now, which takes seconds."""
    script = BOOK / "_static" / "vega.js"
    if not script.is_file():
        script = tmp_path_factory.mktemp("vega") / "vega.js"
        script.write_text(drawing.vega_script(), encoding="utf-8")
    return script


@pytest.fixture(scope="module")
def compute(vega_script, browser):
    """Columns of numbers in, one column out: a formula's pipeline, run by the book's own Vega."""
    page = browser.new_page()
    page.add_script_tag(path=vega_script)
    page.evaluate("document.body.append(document.createElement('div'))")

    def compute(expr: sp.Expr, rows: list[dict[str, float]]) -> np.ndarray:
        names = {symbol: f"datum.{symbol.name}" for symbol in expr.free_symbols}
        spec = {
            "data": {"values": [{"row": number, **row} for number, row in enumerate(rows)]},
            "transform": vega.pipeline(expr, "out", {**names, sp.Symbol("row"): "datum.row"}),
            "mark": "point",
        }
        compiled = vl_convert.vegalite_to_vega(json.dumps(spec))  # as the book's figures are
        done = page.evaluate(
            """async (spec) => {
                const { View, parse } = attentionLimitsVega;
                const view = await new View(parse(spec), { container: "div" }).runAsync();
                const { data } = view.getState({ data: () => true, signals: () => false });
                const rows = Object.keys(data).map((name) => view.data(name) ?? [])
                    .filter((rows) => rows.length && "out" in rows[0]);
                const out = (rows[0] ?? []).map(({ row, out }) => [row, out]);
                view.finalize();
                return out;
            }""",
            compiled,
        )
        assert [row for row, _ in sorted(done)] == list(range(len(rows))), "rows were lost"
        return np.array([out for _, out in sorted(done)], dtype=float)

    yield compute
    page.close()


def points(formula: Formula) -> list[dict[str, float]]:
    """Random points of the symbols' domains; what limits a sum stays small."""
    random = np.random.default_rng(sum(map(ord, str(formula.expr))))
    limits = {
        s
        for total in formula.expr.atoms(Sum)
        for low_high in total.limits
        for bound in low_high[1:]
        for s in bound.free_symbols
    }

    def value_of(symbol: sp.Symbol) -> float:
        if symbol.is_integer:
            low = 1 if symbol.is_positive else 0
            high = 40 if symbol in limits or not symbol.is_positive else 2**16
            return round(math.exp(random.uniform(0, math.log(high)))) - 1 + low
        if symbol.is_nonnegative:
            return random.uniform(0.1, 4)
        return random.uniform(-2, 2)

    return [{s.name: value_of(s) for s in formula.symbols} for _ in range(POINTS_EACH)]


def check(compute, formula: Formula) -> None:
    rows = points(formula)
    got = compute(formula.expr, rows)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # outside its domain a formula is NaN, in both lives
        true = np.array([float(formula.numpy(**row)) for row in rows])
    finite = np.isfinite(true)
    assert finite.sum() >= POINTS_EACH / 3, "too few points of its domain to tell"
    assert (np.isfinite(got) == finite).all()
    tolerance = SUMS if formula.expr.has(Sum) else PLAIN
    # Where it passes through zero, rounding is relative to its terms.
    slack = tolerance * min(1, np.abs(true[finite]).max())
    np.testing.assert_allclose(got[finite], true[finite], rtol=tolerance, atol=slack)


@pytest.mark.parametrize("formula", FORMULAS.values(), ids=FORMULAS)
def test_every_formula_of_the_book(formula, compute):
    """The browser draws another curve than the one that the chapter derives."""
    check(compute, formula)


# Made when they are tried: that takes seconds, which each process that collects this would spend.
@pytest.mark.parametrize("make", makers().values(), ids=makers())
def test_every_formula_of_a_figure(make, compute):
    """A trace or a readout is another than NumPy's, of a formula that only the figure has."""
    formulas = {piece.formula for piece in (*make().traces, *make().readouts)}
    for formula in formulas - {*FORMULAS.values()}:
        check(compute, formula)


@pytest.mark.parametrize("expr", TRICKY, ids=str)
def test_what_printers_get_wrong(expr, compute):
    """A sign, a precedence, a branch or the limit of a sum that the printer gets wrong."""
    check(compute, Formula(expr))


def test_whatever_a_formula_may_hold(compute):
    """Any mixture of operations, against SymPy's exact value: the case that nobody thought of."""

    @settings(suppress_health_check=list(HealthCheck))
    @given(expressions(), POINTS)
    def matches(expr, point):
        true = tame_value(expr, point)
        assume(true is not None)
        (got,) = compute(expr, [{s.name: float(point[s]) for s in expr.free_symbols}])
        assert got == pytest.approx(true, rel=1e-9, abs=0)

    matches()


def test_there_are_formulas():
    """An empty list of formulas, of which each would be right."""
    assert len(FORMULAS) >= 10
    assert any(formula.expr.has(Sum) for formula in FORMULAS.values())
