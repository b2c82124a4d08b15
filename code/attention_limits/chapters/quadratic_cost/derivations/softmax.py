"""A softmax in pieces, and what has to be moved for it. Taught in: "Quadratic cost"."""

import sympy as sp

from attention_limits.derivation import Derivation, Step
from attention_limits.formula import Formula
from attention_limits.symbols import (
    B,
    M,
    d,
    i,
    l,
    m,
    mass,
    mix,
    n,
    s,
    top,
    top_12,
    top_23,
    top_all,
    v,
)

# Numbers that one head moves between memory and a chip that holds M of them, B rows of queries at a
# time: in three plain kernels with all scores in memory between them, and tile by tile.
TILED = Formula(2 * n * d + 2 * n * d * sp.Max(1, n / B), "numbers", "tile by tile")

TILE_ROWS = Formula((M - 2 * d) / (2 * d + 3), "rows", "rows in a tile")

TILE_ON_CHIP = Formula(B * (2 * d + 3) + 2 * d, "numbers", "on chip, tile by tile")

MATERIALISED = Formula(TILED.expr + 4 * n**2, "numbers", "all scores in memory")

PLAIN_ROWS = Formula((M - d) / (d + 1), "rows", "rows in a plain kernel")

PLAIN_ON_CHIP = Formula(B * (d + 1) + d, "numbers", "on chip, in a plain kernel")

# How often a running maximum changes over n keys in random order: one row's, and that of at
# least one row in a tile of B independent rows.
ROW_CHANGES = Formula(sp.Sum(1 / l, (l, 1, n)), "changes", "one row")

TILE_CHANGES = Formula(sp.Sum(1 - (1 - 1 / l) ** B, (l, 1, n)), "changes", "a tile")


def online_softmax() -> Derivation:
    """A softmax computed in pieces, which merge in any order into the whole."""
    (m_1, m_2, m_3), (sum_1, sum_2, sum_3), (mix_1, mix_2, _) = top, mass, mix

    def merged(one: sp.Expr, its: sp.Expr, other: sp.Expr, others: sp.Expr, reference: sp.Expr):
        return one * sp.exp(its - reference) + other * sp.exp(others - reference)

    scores = sum(sp.exp(score - top_all) for score in s)
    mixture = sum(sp.exp(score - top_all) * value for score, value in zip(s, v, strict=True))
    return Derivation(
        Step(
            "The sums merge",
            merged(sum_1, m_1, sum_2, m_2, top_12) * sp.exp(top_12),
            sum_1 * sp.exp(m_1) + sum_2 * sp.exp(m_2),
            "A piece stands for $\\ell\\,e^m$. Bring two pieces to one reference $m_{12}$, add, "
            "and the sum stands for both, whatever the reference is.",
        ),
        Step(
            "The mixes merge",
            merged(mix_1, m_1, mix_2, m_2, top_12) * sp.exp(top_12),
            mix_1 * sp.exp(m_1) + mix_2 * sp.exp(m_2),
            "The weighted sum of values is rescaled by the same factors.",
        ),
        Step(
            "In any order",
            merged(merged(sum_1, m_1, sum_2, m_2, top_12), top_12, sum_3, m_3, top_all),
            merged(sum_1, m_1, merged(sum_2, m_2, sum_3, m_3, top_23), top_23, top_all),
            "First 1 with 2, then 3; or first 2 with 3, then 1. The merge is associative, so it "
            "may run along a row, in tiles, or as a tree.",
        ),
        Step(
            "Read out",
            mixture / scores,
            sum(value * sp.exp(score) for score, value in zip(s, v, strict=True))
            / sum(map(sp.exp, s)),
            "At the end $o/\\ell$ is the softmax's mean. The reference $m$ has cancelled; "
            "the maximum is chosen for it because then no exponential exceeds one.",
        ),
    )


def traffic() -> Derivation:
    """How many numbers cross the border between memory and chip, with and without tiles."""
    return Derivation(
        Step(
            "All scores in memory",
            sp.Sum(B * d + n * d + B * n, (i, 1, n / B))
            + 2 * n**2
            + sp.Sum(B * n + n * d + B * d, (i, 1, n / B)),
            2 * n * d + 2 * n**2 * d / B + 4 * n**2,
            "For each group of $B$ rows, $QK^\\top$ reads queries, lets all keys pass, and writes "
            "scores; the softmax reads and writes all scores; mixing reads them once more, lets "
            "all values pass, and writes outputs.",
        ),
        Step(
            "Tile by tile",
            sp.Sum(B * d + n * 2 * d + B * d, (i, 1, n / B)),
            2 * n * d + 2 * n**2 * d / B,
            "Here keys and values pass together, and scores never leave the chip. The "
            "$4n^2$ are gone.",
        ),
        Step(
            "Rows in a plain kernel",
            sp.Subs(PLAIN_ON_CHIP.expr, B, PLAIN_ROWS.expr),
            M,
            "The price of it is in $B$. A plain kernel holds $B$ queries, their scores for one "
            "key, and that key.",
        ),
        Step(
            "Rows in a tile",
            sp.Subs(TILE_ON_CHIP.expr, B, TILE_ROWS.expr),
            M,
            "A tile also holds outputs, maxima and sums, and one value: about half as many rows on "
            "the same chip.",
        ),
        Step(
            "Traffic in tiles",
            sp.Subs(2 * n**2 * d / B, B, TILE_ROWS.expr),
            2 * n**2 * d * (2 * d + 3) / (M - 2 * d),
            "Of order $n^2 d^2/M$: still quadratic, and divided by the size of the chip.",
        ),
    )


def maximum_changes() -> Derivation:
    """How often the running maximum of a row changes."""
    return Derivation(
        Step(
            "Key $m$ is a new maximum",
            sp.factorial(m - 1) / sp.factorial(m),
            1 / m,
            "Of the $m!$ orders of the first $m$ scores, all equally likely, $(m-1)!$ have the "
            "largest one last.",
        ),
        Step(
            "Changes in a row",
            sp.Limit(ROW_CHANGES.expr - sp.log(n), n, sp.oo),
            sp.EulerGamma,
            "Expectations add up to a harmonic number, about $\\ln n + \\gamma$, where Euler's "
            "constant $\\gamma \\approx 0.58$.",
        ),
        Step(
            "Key $m$ changes no row of a tile",
            sp.Product(1 - 1 / m, (i, 1, B)),
            (1 - 1 / m) ** B,
            "If the $B$ rows are independent. A tile that works in step has to rescale unless all "
            "of its rows are left alone. For $m$ read blocks, if keys come in blocks.",
        ),
    )
