"""What a lab shows: controls where a kernel listens to them, a recorded run everywhere else."""

import functools
import html
import os
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from attention_limits.notebook import STILL

if TYPE_CHECKING:
    from ipywidgets import Widget

    from attention_limits import style

VIEW = "application/vnd.jupyter.widget-view+json"
# Said beneath the recorded run, by who stands before it: the first becomes a link on the page.
NOTEBOOK = "this page as a notebook"
ON_PAGE = f"Its controls need PyTorch, which runs in no page: download {NOTEBOOK} to use them."
IN_NOTEBOOK = "To use its controls, run this cell."


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
        if STILL in os.environ:
            return self._still(ON_PAGE, f'<span class="lab-notebook">{NOTEBOOK}</span>')
        still, live = self._faces()
        return {**live, **still}

    def _ipython_display_(self) -> None:
        """Show the recorded run, and the controls that take its place where a kernel answers.

        They are two outputs, not two types of one: a front end takes the widget where it knows
        widgets, even in a saved notebook, where no kernel is left to answer.
        """
        from IPython.core.getipython import get_ipython
        from IPython.display import display

        if STILL in os.environ:
            display(self._repr_mimebundle_(), raw=True)
        elif not hasattr(get_ipython(), "kernel"):
            display({"text/plain": self.recorded().alt}, raw=True)
        else:
            for face in self._faces():
                display(face, raw=True)

    def _still(self, invitation: str, notebook: str = "") -> dict[str, Any]:
        figure = self.recorded()
        words = html.escape(invitation).replace(NOTEBOOK, notebook or NOTEBOOK)
        still = f'{figure._repr_html_()}<p class="lab-invitation">{words}</p>'
        return {"text/html": still, "text/plain": f"{figure.alt} {invitation}"}

    def _faces(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """The recorded run, and the controls, closed until a kernel opens them."""
        from attention_limits import live

        poster = uuid.uuid4().hex
        still = self._still(IN_NOTEBOOK)
        still["text/html"] = f'{live.QUIET}<div data-poster="{poster}">{still["text/html"]}</div>'
        # Written out, since ipywidgets 7 has no bundle of its own to take it from.
        view = {"version_major": 2, "version_minor": 0}
        model = live.behind_gate(self.widget, poster).model_id
        return still, {VIEW: {**view, "model_id": model}, "text/plain": ""}
