"""The sliders of the page on longer contexts."""

from collections.abc import Sequence
from typing import Any

import altair as alt
import sympy as sp

from attention_limits import style
from attention_limits.chapters.positional_encodings.derivations.longer_contexts import (
    INTERPOLATED,
    NTK_AWARE,
    ONE_TURN,
    TURNS,
    UNCHANGED,
    UNFINISHED,
    YARN,
)
from attention_limits.chapters.positional_encodings.explorables.charts import pairs, table
from attention_limits.chapters.positional_encodings.explorables.rotary import SLOWEST
from attention_limits.explorable import (
    HEIGHT,
    Chart,
    Explorable,
    Readout,
    Slider,
    Trace,
    beside,
    with_transforms,
)
from attention_limits.formula import Formula
from attention_limits.shapes import ROTARY
from attention_limits.symbols import base, context, d, factor, frequencies, high, i, low

IN_A_HEAD = {frequencies: d / 2}
TITLE = "number of the frequency"
_LAST = IN_A_HEAD[frequencies] - 1  # the number of the slowest
_ENDS = alt.Scale(domainMin=0, domainMax=alt.ExprRef(str(_LAST)), clamp=True, nice=False)
# Where the name of each cure stands: how far along the axis, on which side of that, and how far
# above its line.
NAMED_AT: dict[str, tuple[float, Any, int]] = {
    "unchanged": (1, "right", 10),
    "interpolated": (0, "left", -11),
    "ntk": (0.72, "left", 10),
    "yarn": (0.3, "center", 10),
}


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
        table=table("frequency", [turns, ntk, yarn], (*range(0, 64, 9), 127), where=i <= _LAST),
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
    at, align, above = NAMED_AT[cure.field]
    one_row = rows.transform_filter(f"datum.i == floor({at} * ({_LAST}))")
    name = one_row.mark_text(align=align, dy=-above).encode(text=alt.value(cure.formula.name))
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
    at = one.formula.vega({slider.symbol: slider.symbol.name for slider in sliders})
    place = beside(at, len("one turn"), dx=5)
    name = mark.mark_text(text="one turn", baseline="top", **place)
    return alt.layer(rule, name.encode(y=alt.value(2)))
