"""The search in the browser: what it finds first, and the passage that a result leads to."""

import re
from urllib.parse import urlencode

import pytest
from helpers.built import pages, soup, written

from attention_limits import claims

pytestmark = pytest.mark.browser

# What a reader types, and the chapter that explains it.
SEARCHES = {
    "RoPE": "chapters/positional-encodings/rotary.html",
    "rotary": "chapters/positional-encodings/rotary.html",
    "KV cache": "chapters/quadratic-cost/inference.html",
    "GQA": "chapters/quadratic-cost/inference.html",
    "backward pass": "chapters/quadratic-cost/backward-pass.html",
    "FlashAttention": "chapters/quadratic-cost/flashattention.html",
    "flash attention": "chapters/quadratic-cost/flashattention.html",
    "ALiBi": "chapters/positional-encodings/encodings.html",
}


@pytest.fixture(scope="module", params=["http", "file"])
def results(request, address, open_tab):
    """A page of results, for the first of these words. They come in the address, as from a field.

    The others are asked of the index that is loaded by then, without summaries, for which every
    result would be fetched.
    """
    tab = open_tab(f"{address(request.param, 'search.html')}?q={next(iter(SEARCHES))}")
    tab.page.locator("#search-results li a").first.wait_for()
    yield tab
    tab.close()


CARD = r'<div class="claim [^"]*" id="([^"]*)"'
ASK = """queries => queries.map((words) => {
    const results = Search._performSearch(...Search._parseQuery(words)).reverse();
    return results.slice(0, 3).map(([page, , anchor]) => `${page}.html${anchor}`);
})"""


def test_a_search_finds_the_chapter_first(results):
    """The library or the list of terms comes before the chapter that explains the word.

    Or nothing is found from disk, as where the index is fetched by script.
    """
    found = results.page.evaluate(ASK, list(SEARCHES))
    first = [three[0].partition("?")[0] for three in found]
    assert dict(zip(SEARCHES, first, strict=True)) == SEARCHES
    shown = results.page.locator("#search-results li a").first.get_attribute("href")
    assert shown == found[0][0]
    assert not results.noise


def spoken():
    """What readers type of each claim: all of it, or ten words, with either apostrophe."""
    for claim in claims.load().values():
        if claim.verdict == "open":
            continue
        statement = " ".join(re.sub(r"\$.*?\$", "", claim.statement).split())
        for words in (statement, " ".join(statement.split()[:10])):
            for typed in (words, re.sub("['’]", "’", words), re.sub("['’]", "'", words)):
                yield claim.id, re.sub('["“”]', '"' if "'" in typed else "”", typed)


def test_a_claim_is_found_by_its_own_words(results):
    """Who types a claim, or how it begins, is led to a list, or nowhere."""
    cards = ((page, re.findall(CARD, written(page))) for page in pages())
    home = {card: f"{page}#{card}" for page, found in cards for card in found}
    asked = list(spoken())
    found = results.page.evaluate(ASK, [words for _, words in asked])
    first = [re.sub(r"\?[^#]*", "", (three or ["nothing"])[0]) for three in found]
    missed = [
        (words, one)
        for (claim, words), one in zip(asked, first, strict=True)
        if one != home[f"claim-{claim}"]
    ]
    assert not missed


def test_a_module_is_found_in_silence(address, open_tab):
    """Its name has dots, and was taken for an element with classes: the console filled."""
    tab = open_tab(f"{address('http', 'search.html')}?q=learning rates")
    module = tab.page.locator('#search-results li:has(a[href*="#module-"]) .context').first
    module.wait_for()
    assert "rates" in module.inner_text()
    assert not tab.noise
    tab.close()


# --- what a result leads to -----------------------------------------------------------------------

PAGE = "chapters/proofs.html"  # short, and with something folded of each kind
MARKED = "[...(CSS.highlights.get('found') ?? [])].map(String)"
UNFOLDED = "document.activeElement.checkVisibility()"


@pytest.fixture(scope="module")
def found(address, open_tab):
    """A function that opens the page at what was found for some words, from disk on a phone."""
    tab = open_tab("about:blank", width=390, theme="dark")

    def found(words, place=""):
        query = urlencode({"highlight": words})
        tab.page.goto(f"{address('file', PAGE)}?{query}{place}")
        tab.page.locator(".found").wait_for()
        return tab

    yield found
    tab.close()


def seen(tab):
    """The words of the passage that the reader was led to, which must be in her sight."""
    passage = tab.page.locator("article :focus")
    box = passage.bounding_box()
    assert box["y"] + box["height"] > 0
    assert box["y"] < tab.page.viewport_size["height"]
    assert tab.page.evaluate(UNFOLDED)
    return passage.inner_text()


def test_a_result_leads_to_the_passage_that_has_the_words(found):
    """She landed at the top of a long page, and looked for the words herself."""
    tab = found("tolerances fourth powering")
    assert re.search("tolerance .* fourth powers", seen(tab))
    assert {"tolerance", "fourth", "powers"} <= {*tab.page.evaluate(MARKED)}
    assert not tab.stumbles()
    assert not tab.noise


def test_within_the_section_that_was_found(found):
    """The section was found, and the reader led to another that has the words as well."""
    tab = found("slip", "#exercise")
    assert "slip" in seen(tab)
    assert tab.page.evaluate("document.activeElement.closest('#exercise') !== null")


FOLDED = [("numpy", "details:not(.cite)"), ("denominator", ".solution.dropdown")]


@pytest.mark.parametrize(("word", "box"), FOLDED)
def test_what_is_folded_opens_where_it_alone_has_the_words(found, word, box):
    """The search had found the page, and nothing was to be seen on it."""
    [folded] = soup(PAGE).select(f"article {box}")
    everywhere = soup(PAGE).article.get_text().count(word)
    assert everywhere == folded.get_text().count(word) > 0
    assert word in seen(found(word))


@pytest.mark.parametrize("way", ["Escape", "button"])
def test_marks_go_when_they_are_not_wanted(found, way):
    """They stayed, and came back with the page."""
    tab = found("evidence")
    assert tab.page.evaluate(MARKED)
    if way == "Escape":
        tab.page.keyboard.press(way)
    else:
        tab.page.get_by_role("button", name="Unmark").click()
    assert not tab.page.evaluate(MARKED)
    assert "highlight" not in tab.page.url
    assert tab.page.locator(".found").count() == 0


def test_words_are_no_pattern(found):
    """A reader who searched for brackets got an error, or the whole page in yellow."""
    tab = found("( evidence* [+")
    assert {*map(str.lower, tab.page.evaluate(MARKED))} == {"evidence"}
    assert not tab.noise


# --- links to places ------------------------------------------------------------------------------


@pytest.mark.parametrize("place", [".exercise", "h2"])
def test_a_link_to_a_place_is_reached_by_keyboard(found, place):
    """It was hidden from all who have no mouse."""
    page = found("evidence").page
    link = page.locator(f"article {place} a.headerlink").first
    link.focus()
    page.wait_for_function("getComputedStyle(document.activeElement).opacity === '1'")
    page.keyboard.press("Enter")
    assert page.evaluate("location.hash") == link.get_attribute("href")
    page.wait_for_function("document.querySelector(':target') !== null")
