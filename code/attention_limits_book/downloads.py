"""Buttons above a page: its notebook to download, to open in Colab or Binder, and its source.

The notebook opens in Jupyter, VS Code and Colab as it is.
"""

import functools
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple, cast

import nbformat
from sphinx.application import Sphinx
from sphinx.domains.std import StandardDomain
from sphinx.errors import ExtensionError

from attention_limits import terms
from attention_limits_book import faces, notebooks
from attention_limits_book.addresses import Addresses
from attention_limits_book.fingerprints import is_notebook
from attention_limits_book.notebooks import references
from attention_limits_book.notebooks.page import Link
from attention_limits_book.terms import HOME

FOLDER = "notebooks"  # in the book's HTML


def setup(app: Sphinx) -> None:
    """Register, after the theme (priority 501) has made its buttons."""
    app.connect("html-page-context", _offer_notebook, priority=600)
    app.connect("build-finished", _remove_old)


class _Works(NamedTuple):
    """The bibliography, by key: how a sentence names a work, its line in a list, its address."""

    short: dict[str, str]
    long: dict[str, str]
    at: dict[str, str]


@functools.cache
def _works(bibliography: Path) -> _Works:
    """Once a build: parsing them takes longer than converting every page."""
    readers = (references.short, references.long, references.addresses)
    return _Works(*(read(bibliography) for read in readers))


def _offer_notebook(app: Sphinx, pagename: str, templatename: str, context: dict, doctree) -> None:
    """Write the page's notebook, and let the theme's menus offer it and no other source."""
    source = Path(app.env.doc2path(pagename)) if pagename in app.env.found_docs else None
    cells = source is not None and is_notebook(source)
    published: Addresses | None = app.config.book_addresses if cells else None
    for button in context.get("header_buttons", []):
        if button.get("label") == "download-buttons":
            button["buttons"] = [
                choice for choice in button["buttons"] if choice["label"] == "download-pdf-button"
            ]
            if published:
                button["buttons"].insert(0, _source_button(published, pagename))
            if source and cells:
                name = _write(app, pagename, source)
                button["buttons"].insert(0, _download_button(context, name))
    if published:
        context["header_buttons"].insert(0, _launch_buttons(published, pagename))


def _write(app: Sphinx, pagename: str, source: Path) -> str:
    (bibliography,) = app.config.bibtex_bibfiles
    works = _works(Path(app.srcdir, bibliography))
    env: Any = app.env  # where ``claims`` has put the ledger and what came of it
    labels = cast(StandardDomain, env.get_domain("std")).labels
    published: Addresses | None = app.config.book_addresses
    try:
        notebook = notebooks.convert(
            source.read_text(encoding="utf-8"),
            faces=faces.IN_NOTEBOOKS,
            claims={
                claim.id: asdict(claim) | {"results": env.claim_results[claim.id]}
                for claim in env.claims.values()
            },
            references=works.short,
            bibliography=works.long,
            page_titles={name: title.astext() for name, title in env.titles.items()},
            labels={label: text for label, (_, _, text) in labels.items()},
            recorded=_recorded(app, pagename),
            link=_links(env, published, works.at),
            package=published.package if published else "",
            address=published.page(pagename) if published else "",
        )
    except ValueError as error:
        raise ExtensionError(f"{pagename} does not convert to a notebook: {error}") from error
    name = f"{FOLDER}/{pagename}.ipynb"
    target = Path(app.outdir, name)
    target.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, target)
    return name


def _recorded(app: Sphinx, pagename: str) -> dict[str, str] | None:
    """The numbers that the page's cells glued, which MyST-NB leaves beside the page it ran."""
    if app.config.nb_execution_mode == "off":
        return None
    left = Path(app.outdir).parent / "jupyter_execute" / f"{pagename}.glue.json"
    if not left.is_file():  # nothing was glued
        return {}
    glued = json.loads(left.read_text(encoding="utf-8"))
    return {name: output["data"].get("text/plain", "") for name, output in glued.items()}


def _links(env: Any, published: Addresses | None, works: Mapping[str, str]) -> Link:
    """Where things are: works wherever they were published, all else in the book, if it was."""

    def link(kind: str, name: str) -> str:
        if kind == "reference":
            return works.get(name, "")
        if published is None:
            return ""
        page, anchor = _place(env, kind, name)
        return published.page(page, anchor) if page in env.found_docs else ""

    return link


def _place(env: Any, kind: str, name: str) -> tuple[str, str]:
    """The page on which something is, and its anchor there; no page for what is unknown."""
    if kind == "page":
        return name, ""
    if kind == "label":
        return env.get_domain("std").anonlabels.get(name, ("", ""))
    if kind == "term":
        term = terms.book().get(name)
        return (HOME, term.anchor) if term else ("", "")
    thing = env.get_domain("py").objects.get(name)
    return (thing.docname, thing.node_id) if thing else ("", "")


def _remove_old(app: Sphinx, exception: Exception | None) -> None:
    """Remove the notebooks of pages that are gone."""
    for path in Path(app.outdir, FOLDER).rglob("*.ipynb"):
        page = path.relative_to(Path(app.outdir, FOLDER)).with_suffix("").as_posix()
        if page not in app.env.found_docs:
            path.unlink()


def _download_button(context: dict, name: str) -> dict:
    # The theme writes the address between quotation marks, and has no place for more attributes.
    # Without this one, a host that does not know the type shows JSON.
    saved = f'{context["pathto"](name, 1)}" download="{Path(name).name}'
    return {
        "type": "link",
        "url": saved,
        "text": ".ipynb",
        "icon": "fas fa-code",
        "tooltip": "Download this page as a notebook",
        "label": "download-notebook-button",
    }


def _source_button(published: Addresses, page: str) -> dict:
    return {
        "type": "link",
        "url": published.source(page),
        "text": ".md",
        "icon": "fas fa-file",
        "tooltip": "See the source of this page",
        "label": "source-button",
    }


def _launch_buttons(published: Addresses, page: str) -> dict:
    buttons = [
        {
            "type": "link",
            "url": address,
            "text": name,
            "icon": f"_static/images/{logo}",
            "tooltip": f"Run this page in {name}",
            "label": f"{name.lower()}-button",
        }
        for name, logo, address in (
            ("Colab", "logo_colab.png", published.colab(page)),
            ("Binder", "logo_binder.svg", published.binder(page)),
        )
    ]
    return {
        "type": "group",
        "tooltip": "Run this page",
        "icon": "fas fa-rocket",
        "buttons": buttons,
        "label": "launch-buttons",
    }
