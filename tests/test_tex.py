"""Mathematics as the book prints it: in a person's order, and saying what SymPy would say."""

import pytest
import sympy as sp
from hypothesis import given
from hypothesis import strategies as st

from attention_limits.symbols import (
    MEANING,
    b,
    beta,
    c,
    d,
    d_model,
    f,
    g,
    h,
    l,
    layers,
    n,
    n_star,
    omega,
    p,
    p_soft,
    tau,
    theta,
    top,
    u,
)
from attention_limits.tex import latex

PRINTED = {
    "a name": (d_model, r"d_\text{model}"),
    "a star": (n_star + 1, "n^* + 1"),
    "an index": (p_soft[1], r"\hat{p}_2"),
    "lengths before widths": (4 * n**2 * d_model, r"4 \, n^{2} \, d_\text{model}"),
    "counts before sizes": (2 * c * n * d_model * f, r"2 \, c \, n \, d_\text{model} \, f"),
    "a quotient": (d_model / h, r"d_\text{model} / h"),
    "an exponent": (sp.exp(-d / tau), r"e^{- d / \tau}"),
    "one before a ratio": (1 + g / h, "1 + g / h"),
    "one after a size": (2 * n + 1, r"2 \, n + 1"),
    "the highest power first": (2 * n * d + 4 * n**2, r"4 \, n^{2} + 2 \, n \, d"),
    "what is added first": (top[1] - top[0], "m_{2} - m_{1}"),
    "a common factor": (p[0] * (u[0] - p[0]), r"p_{1} \, \left(u_{1} - p_{1}\right)"),
    "a minus in front": (-p[0] * p[1], r"- p_{1} \, p_{2}"),
    "what is not cancelled": (
        sp.Mul(4 * n * d, sp.Pow(2 * b * n * layers, -1, evaluate=False), evaluate=False),
        r"\frac{4 \, n \, d}{2 \, L \, n \, b}",
    ),
    "a logarithm": (sp.log(n), r"\log n"),
    "the logarithm of a ratio": (sp.log(p[0] / p[1]), r"\log \left(p_{1} / p_{2}\right)"),
    "the logarithm of a sum": (sp.log(n + 1), r"\log \left(n + 1\right)"),
    "a cosine": (sp.cos(omega * theta), r"\cos {\omega \, \theta}"),
    "a sum of exponentials": (1 + sp.exp(2 * beta), r"1 + e^{2 \, \beta}"),
}


@pytest.mark.parametrize(("expr", "printed"), PRINTED.values(), ids=PRINTED)
def test_reads_as_a_person_writes(expr, printed):
    """SymPy's own order, or brackets that are missing or not needed."""
    assert latex(expr) == printed


SYMBOLS = st.sampled_from([n, d, d_model, g, h, c, l, beta])
POWERS = st.builds(lambda symbol, power: symbol**power, SYMBOLS, st.sampled_from([-1, 1, 2]))
TERMS = st.builds(
    lambda number, factors: number * sp.Mul(*factors),
    st.sampled_from([-2, -1, 1, 3]),
    st.lists(POWERS, max_size=3),
)
SUMS = st.lists(TERMS, min_size=1, max_size=3).map(lambda terms: sp.Add(*terms))


@given(SUMS, SUMS)
def test_it_says_the_same_as_sympy(one, other):
    """A factor, a sign or a bracket was lost while terms changed places."""
    expr = one * other
    names = {symbol: meaning.tex for symbol, meaning in MEANING.items() if meaning.tex}
    usual = sp.latex(expr, symbol_names=names, mul_symbol=r" \, ", fold_short_frac=True)
    # The same characters in another order; a sum that began with a minus may begin without.
    assert sorted(_drawn(latex(expr))) == sorted(_drawn(usual))


def _drawn(tex):
    return tex.replace(" ", "").replace("+", "")
