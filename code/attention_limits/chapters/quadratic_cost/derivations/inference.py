"""What generating a sequence costs. Taught in: "Quadratic cost"."""

import sympy as sp

from attention_limits.chapters.quadratic_cost.derivations.flops import CROSSOVER
from attention_limits.derivation import Derivation, Step, ratio
from attention_limits.formula import Formula
from attention_limits.layer import LAYER
from attention_limits.symbols import (
    b,
    c,
    d,
    d_model,
    f,
    g,
    h,
    l,
    layers,
    n,
    n_star,
    tables,
    vocabulary,
)

# One layer's FLOPs to write n tokens, one after another: reading the whole text again for each of
# them, and with keys and values kept. CUBE_LEADS is where the first is mostly attention.
_rest = 4 * d_model * CROSSOVER.expr  # of one token, attention aside

REREADING = Formula(4 * d_model * n * (n + 1) * (2 * n + 1) / 6, "FLOPs", "its attention")

UNCACHED = Formula(REREADING.expr + _rest * n * (n + 1) / 2, "FLOPs", "without a cache")

CACHED = Formula(4 * d_model * n * (n + 1) / 2 + _rest * n, "FLOPs", "with a cache")

CUBE_LEADS = Formula((3 * CROSSOVER.expr - 1) / 2, "tokens", "the cube leads")

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
