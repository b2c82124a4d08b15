r"""From a chapter's MyST text notebook to a clean ``.ipynb``, the file behind the download button.

Jupyter, VS Code and Colab read Markdown and LaTeX, but no MyST: a chapter opened there as it is
shows its directives as code and its roles as text.  :func:`convert` rewrites every one of them
into plain Markdown, and stops at one that it has not been taught, because a build that fails is
better than a notebook that is garbled.

``syntax`` finds the blocks and the inline constructs and says where they stand in the text;
``cells``, ``blocks`` and ``inline`` rewrite only those places; ``page`` remembers what a page has
met. Code, mathematics and prose stay as the author typed them.
"""

import hashlib
from collections.abc import Mapping
from types import MappingProxyType

import nbformat
from nbformat.v4 import new_notebook

from attention_limits_book.notebooks.cells import cells, setup
from attention_limits_book.notebooks.page import Book, Face, Link, Page, nowhere

NOTHING: Mapping[str, str] = MappingProxyType({})


def convert(
    source: str,
    *,
    faces: Mapping[str, Face],
    claims: Mapping[str, Mapping],
    references: Mapping[str, str],
    page_titles: Mapping[str, str],
    bibliography: Mapping[str, str] = NOTHING,
    labels: Mapping[str, str] = NOTHING,
    recorded: Mapping[str, str] | None = None,
    link: Link = nowhere,
    package: str = "",
    address: str = "",
) -> nbformat.NotebookNode:
    """A chapter as a notebook: the same source and mappings always give the same bytes.

    Args:
        source: the text notebook, jupytext header included.
        faces: directive → what it becomes; see ``attention_limits_book.faces``.
        claims: claim id → its ``statement``, ``verdict``, ``reason`` and ``assumes`` (MyST
            text), and the ``results`` of its pieces.
        references: bib key → how prose names it; see ``references.short``.
        page_titles: page, as Sphinx names it ("chapters/locality") → its title.
        bibliography: bib key → its line in the list of references; see ``references.long``.
            A key that is missing here is listed by its short reference.
        labels: label on *another* page → the text that stands for it.
        recorded: number that a cell glued → what it was; None if the page was not run.
        link: where something is in the published book; see ``page.Link``.
        package: what pip installs where the book's package is absent.
        address: of the page in the published book.

    Returns:
        A notebook of format 4.5 without outputs.

    Raises:
        ValueError: for a directive, role, claim, reference, number, page or label that is not
            known, naming it and its line in ``source``.
    """
    book = Book(faces, claims, references, page_titles, bibliography, labels, recorded, link)
    first = setup(package, address)
    # Two passes, as in LaTeX: the first meets the labels and citations, the second uses them.
    survey = Page(book)
    for _ in cells(source, survey, first):
        pass
    notebook = new_notebook(
        cells=list(cells(source, Page(book, survey=survey), first)),
        metadata={
            "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"},
            "language_info": {"name": "python"},
        },
    )
    notebook.nbformat_minor = 5
    for position, cell in enumerate(notebook.cells):
        identity = f"{position}\n{cell.cell_type}\n{cell.source}"
        cell.id = hashlib.sha256(identity.encode()).hexdigest()[:16]
    return notebook
