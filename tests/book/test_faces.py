"""Each directive of the book has both of its faces."""

import re
from types import SimpleNamespace

import nbformat
import pytest
from helpers.sources import HEADER, pages

from attention_limits_book import downloads, faces
from attention_limits_book.fingerprints import is_notebook
from attention_limits_book.notebooks.blocks import OF_SPHINX

PAGES = pages("chapters", "library")


def used(page):
    """The directives of a page."""
    text = page.read_text(encoding="utf-8")
    return set(re.findall(r"^ *[`:]{3,}\{([\w:-]+)\}", text, re.MULTILINE)) - {"code-cell"}


@pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)
def test_every_directive_of_a_page_is_registered(page):
    """A directive was dropped that a page still uses."""
    assert used(page) <= {*faces.DIRECTIVES, *OF_SPHINX}
    if is_notebook(page):
        assert used(page) <= {*faces.IN_NOTEBOOKS, *OF_SPHINX}


def test_no_directive_is_registered_for_nobody():
    """The converter knew sixty directives, of which pages used seventeen."""
    assert {*faces.DIRECTIVES} == set().union(*map(used, PAGES.values())) - {*OF_SPHINX}


def test_sphinx_gets_every_face():
    """A directive that is listed and not registered."""
    registered = {}
    app = SimpleNamespace(
        add_directive=lambda name, face, override: registered.update({name: face})
    )
    faces.setup(app)
    assert registered == {name: face.page for name, face in faces.DIRECTIVES.items()}


def test_a_notebook_is_written_into_a_folder_that_is_new_or_not(tmp_path):
    """The first build, or the second, stopped at a folder."""
    (tmp_path / "a.bib").write_text("")
    source = tmp_path / "page.md"
    source.write_text(f"{HEADER}# Title\n")
    env = SimpleNamespace(claims={}, titles={}, get_domain=lambda name: SimpleNamespace(labels={}))
    config = SimpleNamespace(
        bibtex_bibfiles=["a.bib"], book_addresses=None, nb_execution_mode="off"
    )
    app = SimpleNamespace(config=config, env=env, srcdir=tmp_path, outdir=tmp_path / "html")
    for _ in range(2):
        name = downloads._write(app, "chapters/page", source)
        assert nbformat.read(tmp_path / "html" / name, as_version=4).cells[1].source == "# Title"
