"""The foot of each page: how to cite it, and at which commit the book was verified.

A page is cited with what ``CITATION.cff`` says of the book. The date is that of the commit, or of
SOURCE_DATE_EPOCH where it is set, and never of the build: one commit always gives the same page.
"""

import functools
import html
import os
import re
import subprocess
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple, cast

import yaml
from docutils import nodes
from pybtex.database import BibliographyData, Entry, Person
from sphinx.application import Sphinx

from attention_limits_book.addresses import Addresses
from attention_limits_book.fingerprints import is_notebook
from attention_limits_book.publishing import plain_text

CITATION = "CITATION.cff"


class Commit(NamedTuple):
    """What a book is built from: which commit, of which day, and whether files were changed."""

    name: str
    date: str
    changed: bool


def setup(app: Sphinx) -> None:
    """Register; with another commit, or another citation, all pages are written again."""
    app.add_config_value("book_citation", {}, "html", [dict])
    app.add_config_value("book_commit", None, "html", [Commit, type(None)])
    app.connect("config-inited", _note)
    app.connect("html-page-context", _add_foot)


def _note(app: Sphinx, config) -> None:
    config.book_citation = citation(Path(app.srcdir))
    config.book_commit = commit(Path(app.srcdir))


def _add_foot(app: Sphinx, pagename: str, templatename: str, context: dict, doctree) -> None:
    if doctree is None:
        return
    published, title = app.config.book_addresses, plain_text(app.env.titles[pagename])
    if cited := app.config.book_citation:
        address = published.page(pagename) if published else ""
        first = pagename == app.config.root_doc
        bibtex = entry(cited, pagename, "" if first else title, address)
        shown = cast(Any, app.builder).highlighter.highlight_block(bibtex, "bibtex")
        context["body"] += (
            '<details class="cite d-print-none"><summary>'
            f"Cite this {'book' if first else 'page'}</summary>"
            f'<div class="highlight-bibtex notranslate">{shown}</div></details>\n'
        )
    if app.config.book_commit:
        ran = is_notebook(Path(app.env.doc2path(pagename)))
        said = verified(app.config.book_commit, published, with_what() if ran else "")
        context["body"] += f'<p class="verified">{said}</p>\n'


# --- how to cite --------------------------------------------------------------------------------


def citation(source: Path) -> dict[str, Any]:
    """What the book in a folder says of itself; nothing, where it has no such file."""
    path = source / CITATION
    return yaml.safe_load(path.read_text(encoding="utf-8")) if path.is_file() else {}


def entry(cited: dict[str, Any], page: str, title: str, address: str) -> str:
    """A page in BibTeX, or the whole book if the page has no title of its own."""
    whole = f"{{{cited['title']}}}"
    fields = {"title": f"{{{title}}}", "booktitle": whole} if title else {"title": whole}
    fields |= {"year": str(cited["date-released"])[:4], "note": f"Version {cited['version']}"}
    fields |= {"url": address} if address else {}
    kind = "incollection" if title else "book"
    made = Entry(kind, fields, persons={"author": [_person(one) for one in cited["authors"]]})
    key = nodes.make_id(f"{cited['title']} {page.removesuffix('/index')}")
    written = BibliographyData({key: made}).to_string("bibtex")
    # pybtex takes an address for words, whose signs TeX would take for its own.
    return written.replace(re.sub("[_%&#]", r"\\\g<0>", address), address)


def _person(author: dict[str, str]) -> Person:
    if "name" in author:  # of a group, which has no first name
        return Person(f"{{{author['name']}}}")
    return Person(first=author.get("given-names", ""), last=author["family-names"])


# --- what was verified --------------------------------------------------------------------------


def commit(source: Path) -> Commit | None:
    """The commit of the repository that a book is; None for a book that is in none, or in another.

    Its date is the day of SOURCE_DATE_EPOCH if that is set, or of the commit, in UTC.
    """

    def git(*arguments: str) -> str:
        command = ["git", "--no-optional-locks", "-C", str(source), *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    try:
        if Path(git("rev-parse", "--show-toplevel")).resolve() != source.resolve():
            return None
        name, seconds = git("log", "-1", "--format=%H %ct").split()
        changed = bool(git("status", "--porcelain", "--untracked-files=no"))
    except (OSError, subprocess.CalledProcessError):
        return None
    day = datetime.fromtimestamp(int(os.environ.get("SOURCE_DATE_EPOCH", seconds)), UTC)
    return Commit(name, day.date().isoformat(), changed)


def verified(commit: Commit, published: Addresses | None, ran: str) -> str:
    """What the foot of a page says of it, in HTML."""
    name = f"<code>{commit.name[:7]}</code>"
    if published:
        name = f'<a href="{published.repository}/commit/{commit.name}">{name}</a>'
    changes = ", with changes" if commit.changed else ""
    return f"Last verified: {commit.date}, commit {name}{changes}. {html.escape(ran)}".rstrip()


@functools.cache
def with_what() -> str:
    """On what the cells of pages ran."""
    from attention_limits import devices

    kind = devices.choose().type
    device = "the CPU" if kind == "cpu" else kind.upper()
    return f"The cells ran on {device}, with PyTorch {metadata.version('torch')}."
