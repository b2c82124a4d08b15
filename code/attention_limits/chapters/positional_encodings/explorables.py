"""The sliders of the chapter "Positional encodings"."""

from collections.abc import Sequence
from typing import Any

import altair as alt
import numpy as np
import sympy as sp

from attention_limits import style
from attention_limits.chapters.positional_encodings.derivations import (
    ALONE,
    ANGLE_ERROR,
    COARSE,
    FREQUENCY,
    KERNEL,
    LONG_WINDOWS,
    RESOLUTION,
    UNFINISHED,
    WAVELENGTH,
    WINDOW_OF_HEAD,
    pair,
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
from attention_limits.numerals import numeral
from attention_limits.shapes import ROTARY
from attention_limits.symbols import (
    base,
    bits,
    context,
    d,
    delta,
    epsilon,
    error,
    first,
    frequencies,
    h,
    head,
    here,
    i,
    n,
    omega,
    theta,
    wavelength,
)

DISTANCES = 200  # tokens, to which the inner product is drawn
# Of the heat map: with more cells, or a slider for their number, a move outlasts a frame.
COLUMNS, PAIRS = 32, 16
MOST_FREQUENCIES = 128  # in the charts of a pair each
MOST_HEADS = 64
FORMATS = {"bfloat16": 8, "float16": 11, "float32": 24}  # significant bits
LARGEST_FLOAT16 = 65_504
TOO_COARSE = sp.Rational(1, 10)  # radians, by which an angle may be off at a marked position

SLOWEST = Formula(WAVELENGTH.expr.subs(i, frequencies - 1), WAVELENGTH.unit, "longest wavelength")
OF_EACH = Formula(ALONE.expr.subs(wavelength, WAVELENGTH.expr), ALONE.unit, "distance alone")
# A format for so small a number would not look alike in Python and in the browser.
MOVES = Formula(10**6 * OF_EACH.subs({i: frequencies - 1}).expr, "millionths", "its step")
IN_A_HEAD = {frequencies: d / 2}


def heat_map() -> Explorable:
    """The sinusoidal encoding itself, one row an entry, and how long a wave of each row is."""
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
    length = Trace("wavelength", WAVELENGTH.subs(width), {i: "i"})

    layers = [_cells(wave, row, sliders) for row, wave in enumerate(waves)]
    ends = with_transforms(_pairs(PAIRS), length.transforms(sliders))
    ends = ends.transform_calculate(middle="2 * datum.i + 1")
    ends = ends.transform_filter(f"datum.wavelength <= {COLUMNS}")
    diamond: dict[str, Any] = {"shape": "diamond", "size": 80, "stroke": "black", "strokeWidth": 1}
    mark = ends.mark_point(filled=True, color="white", opacity=1, **diamond)
    layers.append(mark.encode(*_cell("wavelength", "middle")))
    return Explorable(
        name="sinusoid-map",
        title="What a position looks like",
        caption="Each column is the encoding of one position: blue is positive, vermillion "
        "negative. Move the first position: fast rows at the top run through their waves again "
        "and again, slow ones at the bottom creep, and no two columns are alike. A diamond marks "
        "one wavelength. Then lower the base until all of them are in sight.",
        alt="A map with one column a position and one row an entry. Sines and cosines alternate "
        "from row to row; waves are six tokens long at the top and grow from pair to pair, until "
        "rows at the bottom have one shade throughout. Diamonds along a curve mark where one wave "
        "of each pair is over.",
        chart=alt.layer(*layers).properties(width="container", height=HEIGHT),
        sliders=sliders,
        traces=[*waves, length],
        table=_table("frequency", [length], sliders[:1], range(0, PAIRS, 3)),
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
    diamond: dict[str, Any] = {"color": style.VERMILLION, "size": 160, "shape": "diamond"}
    chart = alt.layer(
        rise.mark_rule(strokeDash=[4, 4], color=style.GREY),
        line.mark_line(color=style.BLUE).encode(up),
        rise.mark_point(filled=True, opacity=1, **diamond).encode(up),
        label.mark_text(align="left", baseline="top", dx=6).encode(y=alt.value(4), text="words:N"),
    )
    return Explorable(
        name="kernel",
        title="Is an inner product a measure of distance?",
        caption="If it were, the line would fall all the way: the further apart, the less alike. "
        "The diamond marks the first token at which it rises instead. Look for a width and a base "
        "that keep the diamond off the chart. What does a wider encoding buy, and what does it "
        "not?",
        alt="A line that starts at one, falls over the first few distances and then goes up and "
        "down, the less so the more frequencies there are. A diamond marks the first distance at "
        "which it rises, in the first quarter of the axis.",
        chart=chart.properties(width="container", height=HEIGHT),
        sliders=sliders,
        traces=[product],
        table=_table("distance", [product], sliders, range(0, DISTANCES + 1, 25)),
    )


def tell_apart() -> Explorable:
    """What each frequency does for neighbours and for range, and what all of them do together."""
    sliders = [
        Slider(frequencies, (2, 4, 8, 16, 32, 64, MOST_FREQUENCIES), 16),
        Slider.between(base, 10, 10**6, 10**4, steps=30, log=True),
    ]
    line = Trace("line", ALONE, {wavelength: "lambda"})
    length = Trace("wavelength", WAVELENGTH, {i: "i"})
    alone = Trace("alone", OF_EACH, {i: "i"})
    # The sum first: it keeps no other column.
    together, longest = Trace("together", RESOLUTION, {}), Trace("longest", SLOWEST, {})

    curve = alt.Chart(alt.sequence(0, 101, as_="step"))  # from 3 tokens to 6 million
    curve = curve.transform_calculate(**{"lambda": "pow(10, 0.5 + datum.step * 0.063)"})
    curve = with_transforms(curve, line.transforms(sliders))
    each = _pairs(frequencies)
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

    diamond: dict[str, Any] = {"color": style.VERMILLION, "size": 220, "shape": "diamond"}
    chart = alt.layer(
        curve.mark_line(color=style.GREY, strokeWidth=1).encode(*at("lambda", "line")),
        each.mark_point(color=style.BLUE, filled=True, size=60, opacity=1).encode(
            *at("wavelength", "alone")
        ),
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
        table=_table("frequency", [length, alone], sliders, range(0, 16, 3)),
        readouts=[
            Readout("the slowest comes round after", SLOWEST),
            Readout("and moves, in one token,", MOVES, FOUR),
        ],
    )


def alibi_window() -> Explorable:
    """How far each head of ALiBi sees, against the length of a text."""
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
        "slider. Lengthen the text until no head sees all of it. More heads do not help: which "
        "slider does, and by how much?",
        alt="Dots, one a head, that rise along a straight line on a logarithmic axis, from a few "
        "tokens to about a thousand. A dashed line marks the length of the text; only the last "
        "few heads, drawn as diamonds, lie above it.",
        chart=_against(
            heads.encode(across),
            f"window >= {n}",
            axis=("window (tokens)", (1, 10**5)),
            limit=(n, "length of the text"),
        ),
        sliders=sliders,
        traces=[window],
        table=_table("head", [window], sliders[:2], range(1, 17, 3)),
        readouts=[
            Readout("narrowest window", WINDOW_OF_HEAD.subs({head: 1}), ",.1f"),
            Readout("widest window", WINDOW_OF_HEAD.subs({head: h})),
            Readout("windows of the whole text", LONG_WINDOWS),
        ],
    )


def unfinished_turns() -> Explorable:
    """The wavelengths of a rotary encoding, against the context that training showed."""
    length = Trace("wavelength", WAVELENGTH.subs(IN_A_HEAD), {i: "i"})
    unfinished = UNFINISHED.subs(IN_A_HEAD)
    share = Formula(unfinished.expr / IN_A_HEAD[frequencies])
    models = ROTARY.values()
    sliders = [
        Slider.between(
            base, 1000, 10**7, 10_000, steps=40, log=True, also={m.base for m in models}
        ),
        Slider(d, (32, 64, 128, 256), 128),
        Slider(context, tuple(2**power for power in range(11, 18)), 4096),
    ]
    pairs = with_transforms(_pairs(IN_A_HEAD[frequencies]), length.transforms(sliders))
    across = alt.X("i:Q", title="number of the frequency").axis(grid=False, format="d")
    return Explorable(
        name="unfinished-turns",
        title="Angles that training never shows",
        caption="A dot above the dashed line turns less than once in the trained context: a longer "
        "text brings angles that no training has shown. Start from a published model. Later ones "
        "raised the base with the context; did that leave fewer unfinished turns, or more?",
        alt="Dots, one a frequency, that rise along a straight line on a logarithmic axis, from a "
        "wavelength of six tokens to tens of thousands. A dashed line marks the trained context; "
        "the slow frequencies above it are drawn as diamonds.",
        chart=_against(
            pairs.encode(across),
            f"wavelength > {context}",
            axis=("wavelength (tokens)", (1, 10**8)),
            limit=(context, "trained context"),
        ),
        sliders=sliders,
        traces=[length],
        table=_table("frequency", [length], sliders[:2], range(0, 64, 9)),
        readouts=[
            Readout("less than one turn", unfinished),
            Readout("of all", share, ".0%"),
            Readout("longest wavelength", SLOWEST.subs(IN_A_HEAD)),
        ],
        presets={m.name: {base: m.base, d: m.d, context: m.trained} for m in models},
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
        "Move to slower frequencies: what do they lose, and how far from the start of the text?",
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


# --- what the charts share ------------------------------------------------------------------------


def _pairs(count: sp.Expr) -> alt.Chart:
    """A row for each of so many frequencies, with its number in column i."""
    chart = alt.Chart(alt.sequence(0, MOST_FREQUENCIES, as_="i"))
    return chart.transform_filter(f"datum.i < {count}")


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


def _against(
    chart: alt.Chart,
    beyond: str,
    *,
    axis: tuple[str, tuple[float, float]],
    limit: tuple[sp.Symbol, str],
) -> Chart:
    """Points against a limit with its name: diamonds where they are beyond it, dots elsewhere.

    Args:
        chart: rows, with an axis across.
        beyond: a condition that begins with the column that is drawn.
        axis: title and ends of the logarithmic axis upwards.
        limit: what the dashed line stands at, and its name.
    """
    title, ends = axis
    symbol, words = limit

    def up(column: str) -> alt.Y:
        ticks = alt.Y(f"{column}:Q", title=title).axis(format="~s", tickCount=4)
        return ticks.scale(type="log", domain=list(ends), nice=False)

    # One layer with two looks: of two layers, one would often be empty, and Vega complains.
    looks = alt.when(f"datum.{beyond}")
    points = chart.mark_point(filled=True, opacity=1).encode(
        up(beyond.split()[0]),
        color=looks.then(alt.value(style.VERMILLION)).otherwise(alt.value(style.BLUE)),
        shape=looks.then(alt.value("diamond")).otherwise(alt.value("circle")),
        size=looks.then(alt.value(70)).otherwise(alt.value(40)),
    )
    level = alt.Chart(alt.sequence(0, 1, as_="step")).transform_calculate(limit=f"{symbol}")
    level = level.encode(up("limit"))
    name = level.mark_text(text=words, align="left", baseline="bottom", dx=6, dy=-4)
    rule = level.mark_rule(strokeDash=[4, 4], color=style.GREY)
    layers = alt.layer(points, rule, name.encode(x=alt.value(0)))
    return layers.properties(width="container", height=HEIGHT)


def _table(
    head: str, traces: Sequence[Trace], sliders: Sequence[Slider], rows: Sequence[int]
) -> dict[str, list[str]]:
    """Some rows of columns that depend on one index, with every slider where it starts."""
    start = {slider.symbol.name: slider.start for slider in sliders}
    table = {head: [str(row) for row in rows]}
    for trace in traces:
        (index,) = trace.columns
        values = trace.formula.numpy(**{index.name: list(rows)}, **start)
        table[trace.formula.name] = [numeral(value) for value in values]
    return table
