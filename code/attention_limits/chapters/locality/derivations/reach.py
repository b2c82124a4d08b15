"""How far a stack of layers sees: what is within reach at all, and where most weight comes from.

Taught in: "Locality".
"""

import sympy as sp

from attention_limits.derivation import Derivation, Step
from attention_limits.formula import Formula
from attention_limits.symbols import around, i, l, layers, taken, taps

# What an output can depend on, along an axis.
FIELD = Formula(layers * (taps - 1) + 1, "tokens", "within reach")
DILATED_FIELD = Formula(1 + (taps - 1) * (2**layers - 1), "tokens", "within reach, dilated")

# The deviation of where weight comes from, if each layer takes a share p of the mean of k tokens.
DEVIATION = Formula(sp.sqrt(layers * taken * (taps**2 - 1) / 12), "tokens", "deviation")
DILATED = Formula(sp.sqrt((taps**2 - 1) * (4**layers - 1) / 36), "tokens", "deviation, dilated")

# 95 % of a normal curve lie within two deviations on both sides.
EFFECTIVE = Formula(4 * DEVIATION.expr, "tokens", "95 % of the weight")

# In causal windows of w tokens: how far back, in the mean, and with which variance.
BACK = Formula(layers * taken * (around - 1) / 2, "tokens", "how far back")
BACK_VARIANCE = Formula(
    layers * taken * ((around**2 - 1) / 12 + (1 - taken) * (around - 1) ** 2 / 4),
    "tokens²",
    "variance",
)


def reach() -> Derivation:
    """The field grows like the layers, and where weight comes from like their root."""
    step = sp.Sum((l - (taps - 1) / 2) ** 2 / taps, (l, 0, taps - 1))
    return Derivation(
        Step(
            "Within reach",
            1 + sp.Sum(taps - 1, (i, 1, layers)),
            FIELD,
            "Each layer adds half of $k - 1$ tokens on either side.",
        ),
        Step(
            "One layer",
            step,
            (taps**2 - 1) / 12,
            "A layer that takes the mean of $k$ tokens draws one of them at random. This is the "
            "variance of the way to it.",
        ),
        Step(
            "All layers",
            sp.sqrt(sp.Sum(taken * (taps**2 - 1) / 12, (i, 1, layers))),
            DEVIATION,
            "Ways add up, and they are independent, so their variances add up, too. If a layer "
            "takes only a share $p$ from its window and passes the rest on, as with a skip "
            "connection, then so does its variance.",
        ),
        Step(
            "The share",
            sp.Limit((sp.sqrt(layers) * EFFECTIVE.expr / FIELD.expr).subs(taps, 3), layers, sp.oo),
            2 * sp.sqrt(2 * taken / 3),
            "So of what is within reach, the part that matters shrinks like $1/\\sqrt L$: here "
            "with three taps.",
        ),
    )


def dilated() -> Derivation:
    """Kernels whose taps lie ever farther apart are another matter."""
    return Derivation(
        Step(
            "Within reach",
            1 + sp.Sum((taps - 1) * 2**l, (l, 0, layers - 1)),
            DILATED_FIELD,
            "In layer $l$, taps are $2^l$ tokens apart.",
        ),
        Step(
            "Variance",
            sp.Sum((taps**2 - 1) / 12 * 4**l, (l, 0, layers - 1)),
            DILATED.expr**2,
            "Ways that are $2^l$ times as long have $4^l$ times the variance.",
        ),
        Step(
            "The share",
            sp.Limit((4 * DILATED.expr / DILATED_FIELD.expr).subs(taps, 3), layers, sp.oo),
            2 * sp.sqrt(2) / 3,
            "Deviation and field both grow like $2^L$, so the share stays: here with three taps.",
        ),
    )


def windows() -> Derivation:
    """In causal windows all steps go back, so weight comes from a place that moves back."""
    window = [(l, 0, around - 1)]
    mean = taken * sp.Sum(l / around, *window)
    square = taken * sp.Sum(l**2 / around, *window)
    return Derivation(
        Step(
            "How far back",
            layers * mean,
            BACK,
            "A causal window goes back between 0 and $w - 1$ tokens.",
        ),
        Step(
            "Variance",
            layers * (square - mean**2),
            BACK_VARIANCE,
            "The variance of a step is the mean of its square, less the square of its mean.",
        ),
    )
