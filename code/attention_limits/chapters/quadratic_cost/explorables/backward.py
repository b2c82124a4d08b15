"""The sliders of the page on the backward pass of "Quadratic cost"."""

from collections.abc import Sequence
from typing import Any

import altair as alt

from attention_limits import style
from attention_limits.chapters.quadratic_cost.derivations.backward import (
    BACKWARD,
    INPUT_KEPT,
    JACOBIANS,
    JACOBIANS_LEAD,
    REST_KEPT,
    SOFTMAX_BACKWARD,
    WEIGHTS_KEPT,
    WEIGHTS_LEAD,
)
from attention_limits.explorable import (
    Chart,
    Explorable,
    Readout,
    Slider,
    Table,
    Trace,
    explore,
    with_transforms,
)
from attention_limits.formula import Formula
from attention_limits.shapes import SHAPES
from attention_limits.symbols import b, d, d_model, f, h, n

IN_16_BITS = {b: 2, f: 4 * d_model}  # the classic layer, at two bytes a number
CLASSIC_MODELS = [SHAPES[name] for name in ("GPT-2 small", "GPT-2 XL")]
GPU = 80  # GB of memory of an H100
BARS = ("nothing", "scores", "whole layer")  # what is recomputed
ROOM = 90  # pixels of a bar's number
FIELDS = ("everything", "rest", "inputs")  # what is kept then


def jacobians() -> Explorable:
    """One head's backward pass, as it is done and as the cubic argument has it."""
    products = BACKWARD.expr + SOFTMAX_BACKWARD.expr
    return explore(
        [
            Formula(BACKWARD.expr + JACOBIANS.expr, "FLOPs", "with full Jacobians"),
            Formula(products, "FLOPs", "as it is done"),
        ],
        x=n,
        over=(16, 2**17),
        sliders=[Slider(d, (16, 32, 64, 128, 256), 64)],
        name="jacobians",
        title="What does the backward pass cost?",
        caption="Change the width of the head. Both lines start together, where the products "
        "cost more than the softmax. Find the length from which writing out Jacobians costs more "
        "than everything else: it is between one and two head widths.",
        alt_text="Two rising lines on logarithmic axes. They start together; past the dashed line "
        "the one with full Jacobians rises more steeply, with n cubed, while the other keeps on "
        "with n squared.",
        log="xy",
        y_title="FLOPs of one head, backward",
        rule=JACOBIANS_LEAD,
        colours=(style.VERMILLION, style.BLUE),  # blue is attention as it is, here and below
        readouts=[Readout("Jacobians outweigh products past", JACOBIANS_LEAD)],
    )


def activation_memory() -> Explorable:
    """What one layer keeps for its backward pass, by what is recomputed there."""
    weights, rest, inputs = (
        Formula(formula.subs(IN_16_BITS).expr / 10**9, "GB", formula.name)
        for formula in (WEIGHTS_KEPT, REST_KEPT, INPUT_KEPT)
    )
    everything = Formula(weights.expr + rest.expr, "GB", "weights and everything else")
    lead = WEIGHTS_LEAD.subs(IN_16_BITS)
    sliders = [
        Slider(n, tuple(2**power for power in range(8, 21)), 2048),
        Slider(d_model, (512, 768, 1024, 1600, 2048, 4096, 8192, 16384), 4096),
        Slider(h, (4, 8, 12, 16, 25, 32, 64, 128), 32),
    ]
    traces = [
        Trace(field, formula, {n: "length"})
        for field, formula in zip(FIELDS, (everything, rest, inputs), strict=True)
    ]
    return Explorable(
        name="activation-memory",
        title="What does one layer keep for its backward pass?",
        caption="One sequence, 16-bit numbers, an MLP four times as wide as the model. Double the "
        "sequence a few times: which part of the upper bar doubles, and which takes four times as "
        "much? Then go back until both parts are equal, and change the width of the model and the "
        "number of heads together, so that a head keeps its width. Does that length move?",
        alt="Three horizontal bars of GB, one for each choice of what is recomputed. The first, "
        "where nothing is, has a blue part for the attention weights and a grey part for "
        "everything else. In the second, where scores are recomputed, only the grey part is left. "
        "The third, where the whole layer is, is a sixteenth of the grey part.",
        chart=_bars(traces, sliders),
        sliders=sliders,
        traces=traces,
        table=_table(traces),
        readouts=[
            Readout("weights as large as everything else at", lead),
            Readout(
                "attention weights, of the upper bar",
                Formula(weights.expr / everything.expr),
                ".0%",
            ),
            Readout(f"layers in {GPU} GB, weights kept", Formula(GPU / everything.expr), ",.0f"),
            Readout(f"layers in {GPU} GB, scores recomputed", Formula(GPU / rest.expr), ",.0f"),
        ],
        presets={
            f"{shape.name}, {length:,} tokens": {n: length, d_model: shape.d_model, h: shape.h}
            for shape in CLASSIC_MODELS
            for length in (shape.trained, 32 * shape.trained)
        },
    )


def _bars(traces: Sequence[Trace], sliders: Sequence[Slider]) -> Chart:
    """A bar for each choice: what is kept in any case grey, the attention weights blue."""
    row = alt.Chart(alt.sequence(0, 1, as_="step")).transform_calculate(length=f"{n}")
    for trace in traces:
        row = with_transforms(row, trace.transforms(sliders))
    # Beyond the longest bar there is room for its number, on a phone as on a desk.
    room = f"max(1.3, width / max(width - {ROOM}, {ROOM}))"
    row = row.transform_calculate(none="0", edge=f"{room} * datum.everything")

    def across(field: str) -> alt.X:
        x = alt.X(f"{field}:Q", title="GB kept by one layer").scale(nice=False)
        return x.axis(format=",~r", tickCount=alt.expr(f"width > {3 * ROOM} ? 4 : 2"))

    def bar(words: str, left: str, right: str, colour: str) -> alt.Chart:
        at = row.transform_calculate(bar=f"'{words}'").mark_bar(color=colour, size=34)
        return at.encode(across(left), _down(), x2=f"{right}:Q")

    def label(words: str, at: str) -> alt.Chart:
        of = ": the input" if words == BARS[2] else ""
        text = f"format(datum.{at}, ',.3~r') + ' GB{of}'"
        end = row.transform_calculate(bar=f"'{words}'", words=text)
        return end.mark_text(align="left", dx=6).encode(across(at), _down(), text="words:N")

    def named(words: str, colour: str, y: float) -> list[alt.Chart]:
        spot, text = ({"x": alt.value(at), "y": alt.value(y)} for at in (6, 15))
        square: dict[str, Any] = {"shape": "square", "filled": True, "opacity": 1, "size": 90}
        return [
            row.mark_point(color=colour, **square).encode(**spot),
            row.mark_text(text=words, align="left").encode(**text),
        ]

    layers = [
        *named(REST_KEPT.name, style.GREY, -26),
        *named(WEIGHTS_KEPT.name, style.BLUE, -10),
        bar(BARS[0], "none", "rest", style.GREY),
        bar(BARS[0], "rest", "everything", style.BLUE),
        bar(BARS[1], "none", "rest", style.GREY),
        bar(BARS[2], "none", "inputs", style.GREY),
        *(label(words, at) for words, at in zip(BARS, FIELDS, strict=True)),
        row.mark_rule(opacity=0).encode(across("edge")),
    ]
    return alt.layer(*layers).properties(width="container", height=200)


def _table(traces: Sequence[Trace]) -> Table:
    """Some lengths, whichever is drawn."""
    columns = {trace.formula.name: trace.formula for trace in traces}
    return Table(n, [2**power for power in range(9, 20, 2)], columns, "sequence length (tokens)")


def _down() -> alt.Y:
    return alt.Y("bar:N", title="recomputed", sort=list(BARS))
