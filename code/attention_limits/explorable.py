"""Formulas as charts that answer the reader's hand.

An :class:`Explorable` draws formulas with sliders for their symbols, by the same JavaScript in the
book's pages, without a kernel and without a network, and in notebooks: the browser computes the
same expressions, printed by SymPy. Where no script runs it is a picture, its words and a table.
"""

import functools
import math
import os
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import altair as alt
import numpy as np
import sympy as sp

from attention_limits import style, vega
from attention_limits.formula import Formula, check_domain
from attention_limits.lab import VIEW
from attention_limits.notebook import MIME, STILL
from attention_limits.numerals import numeral, signed, singular
from attention_limits.symbols import MEANING

HEIGHT = 300  # of the plot, in pixels
FOUR = "four digits"  # of a number that may be small or large; before the point, all that it has
_FOUR = (".4~g", ",.0f")
LOWEST = -12  # power of ten that a logarithmic axis can write
POWERS = [
    f"10{str(e).translate(str.maketrans('-0123456789', '⁻⁰¹²³⁴⁵⁶⁷⁸⁹'))}" for e in range(LOWEST, 31)
]
LETTER = 6.5  # pixels, of a word in a chart, at most
POINTS = 200  # along the x axis: smooth to the eye, and a move takes a few milliseconds


@dataclass(frozen=True)
class Slider:
    """A symbol that the reader may move through an ordered list of values.

    Args:
        symbol: one of the book's symbols; its meaning is the slider's label.
        values: what it can be, ascending; at least two.
        start: where it starts; one of the values.
        names: what its values are called, if each stands for something, as 1 may for a model.

    Raises:
        ValueError: naming the symbol, for an empty range, a start outside it, a value outside the
            symbol's domain, or more or fewer names than values.
    """

    symbol: sp.Symbol
    values: tuple[float, ...]
    start: float
    names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.symbol not in MEANING:
            raise ValueError(f"symbol must be one of the book's, got {self.symbol}")
        if len(self.values) < 2 or any(np.diff(self.values) <= 0):
            raise ValueError(
                f"{self.symbol} must have two ascending values or more, got {self.values}"
            )
        if self.start not in self.values:
            raise ValueError(f"{self.symbol} must start at one of its values, got {self.start}")
        if self.names and len(self.names) != len(self.values):
            raise ValueError(
                f"{self.symbol} must have a name for each value or none, got {self.names}"
            )
        check_domain(self.symbol, self.values)

    @classmethod
    def between(
        cls,
        symbol: sp.Symbol,
        low: float,
        high: float,
        start: float,
        *,
        steps: int = 60,
        log: bool = False,
        also: Iterable[float] = (),
    ) -> "Slider":
        """A slider from ``low`` to ``high`` in about ``steps`` even steps, whole for a count.

        Args:
            symbol, low, high, start: as the names say; ``low`` < ``high``.
            steps: how many steps from end to end.
            log: whether steps are even in the logarithm.
            also: values to stop at as well, such as those of presets.
        """
        if not low < high:
            raise ValueError(f"{symbol} must have a range with low < high, got {low} to {high}")
        if not low <= start <= high:
            raise ValueError(f"{symbol} must start from {low} to {high}, got {start}")
        grid = (np.geomspace if log else np.linspace)(low, high, steps + 1)
        digits = ".0f" if symbol.is_integer else ".3g"
        between = (float(f"{value:{digits}}") for value in grid)
        values = {low, high, start, *also} | {value for value in between if low < value < high}
        return cls(symbol, tuple(_plain(value) for value in sorted(values)), start)

    @property
    def label(self) -> str:
        """What it moves, in words."""
        return MEANING[self.symbol].words

    @property
    def labels(self) -> list[str]:
        """Its values as a reader would write them, or their names."""
        return list(self.names) or [_words(value) for value in self.values]

    @property
    def unit(self) -> str:
        """The unit of its value, or nothing."""
        return MEANING[self.symbol].unit


@dataclass(frozen=True)
class Readout:
    """A formula of the sliders alone, shown as a number that follows them.

    ``format`` is Python's format mini-language, which the browser's d3-format shares, or ``FOUR``.
    """

    label: str
    formula: Formula
    format: str = ",.0f"

    def text(self, value: float) -> str:
        """A value as the reader sees it."""
        spec = _FOUR[abs(value) >= 1000] if self.format == FOUR else self.format
        return signed(f"{value:{spec.replace('~', '')}}")

    def vega(self, value: str) -> str:
        """The same text in Vega's language, of a value in it."""
        if self.format != FOUR:
            return f"format({value}, '{self.format}')"
        small, large = _FOUR
        return f"abs({value}) >= 1000 ? format({value}, '{large}') : format({value}, '{small}')"


@dataclass(frozen=True)
class Trace:
    """A column that the browser computes: which formula, from which other columns.

    Charts are made of these, and the parity test recomputes each of them in NumPy.
    """

    field: str
    formula: Formula
    columns: Mapping[sp.Symbol, str]

    def transforms(self, sliders: Sequence[Slider]) -> list[dict]:
        """The Vega-Lite transforms that add the column to each row."""
        names = {slider.symbol: slider.symbol.name for slider in sliders}
        names |= {symbol: f"datum.{column}" for symbol, column in self.columns.items()}
        return vega.pipeline(self.formula.expr, self.field, names)


_AT, _ROW = "at", "row"  # of a table's rows: the value of ``along``, and the number


@dataclass(frozen=True)
class Table:
    """Numbers along one symbol, for where the sliders stand: they follow, as the chart does.

    Args:
        along: the symbol whose values the rows have: the axis, an index, or one of the sliders.
        values: which of its values, ascending.
        columns: formulas of it and of the sliders, by what stands above them.
        head: what stands above the values.
        format: of the columns, in the mini-language that Python and d3-format share: one for all,
            or one for each; "" for a number as the book writes it.
        where: a condition on ``along`` and the sliders, without which a row is left out.
        quantity: what the numbers in all columns are, where their names do not say it.
    """

    along: sp.Symbol
    values: Sequence[float]
    columns: Mapping[str, Formula]
    head: str
    format: str | Sequence[str] = ""
    where: sp.Basic = sp.true
    quantity: str = ""

    @property
    def formats(self) -> Sequence[str]:
        """The format of each column."""
        if isinstance(self.format, str):
            return [self.format] * len(self.columns)
        return self.format

    def cells(self, setting: Mapping[sp.Symbol, float]) -> dict[str, list[str]]:
        """Its columns as a reader sees them, for one setting of the sliders."""
        given = {symbol: value for symbol, value in setting.items() if symbol != self.along}
        at = [v for v in self.values if self.where.subs({**given, self.along: v}) == sp.true]
        found = {self.head: [_words(value) for value in at]}
        for (name, formula), spec in zip(self.columns.items(), self.formats, strict=True):
            known = {s.name: at if s == self.along else given[s] for s in formula.symbols}
            column = np.broadcast_to(formula.numpy(**known), len(at))
            found[name] = [signed(f"{v:{spec}}") if spec else numeral(v) for v in column]
        return found

    def vega(self, sliders: Sequence[Slider]) -> list[dict]:
        """Its rows, and for each column a data set with numbers in ``out``, or also ``text``."""
        names = {s.symbol: s.symbol.name for s in sliders} | {self.along: f"datum.{_AT}"}
        rows = [{_ROW: row, _AT: _plain(value)} for row, value in enumerate(self.values)]
        where = vega.compiled({"filter": vega.expression(self.where, names)})
        found: list[dict] = [{"name": "table", "values": rows, "transform": [where]}]
        for formula, spec in zip(self.columns.values(), self.formats, strict=True):
            steps = vega.pipeline(formula.expr, "out", names, also=[_ROW])
            if spec:
                steps.append({"calculate": f"format(datum.out, '{spec}')", "as": "text"})
            transform = [vega.compiled(step) for step in steps]
            name = f"table_{len(found)}"
            found.append({"name": name, "source": "table", "transform": transform})
        return found


# What a figure may be drawn with.
Chart = alt.Chart | alt.LayerChart | alt.VConcatChart | alt.FacetChart


@dataclass(frozen=True)
class Explorable:
    """A chart, its sliders, and the words that go with it.

    Args:
        name: its id on the page and in the URL: letters, digits and hyphens.
        title: what it shows, in a few words.
        caption: what to try.
        alt: what there is to see, for readers who don't see it.
        chart: the Altair chart, ``width="container"``, with signals named after the sliders.
        sliders: what the reader may move.
        traces: every computed column that the chart draws.
        table: numbers for readers who do not see the chart, and for print.
        readouts: numbers that follow the sliders.
        presets: named settings of the sliders, by symbol.
        drag: the two sliders along whose values the axes run, across and upwards, if the chart
            shows where they stand: a pointer can drag that point, and both follow.

    Raises:
        ValueError: naming the argument: a text that is empty, a preset that sets no slider or a
            value that its slider lacks, a readout or trace of a symbol that nothing sets, a drag
            that has other than two sliders.
    """

    name: str
    title: str
    caption: str
    alt: str
    chart: Chart
    sliders: Sequence[Slider]
    traces: Sequence[Trace]
    table: Table
    readouts: Sequence[Readout] = ()
    presets: Mapping[str, Mapping[sp.Symbol, float]] = field(default_factory=dict)
    drag: tuple[sp.Symbol, ...] = ()

    def __post_init__(self) -> None:
        for text in ("name", "title", "caption", "alt"):
            if not getattr(self, text).strip():
                raise ValueError(f"{text} must be some text, got {getattr(self, text)!r}")
        values = {slider.symbol: slider.values for slider in self.sliders}
        if self.drag and (len({*self.drag}) != 2 or set(self.drag) - values.keys()):
            raise ValueError(f"drag must be two of the sliders or nothing, got {self.drag}")
        for label, setting in self.presets.items():
            for symbol, value in setting.items():
                if value not in values.get(symbol, ()):
                    raise ValueError(
                        f"presets must set {symbol} to one of its stops, got {value} from {label!r}"
                    )
        for readout in self.readouts:
            if unknown := set(readout.formula.symbols) - values.keys():
                raise ValueError(
                    f"readouts must have a slider for each symbol, got none for {unknown} "
                    f"of {readout.label!r}"
                )
        for trace in self.traces:
            if unknown := set(trace.formula.symbols) - trace.columns.keys() - values.keys():
                raise ValueError(
                    f"traces must have a slider or column for each symbol, got none for {unknown} "
                    f"of {trace.field!r}"
                )

    @functools.cached_property
    def spec(self) -> dict:
        """The Vega-Lite specification, its sliders as signals without inputs of their own."""
        params = [alt.param(name=s.symbol.name, value=s.start) for s in self.sliders]
        names = {slider.symbol: slider.symbol.name for slider in self.sliders}
        for number, readout in enumerate(self.readouts):
            value = readout.formula.vega(names)
            name = f"readout_{number}"
            params.append(alt.param(name=name, expr=value))
            params.append(alt.param(name=f"{name}_text", expr=readout.vega(value)))
        return self.chart.add_params(*params).configure(**style.ALTAIR).to_dict()

    def payload(self) -> dict:
        """All that the book's renderer needs, as plain data."""
        return {
            "name": self.name,
            "title": self.title,
            "caption": self.caption,
            "alt": self.alt,
            "spec": self.spec,
            "sliders": [
                {
                    "name": slider.symbol.name,
                    "label": slider.label,
                    "unit": slider.unit,
                    "one": singular(slider.unit),
                    "values": list(slider.values),
                    "labels": slider.labels,
                    "start": slider.values.index(slider.start),
                }
                for slider in self.sliders
            ],
            "readouts": [
                {
                    "label": readout.label,
                    "unit": readout.formula.unit,
                    "one": singular(readout.formula.unit),
                    "text": text,
                }
                for readout, text in zip(self.readouts, self._readouts_at_start(), strict=True)
            ],
            # Pairs, since a notebook that is stored sorts the keys of a mapping.
            "presets": [
                [label, {symbol.name: value for symbol, value in setting.items()}]
                for label, setting in self.presets.items()
            ],
            "drag": [symbol.name for symbol in self.drag],
            "table": {
                "along": self.table.along.name,
                "quantity": self.table.quantity,
                "labels": [_words(value) for value in self.table.values],
                "data": self.table.vega(self.sliders),
                # A list: JSON as notebooks keep it sorts the names of columns.
                "start": [[name, cells] for name, cells in self.table.cells(self.start).items()],
            },
        }

    @property
    def start(self) -> dict[sp.Symbol, float]:
        """Where its sliders start."""
        return {slider.symbol: slider.start for slider in self.sliders}

    def _readouts_at_start(self) -> list[str]:
        start = self.start
        values = (
            readout.formula.numpy(**{s.name: start[s] for s in readout.formula.symbols})
            for readout in self.readouts
        )
        return [r.text(float(v)) for v, r in zip(values, self.readouts, strict=True)]

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict:
        if STILL in os.environ:
            return {MIME: self.payload(), "text/plain": self.alt}
        still, live = self._faces()
        return {**live, **still}

    def _ipython_display_(self) -> None:
        """Show the picture, and the live figure that takes its place where it can.

        They are two outputs, not two types of one: a front end takes the widget where it knows
        widgets, even in a saved notebook, where no kernel is left to draw it.
        """
        from IPython.core.getipython import get_ipython
        from IPython.display import display

        if STILL in os.environ:
            display(self._repr_mimebundle_(), raw=True)
        elif not hasattr(get_ipython(), "kernel"):
            display({"text/plain": self.alt}, raw=True)
        else:
            for face in self._faces():
                display(face, raw=True)

    def _faces(self) -> tuple[dict, dict]:
        """What is shown without a kernel, and what with one: a figure for each time it is shown."""
        from attention_limits import figure_html, live

        state = self.in_notebook()
        model = live.Figure(**state).model_id
        view = {"version_major": 2, "version_minor": 0, "model_id": model}
        still = live.QUIET + figure_html.still(self.payload(), state["poster"])
        return {"text/html": still, "text/plain": self.alt}, {VIEW: view, "text/plain": ""}

    def in_notebook(self) -> dict[str, str]:
        """What the live figure of a notebook is made of, under a name of its own each time."""
        from attention_limits import figure_html

        return {"html": figure_html.live(self.payload()), "poster": uuid.uuid4().hex}


def explore(
    formulas: Formula | Sequence[Formula],
    *,
    x: sp.Symbol,
    over: tuple[float, float],
    sliders: Sequence[Slider],
    name: str,
    title: str,
    caption: str,
    alt_text: str,
    log: str = "x",
    y_title: str = "",
    y_format: str = "~s",
    rule: Formula | None = None,
    rule_label: str = "right",
    names_at: Sequence[tuple[float, str]] = (),
    key: bool = False,
    colours: Sequence[str] = style.PALETTE,
    readouts: Sequence[Readout] = (),
    presets: Mapping[str, Mapping[sp.Symbol, float]] | None = None,
) -> Explorable:
    """The common case: formulas as lines over one symbol, the others on sliders.

    Args:
        formulas: one line each, labelled with its name.
        x: the symbol along the axis; whole numbers only, if it is a count.
        over: from where to where; ascending.
        sliders: one for each other symbol of the formulas.
        name, title, caption, alt_text, readouts, presets: see :class:`Explorable`.
        log: which axes are logarithmic: ``""``, ``"x"``, ``"y"`` or ``"xy"``.
        y_title, y_format: the vertical axis: its title, and the format of its labels.
        rule: a value of ``x`` to mark with a vertical line, as a formula of the sliders.
        rule_label: on which side of the line's foot its name stands, "left" or "right": where
            the curves are not.
        names_at: where the name of each line stands: how far along the axis, from 0 to 1, and on
            which side of the line there, "above", "below" or "left".
        key: whether names stand above the chart instead, for lines that lie so close, at some
            setting, that a name beside one would lie on another.
        colours: those of the lines, in turn; for what has a colour in other figures.

    Raises:
        ValueError: naming ``over``, ``sliders`` or ``log`` where they do not fit the formulas.
    """
    formulas = [formulas] if isinstance(formulas, Formula) else list(formulas)
    _check_axes(over, log)
    _check_sliders(formulas, x, sliders)
    traces = [Trace(f"y_{k}", formula, {x: "x"}) for k, formula in enumerate(formulas)]
    across = _across(x, over, "x" in log)
    rows = _along(x, over, "x" in log)
    layers = []
    for number, trace in enumerate(traces):
        chart = rows.encode(across, _upwards(trace, y_title, y_format, "y" in log))
        place = _name_place(number, len(traces), names_at) if len(traces) > 1 and not key else None
        layers += _labelled_line(chart, trace, _look(number, colours), sliders, place)
    if key:
        layers = _in_a_key(layers, traces, colours)
    if rule is not None:
        layers += _rule(rule, over, across, sliders, rule_label)
    return Explorable(
        name=name,
        title=title,
        caption=caption,
        alt=alt_text,
        chart=alt.layer(*layers).properties(width="container", height=HEIGHT),
        sliders=sliders,
        traces=traces,
        table=_table(formulas, x, over, "x" in log, y_title, y_format),
        readouts=readouts,
        presets=presets or {},
    )


def _check_axes(over: tuple[float, float], log: str) -> None:
    low, high = over
    if not low < high or ("x" in log and low <= 0):
        raise ValueError(f"over must ascend, and be positive on a logarithmic axis, got {over}")
    if set(log) - {"x", "y"}:
        raise ValueError(f"log must be '', 'x', 'y' or 'xy', got {log!r}")


def _check_sliders(formulas: Sequence[Formula], x: sp.Symbol, sliders: Sequence[Slider]) -> None:
    free = set().union(*(formula.symbols for formula in formulas)) - {x}
    if free != {slider.symbol for slider in sliders}:
        wanted, given = (sorted(map(str, s)) for s in (free, {s.symbol for s in sliders}))
        raise ValueError(f"sliders must set {wanted} and nothing else, got {given}")


def _across(x: sp.Symbol, over: tuple[float, float], log: bool) -> alt.X:
    kind: Any = "log" if log else alt.Undefined
    axis = alt.X("x:Q", title=_axis_title(x)).axis(grid=False, **_labels(log, "~s"))
    return axis.scale(domain=list(over), nice=False, type=kind)


def _upwards(trace: Trace, title: str, spec: str, log: bool) -> alt.Y:
    scale = alt.Scale(type="log") if log else alt.Scale(zero=True)
    return alt.Y(f"{trace.field}:Q", title=title, axis=alt.Axis(**_labels(log, spec)), scale=scale)


def _look(number: int, colours: Sequence[str]) -> dict[str, Any]:
    """The colour and the dashes of a line: after the last, the first again."""
    return {
        "color": colours[number % len(colours)],
        "strokeDash": style.DASHES[number % len(style.DASHES)],
    }


def _labels(log: bool, spec: str) -> dict[str, Any]:
    """How an axis writes its numbers: a logarithmic one as powers of ten, unless as shares."""
    if not log or spec.endswith("%"):
        return {"format": spec}
    power = "log(datum.value) / LN10"
    whole = f"abs({power} - round({power})) < 1e-9"
    return {"labelExpr": f"{whole} ? {POWERS}[round({power}) - {LOWEST}] : ''"}


def with_transforms(chart: alt.Chart, transforms: Sequence[dict]) -> alt.Chart:
    """The chart with transforms, as plain Vega-Lite, after those that it has."""
    chart = chart.copy()
    before = [] if chart.transform is alt.Undefined else chart.transform
    chart.transform = [*before, *map(alt.Transform.from_dict, transforms)]
    return chart


def _along(x: sp.Symbol, over: tuple[float, float], log: bool) -> alt.Chart:
    """Rows with a column x, evenly spaced on the axis; whole numbers where x is a count."""
    low, high = (math.log(end) if log else end for end in over)
    position = f"{low} + datum.step * {(high - low) / (POINTS - 1)}"
    position = f"exp({position})" if log else position
    position = f"round({position})" if x.is_integer else position
    return alt.Chart(alt.sequence(0, POINTS, as_="step")).transform_calculate(x=position)


_SIDES: Mapping[str, Mapping[str, Any]] = {
    "above": dict(align="right", dy=-12),
    "below": dict(align="left", baseline="top", dx=4, dy=6),
    "left": dict(align="right", dx=-10),
}


def _name_place(
    number: int, lines: int, names_at: Sequence[tuple[float, str]]
) -> tuple[float, str]:
    """Where a line's name stands, unless somebody says otherwise.

    The first stands above its line, at the right end. Others stand beneath theirs, where a line
    that rises leaves room, and not beneath each other.
    """
    if names_at:
        return names_at[number]
    return (1, "above") if not number else ((1 + number) / (1 + lines), "below")


def _labelled_line(
    chart: alt.Chart,
    trace: Trace,
    look: Mapping[str, Any],
    sliders: Sequence[Slider],
    place: tuple[float, str] | None,
) -> list[alt.Chart]:
    """A line, and its name at ``place`` if it is one of several."""
    chart = with_transforms(chart, trace.transforms(sliders))
    line = chart.mark_line(**look)
    if place is None:
        return [line]
    along, side = place
    rows = chart.transform_window(row="row_number()", sort=[alt.SortField("x")])
    name = rows.transform_filter(f"datum.row == {max(1, round(along * POINTS))}")
    return [line, name.mark_text(text=trace.formula.name, **_SIDES[side])]


def _in_a_key(
    lines: Sequence[alt.Chart], traces: Sequence[Trace], colours: Sequence[str]
) -> list[alt.Chart]:
    """Lines with their names in a key, in two columns: four in a row are too wide for a phone."""
    names = [trace.formula.name for trace in traces]
    looks = [_look(number, colours) for number in range(len(names))]
    key = alt.Legend(title=None, orient="top", columns=2, columnPadding=20, symbolSize=600)
    colour, dashes = (
        channel("name:N", legend=key).scale(domain=names, range=[look[part] for look in looks])
        for channel, part in ((alt.Color, "color"), (alt.StrokeDash, "strokeDash"))
    )
    return [
        line.transform_calculate(name=f"'{name}'").encode(colour, dashes)
        for line, name in zip(lines, names, strict=True)
    ]


def _rule(
    rule: Formula, over: tuple[float, float], axis: alt.X, sliders: Sequence[Slider], side: str
) -> list[alt.Chart]:
    """A vertical line with its name, while it is on the axis."""
    at = rule.vega({slider.symbol: slider.symbol.name for slider in sliders})
    chart = alt.Chart(alt.sequence(0, 1, as_="step")).transform_calculate(x=at)
    chart = chart.transform_filter(f"datum.x >= {over[0]} && datum.x <= {over[1]}").encode(axis)
    # At the foot of the line: at its head, on a phone, it would meet the names of the curves.
    place = beside(at, len(rule.name), dx=6, side=side)
    label = chart.mark_text(text=rule.name, baseline="bottom", **place)
    label = label.encode(y=alt.value(HEIGHT - 6))
    return [chart.mark_rule(strokeDash=[4, 4], color=style.GREY), label]


def beside(at: str, letters: int, *, dx: int, side: str = "right") -> dict[str, Any]:
    """Where words of so many letters stand beside a mark: on the other side, if there is more room.

    Args:
        at: the mark's place on the horizontal axis, in Vega's language, of signals.
        letters: how many they have at most.
        dx: how many pixels from the mark.
        side: where they stand as long as there is room, "left" or "right".
    """
    room = dx + LETTER * letters
    least = f"max(width - {room}, width / 2)" if side == "right" else f"min({room}, width / 2)"
    left = f"scale('x', {at}) > {least}"
    return {
        "align": alt.expr(f"{left} ? 'right' : 'left'"),
        "dx": alt.expr(f"{left} ? {-dx} : {dx}"),
    }


def _table(
    formulas: Sequence[Formula],
    x: sp.Symbol,
    over: tuple[float, float],
    log: bool,
    y_title: str,
    y_format: str,
) -> Table:
    """Nine rows along the axis; the axis upwards says what several lines have in common."""
    grid = (np.geomspace if log else np.linspace)(*over, 9)
    grid = np.round(grid) if x.is_integer else grid
    columns = {formula.name: formula for formula in formulas}
    share = y_format if y_format.endswith("%") else ""
    quantity = y_title if len(columns) > 1 else ""
    values = [_plain(value) for value in grid]
    return Table(x, values, columns, _axis_title(x), share, quantity=quantity)


def _axis_title(symbol: sp.Symbol) -> str:
    meaning = MEANING[symbol]
    # A symbol that is a word of the label already needs no second mention.
    label = meaning.words if symbol.name in meaning.words.split() else f"{meaning.words} {symbol}"
    return label + (f" ({meaning.unit})" if meaning.unit not in ("", label) else "")


def _plain(value: float) -> int | float:
    """An int where it is one: JSON and labels without a trailing .0."""
    value = float(value)
    return int(value) if value.is_integer() else value


def _words(value: float) -> str:
    """A number as a reader would write it: 26,624 or 0.35."""
    text = f"{value:,.0f}" if abs(value) >= 1000 else f"{_plain(float(f'{value:.3g}')):,}"
    return signed(text)
