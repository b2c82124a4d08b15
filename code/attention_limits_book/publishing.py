"""What a page says to search engines and browsers, and what a web server makes of the book.

Once it is known where the book is published (``addresses``), each page has a canonical link, by
Sphinx, and a picture for those who link to it, and the book has a sitemap; before that nothing of
these, since all are made of whole addresses.
"""

import html
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

from docutils import nodes
from sphinx.application import Sphinx

from attention_limits_book import cards, mathematics
from attention_limits_book.addresses import Addresses

LONGEST = 155  # characters of a description: search engines show no more
SHORTEST = 60
MISSING = "404"
NOT_FOUND = """<h1>There is no such page</h1>
<p>The book has no page of this address: it may have another by now.
<a href="index.html">Begin on the front page</a>, or <a href="search.html">search the book</a>.</p>
"""
CARDS = "_images/cards"
SITEMAP = """<?xml version="1.0" encoding="utf-8"?>
<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">
{}
</urlset>
"""


def setup(app: Sphinx) -> None:
    """Register what is said in pages, and the files beside them."""
    app.setup_extension("sphinx.ext.githubpages")  # .nojekyll, or GitHub drops _static
    app.connect("html-page-context", _describe)
    app.connect("html-page-context", _introduce)
    app.connect("html-page-context", _name)
    app.connect("html-collect-pages", _missing_page)
    app.connect("build-finished", _write_sitemap)


# --- In pages -----------------------------------------------------------------------------------


def _name(app: Sphinx, pagename: str, templatename: str, context: dict, doctree) -> None:
    """Give the page its icons; and the first page its title once, which is the book's own."""
    if context.get("title") == context.get("docstitle"):
        context["docstitle"] = ""
    icon = context["pathto"]("_static/favicon.png", 1)
    links = (
        f'<link rel="icon" type="image/png" sizes="192x192" href="{icon}">'
        f'<link rel="apple-touch-icon" href="{icon}">'
    )
    context["metatags"] = f"{context.get('metatags', '')}\n{links}"


def _describe(app: Sphinx, pagename: str, templatename: str, context: dict, doctree) -> None:
    """Say what the page is about: in the words of its header, or those with which it begins."""
    tags = context.get("metatags", "")
    if re.search(r'<meta [^>]*name="description"', tags):
        return
    title = html.unescape(re.sub("<[^>]*>", "", context.get("title", "")))
    words = (context.get("meta") or {}).get("description") or (doctree and beginning(doctree))
    content = html.escape(words or f"{title}: a page of {app.config.html_title}.")
    context["metatags"] = f'{tags}\n<meta name="description" content="{content}">'


def _introduce(app: Sphinx, pagename: str, templatename: str, context: dict, doctree) -> None:
    """Say what others show with a link to the page; with a picture where that has an address."""
    if doctree is None:
        return
    published: Addresses | None = app.config.book_addresses
    title, book = plain_text(app.env.titles[pagename]), app.config.html_title
    description = described(context["metatags"])
    first = pagename == app.config.root_doc
    said = {
        "og:title": title,
        "og:description": description,
        "og:type": "website" if first else "article",
        "og:site_name": book,
        "twitter:card": "summary",
    }
    if published:
        name = f"{CARDS}/{pagename}.png"
        made_by = app.config.book_fingerprint
        cards.draw(Path(app.outdir, name), title, book, description, context["body"], made_by)
        width, height = cards.SIZE
        said |= {
            "og:url": published.page(pagename),
            "og:image": published.file(name),
            "og:image:width": str(width),
            "og:image:height": str(height),
            "og:image:alt": f"{title}, a page of {book}",
            "twitter:card": "summary_large_image",
        }
    tags = "\n".join(
        f'<meta {"name" if name.startswith("twitter") else "property"}="{name}" '
        f'content="{html.escape(content)}">'
        for name, content in said.items()
    )
    context["metatags"] += f"\n{tags}"


def described(page: str) -> str:
    """What the head of a page says that it is about."""
    found = re.search(r'<meta [^>]*name="description"[^>]*>', page)
    content = re.search(r'content="([^"]*)"', found[0]) if found else None
    return html.unescape(content[1]) if content else ""


def beginning(page: nodes.Element) -> str:
    """A page's first sentences, as many as fit."""
    for paragraph in page.findall(nodes.paragraph):
        if isinstance(paragraph.parent, nodes.section):
            text = " ".join(plain_text(paragraph).split())
            if len(text) >= SHORTEST:
                return shortened(text)
    return ""


def shortened(text: str) -> str:
    """What fits of a text, up to the end of a sentence if enough is left, or of a word."""
    if len(text) <= LONGEST:
        return text
    cut = text[:LONGEST]
    ends = [end.end() for end in re.finditer(r"[.?!](?=\s)", cut)]
    if ends and ends[-1] >= SHORTEST:
        return cut[: ends[-1]]
    return cut.rpartition(" ")[0].rstrip(" ,;:–") + "…"


def plain_text(node: nodes.Node) -> str:
    """What is written in a part of a page, its formulas as characters in a row."""
    if isinstance(node, nodes.math):
        return mathematics.words(node.astext())
    if isinstance(node, nodes.Text):
        return node.astext()
    return "".join(map(plain_text, node.children))


# --- Beside them --------------------------------------------------------------------------------


def _missing_page(app: Sphinx) -> Iterator[tuple[str, dict[str, Any], str]]:
    """Make the page that a server shows for an address without one."""
    yield MISSING, {"title": "There is no such page", "body": NOT_FOUND}, "page.html"


def from_anywhere(page: str, address: str) -> str:
    """A page whose links lead to the same places from any address: a server shows it at many."""
    home = urlsplit(address).path.rstrip("/") + "/"
    relative = r'(?<=\s)(href|src|action|data-content_root)="(?![a-z]+:|/|#)(?:\./)?'
    return re.sub(relative, rf'\1="{home}', page)


def _write_sitemap(app: Sphinx, exception: Exception | None) -> None:
    target, address = Path(app.outdir, "sitemap.xml"), app.config.html_baseurl
    target.unlink(missing_ok=True)
    if not address:  # any more
        shutil.rmtree(Path(app.outdir, CARDS), ignore_errors=True)
    if exception is not None or app.builder.format != "html" or not address:
        return
    home = address.rstrip("/") + "/"
    pages = (urljoin(home, f"{name}.html") for name in sorted(app.env.found_docs))
    lines = (f"<url><loc>{html.escape(page)}</loc></url>" for page in pages)
    target.write_text(SITEMAP.format("\n".join(lines)), encoding="utf-8")
