"""What a Transformer layer costs, counted. Taught in: "Quadratic cost".

One FLOP is one addition or one multiplication, so a multiply-add is two. Only matrix products are
counted, as everywhere in this field; softmax, norms and biases are of lower order in the widths.
"""

import sympy as sp

from attention_limits.derivation import Derivation, Step
from attention_limits.formula import Formula
from attention_limits.symbols import (
    Z,
    alpha,
    c,
    d,
    d_model,
    expansion,
    f,
    g,
    group,
    h,
    i,
    j,
    l,
    n,
    n_star,
    p,
    s,
    u,
)

# One layer's FLOPs on n tokens: h query heads, g key-value heads, heads of width d_model / h.
ATTENTION = Formula(4 * n**2 * d_model, "FLOPs", "attention")
PROJECTIONS = Formula(4 * n * d_model**2 * (1 + g / h), "FLOPs", "projections")
MLP = Formula(2 * c * n * d_model * f, "FLOPs", "MLP")
LAYER = Formula(ATTENTION.expr + PROJECTIONS.expr + MLP.expr, "FLOPs", "layer")

# The length at which attention costs as much as the rest of the layer, and its share at any length.
CROSSOVER = Formula(d_model * (1 + g / h) + c * f / 2, "tokens", "crossover")
SHARE = Formula(n / (n + CROSSOVER.expr), "", "share of attention")

# One head's attention, forward and back; and the elementwise work of a softmax's way back, by its
# vector-Jacobian product and by writing out the Jacobian of every row.
FORWARD = Formula(4 * n**2 * d, "FLOPs", "forward")
BACKWARD = Formula(8 * n**2 * d, "FLOPs", "backward")
SOFTMAX_BACKWARD = Formula(4 * n**2, "FLOPs", "softmax, backward")
JACOBIANS = Formula(3 * n**3, "FLOPs", "with full Jacobians")
JACOBIANS_LEAD = Formula(8 * d / 3, "tokens", "Jacobians lead")

# One layer's FLOPs to write n tokens, one after another: reading the whole text again for each of
# them, and with keys and values kept. CUBE_LEADS is where the first is mostly attention.
_rest = 4 * d_model * CROSSOVER.expr  # of one token, attention aside
REREADING = Formula(4 * d_model * n * (n + 1) * (2 * n + 1) / 6, "FLOPs", "its attention alone")
UNCACHED = Formula(REREADING.expr + _rest * n * (n + 1) / 2, "FLOPs", "without a cache")
CACHED = Formula(4 * d_model * n * (n + 1) / 2 + _rest * n, "FLOPs", "with a cache")
CUBE_LEADS = Formula((3 * CROSSOVER.expr - 1) / 2, "tokens", "the cube leads")

# How much the whole layer's cost grows, as a power of n, when n doubles.
DOUBLING_EXPONENT = Formula(sp.log(2 + 2 * SHARE.expr, 2), "", "doubling exponent")


def in_ratios(formula: Formula) -> Formula:
    """The same formula in query heads per key-value head and MLP width over model width."""
    return formula.subs({g: h / group, f: expansion * d_model})


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
        where={n_star: CROSSOVER},
    )


def doubling() -> Derivation:
    """What a text twice as long costs: between twice and four times as much."""
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


def softmax_vjp() -> Derivation:
    """Back through one row of a softmax: u ↦ p ∘ (u − ⟨u, p⟩); n numbers in, n numbers out."""
    row = [sp.exp(score) / sum(map(sp.exp, s)) for score in s]
    inner = sum(one * other for one, other in zip(u, p, strict=True))
    back = sum(up * sp.Derivative(out, s[0]) for up, out in zip(u, row, strict=True))
    return Derivation(
        Step(
            "On the diagonal",
            sp.Derivative(row[0], s[0]),
            p[0] * (1 - p[0]),
            "Its own score raises a weight.",
        ),
        Step(
            "Off the diagonal",
            sp.Derivative(row[0], s[1]),
            -p[0] * p[1],
            "Every other score lowers it. Together: the $n \\times n$ Jacobian of one row.",
        ),
        Step(
            "The product",
            back,
            p[0] * (u[0] - inner),
            "What is needed is its product with one vector, the gradient $u$ from above. There all "
            "of the sum collapses to one inner product, the same for every entry of the row.",
        ),
        where={**{w: sp.exp(one) / Z for w, one in zip(p, s, strict=True)}, Z: sum(map(sp.exp, s))},
    )


def backward_flops() -> Derivation:
    """What the way back costs, product by product, in one head."""
    one_product = sp.Sum(2, (l, 1, d), (j, 1, n), (i, 1, n))
    return Derivation(
        Step(
            "Forward",
            2 * one_product,
            FORWARD,
            "Two products: $S = QK^\\top$ and $O = PV$.",
        ),
        Step(
            "Backward",
            4 * one_product,
            BACKWARD,
            "Each of the two needs two on the way back, one for each of its factors: "
            "$dV = P^\\top dO$ and $dP = dO\\,V^\\top$, $dQ = dS\\,K$ and $dK = dS^\\top Q$.",
        ),
        Step(
            "Softmax between them",
            sp.Sum(sp.Sum(2, (j, 1, n)) + sp.Sum(2, (j, 1, n)), (i, 1, n)),
            SOFTMAX_BACKWARD,
            "A row of $n$: a multiply-add an entry for the inner product, then a subtraction and a "
            "multiplication.",
        ),
        Step(
            "The same with Jacobians",
            sp.Sum(sp.Sum(1, (l, 1, n), (j, 1, n)) + sp.Sum(2, (l, 1, n), (j, 1, n)), (i, 1, n)),
            JACOBIANS,
            "A row writes $n^2$ entries, a multiplication each, and multiplies them with a vector.",
        ),
        Step(
            "Where Jacobians lead",
            sp.Subs(JACOBIANS.expr / BACKWARD.expr, n, JACOBIANS_LEAD.expr),
            sp.Integer(1),
            "Past this length they would cost more than all four products.",
        ),
    )


def generation() -> Derivation:
    """What it costs to write n tokens, with and without keeping what was read."""
    rereading = 4 * d_model * sp.Sum(l**2, (l, 1, n))
    rest = 4 * d_model * n_star * sp.Sum(l, (l, 1, n))
    return Derivation(
        Step(
            "The layer again",
            LAYER,
            4 * n * d_model * (n + n_star),
            "Attention, and everything else, which costs as much as attention over $n^*$ tokens.",
        ),
        Step(
            "Without a cache",
            rereading + rest,
            UNCACHED,
            "Each token reads the whole text again, at lengths $1, 2, \\ldots, n$. The sum of the "
            "squares is a cube.",
        ),
        Step(
            "Where the cube leads",
            sp.Subs(
                REREADING.expr / (4 * d_model * n_star * n * (n + 1) / 2), n, (3 * n_star - 1) / 2
            ),
            sp.Integer(1),
            "The cubic part equals the rest at one and a half crossovers, nine widths in the "
            "classic layer.",
        ),
        Step(
            "With a cache",
            sp.Sum(4 * d_model * (l + n_star), (l, 1, n)),
            CACHED,
            "Keep keys and values, and each token pays for its own row only: quadratic.",
        ),
        where={n_star: CROSSOVER},
    )
