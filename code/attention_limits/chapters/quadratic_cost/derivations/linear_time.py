"""Recurrent networks, and ways around the square. Taught in: "Quadratic cost"."""

import sympy as sp

from attention_limits.chapters.quadratic_cost.derivations.backward import FORWARD
from attention_limits.derivation import Derivation, Step, ratio
from attention_limits.formula import Formula
from attention_limits.symbols import (
    beta,
    d,
    h_0,
    i,
    inputs,
    j,
    l,
    lam,
    n,
    phi_1,
    phi_2,
    phi_q,
    states,
    v,
)

# The largest weight that n keys allow, if no score is larger than beta in size, and the length
# past which it is less than half.
LARGEST_WEIGHT = Formula(sp.exp(2 * beta) / (sp.exp(2 * beta) + n - 1), "", "largest weight")

HALF_WEIGHT = Formula(1 + sp.exp(2 * beta), "tokens", "half of all weight")

# Attention with a product of features in place of the exponential, d features a head.
LINEAR = Formula(4 * n * d**2, "FLOPs", "linear attention")


def bounded_scores() -> Derivation:
    """What scores of bounded size can single out."""
    best = sp.exp(beta) / (sp.exp(beta) + sp.Sum(sp.exp(-beta), (l, 1, n - 1)))
    return Derivation(
        Step(
            "The largest weight",
            best,
            LARGEST_WEIGHT,
            "No score exceeds $\\beta$ in size, so at best one key has $\\beta$ and all others "
            "have $-\\beta$.",
        ),
        Step(
            "Half of all weight",
            sp.Subs(LARGEST_WEIGHT.expr, n, HALF_WEIGHT.expr),
            sp.Rational(1, 2),
            "Past this length no key can hold half of it. Read the other way round, scores must "
            "reach $\\tfrac12 \\ln(n-1)$.",
        ),
    )


def linear_attention() -> Derivation:
    """What another order of multiplication saves, once the weights are products of features."""
    one, other = (sum(x * y for x, y in zip(phi_q, key, strict=True)) for key in (phi_1, phi_2))
    state = [first * v[0] + second * v[1] for first, second in zip(phi_1, phi_2, strict=True)]
    return Derivation(
        Step(
            "Another order",
            one * v[0] + other * v[1],
            sum(feature * kept for feature, kept in zip(phi_q, state, strict=True)),
            "Left: the query meets every key. Right: keys and values are summed up first, for all "
            "queries at once.",
        ),
        Step(
            "Keys first",
            sp.Sum(sp.Sum(2, (l, 1, d)) + sp.Sum(2, (l, 1, d)), (j, 1, n), (i, 1, n)),
            FORWARD,
            "Every query meets every key.",
        ),
        Step(
            "Sums first",
            sp.Sum(2, (l, 1, d), (i, 1, d), (j, 1, n)) + sp.Sum(2, (l, 1, d), (j, 1, d), (i, 1, n)),
            LINEAR,
            "A key adds $d \\times d$ products to the sum, and a query reads it: linear in $n$; "
            "the normaliser is one more column.",
        ),
        Step(
            "What it saves",
            ratio(FORWARD.expr, LINEAR.expr),
            n / d,
            "From one head's width on, and then without end.",
        ),
    )


def product_of_jacobians() -> Derivation:
    """A gradient on its way back through a recurrent network, one factor a step."""
    chain, state = [], h_0
    for x in inputs:
        state = sp.tanh(lam * state + x)
        chain.append(state)
    return Derivation(
        Step(
            "One step",
            sp.Derivative(chain[0], h_0),
            lam * (1 - states[0] ** 2),
            "The recurrent weight, times the slope of the tanh, which is at most one.",
        ),
        Step(
            "Three steps",
            sp.Derivative(chain[2], h_0),
            lam**3 * (1 - states[0] ** 2) * (1 - states[1] ** 2) * (1 - states[2] ** 2),
            "Every step is one more factor. With many units the factors are matrices, and the "
            "product is one of Jacobians.",
        ),
        where=dict(zip(states, chain, strict=True)),
    )
