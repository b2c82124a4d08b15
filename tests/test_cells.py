"""The code of pages as readers see it: no wider than its box, and one fold at a time."""

import re
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import pytest
from helpers.sources import ROOT, pages

FITS = 76  # characters in the box of a cell, in a window of 1280 pixels, as Chromium shows it
FOLDED = ("hide-cell", "hide-input", "remove-cell", "remove-input")
PAGES = {"index": ROOT / "index.md", **pages("chapters", "library")}


class Cell(NamedTuple):
    """One code cell: what it is tagged, its lines, and what is between it and the last one."""

    tags: list[str]
    lines: list[str]
    above: str


def cells(page):
    """The code cells of a page, in its order."""
    cell = re.compile(r"^```\{code-cell\}[^\n]*\n(.*?)^```$", re.DOTALL | re.MULTILINE)
    end = 0
    for found in cell.finditer(page):
        tags = re.search(r"^:tags: \[(.*)\]$", found[1], re.MULTILINE)
        lines = [line for line in found[1].splitlines() if not line.startswith(":tags:")]
        above = page[end : found.start()].strip() if end else "the page"
        yield Cell(tags[1].split(", ") if tags else [], lines, above)
        end = found.end()


def too_wide(page):
    """The lines of code that a reader sees at once and would have to scroll."""
    seen = (cell for cell in cells(page) if not set(cell.tags) & set(FOLDED))
    return [line for cell in seen for line in cell.lines if len(line) > FITS]


def folds_in_a_row(page):
    """Folded cells that show nothing, one after the other: two bars where one would do."""
    found = list(cells(page))
    return [
        later.lines
        for cell, later in pairwise(found)
        if {"hide-cell"} & set(cell.tags)
        and {"hide-cell", "hide-input"} & set(later.tags)
        and not later.above
    ]


def text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", PAGES)
def test_code_fits_its_box(name):
    """A reader at 1280 pixels saw code cut at the right, with the end of a comment missing."""
    assert not too_wide(text_of(PAGES[name]))


@pytest.mark.parametrize("name", PAGES)
def test_no_two_folds_follow_each_other(name):
    """ "Show code cell content" stood there twice, with nothing in between."""
    assert not folds_in_a_row(text_of(PAGES[name]))


def cell(code, tags=""):
    return f"```{{code-cell}} ipython3\n{tags}\n{code}\n```\n"


def test_only_what_is_seen_has_to_fit():
    """A folded cell was refused, or nothing was."""
    assert not too_wide(cell("x" * FITS))
    assert too_wide(cell("x" * (FITS + 1)))
    assert not too_wide(cell("x" * 200, ":tags: [hide-cell]"))


def test_folds_are_in_a_row_only_without_words_between():
    """A figure or a sentence between two bars is something to see."""
    fold = cell("x", ":tags: [hide-cell]")
    assert folds_in_a_row(fold + "\n" + fold)
    assert not folds_in_a_row(fold + "\nWords.\n\n" + fold)
    assert not folds_in_a_row(cell("figure()", ":tags: [hide-input]") + "\n" + fold)
