"""What the reader believes of a claim: the page asks, and says nothing that a script has to say."""

import json

import pytest
from bs4 import BeautifulSoup
from helpers.small_book import CLAIM, OPEN, Book

from attention_limits_book import beliefs
from attention_limits_book.notebooks.page import Book as Known
from attention_limits_book.notebooks.page import Page
from attention_limits_book.notebooks.syntax import Directive


@pytest.fixture(scope="module")
def book(tmp_path_factory):
    """A small book that asks about its two claims."""
    book = Book(tmp_path_factory.mktemp("beliefs"))
    book.claim(CLAIM, OPEN)
    asked = "```{believe} two-and-two\n```\n\n```{claim} two-and-two\n```"
    at_stake = "```{claims-at-stake} locality\n```\n\n```{claims-at-stake} attention\n```"
    book.write("chapters/first.md", f"# First\n\n{asked}\n")
    book.write("chapters/second.md", f"# Second\n\n{at_stake}\n")
    book.write("chapters/verdicts.md", "# Verdicts\n\n```{belief-score}\n```\n")
    book.contents("chapters/first", "chapters/second", "chapters/verdicts")
    built = book.build()
    assert built.status == 0, built.output
    return book


def read(book, page):
    return BeautifulSoup(book.html(page), "html.parser").select_one("article")


def words(element):
    return " ".join(element.get_text().split())


def test_a_claim_is_asked_about_without_its_verdict(book):
    """The reader sees the answer beside the question."""
    [box] = read(book, "chapters/first").select(".at-stake")
    assert words(box) == "Claim. Two and two make four, or 2+2=4."
    assert box.select_one(".belief")["data-claim"] == "two-and-two"


def test_who_has_no_scripts_sees_no_dead_control_and_misses_nothing(book):
    for page in ("chapters/first", "chapters/second", "chapters/verdicts"):
        article = read(book, page)
        assert not article.select("input, fieldset, button.belief-forget")
        assert all(place.has_attr("hidden") for place in article.select(".belief, .belief-score"))
    assert "holds" in words(read(book, "chapters/first").select_one(".claim"))


def test_a_chapter_asks_about_all_of_its_claims_and_says_where_they_are_argued(book):
    argued, waiting = read(book, "chapters/second").select(".at-stake")
    assert argued["id"] == "claim-two-and-two"  # old links to the claim lead here
    assert argued.a["href"] == "first.html#claim-two-and-two"
    assert "Three and three make seven." in words(waiting)
    assert waiting.a is None


def test_the_score_is_of_claims_with_a_verdict(book):
    place = read(book, "chapters/verdicts").select_one(".belief-score")
    assert json.loads(place["data-verdicts"]) == {"two-and-two": "holds"}


def test_a_notebook_asks_in_words():
    claims = {"two-and-two": CLAIM, "three-and-three": OPEN}
    page = Page(Known({}, claims, {}, {}, {}, {}))

    def shown(name, argument):
        return beliefs.DIRECTIVES[name].notebook(Directive(name, argument, {}, [], 1, 2), page)

    for text in (shown("believe", "two-and-two"), shown("claims-at-stake", "locality")):
        assert CLAIM["statement"] in text
        assert beliefs.QUESTION in text
        assert "holds." not in text
    assert shown("belief-score", "") == ""
