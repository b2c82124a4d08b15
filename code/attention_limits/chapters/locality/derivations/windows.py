"""Windows on an image: which pairs they compute, and which pixels never meet in one.

Taught in: "Locality".
"""

import sympy as sp

from attention_limits.derivation import Derivation, Step
from attention_limits.formula import Formula
from attention_limits.symbols import apart, d, downwards, i, right, shift, side, window_side

# Pairs along a row of H pixels: windows of M that fill it, and the same after a shift.
WHOLE = Formula(side * window_side, "pairs", "windows that fill a row")
SHIFTED = Formula(
    side * window_side - 2 * shift * (window_side - shift), "pairs", "windows that are shifted"
)

# FLOPs of scores and values on a square image: a pair of pixels is a pair along each axis.
FLOPS = Formula(4 * d * SHIFTED.expr**2, "FLOPs", "shifted windows on an image")
ROLLED = Formula(4 * d * WHOLE.expr**2, "FLOPs", "shifted windows, rolled and masked")

# How often two pixels of a row, so many places apart, share a window.
TOGETHER = Formula(sp.Max(0, 1 - apart / window_side), "", "in one layer")
_NEVER = (sp.Max(0, apart - shift) + sp.Max(0, apart - (window_side - shift))) / window_side
TOGETHER_ONCE = Formula(sp.Max(0, 1 - _NEVER), "", "in one of two layers")

# Up to so many places apart, all pixels of a row meet in one of two layers.
ALL_MEET = Formula(sp.Min(shift, window_side - shift), "pixels", "all meet")

# Of pixels so far apart along both axes, those that share no window in either of two layers.
NEVER = Formula(2 * right * downwards / window_side**2, "", "pixels that never meet")


def pairs() -> Derivation:
    """A shift cuts one window of each row in two, and so leaves fewer pairs."""
    return Derivation(
        Step(
            "Shifted",
            (side / window_side - 1) * window_side**2 + shift**2 + (window_side - shift) ** 2,
            SHIFTED,
            "One window of the row is cut: $s$ of its pixels stand at the beginning, and $M - s$ "
            "at the end.",
        ),
        Step(
            "FLOPs",
            4 * d * SHIFTED.expr * SHIFTED.expr,
            FLOPS,
            "Two pixels share a window if they do along both axes, and a pair costs $4d$.",
        ),
        Step(
            "The share",
            (SHIFTED.expr / WHOLE.expr).subs(shift, window_side / 2) ** 2,
            (1 - window_side / (2 * side)) ** 2,
            "That much of the pairs of windows that fill the image is left, if they are shifted "
            "by half of their side.",
        ),
    )


def meetings() -> Derivation:
    """Borders keep apart, and another layer has them elsewhere."""
    across, down = right / window_side, downwards / window_side
    return Derivation(
        Step(
            "One layer",
            sp.Sum(1 / window_side, (i, 0, window_side - apart - 1)),
            1 - apart / window_side,
            "Of $M$ places in a window, the last $\\Delta$ have a border before the pixel that is "
            "$\\Delta$ places on.",
        ),
        Step(
            "Two layers",
            1
            - sp.Sum(1 / window_side, (i, 0, apart - shift - 1))
            - sp.Sum(1 / window_side, (i, 0, apart - (window_side - shift) - 1)),
            2 * (1 - apart / window_side),
            "To be kept apart in both, two pixels need a border of each layer between them. The "
            "second's is $s$ pixels behind the first's, or $M - s$ before it. So it takes more "
            "than $s$, or more than $M - s$ places; pixels that are farther apart than both meet "
            "at twice the share of one layer.",
        ),
        Step(
            "On a diagonal",
            across * down + across * down,
            NEVER,
            "Now let two pixels be $\\Delta_x$ and $\\Delta_y$ apart along the axes, neither more "
            "than $s$ or $M - s$, so that along each there is at most one border between them. If "
            "it is one of the first layer along one axis, and one of the second along the other, "
            "then both layers keep them apart. There are two such cases.",
        ),
    )
