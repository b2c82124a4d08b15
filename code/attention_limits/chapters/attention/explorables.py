"""The sliders of the chapter "Attention"."""

from typing import Any

import altair as alt

from attention_limits import style
from attention_limits.chapters.attention.derivations import OUTPUT, POSITION, VALUE, WEIGHT
from attention_limits.explorable import Explorable, Slider, Table, Trace, beside, with_transforms
from attention_limits.symbols import j, m, tau, x

MOST_KEYS = 40
CURVE = 161  # points of the output's curve


def look_up() -> Explorable:
    """A query sweeps over keys on a line; weights and output follow."""
    sliders = [
        Slider.between(x, 0, 1, 0.3, steps=100),
        Slider.between(tau, 1e-4, 4, 0.0064, steps=60, log=True),
        Slider(m, tuple(range(2, MOST_KEYS + 1)), 8),
    ]
    at_key = {j: "j"}
    # The weight first: its sum keeps no other column.
    weight, value, position = (
        Trace(name, formula, at_key)
        for name, formula in (("weight", WEIGHT), ("value", VALUE), ("position", POSITION))
    )
    curve, here = (Trace(name, OUTPUT, {x: "x"}) for name in ("curve", "here"))

    keys = alt.Chart(alt.sequence(0, MOST_KEYS, as_="j")).transform_filter("datum.j < m")
    for trace in (weight, value, position):
        keys = with_transforms(keys, trace.transforms(sliders))
    line = alt.Chart(alt.sequence(0, CURVE, as_="step"))
    line = line.transform_calculate(x=f"datum.step / {CURVE - 1}")
    line = with_transforms(line, curve.transforms(sliders))
    query = alt.Chart(alt.sequence(0, 1, as_="step")).transform_calculate(x="x")
    query = with_transforms(query, here.transforms(sliders))

    bar: dict[str, Any] = {"color": style.BLUE, "opacity": 0.85, "width": 7}
    diamond: dict[str, Any] = {"color": style.VERMILLION, "size": 220, "shape": "diamond"}
    chart = alt.layer(
        query.mark_rule(color=style.GREY, strokeDash=[4, 4]).encode(_across("x")),
        keys.mark_bar(**bar).encode(_across("position"), _up("weight")),
        keys.mark_point(color=style.GREEN, filled=True, size=70, opacity=1).encode(
            _across("position"), _up("value")
        ),
        line.mark_line(color=style.VERMILLION).encode(_across("x"), _up("curve")),
        query.mark_point(filled=True, opacity=1, **diamond).encode(_across("x"), _up("here")),
        query.mark_text(**beside(f"{x}", len("+0.00"), dx=12)).encode(
            _across("x"), _up("here"), text=alt.Text("here:Q", format="+.2f")
        ),
    )
    return Explorable(
        name="look-up",
        title="A soft look-up",
        caption="Sweep the query. Bars are the weights, green dots the values at the keys, the "
        "line what the look-up returns for every query, and the diamond what it returns for yours. "
        "Then lower the temperature until the line is a staircase, and raise it until it is flat.",
        alt="Keys on a line from 0 to 1, each with a value on one period of a sine. Bars show the "
        "softmax weights, highest at the keys next to the query; a smooth curve, the weighted "
        "mean of the values, follows the sine more closely as the temperature falls.",
        chart=chart.properties(width="container", height=320),
        sliders=sliders,
        traces=[weight, value, position, curve, here],
        table=_table(),
    )


def _across(column: str) -> alt.X:
    axis = alt.X(f"{column}:Q", title="position on the line").axis(grid=False)
    return axis.scale(domain=[0, 1], nice=False)


def _up(column: str) -> alt.Y:
    return alt.Y(f"{column}:Q", title="weight, value, output").scale(domain=[-1.1, 1.1])


def _table() -> Table:
    """Every key's weight and value."""
    columns = {"position": POSITION, "weight": WEIGHT, "value": VALUE}
    formats = (".3f", ".4f", "+.3f")
    return Table(j, range(MOST_KEYS), columns, "key", formats, where=j < m)
