"""What convolutions and attention cost on the same input, in parameters, FLOPs and bytes.

Taught in: "Locality". One FLOP is one addition or one multiplication; biases are left out.
"""

import sympy as sp

from attention_limits.derivation import Derivation, Step
from attention_limits.formula import Formula
from attention_limits.symbols import (
    around,
    b,
    d,
    frames,
    h,
    i,
    j,
    l,
    n,
    patch,
    side,
    stride,
    taps,
)

# On n pixels or tokens of width d; a kernel has k × k taps.
DENSE = Formula(2 * n * taps**2 * d**2, "FLOPs", "dense convolution")
SEPARABLE = Formula(2 * n * (taps**2 + d) * d, "FLOPs", "separable convolution")
STRIDED = Formula(2 * n / stride**2 * taps**2 * d**2, "FLOPs", "strided convolution")
GLOBAL = Formula(8 * n * d**2 + 4 * n**2 * d, "FLOPs", "global attention")
WINDOWED = Formula(8 * n * d**2 + 4 * n * around * d, "FLOPs", "attention in windows")

DENSE_WEIGHTS = Formula(taps**2 * d**2, "parameters", "dense convolution")
SEPARABLE_WEIGHTS = Formula((taps**2 + d) * d, "parameters", "separable convolution")
ATTENTION_WEIGHTS = Formula(4 * d**2, "parameters", "attention")
# A layer that is local, with weights of its own at each place.
UNSHARED_WEIGHTS = Formula(n * taps**2 * d**2, "parameters", "local, unshared")

# Above this length global attention costs more than a dense convolution.
EQUAL = Formula(d * (taps**2 - 4) / 2, "tokens", "as much as a convolution")

# Tokens of an image, or of frames or slices of it, and the bytes of all scores of a layer.
TOKENS = Formula(frames * side**2 / patch**2, "tokens", "tokens")
SCORES = Formula(h * n**2 * b, "bytes", "scores of a layer")
SCORES_IN_WINDOWS = Formula(h * n * around * b, "bytes", "scores of a layer, in windows")


def convolutions() -> Derivation:
    """Multiply-adds of convolutions, tap by tap."""
    one = sp.Sum(2, (l, 1, d), (j, 1, taps**2), (i, 1, d))
    return Derivation(
        Step(
            "Dense",
            n * one,
            DENSE,
            "Each of $d$ outputs of a pixel is a sum over $k^2$ pixels of $d$ channels: two FLOPs "
            "for each of $k^2d^2$ weights, at each of $n$ pixels.",
        ),
        Step(
            "Separable",
            n * (sp.Sum(2, (j, 1, taps**2), (i, 1, d)) + sp.Sum(2, (l, 1, d), (i, 1, d))),
            SEPARABLE,
            "First each channel by itself, then all channels of a pixel: $k^2d$ weights and $d^2$.",
        ),
        Step(
            "Strided",
            n / stride**2 * one,
            STRIDED,
            "The dense one at every $s$-th pixel of each axis.",
        ),
        Step(
            "Its share",
            SEPARABLE.expr / DENSE.expr,
            1 / d + 1 / taps**2,
            "A separable one costs so much of a dense one: about a ninth, if $k = 3$.",
        ),
    )


def attentions() -> Derivation:
    """Multiply-adds of attention over the same pixels, globally and in windows."""
    pairs = sp.Sum(2, (l, 1, d), (j, 1, n), (i, 1, n))
    return Derivation(
        Step(
            "Global",
            4 * n * sp.Sum(2, (l, 1, d), (i, 1, d)) + 2 * pairs,
            GLOBAL,
            "Four projections with $d^2$ weights each, and two products between all pairs.",
        ),
        Step(
            "In windows",
            4 * n * sp.Sum(2, (l, 1, d), (i, 1, d))
            + 2 * n / around * sp.Sum(2, (l, 1, d), (j, 1, around), (i, 1, around)),
            WINDOWED,
            "The image is cut into $n/w$ windows of $w$ tokens, each of which attends to itself.",
        ),
        Step(
            "A window of everything",
            sp.Subs(WINDOWED.expr, around, n),
            GLOBAL,
            "With one window, that is global attention again.",
        ),
    )


def comparison() -> Derivation:
    """Where a dense convolution costs as much as global attention."""
    return Derivation(
        Step(
            "Ratio",
            GLOBAL.expr / DENSE.expr,
            (4 * d + 2 * n) / (taps**2 * d),
            "It grows with $n$: there is one length at which both cost the same.",
        ),
        Step(
            "The same",
            sp.Subs(GLOBAL.expr, n, EQUAL.expr),
            sp.Subs(DENSE.expr, n, EQUAL.expr),
            "At $n = d\\,(k^2 - 4)/2$.",
        ),
        Step(
            "Three by three",
            sp.Subs(EQUAL.expr, taps, 3),
            5 * d / 2,
            "Below two and a half widths, the convolution costs more.",
        ),
        Step(
            "A separable one",
            GLOBAL.expr - SEPARABLE.expr,
            2 * n * d * (3 * d + 2 * n - taps**2),
            "Attention costs more than it at any length, unless $k^2$ exceeds three widths.",
        ),
    )


def high_resolution() -> Derivation:
    """What a larger image does to the scores: a fourth power, unless there are windows."""
    return Derivation(
        Step(
            "Twice the side",
            sp.Subs(TOKENS.expr, side, 2 * side),
            4 * TOKENS.expr,
            "An image twice as high and wide has four times the tokens.",
        ),
        Step(
            "Its scores",
            sp.Subs(SCORES.expr, n, 4 * n),
            16 * SCORES.expr,
            "Pairs grow with the fourth power of the side.",
        ),
        Step(
            "In windows",
            sp.Subs(SCORES_IN_WINDOWS.expr, n, 4 * n),
            4 * SCORES_IN_WINDOWS.expr,
            "In windows of a fixed size, no faster than the pixels.",
        ),
        Step(
            "Half a patch",
            sp.Subs(TOKENS.expr, patch, patch / 2),
            4 * TOKENS.expr,
            "Smaller patches do what a larger image does.",
        ),
    )
