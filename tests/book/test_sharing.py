"""What readers share: links to places, how a page is cited, its card, and the list of pages."""

import functools
import re
import subprocess
from urllib.parse import unquote, urlsplit

import pytest
from helpers.built import BOOK, check_built, pages, soup, written
from PIL import Image
from pybtex.database import parse_string

from attention_limits_book import cards, citing
from attention_limits_book.permalinks import with_links, with_names

CITED = {
    "title": "A book",
    "authors": [{"name": "The authors of a book"}, {"given-names": "Ada", "family-names": "King"}],
    "date-released": "2026-11-23",
    "version": "1.2.3",
}
KEYS = {"chapters/costs/index": "a-book-chapters-costs", "chapters/ends": "a-book-chapters-ends"}


# --- links ----------------------------------------------------------------------------------------

FIGURE = '<figure class="plot"><div>1</div><figcaption>{}</figcaption></figure>'


def test_a_still_figure_is_called_after_its_caption():
    """A link led to another figure, once one had been drawn above it."""
    body = "".join(map(FIGURE.format, ["What <i>one</i> sees, at &lt; 3 a.", "Another", "Another"]))
    names = re.findall(r' id="([^"]*)"', with_names(f'{body}<p id="figure-another-2"></p>'))
    assert names == ["figure-what-one-sees-at-3", "figure-another", "figure-another-3", names[-1]]


LINKED = {
    "claim": '<div class="claim claim-false docutils " id="it">\n<p>Said.{}</p>\n<p>No.</p>',
    "exercise": '<div class="exercise admonition" id="it">\n\n<p class="admonition-title">1{}</p>',
    "figure": '<figure class="plot" id="it"><figcaption>See{}</figcaption></figure>',
    "figure with sliders": '<figure class="explorable" id="it">\n<p>Turn{}</p>\n<p></p>',
}


@pytest.mark.parametrize(("what", "part"), LINKED.items(), ids=LINKED)
def test_a_place_that_is_cited_has_a_link(what, part):
    """Nobody could send another reader there."""
    link = f'<a class="headerlink" href="#it" title="Link to this {what}">#</a>'
    assert with_links(part.format("")) == part.format(link)


PLACE = r'<(?:div|figure) class="(claim |exercise |plot"|explorable")([^>]*)>'


@pytest.mark.slow
@pytest.mark.parametrize("page", pages())
def test_each_of_them_has_one_in_the_book(page):
    """The pattern by which they are found no longer fits what another release of Sphinx writes."""
    check_built()
    linked = re.findall(r'href="#([^"]+)" title="Link to this', written(page))
    for kind, attributes in re.findall(PLACE, written(page)):
        name = re.search(' id="([^"]+)"', attributes)
        assert name, f"a {kind} without a name"
        assert linked.count(name[1]) == 1


# --- how a page is cited --------------------------------------------------------------------------


@pytest.mark.parametrize("page", KEYS)
def test_a_page_is_cited_in_bibtex(page):
    """LaTeX stopped at a sign, or took a group for somebody whose family is "book"."""
    title, escaped = "What 5% of √d & n_2 cost", r"{What 5\% of √d \& n\_2 cost}"
    written = citing.entry(CITED, page, title, "https://a.org/b_c.html")
    [(key, entry)] = parse_string(written, "bibtex").entries.items()
    assert key == KEYS[page]
    assert entry.type == "incollection"
    assert [str(one) for one in entry.persons["author"]] == ["{The authors of a book}", "King, Ada"]
    assert entry.fields["title"] == escaped
    assert entry.fields["booktitle"] == "{A book}"
    assert entry.fields["year"] == "2026"
    assert entry.fields["url"] == "https://a.org/b_c.html"


def test_the_book_is_cited_as_a_whole_where_it_begins():
    """The front page was a chapter of itself."""
    [entry] = parse_string(citing.entry(CITED, "index", "", ""), "bibtex").entries.values()
    assert entry.type == "book"
    assert entry.fields["title"] == "{A book}"
    assert entry.fields["note"] == "Version 1.2.3"
    assert not {"url", "booktitle"} & {*entry.fields}


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page in pages() if "/references" not in page][:3])
def test_the_books_pages_say_how(page):
    """The box was empty, or something that no parser takes."""
    check_built()
    text = soup(page).select_one("article .cite pre").get_text()
    [entry] = parse_string(text, "bibtex").entries.values()
    assert entry.fields["title"].strip("{}") in soup(page).title.get_text()


# --- at which commit ------------------------------------------------------------------------------


@pytest.fixture
def repository(tmp_path):
    """A folder with one commit of a known day, and a function that runs git there."""
    who = ["-c", "user.name=A", "-c", "user.email=a@b.org"]
    env = {"GIT_COMMITTER_DATE": "2026-03-04T23:30:00-0300", "PATH": "/usr/bin:/bin"}
    git = functools.partial(subprocess.run, cwd=tmp_path, check=True, env=env, capture_output=True)
    git(["git", "init", "-q"])
    (tmp_path / "page.md").write_text("one")
    (tmp_path / "part").mkdir()
    git(["git", "add", "-A"])
    git(["git", *who, "commit", "-qm", "one"])
    return tmp_path


def test_a_page_names_the_commit_and_its_day(repository, monkeypatch):
    """The day of the build, so that two builds differed; or a change that no commit has."""
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    name, day, changed = citing.commit(repository)
    assert re.fullmatch("[0-9a-f]{40}", name)
    assert (day, changed) == ("2026-03-05", False)
    (repository / "note.txt").write_text("which git does not know")
    assert not citing.commit(repository).changed
    (repository / "page.md").write_text("two")
    assert citing.commit(repository).changed
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "86400")
    assert citing.commit(repository).date == "1970-01-02"


def test_what_is_no_repository_names_none(repository, tmp_path, monkeypatch):
    """An sdist that was unpacked in somebody's repository took the commit of that."""
    assert citing.commit(repository / "part") is None
    monkeypatch.setenv("PATH", "")
    assert citing.commit(repository) is None


def test_the_foot_says_what_was_changed():
    """A reader took numbers of somebody's working copy for those of a commit."""
    made = citing.Commit("0123456789", "2026-03-05", False)
    said = "Last verified: 2026-03-05, commit <code>0123456</code>"
    assert citing.verified(made, None, "") == f"{said}."
    assert (
        citing.verified(made._replace(changed=True), None, "Ran.") == f"{said}, with changes. Ran."
    )


# --- cards ----------------------------------------------------------------------------------------

MOST = 60_000  # bytes
SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="40" height="{}"><path d="M0 0h40v9H0"/></svg>'
BODY = f'<figure class="plot" id="a"><div>{SVG}</div></figure>'
WORDS = "What it is about, in so many words that a line does not hold them. " * 2


def drawn(target, title="A title of several words", body="", made_by="one"):
    cards.draw(target, title, "A book", WORDS, body, made_by)
    with Image.open(target) as card:
        return target.read_bytes(), card.convert("L")


@pytest.mark.parametrize(
    "body", ["", BODY.format(9), BODY.format(400)], ids=["none", "wide", "high"]
)
def test_a_card_is_small_and_always_the_same(body, tmp_path):
    """A picture too heavy to be shown, words beyond its edge, or other bytes in each build."""
    one, card = drawn(tmp_path / "cards/one.png", body=body)
    assert card.size == (1200, 630)
    assert len(one) <= MOST
    assert one == drawn(tmp_path / "two.png", body=body)[0]
    right = card.crop((1200 - cards.MARGIN // 2, 20, 1200, 630))
    assert right.getextrema() == (255, 255)
    there = card.crop((cards.COLUMN + cards.MARGIN, 20, 1200, 630)).getextrema()[0]
    assert there < 128  # a figure, or the words where none is


def test_a_card_that_is_there_is_not_drawn_again(tmp_path, monkeypatch):
    """Each build drew all of them."""
    target = tmp_path / "card.png"
    first, _ = drawn(target)
    monkeypatch.setattr(cards, "_card", None)
    assert drawn(target)[0] == first
    for changed in ({"title": "Another"}, {"body": BODY.format(9)}, {"made_by": "two"}):
        with pytest.raises(TypeError):
            drawn(target, **changed)


def test_a_word_that_no_line_holds_is_broken(tmp_path):
    """It went on beyond the edge, or the build never came to its end."""
    _, card = drawn(tmp_path / "card.png", title="m" * 90)
    assert card.crop((1200 - cards.MARGIN, 20, 1200, 630)).getextrema() == (255, 255)


@pytest.mark.deep
@pytest.mark.parametrize("page", pages())
def test_the_card_of_each_page_is_small(page, tmp_path):
    title = soup(page).h1.get_text().rstrip("#")
    card, _ = drawn(tmp_path / "card.png", title=title, body=written(page))
    assert len(card) <= MOST


@pytest.mark.slow
def test_without_an_address_nothing_promises_a_picture():
    """A relative one, which nobody who shows a link can fetch."""
    check_built()
    tags = {tag["property"]: tag["content"] for tag in soup("index.html").select("meta[property]")}
    assert tags["og:title"] == "The Limits of Attention"
    assert not {"og:image", "og:url"} & {*tags}
    assert not (BOOK / "_images/cards").exists()


# --- the list of pages ----------------------------------------------------------------------------


@pytest.mark.slow
def test_the_list_of_pages_has_each_and_leads_to_it():
    """A page was left out, or a link led nowhere."""
    check_built()
    text = (BOOK / "llms.txt").read_text(encoding="utf-8")
    title, _, summary, *_ = text.split("\n")
    assert title == "# The Limits of Attention"
    assert re.match("> An interactive textbook", summary)
    lines = re.findall(r"^- \[(.+?)\]\(([^)]+)\): (.{20,}?)(?: \(\[.*\))?$", text, re.MULTILINE)
    made = {"genindex.html", "search.html", "index.html"}
    assert [page for _, page, _ in lines] == sorted({*pages()} - made, key=text.index)
    for link in re.findall(r"\]\(([^)]+)\)", text):
        assert not urlsplit(link).scheme
        assert (BOOK / unquote(link)).is_file()
