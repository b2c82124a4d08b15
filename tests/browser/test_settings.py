"""What readers set in their system or their browser: no scripts, forced colours, large letters."""

import pytest
from helpers.built import figures, pages, written
from helpers.selection import pairs_in_turn

pytestmark = pytest.mark.browser

PHONE = 390
ONE_A_WEEK = [
    pytest.param(pair.values[0], marks=pair.marks) for pair in pairs_in_turn(pages(), [PHONE])
]
DARK = "rgb(18, 18, 18)"
BACKGROUND = "getComputedStyle(document.body).backgroundColor"
CONTROLS = "button, input, select, textarea, [role=slider], [onclick]"
# Of the words of a drawing, the smallest in pixels; an exponent may be smaller.
WORDS = """(svg) => Math.min(...[...svg.querySelectorAll("text")].map((text) =>
    parseFloat(getComputedStyle(text).fontSize) * svg.getBoundingClientRect().width
        / svg.viewBox.baseVal.width))"""


@pytest.mark.parametrize("page", ONE_A_WEEK)
def test_without_scripts(page, book, address, open_tab):
    """A button that does nothing, white light in the night, a page without a way to the others."""
    tab = open_tab(address("file", page), width=PHONE, theme="dark", javascript=False)
    assert tab.page.evaluate(BACKGROUND) == DARK
    visible = [control for control in tab.page.locator(CONTROLS).all() if control.is_visible()]
    for control in visible:
        control.focus()  # as a tap does
        menu = control.locator("xpath=following-sibling::ul")
        assert menu.count() == 1, control.evaluate("e => e.outerHTML")
        assert menu.get_by_role("link").first.is_visible()
    tab.page.get_by_role("link", name="Contents", exact=True).click()
    assert tab.page.locator("#pst-primary-sidebar a").last.is_visible()
    assert not tab.stumbles()
    for svg in tab.page.locator("figure.explorable .explorable-view svg").all():
        assert svg.evaluate(WORDS) > 10.9
    tab.close()


WINDOWS = [  # on a phone once a week, and in both in `make deep`
    *pairs_in_turn(pages(), [PHONE]),
    *(pytest.param(page, 1280, marks=pytest.mark.deep) for page in pages()),
]


@pytest.mark.parametrize(("page", "width"), WINDOWS)
def test_letters_twice_as_large(page, width, book, address, open_tab):
    """Who has browsers write larger lost the end of a button, of a slider or of a word."""
    tab = open_tab(address("http", page), width=width)
    tab.wake()
    tab.page.add_style_tag(content="html { font-size: 200% !important; }")
    tab.settle()
    assert not tab.stumbles()
    tab.close()


OWN = """(element) => {
    const { borderTopColor: border, backgroundColor: ground, outline } = getComputedStyle(element);
    return { border, ground, outline };
}"""


def test_in_forced_colours(book, address, open_tab):
    """There a colour tells nothing: neither which token is asked for, nor where a badge ends."""
    tab = open_tab(address("http", "library/tasks.html"))
    tab.page.emulate_media(forced_colors="active")
    asked, plain = (
        tab.page.locator(f"ol.tokens li{which}").first.evaluate(OWN)
        for which in (".asked", ":not(.asked)")
    )
    assert asked["border"] != plain["border"]
    tab.close()
    page, name = min(figures(), key=lambda where: len(written(where[0])))
    tab = open_tab(address("http", page))
    tab.page.emulate_media(forced_colors="active")
    tab.wake()
    slider = tab.page.locator(f"figure#{name} input").first
    slider.focus()
    tab.page.keyboard.press("ArrowRight")
    assert " solid 3px" in slider.evaluate(OWN)["outline"]
    tab.close()
