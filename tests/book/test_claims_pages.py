"""Claim cards and the table of verdicts, as the reader's browser gets them."""

import nbformat
import pytest
from bs4 import BeautifulSoup
from helpers.small_book import CLAIM, OPEN, Book, recorded

from attention_limits_book.versions import LEDGER, Ledger


@pytest.fixture(scope="module")
def book(tmp_path_factory):
    """A small book with one argued claim and one open."""
    book = Book(tmp_path_factory.mktemp("claims"))
    book.claim(CLAIM, OPEN)
    card = "```{claim} two-and-two\nSee *also* the fingers of one hand.\n```"
    book.page("first", recorded("first"), card)
    book.contents("chapters/first", "chapters/verdicts")
    built = book.build()
    assert built.status == 0, built.output
    return book


@pytest.fixture(scope="module")
def card(book):
    page = BeautifulSoup(book.html("chapters/first"), "html.parser")
    [card] = page.select(".claim")
    return card


@pytest.fixture(scope="module")
def verdicts(book):
    page = BeautifulSoup(book.html("chapters/verdicts"), "html.parser")
    return page.select_one("article")


def words(element):
    return " ".join(element.get_text().split())


def test_a_card_says_what_is_claimed_and_what_was_found(card):
    """The reader sees a verdict and not on what, or a claim and not how it came out."""
    assert card.select_one(".verdict").get_text() == "holds"
    assert card.select_one(".verdict")["class"] == ["verdict", "verdict-holds"]
    assert "Two and two make four" in words(card)
    assert "They were counted." in words(card)


def test_a_card_typesets_its_mathematics(card):
    """The reader sees dollar signs."""
    assert card.select_one(".math")["data-tex"] == "2 + 2 = 4"
    assert card.select_one(".math mjx-math")
    assert "$" not in words(card)


RIVALS = [
    "would have given 5 apples (expected 4) for a basket with 1 pear",
    "would have given 0 apples (expected 4) for an empty basket",
]


def pieces(part):
    """The pieces of a card or a row, each with what it would have given for its rivals."""
    for piece in part.select(".pieces > ul > li"):
        rivals = [words(rival.extract()) for rival in piece.select("li")]
        yield words(piece), rivals


def test_a_card_says_what_a_verdict_assumes(card):
    """A verdict under conditions was read as one without."""
    assert "Assumes: whole numbers; n<5." in words(card)


def test_a_card_lists_each_piece_with_what_it_refuses(card):
    """A verdict is shown without what it stands on, or what its chapter shows is shown again."""
    checks = BeautifulSoup(str(card.select_one("details.checks")), "html.parser")
    assert (
        words(checks.summary) == "2 checks, all passed; each piece of evidence refuses its rivals"
    )
    assert list(pieces(checks)) == [("✓ addition: every step proven", []), ("✓ four", RIVALS)]


def test_a_card_keeps_what_the_chapter_adds(card):
    """What the author wrote inside the directive is lost."""
    assert card.em.get_text() == "also"


def test_the_table_counts_the_verdicts(verdicts):
    """The summary and the rows below it disagree."""
    assert "2 claims; holds: 1, open: 1." in words(verdicts)
    rows = verdicts.select(".claim-row")
    assert [row.select_one(".verdict").get_text() for row in rows] == ["holds", "open"]


def test_the_table_is_grouped_by_chapter(verdicts):
    """The reader cannot tell which chapter a claim belongs to."""
    titles = [next(title.strings) for title in verdicts.select("h2")]
    assert titles == ["Locality", "Attention"]


def test_the_table_has_a_list_of_its_chapters(verdicts):
    """A reader on a phone scrolled past seven chapters to look up one claim."""
    listed = verdicts.select("ul a[href^='#verdicts-']")
    assert [words(link) for link in listed] == ["Locality", "Attention"]
    assert all(verdicts.select_one(link["href"]).name == "section" for link in listed)
    assert "Attention (1; open: 1)" in words(verdicts)


def test_the_checks_of_a_row_are_folded(verdicts):
    """To look a claim up, a reader had to scroll through all that every piece found."""
    [folded] = verdicts.select(".claim-row details.checks")
    assert not folded.has_attr("open")
    assert folded.select(".pieces li")


def test_a_row_says_what_its_card_says_and_what_was_found(verdicts):
    """Table and chapter tell the reader different things, or the number just measured is lost."""
    argued = BeautifulSoup(str(verdicts.select(".claim-row")[0]), "html.parser")
    assert "Two and two make four" in words(argued)
    assert "They were counted." in words(argued)
    assert "Assumes: whole numbers; n<5." in words(argued)
    assert list(pieces(argued)) == [
        ("✓ addition: every step proven", []),
        ("✓ four: 4 apples (expected 4, exactly) · counted by hand", RIVALS),
    ]


def test_a_row_links_to_the_card_that_argues_it(verdicts, card):
    """The link leads to another page, or to a place that the page does not have."""
    link = verdicts.select(".claim-row")[0].a
    assert words(link) == "Argued here"
    assert link["href"] == f"first.html#{card['id']}"


def test_an_open_claim_shows_neither_pieces_nor_a_link(verdicts):
    """A claim that nobody has argued yet looks argued, or its link leads nowhere."""
    waiting = verdicts.select(".claim-row")[1]
    assert "Three and three make seven." in words(waiting)
    assert waiting.a is None
    assert waiting.li is None


def test_the_notebook_says_what_the_card_says(book):
    """Who downloads the chapter gets a verdict without what it assumes and refuses."""
    path = book.file("_build/html/notebooks/chapters/first.ipynb")
    card = next(c.source for c in nbformat.read(path, 4).cells if "**Claim.**" in c.source)
    assert "> **Assumes:** whole numbers; $n < 5$." in card
    checks, _, added = card.rpartition("\n>\n> See *also*")
    assert added == " the fingers of one hand."
    assert checks.endswith("""\
> - ✓ addition: every step proven
> - ✓ four
>   - would have given 5 apples (expected 4) for a basket with $1$ pear
>   - would have given 0 apples (expected 4) for an empty basket
>
> </details>""")


def test_a_book_that_is_not_published_has_no_button_that_leads_to_a_repository(book):
    """Buttons led to a repository that is none of the book's."""
    page = BeautifulSoup(book.html("chapters/first"), "html.parser")
    links = page.select(".article-header-buttons a")
    assert [link["href"] for link in links] == ["../notebooks/chapters/first.ipynb"]
    assert "Other versions" not in page.footer.get_text()
    assert not book.file("_build/html/versions.html").exists()


def test_a_build_leaves_its_verdicts_to_be_compared_with_those_of_other_versions(book):
    """Nobody could say which verdicts had changed since the book was last released."""
    claims = Ledger.read(book.file(f"_build/html/{LEDGER}")).claims
    assert {name: (claim["verdict"], claim["page"]) for name, claim in claims.items()} == {
        "two-and-two": ("holds", "chapters/first"),
        "three-and-three": ("open", ""),
    }
    assert claims["two-and-two"]["statement"] == "Two and two make four, or $2 + 2 = 4$."
