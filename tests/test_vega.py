import pytest
import sympy as sp
from helpers.expressions import POINTS, expressions, tame_value
from hypothesis import assume, given
from py_mini_racer import MiniRacer

from attention_limits import vega
from attention_limits.symbols import d, d_model, i, j, l, n, tau, x

NAMES = {n: "datum.n", d: "d", x: "datum.x", tau: "tau"}
HALF = sp.Rational(1, 2)

# Vega's expression language is JavaScript without objects, with the functions of Math in scope.
JAVASCRIPT = """
const {exp, log, sin, cos, tan, asin, acos, atan, abs, floor, ceil, max, min, pow, sqrt} = Math;
const {PI, E} = Math;
const evaluate = (expression, {d, tau, n, x}) => {
    const datum = {n, x};
    return String(eval(expression));
};
"""


@pytest.fixture(scope="module")
def javascript():
    """A function that evaluates a printed expression in a real JavaScript engine."""
    with MiniRacer() as engine:
        engine.eval(JAVASCRIPT)

        def evaluate(expression, point):
            values = {symbol.name: float(value) for symbol, value in point.items()}
            return float(engine.call("evaluate", expression, values).replace("Infinity", "inf"))

        yield evaluate


# --- values ------------------------------------------------------------------------------


@given(expr=expressions(), point=POINTS)
def test_javascript_computes_what_sympy_computes(javascript, expr, point):
    """The slider showed another formula than the page."""
    true = tame_value(expr, point)
    assume(true is not None)
    value = javascript(vega.expression(expr, NAMES), point)
    assert value == pytest.approx(true, rel=1e-9, abs=1e-14)


POWERS = {
    "base is a sum": (n + d) ** 2,
    "base is a product": (n * d) ** -2,
    "base is negative": (-x) ** 3,
    "power of a power": sp.Pow(sp.Pow(tau, 2, evaluate=False), x, evaluate=False),
    "tower": tau ** (x**2),
    "negative exponent": tau ** (-x),
    "root": (tau + 1) ** (n / 3),
    "one over a root": 1 / sp.sqrt(d + tau),
    "exponential": sp.exp(-((x - tau) ** 2)),
}
QUOTIENTS = {
    "of quotients": (n / d) / (tau / 3),
    "by a product": 1 / (n * d),
    "by a sum": n / (d + tau),
    "minus a sum": n - (d - tau),
    "negative": -(n / d),
    "of fractions": sp.Rational(-2, 3) * n / d,
    "by a negative": x / (-tau),
    "not simplified": sp.Mul(n, sp.Pow(n + 1, -1), sp.Pow(sp.Rational(2, 3), -1), evaluate=False),
}
REMAINDERS = {
    "of a sum": sp.Mod(x + n, tau),
    "times two": 2 * sp.Mod(x, tau),
    "of a product": sp.Mod(n * d, 7),
    "negative value": sp.Mod(-x - 30, 3),
    "negative modulus": sp.Mod(x + 30, -3),
    "both negative": sp.Mod(-x - 30, -7 * HALF),
    "none left": sp.Mod(n * 3, 3),
    "of a remainder": sp.Mod(sp.Mod(n, 5) + x, 3),
    "to a power": sp.Mod(n, 5) ** 2 - sp.Mod(x, tau) / 2,
    "modulus is a sum": sp.Mod(n, d + tau),
}
CHOICES = {
    "and": sp.Piecewise((1, (x > 0) & (n > d)), (2, True)),
    "or of and": sp.Piecewise((1, (x > 0) & (n > d) | (tau > 1)), (2, True)),
    "not": sp.Piecewise((1, sp.Not((x > 0) & (n > d), evaluate=False)), (2, True)),
    "equal": sp.Piecewise((1, sp.Eq(n, d)), (2, sp.Ne(n, 2 * d)), (3, True)),
    "inside a product": 2 * sp.Piecewise((x, x < 0), (-x, True)) + 1,
    "nested": sp.Piecewise((sp.Piecewise((1, n > d), (2, True)) / 2, x <= 0), (3, True)),
}
CASES = POWERS | QUOTIENTS | REMAINDERS | CHOICES
ALL_POINTS = [
    {n: sp.Integer(4), d: sp.Integer(3), x: sp.Rational(5, 2), tau: sp.Rational(3, 2)},
    {n: sp.Integer(2), d: sp.Integer(4), x: sp.Rational(-7, 4), tau: HALF},
    {n: sp.Integer(3), d: sp.Integer(3), x: sp.Integer(-3), tau: sp.Integer(1)},
]


# Where a root of a negative number has no real value, there is nothing to compare.
REAL = [
    pytest.param(expr, point, id=f"{where}-{name}")
    for name, expr in CASES.items()
    for where, point in zip(("above", "below", "even"), ALL_POINTS, strict=True)
    if not complex(expr.subs(point).evalf()).imag
]


@pytest.mark.parametrize(("expr", "point"), REAL)
def test_precedence_survives_printing(javascript, expr, point):
    """Parentheses got lost: `a % b * c` is not `a % (b * c)`, and -7 % 3 is -1 in JavaScript."""
    true = float(expr.subs(point).evalf())
    assert javascript(vega.expression(expr, NAMES), point) == pytest.approx(true, rel=1e-13)


def test_every_case_has_a_point_with_a_real_value():
    """A case was left out at all points, and nobody knew."""
    assert {param.id.split("-", 1)[1] for param in REAL} == {*CASES}


def test_no_branch_gives_nan(javascript):
    """Where no condition holds, the chart drew a zero instead of a gap."""
    value = javascript(vega.expression(sp.Piecewise((1, x > 0)), NAMES), {x: -1})
    assert value != value


@pytest.mark.parametrize("value", [-1000, -30, -1, -0.01, 0, 0.01, 1, 30, 1000])
def test_tanh_does_not_overflow(javascript, value):
    """In exponentials tanh(1000) is ∞/∞: the curve ended in the middle of the chart."""
    printed = vega.expression(sp.tanh(x), NAMES)
    true = float(sp.tanh(sp.Float(value)))
    assert javascript(printed, {x: value}) == pytest.approx(true, rel=1e-13)


# --- form --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expr", "printed"),
    [
        (n * d, "(d * datum.n)"),
        (sp.sqrt(d), "sqrt(d)"),
        (1 / d, "(1 / d)"),
        (sp.Integer(-3), "(-3)"),
        (sp.Rational(-1, 3), "(-1 / 3)"),
        (sp.Max(n, d, 3), "max(3, d, datum.n)"),
        (sp.ceiling(x), "ceil(datum.x)"),
        (sp.erf(x), "((2 * cumulativeNormal((datum.x * sqrt(2)), 0, 1)) - 1)"),
        (sp.pi, "PI"),
        (sp.E, "E"),
        (sp.true, "true"),
        (sp.false, "false"),
    ],
)
def test_simple_expressions_read_as_they_should(expr, printed):
    """A spec is read by people too, in the developer tools."""
    assert vega.expression(expr, NAMES) == printed


@pytest.mark.parametrize("expr", [sp.gamma(x), sp.zeta(x), sp.Function("f")(x), sp.I, sp.oo])
def test_what_vega_lacks_is_refused(expr):
    """A function that the browser does not know was printed: a dead chart, and no error."""
    with pytest.raises(ValueError, match="expr must be in Vega's language, got"):
        vega.expression(expr, NAMES)


def test_symbols_without_a_name_are_refused():
    """A symbol that nothing sets was printed: a dead chart, and no error."""
    with pytest.raises(ValueError, match=r"expr must be of the axis, .*, got d_model"):
        vega.expression(n * d_model, NAMES)


def test_names_replace_symbols_exactly():
    """The index j was printed inside another name."""
    assert (
        vega.expression(j - i, {i: "datum.query", j: "signal"}) == "(signal + ((-1) * datum.query))"
    )


# --- pipelines ---------------------------------------------------------------------------

TOTAL = sp.Sum(sp.exp(-l / tau) * x, (l, 0, n - 1))


def test_sums_need_a_pipeline():
    """A sum was printed into a language that has none."""
    with pytest.raises(ValueError, match="which need a pipeline, got"):
        vega.expression(TOTAL, NAMES)


def test_a_formula_without_sums_is_one_calculation():
    """A pipeline for a product aggregated rows that it should have left alone."""
    assert vega.pipeline(n * d, "y", NAMES) == [{"calculate": "(d * datum.n)", "as": "y"}]


def test_a_sum_keeps_the_columns_and_drops_its_own():
    """The rows of one x were added to those of another."""
    terms = vega.pipeline(TOTAL / tau, "y", NAMES)
    aggregate = next(step for step in terms if "aggregate" in step)
    assert aggregate["groupby"] == ["n", "x"]
    assert terms[-1]["as"] == "y"
    assert [next(iter(step)) for step in terms] == [
        "calculate",
        "flatten",
        "calculate",
        "aggregate",
        "calculate",
    ]


def test_a_second_sum_keeps_the_result_of_the_first():
    """The first sum was aggregated away by the second."""
    other = sp.Sum(sp.sin(l * x), (l, 1, n))
    steps = vega.pipeline(TOTAL / other, "y", NAMES)
    first, second = (step for step in steps if "aggregate" in step)
    assert first["aggregate"][0]["as"] in second["groupby"]
    assert {"n", "x"} <= set(second["groupby"])


NESTED = {
    "inside": sp.Sum(sp.Sum(x * i, (i, 0, l)), (l, 0, n)),
    "two indices": sp.Sum(x * i * l, (i, 0, n), (l, 0, n)),
}


@pytest.mark.parametrize("expr", NESTED.values(), ids=NESTED)
def test_sums_within_sums_are_refused(expr):
    """The inner index met the outer one's rows."""
    with pytest.raises(ValueError, match=r"expr must have no sum within a sum"):
        vega.pipeline(expr, "y", NAMES)


@pytest.mark.parametrize("length", [1, 2, 7])
def test_the_pipeline_runs(javascript, length):
    """The sequence stopped one short of the sum's last term, or the weights were wrong."""
    steps = vega.pipeline(TOTAL**2 / tau, "y", NAMES)
    sequence, term, whole = (step["calculate"] for step in steps if "calculate" in step)
    at, field = steps[1]["as"][0], steps[3]["aggregate"][0]["as"]
    evaluated = f"""(() => {{
        const sequence = (low, high) => Array.from({{length: high - low}}, (_, k) => low + k);
        const terms = {sequence}.map(at => {{ datum[{at!r}] = at; return {term}; }});
        datum[{field!r}] = terms.reduce((a, b) => a + b);
        return {whole};
    }})()"""
    point = {n: length, x: 0.3, tau: 1.7}
    true = float((TOTAL**2 / tau).subs(point).doit().evalf())
    assert javascript(evaluated, point) == pytest.approx(true, rel=1e-13)
