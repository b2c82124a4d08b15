"""Figures with sliders in a notebook: what the kernel sends, and what a front end makes of it.

Here a page plays the front end: it does what anywidget does, for any version of ipywidgets. The
real one, JupyterLab, is for `make deep` (test_jupyterlab.py).
"""

import base64
import json

import pytest
from helpers.built import makers

from attention_limits import live
from attention_limits.numerals import numeral

pytestmark = pytest.mark.browser

# A table that grows with a slider; names to choose from, presets and read-outs.
NAMES = ("attention.look_up", "quadratic_cost.inference.seconds")

HOST = """async ({ esm, css, script, figures }) => {
    const style = document.createElement("style");
    style.textContent = css;
    document.head.append(style);
    window.unpacked = 0;
    const bytes = Uint8Array.from(atob(script), (c) => c.charCodeAt(0));
    const bundle = { get: () => (unpacked++, new DataView(bytes.buffer)) };
    const widget_manager = { get_model: async (id) => id === "bundle" ? bundle : null };
    await Promise.all(figures.map(async (state) => {
        const poster = document.createElement("figure");
        poster.dataset.poster = state.poster;
        const el = document.createElement("div");
        el.className = "jp-OutputArea-output";
        document.body.append(poster, el);
        // Each widget is a module of its own, as in anywidget.
        const address = URL.createObjectURL(new Blob([esm], { type: "text/javascript" }));
        const { render } = (await import(address)).default;
        await render({ model: { get: (name) => state[name], widget_manager }, el });
    }));
}"""
# What JupyterLab says of lists of terms, and of letters, in the output of a cell.
JUPYTERLAB = """
.jp-OutputArea-output :is(dl, dt, dd) { display: block }
.jp-OutputArea-output dl { width: 100%; overflow: hidden; padding: 0; margin: 0 }
.jp-OutputArea-output dt { font-weight: bold; float: left; width: 20%; padding: 0; margin: 0 }
.jp-OutputArea-output dd { float: left; width: 80%; padding: 0; margin: 0 }
body { background: #111; color: rgb(238, 238, 238); font-size: 13px }
"""
MOVE = """async (figure, [signal, stop]) => {
    const input = figure.querySelector(`[data-signal="${signal}"]`);
    input.value = stop;
    input.dispatchEvent(new Event("input"));
    await figure.explorable.view.runAsync();
    await new Promise((resolve) => setTimeout(resolve));
}"""


@pytest.fixture(scope="module")
def shown(browser):
    """Some figures, the first of them twice, in a dark notebook."""
    page = browser.new_page()
    said = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    figures = [makers()[name]() for name in (NAMES[0], *NAMES)]
    widgets = [live.Figure(**one.in_notebook()) for one in figures]
    page.add_style_tag(content=JUPYTERLAB)
    script = base64.b64encode(widgets[0].vega.packed).decode()
    states = [{"html": w.html, "poster": w.poster, "vega": "IPY_MODEL_bundle"} for w in widgets]
    sent = {"esm": live.Figure._esm, "css": live.Figure._css, "script": script, "figures": states}
    page.evaluate(HOST, sent)
    assert not said
    yield page
    assert not said
    page.close()


def numbers(figure):
    """What a figure says: its read-outs, its table, and what a screen reader hears of it."""
    said = figure.locator(".explorable-readouts dd, td, output").all_text_contents()
    return said, figure.locator(".explorable-view").get_attribute("aria-label")


def test_a_notebook_s_figure_draws_and_follows_its_slider(shown):
    """It was blank, or another than the page's: no presets, no read-outs, no table."""
    for number, name in enumerate(NAMES, 1):
        figure, source = shown.locator("figure.explorable").nth(number), makers()[name]()
        assert figure.locator(".explorable-view svg path").count() > 3
        assert figure.locator("[data-preset]").count() == len(source.presets)
        said, heard = numbers(figure)
        slider = source.sliders[-1]
        stop = 5 if slider.start != slider.values[5] else 0
        figure.evaluate(MOVE, [slider.symbol.name, stop])
        assert numbers(figure)[0] != said
        assert numbers(figure)[1] != heard
        cells = source.table.cells({**source.start, slider.symbol: slider.values[stop]})
        rows = zip(*cells.values(), strict=True)
        assert figure.locator("td").all_text_contents() == [cell for row in rows for cell in row]


def test_shown_twice_it_is_two_figures(shown):
    """A label named the other one's slider, or both moved at once; Vega came once for each."""
    first, second = (shown.locator("figure.explorable").nth(number) for number in (0, 1))
    before = numbers(second)
    first.evaluate(MOVE, ["tau", 3])
    assert numbers(second) == before
    ids = shown.evaluate("[...document.querySelectorAll('[id]')].map((e) => e.id)")
    assert len(ids) == len(set(ids))
    assert shown.evaluate("unpacked") == 1


def test_its_picture_goes_when_it_lives_and_text_has_the_notebook_s_colour(shown):
    """Black words on a dark notebook; a picture and a chart of one figure."""
    assert shown.locator("figure[data-poster]:visible").count() == 0
    text = shown.locator(".explorable-view svg text").first
    assert text.evaluate("e => getComputedStyle(e).fill") == "rgb(238, 238, 238)"


def test_its_words_are_laid_out_as_on_the_page(shown):
    """In JupyterLab read-outs stood in one column, right under a button; captions were large."""
    figure = shown.locator("figure.explorable").last
    button, *terms = (
        one.bounding_box()
        for one in figure.locator(".explorable-reset, .explorable-readouts dt").all()
    )
    assert terms[1]["y"] == terms[0]["y"]
    assert terms[0]["y"] > button["y"] + button["height"] + 5
    size = "e => parseFloat(getComputedStyle(e).fontSize)"
    assert figure.locator("figcaption").evaluate(size) <= figure.evaluate(size)


def test_numbers_are_written_as_in_python(shown):
    """The table said 0.1 and 1e-7 where the book says 10⁻⁷."""
    values = [
        0,
        1,
        -3,
        1024,
        999.96,
        1000.4,
        1234567.8,
        1e-4,
        0.00001,
        1.5e-7,
        -2.25e20,
        1e15,
        7e14,
    ]
    values += [0.1 + 0.2, 1e21, 123.456, -0.03125, 9999.5, 1e-300]
    esm = json.dumps(live.Figure._esm)
    script = f"""async (values) => {{
        const address = URL.createObjectURL(new Blob([{esm}], {{ type: "text/javascript" }}));
        return values.map((await import(address)).default.numeral);
    }}"""
    assert shown.evaluate(script, values) == [numeral(value) for value in values]
