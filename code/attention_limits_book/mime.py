"""Explorables on pages: MyST-NB calls this for their mime type."""

import itertools
import json

from docutils import nodes

from attention_limits import figure_html
from attention_limits.notebook import MIME


class FigureRenderer:
    """MyST-NB's hook for our mime type, in the entry points of this distribution."""

    mime_priority_overrides = (("html", MIME, 1),)

    @staticmethod
    def handle_mime(renderer, data, inline: bool) -> list[nodes.Node] | None:
        """The figure as HTML, or None to leave the data to other renderers."""
        if inline or data.mime_type != MIME:
            return None
        payload = json.loads(data.content) if isinstance(data.content, str) else data.content
        taken = renderer.renderer.document.ids  # the same figure may be on the page already
        names = (f"{payload['name']}-{n}" if n > 1 else payload["name"] for n in itertools.count(1))
        name = next(name for name in names if name not in taken)
        taken[name] = nodes.raw("", figure_html.on_page(payload, name), format="html")
        return [taken[name]]
