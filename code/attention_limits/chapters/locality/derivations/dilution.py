"""What becomes of one token among n: its weight, and what can still be read from the output.

Taught in: "Locality".
"""

import sympy as sp

from attention_limits.derivation import Derivation, Step
from attention_limits.formula import Formula
from attention_limits.symbols import (
    beta,
    classes,
    j,
    l,
    lead,
    moment,
    n,
    noise,
    signal,
    standard,
    tuned,
)

# The weight of one token whose score is above all others, which are equal.
WEIGHT = Formula(sp.exp(lead) / (sp.exp(lead) + n - 1), "", "weight")

# The same with scores of a limited size: no token of any attention gets more.
LARGEST_WEIGHT = Formula(WEIGHT.expr.subs(lead, 2 * beta), "", "largest weight")

# The output has one number a value; that of the token's own leads by so many spreads of the others.
SIGNAL = Formula(sp.exp(lead) * sp.sqrt(classes / (n - 1)), "", "signal over noise")

# How often the largest number of the output is that of the token's own value. An integral over a
# normal variable, as a sum in steps of 0.4: its error is below 3e-4, for up to 4,096 values.
_STEPS, _STEP = 13, sp.Rational(2, 5)
_Z = _STEP * (l - _STEPS)
_BELOW = (1 + sp.erf((_Z + SIGNAL.expr) / sp.sqrt(2))) / 2
ACCURACY = Formula(
    _STEP
    / sp.sqrt(2 * sp.pi)
    * sp.Sum(sp.exp(-(_Z**2) / 2) * _BELOW ** (classes - 1), (l, 0, 2 * _STEPS)),
    "",
    "value read",
)

# The lead that half of the weight takes, where the other scores are equal, or spread as normal
# variables: below a spread of √(2 ln n) all of them count, above it the largest few do.
HALF = Formula(sp.log(n - 1), "", "lead for half of the weight")
ALL_COUNT = Formula(sp.log(n) + noise**2 / 2, "", "if all others count")
LARGEST_COUNT = Formula(noise * sp.sqrt(2 * sp.log(n)), "", "if the largest counts")
EDGE = Formula(sp.sqrt(2 * sp.log(n)), "", "spread from which the largest count")
NOISY_HALF = Formula(
    sp.Piecewise((ALL_COUNT.expr, noise < EDGE.expr), (LARGEST_COUNT.expr, True)),
    "",
    "lead for half of the weight",
)

# Scores that grow with ln n, as they are at n_0.
SCALED_LEAD = lead * sp.log(n) / sp.log(tuned)
SCALED = Formula(WEIGHT.expr.subs(lead, SCALED_LEAD), "", "weight, scores times ln n")


def largest_weight() -> Derivation:
    """Scores of a limited size cannot keep the weight of a token as the sequence grows."""
    weight = sp.exp(beta) / (sp.exp(beta) + sp.Sum(sp.exp(-beta), (j, 2, n)))
    return Derivation(
        Step(
            "At most",
            weight,
            LARGEST_WEIGHT,
            "Scores lie between $-\\beta$ and $\\beta$. A weight is largest if its score is the "
            "largest that there can be and all others are the smallest.",
        ),
        Step(
            "A lead",
            sp.Subs(LARGEST_WEIGHT.expr, beta, lead / 2),
            WEIGHT,
            "So only the lead over the other scores matters, here $\\delta = 2\\beta$.",
        ),
        Step(
            "Half of it",
            sp.Subs(WEIGHT.expr, n, 1 + sp.exp(lead)),
            sp.Rational(1, 2),
            "Half of the weight is gone at $n = 1 + e^\\delta$.",
        ),
        Step(
            "The end",
            sp.Limit(WEIGHT.expr, n, sp.oo),
            sp.Integer(0),
            "And any share that you name is lost at some length.",
        ),
    )


def reading() -> Derivation:
    """What many tokens of independent values add to the output averages out."""
    one = 1 / classes * 1**2 + 1 / classes * (-1) ** 2
    return Derivation(
        Step(
            "Noise",
            sp.Sum(one, (j, 2, n)),
            2 * (n - 1) / classes,
            "Each of the $n - 1$ other tokens raises the first of two values, or the second, with "
            "probability $1/C$ each. So the variance of their difference is this, or $(n-1)/C$ "
            "for each of the two.",
        ),
        Step(
            "Signal over noise",
            sp.exp(lead) / sp.sqrt((n - 1) / classes),
            signal,
            "The token itself adds $e^\\delta$ to its own value, in units of another token.",
        ),
        Step(
            "At half of the weight",
            sp.Subs(SIGNAL.expr, n, 1 + sp.exp(lead)),
            sp.sqrt(classes * sp.exp(lead)),
            "Where half of the weight is gone, the signal is still far above the noise.",
        ),
        Step(
            "As much noise as signal",
            sp.Subs(SIGNAL.expr, n, 1 + classes * sp.exp(2 * lead)),
            sp.Integer(1),
            "That takes $C e^{2\\delta}$ tokens: the square of $e^\\delta$.",
        ),
        where={signal: SIGNAL},
    )


def noisy() -> Derivation:
    """Which lead is enough for half of the weight if the other scores are spread."""
    bound = (sp.log(n) + moment**2 * noise**2 / 2) / moment
    best = sp.sqrt(2 * sp.log(n)) / noise
    return Derivation(
        Step(
            "One of them",
            moment * noise * standard - standard**2 / 2,
            moment**2 * noise**2 / 2 - (standard - moment * noise) ** 2 / 2,
            "A score is $s_j = \\varsigma\\xi$, with $\\xi$ standard normal. So the "
            "density of $\\xi$ times $e^{\\rho s_j}$ is a density that is moved, times the mean of "
            "$e^{\\rho s_j}$: $e^{\\rho^2\\varsigma^2/2}$.",
        ),
        Step(
            "All count",
            sp.Subs(bound, moment, 1),
            ALL_COUNT,
            "For $\\rho \\leq 1$ the sum of $e^{s_j}$ is at most "
            "$(\\sum_j e^{\\rho s_j})^{1/\\rho}$. So the mean of its logarithm is at most "
            "$(\\ln n + \\rho^2\\varsigma^2/2)/\\rho$. First $\\rho = 1$.",
        ),
        Step(
            "The best bound",
            sp.Derivative(bound, moment),
            noise**2 / 2 - sp.log(n) / moment**2,
            "The bound is least where this is zero, at $\\rho = \\sqrt{2\\ln n}/\\varsigma$.",
        ),
        Step(
            "The largest count",
            sp.Subs(bound, moment, best),
            LARGEST_COUNT,
            "If that is below 1. It is the size of the largest of $n$ normal scores.",
        ),
        Step(
            "Where they meet",
            sp.Subs(ALL_COUNT.expr, noise, EDGE.expr),
            sp.Subs(LARGEST_COUNT.expr, noise, EDGE.expr).doit(),
            "At $\\varsigma = \\sqrt{2\\ln n}$ both ask for the same lead.",
        ),
    )


def scaled() -> Derivation:
    """Scores that grow with ln n keep a weight at any length."""
    return Derivation(
        Step(
            "Half of it",
            sp.Subs(WEIGHT.expr, lead, sp.log(n)),
            n / (2 * n - 1),
            "A score that leads by $\\ln n_0$ at $n_0$ tokens leads by $\\ln n$ at $n$: half of "
            "the weight, at any length.",
        ),
        Step(
            "More than half",
            sp.Subs(WEIGHT.expr, lead, 2 * sp.log(n)),
            n**2 / (n**2 + n - 1),
            "And of a larger lead, ever more.",
        ),
    )
