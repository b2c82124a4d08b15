"""The sliders of the page on dilution."""

from typing import Any

import altair as alt
import sympy as sp

from attention_limits import style
from attention_limits.chapters.locality.derivations.dilution import (
    ACCURACY,
    EDGE,
    NOISY_HALF,
    WEIGHT,
)
from attention_limits.explorable import (
    HEIGHT,
    Explorable,
    Readout,
    Slider,
    Table,
    Trace,
    beside,
    explore,
    with_transforms,
)
from attention_limits.formula import Formula
from attention_limits.symbols import classes, lead, n, noise

MOST_NOISE, MOST_LEAD = 8, 48
ONE_ROW = alt.Chart(alt.sequence(0, 1, as_="step"))


def neighbour() -> Explorable:
    """One token among n: its weight, and how often its value is read."""
    half = Formula(1 + sp.exp(lead), "tokens", "half of it")
    equal = Formula(1 + classes * sp.exp(2 * lead), "tokens", "as much noise as signal")
    return explore(
        [ACCURACY, WEIGHT],
        x=n,
        over=(16, 10**8),
        sliders=[
            Slider.between(lead, 0, 8, 4, steps=32),
            Slider(classes, (2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 4096), 16),
        ],
        name="neighbour",
        title="How long is a neighbour seen?",
        caption="Follow the sequence along the axis: the weight sinks first, and the value is "
        "still read long after. Raise the lead by one: how far does each of the two curves move? "
        "Then choose more values. Is one of many harder to tell?",
        alt_text="Two falling curves over a logarithmic axis of lengths. The weight of the token "
        "falls to one half at 56 tokens, marked by a dashed line; the share of values that are "
        "read stays near one until about ten thousand tokens and then falls to chance.",
        y_title="share",
        y_format=".0%",
        rule=half,
        key=True,
        readouts=[
            Readout("half of the weight is gone at", half),
            Readout("as much noise as signal at", equal),
        ],
    )


def phases() -> Explorable:
    """Which lead keeps half of the weight among scores that are spread."""
    sliders = [
        Slider.between(n, 10, 10**6, 1000, steps=50, log=True),
        Slider.between(noise, 0, MOST_NOISE, 2, steps=32),
        Slider.between(lead, 0, MOST_LEAD, 20, steps=48),
    ]
    needed = Trace("needed", NOISY_HALF, {noise: "spread"})
    edge = Trace("edge", EDGE, {})
    at_edge = Trace("at_edge", NOISY_HALF.subs({noise: EDGE.expr}), {})
    own = Trace("own", Formula(lead), {})
    rows = alt.Chart(alt.sequence(0, 201, as_="step"))
    rows = rows.transform_calculate(spread=f"datum.step * {MOST_NOISE / 200}")
    rows = with_transforms(rows, needed.transforms(sliders))
    bend = with_transforms(ONE_ROW, edge.transforms(sliders))
    bend = with_transforms(bend, at_edge.transforms(sliders)).encode(*_at("edge", "at_edge"))
    point = with_transforms(ONE_ROW, own.transforms(sliders))
    point = point.transform_calculate(spread=f"{noise}").encode(*_at("spread", "own"))
    bent, yours = "few count", "your token"
    names = {slider.symbol: slider.symbol.name for slider in sliders}
    diamond: dict[str, Any] = {"shape": "diamond", "size": 160, "color": style.VERMILLION}
    chart = alt.layer(
        rows.mark_line(color=style.BLUE).encode(*_at("spread", "needed")),
        bend.mark_point(filled=True, size=90, opacity=1, color=style.BLUE),
        bend.mark_text(text=bent, dy=10, **beside(EDGE.vega(names), len(bent), dx=10)),
        point.mark_point(filled=True, opacity=1, **diamond),
        point.mark_text(text=yours, **beside(f"{noise}", len(yours), dx=22)),
    )
    return Explorable(
        name="phases",
        title="Does your token keep half of the weight?",
        caption="It does while it is above the line. Drag it, or move its sliders; then lengthen "
        "the sequence. Where the scores of the others are alike, what counts is how many they "
        "are; where they are spread, the largest of them. In which of the two does a longer "
        "sequence cost your token more?",
        alt="A curve that begins flat, bends upwards and goes on as a straight line from a dot on. "
        "A diamond marks the token, above the curve.",
        chart=chart.properties(width="container", height=HEIGHT),
        sliders=sliders,
        traces=[needed, edge, at_edge, own],
        table=Table(
            noise,
            range(1, MOST_NOISE + 1),
            {"lead for half of the weight": NOISY_HALF},
            "spread",
            ".1f",
        ),
        readouts=[
            Readout("your token would need a lead of", NOISY_HALF, ".1f"),
            Readout("the largest count from a spread of", EDGE, ".2f"),
        ],
        drag=(noise, lead),
    )


def _at(x: str, y: str) -> tuple[alt.X, alt.Y]:
    """The axes of the phases, for two columns."""
    across = alt.X(f"{x}:Q", title="spread of the other scores").axis(grid=False)
    up = alt.Y(f"{y}:Q", title="lead").scale(domain=[0, MOST_LEAD], nice=False, clamp=True)
    return across.scale(domain=[0, MOST_NOISE], nice=False), up
