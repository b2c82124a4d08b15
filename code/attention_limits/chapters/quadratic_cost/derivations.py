"""What a Transformer layer costs, counted. Taught in: "Quadratic cost".

One FLOP is one addition or one multiplication, so a multiply-add is two. Only matrix products are
counted, as everywhere in this field; softmax, norms and biases are of lower order in the widths.
"""

import sympy as sp

from attention_limits.derivation import Derivation, Step, ratio
from attention_limits.formula import Formula
from attention_limits.layer import ATTENTION, LAYER, MLP, PROJECTIONS
from attention_limits.symbols import (
    B,
    M,
    Z,
    alpha,
    b,
    beta,
    c,
    d,
    d_model,
    expansion,
    f,
    g,
    group,
    h,
    h_0,
    i,
    inputs,
    j,
    l,
    lam,
    layers,
    m,
    mass,
    mix,
    n,
    n_star,
    p,
    phi_1,
    phi_2,
    phi_q,
    s,
    states,
    tables,
    top,
    top_12,
    top_23,
    top_all,
    u,
    v,
    vocabulary,
)

# The length at which attention costs as much as the rest of the layer, and its share at any length.
CROSSOVER = Formula(d_model * (1 + g / h) + c * f / 2, "tokens", "crossover")
SHARE = Formula(n / (n + CROSSOVER.expr), "", "share of attention")

# One head's attention, forward and back; and the elementwise work of a softmax's way back, by its
# vector-Jacobian product and by writing out the Jacobian of every row.
FORWARD = Formula(4 * n**2 * d, "FLOPs", "forward")
BACKWARD = Formula(8 * n**2 * d, "FLOPs", "backward")
RECOMPUTED = Formula(10 * n**2 * d, "FLOPs", "backward, recomputing")
SOFTMAX_BACKWARD = Formula(4 * n**2, "FLOPs", "softmax, backward")
JACOBIANS = Formula(3 * n**3, "FLOPs", "with full Jacobians")
JACOBIANS_LEAD = Formula(8 * d / 3, "tokens", "Jacobians lead")

# One layer's FLOPs to write n tokens, one after another: reading the whole text again for each of
# them, and with keys and values kept. CUBE_LEADS is where the first is mostly attention.
_rest = 4 * d_model * CROSSOVER.expr  # of one token, attention aside
REREADING = Formula(4 * d_model * n * (n + 1) * (2 * n + 1) / 6, "FLOPs", "its attention")
UNCACHED = Formula(REREADING.expr + _rest * n * (n + 1) / 2, "FLOPs", "without a cache")
CACHED = Formula(4 * d_model * n * (n + 1) / 2 + _rest * n, "FLOPs", "with a cache")
CUBE_LEADS = Formula((3 * CROSSOVER.expr - 1) / 2, "tokens", "the cube leads")

# How much the whole layer's cost grows, as a power of n, when n doubles.
DOUBLING_EXPONENT = Formula(sp.log(2 + 2 * SHARE.expr, 2), "", "doubling exponent")

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

# The largest weight that n keys allow, if no score is larger than beta in size, and the length
# past which it is less than half.
LARGEST_WEIGHT = Formula(sp.exp(2 * beta) / (sp.exp(2 * beta) + n - 1), "", "largest weight")
HALF_WEIGHT = Formula(1 + sp.exp(2 * beta), "tokens", "half of all weight")

# Attention with a product of features in place of the exponential, d features a head.
LINEAR = Formula(4 * n * d**2, "FLOPs", "linear attention")

# Bytes of a whole model, at b bytes a number: what n tokens leave in its cache, its weights, and
# the number of tokens whose cache weighs as much as the weights.
CACHE = Formula(2 * layers * n * g * d_model / h * b, "bytes", "cache")
WEIGHTS = Formula(
    (2 * layers * d_model * CROSSOVER.expr + tables * vocabulary * d_model) * b, "bytes", "weights"
)
CACHE_WEIGHS = Formula(
    (CROSSOVER.expr + tables * vocabulary / (2 * layers)) * h / g, "tokens", "cache = weights"
)


def _sum(*terms: sp.Expr) -> sp.Expr:
    """A sum that prints its terms one by one, as they were counted."""
    return sp.Add(*terms, evaluate=False)


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
            "Backward, recomputing",
            5 * one_product,
            RECOMPUTED,
            "Where the weights were not kept, $QK^\\top$ is computed once more: a fifth product.",
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
            sp.Sum(2, (l, 1, d), (i, 1, d), (j, 1, n)) + sp.Sum(2, (l, 1, d), (j, 1, d), (i, 1, n)),
            LINEAR,
            "A key adds $d \\times d$ products to the sum, and a query reads it: linear in $n$; "
            "the normaliser is one more column.",
        ),
        Step(
            "What it saves",
            ratio(FORWARD.expr, LINEAR.expr),
            n / d,
            "From one head's width on, and then without end.",
        ),
    )


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


def product_of_jacobians() -> Derivation:
    """A gradient on its way back through a recurrent network, one factor a step."""
    chain, state = [], h_0
    for x in inputs:
        state = sp.tanh(lam * state + x)
        chain.append(state)
    return Derivation(
        Step(
            "One step",
            sp.Derivative(chain[0], h_0),
            lam * (1 - states[0] ** 2),
            "The recurrent weight, times the slope of the tanh, which is at most one.",
        ),
        Step(
            "Three steps",
            sp.Derivative(chain[2], h_0),
            lam**3 * (1 - states[0] ** 2) * (1 - states[1] ** 2) * (1 - states[2] ** 2),
            "Every step is one more factor. With many units the factors are matrices, and the "
            "product is one of Jacobians.",
        ),
        where=dict(zip(states, chain, strict=True)),
    )


def cache_and_weights() -> Derivation:
    """What n tokens leave in the cache of a model, and when it weighs more than the model."""
    weights = (layers * 2 * d_model * n_star + tables * vocabulary * d_model) * b
    return Derivation(
        Step(
            "Cache",
            layers * n * _sum(g * d_model / h, g * d_model / h) * b,
            CACHE,
            "A key and a value, for each token, layer and key-value head.",
        ),
        Step(
            "Work for each byte",
            ratio(4 * n * h * d * layers, 2 * n * g * d * layers * b),
            2 * h / (g * b),
            "To write one token, all of the cache is read, and each of its numbers meets only the "
            "$h/g$ queries that share it.",
        ),
        Step(
            "Weights of a layer",
            2 * d_model * d_model + 2 * d_model * g * d_model / h + c * d_model * f,
            2 * d_model * n_star,
            "Four projections and the MLP: two numbers for each unit of width and each token of "
            "the crossover.",
        ),
        Step(
            "Weights",
            WEIGHTS,
            weights,
            "All layers, and $e$ tables with a row for each of $\\mathcal{V}$ words: two tables, "
            "or one that serves both ends. Norms are left out.",
        ),
        Step(
            "Equal weight",
            sp.Subs(CACHE.expr / weights, n, (n_star + tables * vocabulary / (2 * layers)) * h / g),
            sp.Integer(1),
            "But for the tables this is the crossover, times the query heads per key-value head.",
        ),
        where={n_star: CROSSOVER},
    )
