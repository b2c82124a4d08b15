"""What a longer sequence asks of each frequency, and what the cures for that do.

Taught in: "Positional encodings".
"""

import sympy as sp

from attention_limits.chapters.positional_encodings.derivations.encodings import (
    FREQUENCY,
    PERIOD,
)
from attention_limits.chapters.positional_encodings.derivations.rotary import ONE_TURN
from attention_limits.derivation import Derivation, Step
from attention_limits.formula import Formula
from attention_limits.symbols import (
    base,
    context,
    delta,
    factor,
    frequencies,
    high,
    i,
    low,
    slowest,
)

# How many frequencies of an encoding make no full turn in the context that training showed.
UNFINISHED = Formula(
    sp.Max(0, sp.Min(frequencies, frequencies - 1 - sp.floor(ONE_TURN.expr))),
    "frequencies",
    "less than one turn",
)
# Turns of a frequency in training, and by how much its largest angle in a sequence s times as long
# exceeds that: unchanged, interpolated, with another base, and by YaRN, which goes by the turns.
TURNS = Formula(context * FREQUENCY.expr / (2 * sp.pi), "turns", "turns in training")
UNCHANGED = Formula(factor, "", "unchanged")
INTERPOLATED = Formula(1, "", "interpolation")
NTK_AWARE = Formula(factor ** (1 - i / (frequencies - 1)), "", "NTK-aware")
_KEPT = sp.Max(0, sp.Min(1, (TURNS.expr - low) / (high - low)))
YARN = Formula(factor * _KEPT + 1 - _KEPT, "", "YaRN")

# The base that leaves the first frequency and divides the last by a factor.
NTK_BASE = Formula(base * factor ** (frequencies / (frequencies - 1)), "", "NTK-aware base")


def stretched_frequencies() -> Derivation:
    """Two ways to read a text s times as long: longer periods for all, or for the slow ones.

    The second takes at least two frequencies: the fastest is not to be the slowest.
    """
    by_base = FREQUENCY.expr.subs(base, NTK_BASE.expr) / FREQUENCY.expr
    return Derivation(
        Step(
            "A period",
            sp.cos(FREQUENCY.expr * (delta + PERIOD.expr)),
            sp.cos(FREQUENCY.expr * delta),
            "So many tokens make a turn, at $b^{-i/F}$ a token.",
        ),
        Step(
            "Interpolated",
            sp.cos(FREQUENCY.expr / factor * (delta + factor * PERIOD.expr)),
            sp.cos(FREQUENCY.expr / factor * delta),
            "Positions are divided by $s$: all periods grow alike, and neighbours move together.",
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
