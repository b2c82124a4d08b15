"""What lives in a notebook: figures with sliders, and the gate before the controls of a lab.

Nothing is fetched from elsewhere. The kernel sends the figure's script with each figure, ten
kilobytes, and Vega once, two hundred, for all figures that it ever shows.
"""

import functools
import gzip
from importlib import resources

import anywidget
import traitlets
from ipywidgets import VBox, Widget, widget_serialization

from attention_limits import drawing


def _shipped(name: str) -> str:
    return (resources.files("attention_limits") / "static" / name).read_text(encoding="utf-8")


class Vega(Widget):
    """What draws, packed: a model without a view, which figures refer to."""

    packed = traitlets.Bytes().tag(sync=True)


# JupyterLab writes "Loading widget…" where the live figure will be, and "model not found" where
# no kernel is left: neither is of use beneath the picture that shows what it would.
QUIET = (
    "<style>.jp-OutputArea-child:has([data-poster])"
    " + .jp-OutputArea-child:not(:has(figure)),"
    " .jp-OutputArea-child:has([data-poster][hidden]) { display: none }</style>"
)


class Figure(anywidget.AnyWidget):
    """One figure, as the book's pages draw it.

    Args:
        html: its elements, from ``figure_html.live``.
        poster: which picture it takes the place of.
    """

    _esm = _shipped("explorable.js") + "export default explorable;\n"
    _css = _shipped("explorable.css")
    html = traitlets.Unicode().tag(sync=True)
    poster = traitlets.Unicode().tag(sync=True)
    vega = traitlets.Instance(Widget).tag(sync=True, **widget_serialization)

    def __init__(self, *, html: str, poster: str) -> None:
        super().__init__(html=html, poster=poster, vega=_vega())


_sent: list[Vega] = []  # at most one


def _vega() -> Vega:
    """The one that the front end has already, if nobody has closed it since."""
    if not _sent or _sent[0].comm is None:
        _sent[:] = [Vega(packed=_packed())]
    return _sent[0]


@functools.cache
def _packed() -> bytes:
    return gzip.compress(drawing.vega_script().encode(), mtime=0)


class Gate(anywidget.AnyWidget):
    """Stands before a lab's controls, and opens when a kernel answers: without one they are dead.

    Args:
        poster: which picture they take the place of.
    """

    _esm = _shipped("gate.js")
    _css = ".lab-controls:not(.lab-open) > :not(:first-child) { display: none !important }"
    poster = traitlets.Unicode().tag(sync=True)

    def __init__(self, *, poster: str) -> None:
        super().__init__(poster=poster)
        self.on_msg(lambda _, message, buffers: self.send(message))


def behind_gate(controls: Widget, poster: str) -> Widget:
    """Controls that are seen while a kernel listens to them, and nowhere else."""
    box = VBox([Gate(poster=poster), controls])
    box.add_class("lab-controls")
    return box
