"""The whole book as one PDF, printed by Chromium from the pages as they were built.

python -m attention_limits_book.paper _build/html _build/html/the-limits-of-attention.pdf

The pages' articles are put behind each other in one document (``paper.js``), each id with its page
before it. So Chromium itself makes of headings the bookmarks, of links between pages links within
the PDF, and numbers its pages in a row; what is tagged for whoever listens stays so. Printed page
by page and merged, all of that would be done again by hand, the tags lost, and each font embedded
forty times; Sphinx's ``singlehtml``, on which Jupyter Book's own ``pdfhtml`` rests, gives sections
of one name on two pages one id, and would build every page once more. No script of a page runs: as
for readers without scripts, a figure with sliders is its picture, with its setting, what is read
off and its table. It is printed twice, since the first tells the table of contents its numbers.

What a page is on paper, ``static/print.css`` says, to readers' printers as well. Needs the extra
``pdf``; nothing is fetched but from the book's folder.
"""

import contextlib
import io
import logging
import os
import re
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote, unquote, urlsplit

import yaml
from playwright.sync_api import Error, Page, Route, sync_playwright
from pypdf import PdfReader, PdfWriter
from pypdf.generic import DictionaryObject, NameObject, TextStringObject
from sphinx_external_toc.parsing import parse_toc_yaml

from attention_limits import chromium
from attention_limits_book import addresses, command

OLDEST = 131  # of Chromium: the first that numbers pages as a style sheet says
MISSING = (
    "there is no Chromium, which prints the book: install it as one of "
    f"{', '.join(chromium.NAMES)}, or say in $CHROMIUM where it is"
)
LICENCE = "Text: CC BY 4.0. Code: BSD-3-Clause."
ORIGIN = "https://book.invalid/"  # where nothing is: all that is asked for there, a folder answers
BEGINNING = (
    '<!DOCTYPE html><html lang="en" data-theme="light"><meta charset="utf-8"><body class="paper">'
)
NUMBER = """numbers => {
    for (const link of document.querySelectorAll(".paper-contents a"))
        link.lastChild.textContent = numbers[decodeURIComponent(link.hash.slice(1))];
}"""


LINK = '<p class="noprint whole"><a href="{address}">The book as one PDF</a>, {pages} pages.</p>\n'
LINKED = re.compile('<p class="noprint whole">.*</p>\\n')
HEADINGS = """[...document.querySelectorAll("h1, h2, h3, h4, h5, h6")]
    .map((heading) => heading.textContent.trim().replace(/\\s+/g, " "))"""


class Chapter(NamedTuple):
    """A page of the book and its place in the tree of bookmarks."""

    page: str
    level: int
    part: str = ""  # which begins with it


def chapters(source: Path) -> list[Chapter]:
    """The book's pages in their order, as ``_toc.yml`` has them."""
    site = parse_toc_yaml(source / "_toc.yml")

    def below(page: str, level: int) -> Iterator[Chapter]:
        for tree in site[page].subtrees:
            part, deeper = tree.caption or "", level + bool(tree.caption)
            for item in map(str, tree.items):
                yield Chapter(item, deeper, part)
                yield from below(item, deeper + 1)
                part = ""

    return [Chapter(site.root.docname, 1), *below(site.root.docname, 1)]


def make(book: Path, paper: Path, source: Path, size: str = "A4") -> int:
    """Print the book.

    Args:
        book: its HTML, built.
        paper: where the PDF is written, in the place of what is there.
        source: where ``_config.yml`` and ``_toc.yml`` are.
        size: of the paper, "A4" or "Letter".

    Returns:
        How many pages it has.

    Raises:
        ValueError: if the book is not built, or there is no Chromium that can print it.
        OSError: if the PDF cannot be written.
    """
    order = chapters(source)
    for chapter in order:
        if not (book / f"{chapter.page}.html").is_file():
            raise ValueError(f"there is no {chapter.page}.html in {book}: run make book first")
    settings = _settings(source)
    unfinished = paper.with_name(f"{paper.name}.part")
    paper.parent.mkdir(parents=True, exist_ok=True)
    try:
        with unfinished.open("wb") as file:  # before the minutes that printing takes
            with assembled(book, order, source) as page:
                page.evaluate(NUMBER, _numbers(_pdf(page, size)))
                printed = PdfWriter(clone_from=_pdf(page, size))
                _name_bookmarks(printed, page.evaluate(HEADINGS))
            printed.add_metadata({"/Title": settings["title"], "/Author": settings["author"]})
            printed.write(file)
        unfinished.replace(paper)
    finally:
        unfinished.unlink(missing_ok=True)
    if paper.is_relative_to(book):
        link(book, paper, len(printed.pages))
    return len(printed.pages)


def link(book: Path, paper: Path, pages: int) -> None:
    """Have the front page lead to a PDF that lies beside it."""
    front = book / "index.html"
    html = LINKED.sub("", front.read_text(encoding="utf-8"))
    words = LINK.format(address=quote(paper.relative_to(book).as_posix()), pages=pages)
    front.write_text(html.replace("</article>", f"{words}</article>", 1), encoding="utf-8")


@contextlib.contextmanager
def assembled(book: Path, order: list[Chapter], source: Path) -> Iterator[Page]:
    """The book's pages in one, in Chromium."""
    if not (path := chromium.found()):
        named = os.environ.get("CHROMIUM")
        raise ValueError(f"$CHROMIUM names no program: {named}" if named else MISSING)
    settings, published = _settings(source), addresses.configured(source)
    given = {
        "title": settings["title"],
        "imprint": _imprint(settings, published),
        "chapters": [chapter._asdict() for chapter in order],
        "site": published.site if published else "",
    }
    with sync_playwright() as playwright:
        try:
            browser = playwright.chromium.launch(executable_path=path)
        except Error as error:  # which goes on with all options and what the program said
            words = error.message.partition("\n")[0]
            raise ValueError(f"{path} does not start as Chromium does: {words}") from None
        if int(browser.version.partition(".")[0]) < OLDEST:
            raise ValueError(f"{path} is Chromium {browser.version}: {OLDEST} or later can print")
        page = browser.new_page()
        page.set_default_timeout(0)  # only a fault waits for long
        lacking = _answered_by(book, page)
        page.goto(ORIGIN)
        page.evaluate(Path(__file__).with_name("paper.js").read_text(encoding="utf-8"), given)
        if lacking:
            raise ValueError(f"{book} lacks {', '.join(lacking)}: run make book first")
        yield page
        browser.close()


def _settings(source: Path) -> dict[str, Any]:
    return yaml.safe_load((source / addresses.CONFIG).read_text(encoding="utf-8"))


def _imprint(settings: dict, published: addresses.Addresses | None) -> list[str]:
    version = f"Version {metadata.version('attention-limits')}"
    lines = [settings["author"], f"{version}, {settings['copyright']}", LICENCE]
    return [*lines, published.site] if published else lines


def _answered_by(book: Path, page: Page) -> list[str]:
    """Have a folder answer whatever a page asks for; what it lacks will be in the list."""
    lacking: list[str] = []

    def answer(route: Route) -> None:
        name = unquote(urlsplit(route.request.url).path).lstrip("/")
        if not name:
            route.fulfill(body=BEGINNING, content_type="text/html")
        elif route.request.url.startswith(ORIGIN) and (book / name).is_file():
            route.fulfill(path=book / name)
        else:
            lacking.append(route.request.url.removeprefix(ORIGIN))
            route.abort()

    page.route("**/*", answer)
    return lacking


def _pdf(page: Page, size: str) -> PdfReader:
    logging.getLogger("pypdf").setLevel(logging.ERROR)  # Chromium's files count an object too few
    made = page.pdf(format=size, outline=True, tagged=True, print_background=True)
    return PdfReader(io.BytesIO(made))


def _numbers(printed: PdfReader) -> dict[str, Any]:
    """On which page each place is, by its id."""
    return {
        name.removeprefix("/"): 1 + (printed.get_destination_page_number(place) or 0)
        for name, place in printed.named_destinations.items()
    }


def _name_bookmarks(printed: PdfWriter, names: list[str]) -> None:
    """Give them the headings' words: Chromium runs lines together and says some twice."""

    def below(node: Any) -> Iterator[DictionaryObject]:
        child = node.get("/First")
        while child is not None:
            yield (bookmark := child.get_object())
            yield from below(bookmark)
            child = bookmark.get("/Next")

    for bookmark, name in zip(
        below(printed.root_object["/Outlines"].get_object()), names, strict=True
    ):
        bookmark[NameObject("/Title")] = TextStringObject(name)


def main(arguments: list[str] | None = None) -> int:
    """The command."""
    parser = command.parser(__doc__)
    parser.add_argument("book", type=Path, help="the book's HTML")
    parser.add_argument("paper", type=Path, help="where the PDF is written")
    parser.add_argument("--source", type=Path, default=Path(), help="the book's own folder")
    parser.add_argument("--size", choices=["A4", "Letter"], default="A4", help="of the paper")
    given = parser.parse_args(arguments)

    def made() -> str:
        pages = make(given.book, given.paper, given.source, given.size)
        return f"{pages} pages, {given.paper.stat().st_size:,} bytes, are in {given.paper}"

    return command.run(made, Error)


if __name__ == "__main__":
    sys.exit(main())
