"""What positions do to a score, and what they cost. Taught in: "Positional encodings".

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
    base,
    bits,
    c,
    context,
    d,
    d_model,
    delta,
    epsilon,
    error,
    exponent,
    f,
    factor,
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
    m,
    mu,
    n,
    n_max,
    nu,
    omega,
    omegas,
    q,
    q_moved,
    slope,
    slowest,
    there,
    theta,
    theta_other,
    v,
    v_moved,
    w,
    wavelength,
)

# The sinusoids: frequency and wavelength number i, the inner product of two encodings at a
# distance, how far apart they lie, and how far two neighbours do.
FREQUENCY = Formula(base ** (-i / frequencies), "radians a token", "frequency")
WAVELENGTH = Formula(2 * sp.pi * base ** (i / frequencies), "tokens", "wavelength")
KERNEL = Formula(
    sp.Sum(sp.cos(FREQUENCY.expr * delta), (i, 0, frequencies - 1)), "", "inner product"
)
APART = Formula(
    sp.sqrt(sp.Sum(2 - 2 * sp.cos(FREQUENCY.expr * delta), (i, 0, frequencies - 1))),
    "",
    "distance between encodings",
)
RESOLUTION = Formula(APART.expr.subs(delta, 1), "", "distance between neighbours")

# One frequency alone: how far it parts two neighbours, and how many frequencies of an encoding
# make no full turn in the context that training showed, which begin at a number that need not be
# whole.
ALONE = Formula(2 * sp.sin(sp.pi / wavelength), "", "distance of one frequency")
ONE_TURN = Formula(
    frequencies * sp.log(context / (2 * sp.pi)) / sp.log(base), "", "number of one full turn"
)
UNFINISHED = Formula(
    sp.Max(0, sp.Min(frequencies, frequencies - 1 - sp.floor(ONE_TURN.expr))),
    "frequencies",
    "less than one turn",
)

# The base that leaves the first frequency and divides the last by a factor.
NTK_BASE = Formula(base * factor ** (frequencies / (frequencies - 1)), "", "NTK-aware base")

# Among n equal keys under a slope: the weight of the nearest, what it keeps however many there are,
# where weights have fallen to 1/e, and how many keys hold all of the weight but a share.
NEAREST = Formula((1 - sp.exp(-slope)) / (1 - sp.exp(-slope * n)), "", "weight of the nearest key")
NEAREST_EVER = Formula(1 - sp.exp(-slope), "", "weight of the nearest of any number")
E_FOLDING_DISTANCE = Formula(1 / slope, "tokens", "distance at which weights are 1/e")
WINDOW = Formula(sp.log(1 / epsilon) / slope, "tokens", "effective window")

# The slopes of h heads, h a power of two, and how many of them have windows as long as a text:
# those from a number on that need not be whole.
SLOPE = Formula(2 ** (-8 * head / h), "", "slope of a head")
WINDOW_OF_HEAD = WINDOW.subs({slope: SLOPE.expr})
_WHOLE_TEXT = h / 8 * sp.log(n / sp.log(1 / epsilon), 2)  # real for a share of less than one
LONG_WINDOWS = Formula(
    sp.Piecewise(
        (sp.Max(0, sp.Min(h, h + 1 - sp.ceiling(_WHOLE_TEXT))), epsilon < 1),
        (0, True),
    ),
    "heads",
    "windows of the whole text",
)

# How wrong an angle may be, in a format of so many significant bits, and the least angle that may
# be wrong by more than so much.
BINADE = Formula(sp.floor(sp.log(sp.Abs(theta), 2)), "", "exponent of an angle")
ANGLE_ERROR = Formula(2 ** (BINADE.expr - bits), "radians", "largest error of an angle")
COARSE = Formula(
    2 ** (sp.floor(bits + sp.log(error, 2)) + 1), "radians", "least angle that is too coarse"
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


def block(parts: tuple[sp.Expr, ...]) -> sp.Matrix:
    """A 2 × 2 matrix: parts of the identity, of a quarter turn, and of two reflections."""
    same, turn, one, other = parts
    return sp.Matrix([[same - one, turn + other], [other - turn, same + one]])


def shift_is_a_rotation() -> Derivation:
    """A shift turns each pair of a sinusoid by an angle that hangs on the shift alone."""
    later, turned = omega * (here + delta), rotation(-omega * delta)
    hands = [FREQUENCY.expr.subs({frequencies: 2, i: number}) for number in range(2)]
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
            "Likewise. Both rows together are a rotation by the angle $\\omega\\Delta$: it knows "
            "the shift, and not the position.",
        ),
        Step(
            "Inner product",
            Product(pair(omega, here).T, pair(omega, there)),
            sp.cos(omega * (here - there)),
            "So two encodings meet at an angle that hangs on their distance.",
        ),
        Step(
            "Two frequencies",
            KERNEL.expr.subs(frequencies, 2),
            sum(Product(pair(hand, delta).T, pair(hand, 0)) for hand in hands),
            "The inner products of all pairs add up to the kernel of the encoding, here of width "
            "four. It is even: of two tokens, it does not know which comes first.",
        ),
    )


def commutant() -> Derivation:
    """Between two pairs of one frequency, a score is relative if two of four numbers are 0.

    And only if, unless ω is a multiple of π, where a sine is 0 at every position.
    """
    score = Product(pair(1, theta).T, block(mu), pair(1, theta_other))
    apart, around = theta - theta_other, theta + theta_other
    relative = mu[0] * sp.cos(apart) + mu[1] * sp.sin(apart)
    rest = mu[2] * sp.cos(around) + mu[3] * sp.sin(around)
    one_on = {theta: theta + omega, theta_other: theta_other + omega}
    back = {theta: theta_other, theta_other: theta}
    middle = around + omega
    basis = sp.Matrix([list(block(unit)) for unit in sp.eye(4).tolist()])
    return Derivation(
        Step(
            "Any matrix",
            sp.Determinant(basis),
            sp.Integer(-4),
            "In rows: the identity, a quarter turn, and two reflections, written out. They are "
            "independent, so that every $2 \\times 2$ matrix is made of them, in parts "
            "$\\mu_1, \\ldots, \\mu_4$.",
        ),
        Step(
            "The score",
            score,
            relative + rest,
            "Identity and quarter turn give what hangs on the distance, the reflections what hangs "
            "on the sum of both positions.",
        ),
        Step(
            "If",
            sp.Subs(score, mu[2:], (0, 0)),
            relative,
            "Without reflections the score is relative.",
        ),
        Step(
            "One token on",
            rest.subs(one_on, simultaneous=True) - rest,
            2 * sp.sin(omega) * (mu[3] * sp.cos(middle) - mu[2] * sp.sin(middle)),
            "With them it changes when both positions move by one, though their distance stays.",
        ),
        Step(
            "Only if",
            sp.Determinant(sp.Matrix([[-sp.sin(x), sp.cos(x)] for x in (omega, 2 * omega)])),
            sp.sin(omega),
            "For no change at $p + p' = 0$ and at $p + p' = 1$, $\\mu_3$ and $\\mu_4$ solve two "
            "equations with this determinant. It is not zero, so they are.",
        ),
        Step(
            "Before and after",
            sp.Add(relative, -relative.subs(back, simultaneous=True), evaluate=False),
            2 * mu[1] * sp.sin(apart),
            "What is left tells before from after: unless $\\mu_2 = 0$, the score changes when the "
            "two tokens change places.",
        ),
        where={theta: omega * here, theta_other: omega * there},
    )


def frequencies_do_not_mix() -> Derivation:
    """A score that is relative has nothing between two different frequencies.

    For generic frequencies: none of them a multiple of π, and no two with one cosine, which is to
    say that neither their sum nor their difference is a multiple of 2π. The sinusoids' own, which
    differ and lie between 0 and 1, are generic.
    """
    (one, other), apart, around = omegas, omegas[0] - omegas[1], omegas[0] + omegas[1]
    rows = [[*pair(one, p), *pair(other, p)] for p in range(4)]
    parts = {}
    for first, angle in ((0, apart), (2, around)):
        cos, sin = sp.cos(angle), sp.sin(angle)
        parts[nu[first]] = mu[first] * cos + mu[first + 1] * sin
        parts[nu[first + 1]] = mu[first + 1] * cos - mu[first] * sin

    def unmoved(angle: sp.Expr) -> sp.Expr:
        return sp.Determinant(rotation(-angle) - sp.eye(2))

    return Derivation(
        Step(
            "One token on",
            Product(pair(one, here + 1).T, block(mu), pair(other, there + 1)),
            Product(pair(one, here).T, block(nu), pair(other, there)),
            "What stands between two frequencies, when both positions move by one: the same as "
            "another matrix at the old positions.",
        ),
        Step(
            "Positions are independent",
            sp.Determinant(sp.Matrix(rows)),
            4 * sp.sin(one) * sp.sin(other) * (sp.cos(one) - sp.cos(other)) ** 2,
            "Encodings of four positions in a row, for two frequencies. They span the space, so "
            "that two matrices which agree on all of them are the same: a score is relative if, "
            "and only if, $\\nu = \\mu$ in every block.",
        ),
        Step(
            "Unmoved by the difference",
            unmoved(apart),
            4 * sp.sin(apart / 2) ** 2,
            "$\\nu_1 = \\mu_1$ and $\\nu_2 = \\mu_2$ are two equations with this determinant. It "
            "is zero for two equal frequencies, and else not: then both parts are 0.",
        ),
        Step(
            "Unmoved by the sum",
            unmoved(around),
            4 * sp.sin(around / 2) ** 2,
            "Nor is this, so that the other two parts are 0 as well, even of equal frequencies.",
        ),
        Step(
            "What is left",
            sp.Sum(2, (i, 0, frequencies - 1)),
            2 * frequencies,
            "Two numbers a frequency, $d$ in all, out of the $d^2$ of a matrix.",
        ),
        where=parts,
    )


def rotary_score_is_relative() -> Derivation:
    """Turned by its position, a query meets a key by their distance alone, whatever both hold.

    One pair; a head has d/2 of them, each with a frequency of its own, and their scores add up.
    """
    query, key = sp.Matrix(q[:2]), sp.Matrix(k[:2])
    (q_1, q_2), (k_1, k_2) = q[:2], k[:2]
    turned_query, turned_key = rotation(theta), rotation(theta_other)
    apart = theta - theta_other
    score = Product(query.T, rotation(-apart), key)
    as_numbers = (q_1 + sp.I * q_2) * sp.conjugate(k_1 + sp.I * k_2)
    return Derivation(
        Step(
            "Two rotations are one",
            Product(query.T, turned_query.T, turned_key, key),
            score,
            "The rotation of the query, transposed, undoes that of the key but for the distance.",
        ),
        Step(
            "As complex numbers",
            sp.re(as_numbers * sp.exp(sp.I * apart), evaluate=False),
            score,
            "A pair is a number, a rotation a factor $e^{i\\theta}$, and the score a real part.",
        ),
        Step(
            "As a sum",
            score,
            (q_1 * k_1 + q_2 * k_2) * sp.cos(apart) + (q_1 * k_2 - q_2 * k_1) * sp.sin(apart),
            "The form that a matrix between sinusoids has to be trained to; here it cannot be "
            "otherwise, and content decides on both numbers.",
        ),
        Step(
            "Lengths stay",
            Product(query.T, turned_query.T, turned_query, query),
            q_1**2 + q_2**2,
            "A rotation changes no length.",
        ),
        Step(
            "A peak anywhere",
            Product(query.T, rotation(-apart), rotation(omega * delta), query),
            (q_1**2 + q_2**2) * sp.cos(omega * delta - apart),
            "For the key $R(\\omega\\Delta)\\,q$ the score is largest at $p - p' = \\Delta$, in "
            "all pairs at once. Nothing makes it fall with distance.",
        ),
        where={theta: omega * here, theta_other: omega * there},
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
            "Three keys, written out",
            1 / sum(weight.subs(l, distance) for distance in range(3)),
            NEAREST.expr.subs(n, 3),
            "A check on the last two steps.",
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
    """The output for one query, without positions: keys and values are those that it sees."""
    weights = [sp.exp(query * key) for key in keys]
    return sum(one * value for one, value in zip(weights, values, strict=True)) / sum(weights)


def changed_places(*kinds: tuple[tuple[sp.Symbol, ...], tuple[sp.Symbol, ...]]) -> dict:
    """What stands in the first two places, once tokens 1 and 2 have changed them."""
    return {new: old for moved, was in kinds for new, old in zip(moved, was[1::-1], strict=True)}


def without_positions_a_sequence_is_a_set() -> Derivation:
    """Without positions and without a mask, tokens that change places take their outputs along.

    Three tokens of width one stand for any; each is a query, a key and a value made of it alone.
    """
    keys, values = (*k_moved, k[2]), (*v_moved, v[2])
    return Derivation(
        Step(
            "Those that move",
            attended(q_moved[0], keys, values),
            attended(q[1], k, v),
            "The first output is what the second was.",
        ),
        Step(
            "Those that stay",
            attended(q[2], keys, values),
            attended(q[2], k, v),
            "The third does not notice. What holds of a layer holds of any number of them.",
        ),
        where=changed_places((q_moved, q), (k_moved, k), (v_moved, v)),
    )


def one_layer_is_blind() -> Derivation:
    """The last output of one causal layer without positions ignores the order of what came before.

    Three tokens of width one stand for any; each is a query, a key and a value made of it alone.
    """
    keys, values = (*k_moved, k[2]), (*v_moved, v[2])
    return Derivation(
        Step(
            "The last output",
            attended(q[2], keys, values),
            attended(q[2], k, v),
            "The last token sees all the others: to it, there is no mask.",
        ),
        Step(
            "The one before",
            attended(q_moved[1], k_moved, v_moved),
            attended(q[0], k[:2], v[:2]),
            "Token 1, now in the second place, sees two tokens. In the first it saw one, itself: "
            "the mask does tell order, though not to the last token of one layer.",
        ),
        where=changed_places((q_moved, q), (k_moved, k), (v_moved, v)),
    )


def two_layers_see() -> Derivation:
    """The last output of two causal layers without positions depends on the order of tokens.

    The smallest case is enough: three tokens of width one, and weights that are all alike.
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


def one_frequency_never_repeats() -> Derivation:
    """Where a sinusoid of one frequency comes back to where it was: only after whole turns.

    A turn takes 2π/ω tokens. For ω = 1 no number of turns is a whole number of tokens, since π is
    irrational (Lambert, 1761); that theorem is cited here, and not proven.
    """
    apart = pair(1, theta) - pair(1, theta_other)
    squared = 4 * sp.sin((theta - theta_other) / 2) ** 2
    return Derivation(
        Step(
            "Squared distance",
            Product(apart.T, apart),
            squared,
            "Of two encodings. It is zero if $\\theta - \\theta'$ is a multiple of $2\\pi$, and "
            "only then.",
        ),
        Step(
            "After $m$ turns",
            sp.Subs(squared, theta, theta_other + omega * (2 * sp.pi * m / omega)),
            sp.Integer(0),
            "These are the zeros.",
        ),
        where={theta: omega * here, theta_other: omega * there},
    )


def neighbours_are_equally_far_apart() -> Derivation:
    """How well a sinusoid tells a position from the next: as well as any other, wherever it is."""
    step = pair(1, theta + omega) - pair(1, theta)
    return Derivation(
        Step(
            "One frequency",
            Product(step.T, step),
            2 - 2 * sp.cos(omega),
            "The squared distance of neighbours. The position has dropped out.",
        ),
        Step(
            "Two frequencies, any distance",
            APART.expr.subs(frequencies, 2) ** 2,
            4 - 2 * (sp.cos(delta) + sp.cos(delta / sp.sqrt(base))),
            "Squared distances add up: in width four, four less twice the kernel. Where that "
            "rises, encodings come nearer.",
        ),
        Step(
            "Two frequencies, neighbours",
            RESOLUTION.expr.subs(frequencies, 2) ** 2,
            4 * sp.sin(sp.Rational(1, 2)) ** 2 + 4 * sp.sin(1 / (2 * sp.sqrt(base))) ** 2,
            "The fast frequency tells neighbours apart, the slow one adds next to nothing.",
        ),
        where={theta: omega * here},
    )


def one_frequency_is_fine_or_far() -> Derivation:
    """One frequency tells neighbours apart or reaches far; its wavelength decides which.

    Where wavelengths end that fit into a context: b is more than 1, and the context longer than 2π.
    """
    at = [WAVELENGTH.expr.subs({frequencies: 2, i: number}) for number in range(2)]
    return Derivation(
        Step(
            "One frequency",
            sp.Subs(ALONE.expr, wavelength, 2 * sp.pi / omega) ** 2,
            2 - 2 * sp.cos(omega),
            "The squared distance of neighbours, as before: what separates them hangs on the "
            "wavelength alone, $2\\pi/\\omega$ tokens.",
        ),
        Step(
            "A long wavelength",
            sp.Limit(wavelength * ALONE.expr, wavelength, sp.oo),
            2 * sp.pi,
            "It is unambiguous for that many tokens, and what separates neighbours is "
            "$2\\pi/\\lambda$: ten times the range, a tenth of the distance.",
        ),
        Step(
            "Two frequencies",
            RESOLUTION.expr.subs(frequencies, 2) ** 2,
            sum(ALONE.expr.subs(wavelength, one) ** 2 for one in at),
            "Together they have the range of the slow one, and at least the distance of the fast "
            "one.",
        ),
        Step(
            "One full turn",
            sp.Subs(WAVELENGTH.expr, i, ONE_TURN.expr),
            context,
            "Frequencies of a higher number turn less than once in the trained context; of $F$ "
            "numbers from 0 on, these are the last.",
        ),
    )


def windows_of_heads() -> Derivation:
    """Which heads of ALiBi see a whole text: those from one number on, and beyond some length none.

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
            "As wide as the text",
            sp.Subs(WINDOW_OF_HEAD.expr, head, _WHOLE_TEXT),
            n,
            "Heads from this number on have windows of $n$ tokens and more.",
        ),
    )


def angles_are_rounded() -> Derivation:
    """How far an angle may be off once it is rounded to t significant bits.

    The angle alone is rounded here; where its frequency or its position were rounded before, that
    comes on top. Of a whole position times the frequency 1 nothing is lost up to $2^t$.
    """
    return Derivation(
        Step(
            "Numbers of a format",
            (2 ** (exponent + 1) - 2**exponent) / 2 ** (bits - 1),
            2 * 2 ** (exponent - bits),
            "From one power of two to the next lie $2^{t-1}$ numbers at equal distances; rounding "
            "to the nearest is wrong by half a distance at most.",
        ),
        Step(
            "The exponent",
            sp.Subs(BINADE.expr, theta, 2**exponent),
            exponent,
            "That of the power of two at or below the angle.",
        ),
        Step(
            "An angle",
            sp.Subs(ANGLE_ERROR.expr, theta, 2**exponent),
            2 ** (exponent - bits),
            "So the error doubles whenever the angle does, whatever it means to a sine.",
        ),
        Step(
            "From where on",
            sp.Subs(COARSE.expr, error, 2 ** (exponent - bits)),
            2 ** (exponent + 1),
            "The largest error exceeds that of an exponent $e$ from the next power of two on.",
        ),
    )


def stretched_frequencies() -> Derivation:
    """Two ways to read a text s times as long: longer wavelengths for all, or for the slow ones.

    The second takes at least two frequencies: the fastest is not to be the slowest.
    """
    by_base = FREQUENCY.expr.subs(base, NTK_BASE.expr) / FREQUENCY.expr
    return Derivation(
        Step(
            "A wavelength",
            sp.cos(FREQUENCY.expr * (delta + WAVELENGTH.expr)),
            sp.cos(FREQUENCY.expr * delta),
            "So many tokens make a turn, at $b^{-i/F}$ a token.",
        ),
        Step(
            "Interpolated",
            sp.cos(FREQUENCY.expr / factor * (delta + factor * WAVELENGTH.expr)),
            sp.cos(FREQUENCY.expr / factor * delta),
            "Positions are divided by $s$: all wavelengths grow alike, and neighbours move "
            "together.",
        ),
        Step(
            "Another base",
            by_base,
            factor ** (-i / slowest),
            "With $b\\,s^{F/(F-1)}$ for $b$, a frequency is divided by the more, the slower it is.",
        ),
        Step(
            "The fastest",
            sp.Subs(by_base, i, 0),
            sp.Integer(1),
            "It stays, and neighbours remain as far apart in it.",
        ),
        Step(
            "The slowest",
            sp.Subs(by_base, i, slowest),
            1 / factor,
            "It is divided by $s$, exactly: its last angle is one that training has shown.",
        ),
        where={frequencies: slowest + 1},
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
            "Slopes on long texts",
            sp.Limit(SLOPED_SHARE.expr, n, sp.oo),
            h / (2 * d_model),
            "Half of one over the width of a head, $d_\\text{model}/h$.",
        ),
    )
