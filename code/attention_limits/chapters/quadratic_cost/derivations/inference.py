"""What inference costs: prefill, decoding and the KV cache. Taught in: "Quadratic cost".

Here ``weights`` P are those that a token meets in all layers, and each token leaves ``kappa`` κ
numbers in the cache: 2gdL of them, where all L layers attend to everything.  A query and a key cost
4d FLOPs in each head, which is 2r for each cached number, with r = h/g query heads for each
key-value head.
"""

import sympy as sp

from attention_limits.chapters.quadratic_cost.derivations.flops import CROSSOVER
from attention_limits.derivation import Derivation, Step, ratio
from attention_limits.formula import Formula
from attention_limits.layer import LAYER
from attention_limits.symbols import (
    S_n,
    S_star,
    b,
    bandwidth,
    batch,
    c,
    chosen,
    d,
    d_model,
    devices,
    experts,
    f,
    g,
    group,
    h,
    kappa,
    l,
    layers,
    n,
    n_last,
    n_star,
    output,
    peak,
    prompt,
    routed,
    table,
    tables,
    vocabulary,
    weight_bytes,
    weights,
)

# One layer's FLOPs to decode n tokens, one after another: reading the whole prefix again for each
# of them, and with keys and values kept. CUBE_LEADS is where the first is mostly attention's cube.
_rest = 4 * d_model * CROSSOVER.expr  # of one token, attention aside

REREADING = Formula(4 * d_model * n * (n + 1) * (2 * n + 1) / 6, "FLOPs", "its attention")

UNCACHED = Formula(REREADING.expr + _rest * n * (n + 1) / 2, "FLOPs", "without a cache")

CACHED = Formula(4 * d_model * n * (n + 1) / 2 + _rest * n, "FLOPs", "with a cache")

CUBE_LEADS = Formula((3 * CROSSOVER.expr - 1) / 2, "tokens", "n³ is largest")

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


# A whole model, S sequences at once: a prompt is read, and n_out tokens are generated. The last
# token of the prompt gives the first of them, so that n_out - 1 steps of decoding remain; by then,
# each of these steps has read all that came before it. The model's output needs one embedding
# table, at one position of the prompt.
STEPS = output - 1

READ = Formula(STEPS * (2 * prompt + output) / 2, "tokens", "cached tokens read")

PREFILL_FLOPS = Formula(
    batch * (2 * prompt * weights + 2 * table + group * kappa * prompt * (prompt + 1)),
    "FLOPs",
    "prefill",
)

PREFILL_ATTENTION = Formula(batch * group * kappa * prompt * (prompt + 1), "FLOPs", "its attention")

DECODING_FLOPS = Formula(
    batch * (2 * (weights + table) * STEPS + 2 * group * kappa * READ.expr), "FLOPs", "decoding"
)

DECODING_ATTENTION = Formula(batch * 2 * group * kappa * READ.expr, "FLOPs", "its attention")

# What each of t accelerators moves and holds, if they share all layers: tensor parallelism divides
# weights and key-value heads. Of g heads, an accelerator needs one at least, so that it keeps one
# part in min(g, t) of the cache. In latent attention all heads read one vector, g is 1, and each
# accelerator keeps the whole cache. What they send each other is left out.
OF_CACHE = 1 / sp.Min(g, devices)


def _read_by(tokens: sp.Expr) -> sp.Expr:
    """Weights that are read for so many tokens at once, of which each meets P."""
    return weights + routed * (1 - chosen / experts - (1 - chosen / experts) ** tokens)


WEIGHTS_READ = Formula(_read_by(batch), "weights", "weights that a step reads")

WEIGHTS_HELD = Formula(
    weights + routed * (1 - chosen / experts), "weights", "weights of all layers"
)

CACHE_WRITTEN = Formula(b * kappa * prompt * batch * OF_CACHE, "bytes", "its cache")

CACHE_READ = Formula(b * kappa * READ.expr * batch * OF_CACHE, "bytes", "its cache")

PREFILL_BYTES = Formula(
    weight_bytes * (_read_by(batch * prompt) + table) / devices + CACHE_WRITTEN.expr,
    "bytes",
    "prefill",
)

DECODING_BYTES = Formula(
    weight_bytes * (WEIGHTS_READ.expr + table) * STEPS / devices + CACHE_READ.expr,
    "bytes",
    "decoding",
)

RESIDENT = Formula(
    weight_bytes * (WEIGHTS_HELD.expr + tables * table) / devices
    + b * kappa * batch * (prompt + STEPS) * OF_CACHE,
    "bytes",
    "memory in use",
)

# The batch from which decoding is compute-bound: no cache, n tokens of cache for each sequence,
# and the n from which no batch is large enough.
TURNING_BATCH = Formula(b * peak / (2 * bandwidth), "sequences", "compute-bound from")

TURNING_BATCH_CACHED = Formula(
    b * weights / ((2 * weights + 2 * group * kappa * n) * bandwidth / peak - kappa * b * n),
    "sequences",
    "compute-bound from",
)

# The first of them where tokens visit some of the experts only: batches as large reach all of them.
TURNING_BATCH_EXPERTS = Formula(
    weight_bytes * peak / (2 * bandwidth) * WEIGHTS_HELD.expr / weights,
    "sequences",
    "compute-bound from",
)

NEVER_FROM = Formula(
    2 * weights / (kappa * (b * peak / bandwidth - 2 * group)), "tokens", "never compute-bound from"
)


def generation() -> Derivation:
    """FLOPs of decoding n tokens in one layer, without a KV cache and with one."""
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
            "If nothing but the tokens is kept, the layer runs over the whole prefix for each of "
            "them, at lengths $1, 2, \\ldots, n$, though under a causal mask old rows come out as "
            "before. The sum of the squares is a cube.",
        ),
        Step(
            "Where the cubic part equals the rest",
            sp.Subs(
                REREADING.expr / (4 * d_model * n_star * n * (n + 1) / 2), n, (3 * n_star - 1) / 2
            ),
            sp.Integer(1),
            "At one and a half crossovers, which are nine widths in the classic layer. On shorter "
            "sequences the rest is larger.",
        ),
        Step(
            "With a cache",
            sp.Sum(4 * d_model * (l + n_star), (l, 1, n)),
            CACHED,
            "With keys and values kept, a token pays for its own row only: the sum is quadratic.",
        ),
        where={n_star: CROSSOVER},
    )


def prefill() -> Derivation:
    """FLOPs of reading a prompt of n tokens: the forward pass, and its square."""
    return Derivation(
        Step(
            "Every pair",
            n * (2 * weights + 4 * h * d * layers * n),
            2 * n * weights + 2 * group * kappa * n**2,
            "A multiply-add for each weight and token, and $4d$ FLOPs for each pair of tokens, in "
            "each head of each layer.",
        ),
        Step(
            "The pairs that the mask leaves",
            sp.Sum(2 * weights + 2 * group * kappa * l, (l, 1, n)),
            2 * n * weights + group * kappa * n * (n + 1),
            "Token number $l$ has $l$ keys to look at: half of the square.",
        ),
        Step(
            "Where the half square equals the rest",
            sp.Subs(group * kappa * n * (n + 1) / (2 * n * weights), n, 2 * n_star - 1),
            sp.Integer(1),
            "At twice the crossover, since half of the pairs are skipped.",
        ),
        where={
            kappa: 2 * g * d * layers,
            group: h / g,
            weights: 2 * h * d * layers * n_star,
        },
    )


def intensity() -> Derivation:
    """FLOPs a byte in one step of decoding, and the batch that uses weights well enough."""
    return Derivation(
        Step(
            "Weights",
            ratio(2 * weights * batch, weights * b),
            2 * batch / b,
            "A step reads each weight once and uses it for all $S$ sequences of the batch.",
        ),
        Step(
            "Cache",
            ratio(4 * n * h * d * layers * batch, 2 * n * g * d * layers * batch * b),
            2 * h / (g * b),
            "Each sequence reads its own cache, where a number meets the $h/g$ queries that share "
            "it. The batch cancels.",
        ),
        Step(
            "A batch that computes as long as it reads",
            2 * weights * S_star / peak,
            weights * b / bandwidth,
            "The products with the weights on the left, reading the weights on the right.",
        ),
        where={S_star: TURNING_BATCH},
    )


def batches_with_caches() -> Derivation:
    """The batch at which a whole step is compute-bound, and the length from which none is."""
    of_each = 2 * weights + 2 * group * kappa * n  # FLOPs of one sequence
    return Derivation(
        Step(
            "With n tokens of cache for each sequence",
            of_each * S_n / peak,
            (b * weights + b * kappa * n * S_n) / bandwidth,
            "Every sequence brings its own bytes, so the batch has to be larger.",
        ),
        Step(
            "Where no batch is large enough",
            of_each.subs(n, n_last) / peak,
            b * kappa * n_last / bandwidth,
            "From this length on, one more sequence adds more time to read than to compute.",
        ),
        where={S_n: TURNING_BATCH_CACHED, n_last: NEVER_FROM},
    )


def experts_reached() -> Derivation:
    """How many weights one step of decoding reads, if routers choose experts evenly."""
    missed = 1 - chosen / experts
    return Derivation(
        Step(
            "Experts that a batch reaches, in the mean",
            sp.Sum(1 - missed**batch, (l, 1, experts)),
            experts * (1 - missed**batch),
            "Assume uniform routing: a token visits each of $E$ experts with probability $k/E$, "
            "whatever other tokens do. Then all $S$ tokens of a step miss an expert with "
            "probability $(1 - k/E)^S$.",
        ),
        Step(
            "Weights that a step reads",
            weights - routed * chosen / experts + routed * (1 - missed**batch),
            WEIGHTS_READ,
            "What is not an expert, and of the experts' $P_\\text{E}$ weights the share that is "
            "reached. A token meets $P$ of them all.",
        ),
        Step(
            "For a single sequence",
            sp.Subs(WEIGHTS_READ.expr, batch, 1),
            weights,
            "One token reads what it meets. With more of them, a step soon reads nearly all.",
        ),
    )


def cache_and_weights() -> Derivation:
    """Bytes of n tokens' cache and of the weights, and when they are equal."""
    in_all = (layers * 2 * d_model * n_star + tables * vocabulary * d_model) * b
    return Derivation(
        Step(
            "Cache",
            layers * n * _sum(g * d_model / h, g * d_model / h) * b,
            CACHE,
            "A key and a value, for each token, layer and key-value head.",
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
            in_all,
            "All layers, and $e$ tables with a row for each of the $\\mathcal{V}$ tokens of the "
            "vocabulary: two tables, or one that serves both ends. Norms are left out.",
        ),
        Step(
            "Equal weight",
            sp.Subs(CACHE.expr / in_all, n, (n_star + tables * vocabulary / (2 * layers)) * h / g),
            sp.Integer(1),
            "Apart from the tables this is the crossover, times the query heads for each key-value "
            "head.",
        ),
        where={n_star: CROSSOVER},
    )
