"""Terms in the browser: their cards, and the list that they lead to."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from helpers.built import soup

from attention_limits import terms

pytestmark = pytest.mark.browser

PAGE = "library/index.html"  # short, and with links to terms
CARD = ".tooltip.term-card.show"
WAYS = [("http", 1280, "light"), ("file", 390, "dark")]


@pytest.fixture(scope="module", params=WAYS, ids=lambda way: "-".join(map(str, way)))
def tab(request, address, open_tab):
    """A page with terms. Tests share it: the one that leaves it stands last."""
    scheme, width, theme = request.param
    tab = open_tab(address(scheme, PAGE), width=width, theme=theme)
    yield tab
    tab.close()


@pytest.mark.parametrize("way", ["hover", "focus"])
def test_a_card_says_what_a_term_means(tab, way):
    """A term without its card, by mouse or by keyboard, or one that cannot be sent away."""
    link = tab.page.locator("article a.term").first
    meaning = link.get_attribute("data-bs-original-title")
    assert meaning in {term.meaning for term in terms.book().values()}
    link.scroll_into_view_if_needed()
    getattr(link, way)()
    card = tab.page.locator(CARD)
    card.wait_for()
    assert card.inner_text() == meaning
    assert link.get_attribute("aria-describedby") == card.get_attribute("id")
    box = card.bounding_box()
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= tab.page.viewport_size["width"]
    contrast = Axe().run(tab.page, context=CARD, options={"runOnly": ["color-contrast"]})
    assert not contrast.response["violations"]
    tab.page.keyboard.press("Escape")
    card.wait_for(state="detached")
    assert not tab.noise


def test_a_term_leads_to_its_entry(tab):
    """A tap on a telephone, where nothing hovers, leads nowhere."""
    link = tab.page.locator("article a.term").first
    place = link.get_attribute("href").partition("#")[2]
    link.click()
    tab.page.wait_for_url(f"**/chapters/notation.html#{place}")
    entry = tab.page.locator(f"#{place}")
    entry.wait_for()
    assert entry.bounding_box()["y"] >= 48  # the height of the header
    assert not tab.noise


def test_every_term_has_its_entry(book):
    """The list lost an entry that pages lead to."""
    page = soup("chapters/notation.html")
    assert [dt["id"] for dt in page.select("dl.glossary > dt")] == [
        term.anchor for term in terms.book().values()
    ]


def test_the_front_page_says_where_to_begin(address, open_tab):
    """On a telephone, where to begin and what one must know came after three screens."""
    tab = open_tab(address("file", "index.html"), width=390, theme="dark")
    tab.typeset()
    for words in ("Where to begin", "What you must know"):
        box = tab.page.locator("article").get_by_text(words).first.bounding_box()
        assert box["y"] < 2 * 844
    tab.close()
