"""The library's pages: nothing missing, nothing out of date, nothing that leads nowhere."""

import importlib
import inspect
import re
from collections import Counter

import pytest
from bs4 import BeautifulSoup
from helpers.built import check_built, soup
from helpers.small_book import EXTENSION, Book
from helpers.sources import pages
from helpers.tables import assert_rows_for

from attention_limits.attention import MECHANISMS
from attention_limits.gallery import library as figures
from attention_limits.gallery import positions as figures_of_positions
from attention_limits.positions import POSITIONS
from attention_limits_book import library

MODULES = {name: figures.module_of(name) for name in (*MECHANISMS, *figures.BASELINES)}
ENCODINGS = {name: figures_of_positions.module_of(name) for name in POSITIONS}
ALL = {**MODULES, **ENCODINGS}
DIRECTIVE = re.compile(r"^```\{(mechanism|encoding)\} (\w+)$", re.MULTILINE)
PAGES = {path: path.read_text(encoding="utf-8") for path in pages("library").values()}
CHAPTERS = pages("chapters")
# What each chapter is called, and where a page of the library finds it.
WRITTEN = {
    re.search("^# (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)[1]: f"../{name}.html"
    for name, path in CHAPTERS.items()
}
PLACES = {name: path.stem for path, text in PAGES.items() for _, name in DIRECTIVE.findall(text)}


# --- as written ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "all_names"), [("mechanism", MODULES), ("encoding", ENCODINGS)])
def test_every_module_is_on_one_page(kind, all_names):
    """A mechanism was written and nobody can look it up; or links to it have two ends."""
    named = DIRECTIVE.findall("\n".join(PAGES.values()))
    on_pages = [name for its_kind, name in named if its_kind == kind]
    assert_rows_for(all_names, {f"the pages in library/, as {{{kind}}} and its name": on_pages})
    assert len(on_pages) == len(set(on_pages))


@pytest.mark.parametrize("name", ALL)
def test_a_docstring_has_what_its_page_takes_from_it(name):
    """The page's heading, the sentence in the table or the link to a chapter is lost."""
    module = ALL[name]
    title, sentence = library._first_sentence(module)
    assert 0 < len(title.split()) <= 5
    assert len(sentence.split()) >= 5
    assert sentence.endswith(".")
    assert len(library.TAUGHT_IN.findall(inspect.getdoc(module))) == 1


def test_a_docstring_without_a_name_is_refused():
    """Half a sentence became a heading."""
    module = type(inspect)("nameless", "Says what it does. And: more.")
    with pytest.raises(ValueError, match="nameless: its docstring must begin"):
        library._first_sentence(module)


@pytest.mark.parametrize("path", CHAPTERS.values(), ids=CHAPTERS)
def test_links_from_chapters_say_what_they_lead_to(path):
    """A link was moved to another function and its text was not, or the function has gone."""
    text = path.read_text(encoding="utf-8")
    for shown, target in re.findall(r"\{py:func\}`([^<`]+?)\s*<([^>]+)>`", text):
        assert target.endswith(f".{shown}")
        module, _, function = target.rpartition(".")
        assert callable(getattr(importlib.import_module(module), function))


@pytest.mark.parametrize("name", ALL)
def test_the_chapter_that_teaches_a_mechanism_links_to_it(name):
    """Who reads about a mechanism is not told where to look up how it is called."""
    module = ALL[name]
    title = library.TAUGHT_IN.search(inspect.getdoc(module))["chapter"]
    for path in CHAPTERS.values():
        if re.search(rf"^# {re.escape(title)}$", path.read_text(encoding="utf-8"), re.MULTILINE):
            own = path.parent.glob("*.md") if path.stem == "index" else [path]
            texts = [page.read_text(encoding="utf-8") for page in own]
            assert f"<{module.__name__}." in "\n".join(texts)


@pytest.mark.parametrize("n", [4096, 4097, 100_000])
@pytest.mark.parametrize("name", ["sliding_window", "offsets", "convolution"])
def test_a_formula_for_long_texts_is_right_in_long_texts(name, n):
    """The page shows another formula than the one that was tested."""
    cost, _ = library._cost(MODULES[name], figures.EXAMPLES[name].quoted)
    short = library.in_long_texts(cost.needed)
    assert len(short.latex) < len(cost.needed.latex) / 3
    assert short(n=n, d=7) == cost.needed(n=n, d=7)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("n − |δ| pairs", r"n − \|δ\| pairs"),
        ("``a | b`` or :math:`|x|`, |y|", r"``a | b`` or :math:`|x|`, \|y\|"),
        (".. math::\n\n    |x|\n\n    |y|\n\n|z|", ".. math::\n\n    |x|\n\n    |y|\n\n\\|z\\|"),
        ("  .. math:: |x|\n     |y|\n  |z|", "  .. math:: |x|\n     |y|\n  \\|z\\|"),
    ],
)
def test_bars_are_bars(written, read):
    """|δ| is missing from the page, or a bar within mathematics became two."""
    assert "\n".join(library.with_plain_bars(written.split("\n"))) == read


def test_a_formula_without_a_size_is_no_formula():
    """The page says "0 FLOPs, 0 MFLOPs", at no sizes at all."""
    assert library._price(ENCODINGS["none"], {}) == (
        "``none.cost()``:\n\n- parameters: 0 numbers\n- flops: 0 MFLOPs"
    )


def test_counts_are_not_rounded():
    """The page tells 37,100 parameters of a model that has 37,120."""
    price = library._price(ENCODINGS["lstm_generated"], {"hidden": 64})
    assert price.startswith("``lstm_generated.cost(hidden=64)``, as formulas and at n = 4,096")
    assert " numbers, 37,120 numbers\n" in price


# --- as built -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def built():
    check_built()


def as_built(test):
    """Mark a test of the pages of the built book."""
    return pytest.mark.slow(pytest.mark.usefixtures("built")(test))


def section_of(name):
    return soup(f"library/{PLACES[name]}.html").find("section", id=name)


def links(element):
    return {a.get_text(): a["href"] for a in element.select("a[href]")}


def check_link(name, href):
    """The link leads to the module's heading."""
    anchor = f"module-{ALL[name].__name__}"
    assert href == f"{PLACES[name]}.html#{anchor}"
    section = section_of(name)
    assert section.find(id=anchor).find_next("h2") is section.h2


@as_built
@pytest.mark.parametrize("name", ALL)
def test_a_mechanism_has_heading_picture_price_and_doors(name):
    """Something that a reader came to look up is not there."""
    section, module = section_of(name), ALL[name]
    title, sentence = library._first_sentence(module)
    heading = section.find("h2").get_text().removesuffix("#")
    assert heading == title
    first = " ".join(section.find("p").get_text().split())
    assert re.sub(r"\W", "", first) == re.sub(r"\W", "", sentence)
    [picture] = section.select("figure.plot")
    assert len(picture.select_one('[role="img"]')["aria-label"].split()) > 10
    price = [item.get_text() for item in section.select("li") if "MFLOPs" in item.get_text()]
    parts = ["flops"] if name in ENCODINGS else ["needed", "executed"]
    assert [line.partition(":")[0] for line in price] == parts
    described = {dt["id"].rpartition(".")[2] for dt in section.select("dt.sig[id]")}
    compute = "attend" if name in MECHANISMS else "apply"
    assert {"define", compute, "cost"} <= described
    assert ("bias" in described) == (getattr(module, "PLACE", "") == "scores")
    assert ("step" in described) == hasattr(module, "step")
    visible = getattr(module, "visible", None)
    if visible:  # its own, or another's, which is then a link
        own = visible.__module__ == module.__name__
        assert own == ("visible" in described)
        assert own or links(section)["dense.visible"].endswith("attention.dense.visible")


@as_built
@pytest.mark.parametrize("name", ALL)
def test_a_mechanism_shows_nothing_private_and_no_types(name):
    """A phone shows three lines of types, or the reader calls what may be gone tomorrow."""
    for signature in section_of(name).select("dt.sig[id]"):
        assert "._" not in signature["id"]
        text = signature.get_text().strip()
        assert text.removeprefix("class ").startswith(f"{name}.")
        assert "torch." not in text
        assert "->" not in text


@as_built
@pytest.mark.parametrize("name", ALL)
def test_every_function_links_to_its_source(name):
    """The reader is told what a function does, and not shown how."""
    for signature in section_of(name).select("dt.sig[id]"):
        page, _, place = signature.select_one("a:has(.viewcode-link)")["href"].partition("#")
        source = soup(page.removeprefix("../")).find(id=place).get_text()
        assert f"def {place}(" in source or "class" in signature.get_text()


@as_built
@pytest.mark.parametrize("name", ALL)
def test_links_lead_to_the_chapter_that_teaches_or_nowhere(name):
    """A link leads to a chapter that nobody wrote, or there is none to one that somebody did."""
    title = library.TAUGHT_IN.search(inspect.getdoc(ALL[name]))["chapter"]
    section = section_of(name)
    assert f"Taught in: {title}" in " ".join(section.get_text().split())
    assert links(section).get(title) == WRITTEN.get(title)


@as_built
def test_the_table_lists_and_links_every_mechanism():
    """A row is missing or wrong, or its link leads to the wrong place."""
    [table] = soup("library/index.html").select("table.mechanisms")
    rows = {row.a.get_text(): row for row in table.select("tbody tr")}
    assert list(rows) == list(MODULES)
    for name, row in rows.items():
        check_link(name, row.a["href"])
    cells = [cell.get_text(" ", strip=True) for cell in rows["dense"].select("td")]
    assert cells[1:4] == ["2,150", "1,050", "47 (23)"]


@as_built
def test_the_table_of_encodings_lists_and_links_every_one():
    """A row is missing, its price is another's, or its link leads to the wrong place."""
    [table] = soup("library/positions.html").select("table.encodings")
    rows = {row.a.get_text(): row for row in table.select("tbody tr")}
    assert list(rows) == list(ENCODINGS)
    for name, row in rows.items():
        check_link(name, f"{PLACES[name]}.html{row.a['href']}")
        place = row.select("td")[3].get_text(strip=True)
        assert place == ENCODINGS[name].PLACE
    cells = [cell.get_text(" ", strip=True) for cell in rows["learned"].select("td")]
    assert cells[1:5] == ["262,144", "0.262", "inputs", "places"]


@as_built
def test_a_door_that_is_another_module_s_is_a_link():
    """``rotary.frequencies`` is in the docstring, and nothing on the page says what it is."""
    link = links(section_of("rotary"))["sinusoidal.frequencies"]
    assert link.endswith("#attention_limits.positions.sinusoidal.frequencies")


@as_built
@pytest.mark.parametrize("page", sorted({*PLACES.values(), "index"}))
def test_no_two_things_have_one_id(page):
    """A link led to the first of two: pieces of reStructuredText number their citations alike."""
    elements = soup(f"library/{page}.html").select("[id]")
    different = {(element["id"], str(element)) for element in elements}  # two pictures are the same
    assert Counter(name for name, _ in different).most_common(1)[0][1] == 1


# --- a mechanism of a test's own ----------------------------------------------------------------

TINY = '''\
"""Tiny attention: every query looks at itself {adverb} and at nobody else.

Taught in: "Locality".
"""

from attention_limits.attention.dense import cost, define


def attend(q, k, v):
    """What it gets is what it gives."""
    return v
'''

REGISTRATION = """

import importlib.util
from pathlib import Path

from attention_limits import attention
from attention_limits.gallery import library
from attention_limits_book import library as pages

name = "attention_limits.attention.tiny"
spec = importlib.util.spec_from_file_location(name, Path(__file__).parent / "mechanism.py")
sys.modules[name] = module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
library.EXAMPLES["tiny"], library.BASELINES = library.Example("A diagonal."), ()
pages.MECHANISMS = ("tiny",)
"""


@pytest.fixture
def tiny(tmp_path):
    book = Book(tmp_path)
    book.claim()
    book.write("tiny.py", EXTENSION + REGISTRATION)
    book.write("mechanism.py", TINY.format(adverb="only"))
    book.write("library/tiny.md", "# Tiny\n\n```{mechanism} tiny\n```\n")
    book.write("library/all.md", "# All\n\n```{mechanism-table}\n```\n")
    book.contents("library/all", "library/tiny")
    return book


def said(book, adverb):
    pages = (book.html(f"library/{page}") for page in ("all", "tiny"))
    return all(f"looks at itself {adverb} and" in page for page in pages)


def page_of_tiny(book):
    return BeautifulSoup(book.html("library/tiny"), "html.parser")


@pytest.mark.slow
def test_a_new_docstring_and_a_new_chapter_are_on_the_page_at_once(tiny):
    """Page and table said what the function used to do, or that a chapter was still to come."""
    first = tiny.build()
    assert first.status == 0, first.output
    assert said(tiny, "only")
    assert "Locality" not in links(page_of_tiny(tiny))
    tiny.write("mechanism.py", TINY.format(adverb="solely"))
    tiny.write("chapters/locality.md", "# Locality\n")
    tiny.contents("library/all", "library/tiny", "chapters/locality")
    second = tiny.build()
    assert second.status == 0, second.output
    assert said(tiny, "solely")
    section = page_of_tiny(tiny).find("section", id="tiny")
    assert links(section)["Locality"] == "../chapters/locality.html"
