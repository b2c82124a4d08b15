"""Random formulas over the book's symbols, and points at which floating point can hold them."""

from collections.abc import Callable

import mpmath
import sympy as sp
from hypothesis import assume, reject
from hypothesis import strategies as st

from attention_limits.symbols import d, n, tau, x

POINTS = st.fixed_dictionaries(
    {
        n: st.integers(1, 64).map(sp.Integer),
        d: st.integers(1, 64).map(sp.Integer),
        x: st.integers(-80, 80).map(lambda eighths: sp.Rational(eighths, 8)),
        tau: st.integers(1, 64).map(lambda eighths: sp.Rational(eighths, 8)),
    }
)

_constants = st.one_of(
    st.integers(-5, 5).map(sp.Integer),
    st.builds(sp.Rational, st.integers(-9, 9), st.sampled_from([2, 3, 7])),
    st.sampled_from([sp.Float(0.1), sp.Float(-2.5), sp.pi, sp.E]),
)
LEAVES = st.one_of(st.sampled_from([n, d, x, tau]), st.sampled_from([n, d, x, tau]), _constants)


HALF, THIRD = sp.Rational(1, 2), sp.Rational(1, 3)
SMOOTH_OF_ONE = [
    lambda a: -a,
    lambda a: 1 / a,
    lambda a: a**2,
    lambda a: a**3,
    lambda a: a**-2,
    lambda a: (a**2) ** THIRD,
    lambda a: (a**2 + 1) ** -HALF,
    lambda a: sp.exp(a / 4),
    lambda a: sp.log(a**2 + 1),
    lambda a: sp.log(a**2 + 1, 2),
    sp.sin,
    sp.cos,
    sp.tan,
    sp.tanh,
    sp.atan,
]
SMOOTH_OF_TWO = [
    lambda a, b: a + b,
    lambda a, b: a - b,
    lambda a, b: a * b,
    lambda a, b: a / b,
    lambda a, b: sp.log(a**2 + 2, b**2 + 2),
]
POWERS = [lambda a, b: (a**2 + 1) ** b, lambda a, b: 2**b + a]  # b small, or SymPy is lost
JUMPS_OF_ONE = [sp.Abs, sp.floor, sp.ceiling]
JUMPS_OF_TWO = [
    sp.Max,
    sp.Min,
    lambda a, b: sp.Mod(a, b**2 + HALF),
    lambda a, b: sp.Mod(a, -(b**2) - HALF),
]
JUMPS_OF_THREE = [sp.Max, sp.Min]
RELATIONS = [sp.Lt, sp.Le, sp.Gt, sp.Ge, sp.Eq, sp.Ne]
JOINS = [sp.And, sp.Or, lambda a, b: sp.Not(sp.And(a, b))]


@st.composite
def expressions(draw: st.DrawFn, *, smooth: bool = False) -> sp.Expr:
    """Up to three operations deep; ``smooth`` ones are differentiable wherever they are defined."""
    expr = _expression(draw, 3, smooth)
    assume(expr.free_symbols)
    return expr


def _expression(draw: st.DrawFn, depth: int, smooth: bool) -> sp.Expr:
    try:
        expr = _operation(draw, depth, smooth) if depth > 0 else draw(LEAVES)
    except RecursionError:  # SymPy is lost in some remainders of remainders
        reject()
    assume(not expr.has(sp.nan, sp.zoo, sp.oo, -sp.oo, sp.I))
    return expr


def _operation(draw: st.DrawFn, depth: int, smooth: bool) -> sp.Expr:
    def chosen(operations: list) -> Callable:
        return draw(st.sampled_from(operations))

    def inner() -> sp.Expr:
        return _expression(draw, depth - draw(st.integers(1, 2)), smooth)

    match draw(st.integers(0, 3 if smooth else 8)):
        case 0:
            return chosen(SMOOTH_OF_ONE)(inner())
        case 1 | 2:
            return chosen(SMOOTH_OF_TWO)(inner(), inner())
        case 3:
            return chosen(POWERS)(inner(), draw(LEAVES))
        case 4:
            return chosen(JUMPS_OF_ONE)(inner())
        case 5:
            return chosen(JUMPS_OF_TWO)(inner(), inner())
        case 6:
            return chosen(JUMPS_OF_THREE)(inner(), inner(), inner())
        case _:
            # Cases within a condition are more than SymPy can order, so its sides are smooth.
            one, other = (
                chosen(RELATIONS)(_expression(draw, depth - 2, True), draw(LEAVES))
                for _ in range(2)
            )
            cases = [(inner(), chosen(JOINS)(one, other)), (inner(), one), (inner(), True)]
            return sp.Piecewise(*cases[: draw(st.integers(1, 3))])


def tame_value(expr: sp.Expr, point: dict) -> float | None:
    """SymPy's own value there, or None where rounding alone would give another.

    Evaluated with fewer bits than a float64 has, at several precisions, a tame value stays what it
    is: no overflow, no cancellation and no jump is near, and a float64 owes it thirteen digits.
    """
    parts = [part for part in sp.preorder_traversal(expr) if isinstance(part, sp.Expr)]
    function = sp.lambdify(list(point), parts, "mpmath")
    try:
        true = expr.subs(point, simultaneous=True).evalf(30)
        for bits in (32, 36, 39, 41):
            with mpmath.workprec(bits):
                values = function(*(mpmath.mpf(value.p) / value.q for value in point.values()))
                sizes = [abs(mpmath.mpf(value)) for value in values]
                if not all(size == 0 or 1e-60 < size < 1e60 for size in sizes):
                    return None
                if not abs(values[0] - true) <= 1e-8 * abs(true):
                    return None
        return float(true)
    except (
        ArithmeticError,
        TypeError,
        ValueError,
    ):  # no real number
        return None
