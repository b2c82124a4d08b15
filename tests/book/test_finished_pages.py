"""What is done to each page when it is complete."""

import functools
import gzip
import re

import pytest
from bs4 import BeautifulSoup
from helpers.built import BOOK, MISSING, check_built, loads, pages, soup, written

from attention_limits_book import icons, publishing, sheets
from attention_limits_book.pages import CHOOSE_THEME

KILOBYTE = 1000
FIRST_VIEW = 400 * KILOBYTE  # gzipped; 1.6 Mbit/s bring that in two seconds


# --- icons ----------------------------------------------------------------------------------------


def test_an_icon_is_a_drawing_that_its_button_alone_explains():
    """A screen reader spelled it, or a hidden title was read twice."""
    page = (
        '<button aria-label="Search"><i class="fa-solid fa-search fa-lg" title="Find"></i></button>'
    )
    drawn = icons.drawn(page)
    assert f'd="{icons.STROKES["magnifying-glass"]}"' in drawn
    assert '<svg class="fa-solid fa-search fa-lg"' in drawn
    assert 'aria-hidden="true"' in drawn
    assert "title" not in drawn


def test_what_is_said_of_an_icon_beside_its_class_stays():
    """The theme finds the icon of each of its modes by an attribute."""
    drawn = icons.drawn('<i class="theme-switch fa-solid fa-sun" data-mode="light"></i>')
    assert re.search(r'<svg [^>]*data-mode="light"', drawn)


@pytest.mark.parametrize("page", ["<i>f</i>", "<i class='x'></i>", '<span class="fade"></span>'])
def test_what_is_no_icon_stays(page):
    """Italics, or an empty place that a script fills."""
    assert icons.drawn(page) == page
    assert list(icons.unknown(page)) == []


def test_an_icon_that_nobody_has_drawn_is_named():
    """Its place stayed empty."""
    page = '<span class="fas fa-dragon"></span><i class="fa-solid fa-bars"></i>'
    assert list(icons.unknown(page)) == ["dragon"]


# --- one style sheet ------------------------------------------------------------------------------


def test_style_sheets_are_one(tmp_path):
    """A picture was looked for in the wrong folder, or what one imports was fetched after it."""
    (tmp_path / "_static/styles").mkdir(parents=True)
    (tmp_path / "_static/base.css").write_text("b { background: url('dot.png') }")
    (tmp_path / "_static/styles/theme.css").write_text(
        '@charset "utf-8";@import "../base.css";'
        '@font-face{src:url(../vendor/fontawesome/a.woff2)}.a{--x:1}.fa-b:before,.fa-c:before{content:"d"}'
        "i{background:url(../e.png), url(data:f), url(g.png)}/*# sourceMappingURL=h.map */"
    )
    assert sheets.in_one(tmp_path, "_static/styles/theme.css") == (
        "b { background: url('dot.png') }.a{--x:1}"
        "i{background:url(e.png), url(data:f), url(styles/g.png)}"
    )


@pytest.mark.parametrize(
    ("css", "kept"),
    [
        (".here{a:b}.gone{c:d}", ".here{a:b}"),
        (".here,.gone{a:b}", ".here{a:b}"),
        (".here .gone{a:b}.here.later{c:d}", ".here.later{c:d}"),
        (".here:not(.gone){a:b}", ".here:not(.gone){a:b}"),
        (":is(.here, .gone) i,.gone{a:b}", ":is(.here, .gone) i{a:b}"),
        ("@media (min-width:9px){.gone{a:b}i{c:d}}", "@media (min-width:9px){i{c:d}}"),
        ("@media print{.gone{a:b}}", ""),
        ("@font-face{src:url(a.woff)}", "@font-face{src:url(a.woff)}"),
        ("html,#gone{a:b}", "html,#gone{a:b}"),
        (".w\\:here{a:b}.w\\:gone{c:d}", ".w\\:here{a:b}"),
    ],
)
def test_a_sheet_holds_what_a_page_or_a_script_has_a_use_for(css, kept, tmp_path):
    """Half a megabyte of rules for what no page has; or none for what a script will make."""
    (tmp_path / "_static").mkdir()
    (tmp_path / "_static/all.css").write_text(css)
    (tmp_path / "_static/a.js").write_text('element.classList.add("later");')
    (tmp_path / "a.html").write_text('<p class="here w:here"></p>')
    found, _, dark = sheets.together(tmp_path, ["_static/all.css"]).partition("@media (prefers")
    assert found.strip() == kept
    assert dark


def test_of_our_own_sheets_nothing_is_left_out(tmp_path):
    """The PDF had no title page: its rules are for what no page of the book has."""
    (tmp_path / "_static").mkdir()
    rule = ".paper-cover{a:b}"
    for name in ("print.css", "theme.css"):
        (tmp_path / "_static" / name).write_text(rule)
    assert rule in sheets.together(tmp_path, ["_static/print.css"])
    assert rule not in sheets.together(tmp_path, ["_static/theme.css"])


def test_without_scripts_a_sheet_follows_the_system_into_the_dark():
    """A page in the light in a dark room; or the rules of the dark for whoever chose the light."""
    css = 'html[data-theme="dark"] a,b{c:d}html[data-theme=dark] .only-light{e:f}i{g:h}'
    assert sheets.without_scripts(css) == (
        "@media (prefers-color-scheme: dark) {\nhtml:not([data-mode]) a{c:d}\n}\n"
    )


# --- what is said in the head ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Short.", "Short."),
        ("A sentence of some words. " * 9, ("A sentence of some words. " * 5).strip()),
        ("one, " * 60, ("one, " * 31).strip(" ,") + "…"),
        ("Yes. " + "word " * 60, ("Yes. " + "word " * 30).strip() + "…"),
    ],
)
def test_a_description_ends_where_a_sentence_or_a_word_does(text, said):
    """Half a word stood beneath the page's name in what a search engine found."""
    assert publishing.shortened(text) == said
    assert len(said) <= publishing.LONGEST + 1


def test_links_of_the_missing_page_lead_home_from_anywhere():
    """At an address two folders down, neither its style nor its links were found."""
    page = (
        '<html data-content_root="./"><a href="index.html"></a><a href="#x"></a><img src="./a.svg">'
    )
    page += '<a href="https://b.org"></a><a data-href="c"></a>'
    assert publishing.from_anywhere(page, "https://example.org/book") == (
        '<html data-content_root="/book/"><a href="/book/index.html"></a><a href="#x"></a>'
        '<img src="/book/a.svg"><a href="https://b.org"></a><a data-href="c"></a>'
    )
    assert 'href="/index.html"' in publishing.from_anywhere(page, "")


# --- in the built book ----------------------------------------------------------------------------


@functools.cache
def weight(name):
    return len(gzip.compress((BOOK / name).read_bytes()))


@pytest.mark.slow
@pytest.mark.parametrize("page", pages())
def test_a_page_is_light(page, record_property):
    """A first view that keeps readers on a slow line waiting; Vega comes with the first figure."""
    check_built()
    total = sum(map(weight, loads(page)))
    record_property(f"{page}, first view, gzipped", f"{total:,} in {len(loads(page))} files")
    assert total <= FIRST_VIEW


@pytest.mark.slow
@pytest.mark.parametrize("page", pages())
def test_a_page_says_what_it_is_and_waits_for_no_script(page):
    """Two pages of one name, no description, or a script that the first line waits for."""
    check_built()
    start, _, rest = written(page).partition("</head>")
    html = BeautifulSoup(start, "html.parser").html
    (description,) = html.select("meta[name=description]")
    assert 20 < len(description["content"]) < 170
    assert not re.search(r"[<>]|\\[a-z]", description["content"])
    # Cut off, as a rule within what somebody believes: then the page's header has to describe it.
    assert description["content"].count("“") == description["content"].count("”")
    assert not description["content"].endswith(("…", ":"))
    assert len(html.select("link[rel=stylesheet]")) == 1
    scripts = [*re.findall(r"<script[^>]* src=[^>]*>", start + rest)]
    assert scripts
    assert all(" defer" in script for script in scripts)
    assert start.index(CHOOSE_THEME) < start.index('rel="stylesheet"')
    assert {link.get("type") for link in html.select("link[rel=icon]")} >= {"image/png"}
    assert html["data-theme"] == "light"


def test_no_two_pages_have_one_title():
    """Of two open tabs, or two results of a search engine, nobody can tell which is which."""
    check_built()
    titles = {page: re.search("<title>(.*?)</title>", written(page))[1] for page in pages()}
    assert len(set(titles.values())) == len(titles)
    assert titles["index.html"] == "The Limits of Attention"


def test_a_server_finds_what_it_needs():
    """GitHub drops _static without a file that says no, and shows a page of its own."""
    check_built()
    assert (BOOK / ".nojekyll").is_file()
    assert not (BOOK / "sitemap.xml").exists()  # the book has no address of its own yet
    links = [a["href"] for a in soup(MISSING).select("a[href]") if not a["href"].startswith("#")]
    assert {"/index.html", "/search.html"} <= set(links)
    assert all(link.startswith("/") for link in links)
