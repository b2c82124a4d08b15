"""A softmax in pieces, and the memory traffic that it needs. Taught in: "Quadratic cost"."""

import sympy as sp

from attention_limits.derivation import Derivation, Step
from attention_limits.formula import Formula
from attention_limits.symbols import (
    B,
    M,
    d,
    i,
    j,
    l,
    m,
    mass,
    mix,
    n,
    s,
    step,
    top,
    top_12,
    top_23,
    top_all,
    v,
)

# Numbers that one head moves between HBM and a chip that holds M of them, B rows of queries at a
# time: in three plain kernels with all scores in HBM between them, and tile by tile. On the chip a
# tile holds B queries, their outputs, and of each row the maximum, the sum and two factors.
PASSES = sp.ceiling(n / B)

TILED = Formula(2 * n * d + 2 * n * d * PASSES, "numbers", "in tiles")

TILE_ON_CHIP = Formula(B * (2 * d + 4) + d, "numbers", "on chip, in tiles")

TILE_ROWS = Formula(sp.floor((M - d) / (2 * d + 4)), "rows", "rows in a tile")

MATERIALISED = Formula(TILED.expr + 4 * n**2, "numbers", "plain kernels")

PLAIN_ON_CHIP = Formula(B * (d + 1) + d, "numbers", "on chip, in a plain kernel")

PLAIN_ROWS = Formula(sp.floor((M - d) / (d + 1)), "rows", "rows in a plain kernel")

# Traffic of keys and values in tiles, over that of the same two products without a softmax.
SOFTMAX_TRAFFIC = Formula((2 * d + 4) / (2 * d + 1), "×", "with a softmax")

# A kernel step by step, with keys and values in blocks of B, too: a tile of queries comes, all
# blocks pass, its outputs leave. After how many steps it is done, how many tiles are done after
# some, and how many steps the next one has made.
BLOCKS = n / B

ALL_STEPS = BLOCKS * (BLOCKS + 2)

TILES_DONE = sp.floor(sp.Min(step, ALL_STEPS) * B / (n + 2 * B))

INTO_TILE = sp.Min(step, ALL_STEPS) - (BLOCKS + 2) * TILES_DONE


def _one_if(condition: sp.Basic, unit: str, name: str) -> Formula:
    return Formula(sp.Piecewise((1, condition), (0, True)), unit, name)


QUERIES_ON_CHIP = _one_if(
    sp.Eq(i, TILES_DONE) & (INTO_TILE >= 1), "", "queries of the block are on the chip"
)

KEYS_ON_CHIP = _one_if(sp.Eq(j, INTO_TILE - 2), "", "keys and values of the block pass")

OUTPUTS_DONE = _one_if(i < TILES_DONE, "", "outputs of the block are done")

_TILE_IS_HERE = sp.Eq(i, TILES_DONE)

PAIRS_DONE = Formula(
    sp.Piecewise(
        (2, _TILE_IS_HERE & sp.Eq(j, INTO_TILE - 2)),
        (1, (i < TILES_DONE) | (_TILE_IS_HERE & (j < INTO_TILE - 2))),
        (0, True),
    ),
    "",
    "scores of the pair of blocks: to come, done, or just now",
)

SHARE_DONE = Formula(
    (TILES_DONE * BLOCKS + sp.Max(0, INTO_TILE - 1)) / BLOCKS**2, "", "scores computed"
)

MOVED_IN_TILES = Formula(
    B * d * ((2 * BLOCKS + 2) * TILES_DONE + sp.Max(0, 2 * INTO_TILE - 1)), "numbers", "tiles"
)

MOVED_PLAINLY = Formula(
    MOVED_IN_TILES.expr + 4 * n**2 * SHARE_DONE.expr, "numbers", "plain kernels"
)

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
            "A piece stores $m$ and $\\ell$; the true sum is $\\ell\\,e^m$. Bring two pieces to "
            "one reference $m_{12}$ and add: the true sums add up, whatever the reference is.",
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
    """How many numbers move between HBM and a chip of M numbers, with and without tiles."""
    rows = (M - d) / (2 * d + 4)
    return Derivation(
        Step(
            "Three plain kernels",
            sp.Sum(B * d + n * d + B * n, (i, 1, n / B))
            + 2 * n**2
            + sp.Sum(B * n + n * d + B * d, (i, 1, n / B)),
            2 * n * d + 2 * n**2 * d / B + 4 * n**2,
            "For each group of $B$ rows, $QK^\\top$ loads queries, lets all keys pass, and stores "
            "scores; the softmax loads and stores all scores; mixing loads them once more, lets "
            "all values pass, and stores outputs.",
        ),
        Step(
            "In tiles",
            sp.Sum(B * d + n * 2 * d + B * d, (i, 1, n / B)),
            2 * n * d + 2 * n**2 * d / B,
            "Here keys and values pass together, and scores never leave the chip. The "
            "$4n^2$ are gone.",
        ),
        Step(
            "Rows in a plain kernel",
            sp.Subs(PLAIN_ON_CHIP.expr, B, (M - d) / (d + 1)),
            M,
            "The price of it is in $B$. A plain kernel holds $B$ queries, their scores for one "
            "key, and that key.",
        ),
        Step(
            "Rows in a tile",
            sp.Subs(TILE_ON_CHIP.expr, B, rows),
            M,
            "A tile holds $B$ outputs as well, one value, and four numbers a row: maximum, sum, "
            "and the factors of what was there and of what is new. About half as many rows fit.",
        ),
        Step(
            "Traffic in tiles",
            sp.Subs(2 * n**2 * d / B, B, rows),
            2 * n**2 * d * (2 * d + 4) / (M - d),
            "Of order $n^2 d^2/M$: still quadratic, and divided by the size of the chip.",
        ),
        Step(
            "What the softmax adds",
            (sp.Sum(2, (l, 1, d)) + 4) / (sp.Sum(2, (l, 1, d)) + 1),
            SOFTMAX_TRAFFIC.expr,
            "Each row needs $d$ numbers of its query and $d$ of its output. The two products alone "
            "add one, the score. So without a softmax more rows fit on the same chip, and keys "
            "and values pass less often, both in this ratio.",
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
            "largest one last. That holds for keys in random order, and not where neighbours are "
            "alike or a first key stands out.",
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
