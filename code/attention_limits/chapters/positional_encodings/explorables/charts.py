"""What the sliders of the chapter share."""

from collections.abc import Sequence

import altair as alt
import sympy as sp

from attention_limits import style
from attention_limits.explorable import (
    HEIGHT,
    Chart,
    Table,
    Trace,
)

MOST_FREQUENCIES = 128  # in the charts of a pair each


def pairs(count: sp.Expr) -> alt.Chart:
    """A row for each of so many frequencies, with its number in column i."""
    chart = alt.Chart(alt.sequence(0, MOST_FREQUENCIES, as_="i"))
    return chart.transform_filter(f"datum.i < {count}")


def against(
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
        color=looks.then(alt.value(style.BLUE)).otherwise(alt.value(style.ENCODINGS["alibi"])),
        shape=looks.then(alt.value("diamond")).otherwise(alt.value("circle")),
        size=looks.then(alt.value(70)).otherwise(alt.value(40)),
    )
    level = alt.Chart(alt.sequence(0, 1, as_="step")).transform_calculate(limit=f"{symbol}")
    level = level.encode(up("limit"))
    name = level.mark_text(text=words, align="left", baseline="bottom", dx=6, dy=-4)
    rule = level.mark_rule(strokeDash=[4, 4], color=style.GREY)
    layers = alt.layer(points, rule, name.encode(x=alt.value(0)))
    return layers.properties(width="container", height=HEIGHT)


def table(
    head: str, traces: Sequence[Trace], rows: Sequence[int], where: sp.Basic = sp.true
) -> Table:
    """Some rows of columns that depend on one index."""
    (index,) = {symbol for trace in traces for symbol in trace.columns}
    columns = {trace.formula.name: trace.formula for trace in traces}
    return Table(index, rows, columns, head, where=where)
