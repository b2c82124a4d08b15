"""Formulas in the browser: what is copied, and what does not fit into a line."""

import pytest

pytestmark = pytest.mark.browser

PAGE = "chapters/positional-encodings/rotary.html"  # many, some of them long
COPY = """(element) => {
    const range = document.createRange();
    range.selectNodeContents(element);
    getSelection().removeAllRanges();
    getSelection().addRange(range);
    const clipboardData = new DataTransfer();
    const how = { clipboardData, bubbles: true, cancelable: true };
    const event = new ClipboardEvent("copy", how);
    element.dispatchEvent(event);
    const kept = event.defaultPrevented ? clipboardData.getData("text/plain") : null;
    return [kept, clipboardData.getData("text/html")];
}"""


@pytest.fixture(scope="module")
def tab(address, open_tab):
    """On the narrowest of phones, from disk."""
    tab = open_tab(address("file", PAGE), width=320, theme="dark")
    yield tab
    tab.close()


def test_a_copied_paragraph_keeps_its_formulas(tab):
    """It had gaps where they were."""
    paragraph = tab.page.locator("article p:has(> span.math)").first
    tex = paragraph.locator("span.math").first.get_attribute("data-tex")
    text, markup = paragraph.evaluate(COPY)
    assert f"${tex}$" in text
    assert "mjx" not in markup
    assert text.count("$") == 2 * paragraph.locator("span.math").count()
    before, after = text.split(f"${tex}$")[:2]
    assert before.split()[-1] in paragraph.inner_text()
    assert after.split()[0] in paragraph.inner_text()
    equation = tab.page.locator("article div.math").first
    text, _ = equation.evaluate(COPY)
    assert text.strip() == f"$${equation.get_attribute('data-tex')}$$"


def test_what_has_no_formula_is_copied_as_ever(tab):
    """A browser knows better how to copy code."""
    assert tab.page.locator("article h1").first.evaluate(COPY)[0] is None


# Whether the pieces of a formula stand in more lines than one.
IN_LINES = """(formulas) => formulas.map((formula) => {
    const pieces = [...formula.querySelectorAll("mjx-piece")];
    const ends = pieces.map((piece) => piece.getBoundingClientRect().bottom);
    return Math.max(...ends) - Math.min(...ends) > 15;
})"""


def test_a_long_formula_goes_on_in_the_next_line(tab):
    """It began a line of its own and was cut at its end."""
    assert any(tab.page.locator("article span.in-pieces").evaluate_all(IN_LINES))
    assert not tab.stumbles()


# Where the Tab key stops between a paragraph with formulas and what is linked behind it.
STOP = """() => {
    const stop = document.activeElement;
    const scrolls = stop.scrollWidth > stop.clientWidth + 1;
    const formula = Boolean(stop.closest(".math"));
    return { formula, scrolls, name: stop.textContent.slice(0, 40) };
}"""


def test_the_tab_key_stops_at_no_formula_that_fits(tab):
    """At every second symbol: browsers take a fraction of a pixel for something to scroll."""
    stops = "article a[href], article button, article summary"
    first = tab.page.locator(stops).first
    first.focus()
    met = []
    for _ in range(20):
        tab.page.keyboard.press("Tab")
        met.append(tab.page.evaluate(STOP))
    assert not [stop["name"] for stop in met if stop["formula"] and not stop["scrolls"]]
    assert len({stop["name"] for stop in met}) > 5  # the key moved


def test_keys_scroll_a_formula_that_does_not_fit(tab):
    """One that nobody without a pointer could read to its end."""
    wide = tab.page.locator("article div.math mjx-container[display]").evaluate_all("""(all) => {
        for (const one of all) {
            one.scrollIntoView();
            if (one.scrollWidth > one.clientWidth + 1) return one.toggleAttribute("data-wide");
        }
        return false;
    }""")
    assert wide
    tab.page.wait_for_selector("[data-wide][tabindex='0']")
