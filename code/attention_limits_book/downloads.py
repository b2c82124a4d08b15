"""The download button: a notebook that opens in Jupyter, VS Code and Colab as it is."""

import functools
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

import nbformat
from sphinx.application import Sphinx
from sphinx.domains.std import StandardDomain
from sphinx.errors import ExtensionError

from attention_limits_book import faces, notebooks
from attention_limits_book.fingerprints import is_notebook
from attention_limits_book.notebooks import references

FOLDER = "notebooks"  # in the book's HTML


def setup(app: Sphinx) -> None:
    """Register, after the theme (priority 501) has made its buttons."""
    app.connect("html-page-context", _offer_notebook, priority=600)


@functools.cache
def _references(bibliography: Path) -> tuple[dict[str, str], dict[str, str]]:
    """Short and long, once a build: parsing them takes longer than converting every page."""
    return references.short(bibliography), references.long(bibliography)


def _offer_notebook(app: Sphinx, pagename: str, templatename: str, context: dict, doctree) -> None:
    """Write the page's notebook and let the theme's download menu offer it, and no source."""
    source = Path(app.env.doc2path(pagename)) if pagename in app.env.found_docs else None
    for button in context.get("header_buttons", []):
        if button.get("label") == "download-buttons":
            button["buttons"] = [
                choice for choice in button["buttons"] if choice["label"] == "download-pdf-button"
            ]
            if source and is_notebook(source):
                button["buttons"].insert(0, _button(context, _write(app, pagename, source)))


def _write(app: Sphinx, pagename: str, source: Path) -> str:
    (bibliography,) = app.config.bibtex_bibfiles
    short, long = _references(Path(app.srcdir, bibliography))
    env: Any = app.env  # where ``claims`` has put the ledger and what came of it
    labels = cast(StandardDomain, env.get_domain("std")).labels
    try:
        notebook = notebooks.convert(
            source.read_text(encoding="utf-8"),
            faces=faces.IN_NOTEBOOKS,
            claims={
                claim.id: asdict(claim) | {"results": env.claim_results[claim.id]}
                for claim in env.claims.values()
            },
            references=short,
            bibliography=long,
            page_titles={name: title.astext() for name, title in env.titles.items()},
            labels={label: text for label, (_, _, text) in labels.items()},
        )
    except ValueError as error:
        raise ExtensionError(f"{pagename} does not convert to a notebook: {error}") from error
    name = f"{FOLDER}/{pagename}.ipynb"
    target = Path(app.outdir, name)
    target.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, target)
    return name


def _button(context: dict, name: str) -> dict:
    return {
        "type": "link",
        "url": context["pathto"](name, 1),
        "text": ".ipynb",
        "icon": "fas fa-code",
        "tooltip": "Download this page as a notebook",
        "label": "download-notebook-button",
    }
