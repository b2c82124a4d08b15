"""What there is to test, found in the built book and in the package: nothing is listed by hand."""

import functools
import inspect
import re
from collections.abc import Callable, Iterable
from pathlib import Path, PurePosixPath
from urllib.parse import urljoin, urlsplit

import pytest
from bs4 import BeautifulSoup
from helpers.chapter_parts import functions

from attention_limits.explorable import Explorable

ROOT = Path(__file__).parents[2]
BOOK = ROOT / "_build" / "html"
NO_BOOK = "no-book"  # stands for the pages of a book that is not built; the fixture `book` fails
MISSING = "404.html"
FIGURE = re.compile(r'<figure class="explorable" id="([\w-]+)"')


def check_built() -> None:
    """Fail a test that has no book to look at."""
    if not (BOOK / "index.html").is_file():
        pytest.fail(f"no book at {BOOK}: run make book first", pytrace=False)


@functools.cache
def written(page: str) -> str:
    """A page as it is written, before any script ran."""
    return (BOOK / page).read_text(encoding="utf-8") if page != NO_BOOK else ""


@functools.cache
def pages() -> tuple[str, ...]:
    """Every page with an article, by its path from the book's root."""
    found = (path.relative_to(BOOK) for path in sorted(BOOK.rglob("*.html")))
    own = (path.as_posix() for path in found if not path.parts[0].startswith("_"))
    own = (page for page in own if page != MISSING)  # its links are a server's
    return tuple(page for page in own if "<article" in written(page)) or (NO_BOOK,)


@functools.cache
def listings() -> tuple[str, ...]:
    """The pages with the library's code."""
    found = (path.relative_to(BOOK).as_posix() for path in sorted(BOOK.glob("_modules/**/*.html")))
    return tuple(found)


@functools.cache
def soup(page: str) -> BeautifulSoup:
    """The same, parsed; of its formulas, what stands around them."""
    html = re.sub(
        r"(<mjx-container[^>]*>).*?</mjx-container>", r"\1</mjx-container>", written(page)
    )
    return BeautifulSoup(html, "html.parser")


def loads(page: str) -> set[str]:
    """The files that a browser asks for with a page, before its reader does anything.

    Of the fonts and icons that it names, perhaps some; of what a script fetches later, nothing.
    """
    html = written(page)
    tags = re.findall(r"<(?:link|script|img)\b[^>]*>", html)
    fetched = [tag for tag in tags if not re.search(r'\brel="(?!stylesheet|icon")', tag)]
    addresses = [found for tag in fetched for found in re.findall(r'\b(?:href|src)="([^"]+)"', tag)]
    addresses += re.findall(r'src: url\("([^"]+)"\)', html)  # of fonts
    here = [urlsplit(urljoin(page, address)) for address in addresses]
    return {page, *(address.path for address in here if not address.scheme)}


def figures() -> list[tuple[str, str]]:
    """Every explorable of the book: its page and its id."""
    found = [(page, name) for page in pages() for name in FIGURE.findall(written(page))]
    return found or [(NO_BOOK, NO_BOOK)]


def kinds() -> tuple[str, ...]:
    """The lightest page of each kind: in each folder, with and without figures and cells."""
    lightest = {}
    for page in sorted(pages(), key=lambda page: len(written(page))):
        lightest.setdefault((PurePosixPath(page).parent, *_parts(page)), page)
    return tuple(sorted(lightest.values()))


def makes() -> tuple[str, ...]:
    """Of the kinds, the lightest with and without figures and cells, in whatever folder."""
    lightest = {}
    for page in sorted(kinds(), key=lambda page: len(written(page))):
        lightest.setdefault(_parts(page), page)
    return tuple(sorted(lightest.values()))


def _parts(page: str) -> tuple[bool, bool]:
    """Whether a page has figures, and cells."""
    return bool(FIGURE.search(written(page))), '<div class="cell' in written(page)


@functools.cache
def sources() -> dict[str, Explorable]:
    """Every explorable of the package, by name: what the functions of its modules return."""
    return {one.name: one for one in (make() for make in makers().values())}


@functools.cache
def makers() -> dict[str, Callable[[], Explorable]]:
    """These functions, by their own names: each makes its explorable once."""
    found = functions("explorables", Explorable).items()
    return {name: functools.cache(function) for name, function in found if _alone(function)}


def alike(shown: Iterable[str], true: Iterable[str]) -> bool:
    """Whether a browser shows these numbers: where Python rounds half to even, it rounds up."""

    def digits(cell: str) -> int:
        return int(re.sub(r"[^0-9]", "", cell) or 0)

    pairs = zip(shown, true, strict=True)
    return all(one == other or abs(digits(one) - digits(other)) == 1 for one, other in pairs)


def _alone(function: Callable) -> bool:
    """Whether it can be called without arguments."""
    needs = inspect.signature(function).parameters.values()
    return all(p.default is not p.empty or p.kind is p.VAR_KEYWORD for p in needs)
