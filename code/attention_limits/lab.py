"""What a lab shows: controls where a kernel listens to them, a recorded run everywhere else."""

import functools
import html
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from attention_limits.notebook import STILL

if TYPE_CHECKING:
    from ipywidgets import Widget

    from attention_limits import style

VIEW = "application/vnd.jupyter.widget-view+json"
INVITATION = (
    "To run it on your own machine, download this page as a notebook, with the button at its top."
)


@dataclass(frozen=True)
class Lab:
    """One object with two faces, of which the page shows the one that works there.

    Args:
        controls: makes the widget; called once, and only by a kernel that a reader talks to.
        recorded: makes the figure of the recorded run, its caption saying when and where.
    """

    controls: Callable[[], "Widget"]
    recorded: "Callable[[], style.Figure]"

    @functools.cached_property
    def widget(self) -> "Widget":
        """The controls."""
        return self.controls()

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, Any]:
        figure = self.recorded()
        still = f"{figure._repr_html_()}<p>{html.escape(INVITATION)}</p>"
        bundle: dict[str, Any] = {"text/html": still, "text/plain": f"{figure.alt} {INVITATION}"}
        if STILL not in os.environ:
            # Written out, since ipywidgets 7 has no bundle of its own to take it from.
            model = self.widget.model_id
            bundle[VIEW] = {"version_major": 2, "version_minor": 0, "model_id": model}
        return bundle
