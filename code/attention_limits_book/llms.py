"""``llms.txt``: the pages of the book in a list, for readers that are programs.

Addresses are whole once it is known where the book is published, and relative before.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

from sphinx.application import Sphinx

from attention_limits_book import downloads
from attention_limits_book.addresses import Addresses
from attention_limits_book.publishing import described, plain_text

NAME = "llms.txt"


def setup(app: Sphinx) -> None:
    """Register, for when all pages and notebooks are there."""
    app.connect("build-finished", _write_list)


def _write_list(app: Sphinx, exception: Exception | None) -> None:
    """List the pages in the form that llmstxt.org describes: a summary, and parts with links."""
    if exception is not None or app.builder.format != "html":
        return
    published: Addresses | None = app.config.book_addresses
    root = app.config.root_doc
    summary = app.config.book_citation.get("abstract") or _summary(app, root)
    lines = [f"# {app.config.html_title}", "", f"> {summary.strip()}"]
    for part in app.config.external_site_map[root].subtrees:
        lines += ["", f"## {part.caption or 'Pages'}", ""]
        lines += [_line(app, page, published) for page in _with_sections(app, part.items)]
    Path(app.outdir, NAME).write_text("\n".join(lines) + "\n", encoding="utf-8")


def _with_sections(app: Sphinx, pages: Iterable[str]) -> Iterator[str]:
    """Pages in the order of the table of contents, each before those beneath it."""
    for page in pages:
        yield page
        for part in app.config.external_site_map[page].subtrees:
            yield from _with_sections(app, part.items)


def _line(app: Sphinx, page: str, published: Addresses | None) -> str:
    title = plain_text(app.env.titles[page])
    at = published.file if published else str
    also = [f"[source]({published.source(page)})"] if published else []
    notebook = f"{downloads.FOLDER}/{page}.ipynb"
    if Path(app.outdir, notebook).is_file():
        also.insert(0, f"[notebook]({at(notebook)})")
    rest = f" ({', '.join(also)})" if also else ""
    return f"- [{title}]({at(f'{page}.html')}): {_summary(app, page)}{rest}"


def _summary(app: Sphinx, page: str) -> str:
    return described(Path(app.outdir, f"{page}.html").read_text(encoding="utf-8"))
