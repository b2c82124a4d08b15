"""The same pages in Firefox, which sets, draws and scrolls by rules of its own.

Where there is none, as in CI, these tests are skipped by name.
"""

import os
import shutil

import pytest
from helpers.built import figures, pages
from helpers.firefox import Firefox
from helpers.selection import today
from helpers.windows import READING, SETTLE

PATH = os.environ.get("FIREFOX") or shutil.which("firefox-esr") or shutil.which("firefox")
MISSING = "no Firefox found: install it to try the pages there"
pytestmark = pytest.mark.skipif(PATH is None, reason=MISSING)

WIDTHS = (1280, 768, 320)
END = "\ue010"  # the key, as WebDriver writes it
# The first page of a new window is said to be complete before it is.
WAKE = """async () => {
    const loaded = new Promise((resolve) => addEventListener("load", resolve));
    if (document.readyState !== "complete") await loaded;
    const figures = [...document.querySelectorAll("figure.explorable")];
    await Promise.all(figures.map(({ explorable }) => explorable.draw()));
    await document.fonts.ready;
}"""
# Formulas that have no size: their fonts, or the style of the engine that set them, did not come.
UNSET = """() => [...document.querySelectorAll("article mjx-container mjx-math")]
    .filter((e) => e.checkVisibility() && e.getBoundingClientRect().width < 2).length"""
FOCUS = """(id, name) => {
    const slider = document.getElementById(id).querySelector(`[data-signal="${name}"]`);
    slider.valueAsNumber = 0;
    slider.dispatchEvent(new Event("input", { bubbles: true }));
    slider.focus();
}"""
SIGNALS = """(id) => [...document.getElementById(id).querySelectorAll("[data-signal]")]
    .map((slider) => slider.dataset.signal)"""
DRAWN = """(id) => document.querySelector(`#${id} .explorable-view svg`).innerHTML"""


# One page a day; all of them in `make deep`.
TODAY = pages()[today() % len(pages())]
SOME = [page if page == TODAY else pytest.param(page, marks=pytest.mark.deep) for page in pages()]


@pytest.fixture(scope="module")
def firefox(tmp_path_factory):
    """One window for all pages."""
    firefox = Firefox(PATH, tmp_path_factory.mktemp("firefox"))
    yield firefox
    firefox.close()


@pytest.mark.parametrize("page", SOME)
def test_reads_as_well(page, firefox, address):
    """A page that complains, scrolls sideways or is cut, an unset formula, a dead slider."""
    firefox.open(address("http", page), WIDTHS[0])
    firefox.evaluate(WAKE)
    for width in WIDTHS:
        firefox.resize(width)
        firefox.evaluate(SETTLE)
        assert not firefox.evaluate(READING)
    assert not firefox.evaluate(UNSET)
    for where, name in figures():
        if where == page:
            check_sliders(firefox, name)
    assert not firefox.noise()


def check_sliders(firefox, name):
    """A key moves each of them, and the drawing follows."""
    for signal in firefox.evaluate(SIGNALS, name):
        firefox.evaluate(FOCUS, name, signal)
        firefox.evaluate(SETTLE)
        low = firefox.evaluate(DRAWN, name)
        firefox.press(END)
        firefox.evaluate(SETTLE)
        assert firefox.evaluate(DRAWN, name) != low, f"{signal} of {name} moves nothing"
