"""Numbers in prose, ``{glue:text}`gap:.0e```, in the book's one notation: 3 · 10⁻⁸."""

from docutils import nodes
from myst_nb.ext.glue.roles import PasteTextRole
from sphinx.application import Sphinx

from attention_limits.numerals import in_words


class Number(PasteTextRole):
    """MyST-NB's role, which writes a number as Python prints it."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        """What is pasted, each of its numbers written anew."""
        found, messages = super().run()
        for text in [text for node in found for text in node.findall(nodes.Text)]:
            text.parent.replace(text, nodes.Text(in_words(text.astext())))
        return found, messages


def setup(app: Sphinx) -> None:
    """Take the place of MyST-NB's role, which it registered before."""
    app.add_role_to_domain("glue", "text", Number(), override=True)
