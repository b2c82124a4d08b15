"""What there is to test, found in the built book and in the package: nothing is listed by hand."""

import functools
import inspect
from collections.abc import Callable
from pathlib import Path

from bs4 import BeautifulSoup
from helpers.chapter_parts import functions

from attention_limits.explorable import Explorable

ROOT = Path(__file__).parents[2]
BOOK = ROOT / "_build" / "html"
NO_BOOK = "no-book"  # stands for the pages of a book that is not built; the fixture `book` fails


@functools.cache
def pages() -> tuple[str, ...]:
    """Every page with an article, by its path from the book's root."""
    found = (path.relative_to(BOOK) for path in sorted(BOOK.rglob("*.html")))
    own = (path for path in found if not path.parts[0].startswith("_"))
    return tuple(p.as_posix() for p in own if soup(p.as_posix()).find("article")) or (NO_BOOK,)


@functools.cache
def soup(page: str) -> BeautifulSoup:
    """A page as it is written, before any script ran."""
    return BeautifulSoup((BOOK / page).read_text(encoding="utf-8"), "html.parser")


def figures() -> list[tuple[str, str]]:
    """Every explorable of the book: its page and its id."""
    if pages() == (NO_BOOK,):
        return [(NO_BOOK, NO_BOOK)]
    return [(page, f["id"]) for page in pages() for f in soup(page).select("figure.explorable")]


@functools.cache
def sources() -> dict[str, Explorable]:
    """Every explorable of the package, by name: what the functions of its modules return."""
    made = [
        function() for function in functions("explorables", Explorable).values() if _alone(function)
    ]
    return {one.name: one for one in made}


def _alone(function: Callable) -> bool:
    """Whether it can be called without arguments."""
    needs = inspect.signature(function).parameters.values()
    return all(p.default is not p.empty or p.kind is p.VAR_KEYWORD for p in needs)
