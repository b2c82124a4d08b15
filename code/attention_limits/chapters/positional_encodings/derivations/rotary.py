"""What rotations do to a score, and which scores are relative. Taught in: "Positional encodings".

One frequency stands for all of them, and two where they meet: each sum below treats its terms
alike.  An encoding of width d has F = d/2 frequencies.
"""

import sympy as sp

from attention_limits.chapters.positional_encodings.derivations.encodings import (
    FREQUENCY,
    PERIOD,
    Product,
    pair,
    rotation,
)
from attention_limits.derivation import Derivation, Step
from attention_limits.formula import Formula
from attention_limits.symbols import (
    base,
    bits,
    context,
    delta,
    error,
    exponent,
    frequencies,
    growth,
    here,
    i,
    k,
    m,
    mu,
    nu,
    omega,
    omegas,
    other_turn,
    period,
    q,
    there,
    theta,
    theta_other,
    turn,
)

APART = Formula(
    sp.sqrt(sp.Sum(2 - 2 * sp.cos(FREQUENCY.expr * delta), (i, 0, frequencies - 1))),
    "",
    "distance between encodings",
)
RESOLUTION = Formula(APART.expr.subs(delta, 1), "", "distance between neighbours")
# One frequency alone; and from which on, of an encoding, none makes a full turn in the context that
# training showed. That number need not be whole.
ALONE = Formula(2 * sp.sin(sp.pi / period), "", "distance of one frequency")
ONE_TURN = Formula(
    frequencies * sp.log(context / (2 * sp.pi)) / sp.log(base), "", "number of one full turn"
)
# How wrong an angle may be, in a format of so many significant bits, and the least angle that may
# be wrong by more than so much.
BINADE = Formula(sp.floor(sp.log(sp.Abs(theta), 2)), "", "exponent of an angle")
ANGLE_ERROR = Formula(2 ** (BINADE.expr - bits), "radians", "largest error of an angle")
COARSE = Formula(
    2 ** (sp.floor(bits + sp.log(error, 2)) + 1), "radians", "least angle that is too coarse"
)


def shear(by: sp.Expr) -> sp.Matrix:
    """A matrix whose powers grow by a sum: that of a + b is the product of those of a and b."""
    return sp.Matrix([[1, by], [0, 1]])


def block(parts: tuple[sp.Expr, ...]) -> sp.Matrix:
    """A 2 × 2 matrix: parts of the identity, of a quarter turn, and of two reflections."""
    same, turn, one, other = parts
    return sp.Matrix([[same - one, turn + other], [other - turn, same + one]])


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
            "Identity and quarter turn give what depends on the distance, the reflections what "
            "depends on the sum of both positions.",
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


def rotary_from_three_wishes() -> Derivation:
    """Relativity, linearity and constant length leave rotations, and nothing else.

    In two dimensions, for whole positions; an orthogonal matrix of any size is made of such blocks
    and of entries ±1, in a basis that W_q and W_k absorb.
    """
    both = sum((sp.Matrix([sp.cos(x), sp.sin(x)]) for x in (turn, other_turn)), sp.zeros(2, 1))
    reflection = rotation(turn) * sp.diag(1, -1)
    query, key = sp.Matrix(q[:2]), sp.Matrix(k[:2])
    grown, shrunk = growth**here * query, growth ** (-there) * key
    turns, other_turns = rotation(here * turn), rotation(there * turn)
    return Derivation(
        Step(
            "Constant length",
            Product(both.T, both),
            2 + 2 * sp.cos(turn - other_turn),
            "Unit vectors stay so: the columns of $A_1$ are $(\\cos\\alpha, \\sin\\alpha)$ and "
            "$(\\cos\\beta, \\sin\\beta)$. The image of $(1, 1)$ is their sum, and keeps the "
            "squared length 2. So $\\beta = \\alpha \\pm \\pi/2$, and with $+$ this is a rotation.",
        ),
        Step(
            "The other sign",
            Product(query.T, reflection, reflection, key),
            q[0] * k[0] + q[1] * k[1],
            "With $-$ it is a reflection: two tokens on, all is as it was. Along its axes it is "
            "diagonal, with $1$ and $-1$: the frequencies $0$ and $\\pi$.",
        ),
        Step(
            "From token to token",
            Product(turns[0, :], rotation(turn)[:, 0]),
            sp.cos((here + 1) * turn),
            "$A_{p+1} = A_p A_1$, here its first entry: position $p$ is a rotation by $p\\alpha$. "
            "All that is left to choose is the frequency $\\omega = \\alpha$ of each pair.",
        ),
        Step(
            "Without constant length",
            Product(grown.T, turns.T, other_turns, shrunk),
            growth ** (here - there) * Product(query.T, rotation((there - here) * turn), key),
            "If queries are multiplied by $\\gamma$ a token and keys divided by it, scores are "
            "relative too. For $\\gamma < 1$ they fall with distance: this is xPos.",
        ),
        Step(
            "Or a slope",
            Product(query.T, shear(-here), shear(there), key),
            q[0] * k[0] + q[1] * k[1] - q[0] * k[1] * (here - there),
            "Such a block need not even rotate. A shear gives a score with a slope, like ALiBi's, "
            "and content decides how steep.",
        ),
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


def one_frequency_is_fine_or_far() -> Derivation:
    """One frequency tells neighbours apart or reaches far; its period decides which.

    Where periods end that fit into a context: b is more than 1, and the context longer than 2π.
    """
    at = [PERIOD.expr.subs({frequencies: 2, i: number}) for number in range(2)]
    return Derivation(
        Step(
            "One frequency",
            sp.Subs(ALONE.expr, period, 2 * sp.pi / omega) ** 2,
            2 - 2 * sp.cos(omega),
            "The squared distance of neighbours, as before: what separates them depends on the "
            "period alone, $2\\pi/\\omega$ tokens.",
        ),
        Step(
            "A long period",
            sp.Limit(period * ALONE.expr, period, sp.oo),
            2 * sp.pi,
            "It is unambiguous for that many tokens, and what separates neighbours is "
            "$2\\pi/\\lambda$: ten times the range, a tenth of the distance.",
        ),
        Step(
            "Two frequencies",
            RESOLUTION.expr.subs(frequencies, 2) ** 2,
            sum(ALONE.expr.subs(period, one) ** 2 for one in at),
            "Together they have the range of the slow one, and at least the distance of the fast "
            "one.",
        ),
        Step(
            "One full turn",
            sp.Subs(PERIOD.expr, i, ONE_TURN.expr),
            context,
            "Frequencies of a higher number turn less than once in the trained context; of $F$ "
            "numbers from 0 on, these are the last.",
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
