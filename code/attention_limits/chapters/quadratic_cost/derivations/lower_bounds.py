"""Linear attention and the ways around the square. Taught in: "Quadratic cost"."""

import sympy as sp

from attention_limits.chapters.quadratic_cost.derivations.backward import FORWARD
from attention_limits.derivation import Derivation, Step, ratio
from attention_limits.formula import Formula
from attention_limits.symbols import (
    beta,
    d,
    features,
    i,
    j,
    l,
    n,
    phi_1,
    phi_2,
    phi_q,
    share,
    v,
    z,
)

# The largest weight that n keys allow, if no score is larger than beta in size, and the length
# past which it is less than half.
LARGEST_WEIGHT = Formula(sp.exp(2 * beta) / (sp.exp(2 * beta) + n - 1), "", "largest weight")

HALF_WEIGHT = Formula(1 + sp.exp(2 * beta), "tokens", "half of all weight")

# Attention with a product of features in place of the exponential, d features a head, the
# normaliser included.
LINEAR = Formula(4 * n * d * (d + 1), "FLOPs", "linear attention")

# How many of n queries can have a share of their weight on a key of their own.
SHARP = Formula(sp.Min(n, features / share), "queries", "linear")


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
            sp.Sum(2, (l, 1, d), (i, 1, d + 1), (j, 1, n))
            + sp.Sum(2, (l, 1, d), (j, 1, d + 1), (i, 1, n)),
            LINEAR,
            "A key adds $d$ features times $d + 1$ numbers to the sums: its value, and a one for "
            "the normaliser. A query reads as many.",
        ),
        Step(
            "What it saves",
            ratio(FORWARD.expr, LINEAR.expr),
            n / (d + 1),
            "From one head's width on, and then without end.",
        ),
    )


def sharp_queries() -> Derivation:
    """Why few queries can look at a key of their own, shown for two features and two keys."""
    own = sum(x * y for x, y in zip(phi_q, phi_1, strict=True))
    everything = sum(x * y for x, y in zip(phi_q, z, strict=True))
    shares = phi_1[0] / z[0] + phi_1[1] / z[1]
    crossed = phi_q[0] * z[0] * phi_1[1] / z[1] + phi_q[1] * z[1] * phi_1[0] / z[0]
    return Derivation(
        Step(
            "One query",
            shares - own / everything,
            crossed / everything,
            "Let $z_f$ be the sum of feature $f$ over all keys, which the query sees. The right "
            "side is positive. So a weight, whatever the query, is less than its key's shares of "
            "all features, added up.",
        ),
        Step(
            "All keys",
            shares + phi_2[0] / z[0] + phi_2[1] / z[1],
            sp.Integer(2),
            "The shares of one feature add up to one over all keys, so those of two features add "
            "up to two, and those of $d$ features to $d$. So $m$ queries that each put a share "
            "$p$ of their weight on a key of their own need $mp \\le d$: they are at most $d/p$.",
        ),
        where={feature: one + two for feature, one, two in zip(z, phi_1, phi_2, strict=True)},
    )
