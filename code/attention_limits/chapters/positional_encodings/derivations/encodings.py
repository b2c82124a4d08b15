"""What encodings make of positions, and what they cost. Taught in: "Positional encodings".

One frequency stands for all of them, and two where they meet: each sum below treats its terms
alike.  An encoding of width d has F = d/2 frequencies.
"""

import functools
import operator
from collections.abc import Sequence

import sympy as sp

from attention_limits.derivation import Derivation, Step, ratio
from attention_limits.formula import Formula
from attention_limits.layer import LAYER
from attention_limits.positions import alibi, learned, relative_bias, rotary
from attention_limits.symbols import (
    V_rest,
    Z_rest,
    base,
    c,
    d,
    d_model,
    delta,
    epsilon,
    f,
    frequencies,
    g,
    h,
    head,
    here,
    i,
    k,
    k_moved,
    l,
    layers,
    n,
    n_max,
    omega,
    q,
    q_moved,
    slope,
    there,
    v,
    v_moved,
    w,
)

# The sinusoids: frequency and period number i, the inner product of two encodings at a
# distance, how far apart they lie, and how far two neighbours do.
FREQUENCY = Formula(base ** (-i / frequencies), "radians a token", "frequency")
PERIOD = Formula(2 * sp.pi * base ** (i / frequencies), "tokens", "period")
KERNEL = Formula(
    sp.Sum(sp.cos(FREQUENCY.expr * delta), (i, 0, frequencies - 1)), "", "inner product"
)
# Among n equal keys under a slope: the weight of the nearest, what it keeps however many there are,
# where weights have fallen to 1/e, and how many keys hold all of the weight but a share.
NEAREST = Formula((1 - sp.exp(-slope)) / (1 - sp.exp(-slope * n)), "", "weight of the nearest key")
NEAREST_EVER = Formula(1 - sp.exp(-slope), "", "weight of the nearest of any number")
E_FOLDING_DISTANCE = Formula(1 / slope, "tokens", "distance at which weights are 1/e")
WINDOW = Formula(sp.log(1 / epsilon) / slope, "tokens", "effective window")
# The slopes of h heads, h a power of two, and how many of them have windows as long as a sequence:
# those from a number on that need not be whole.
SLOPE = Formula(2 ** (-8 * head / h), "", "slope of a head")
WINDOW_OF_HEAD = WINDOW.subs({slope: SLOPE.expr})
_WHOLE = h / 8 * sp.log(n / sp.log(1 / epsilon), 2)  # real for a share of less than one
LONG_WINDOWS = Formula(
    sp.Piecewise(
        (sp.Max(0, sp.Min(h, h + 1 - sp.ceiling(_WHOLE))), epsilon < 1),
        (0, True),
    ),
    "heads",
    "windows of the whole sequence",
)
# A model with the classic layer, where positions are added once, queries and keys turned in each
# layer, and scores changed in each head: FLOPs, and their shares.
CLASSIC = Formula(sp.expand(LAYER.expr.subs({g: h, c: 2, f: 4 * d_model})), "FLOPs", "layer")
TABLE = Formula(learned.cost().parameters.expr.subs(d, d_model), "numbers", "learned table")
ADDED = Formula(learned.cost().flops.expr.subs(d, d_model), "FLOPs", "additions at the inputs")
TURNED = Formula(2 * rotary.cost().flops.expr.subs(d, d_model), "FLOPs", "rotations a layer")
SLOPED = Formula(alibi.cost().flops.expr, "FLOPs", "slopes a layer")
BIASED = Formula(relative_bias.cost().flops.expr, "FLOPs", "learned biases a layer")
ADDED_SHARE = Formula(1 / (4 * layers * (n + 6 * d_model)), "", "share of the additions")
TURNED_SHARE = Formula(3 / (2 * (n + 6 * d_model)), "", "share of the rotations")
SLOPED_SHARE = Formula(h * n / (2 * d_model * (n + 6 * d_model)), "", "share of the slopes")


class Product(sp.Expr):
    """A product of matrices that is one number: printed as it stands, multiplied in the proof."""

    is_commutative = True

    def __new__(cls, *matrices: sp.MatrixBase):
        """From a row to a column."""
        return super().__new__(cls, *map(sp.ImmutableMatrix, matrices))

    def doit(self, **hints: bool) -> sp.Expr:
        """The number."""
        return functools.reduce(operator.matmul, self.args)[0]

    def _latex(self, printer, exp=None) -> str:
        product = r" \, ".join(map(printer._print, self.args))
        return product if exp is None else rf"\left({product}\right)^{{{exp}}}"


def pair(frequency: sp.Expr, position: sp.Expr) -> sp.Matrix:
    """What a sinusoid adds for one frequency: a sine and a cosine, as a column."""
    return sp.Matrix([sp.sin(frequency * position), sp.cos(frequency * position)])


def rotation(angle: sp.Expr) -> sp.Matrix:
    """What the rotary encoding turns a pair by: counter-clockwise."""
    return sp.Matrix([[sp.cos(angle), -sp.sin(angle)], [sp.sin(angle), sp.cos(angle)]])


def shift_is_a_rotation() -> Derivation:
    """A shift rotates each pair of a sinusoid by an angle that depends on the shift alone."""
    later, turned = omega * (here + delta), rotation(-omega * delta)
    found = [FREQUENCY.expr.subs({frequencies: 2, i: number}) for number in range(2)]
    return Derivation(
        Step(
            "The sine, shifted",
            sp.sin(later),
            Product(turned[0, :], pair(omega, here)),
            "The sine of a sum, as a row times what was there before.",
        ),
        Step(
            "The cosine, shifted",
            sp.cos(later),
            Product(turned[1, :], pair(omega, here)),
            "Likewise. Both rows together are a rotation by the angle $\\omega\\Delta$: it depends "
            "on the shift, and not on the position.",
        ),
        Step(
            "Inner product",
            Product(pair(omega, here).T, pair(omega, there)),
            sp.cos(omega * (here - there)),
            "So the inner product of two encodings depends only on their distance.",
        ),
        Step(
            "Two frequencies",
            KERNEL.expr.subs(frequencies, 2),
            sum(Product(pair(one, delta).T, pair(one, 0)) for one in found),
            "The inner products of all pairs add up to the kernel of the encoding, here of width "
            "four. It is even: of two tokens, it does not know which comes first.",
        ),
    )


def alibi_nearest() -> Derivation:
    """What a slope leaves to the nearest of n equal keys, and how far it lets a query look."""
    weight = sp.exp(-slope * l)
    first_less_last = sp.Sum(weight - weight.subs(l, l + 1), (l, 0, n - 1))
    return Derivation(
        Step(
            "All weights",
            first_less_last,
            1 - sp.exp(-slope * n),
            "Weights fall by the factor $e^{-m}$ from key to key, $1, e^{-m}, e^{-2m}, \\ldots$ "
            "Their sum, times $1 - e^{-m}$, loses all terms but the first and the last.",
        ),
        Step(
            "The nearest",
            (1 - sp.exp(-slope)) / first_less_last,
            NEAREST,
            "Its weight is one over the sum of all; here, both are multiplied by $1 - e^{-m}$.",
        ),
        Step(
            "Of ever more keys",
            sp.Limit(NEAREST.expr, n, sp.oo),
            NEAREST_EVER,
            "It keeps its weight, however many keys there are.",
        ),
        Step(
            "Without a slope",
            sp.Limit(NEAREST.expr, slope, 0),
            1 / n,
            "All keys are alike.",
        ),
        Step(
            "How far it reaches",
            sp.Subs(sp.exp(-slope * delta), delta, E_FOLDING_DISTANCE.expr),
            sp.exp(-1),
            "A weight has fallen to $1/e$ at the distance $1/m$.",
        ),
        Step(
            "The nearest few",
            sp.Limit((1 - sp.exp(-slope * w)) / (1 - sp.exp(-slope * n)), n, sp.oo),
            1 - sp.exp(-slope * w),
            "The share that the nearest $w$ keys hold of the weight of all.",
        ),
        Step(
            "The window",
            sp.Subs(1 - sp.exp(-slope * w), w, WINDOW.expr),
            1 - epsilon,
            "So many keys hold all of it, but for a share $\\varepsilon$. Length does not occur.",
        ),
    )


def attended(query: sp.Expr, keys: Sequence[sp.Expr], values: Sequence[sp.Expr]) -> sp.Expr:
    """The output for one query without positions: two keys, and all others in two sums."""
    weights = [sp.exp(query * key) for key in keys]
    mixed = sum((one * value for one, value in zip(weights, values, strict=True)), V_rest)
    return mixed / (sum(weights) + Z_rest)


def changed_places(*kinds: tuple[tuple[sp.Symbol, ...], tuple[sp.Symbol, ...]]) -> dict:
    """What stands in the first two places, once tokens 1 and 2 have changed them."""
    return {new: old for moved, was in kinds for new, old in zip(moved, was[1::-1], strict=True)}


def order_of_keys_drops_out() -> Derivation:
    """Without positions, two tokens that change places change nothing but their own places.

    All other keys, however many they are, stand in two sums that do not notice.  Any permutation is
    a sequence of such changes.
    """
    return Derivation(
        Step(
            "A query that stays",
            attended(q[2], k_moved, v_moved),
            attended(q[2], k[:2], v[:2]),
            "Its output is what it was: two terms of each sum have changed places.",
        ),
        Step(
            "A query that moves",
            attended(q_moved[0], k_moved, v_moved),
            attended(q[1], k[:2], v[:2]),
            "In place 1 there is now the output of token 2.",
        ),
        where=changed_places((q_moved, q), (k_moved, k), (v_moved, v)),
    )


def two_layers_see() -> Derivation:
    """The last output of two causal layers without positions depends on the order of tokens.

    That they can is shown by one example: three tokens of width one, all weights alike.
    """

    def mean(x: Sequence[sp.Expr]) -> sp.Expr:
        return sp.Mul(sp.Rational(1, len(x)), sp.Add(*x), evaluate=len(x) == 1)

    def layer(x: Sequence[sp.Expr]) -> list[sp.Expr]:
        return [mean(x[:seen]) for seen in range(1, len(x) + 1)]

    moved = (*v_moved, v[2])
    return Derivation(
        Step(
            "One layer",
            layer(moved)[-1],
            layer(v)[-1],
            "The last output is the mean of all tokens, in any order.",
        ),
        Step(
            "Two layers",
            layer(layer(v))[-1],
            (11 * v[0] + 5 * v[1] + 2 * v[2]) / 18,
            "The last output is the mean of three means, of one, two and three tokens. The first "
            "token is in all of them, and the last in one.",
        ),
        Step(
            "What it makes of order",
            layer(layer(v))[-1] - layer(layer(moved))[-1],
            (v[0] - v[1]) / 3,
            "Not zero, unless the two are the same.",
        ),
        where=changed_places((v_moved, v)),
    )


def windows_of_heads() -> Derivation:
    """Which heads of ALiBi see a whole sequence: those from one number on.

    The number of heads, h, is a power of two.
    """
    return Derivation(
        Step(
            "From head to head",
            WINDOW_OF_HEAD.expr.subs(head, head + 1) / WINDOW_OF_HEAD.expr,
            2 ** (8 / h),
            "Windows grow by one factor from each head to the next.",
        ),
        Step(
            "The widest",
            sp.Subs(WINDOW_OF_HEAD.expr, head, h),
            256 * sp.log(1 / epsilon),
            "The last head has the slope $2^{-8}$, however many heads there are.",
        ),
        Step(
            "As wide as the sequence",
            sp.Subs(WINDOW_OF_HEAD.expr, head, _WHOLE),
            n,
            "Heads from this number on have windows of $n$ tokens and more.",
        ),
    )


def price_of_positions() -> Derivation:
    """What encodings add to a Transformer: memory if they are learned, and hardly any work.

    In the classic layer, with as many key-value heads as heads and an MLP four times as wide as the
    model; embedding tables are left out.
    """
    weights = layers * sp.Add(4 * d_model**2, 8 * d_model**2, evaluate=False)
    return Derivation(
        Step(
            "A learned table",
            ratio(TABLE.expr, weights),
            n_max / (12 * layers * d_model),
            "Its numbers, over those of all projections and MLPs. Each is memory, and memory "
            "of the optimiser.",
        ),
        Step(
            "Its arithmetic",
            ratio(ADDED.expr, TABLE.expr),
            n / n_max,
            "A number of the table is added at most once in a sequence.",
        ),
        Step(
            "Additions at the inputs",
            ratio(ADDED.expr, layers * CLASSIC.expr),
            ADDED_SHARE,
            "Their share of the work of all layers, for a table and for sinusoids alike.",
        ),
        Step(
            "Rotations",
            ratio(TURNED.expr, CLASSIC.expr),
            TURNED_SHARE,
            "Of queries and keys, in each layer: six FLOPs for each number of the width.",
        ),
        Step(
            "Slopes",
            ratio(SLOPED.expr, CLASSIC.expr),
            SLOPED_SHARE,
            "For every pair and head a product and a sum, which grow as attention does.",
        ),
        Step(
            "Learned biases",
            ratio(BIASED.expr, SLOPED.expr),
            sp.Rational(1, 2),
            "The sum alone.",
        ),
        Step(
            "Slopes on long sequences",
            sp.Limit(SLOPED_SHARE.expr, n, sp.oo),
            h / (2 * d_model),
            "Half of one over the width of a head, $d_\\text{model}/h$.",
        ),
    )
