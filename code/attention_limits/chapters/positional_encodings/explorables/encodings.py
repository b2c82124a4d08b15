"""The sliders of the page on encodings."""

from collections.abc import Sequence
from typing import Any

import altair as alt

from attention_limits import style
from attention_limits.chapters.positional_encodings.derivations.encodings import (
    FREQUENCY,
    KERNEL,
    LONG_WINDOWS,
    PERIOD,
    WINDOW_OF_HEAD,
    pair,
)
from attention_limits.chapters.positional_encodings.explorables.charts import (
    MOST_FREQUENCIES,
    against,
    pairs,
    table,
)
from attention_limits.explorable import (
    HEIGHT,
    Explorable,
    Readout,
    Slider,
    Trace,
    with_transforms,
)
from attention_limits.formula import Formula
from attention_limits.symbols import (
    base,
    delta,
    epsilon,
    first,
    frequencies,
    h,
    head,
    here,
    i,
    n,
)

DISTANCES = 200  # tokens, to which the inner product is drawn
# Of the heat map: with more cells, or a slider for their number, a move outlasts a frame.
COLUMNS, PAIRS = 32, 16
MOST_HEADS = 64


def heat_map() -> Explorable:
    """The sinusoidal encoding itself, one row an entry, and how long a period of each row is."""
    width = {frequencies: PAIRS}
    sliders = [
        Slider.between(base, 5, 10**6, 10**4, steps=30, log=True),
        Slider(first, (*range(64), *(2**power for power in range(6, 18))), 0),
    ]
    waves = [
        Trace(name, Formula(entry, "", name), {i: "i", here: "position"})
        for name, entry in zip(
            ("sine", "cosine"), pair(FREQUENCY.subs(width).expr, here), strict=True
        )
    ]
    length = Trace("period", PERIOD.subs(width), {i: "i"})

    layers = [_cells(wave, row, sliders) for row, wave in enumerate(waves)]
    ends = with_transforms(pairs(PAIRS), length.transforms(sliders))
    ends = ends.transform_calculate(middle="2 * datum.i + 1")
    ends = ends.transform_filter(f"datum.period <= {COLUMNS}")
    diamond: dict[str, Any] = {"shape": "diamond", "size": 80, "stroke": "black", "strokeWidth": 1}
    mark = ends.mark_point(filled=True, color="white", opacity=1, **diamond)
    layers.append(mark.encode(*_cell("period", "middle")))
    return Explorable(
        name="sinusoid-map",
        title="What a position looks like",
        caption="Each column is the encoding of one position: blue is positive, vermillion "
        "negative. Move the first position: fast rows at the top go through their periods again "
        "and again, slow ones at the bottom creep, and no two columns are alike. A diamond marks "
        "one period. Then lower the base until all of them are in sight.",
        alt="A map with one column a position and one row an entry. Sines and cosines alternate "
        "from row to row; waves are six tokens long at the top and grow from pair to pair, until "
        "rows at the bottom have one shade throughout. Diamonds along a curve mark where one wave "
        "of each pair is over.",
        chart=alt.layer(*layers).properties(width="container", height=HEIGHT),
        sliders=sliders,
        traces=[*waves, length],
        table=table("frequency", [length], range(0, PAIRS, 3)),
    )


def kernel() -> Explorable:
    """The inner product of two encodings over their distance, and where it first rises."""
    sliders = [
        Slider(frequencies, (2, 4, 8, 16, 32, 64, MOST_FREQUENCIES), 32),
        Slider.between(base, 10, 10**6, 10**4, steps=30, log=True),
    ]
    normalised = Formula(KERNEL.expr / frequencies, "", "inner product")
    product = Trace("product", normalised, {delta: "distance"})
    line = alt.Chart(alt.sequence(0, DISTANCES + 1, as_="distance"))
    line = with_transforms(line, product.transforms(sliders)).encode(
        alt.X("distance:Q", title="distance (tokens)").axis(grid=False).scale(nice=False)
    )
    up = alt.Y("product:Q", title="inner product over its largest")
    up = up.axis(values=[-1, -0.5, 0, 0.5, 1]).scale(domain=[-1, 1.25])  # room for a label
    rises = line.transform_window(before="lag(product)", sort=[alt.SortField("distance")])
    rises = rises.transform_filter("isValid(datum.before) && datum.before < datum.product")
    rises = rises.transform_window(number="row_number()", sort=[alt.SortField("distance")])
    rise = rises.transform_filter("datum.number == 1")
    label = rise.transform_calculate(words="'rises at ' + datum.distance")
    diamond: dict[str, Any] = {"color": style.BLUE, "size": 160, "shape": "diamond"}
    chart = alt.layer(
        rise.mark_rule(strokeDash=[4, 4], color=style.GREY),
        line.mark_line(color=style.ENCODINGS["sinusoidal"]).encode(up),
        rise.mark_point(filled=True, opacity=1, **diamond).encode(up),
        label.mark_text(align="left", baseline="top", dx=6).encode(y=alt.value(4), text="words:N"),
    )
    return Explorable(
        name="kernel",
        title="Is an inner product a measure of distance?",
        caption="If it were, the line would fall all the way: the further apart, the less alike. "
        "The diamond marks the first token at which it rises instead. How far away can you "
        "move it? No width and base keep it off the chart. What does a wider encoding buy, and "
        "what does it not?",
        alt="A line that starts at one, falls over the first few distances and then goes up and "
        "down, the less so the more frequencies there are. A diamond marks the first distance at "
        "which it rises, in the first quarter of the axis.",
        chart=chart.properties(width="container", height=HEIGHT),
        sliders=sliders,
        traces=[product],
        table=table("distance", [product], range(0, DISTANCES + 1, 25)),
    )


def alibi_window() -> Explorable:
    """How far each head of ALiBi sees, against the length of a sequence."""
    sliders = [
        Slider(h, (4, 8, 16, 32, MOST_HEADS), 16),
        Slider(epsilon, (0.001, 0.003, 0.01, 0.03, 0.1, 0.3), 0.01),
        Slider(n, tuple(2**power for power in range(7, 16)), 512),
    ]
    window = Trace("window", WINDOW_OF_HEAD, {head: "head"})
    heads = alt.Chart(alt.sequence(1, MOST_HEADS + 1, as_="head"))
    heads = heads.transform_filter(f"datum.head <= {h}")
    heads = with_transforms(heads, window.transforms(sliders))
    across = alt.X("head:Q", title="head").axis(grid=False, format="d").scale(zero=True)
    return Explorable(
        name="alibi-window",
        title="How far does each head see?",
        caption="A window holds all of a head's weight among equal keys but for the share on the "
        "slider. Lengthen the sequence until no head sees all of it. Do more heads help? The "
        "share is only what one calls a window: what does it change?",
        alt="Dots, one a head, that rise along a straight line on a logarithmic axis, from a few "
        "tokens to about a thousand. A dashed line marks the length of the sequence; only the last "
        "few heads, drawn as diamonds, lie above it.",
        chart=against(
            heads.encode(across),
            f"window >= {n}",
            axis=("window (tokens)", (1, 10**5)),
            limit=(n, "length of the sequence"),
        ),
        sliders=sliders,
        traces=[window],
        table=table("head", [window], (*range(1, 17, 3), 32, 48, 64), where=head <= h),
        readouts=[
            Readout("narrowest window", WINDOW_OF_HEAD.subs({head: 1}), ",.1f"),
            Readout("widest window", WINDOW_OF_HEAD.subs({head: h})),
            Readout("windows of the whole sequence", LONG_WINDOWS),
        ],
    )


def _cells(wave: Trace, row: int, sliders: Sequence[Slider]) -> alt.Chart:
    """Every other row of the map: row 0 or 1 of each pair."""
    chart = alt.Chart(alt.sequence(0, COLUMNS * PAIRS, as_="cell"))
    chart = chart.transform_calculate(
        column=f"datum.cell % {COLUMNS}", i=f"floor(datum.cell / {COLUMNS})"
    )
    chart = chart.transform_calculate(
        position=f"{first} + datum.column",
        next="datum.column + 1",
        top=f"2 * datum.i + {row}",
        bottom=f"2 * datum.i + {row + 1}",
    )
    sign = alt.Color(f"{wave.field}:Q", legend=None)
    size = alt.Opacity(f"{wave.field}:Q", legend=None)
    return (
        with_transforms(chart, wave.transforms(sliders))
        .mark_rect()
        .encode(
            *_cell("column", "top"),
            x2="next",
            y2="bottom",
            color=sign.scale(type="threshold", domain=[0], range=[style.VERMILLION, style.BLUE]),
            # See-through where there is nothing: the page may be light or dark.
            opacity=size.scale(domain=[-1, 0, 1], range=[1, 0, 1]),
        )
    )


def _cell(x: str, y: str) -> tuple[alt.X, alt.Y]:
    """The axes of the map: the first entry at the top."""
    across = alt.X(f"{x}:Q", title="tokens after the first position").axis(grid=False)
    down = alt.Y(f"{y}:Q", title="entry of the encoding").axis(grid=False, format="d")
    return across.scale(domain=[0, COLUMNS], nice=False), down.scale(reverse=True, nice=False)
