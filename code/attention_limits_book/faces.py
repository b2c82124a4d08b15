"""Every directive of the book, registered with both of its faces."""

from sphinx.application import Sphinx

from attention_limits_book import beliefs, claims, exercise_boxes, library, tasks, terms
from attention_limits_book.directive import Faces
from attention_limits_book.notebooks.page import Face

DIRECTIVES: dict[str, Faces] = {
    name: faces
    for module in (beliefs, claims, exercise_boxes, library, tasks, terms)
    for name, faces in module.DIRECTIVES.items()
}

IN_NOTEBOOKS: dict[str, Face] = {
    name: faces.notebook for name, faces in DIRECTIVES.items() if faces.notebook
}


def setup(app: Sphinx) -> None:
    """Register the faces on pages; ``downloads`` uses those in notebooks."""
    for name, faces in DIRECTIVES.items():
        app.add_directive(name, faces.page, override=True)  # sphinx-exercise has some of them
