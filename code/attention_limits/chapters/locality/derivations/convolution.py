"""How heads of attention do what a convolution does: how sharply, and for how many FLOPs.

Taught in: "Locality".
"""

import sympy as sp

from attention_limits.derivation import Derivation, Step, ratio
from attention_limits.formula import Formula
from attention_limits.symbols import (
    aim_x,
    aim_y,
    axes,
    column,
    d,
    l,
    n,
    row,
    sharpness,
    taps,
    w,
)

# The least weight that a head gives to the pixel at which it aims, on any grid.
KEPT = Formula(((1 - sp.exp(-sharpness)) / (1 + sp.exp(-sharpness))) ** axes, "", "at least")

# The most that it gives to all others, on an image.
LOST = Formula(4 * sp.exp(-sharpness) / (1 + sp.exp(-sharpness)) ** 2, "", "lost at most")

# Scores of three numbers, a mix of values and the product with one matrix of the kernel.
ONE_HEAD = Formula(2 * n**2 * 3 + 2 * n**2 * d + 2 * n * d**2, "FLOPs", "one head")
HEADS = Formula(taps**2 * ONE_HEAD.expr, "FLOPs", "heads")
CONVOLUTION = Formula(2 * n * taps**2 * d**2, "FLOPs", "convolution")
RATIO = Formula(1 + n * (d + 3) / d**2, "", "all pixels")

# Where each query sees w pixels around it.
IN_WINDOWS = Formula(
    taps**2 * (2 * n * w * 3 + 2 * n * w * d + 2 * n * d**2), "FLOPs", "heads in windows"
)
WINDOW_RATIO = Formula(RATIO.expr.subs(n, w), "", "a window")
TWICE = Formula(d**2 / (d + 3), "pixels", "twice the FLOPs")


def quadratic_encoding() -> Derivation:
    """A score that falls with the squared distance from a point is an inner product of three."""
    distance = (column - aim_x) ** 2 + (row - aim_y) ** 2
    of_both = 2 * sharpness * aim_x * column + 2 * sharpness * aim_y * row
    return Derivation(
        Step(
            "Expand",
            -sharpness * distance,
            -sharpness * (column**2 + row**2) + of_both - sharpness * (aim_x**2 + aim_y**2),
            "The key stands at $(x, y)$, and the head aims at $(x^*, y^*)$. The last term is the "
            "same for all keys, so a softmax divides it away. Each other term is a number of the "
            "key, $x^2 + y^2$, $x$ or $y$, times one of the query.",
        ),
    )


def least_weight() -> Derivation:
    """How much of its weight a head gives to the pixel at which it aims."""
    weight = sp.exp(-sharpness * l)
    return Derivation(
        Step(
            "Axes are apart",
            sp.exp(-sharpness * (column**2 + row**2)),
            sp.exp(-sharpness * column**2) * sp.exp(-sharpness * row**2),
            "Let $x$ and $y$ count from the pixel that the head aims at. The weight of a pixel is "
            "a product, so the sum over a grid is one as well: a sum for each axis.",
        ),
        Step(
            "One side",
            sp.Sum(weight - weight.subs(l, l + 1), (l, 1, n)),
            sp.exp(-sharpness) - sp.exp(-sharpness * (n + 1)),
            "To one side of it, weights are $e^{-\\alpha l^2}$ for $l = 1, 2, \\ldots$ Since "
            "$l^2 \\geq l$, their sum is at most that of $e^{-\\alpha l}$. Times "
            "$1 - e^{-\\alpha}$, this loses all terms but the first and the last.",
        ),
        Step(
            "One axis",
            1 + 2 * sp.exp(-sharpness) / (1 - sp.exp(-sharpness)),
            (1 + sp.exp(-sharpness)) / (1 - sp.exp(-sharpness)),
            "So both sides and the pixel itself have at most this, on an axis without an end.",
        ),
        Step(
            "The weight",
            1 / ((1 + sp.exp(-sharpness)) / (1 - sp.exp(-sharpness))) ** axes,
            KEPT,
            "On $D$ axes all pixels have at most that sum to the power $D$, of which 1 is its own.",
        ),
        Step(
            "What is lost",
            sp.Subs(1 - KEPT.expr, axes, 2),
            LOST,
            "On an image, all other pixels together have at most this. It is less than "
            "$4e^{-\\alpha}$.",
        ),
    )


def price() -> Derivation:
    """What the heads cost, over a convolution with as many channels in as out."""
    return Derivation(
        Step(
            "A head",
            ONE_HEAD,
            2 * n**2 * (d + 3) + 2 * n * d**2,
            "Scores of three numbers, a mix of values that are $d$ wide, and the product of each "
            "pixel with one $d \\times d$ matrix of the kernel.",
        ),
        Step(
            "Over a convolution",
            ratio(HEADS.expr, CONVOLUTION.expr),
            RATIO,
            "$k^2$ heads over $2nk^2d^2$. The size of the kernel drops out. The 1 is the product "
            "with the kernel, which both have; the rest is what finding the pixels costs.",
        ),
        Step(
            "Twice as much",
            sp.Subs(RATIO.expr, n, TWICE.expr),
            sp.Integer(2),
            "So finding the pixels costs as much as the convolution itself at $d^2/(d+3)$ pixels, "
            "nearly $d$.",
        ),
        Step(
            "In windows",
            ratio(IN_WINDOWS.expr, CONVOLUTION.expr),
            WINDOW_RATIO,
            "If each query sees only $w$ pixels around it, $w$ takes the place of $n$.",
        ),
    )
