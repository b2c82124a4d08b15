"""The Sphinx side of the book: what turns its chapters into pages that stand on their own."""

from sphinx.application import Sphinx

from attention_limits_book import (
    addresses,
    assets,
    citing,
    claims,
    downloads,
    execution,
    faces,
    labs,
    library,
    lint,
    llms,
    mathematics,
    numbers,
    pages,
    permalinks,
    publishing,
    terms,
    versions,
)

MODULES = (
    addresses,
    execution,
    claims,
    library,
    terms,
    faces,
    numbers,
    mathematics,
    pages,
    permalinks,
    publishing,
    citing,
    versions,
    assets,
    downloads,
    llms,
    labs,
    lint,
)


def setup(app: Sphinx) -> dict:
    """Register everything; each module says what it does."""
    for module in MODULES:
        module.setup(app)
    return {"version": "0.1", "parallel_read_safe": True, "parallel_write_safe": True}
