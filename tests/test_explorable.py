import functools
import inspect
import itertools
import json
import re
from dataclasses import replace

import altair as alt
import pytest
import sympy as sp
import vl_convert
from helpers.chapter_parts import functions
from helpers.sources import ROOT, pages
from hypothesis import given
from hypothesis import strategies as st

from attention_limits import figure_html
from attention_limits.explorable import (
    FOUR,
    Explorable,
    Readout,
    Slider,
    Table,
    Trace,
    explore,
)
from attention_limits.formula import Formula
from attention_limits.symbols import d, d_model, n, right, tau

WORK = Formula(4 * n**2 * d, "FLOPs", "work")
GIVEN = {
    "formulas": WORK,
    "x": n,
    "over": (1, 1024),
    "sliders": [Slider(d, (32, 64, 128), 64)],
    "name": "work",
    "title": "Work",
    "caption": "Move it.",
    "alt_text": "A line that rises.",
}


def walk(node):
    """Every dictionary inside a specification."""
    if isinstance(node, dict):
        yield node
        node = list(node.values())
    if isinstance(node, list):
        for part in node:
            yield from walk(part)


# --- sliders ----------------------------------------------------------------------------

numbers = st.floats(0.01, 1e4)


@given(numbers, numbers, st.floats(0, 1), st.integers(1, 200), st.booleans())
def test_a_real_slider_has_ascending_values_and_its_start(one, other, share, steps, log):
    """Two stops were the same, or the slider did not start where it said."""
    low, high = sorted((round(one, 2), round(other, 2) + 1e4))
    start = min(round(low + share * (high - low), 3), high)
    slider = Slider.between(tau, low, high, start, steps=steps, log=log)
    assert list(slider.values) == sorted(set(slider.values))
    assert slider.start in slider.values
    assert slider.values[0] == pytest.approx(low)
    assert slider.values[-1] == pytest.approx(high)


def test_steps_are_as_many_as_asked_for():
    """A slider was one step short, so that no stop fell on a quarter."""
    assert Slider.between(tau, 1, 2, 1, steps=4).values == (1, 1.25, 1.5, 1.75, 2)


@given(st.integers(1, 100), st.integers(101, 10**6), st.data(), st.booleans())
def test_a_count_has_whole_values(low, high, data, log):
    """A model could be 1448.155 wide, or `1448.0`."""
    start, stop = (data.draw(st.integers(low, high)) for _ in range(2))
    slider = Slider.between(d_model, low, high, start, log=log, also=(stop,))
    assert all(type(value) is int for value in slider.values)
    assert {low, high, start, stop} <= set(slider.values)
    assert list(slider.values) == sorted(set(slider.values))


BAD_SLIDERS = {
    "empty": (lambda: Slider(d, (), 1), "d must have two ascending values"),
    "one value": (lambda: Slider(d, (1,), 1), "d must have two ascending values"),
    "descending": (lambda: Slider(d, (2, 1), 1), "d must have two ascending values"),
    "twice the same": (lambda: Slider(d, (1, 1, 2), 1), "d must have two ascending values"),
    "nameless": (
        lambda: Slider(d, (1, 2), 1, names=("one",)),
        "d must have a name for each value or none, got ('one',)",
    ),
    "start between": (lambda: Slider(d, (1, 3), 2), "d must start at one of its values, got 2"),
    "zero": (lambda: Slider(d, (0, 1), 1), "d must be positive"),
    "fraction": (lambda: Slider(d, (1, 1.5), 1), "d must be an integer"),
    "stranger": (
        lambda: Slider(sp.Symbol("y"), (1, 2), 1),
        "symbol must be one of the book's, got y",
    ),
    "empty range": (lambda: Slider.between(tau, 2, 2, 2), "tau must have a range with low < high"),
    "turned range": (lambda: Slider.between(tau, 3, 2, 2), "tau must have a range with low < high"),
    "start outside": (lambda: Slider.between(tau, 1, 2, 5), "tau must start from 1 to 2, got 5"),
    "start below": (lambda: Slider.between(tau, 1, 2, 0.5), "tau must start from 1 to 2, got 0.5"),
    "half a count": (lambda: Slider.between(d, 1, 9, 2.5), "d must be an integer"),
}


@pytest.mark.parametrize(("make", "message"), BAD_SLIDERS.values(), ids=BAD_SLIDERS)
def test_bad_sliders_are_refused_by_name(make, message):
    """A slider that cannot move, or moves out of its symbol's domain, came on the page."""
    with pytest.raises(ValueError, match=re.escape(message)):
        make()


# --- explorables ------------------------------------------------------------------------

CHART = alt.Chart(alt.sequence(0, 2, as_="x")).mark_point()
BAD_EXPLORABLES = {
    "slider missing": ({"sliders": []}, "sliders must set ['d']"),
    "slider too many": (
        {"sliders": [*GIVEN["sliders"], Slider(tau, (1, 2), 1)]},
        "sliders must set ['d'] and nothing else, got ['d', 'tau']",
    ),
    "slider of the axis": (
        {"sliders": [*GIVEN["sliders"], Slider(n, (1, 2), 1)]},
        "sliders must set ['d'] and nothing else",
    ),
    "empty axis": ({"over": (4, 4)}, "over must ascend"),
    "turned axis": ({"over": (4, 2)}, "over must ascend"),
    "zero on a log axis": ({"over": (0, 2)}, "positive on a logarithmic axis"),
    "unknown axis": ({"log": "z"}, "log must be"),
    "no caption": ({"caption": " "}, "caption must be some text"),
    "no alt text": ({"alt_text": ""}, "alt must be some text"),
    "no title": ({"title": ""}, "title must be some text"),
    "no name": ({"name": "\n"}, "name must be some text"),
    "preset between stops": (
        {"presets": {"A": {d: 65}}},
        "presets must set d to one of its stops, got 65 from 'A'",
    ),
    "preset of no slider": (
        {"presets": {"A": {tau: 1}}},
        "presets must set tau to one of its stops, got 1 from 'A'",
    ),
    "readout of no slider": (
        {"readouts": [Readout("all", WORK)]},
        "readouts must have a slider for each symbol, got none for",
    ),
    "rule of no slider": (
        {"rule": Formula(tau)},
        "expr must be of the axis, the sliders and the columns, got tau",
    ),
}


@pytest.mark.parametrize(("wrong", "message"), BAD_EXPLORABLES.values(), ids=BAD_EXPLORABLES)
def test_bad_explorables_are_refused_by_name(wrong, message):
    """A chart was built that would be dead, mute or wrong in the browser."""
    with pytest.raises(ValueError, match=re.escape(message)):
        explore(**{**GIVEN, **wrong})


@pytest.mark.parametrize("drag", [(d, d), (d, n), (d,)])
def test_a_point_is_dragged_along_two_sliders(drag):
    """A page waited for a slider that is not there."""
    with pytest.raises(ValueError, match="drag must be two of the sliders or nothing"):
        replace(explore(**GIVEN), drag=drag)


def test_a_trace_needs_a_column_or_a_slider_for_each_symbol():
    """The parity test could not evaluate a trace, because nothing sets its symbol."""
    given = {"name": "a", "title": "A", "caption": "Try.", "alt": "See."}
    given["table"] = Table(n, (1,), {}, "n")
    sliders, traces = GIVEN["sliders"], [Trace("y", WORK, {n: "x"})]
    Explorable(chart=CHART, sliders=sliders, traces=traces, **given)
    with pytest.raises(ValueError, match=r"traces must have .*, got none for \{d\} of 'y'"):
        Explorable(chart=CHART, sliders=[], traces=traces, **given)


@pytest.mark.parametrize("log", ["", "x", "y", "xy"])
def test_axes_are_logarithmic_where_asked(log):
    """The axis was linear, or the points lay dense at one end."""
    encoding = explore(**GIVEN, log=log).spec["layer"][0]["encoding"]
    for axis in "xy":
        assert (encoding[axis]["scale"].get("type") == "log") == (axis in log)


def test_logarithmic_axes_write_powers_of_ten():
    """A reader met 100m and 10E on one axis, and 0.01 beside 10k."""
    small = Formula(WORK.expr / 10**10, "GB", "small")
    svg = vl_convert.vegalite_to_svg(explore(**GIVEN | {"formulas": small}, log="xy").spec)
    shown = re.findall(r">(10[⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+|[\d,.]+[a-zA-Zµ]?)</text>", svg)
    assert {"10²", "10³", "10⁻²", "10⁻⁴"} <= set(shown)
    assert [label for label in shown if not label.startswith("10")] == []


def test_several_lines_are_named():
    """Two lines, and nobody could say which was which."""
    both = [WORK, Formula(n * d**2, "FLOPs", "other work")]
    spec = explore(**{**GIVEN, "formulas": both}).spec
    texts = [node["text"] for node in walk(spec) if isinstance(node.get("text"), str)]
    assert texts == ["work", "other work"]


def test_a_key_names_lines_that_lie_close():
    """A name lay on another line than its own, as soon as a slider had moved."""
    both = [WORK, Formula(n * d**2, "FLOPs", "other work")]
    chart = explore(**{**GIVEN, "formulas": both}, key=True)
    lines = [layer for layer in chart.spec["layer"] if layer["mark"]["type"] == "line"]
    assert len(lines) == len(chart.spec["layer"]) == len(both)  # no name lies in the chart
    for line, formula in zip(lines, both, strict=True):
        assert line["transform"][-1] == {"calculate": f"'{formula.name}'", "as": "name"}
        for channel in ("color", "strokeDash"):
            scale = line["encoding"][channel]["scale"]
            assert scale["domain"] == ["work", "other work"]
            assert scale["range"] == [line["mark"][channel] for line in lines]


@pytest.mark.parametrize(
    ("formulas", "said"),
    [([WORK], ""), ([WORK, Formula(n * d**2, "FLOPs", "other work")], "work in FLOPs")],
)
def test_a_table_says_what_its_numbers_are(formulas, said):
    """Whoever does not see the axis found numbers beneath "global attention", and no quantity."""
    chart = explore(**{**GIVEN, "formulas": formulas}, y_title="work in FLOPs")
    shown = figure_html.on_page(chart.payload(), "work")
    (caption,) = re.findall("<caption>(.*?)</caption>", shown)
    assert caption.startswith("Work in FLOPs. For " if said else "For ")


def test_numbers_below_zero_have_a_minus():
    """Most screen readers pass over a hyphen: an offset of -6 was one of 6."""
    slider = Slider(right, (-6, 0, 6), -6)
    assert slider.labels == ["−6", "0", "6"]
    assert Readout("offset", Formula(right), ".1f").text(-2.5) == "−2.5"
    assert Table(right, (-6, 6), {"offset": Formula(right)}, "").cells({})[""] == ["−6", "6"]


# --- those of the book ------------------------------------------------------------------


MADE = {
    name: function
    for name, function in functions("explorables", Explorable).items()
    if not inspect.signature(function).parameters
}
each = pytest.mark.parametrize("name", MADE)


@functools.cache
def explorable(name):
    return MADE[name]()


@functools.cache
def picture(name):
    """What it looks like where its sliders start."""
    return vl_convert.vegalite_to_svg(explorable(name).spec)


def test_all_are_found():
    """The search went past a chapter, and its sliders went untested."""
    assert {"attention.look_up", "quadratic_cost.flops.first_slider"} <= MADE.keys()
    names = [explorable(name).name for name in MADE]
    assert len(names) == len(set(names)), "two explorables would share an id and a hash"


@each
def test_a_page_displays_it(name):
    """A figure was made and tested, and no reader ever met it."""
    sources = [ROOT / "index.md", *pages("chapters").values()]
    call = f"explorables.{name.rpartition('.')[2]}()"
    assert any(call in path.read_text(encoding="utf-8") for path in sources), f"no page has {call}"


@each
def test_the_payload_is_plain_data(name):
    """The page's JSON held NaN, which no browser reads, or an object that only Python knows."""
    payload = explorable(name).payload()
    assert json.loads(json.dumps(payload, allow_nan=False)) == payload


@each
def test_the_same_explorable_gives_the_same_bytes(name):
    """Two builds of one book differed."""
    again = MADE[name]().payload()
    assert json.dumps(again) == json.dumps(explorable(name).payload())
    assert vl_convert.vegalite_to_svg(again["spec"]) == picture(name)


@each
def test_it_compiles_without_a_warning(name, capfd):
    """Vega dropped an encoding, said so where nobody looks, and drew something else."""
    vega = vl_convert.vegalite_to_vega(explorable(name).spec, show_warnings=True)
    assert vega["marks"]
    assert vl_convert.vega_to_svg(vega).startswith("<svg")
    assert capfd.readouterr().err == ""


@each
def test_every_slider_moves_something(name):
    """A slider was dead."""
    chart = explorable(name)
    before = picture(name)
    for slider in chart.sliders:
        other = slider.values[-1] if slider.start != slider.values[-1] else slider.values[0]
        spec = json.loads(json.dumps(chart.spec))
        next(p for p in spec["params"] if p["name"] == slider.symbol.name)["value"] = other
        read = any(slider.symbol in readout.formula.symbols for readout in chart.readouts)
        assert read or vl_convert.vegalite_to_svg(spec) != before, f"{slider.symbol} is dead"


@each
def test_every_trace_is_drawn(name):
    """A column was computed, tested and never shown."""
    drawn = {node["field"] for node in walk(explorable(name).spec) if "field" in node}
    assert {trace.field for trace in explorable(name).traces} <= drawn


@each
def test_presets_and_starts_are_stops(name):
    """A preset put the slider between two of its stops."""
    chart = explorable(name)
    values = {slider.symbol.name: slider.values for slider in chart.sliders}
    payload = chart.payload()
    for slider in payload["sliders"]:
        assert len(slider["labels"]) == len(slider["values"]) == len(set(slider["labels"]))
        assert 0 <= slider["start"] < len(slider["values"])
    signals = {p["name"]: p["value"] for p in chart.spec["params"] if "value" in p}
    assert signals == {slider.symbol.name: slider.start for slider in chart.sliders}
    for _, setting in payload["presets"]:
        assert all(value in values[symbol] for symbol, value in setting.items())


@each
def test_readouts_start_at_their_formulas(name):
    """The number beside the chart was not the formula's."""
    chart = explorable(name)
    start = {slider.symbol.name: slider.start for slider in chart.sliders}
    for shown, readout in zip(chart.payload()["readouts"], chart.readouts, strict=True):
        value = readout.formula(**{s.name: start[s.name] for s in readout.formula.symbols})
        number, unit = as_number(shown["text"])
        assert number == pytest.approx(value, abs=1.01 * unit / 2)


def as_number(cell):
    """A cell's value, and the unit of its last digit: "12.5%" is 0.125, give or take 0.001."""
    cell = cell.translate(str.maketrans("−⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "--0123456789"))
    cell = re.sub(r"^10(?=-)", "1 · 10", cell)
    number = r"([-+]?[\d,]+(?:\.\d+)?)(?: · 10(-?\d+))?(%?)"
    digits, exponent, percent = re.fullmatch(number, cell).groups()
    scale = 10.0 ** (int(exponent or 0) - 2 * bool(percent))
    decimals = len(digits.partition(".")[2])
    return float(digits.replace(",", "")) * scale, 10.0**-decimals * scale


@each
def test_the_table_is_what_the_chart_shows_at_the_start(name):
    """Readers without JavaScript were told other numbers than those with it."""
    chart = explorable(name)
    start = {slider.symbol.name: slider.start for slider in chart.sliders}
    drawn = {trace.formula for trace in chart.traces}
    (_, across), *columns = chart.table.cells(chart.start).items()
    assert columns
    symbol = chart.table.along
    for (head, cells), row in itertools.product(columns, range(len(across))):
        formula = chart.table.columns[head]
        assert formula in drawn, f"the table has {head}, and the chart has not"
        at, unit = as_number(across[row])
        nearby = [at] if symbol.is_integer else [at - unit / 2, at, at + unit / 2]
        values = [
            formula(**{s.name: at if s == symbol else start[s.name] for s in formula.symbols})
            for at in nearby
        ]
        shown, unit = as_number(cells[row])
        assert min(values) - 0.51 * unit <= shown <= max(values) + 0.51 * unit, (head, row)


@each
def test_words_are_sentences(name):
    """A caption broke off, or an alternative text said "chart"."""
    chart = explorable(name)
    for text in (chart.caption, chart.alt):
        assert re.match(r"[A-Z]", text)
        assert re.search(r"[.?!]$", text)
        assert len(text.split()) >= 8
        assert "  " not in text
    assert not chart.title.endswith(".")
    assert re.fullmatch(r"[a-z0-9-]+", chart.name)


def test_the_table_test_reads_cells():
    """A table that says nothing would pass."""
    assert as_number("12.5%") == (pytest.approx(0.125), pytest.approx(0.001))
    assert as_number("-1,024") == (-1024, 1)
    assert as_number("−1.074 · 10⁹") == (pytest.approx(-1.074e9), pytest.approx(1e6))
    assert as_number("10⁻⁸") == (pytest.approx(1e-8), pytest.approx(1e-8))


@pytest.mark.parametrize(
    ("value", "text"), [(6554.7, "6,555"), (24.334, "24.33"), (0.00186, "0.00186"), (7.0, "7")]
)
def test_four_digits_where_a_number_may_be_small_or_large(value, text):
    """A readout said 6,554.700 s."""
    assert Readout("time", Formula(n, "s"), FOUR).text(value) == text


@pytest.mark.parametrize(
    ("name", "letter"),
    [
        ("n", " <var>n</var>"),
        ("taps", " <var>k</var>"),
        ("alpha", " <var>α</var>"),
        ("n_max", " <var>n<sub>max</sub></var>"),
        ("n_star", " <var>n*</var>"),
        ("right", " <var>Δ<sub>x</sub></var>"),
        ("vocabulary", ""),
        ("halved", ""),
    ],
)
def test_a_slider_says_the_letter_that_formulas_have(name, letter):
    """It said the name that code has, or a part of TeX."""
    assert figure_html._symbol(name) == letter
