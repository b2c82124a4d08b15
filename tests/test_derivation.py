import re

import pytest
import sympy as sp
from hypothesis import assume, given
from hypothesis import strategies as st

from attention_limits.derivation import Derivation, NotProven, Step, caught
from attention_limits.formula import Formula
from attention_limits.symbols import Z, a, d, d_model, h, i, l, n, p, p_soft, s, tau, x

coefficients = st.integers(-4, 4)
linear = st.builds(lambda a, b, c: a * x + b * n + c, coefficients, coefficients, coefficients)
products = st.lists(linear, min_size=2, max_size=4).map(lambda factors: sp.Mul(*factors))


# --- what is proven ---------------------------------------------------------------------


@given(products)
def test_true_identities_are_proven(product):
    """A polynomial was not found equal to its own expansion."""
    Step("expanding", product, sp.expand(product), "the distributive law").prove()


UNEVALUATED = {
    "sum": (sp.Sum(i, (i, 0, n - 1)), n * (n - 1) / 2),
    "limit": (sp.Limit(x**2 / (x**2 + 1), x, sp.oo), 1),
    "derivative": (sp.Derivative(x**3, x), 3 * x**2),
    "substitution": (sp.Subs(x**2, x, 2 * tau), 4 * tau**2),
    "integral": (sp.Integral(2 * x, (x, 0, tau)), tau**2),
    "geometric sum": (sp.Sum(2**l, (l, 0, n - 1)), 2**n - 1),
}


@pytest.mark.parametrize(("lhs", "rhs"), UNEVALUATED.values(), ids=UNEVALUATED)
def test_operations_are_carried_out(lhs, rhs):
    """A sum or a limit that stands there unevaluated was compared as it stands."""
    Step("doing it", lhs, rhs, "by evaluation").prove()
    with pytest.raises(NotProven):
        Step("doing it", lhs, rhs + 1, "by evaluation").prove()


def test_formulas_stand_for_their_expressions():
    """The Formula that runs was not the expression that is proven."""
    Step("cost", n * (n * d), Formula(n**2 * d, "FLOPs"), "twice").prove()
    with pytest.raises(NotProven, match="cost"):
        Step("cost", Formula(n * d), Formula(n**2 * d), "not so").prove()


def test_matrices_are_proven_entry_by_entry():
    """Only the first entry was looked at."""
    rotation = sp.Matrix([[sp.cos(x), -sp.sin(x)], [sp.sin(x), sp.cos(x)]])
    Step("orthogonal", rotation.T * rotation, sp.eye(2), "rotations keep lengths").prove()
    wrong = sp.Matrix([[1, 0], [0, -1]])
    with pytest.raises(NotProven, match="'orthogonal': left side 1"):
        Step("orthogonal", rotation.T * rotation, wrong, "not so").prove()


# --- what is not ------------------------------------------------------------------------


@given(products, st.data())
def test_a_wrong_sign_or_factor_is_refuted(product, data):
    """A slip in one term of many went unseen."""
    terms = list(sp.Add.make_args(sp.expand(product)))
    k = data.draw(st.integers(0, len(terms) - 1))
    assume(terms[k] != 0)
    terms[k] *= data.draw(st.sampled_from([-1, 2, sp.Rational(1, 2), 0]))
    with pytest.raises(NotProven, match=r"step 'a slip': left side .*, right side .*"):
        Step("a slip", product, sp.Add(*terms), "not so").prove()


def test_the_counterexample_is_one():
    """The point in the message did not refute the step."""
    with pytest.raises(NotProven) as refuted:
        Step("square", (n + x) ** 2, n**2 + x**2, "the student's binomial").prove()
    message = str(refuted.value)
    at = dict(part.strip().split(" = ") for part in message.split(",")[2:])
    point = {n: sp.Integer(at["n"]), x: sp.Rational(at["x"])}
    assert message.startswith("step 'square': left side ")
    assert ((n + x) ** 2).subs(point) != (n**2 + x**2).subs(point)


UNPROVABLE = {
    "wrong far away": (sp.Piecewise((x, x < 100), (7, True)), x),
    "true, but beyond simplify": (sp.floor(2 * x), sp.floor(x) + sp.floor(x + sp.Rational(1, 2))),
    "wrong by less than the digits": (x + sp.Float("1e-25", 40), x),
    "so, with angles": (sp.sin(x) ** 2 + sp.cos(x) ** 2 + sp.Float("1e-25", 40), 1),
}


@pytest.mark.parametrize(("lhs", "rhs"), UNPROVABLE.values(), ids=UNPROVABLE)
def test_agreement_at_points_is_no_proof(lhs, rhs):
    """A step that holds where it was tried was displayed as proven."""
    with pytest.raises(NotProven, match=r"step 'leap'.*break it into smaller steps"):
        Step("leap", lhs, rhs, "it holds wherever one looks").prove()


def test_an_identity_of_integers_holds_for_integers_only():
    """sin πx = 0 was believed for real x, or not for whole n."""
    Step("zeros", sp.sin(sp.pi * n), 0, "n is whole").prove()
    with pytest.raises(NotProven, match="zeros"):
        Step("zeros", sp.sin(sp.pi * x), 0, "x is not").prove()


SHAPES = [
    (sp.eye(2), sp.eye(3)),
    (sp.eye(2), sp.Integer(1)),
    (x, sp.Matrix([x])),
    (sp.Matrix([[x, n]]), sp.Matrix([x, n])),
]


@pytest.mark.parametrize(("lhs", "rhs"), SHAPES, ids=str)
def test_sides_of_two_shapes_are_not_equal(lhs, rhs):
    """A row passed for a column because their entries agree."""
    with pytest.raises(NotProven, match=r"step 'form': shapes .* differ"):
        Step("form", lhs, rhs, "not so").prove()


@pytest.mark.parametrize("side", [sp.zoo, sp.oo, sp.nan, 1 / sp.Mod(2 * n, 2), sp.log(x - x)])
def test_an_undefined_side_equals_nothing(side):
    """Something divided by zero was proven equal to itself."""
    with pytest.raises(NotProven, match="step 'hole': a side is not a finite number"):
        Step("hole", side, side, "not so").prove()


# --- abbreviations ----------------------------------------------------------------------


@pytest.mark.parametrize("turned", [False, True])
def test_abbreviations_may_use_one_another(turned):
    """An abbreviation inside another one stayed a free symbol, in one order of the two."""
    where = {p_soft[0]: a[0] / Z, Z: sum(a), a[0]: sp.exp(s[0] / tau)}
    where = dict(reversed(where.items())) if turned else where
    rhs = sp.exp(s[0] / tau) / (sp.exp(s[0] / tau) + a[1] + a[2])
    Derivation(Step("softmax", p_soft[0], rhs, "written out"), where=where).prove()


def test_a_step_that_holds_without_its_abbreviation_only_is_refuted():
    """Abbreviations were not written out at all."""
    step = Step("width", h * d, d_model, "heads share the width")
    Derivation(step, where={d: Formula(d_model / h)}).prove()
    with pytest.raises(NotProven, match="width"):
        Derivation(step, where={d: d_model}).prove()
    with pytest.raises(NotProven, match="width"):
        Derivation(step).prove()


# --- derivations ------------------------------------------------------------------------

TRUE = Step("true", (x + 1) ** 2, x**2 + 2 * x + 1, "binomial with $1$")
FALSE = Step("false", (x + 1) ** 2, x**2 + 1, "not so")


def test_every_step_is_proven():
    """The runner stopped after the first step that holds."""
    assert isinstance(Derivation(TRUE).prove(), Derivation)
    for steps in [(FALSE,), (TRUE, FALSE), (FALSE, TRUE)]:
        with pytest.raises(NotProven, match="step 'false'"):
            Derivation(*steps).prove()


def test_a_wrong_derivation_cannot_be_displayed():
    """A chapter printed an equation that does not hold."""
    with pytest.raises(NotProven, match="step 'false'"):
        Derivation(TRUE, FALSE)._repr_markdown_()


def test_display_shows_names_reasons_equations_and_abbreviations():
    """A step was proven and not printed, or printed without its reason."""
    step = Step("width", h * d, d_model, "heads share the width")
    shown = Derivation(step, TRUE, where={d: d_model / h})._repr_markdown_()
    assert shown.index("**Let**") < shown.index("**width.** heads share the width")
    assert shown.index("**width.**") < shown.index("**true.** binomial with $1$")
    assert r"d &:= d_\text{model} / h" in shown
    assert r"d \, h = d_\text{model}" in shown
    assert "2 steps" in shown
    assert "**Let**" not in Derivation(TRUE)._repr_markdown_()


def test_text_shows_every_step():
    """The plain text of a derivation was an address in memory."""
    assert repr(Derivation(TRUE)) == "true: (x + 1)**2 = x**2 + 2*x + 1"


@pytest.mark.parametrize("steps", [(), (TRUE, TRUE), (TRUE, Step("true", p[0], p[0], "same name"))])
def test_steps_need_names_of_their_own(steps):
    """An error message named a step, and there were two of that name."""
    with pytest.raises(ValueError, match="steps must be at least one, each under its own name"):
        Derivation(*steps)


# --- a slip that is shown -----------------------------------------------------------------------

PAIRS = sp.Sum(l, (l, 1, n))


def test_a_slip_is_shown_as_a_result():
    """A page could not show a slip without failing, or showed that something is wrong, not what."""
    slip = caught(Step("pairs", PAIRS, n * (n - 1) / 2, "query l sees l keys"))
    assert slip
    assert re.fullmatch(r"step 'pairs': left side \S+, right side \S+, n = \d", str(slip))
    shown = slip._repr_markdown_()
    assert r"\neq" in shown
    assert str(slip) in shown


def test_a_step_without_a_slip_is_not_called_wrong():
    """The reader who tries each step was told that all of them are wrong, or none."""
    step = caught(Step("pairs", PAIRS, n * (n + 1) / 2, "query l sees l keys"))
    assert not step
    assert "✓ step 'pairs': nothing to be said against it" in step._repr_markdown_()


def test_a_slip_is_looked_for_with_the_abbreviations():
    """A step that is right by what its symbols stand for was called wrong."""
    step = Step("short", a[0] / sum(a), p[0], "by definition")
    assert caught(step)
    assert not caught(step, {p[0]: a[0] / sum(a)})
