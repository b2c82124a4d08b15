"""The book as one PDF: what leads where in it, and that nothing is missing or cut."""

import re
import shutil
import unicodedata

import pytest
from helpers.built import BOOK, ROOT, check_built, soup
from helpers.printed import CUT, PAPER, all_of, cut, links, numbers_at_the_foot, text_of, tree
from pypdf import PdfReader

from attention_limits import chromium, claims
from attention_limits_book import paper
from attention_limits_book.assets import STATIC

pytestmark = pytest.mark.browser

LONG = "x = " + " + ".join(f"number_{i}" for i in range(40))
TWO_LINES = " ".join(["Why a heading of two lines has a space at the end of the first"] * 2)
PAGES = {
    "index": f"""<h1>A small book<a class="headerlink" href="#">#</a></h1>
        <p><a id="state" href="one/first.html#figure?x=2">a figure</a>
        <a href="https://example.org/there">elsewhere</a> <a href="genindex.html">the index</a></p>
        <section id="why"><h2>{TWO_LINES}</h2></section>""",
    "one/first": f"""<h1>The first</h1><section id="why"><h2>Why</h2><p><a href="#why">here</a></p>
        <h3>Deeper</h3></section><pre>{LONG}</pre><details><summary>Fold</summary>UNFOLDED</details>
        <button>Press</button>
        <section id="figure" style="break-before: page">
        <svg><defs><path id="p" d="M0 0h9v9z"/></defs><use href="#p"/></svg>
        <h2>A figure</h2><img src="../_static/square.svg"></section>""",
    "one/second": """<h1>The second</h1><section id="why"><h2>Why not</h2>
        <p><a href="../index.html">home</a> <a href="first.html#why">before</a></p></section>""",
    "last": "<h1>The last</h1><p>The end.</p>",
}
CONTENTS = """\
format: jb-book
root: index
parts:
  - caption: All of it
    chapters:
      - file: one/first
        sections: [{file: one/second}]
      - file: last
"""
SETTINGS = """\
title: A small book
author: Euclid
copyright: "300 BC"
repository: {{url: "{url}"}}
"""
PLACES = ("elsewhere", "Deeper", "A figure", "home before")  # each on a page of its own
TREE = [
    (1, "Contents"),
    (1, "A small book"),
    (2, TWO_LINES),
    (1, "All of it"),
    (2, "The first"),
    (3, "Why"),
    (4, "Deeper"),
    (3, "A figure"),
    (3, "The second"),
    (4, "Why not"),
    (2, "The last"),
]


def small_book(folder, url=""):
    """A book of four pages, built by hand, and where its PDF will be."""
    book = folder / "html"
    for name, article in PAGES.items():
        path = book / f"{name}.html"
        path.parent.mkdir(parents=True, exist_ok=True)
        up = "../" * name.count("/")
        path.write_text(
            f'<html><head><link rel="stylesheet" href="{up}_static/print.css"></head>'
            f'<body><article class="bd-article">{article}</article></body>'
        )
    (book / "_static").mkdir()
    shutil.copy(STATIC / "print.css", book / "_static")
    square = (
        '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><path d="M0 0h9v9z"/></svg>'
    )
    (book / "_static/square.svg").write_text(square)
    (folder / "_toc.yml").write_text(CONTENTS)
    (folder / "_config.yml").write_text(SETTINGS.format(url=url))
    return book, book / "book.pdf"


@pytest.fixture(scope="module")
def small(tmp_path_factory, chromium):
    folder = tmp_path_factory.mktemp("paper")
    book, path = small_book(folder, url="https://github.com/euclid/elements")
    assert paper.main([str(book), str(path), "--source", str(folder)]) == 0
    return PdfReader(path)


def test_bookmarks_are_the_headings(small):
    """A chapter was missing, stood beside its sections, or had its words twice or run together."""
    assert tree(small) == TREE


def test_pages_are_numbered_where_they_are_and_in_the_contents(small):
    """The table of contents sent its reader to another page, or the numbers began anew."""
    assert numbers_at_the_foot(small)[1:] == [*range(2, len(small.pages) + 1)]
    listed = dict(re.findall(r"^(The \w+|A small book) ?(\d+)$", text_of(small, 1), re.M))
    assert listed.keys() == {"A small book", "The first", "The second", "The last"}
    for title, number in listed.items():
        assert text_of(small, int(number) - 1).startswith((title, f"{title}\nAll of it\n{title}"))


def test_links_lead_into_the_paper_and_out_of_it(small):
    """One to a figure in some state, or to a section named as another page's, led astray."""
    inner, outer = links(small)
    assert outer == ["https://example.org/there", "https://euclid.github.io/elements/genindex.html"]
    place = {
        words: number
        for number in range(len(small.pages))
        for words in PLACES
        if words in text_of(small, number)
    }
    assert inner[place["elsewhere"]] == [place["A figure"]]
    assert inner[place["Deeper"]] == [place["Deeper"]]
    assert inner[place["home before"]] == [place["elsewhere"], place["Deeper"]]


def test_it_says_what_it_is(small):
    """A library cannot tell whose book it is, a screen reader which language it is in."""
    root = small.trailer["/Root"]
    assert small.metadata.title == "A small book"
    assert small.metadata.author == "Euclid"
    assert root["/Lang"] == "en"
    assert root["/MarkInfo"]["/Marked"]
    for words in ("A small book", "Euclid", "300 BC", "CC BY 4.0", "euclid.github.io/elements/"):
        assert words in text_of(small, 0)


def test_nothing_of_it_is_cut_folded_or_a_button(small):
    """A long line left the paper; what a click shows was not there; a button was."""
    everything = all_of(small)
    assert "number_39" in everything
    assert not cut(small)
    assert "UNFOLDED" in everything
    assert "Press" not in everything


def test_the_front_page_leads_to_it_once(tmp_path, chromium):
    """Each `make pdf` added one more link; or what is not in the PDF was a link to nowhere."""
    book, path = small_book(tmp_path)
    for _ in range(2):
        paper.link(book, path, 7)
    front = (book / "index.html").read_text()
    assert front.count('<a href="book.pdf">The book as one PDF</a>, 7 pages.') == 1
    with paper.assembled(book, paper.chapters(tmp_path), tmp_path) as page:
        assert page.locator("text=The book as one PDF").count() == 0
        assert page.locator("a:has-text('the index')").count() == 0
        assert page.locator("text=the index").count() == 1


@pytest.mark.parametrize(
    "lost",
    [
        "browser",
        "named",
        "start",
        pytest.param("old", marks=pytest.mark.deep),
        "page",
        "picture",
        "folder",
    ],
)
def test_what_is_missing_is_named(lost, tmp_path, monkeypatch, capsys):
    """A traceback, or a book without its pictures."""
    book, path = small_book(tmp_path)
    if lost == "browser":
        monkeypatch.delenv("CHROMIUM", raising=False)
        monkeypatch.setattr(chromium, "found", lambda: None)
    elif lost in ("named", "start"):
        monkeypatch.setenv("CHROMIUM", {"named": "/nowhere/chrome", "start": "true"}[lost])
    elif lost == "old":
        monkeypatch.setattr(paper, "OLDEST", 10**6)
    elif lost == "page":
        (book / "last.html").unlink()
    elif lost == "picture":
        (book / "_static/square.svg").unlink()
    else:
        path = tmp_path / "_toc.yml" / "book.pdf"
    said = {
        "browser": r"there is no Chromium, .* install it as one of chromium, .* \$CHROMIUM",
        "named": r"\$CHROMIUM names no program: /nowhere/chrome\n$",
        "start": r"true does not start as Chromium does: [^\n]*\n$",
        "old": r"is Chromium \d+\..*: 1000000 or later can print",
        "page": r"there is no last\.html in .*: run make book first",
        "picture": r"lacks _static/square\.svg: run make book first",
        "folder": r"_toc\.yml",
    }
    assert paper.main([str(book), str(path), "--source", str(tmp_path)]) == 1
    assert re.search(f"^error: .*{said[lost]}", capsys.readouterr().err)
    assert not path.exists()


def test_a_figure_with_sliders_fits_the_paper(chromium):
    """Paper is narrow and runs no script, as some phones: the right of each figure was cut."""
    check_built()
    with paper.assembled(BOOK, [paper.Chapter("index", 1)], ROOT) as page:
        page.emulate_media(media="print")
        page.set_viewport_size({"width": PAPER["A4"], "height": 1000})
        assert page.locator("figure.explorable svg.marks").count() == 1
        assert page.evaluate(CUT) == []


# --- the whole book -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def whole(tmp_path_factory, chromium):
    """The built book's, which takes minutes."""
    check_built()
    path = tmp_path_factory.mktemp("paper") / "book.pdf"
    assert paper.main([str(BOOK), str(path), "--source", str(ROOT)]) == 0
    return PdfReader(path)


def written():
    """The pages that are in it, as they were built."""
    return [soup(f"{chapter.page}.html").article for chapter in paper.chapters(ROOT)]


def squeezed(text):
    """Letters alone: how a line, a ligature or a quotation mark is set is the printer's affair."""
    return re.sub(r"[-\s*\"'“”‘’]", "", unicodedata.normalize("NFKC", text))


@pytest.mark.deep
def test_every_page_of_the_book_is_a_bookmark_in_order(whole, record_property):
    """A page that no PDF had, or behind the one that builds on it."""
    size = len(whole.stream.getvalue())
    record_property("the book as one PDF", f"{len(whole.pages)} pages, {size:,} bytes")
    pages = written()
    assert len(pages) > 25
    bookmarks = iter(squeezed(title) for _, title in tree(whole))
    for article in pages:
        for heading in article.select("h1, h2"):
            if not heading.select(".math"):
                assert (
                    squeezed(heading.text.removesuffix("#")) in bookmarks
                )  # behind the one before


@pytest.mark.deep
def test_every_link_of_the_book_leads_somewhere(whole):
    """A section that another page names, and that has another name in the PDF."""
    inner, outer = links(whole)
    assert sum(map(len, inner)) > 1000
    assert not [number for number, pages in enumerate(inner) if None in pages]
    assert len(outer) > 100
    assert not [
        address
        for address in outer
        if not re.match("https?://", address) or paper.ORIGIN in address
    ]


@pytest.mark.deep
def test_every_claim_every_setting_and_every_value_is_printed(whole):
    """A claim stood in a fold; a figure printed its sliders, and not where they stand."""
    everything = squeezed(all_of(whole))
    for claim in claims.load().values():
        words = max(re.split(r"\$[^$]*\$", claim.statement), key=len)
        assert squeezed(words) in everything, claim.id
    figures = [figure for article in written() for figure in article.select("figure.explorable")]
    assert len(figures) > 10
    for figure in figures:
        row = "".join(cell.text for cell in figure.select("tbody tr")[-1].select("td"))
        for text in (figure.select_one(".explorable-setting").text, row):
            assert squeezed(text) in everything, figure["id"]


@pytest.mark.deep
@pytest.mark.parametrize("width", [PAPER["A4"], PAPER["Letter"]], ids=PAPER)
def test_nothing_of_the_book_is_cut(width, chromium):
    """A formula, a table or a line of code went on beyond the paper."""
    check_built()
    with paper.assembled(BOOK, paper.chapters(ROOT), ROOT) as page:
        page.emulate_media(media="print")
        page.set_viewport_size({"width": width, "height": 1000})
        assert page.locator("article mjx-container").count() > 1000
        assert page.evaluate(CUT) == []


@pytest.mark.deep
def test_no_text_of_the_pdf_begins_in_its_margin(whole):
    """Chromium makes everything smaller where one line is too long; or leaves it cut."""
    assert cut(whole) == []
