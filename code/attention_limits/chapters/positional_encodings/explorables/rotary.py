"""The sliders of the page on rotary encodings."""

from collections.abc import Sequence
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
    INTERPOLATED,
    NTK_AWARE,
    ONE_TURN,
    RESOLUTION,
    TURNS,
    UNCHANGED,
    UNFINISHED,
    YARN,
)
from attention_limits.chapters.positional_encodings.explorables.charts import (
    MOST_FREQUENCIES,
    pairs,
    table,
)
from attention_limits.explorable import (
    FOUR,
    HEIGHT,
    Chart,
    Explorable,
    Readout,
    Slider,
    Trace,
    explore,
    with_transforms,
)
from attention_limits.formula import Formula
from attention_limits.shapes import ROTARY
from attention_limits.symbols import (
    base,
    bits,
    context,
    d,
    error,
    factor,
    frequencies,
    here,
    high,
    i,
    low,
    omega,
    period,
    theta,
)

FORMATS = {"bfloat16": 8, "float16": 11, "float32": 24}  # significant bits
LARGEST_FLOAT16 = 65_504
TOO_COARSE = sp.Rational(1, 10)  # radians, by which an angle may be off at a marked position
SLOWEST = Formula(PERIOD.expr.subs(i, frequencies - 1), PERIOD.unit, "longest period")
OF_EACH = Formula(ALONE.expr.subs(period, PERIOD.expr), ALONE.unit, "distance alone")
# A format for so small a number would not look alike in Python and in the browser.
MOVES = Formula(10**6 * OF_EACH.subs({i: frequencies - 1}).expr, "millionths", "its step")
IN_A_HEAD = {frequencies: d / 2}
TITLE = "number of the frequency"
_LAST = IN_A_HEAD[frequencies] - 1  # the number of the slowest
_ENDS = alt.Scale(domainMin=0, domainMax=alt.ExprRef(str(_LAST)), clamp=True, nice=False)
# Where the name of each cure stands: how far along the axis, and on which side of that.
NAMED_AT: dict[str, tuple[float, Any]] = {
    "unchanged": (1, "right"),
    "interpolated": (0, "left"),
    "ntk": (0.72, "left"),
    "yarn": (0.3, "center"),
}


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
        table=table("frequency", [length, alone], sliders, range(0, 16, 3)),
        readouts=[
            Readout("the slowest comes round after", SLOWEST),
            Readout("and moves, in one token,", MOVES, FOUR),
        ],
    )


def turns_in_training() -> Explorable:
    """Which frequencies complete a turn in training, and what each cure asks of them on more."""
    sliders, cures = _model_sliders(), _cures()
    turns = Trace("turns", TURNS.subs(IN_A_HEAD), {i: "i"})
    one = Trace("one", ONE_TURN.subs(IN_A_HEAD), {})
    rows = pairs(IN_A_HEAD[frequencies])
    for trace in (turns, *cures):
        rows = with_transforms(rows, trace.transforms(sliders))
    layers = [_turn_ends(one, sliders)]
    for cure, dash in zip(cures, style.DASHES, strict=False):
        layers += _line_with_dots(rows, cure, turns, dash)
    _, _, ntk, yarn = cures
    return Explorable(
        name="turns-in-training",
        title="What a longer sequence asks of each frequency",
        caption="Each dot is a frequency: how many times as far as in training it turns on a "
        "sequence that is longer by the factor. Right of the dashed line no turn was completed in "
        "training, and a diamond is an angle that is new. Left of it nothing is new, but a dot "
        "below the top line has brought neighbours closer together. Start from a model. Which cure "
        "has no diamond, and which leaves the fast frequencies alone? Then find a base without "
        "diamonds.",
        alt="Four lines over the number of the frequency. Unchanged, all turn further by the "
        "factor. Interpolation lies at one throughout. NTK-aware scaling falls from the factor to "
        "one. YaRN stays at the factor, falls along a ramp, and is at one from where frequencies "
        "complete no turn in training, which a dashed line marks. Diamonds beyond that line are "
        "new angles.",
        chart=alt.layer(*layers).properties(width="container", height=HEIGHT),
        sliders=sliders,
        traces=[turns, *cures, one],
        table=table("frequency", [turns, ntk, yarn], sliders, range(0, 64, 9)),
        readouts=_angle_readouts(),
        presets={
            model.name: {base: model.base, d: model.d, context: model.trained, factor: 8}
            for model in ROTARY.values()
        },
    )


def _model_sliders() -> list[Slider]:
    """What a published model has chosen, and a factor."""
    bases = {model.base for model in ROTARY.values()}
    return [
        Slider.between(base, 10, 10**7, 10_000, steps=40, log=True, also=bases),
        Slider(d, (16, 32, 64, 128, 256), 128),
        Slider(context, tuple(2**power for power in range(5, 18)), 4096),
        Slider(factor, (2, 4, 8, 16, 32), 8),
    ]


def _cures() -> list[Trace]:
    """The largest angle of each frequency, over that of training: with no cure and with three."""
    usual = {low: 1, high: 32} | IN_A_HEAD
    formulas = (UNCHANGED, INTERPOLATED, NTK_AWARE.subs(usual), YARN.subs(usual))
    return [
        Trace(name, formula, {i: "i"} if i in formula.symbols else {})
        for name, formula in zip(NAMED_AT, formulas, strict=True)
    ]


def _angle_readouts() -> list[Readout]:
    new_with_ntk = Formula(sp.Max(0, UNFINISHED.expr - 1), "frequencies")
    return [
        Readout("less than one turn in training", UNFINISHED.subs(IN_A_HEAD)),
        Readout("longest period", SLOWEST.subs(IN_A_HEAD)),
        Readout("new angles with NTK-aware scaling", new_with_ntk.subs(IN_A_HEAD)),
    ]


def _line_with_dots(
    rows: alt.Chart, cure: Trace, turns: Trace, dash: Sequence[int]
) -> list[alt.Chart]:
    """A cure's line with its name, and its frequencies: diamonds where an angle is new."""
    across = alt.X("i:Q", title=TITLE, scale=_ENDS).axis(grid=False, format="d")
    up = alt.Y(
        f"{cure.field}:Q",
        title="largest angle, over that of training",
        axis=alt.Axis(values=[1, 2, 4, 8, 16, 32], format="d"),
        scale=alt.Scale(type="log", domain=[0.7, 60], nice=False),
    )
    line = rows.mark_line(color=style.GREEN, strokeWidth=1.5, strokeDash=list(dash))
    no_turn = alt.FieldLTPredicate(field=turns.field, lt=1)
    new = alt.when(no_turn & alt.FieldGTPredicate(field=cure.field, gt=1.0001))
    dots = rows.mark_point(filled=True, opacity=1).encode(
        color=new.then(alt.value(style.VERMILLION)).otherwise(alt.value(style.GREEN)),
        shape=new.then(alt.value("diamond")).otherwise(alt.value("circle")),
        size=new.then(alt.value(50)).otherwise(alt.value(16)),
    )
    at, align = NAMED_AT[cure.field]
    one_row = rows.transform_filter(f"datum.i == floor({at} * ({_LAST}))")
    name = one_row.mark_text(align=align, dy=-10).encode(text=alt.value(cure.formula.name))
    return [layer.encode(across, up) for layer in (line, dots, name)]


def _turn_ends(one: Trace, sliders: Sequence[Slider]) -> Chart:
    """A vertical line where frequencies complete one turn in training, with its name.

    It is not seen where all complete one, or none does.
    """
    mark = with_transforms(alt.Chart(alt.sequence(0, 1, as_="step")), one.transforms(sliders))
    inside = f"datum.{one.field} >= 0 && datum.{one.field} < {_LAST} + 1"
    seen = alt.when(inside).then(alt.value(1)).otherwise(alt.value(0))
    mark = mark.encode(alt.X(f"{one.field}:Q", title=TITLE, scale=_ENDS), opacity=seen)
    rule = mark.mark_rule(strokeDash=[4, 4], color=style.GREY)
    name = mark.mark_text(text="one turn", align="left", baseline="top", dx=5)
    return alt.layer(rule, name.encode(y=alt.value(2)))


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
