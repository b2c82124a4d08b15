import ast
import re
from collections import Counter
from pathlib import Path

import pytest
import sympy as sp
from helpers.sources import modules, pages

import attention_limits
from attention_limits import symbols
from attention_limits.symbols import MEANING

PACKAGE = Path(attention_limits.__file__).parent
ELSEWHERE = [PACKAGE.parent / name for name in modules(PACKAGE.name) if name.stem != "symbols"]
MAKERS = {"Symbol", "symbols", "Dummy", "Wild", "IndexedBase", "Idx", "MatrixSymbol", "var"}


def test_names_are_unique():
    """Two symbols of one name print alike and are different: nothing cancels, nobody sees why."""
    assert max(Counter(symbol.name for symbol in MEANING).values()) == 1


@pytest.mark.parametrize("symbol", MEANING, ids=str)
def test_meanings_fit_a_label(symbol):
    """A slider stood on the page with nothing, or a sentence, beside it."""
    meaning = MEANING[symbol]
    assert 0 < len(meaning.words) <= 40
    assert meaning.words == meaning.words.strip(" .")


def test_every_symbol_has_a_meaning():
    """A symbol was made past the table."""
    made = {value for value in vars(symbols).values() if isinstance(value, sp.Symbol)}
    vectors = [value for value in vars(symbols).values() if isinstance(value, tuple)]
    made |= {entry for vector in vectors for entry in vector}
    assert made == MEANING.keys()


@pytest.mark.parametrize("path", ELSEWHERE, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_other_module_makes_symbols(path):
    """A module made its own n, with other assumptions."""
    tree = ast.parse(path.read_text())
    called = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
    names = {getattr(function, "attr", getattr(function, "id", "")) for function in called}
    assert not names & MAKERS
    imports = [node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    assert "sympy.abc" not in imports


def test_every_symbol_stands_in_the_table():
    """A part of the module had a comment for a heading, and its symbols stood under another."""
    rows = [row.words for rows in symbols.TABLE.values() for row in rows]
    for symbol in MEANING.keys() - {*symbols.CHOICES}:
        words = MEANING[symbol].words
        assert words in rows or f"{words[:-1]}$i$" in rows, words
    source = (PACKAGE / "symbols.py").read_text(encoding="utf-8")
    assert not {MEANING[choice].words for choice in symbols.CHOICES} & {*rows}, "it says nothing"
    headings = re.findall(r"^# .+\n\w+ = _", source, flags=re.MULTILINE)
    assert not headings, "begin a part by _section"


@pytest.mark.parametrize("row", [row for rows in symbols.TABLE.values() for row in rows], ids=str)
def test_every_symbol_has_a_page_that_introduces_it(row):
    """Of two meanings of one letter, a reader could not tell which chapter has which."""
    assert row.page in pages("chapters")
