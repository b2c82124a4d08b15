"""The sliders of the page on convolution inside attention."""

from collections.abc import Sequence
from typing import Any

import altair as alt
import sympy as sp

from attention_limits import style
from attention_limits.chapters.locality.derivations.convolution import (
    KEPT,
    RATIO,
    TWICE,
    WINDOW_RATIO,
)
from attention_limits.explorable import (
    HEIGHT,
    Explorable,
    Readout,
    Slider,
    Table,
    Trace,
    explore,
    with_transforms,
)
from attention_limits.formula import Formula
from attention_limits.symbols import (
    axes,
    channels,
    column,
    d,
    downwards,
    n,
    right,
    row,
    sharpness,
    w,
)

SIDE = 9  # pixels of the image, with the query in the middle
MIDDLE = SIDE // 2
FURTHEST = 6  # to which a head may aim: two pixels beyond the border


def _nearest(aim: sp.Expr) -> sp.Expr:
    """The pixel on one axis that is nearest to an aim, which may lie outside."""
    return sp.Max(0, sp.Min(SIDE - 1, aim))


def _score(at: sp.Expr, aim: sp.Expr) -> sp.Expr:
    """On one axis, less that of the nearest pixel."""
    return -sharpness * ((at - aim) ** 2 - (_nearest(aim) - aim) ** 2)


def _sum(aim: sp.Expr) -> sp.Expr:
    """The weights on one axis, over that of the nearest pixel."""
    return sp.Add(*(sp.exp(_score(sp.Integer(at), aim)) for at in range(SIDE)))


ACROSS, ALONG = MIDDLE + right, MIDDLE + downwards
# Over the largest weight, which is seen at any sharpness.
SHADE = Formula(sp.exp(_score(column, ACROSS) + _score(row, ALONG)), "", "over the largest")
LARGEST = Formula(1 / (_sum(ACROSS) * _sum(ALONG)), "", "weight of the nearest pixel")
OF_COLUMN = Formula(sp.exp(_score(column, ACROSS)) / _sum(ACROSS), "", "weight of a column")
IN_WINDOW = Formula(RATIO.expr.subs(n, sp.Min(n, w)), "", "a window")


def head() -> Explorable:
    """What one head of nine sees of a small image."""
    sliders = [
        Slider.between(sharpness, 0.02, 10, 0.3, steps=40, log=True),
        Slider(right, tuple(range(-FURTHEST, FURTHEST + 1)), 1),
        Slider(downwards, tuple(range(-FURTHEST, FURTHEST + 1)), -1),
    ]
    shade = Trace("shade", SHADE, {column: "column", row: "row"})
    of_column = Trace("of_column", OF_COLUMN, {column: "column"})
    layers = [*_pixels(shade, of_column, sliders), *_query_and_aim()]
    return Explorable(
        name="head",
        title="What does one head see?",
        caption="The dot is the query, the diamond where its head aims, and a pixel is the bluer "
        "the more weight it has, over the largest. The green strip adds up each column. Raise the "
        "sharpness until one pixel is left. Then aim beyond the border, with a large sharpness and "
        "with a small one. Which pixel does the head read there?",
        alt="A square of nine by nine pixels with a grey dot in the middle. Above it to the right, "
        "a diamond marks where the head aims; the pixel there is blue, and those around it fade "
        "with their distance. A green strip below is strongest under the diamond.",
        chart=alt.layer(*layers).properties(width="container", height=HEIGHT),
        sliders=sliders,
        traces=[shade, of_column],
        table=Table(column, range(SIDE), {OF_COLUMN.name: OF_COLUMN}, "column", ".2%"),
        readouts=[
            Readout("weight of the nearest pixel", LARGEST, ".2%"),
            Readout("at least, in any image", KEPT.subs({axes: 2}), ".2%"),
        ],
        presets={
            "to the left": {right: -1, downwards: 0},
            "right below": {right: 1, downwards: 1},
            "beyond the corner": {right: FURTHEST, downwards: -FURTHEST},
        },
    )


def _pixels(shade: Trace, of_column: Trace, sliders: Sequence[Slider]) -> list[alt.Chart]:
    """The image, and beneath it a strip with the sum of each column."""
    cells = alt.Chart(alt.sequence(0, SIDE**2, as_="cell")).transform_calculate(
        column=f"datum.cell % {SIDE}", row=f"floor(datum.cell / {SIDE})"
    )
    cells = with_transforms(cells, shade.transforms(sliders))
    cells = cells.transform_calculate(top="datum.row - 0.5", bottom="datum.row + 0.5")
    columns = alt.Chart(alt.sequence(0, SIDE, as_="column"))
    columns = with_transforms(columns, of_column.transforms(sliders))
    columns = columns.transform_calculate(top=f"{SIDE}", bottom=f"{SIDE} + 0.8")
    return [
        chart.transform_calculate(left="datum.column - 0.5", next="datum.column + 0.5")
        .mark_rect(color=colour)
        .encode(*_at("left", "top"), x2="next", y2="bottom", opacity=_faint(trace.field))
        for chart, trace, colour in (
            (cells, shade, style.BLUE),
            (columns, of_column, style.GREEN),
        )
    ]


def _query_and_aim() -> list[alt.Chart]:
    """The border of the image, a dot at the query and a diamond where its head aims."""
    chart = alt.Chart(alt.sequence(0, 1, as_="step")).transform_calculate(
        left="-0.5", next=f"{SIDE} - 0.5", middle=f"{MIDDLE}",
        aim_x=f"{MIDDLE} + {right}", aim_y=f"{MIDDLE} + {downwards}",
    )  # fmt: skip
    border = chart.mark_rect(filled=False, stroke=style.GREY)
    dot = chart.mark_point(filled=True, opacity=1, size=70, color=style.GREY)
    diamond: dict[str, Any] = {"shape": "diamond", "size": 160, "color": style.VERMILLION}
    return [
        border.encode(*_at("left", "left"), x2="next", y2="next"),
        dot.encode(*_at("middle", "middle")),
        chart.mark_point(filled=False, opacity=1, strokeWidth=3, **diamond).encode(
            *_at("aim_x", "aim_y")
        ),
    ]


def price() -> Explorable:
    """FLOPs of a convolution by heads over those of the convolution."""
    return explore(
        [formula.subs({d: channels}) for formula in (RATIO, IN_WINDOW)],
        x=n,
        over=(16, 10**6),
        sliders=[
            Slider(channels, (16, 32, 64, 128, 256, 512, 1024, 2048), 64),
            Slider(w, (9, 25, 49, 81, 121, 196, 256, 1024), 49),
        ],
        name="price",
        title="When is it cheap?",
        caption="FLOPs of the heads for one of the convolution, with n pixels and d channels. "
        "Where do they cost about as much as what they imitate? Make the image deep rather than "
        "large: choose 512 channels. Where does the first line leave the other now? Then widen the "
        "window.",
        alt_text="Two lines over a logarithmic axis of pixels. That of all pixels leaves one near "
        "ten pixels, passes two near sixty and rises to sixteen thousand. That "
        "of a window follows it and stays level from 49 pixels on.",
        log="xy",
        y_title="FLOPs over the convolution's",
        names_at=((0.85, "left"), (0.8, "above")),
        readouts=[
            Readout("twice the FLOPs at", TWICE.subs({d: channels})),
            Readout("in a window", WINDOW_RATIO.subs({d: channels}), ",.2f"),
        ],
    )


def _faint(share: str) -> alt.Opacity:
    """See-through where there is little, as the page may be light or dark."""
    return alt.Opacity(f"{share}:Q", legend=None).scale(domain=[0, 1], range=[0, 1])


def _at(x: str, y: str) -> tuple[alt.X, alt.Y]:
    """The axes of the image: its first row at the top, with room for aims outside."""
    ends = [MIDDLE - FURTHEST - 0.7, MIDDLE + FURTHEST + 0.7]
    ticks = list(range(0, SIDE, 2))
    across = alt.X(f"{x}:Q", title="column").axis(grid=False, values=ticks)
    along = alt.Y(f"{y}:Q", title="row").axis(grid=False, values=ticks)
    return (
        across.scale(domain=ends, nice=False),
        along.scale(domain=ends, nice=False, reverse=True),
    )
