"""Labs on pages, where no kernel listens: their words lead to the page as a notebook.

That is one to download and, once it is known where the book is published, one that Colab opens.
"""

import html

from sphinx.application import Sphinx

from attention_limits.lab import NOTEBOOK
from attention_limits_book.downloads import FOLDER

PLACE = f'<span class="lab-notebook">{NOTEBOOK}</span>'


def setup(app: Sphinx) -> None:
    """Register the link."""
    app.connect("html-page-context", _lead_to_notebook)


def _lead_to_notebook(
    app: Sphinx, pagename: str, templatename: str, context: dict, doctree
) -> None:
    if PLACE in context.get("body", ""):
        address = context["pathto"](f"{FOLDER}/{pagename}.ipynb", 1)
        link = f'<a class="lab-notebook" href="{address}" download>{NOTEBOOK}</a>'
        if addresses := app.config.book_addresses:
            colab = html.escape(addresses.colab(pagename))
            link += f' (or <a class="lab-colab" href="{colab}">open it in Colab</a>)'
        context["body"] = context["body"].replace(PLACE, link)
