"""What there is to test, found in the built book and in the package: nothing is listed by hand."""

import functools
import importlib
import inspect
import pkgutil
import typing
from pathlib import Path

from bs4 import BeautifulSoup

from attention_limits import explorables
from attention_limits.explorables import Explorable

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
    made = {}
    for info in pkgutil.iter_modules(explorables.__path__):
        module = importlib.import_module(f"{explorables.__name__}.{info.name}")
        for _, function in inspect.getmembers(module, inspect.isfunction):
            if function.__module__ == module.__name__ and _makes_one(function):
                one = function()
                made[one.name] = one
    return made


def _makes_one(function) -> bool:
    needs = inspect.signature(function).parameters.values()
    if any(p.default is p.empty and p.kind is not p.VAR_KEYWORD for p in needs):
        return False
    return typing.get_type_hints(function).get("return") is Explorable
