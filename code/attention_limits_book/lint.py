"""What a build refuses: figures without words, cells that fill a screen, foreign addresses.

Each finding is a warning, and warnings fail the build.
"""

import functools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from sphinx.application import Sphinx
from sphinx.builders.html import StandaloneHTMLBuilder
from sphinx.util import logging

from attention_limits_book import exercises
from attention_limits_book.fingerprints import is_notebook

if TYPE_CHECKING:
    from lxml.html import HtmlElement

LOG = logging.getLogger(__name__)
LONGEST_CELL = 15  # lines of code, which fit a phone's screen

# What makes a browser fetch. A link (the href of an <a>) is the reader's own choice, and a
# canonical one only says what the page is called.
FETCHED = (
    "//*[@src or @srcset or @poster or self::image] | //object | //link[not(@rel = 'canonical')]"
)
ADDRESSES = ("src", "srcset", "poster", "data", "href", "xlink:href")
ELSEWHERE = r"(?i:https?:)?//[^\s'\")]+"


def setup(app: Sphinx) -> None:
    """Register the checks of sources and of finished pages."""
    app.connect("source-read", _check_source)
    app.connect("html-page-context", _check_page, priority=950)
    app.connect("build-finished", _check_contents)


def long_cells(source: str) -> Iterator[tuple[int, int]]:
    """(line, length) of every code cell longer than a screen; options and blanks don't count."""
    from markdown_it import MarkdownIt

    for block in MarkdownIt().parse(source):
        if block.map and block.type == "fence" and block.info.startswith("{code-cell}"):
            code = re.sub(r"\A(---\n.*?\n---\n|(?::[^\n]*\n)+)", "", block.content, flags=re.S)
            length = sum(bool(line.strip()) for line in code.splitlines())
            if length > LONGEST_CELL:
                yield block.map[0] + 1, length


def without_words(page: str) -> Iterator[str]:
    """Every image and figure of a page that says nothing to a reader who cannot see it."""
    tree = _parsed(page)
    for image in tree.iter("img"):
        # Docutils, given no alternative, writes the address twice.
        if image.get("alt", "").strip() in ("", image.get("src")):
            yield f"image {image.get('src')} has no alt text"
    for drawing in tree.iter("svg"):
        shown = next((up for up in drawing.iterancestors() if up.get("role") == "img"), drawing)
        if not (shown.get("aria-label", "").strip() or _is_icon(drawing)):
            yield "a drawing has no aria-label"
    for figure in tree.iter("figure"):
        if {"explorable", "plot"} & {*figure.get("class", "").split()}:
            if not figure.xpath("string(.//*[@role='img']/@aria-label)").strip():
                yield f"figure {figure.get('id')} has no alt text"
            if not figure.xpath("string(.//figcaption)").strip():
                yield f"figure {figure.get('id')} has no caption"


@functools.lru_cache(maxsize=1)
def _parsed(page: str) -> "HtmlElement":
    """A page, or a part of one: several checks look at it in turn."""
    from lxml.html import fragment_fromstring

    return fragment_fromstring(page, create_parent=True)


def _is_icon(drawing: "HtmlElement") -> bool:
    """Decoration inside a control or a heading that has words of its own."""
    in_figure = next(drawing.iterancestors("figure"), None) is not None
    return drawing.get("aria-hidden") == "true" and not in_figure


def foreign(page: str) -> Iterator[str]:
    """Every address that the browser would fetch from another host."""
    tree = _parsed(page)
    for element in tree.xpath(FETCHED):
        for attribute in ADDRESSES:
            # A srcset is a list: addresses, each with a size behind it.
            for part in element.get(attribute, "").split(", "):
                if address := re.match(ELSEWHERE, part.strip()):
                    yield address[0]
    for style in tree.xpath("//@style | //style/text()"):
        yield from re.findall(rf"(?:url\(|@import)\s*['\"]?({ELSEWHERE})", style)


def _check_source(app: Sphinx, docname: str, source: list[str]) -> None:
    try:
        exercises.read(source[0])
    except ValueError as error:
        LOG.warning("%s", error, location=docname)
    if is_notebook(Path(app.env.doc2path(docname))):
        for line, length in long_cells(source[0]):
            LOG.warning(
                "a code cell of %d lines; %d fit a screen, move the rest into the package",
                length,
                LONGEST_CELL,
                location=(docname, line),
            )


def _check_page(app: Sphinx, pagename: str, templatename: str, context: dict, doctree) -> None:
    for problem in without_words(context.get("body", "")):
        LOG.warning("%s", problem, location=pagename)
    for address in foreign(context.get("body", "")):
        LOG.warning("the page would fetch %s", address, location=pagename)
    for script in (*context.get("script_files", ()), *context.get("css_files", ())):
        name = str(getattr(script, "filename", script) or "")
        if re.match(ELSEWHERE, name):
            LOG.warning("the page would fetch %s", name, location=pagename)


def _check_contents(app: Sphinx, exception: Exception | None) -> None:
    """Each entry of the table of contents has its page."""
    if exception is None and isinstance(app.builder, StandaloneHTMLBuilder):
        for docname in app.env.found_docs:
            if not Path(app.builder.get_outfilename(docname)).is_file():
                LOG.warning("%s is in the table of contents, but has no page", docname)
