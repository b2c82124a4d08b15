"""Random formulas over the book's symbols, and points at which floating point can hold them."""

import mpmath
import sympy as sp
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


def _smooth(inner: st.SearchStrategy) -> st.SearchStrategy:
    """One more operation, differentiable wherever it is defined."""
    one = st.sampled_from(
        [
            lambda a: -a,
            lambda a: 1 / a,
            lambda a: a**2,
            lambda a: a**3,
            lambda a: a**-2,
            lambda a: (a**2) ** sp.Rational(1, 3),
            lambda a: sp.sqrt(a**2 + 1),
            lambda a: sp.exp(a / 4),
            lambda a: sp.log(a**2 + 1),
            lambda a: sp.log(a**2 + 1, 2),
            lambda a: 2**a,
            sp.sin,
            sp.cos,
            sp.tan,
            sp.tanh,
            sp.atan,
        ]
    )
    two = st.sampled_from(
        [
            lambda a, b: a + b,
            lambda a, b: a - b,
            lambda a, b: a * b,
            lambda a, b: a / b,
            lambda a, b: (a**2 + 1) ** b,
            lambda a, b: sp.log(a**2 + 2, b**2 + 2),
        ]
    )
    return st.one_of(_applied(one, inner), _applied(two, inner, inner))


def _any(inner: st.SearchStrategy) -> st.SearchStrategy:
    """One more operation of those that formulas may use."""
    one = st.sampled_from([sp.Abs, sp.floor, sp.ceiling])
    two = st.sampled_from([sp.Mod, sp.Max, sp.Min])
    three = st.sampled_from([sp.Max, sp.Min])
    condition = _conditions(inner)
    case = st.tuples(inner, condition)
    return st.one_of(
        _smooth(inner),
        _applied(one, inner),
        _applied(two, inner, inner),
        _applied(three, inner, inner, inner),
        st.builds(sp.Piecewise, case),
        st.builds(sp.Piecewise, case, st.tuples(inner, st.just(sp.true))),
        st.builds(sp.Piecewise, case, case, st.tuples(inner, st.just(sp.true))),
    )


def _applied(function: st.SearchStrategy, *args: st.SearchStrategy) -> st.SearchStrategy:
    return st.builds(lambda f, *a: f(*a), function, *args)


def _conditions(inner: st.SearchStrategy) -> st.SearchStrategy:
    relation = st.sampled_from([sp.Lt, sp.Le, sp.Gt, sp.Ge, sp.Eq, sp.Ne])
    compared = _applied(relation, inner, LEAVES)
    return st.one_of(
        compared,
        st.builds(sp.And, compared, compared),
        st.builds(sp.Or, compared, compared, compared),
        st.builds(sp.Not, st.builds(sp.And, compared, compared)),
    )


def _has_a_meaning(expr: sp.Basic) -> bool:
    meaningless = (sp.nan, sp.zoo, sp.oo, -sp.oo, sp.I)
    return isinstance(expr, sp.Expr) and not expr.has(*meaningless) and expr.count_ops() < 40


EXPRESSIONS = st.recursive(LEAVES, _any, max_leaves=6).filter(_has_a_meaning)
SMOOTH = st.recursive(LEAVES, _smooth, max_leaves=5).filter(_has_a_meaning)


def exact(expr: sp.Expr, point: dict) -> sp.Expr:
    """SymPy's own evaluation, to 30 digits."""
    return expr.subs(point, simultaneous=True).evalf(30)


def is_tame(expr: sp.Expr, point: dict) -> bool:
    """Whether rounding leaves the value alone: no overflow, cancellation or jump is near.

    Evaluated with fewer bits than a float64 has, at several precisions, it must stay what it is;
    then a float64 owes it some thirteen digits.
    """
    parts = [part for part in sp.preorder_traversal(expr) if isinstance(part, sp.Expr)]
    function = sp.lambdify(list(point), parts, "mpmath")
    true = exact(expr, point)
    try:
        for bits in (32, 36, 39, 41):
            with mpmath.workprec(bits):
                values = function(*(mpmath.mpf(v.p) / v.q for v in point.values()))
                if not all(isinstance(mpmath.mpmathify(v), mpmath.mpf) for v in values):
                    return False
                if not all(v == 0 or 1e-60 < abs(v) < 1e60 for v in values):
                    return False
                if not abs(values[0] - true) <= 1e-8 * abs(true):
                    return False
    except (ZeroDivisionError, OverflowError, ValueError, TypeError):
        return False
    return True
