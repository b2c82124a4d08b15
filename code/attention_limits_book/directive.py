"""What a directive of the book is: a face on its page, and one in the notebook of that page."""

from collections.abc import Callable
from typing import NamedTuple

from sphinx.util.docutils import SphinxDirective

from attention_limits_book.notebooks.page import Face


class Faces(NamedTuple):
    """Both faces of one directive, told in one place.

    Attributes:
        page: what Sphinx makes of it.
        notebook: what it becomes in a downloaded notebook; None if no page with cells has it.
        rests_on: the modules whose content it shows: when one has changed, its page is read again.
    """

    page: type[SphinxDirective]
    notebook: Face | None = None
    rests_on: Callable[[], tuple[str, ...]] = tuple
