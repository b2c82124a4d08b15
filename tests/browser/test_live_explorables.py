"""Every figure with sliders: alive, true to its formulas, usable by everybody, shareable.

Each page is opened once, over http, and all of its figures are tried in that tab. Fresh tabs are
for what happens at the opening: links, a page loaded again, one from disk, one without JavaScript.
"""

import json
from dataclasses import dataclass

import numpy as np
import pytest
from helpers.built import alike, figures, kinds, soup, sources, written
from helpers.selection import in_turn, today
from helpers.windows import WIDTHS

from attention_limits.explorable import Explorable
from attention_limits.numerals import singular

pytestmark = pytest.mark.browser


def names_on(page: str) -> list[str]:
    """The figures of a page."""
    return [name for where, name in figures() if where == page]


DESKTOP = 1280  # pixels across
PAGES = sorted({page for page, _ in figures()})
SMALLEST = min(figures(), key=lambda where: len(written(where[0])))  # where any figure will do
# What is a matter of the script and the style sheet, not of a figure: the lightest page of each
# kind, and the one with the most figures; of each, a figure. `make deep` tries the others, too.
MOST = max(PAGES, key=lambda page: len(names_on(page)))
TYPICAL = [
    page if page in {*kinds(), MOST} else pytest.param(page, marks=pytest.mark.deep)
    for page in PAGES
]
# Where a link has most to pass. Those of other kinds are opened by a link from disk.
CROWDED = [page if page == MOST else pytest.param(page, marks=pytest.mark.deep) for page in PAGES]
LAST = dict(figures())  # of each page, which everything above it pushes down
TYPICAL_FIGURES = [
    (page, name)
    if page in TYPICAL and name == LAST[page]
    else pytest.param((page, name), marks=pytest.mark.deep)
    for page, name in figures()
]
by_script = pytest.mark.parametrize(
    "live", TYPICAL_FIGURES, indirect=True, ids=[name for _, name in figures()]
)
TOLERANCE = 1e-9  # relative; sums are added in different orders
KEYS = {"ArrowRight": 1, "ArrowUp": 1, "ArrowLeft": -1, "ArrowDown": -1, "Home": -999, "End": 999}

# Called with the figure's id first. `settled` waits for Vega, and for what follows its promise.
SCRIPT = """
    const settled = async (id) => {
        await view(id).runAsync();
        await new Promise((resolve) => setTimeout(resolve));
    };
    const view = (id) => document.getElementById(id).explorable.view;
    const slider = (id, name) =>
        document.getElementById(id).querySelector(`[data-signal="${name}"]`);
    window.test = {
        move: async (id, stops) => {
            for (const [name, value] of Object.entries(stops)) {
                slider(id, name).value = value;
                slider(id, name).dispatchEvent(new Event("input", { bubbles: true }));
                slider(id, name).dispatchEvent(new Event("change", { bubbles: true }));
                await settled(id);
            }
        },
        click: async (id, selector) => {
            document.getElementById(id).querySelector(selector).click();
            await settled(id);
        },
        rows: (id, field, columns) => {
            const { data } = view(id).getState({ data: () => true, signals: () => false });
            return Object.keys(data).flatMap((name) => view(id).data(name) ?? [])
                .filter((row) => [field, ...columns].every((column) => column in row))
                .map((row) => [field, ...columns].map((column) => row[column]));
        },
        state: async (id) => {
            await settled(id);
            const figure = document.getElementById(id);
            const sliders = [...figure.querySelectorAll("[data-signal]")];
            const readouts = [...figure.querySelectorAll("[data-readout]")];
            const each = (f) => Object.fromEntries(sliders.map((s) => [s.dataset.signal, f(s)]));
            return {
                at: each((s) => s.valueAsNumber),
                said: each((s) => s.ariaValueText),
                shown: each((s) => s.closest("div").querySelector("output").value),
                signals: each((s) => view(id).signal(s.dataset.signal)),
                readouts: readouts.map((r) => view(id).signal(`readout_${r.dataset.readout}`)),
                texts: readouts.map((r) => r.textContent),
                setting: figure.querySelector(".explorable-setting").textContent,
                heard: figure.querySelector(".explorable-view").ariaLabel,
                caption: figure.querySelector("caption").textContent,
                cells: [...figure.querySelectorAll("tbody tr")].map((row) =>
                    [...row.cells].map((cell) => cell.textContent)),
            };
        },
        follow: async (id, hash) => {
            const turned = new Promise((done) => (window.onhashchange = done));
            location.hash = hash;
            await turned; // ours is the last to hear: the book has begun to follow, and ends soon
            await new Promise((resolve) => setTimeout(resolve));
            await settled(id);
        },
        everything: async (id, fields) => {
            const state = await window.test.state(id);
            const rows = fields.map(([field, columns]) => window.test.rows(id, field, columns));
            return [state, rows];
        },
        drawing: (id) => document.querySelector(`#${id} .explorable-view svg`).innerHTML,
    };
"""


IN_VIEW = """(figure) => {
    const { top, bottom } = figure.getBoundingClientRect();
    return top + 100 < innerHeight && bottom > 100;
}"""


# Whether all of an element is in the window, below the header.
SEEN = """(element) => {
    const { top, bottom } = element.getBoundingClientRect();
    const header = document.querySelector(".bd-header-article").getBoundingClientRect().bottom;
    return top >= header - 1 && bottom <= innerHeight;
}"""
# The names of lines that lie on another line than their own.
LAID_OVER = """(figure, names) => {
    const lines = [...figure.querySelectorAll(".explorable-view .mark-line path")].map((path) => {
        const [matrix, length] = [path.getScreenCTM(), path.getTotalLength()];
        const at = (step) => path.getPointAtLength(length * step / 400).matrixTransform(matrix);
        return Array.from({ length: 401 }, (_, step) => at(step));
    });
    return [...figure.querySelectorAll(".explorable-view .role-mark text")].filter((text) => {
        const { left, right, top, bottom } = text.getBoundingClientRect();
        const own = names.indexOf(text.textContent);
        return own >= 0 && lines.some((line, number) => number !== own && line.some(
            ({ x, y }) => x > left && x < right && y > top + 3 && y < bottom - 3));
    }).map((text) => text.textContent);
}"""


@dataclass
class Live:
    """One explorable, open in the browser, beside the Python object that it was made from."""

    tab: object
    page: str
    id: str
    source: Explorable

    def __post_init__(self) -> None:
        self.sliders = {slider.symbol.name: slider for slider in self.source.sliders}
        self.figure = self.tab.page.locator(f"figure#{self.id}")
        self.start = {name: s.values.index(s.start) for name, s in self.sliders.items()}

    def wait(self) -> None:
        """Until it lives."""
        self.figure.and_(self.tab.page.locator("[data-ready]")).wait_for()

    def call(self, function: str, *args: object) -> object:
        return self.tab.page.evaluate(
            "([f, args]) => window.test[f](...args)", [function, [self.id, *args]]
        )

    def move(self, stops: dict[str, int]) -> None:
        self.call("move", stops)

    def far(self) -> dict[str, int]:
        """Move each slider to an end where it did not start, and wait for the address to say so."""
        ends = {n: len(s.values) - 1 if self.start[n] == 0 else 0 for n, s in self.sliders.items()}
        self.move(ends)
        self.linked()
        return ends

    def linked(self) -> None:
        """Wait for the address to say where the sliders are."""
        link = f"#{self.id}?" + "&".join(f"{name}={at}" for name, at in self.values().items())
        self.tab.page.wait_for_function("link => location.hash === link", arg=link)

    def check_opened(self, state: dict) -> None:
        """A link has just been opened: what it led to lives, in sight, as it was."""
        self.wait()
        self.tab.typeset()
        assert self.figure.evaluate(IN_VIEW), "the reader has to look for it"
        assert self.state() == state
        self.check()

    def input(self, name: str):
        return self.figure.locator(f'[data-signal="{name}"]')

    def state(self) -> dict:
        return self.call("state")

    def values(self) -> dict[str, float]:
        return {name: self.sliders[name].values[at] for name, at in self.state()["at"].items()}

    def check(self) -> None:
        """All that it computes and says, for where its sliders are now."""
        fields = [[trace.field, list(trace.columns.values())] for trace in self.source.traces]
        state, rows = self.call("everything", fields)
        values = {name: self.sliders[name].values[at] for name, at in state["at"].items()}
        assert state["signals"] == pytest.approx(values, rel=1e-15), (
            "a slider and its signal differ"
        )
        for name, slider in self.sliders.items():
            label = slider.labels[state["at"][name]]
            unit = singular(slider.unit) if label == "1" else slider.unit
            assert state["said"][name] == state["shown"][name] == f"{label} {unit}".strip()
        self.check_traces(rows, values)
        self.check_readouts(state, values)
        self.check_words(state, values)

    def check_traces(self, found: list[list], values: dict[str, float]) -> None:
        drawn, true = {}, {}
        for trace, rows in zip(self.source.traces, found, strict=True):
            columns = {symbol.name: column for symbol, column in trace.columns.items()}
            assert rows, f"no row of {self.id} has {trace.field} beside {columns}"
            drawn[trace.field], *given = np.array(rows, dtype=float).T
            given = dict(zip(columns, given, strict=True))
            needed = {s.name: given.get(s.name, values.get(s.name)) for s in trace.formula.symbols}
            true[trace.field] = np.atleast_1d(trace.formula.numpy(**needed))
        for trace in self.source.traces:
            # Where a formula passes through zero, rounding is relative to its terms: to how large
            # it is elsewhere, also in another trace. One point of a curve may be the zero itself.
            same = [
                true[other.field] for other in self.source.traces if other.formula is trace.formula
            ]
            np.testing.assert_allclose(
                drawn[trace.field],
                np.broadcast_to(true[trace.field], drawn[trace.field].shape),
                rtol=TOLERANCE,
                atol=1e-12 * max(np.nanmax(np.abs(column)) for column in same),
                err_msg=f"{trace.field} of {self.id} at {values}",
            )

    def check_readouts(self, state: dict, values: dict[str, float]) -> None:
        assert len(state["readouts"]) == len(self.source.readouts)
        for readout, got, text in zip(
            self.source.readouts, state["readouts"], state["texts"], strict=True
        ):
            needed = {s.name: values[s.name] for s in readout.formula.symbols}
            true = float(readout.formula.numpy(**needed))
            assert got == pytest.approx(true, rel=TOLERANCE), f"{readout.label} at {values}"
            # Python and JavaScript round a tie to different sides.
            either = {readout.text(true * (1 + nudge)) for nudge in (-1e-12, 0, 1e-12)}
            assert text in either, f"{readout.label} at {values}"

    def check_words(self, state: dict, values: dict[str, float]) -> None:
        """What is printed, what a screen reader hears, and the table: they follow."""
        said = {name: f"{s.label}: {state['said'][name]}" for name, s in self.sliders.items()}
        assert state["setting"] == f"Drawn for {'; '.join(said.values())}."
        assert "; ".join(said.values()) in state["heard"]
        rest = [words for name, words in said.items() if name != self.source.table.along.name]
        quantity = self.source.table.quantity
        words = [quantity[:1].upper() + quantity[1:], rest and f"For {'; '.join(rest)}"]
        assert state["caption"] == " ".join(f"{part}." for part in words if part)
        setting = {slider.symbol: values[name] for name, slider in self.sliders.items()}
        for row, true in zip(
            state["cells"],
            zip(*self.source.table.cells(setting).values(), strict=True),
            strict=True,
        ):
            assert alike(row, true), f"{row} is {true}"


@pytest.fixture(scope="module")
def show(address, open_tab):
    """Opens a figure, maybe with a state in the address, and waits until it lives."""

    def show(scheme: str, page: str, name: str, link: str = "", *, wake: bool = True) -> Live:
        tab = open_tab(address(scheme, page) + link)
        tab.page.evaluate(SCRIPT)
        if wake:
            tab.wake()
        assert name in sources(), f"no chapter has an explorable called {name}"
        return Live(tab, page, name, sources()[name])

    return show


@pytest.fixture(scope="module")
def opened(show):
    """A page that its figures share: long ones take seconds to open."""
    tabs = {}

    def opened(page: str, name: str) -> Live:
        if page not in tabs:
            tabs[page] = show("http", page, name).tab
        tabs[page].page.bring_to_front()  # what lies behind another is drawn no more
        return Live(tabs[page], page, name, sources()[name])

    return opened


@pytest.fixture(params=figures(), ids=[name for _, name in figures()])
def live(request, book, opened):
    """A figure where it starts; whatever a test does with it, the console stays empty."""
    live = opened(*request.param)
    live.tab.noise.clear()  # what the page said when it was opened is another test's
    live.figure.scroll_into_view_if_needed()
    live.call("click", ".explorable-reset")
    yield live
    assert not live.tab.noise


def stops(live: Live) -> list[dict[str, int]]:
    """Each slider at both ends and in the middle, the others where they start; and all together."""
    places = [lambda s: 0, lambda s: len(s.values) // 2, lambda s: len(s.values) - 1]
    alone = [{**live.start, n: place(s)} for n, s in live.sliders.items() for place in places]
    return [*alone, *({n: place(s) for n, s in live.sliders.items()} for place in places)]


def test_comes_to_life(live):
    """A figure that stays a poster, or one that shows poster and chart at once."""
    assert live.figure.locator(".explorable-view svg").count() == 1
    assert live.figure.locator(".explorable-view > div > svg").is_visible()
    assert live.figure.locator(".explorable-panel").is_visible()
    assert live.figure.locator("[data-signal]").count() == len(live.sliders)


def test_shows_what_the_formulas_say(live):
    """The browser's numbers are not NumPy's: a chart or a readout that lies."""
    live.check()
    for stop in stops(live):
        live.move(stop)
        live.check()


@pytest.mark.deep
@pytest.mark.parametrize(
    "live",
    [where for where in figures() if where[0].startswith("chapters/locality/")],
    indirect=True,
    ids=lambda where: where[1],
)
def test_no_name_lies_on_another_line(live):
    """ "In windows" was written on the line of the separable convolution."""
    names = list(live.source.table.columns)
    for stop in stops(live):
        live.move(stop)
        assert live.figure.evaluate(LAID_OVER, names) == [], stop


def test_sliders_have_names_and_say_their_value(live):
    """A slider that a screen reader calls "slider", or whose value it reads as a bare index."""
    for name, slider in live.sliders.items():
        named = live.figure.get_by_role("slider", name=slider.label)
        assert named.and_(live.input(name)).count() == 1, f"{name} is not labelled {slider.label!r}"
        assert live.input(name).locator("xpath=../span").is_visible()
    live.check()  # among others, that what is said is the value


@by_script
def test_keyboard_moves_sliders(live):
    """A slider that only a mouse can move."""
    for name, slider in live.sliders.items():
        live.input(name).focus()
        at, last = live.start[name], len(slider.values) - 1
        for key, by in KEYS.items():
            live.tab.page.keyboard.press(key)
            at = min(max(at + by, 0), last)
            assert live.input(name).input_value() == str(at), f"{key} on {name}"
        live.check()


@by_script
def test_reset_returns_to_the_start(live):
    """A reset that forgets a slider."""
    live.move({name: 0 if at else 1 for name, at in live.start.items()})
    assert live.values() != {name: slider.start for name, slider in live.sliders.items()}
    live.call("click", ".explorable-reset")
    assert live.state()["at"] == live.start
    live.check()


def test_presets_set_what_they_say(live):
    """A preset that sets another value than it promises, or leaves some slider where it was."""
    buttons = live.figure.locator("[data-preset]")
    assert buttons.all_inner_texts() == list(live.source.presets)
    for label, setting in live.source.presets.items():
        live.move({name: 0 if at else 1 for name, at in live.start.items()})
        live.call("click", f"[data-preset={json.dumps(label, ensure_ascii=False)}]")
        want = {name: slider.start for name, slider in live.sliders.items()}
        want |= {symbol.name: value for symbol, value in setting.items()}
        assert live.values() == want, label
        live.check()


def test_no_control_is_dead(live):
    """Something to press or to move that changes nothing in the drawing or the numbers."""

    def everything() -> tuple:
        state = live.state()
        return live.call("drawing"), state["at"], state["texts"]

    far = {name: 0 if at else 1 for name, at in live.start.items()}
    controls = live.figure.locator(":is(input, select, textarea, button, [role=slider])")
    for control in controls.all():
        if control.is_visible():
            live.move(far)
            before = everything()
            if signal := control.get_attribute("data-signal"):
                last = len(live.sliders[signal].values) - 1
                # Of two stops, it may stand at the last already.
                live.move({signal: last if far[signal] != last else 0})
            else:
                control.click()
            assert everything() != before, control.evaluate("e => e.outerHTML")
            if signal:
                assert live.call("drawing") != before[0], f"{signal} does not move the drawing"


@by_script
def test_link_brings_back_what_was_shown(live):
    """A teacher's link that shows the class something else than the teacher saw."""
    far = live.far()
    before, link = live.state(), live.tab.page.evaluate("location.hash")
    assert link.startswith(f"#{live.id}?")
    live.call("click", ".explorable-reset")
    live.call("follow", "#elsewhere")
    assert live.state()["at"] == live.start
    live.call("follow", link)
    assert live.state()["at"] == far
    assert live.state() == before


def shown_far(opened, page, name):
    """A link to a figure whose sliders were moved, and what it showed then."""
    there = opened(page, name)
    there.far()
    return there.tab.page.evaluate("location.hash"), there.state()


PRESET = [where for where in figures() if where[1] == "attention-share"]


@pytest.mark.parametrize("live", PRESET, indirect=True, ids=lambda where: where[1])
def test_what_came_of_a_move_is_told_once_the_hand_rests(live):
    """A screen reader heard every step of the way, or nothing at all."""
    status = live.figure.locator(".explorable-status")
    live.figure.locator("[data-preset]").first.click()
    told = status.filter(has_text=next(iter(live.source.presets)))
    told.wait_for(state="attached")
    assert live.figure.locator("[data-readout]").first.text_content() in told.text_content()


@pytest.mark.parametrize("live", figures()[:1], indirect=True, ids=lambda where: where[1])
def test_a_scroll_that_begins_on_a_slider_moves_nothing(live):
    """A thumb that scrolls past a figure changes it on its way."""
    name = next(iter(live.sliders))
    live.input(name).evaluate("e => e.scrollIntoView({ block: 'center', behavior: 'instant' })")
    box = live.input(name).bounding_box()
    top = live.tab.page.evaluate("scrollY")
    x, y = box["x"] + 0.9 * box["width"], box["y"] + box["height"] / 2
    with_a_finger(live.tab.page, *((x, y - 15 * step) for step in range(15)))
    live.tab.page.wait_for_function("top => scrollY > top", arg=top)
    assert live.state()["at"] == live.start


def with_a_finger(page, start, *way):
    """Touch the window there, and go along a way of places before the finger is lifted."""
    touch = page.context.new_cdp_session(page)
    for kind, (x, y) in [("touchStart", start), *(("touchMove", place) for place in way)]:
        points = [{"x": x, "y": y}]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    touch.detach()


def with_a_mouse(page, start, *way):
    """The same with a mouse."""
    page.mouse.move(*start)
    page.mouse.down()
    for place in way:
        page.mouse.move(*place)
    page.mouse.up()


def middle(locator):
    """Where in the window something stands."""
    box = locator.bounding_box()
    return np.array([box["x"] + box["width"] / 2, box["y"] + box["height"] / 2])


DRAGGED = [where for where in figures() if sources()[where[1]].drag]
by_point = pytest.mark.parametrize("live", DRAGGED, indirect=True, ids=lambda where: where[1])


@by_point
def test_a_point_that_is_dragged_takes_both_sliders_with_it(live):
    """A point that a finger could not take, that jumped, or that took one slider alone."""
    page, chart = live.tab.page, live.figure.locator(".explorable-view")
    chart.evaluate("e => e.scrollIntoView({ block: 'center', behavior: 'instant' })")
    grip, point = chart.locator(".explorable-grip"), chart.locator(".mark-symbol path").last
    across, up = (symbol.name for symbol in live.source.drag)
    top = page.evaluate("scrollY")
    for hand in (with_a_mouse, with_a_finger):
        live.call("click", ".explorable-reset")
        taken = middle(point) + 10  # beside its middle, which is not pulled under the hand
        for way in ((60, 40), (-30, 20)):
            before = live.state()["at"]
            place = middle(point)
            hand(page, taken, taken + np.array(way) / 2, taken + way)
            after = live.state()["at"]
            assert np.sign(after[across] - before[across]) == np.sign(way[0]), hand.__name__
            assert np.sign(after[up] - before[up]) == -np.sign(way[1]), hand.__name__
            off = np.abs(middle(point) - place - way)
            assert np.all(off <= (12, 4)), "it did not go with the hand, to the nearest stops"
            assert middle(grip) == pytest.approx(middle(point), abs=1)
            live.check()
            taken = middle(point) + 10
        live.linked()
        others = live.sliders.keys() - {across, up}
        assert {name: after[name] for name in others} == {name: live.start[name] for name in others}
    assert page.evaluate("scrollY") == top


@by_point
def test_a_scroll_that_begins_beside_the_point_moves_nothing(live):
    """On a phone, a chart that can be dragged was a trap for the thumb."""
    chart = live.figure.locator(".explorable-view")
    chart.evaluate("e => e.scrollIntoView({ block: 'center', behavior: 'instant' })")
    top = live.tab.page.evaluate("scrollY")
    x, y = middle(chart.locator(".explorable-grip")) - (0, 60)
    with_a_finger(live.tab.page, *((x, y - 15 * step) for step in range(15)))
    live.tab.page.wait_for_function("top => scrollY > top", arg=top)
    assert live.state()["at"] == live.start


@by_point
def test_who_moves_a_slider_by_keys_sees_the_point_that_it_moves(live):
    """Nothing told a reader of the keyboard what belongs to what; nor is there a stop too many."""
    grip = live.figure.locator(".explorable-grip")
    ringed = "e => getComputedStyle(e).outlineStyle === 'solid'"
    for slider in live.source.sliders:
        live.input(slider.symbol.name).focus()
        before = middle(grip)
        live.tab.page.keyboard.press("ArrowLeft")
        live.state()
        dragged = slider.symbol in live.source.drag
        assert grip.evaluate(ringed) == dragged, slider.label
        assert np.any(middle(grip) != before) == dragged, slider.label
    assert grip.evaluate("e => e.tabIndex") == -1


@pytest.mark.parametrize("page", CROWDED)
def test_a_link_opens_what_was_shown(page, book, show, opened):
    """A figure starts anew, or lies out of sight."""
    name = LAST[page]
    link, state = shown_far(opened, page, name)
    live = show("http", page, name, link, wake=False)
    live.check_opened(state)
    assert not live.tab.noise
    live.tab.close()


@pytest.mark.parametrize("page", sorted(set(PAGES) & set(kinds())))
def test_from_disk_it_is_the_same(page, book, show, opened):
    """A page on a USB stick, where a browser allows it least, that is dead or shows less."""
    name = LAST[page]
    link, state = shown_far(opened, page, name)
    live = show("file", page, name, link, wake=False)
    live.check_opened(state)
    assert not live.tab.noise
    live.tab.close()


@pytest.mark.parametrize("scheme", ["http", "file"])
def test_a_page_loaded_again_shows_the_same(scheme, book, show, opened):
    """The browser remembers where the sliders stood, and the page where they had started."""
    link, state = shown_far(opened, *SMALLEST)
    live = show(scheme, *SMALLEST, link, wake=False)
    live.check_opened(state)
    live.tab.page.reload()
    live.tab.page.evaluate(SCRIPT)
    live.check_opened(state)
    # What was still on its way, such as the tab's icon, is cut off, for no fault of the page.
    assert not [said for said in live.tab.noise if not said.endswith("net::ERR_ABORTED")]
    live.tab.close()


def test_a_link_shows_a_high_figure_from_its_title_on(book, show, opened):
    """On a phone the title and half of the chart lay above the window."""
    link, _ = shown_far(opened, *SMALLEST)
    live = show("http", *SMALLEST)
    live.tab.page.set_viewport_size({"width": 390, "height": 400})
    live.tab.settle()
    for query, title_is_seen in ((link, True), (f"#{live.id}?nobody=1", False)):
        live.call("follow", query)
        title, note = (live.figure.locator(f".explorable-{part}") for part in ("title", "note"))
        assert title.evaluate(SEEN) == title_is_seen
        assert note.evaluate(SEEN) != title_is_seen  # what the link asks in vain is told
    live.tab.close()


@pytest.mark.parametrize("live", figures()[:1], indirect=True, ids=lambda where: where[1])
def test_a_link_is_newer_than_the_hand_that_rests(live):
    """What Reset was about to write into the address took the place of a link just followed."""
    found = live.tab.page.evaluate(
        """async ([id, link]) => {
            const kept = [], own = window.setTimeout;
            window.setTimeout = (f, after) => (after === 200 ? kept.push(f) : own(f, after));
            document.querySelector(`#${id} .explorable-reset`).click();
            while (!kept.length) await new Promise((done) => own(done));
            window.setTimeout = own;
            location.hash = link;
            kept.forEach((f) => f()); // before the page hears that its address is another
            return location.hash;
        }""",
        [live.id, f"#{live.id}?zebra=1"],
    )
    assert found == f"#{live.id}?zebra=1"


@pytest.mark.parametrize("live", figures()[:1], indirect=True, ids=lambda where: where[1])
def test_broken_link_does_no_harm(live):
    """A mistyped link that breaks the figure, fills the console, or is ignored in silence."""
    name, slider = next(iter(live.sliders.items()))
    start, high = live.start[name], len(slider.values) - 1
    for query, (at, told) in {
        "": (start, ""),
        "&&=&zebra": (start, "there is no slider “zebra”"),
        "nobody=1": (start, "there is no slider “nobody”"),
        f"{name}": (start, f"“” is no value for {slider.label}"),
        f"{name}=banana": (start, f"“banana” is no value for {slider.label}"),
        f"{name}=NaN": (start, "“NaN” is no value"),
        f"{name}=1e999": (start, "“1e999” is no value"),
        f"{name}=-1e9": (start, f"“-1e9” is beyond the ends of {slider.label}"),
        f"{name}=1e9": (start, "beyond the ends"),
        f"{name}={slider.values[0]}&{name}={slider.values[-1]}": (high, ""),
        f"{name}=%E0%A4%A": (start, "no value"),
        "__proto__=1&constructor=2&&&===": (start, "there is no slider “__proto__”"),
    }.items():
        live.call("click", ".explorable-reset")
        live.call("follow", f"#{live.id}?{query}")
        assert live.state()["at"] == {**live.start, name: at}, query
        note = live.figure.locator(".explorable-note").inner_text()
        assert told in note if told else not note
        live.check()
    for link in (
        "#nobody?x=1",
        f"#{live.id}",
        "#?",
        "#%",
        "#a b?c=1",
        f"#{live.id}-2?{name}=1",
    ):
        live.call("follow", link)
    live.check()


@pytest.mark.parametrize("page", TYPICAL)
def test_prints_without_controls(page, book, opened):
    """On paper: sliders that nobody can move, a chart that is gone, a table that stays folded."""
    on_page = [opened(page, name) for name in names_on(page)]
    on_page[0].tab.page.emulate_media(media="print")
    try:
        for live in on_page:
            assert not live.figure.locator(".explorable-panel").is_visible()
            box = live.figure.locator(".explorable-view svg").bounding_box()
            assert box["width"] > 300
            assert box["height"] > 150
            assert live.figure.locator("table").bounding_box()["height"] > 50
            assert live.figure.locator("figcaption").is_visible()
            assert live.figure.locator(".explorable-setting").is_visible()
    finally:
        on_page[0].tab.page.emulate_media(media="screen")


@pytest.mark.parametrize("page", PAGES)
def test_follows_the_window(page, book, opened):
    """A chart that sticks out of its figure on a phone, or stays small when there is room again.

    And what `test_fits_its_window` says of pages without sliders: a page is made narrow once.
    """
    check_windows(page, opened, in_turn(page, WIDTHS, today()))


@pytest.mark.deep
@pytest.mark.parametrize("page", PAGES)
def test_follows_every_window(page, book, opened):
    """The same in all widths, of which each day has two."""
    check_windows(page, opened, WIDTHS)


def check_windows(page, opened, widths):
    names, wide, found = names_on(page), {}, {}
    tab = opened(page, names[0]).tab
    for width in (DESKTOP, *widths, DESKTOP):
        tab.resize(width)
        if width != DESKTOP and (stumbles := tab.stumbles()):
            found[width] = stumbles
        for name in names:
            box = chart_within_its_frame(opened(page, name))
            wide.setdefault((name, width), box["width"])
            assert box["width"] == pytest.approx(wide[name, width], rel=0.02)
    for name in names:
        opened(page, name).check()
    assert not found


@pytest.mark.deep
@pytest.mark.parametrize("width", [320, 390, 768])
def test_words_have_room_wherever_the_sliders_stand(live, width):
    """On a phone, a name left the figure at one end of a slider, or a bar was drawn backwards."""
    live.tab.resize(width)
    found = {}
    for stop in stops(live):
        live.move(stop)
        if words := live.tab.stumbles():
            found[str(stop)] = words
    live.tab.resize(DESKTOP)
    assert not found


def chart_within_its_frame(live):
    """How large the chart is, which fills its figure and shows its words in full size."""
    chart = live.figure.locator(".explorable-view svg")
    box, frame = chart.bounding_box(), live.figure.bounding_box()
    assert box["x"] >= frame["x"]
    assert box["x"] + box["width"] <= frame["x"] + frame["width"]
    assert box["width"] > 0.8 * frame["width"]
    drawn = chart.evaluate("e => e.viewBox.baseVal.width")
    assert box["width"] > 0.95 * drawn, "it was shrunk, and its words with it"
    return box


@pytest.mark.parametrize("link", ["#nobody?x=1&y=%E0%A4%A", "#{}?banana"])
def test_broken_link_opens_a_whole_page(link, book, show):
    """A link with garbage, opened afresh: some script of the page takes it for a selector."""
    page, name = SMALLEST
    live = show("file", page, name, link.format(name))
    assert live.state()["at"] == live.start
    live.check()
    assert not live.tab.noise
    live.tab.close()


@pytest.mark.parametrize("scheme", ["http", "file"])
def test_holding_a_key_is_quiet(scheme, book, show):
    """Browsers refuse a page that rewrites its address too often: Chromium warns, Safari throws."""
    live = show(scheme, *SMALLEST)
    live.tab.page.evaluate(
        """(input) => {
            for (let i = 0; i < 300; i++) input.dispatchEvent(new Event("change"));
        }""",
        live.input(next(iter(live.sliders))).element_handle(),
    )
    live.tab.page.wait_for_function("location.hash")  # once the hand rests
    live.check()
    assert not live.tab.noise
    live.tab.close()


@pytest.mark.parametrize("page", TYPICAL)
def test_without_javascript(page, book, address, open_tab):
    """A dead slider, or nothing to see, for readers without JavaScript."""
    tab = open_tab(address("file", page), javascript=False)
    for name in names_on(page):
        figure = tab.page.locator(f"figure#{name}")
        box = figure.locator(".explorable-view svg").bounding_box()
        frame = figure.bounding_box()
        assert box["width"] > 0.5 * frame["width"]
        assert box["x"] + box["width"] <= frame["x"] + frame["width"]
        controls = figure.locator(":is(input, select, textarea, button)")
        assert not [control for control in controls.all() if control.is_visible()]
        figure.locator("summary").click()
        assert figure.locator("table").is_visible()
        cells = [c.get_text() for c in soup(page).select(f"#{name} tbody td")]
        assert len(cells) >= 4
        assert all(cells)
        assert figure.locator("[data-readout]").all_inner_texts() == readouts_at_start(name)
    tab.close()


def readouts_at_start(name: str) -> list[str]:
    start = {slider.symbol: slider.start for slider in sources()[name].sliders}
    said = []
    for readout in sources()[name].readouts:
        f = readout.formula
        said.append(readout.text(float(f.numpy(**{s.name: start[s] for s in f.symbols}))))
    return said
