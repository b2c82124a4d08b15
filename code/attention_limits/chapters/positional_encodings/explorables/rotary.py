"""The sliders of the page on rotary encodings."""

from typing import Any

import altair as alt
import numpy as np
import sympy as sp

from attention_limits import style
from attention_limits.chapters.positional_encodings.derivations.encodings import (
    FREQUENCY,
    PERIOD,
)
from attention_limits.chapters.positional_encodings.derivations.rotary import (
    ALONE,
    ANGLE_ERROR,
    COARSE,
    RESOLUTION,
)
from attention_limits.chapters.positional_encodings.explorables.charts import (
    MOST_FREQUENCIES,
    pairs,
    table,
)
from attention_limits.explorable import (
    FOUR,
    HEIGHT,
    Explorable,
    Readout,
    Slider,
    Trace,
    explore,
    with_transforms,
)
from attention_limits.formula import Formula
from attention_limits.symbols import (
    base,
    bits,
    error,
    frequencies,
    here,
    i,
    omega,
    period,
    theta,
)

FEW = (*range(0, 16, 3), 31, 63, 127)  # frequencies in the table
FORMATS = {"bfloat16": 8, "float16": 11, "float32": 24}  # significant bits
LARGEST_FLOAT16 = 65_504
TOO_COARSE = sp.Rational(1, 10)  # radians, by which an angle may be off at a marked position
SLOWEST = Formula(PERIOD.expr.subs(i, frequencies - 1), PERIOD.unit, "longest period")
OF_EACH = Formula(ALONE.expr.subs(period, PERIOD.expr), ALONE.unit, "distance alone")
# A format for so small a number would not look alike in Python and in the browser.
MOVES = Formula(10**6 * OF_EACH.subs({i: frequencies - 1}).expr, "millionths", "its step")


def tell_apart() -> Explorable:
    """What each frequency does for neighbours and for range, and what all of them do together."""
    sliders = [
        Slider(frequencies, (2, 4, 8, 16, 32, 64, MOST_FREQUENCIES), 16),
        Slider.between(base, 10, 10**6, 10**4, steps=30, log=True),
    ]
    line = Trace("line", ALONE, {period: "lambda"})
    length = Trace("period", PERIOD, {i: "i"})
    alone = Trace("alone", OF_EACH, {i: "i"})
    # The sum first: it keeps no other column.
    together, longest = Trace("together", RESOLUTION, {}), Trace("longest", SLOWEST, {})

    curve = alt.Chart(alt.sequence(0, 101, as_="step"))  # from 3 tokens to 6 million
    curve = curve.transform_calculate(**{"lambda": "pow(10, 0.5 + datum.step * 0.063)"})
    curve = with_transforms(curve, line.transforms(sliders))
    each = pairs(frequencies)
    for trace in (length, alone):
        each = with_transforms(each, trace.transforms(sliders))
    both = alt.Chart(alt.sequence(0, 1, as_="step"))
    for trace in (together, longest):
        both = with_transforms(both, trace.transforms(sliders))

    def at(x: str, y: str) -> tuple[alt.X, alt.Y]:
        across = alt.X(f"{x}:Q", title="tokens until it comes round")
        across = across.axis(format="~s", grid=False, values=[1, 100, 10**4, 10**6, 10**8])
        up = alt.Y(f"{y}:Q", title="distance between neighbours")
        up = up.axis(format="~g", values=[1, 0.01, 1e-4, 1e-6])
        log: dict[str, Any] = {"type": "log", "nice": False}
        return across.scale(domain=[1, 10**8], **log), up.scale(domain=[1e-6, 10], **log)

    diamond: dict[str, Any] = {"color": style.BLUE, "size": 220, "shape": "diamond"}
    chart = alt.layer(
        curve.mark_line(color=style.GREY, strokeWidth=1).encode(*at("lambda", "line")),
        each.mark_point(
            color=style.ENCODINGS["sinusoidal"], filled=True, size=60, opacity=1
        ).encode(*at("period", "alone")),
        both.mark_point(filled=True, opacity=1, **diamond).encode(*at("longest", "together")),
        both.mark_text(text="all", align="left", dx=12).encode(*at("longest", "together")),
    )
    return Explorable(
        name="tell-apart",
        title="Fine or far",
        caption="Each dot is one frequency: how far it moves from a position to the next, such as "
        "from 100 to 101, and how many tokens it takes to come round. Raise the base: dots that "
        "reach further tell neighbours apart less well, and no dot leaves the line. The diamond "
        "does: all frequencies together have the range of the slowest and more than the step of "
        "the fastest.",
        alt="Dots on a line that falls on logarithmic axes: the longer a frequency takes to "
        "come round, the less it moves from token to token. A diamond, for all of them together, "
        "stands above the dot furthest right, higher than any dot.",
        chart=chart.properties(width="container", height=HEIGHT),
        sliders=sliders,
        traces=[line, length, alone, together, longest],
        table=table("frequency", [length, alone], FEW, where=i < frequencies),
        readouts=[
            Readout("the slowest comes round after", SLOWEST),
            Readout("and moves, in one token,", MOVES, FOUR),
        ],
    )


def angle_precision() -> Explorable:
    """How far an angle may be off in three number formats, over the position.

    The slider takes the frequencies of a head 128 wide but the first: times 1, whole positions
    are exact until they have more bits than the format.
    """
    angle = ANGLE_ERROR.subs({theta: omega * here})
    head_of_128 = FREQUENCY.numpy(i=np.arange(1, 64), F=64, base=10_000)
    stops = tuple(sorted(float(f"{frequency:.3g}") for frequency in head_of_128))
    coarse = {
        name: Formula(sp.ceiling(COARSE.expr.subs({bits: t, error: TOO_COARSE}) / omega), "tokens")
        for name, t in FORMATS.items()
    }
    return explore(
        [Formula(angle.expr.subs(bits, t), "radians", name) for name, t in FORMATS.items()],
        x=here,
        over=(1, LARGEST_FLOAT16),
        sliders=[Slider(omega, stops, stops[-1])],
        name="angle-precision",
        title="How exact is an angle?",
        caption="Rounded to a format's significant bits, an angle is off by up to so much; the "
        "axis ends where float16 does. Half a turn is 3.1 radians: bfloat16 may be wrong by "
        "more soon after a thousand tokens. The dashed line marks where it may be wrong by 0.1. "
        "Move to slower frequencies: what do they lose, and how far from the start?",
        alt_text="Three flights of stairs that rise in parallel on logarithmic axes, one a number "
        "format: the largest error of an angle doubles with every doubling of the position. "
        "bfloat16 lies eight times above float16 and far above float32.",
        log="xy",
        y_title="largest error (radians)",
        y_format=".0e",
        rule=Formula(coarse["bfloat16"].expr, "tokens", "0.1 off"),
        rule_label="left",
        readouts=[Readout(f"{name} may be 0.1 off from", coarse[name]) for name in FORMATS],
    )
