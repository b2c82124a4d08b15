"""What a layer costs, counted. Taught in: "Quadratic cost".

One FLOP is one addition or one multiplication, so a multiply-add is two.
"""

import math

import sympy as sp

from attention_limits.derivation import Derivation, Step
from attention_limits.formula import Formula
from attention_limits.layer import ATTENTION, CROSSOVER, LAYER, MLP, PROJECTIONS
from attention_limits.symbols import (
    alpha,
    c,
    d,
    d_k,
    d_model,
    d_v,
    expansion,
    f,
    full,
    g,
    group,
    h,
    i,
    j,
    l,
    layers,
    mask,
    mlp,
    n,
    n_star,
    spread,
    steady,
)

# The crossover of a whole model, whatever its layers are made of.
MODEL_CROSSOVER = Formula(steady / (full * h * (d_k + d_v)), "tokens", "crossover of a model")

# Attention's share of a layer.
SHARE = Formula(n / (n + CROSSOVER.expr), "", "share of attention")

# The same for heads of any width, and for the pairs that a mask leaves: a query meets so many keys
# in the mean, and attention is half of the layer where these are as many as the crossover.
WIDE_CROSSOVER = Formula(
    d_model * (1 + g / h) + c * f * d_model / (2 * h * d), "tokens", "crossover, heads of any width"
)

KEYS = Formula((n + mask - 1) / mask, "tokens", "keys that a query meets")

MASKED_CROSSOVER = Formula(mask * WIDE_CROSSOVER.expr - mask + 1, "tokens", "crossover")

MASKED_SHARE = Formula(KEYS.expr / (KEYS.expr + WIDE_CROSSOVER.expr), "", "share of attention")

# How much the whole layer's cost grows, as a power of n, when n doubles.
DOUBLING_EXPONENT = Formula(sp.log(2 + 2 * SHARE.expr, 2), "", "doubling exponent")


def in_ratios(formula: Formula) -> Formula:
    """The same formula in query heads per key-value head and MLP width over model width."""
    return formula.subs({g: h / group, f: expansion * d_model})


def in_shares(formula: Formula) -> Formula:
    """The same in three ratios: of heads, of all heads' width and of the MLP's weights."""
    ratios = {g: h / group, d: spread * d_model / h, f: mlp * d_model / c}
    return formula.subs(ratios)


def packed_length(*, row: int, mean: float) -> float:
    """How long the piece of a document is that a token is in, averaged over tokens.

    Documents of exponential length fill rows one after the other, and are cut where a row ends: a
    token t places away is in the same piece with probability (1 − t/row) exp(−t/mean).
    """
    return 2 * mean * (1 - mean / row * (1 - math.exp(-row / mean)))


def layer_flops() -> Derivation:
    """A layer's FLOPs by counting multiply-adds, product by product."""
    return Derivation(
        Step(
            "Scores of one head",
            sp.Sum(2, (l, 1, d), (j, 1, n), (i, 1, n)),
            2 * n**2 * d,
            "$QK^\\top$ has $n^2$ entries, each a sum of $d$ multiply-adds.",
        ),
        Step(
            "Both products, all heads",
            h * (2 * n**2 * d + sp.Sum(2, (j, 1, n), (l, 1, d), (i, 1, n))),
            ATTENTION,
            "Mixing the values costs as much again. The $h$ heads share the model's width, so "
            "their number drops out.",
        ),
        Step(
            "Four projections",
            2 * (2 * n * d_model**2) + 2 * (2 * n * d_model * g * d),
            PROJECTIONS,
            "Queries and the output are $d_\\text{model}$ wide. Keys and values are $g\\,d$ wide, "
            "where $g$ key-value heads serve the $h$ query heads.",
        ),
        Step(
            "The MLP",
            c * sp.Sum(2, (l, 1, d_model), (j, 1, f), (i, 1, n)),
            MLP,
            "It has $c$ matrices between the model's width and its own, $f$: two, or three if it "
            "is gated.",
        ),
        Step(
            "Projections of the classic layer",
            sp.Subs(PROJECTIONS.expr, g, h),
            8 * n * d_model**2,
            "With as many key-value heads as query heads.",
        ),
        Step(
            "MLP of the classic layer",
            sp.Subs(MLP.expr, (c, f), (2, 4 * d_model)),
            16 * n * d_model**2,
            "With two matrices, four times as wide as the model: "
            "$4n^2 d_\\text{model} + 8n\\,d_\\text{model}^2 + 16n\\,d_\\text{model}^2$ in all.",
        ),
        where={d: d_model / h},
    )


def crossover() -> Derivation:
    """Where attention's FLOPs equal those of everything else in the layer."""
    return Derivation(
        Step(
            "Ratio",
            ATTENTION.expr / (PROJECTIONS.expr + MLP.expr),
            n / n_star,
            "Attention over everything else is proportional to $n$, so it equals one at one "
            "length only: $n^*$.",
        ),
        Step(
            "Share",
            ATTENTION.expr / LAYER.expr,
            n / (n + n_star),
            "Attention's share of the layer, a half at $n^*$.",
        ),
        Step(
            "The classic layer",
            sp.Subs(CROSSOVER.expr, (g, c, f), (h, 2, 4 * d_model)),
            6 * d_model,
            "With $g = h$, $c = 2$ and $f = 4\\,d_\\text{model}$: six widths.",
        ),
        Step(
            "Under a causal mask",
            sp.Sum(4 * d_model * l, (l, 1, n)) / (PROJECTIONS.expr + MLP.expr),
            (n + 1) / (2 * n_star),
            "If a kernel skips what is hidden, query number $l$ meets $l$ keys. Attention is half "
            "of the layer at $n = 2n^* - 1$.",
        ),
        where={n_star: CROSSOVER},
    )


def model_crossover() -> Derivation:
    """Where full attention costs as much as all the rest of a model, whatever that is made of."""
    attention = 2 * n**2 * full * h * (d_k + d_v)
    products = sp.Sum(2, (l, 1, d_k), (j, 1, n), (i, 1, n)) + sp.Sum(
        2, (j, 1, n), (l, 1, d_v), (i, 1, n)
    )
    return Derivation(
        Step(
            "Full attention",
            full * h * products,
            attention,
            "Scores over $d_k$ numbers and values of $d_v$, in $h$ heads of the "
            "$L_\\text{full}$ layers that see the whole sequence.",
        ),
        Step(
            "All the rest",
            sp.Sum(2 * steady, (i, 1, n)),
            2 * n * steady,
            "$A$ multiply-adds a token: one for each weight that it meets, and those of windows "
            "and states, which do not grow.",
        ),
        Step(
            "Ratio",
            attention / (2 * n * steady),
            n / n_star,
            "Proportional to $n$ again, and one at $n^*$.",
        ),
        Step(
            "The layer from before",
            sp.Subs(
                MODEL_CROSSOVER.expr,
                (steady, full, d_k, d_v),
                (layers * 2 * d_model * CROSSOVER.expr, layers, d_model / h, d_model / h),
            ),
            CROSSOVER,
            "With full attention in all $L$ layers and heads that share the width.",
        ),
        Step(
            "Heads of any width",
            sp.Subs(
                MODEL_CROSSOVER.expr,
                (steady, full, d_k, d_v),
                (layers * (2 * d_model * (h + g) * d + c * d_model * f), layers, d, d),
            ),
            WIDE_CROSSOVER,
            "Heads that are wider together than the model make attention more of the layer.",
        ),
        where={n_star: MODEL_CROSSOVER},
    )


def doubling() -> Derivation:
    """What a sequence twice as long costs: between twice and four times as much."""
    return Derivation(
        Step(
            "Growth",
            LAYER.expr.subs(n, 2 * n) / LAYER.expr,
            2 + 2 * n / (n + n_star),
            "The linear part doubles and attention quadruples, so the factor is two, plus twice "
            "attention's share.",
        ),
        Step(
            "Exponent",
            2**alpha,
            2 + 2 * n / (n + n_star),
            "As a power of $n$: one where attention is negligible, two where it is everything.",
        ),
        where={n_star: CROSSOVER, alpha: sp.log(2 + 2 * n / (n + n_star), 2)},
    )
