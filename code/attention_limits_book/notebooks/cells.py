"""The notebook's cells, cut where jupytext and MyST-NB cut them."""

import json
from collections.abc import Iterator
from typing import Any

import nbformat
from markdown_it.token import Token
from nbformat.v4 import new_code_cell, new_markdown_cell

from attention_limits_book.notebooks.blocks import CLOSED, OPENED, is_solution, markdown
from attention_limits_book.notebooks.page import Page
from attention_limits_book.notebooks.syntax import (
    MAY_RAISE,
    NOT_RUN,
    Part,
    code_options,
    directive_name,
    parse,
)

# The first cell of every notebook: its reader may never have seen the book's repository.
SETUP = """\
# This notebook is a page of a book. Its cells need the book's package, attention_limits.
# In the text, numbers set as code were recorded when the book was built; cells compute them anew.
import importlib.util

if importlib.util.find_spec("attention_limits") is None:
    raise ModuleNotFoundError(
        "This notebook needs the book's own package, attention_limits: "
        "run `pip install .` in a clone of the book, then restart the kernel."
    )"""
INSTALLING_SETUP = """\
# This notebook is a page of a book: {address}
# Its cells need the book's package, attention_limits. Where that is absent, as in Colab, this cell
# installs it, and with it what it needs that is absent, too. (PyTorch alone may be gigabytes.)
# In the text, numbers set as code were recorded when the book was built; cells compute them anew.
import importlib.util

if importlib.util.find_spec("attention_limits") is None:
    print("Installing attention_limits. It takes a minute.")
    %pip install -q "{package}"
    importlib.invalidate_caches()
if importlib.util.find_spec("attention_limits") is None:
    raise ModuleNotFoundError("attention_limits was not installed: pip says why, above.")"""


def setup(package: str = "", address: str = "") -> str:
    """The code of the first cell.

    Args:
        package: what pip installs where the book's package is absent; without it, the cell says
            what the reader has to do.
        address: of the page in the published book.
    """
    return INSTALLING_SETUP.format(package=package, address=address) if package else SETUP


def cells(source: str, page: Page, opening: str) -> Iterator[nbformat.NotebookNode]:
    """The notebook's cells, the ``opening`` before those that jupytext and MyST-NB cut."""
    yield new_code_cell(opening, metadata={"tags": ["setup"]})
    whole = parse(source.replace("\r\n", "\n").split("\n"), 1, page.env)
    start = 0
    metadata: dict[str, Any] = {}
    between: list[Token] = []
    for token in whole.tokens:
        is_code = token.type == "fence" and directive_name(token) == "code-cell"
        if token.level or not (is_code or token.type in ("front_matter", "myst_block_break")):
            between.append(token)
            continue
        assert token.map is not None  # as of every block at the top
        first, last = token.map
        if is_code and is_solution(token, first + 1):
            between.append(token)
            continue
        part = whole._replace(tokens=between, start=start, stop=first)
        yield from _markdown_cell(part, metadata, page)
        start, metadata, between = last, {}, []
        if is_code:
            yield _code_cell(token, first + 1)
        elif token.type == "myst_block_break" and token.content.startswith("{"):
            metadata = json.loads(token.content)
    yield from _markdown_cell(whole._replace(tokens=between, start=start), metadata, page)


def _markdown_cell(part: Part, metadata: dict, page: Page) -> Iterator[nbformat.NotebookNode]:
    """One cell, or none where only labels, comments and empty lines stood."""
    text = markdown(part, page)
    if (depth := text.count(OPENED) - text.count(CLOSED)) > 0:  # no box reaches into another cell
        text += f"\n\n{CLOSED}"
    elif depth < 0:
        text = "".join(text.rsplit(CLOSED, 1)).strip("\n")
    if text.strip():
        yield new_markdown_cell(text, metadata=metadata)


def _code_cell(token: Token, line: int) -> nbformat.NotebookNode:
    """A code cell; its option block becomes its metadata."""
    metadata, body = code_options(token.content, line)
    if {"hide-input", "hide-cell", "remove-input", "remove-cell"} & {*metadata.get("tags", ())}:
        metadata["jupyter"] = {"source_hidden": True}  # folded, as in the book
    if NOT_RUN in (tags := metadata.get("tags", [])):
        # What a reader has written runs; what she has not does not stop the cells below it.
        tags[tags.index(NOT_RUN)] = MAY_RAISE
    return new_code_cell("\n".join(body).strip("\n"), metadata=metadata)
