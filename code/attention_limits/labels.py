"""Labels to the right of a panel, level with what they name, each behind its mark."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.layout_engine import ConstrainedLayoutEngine

from attention_limits import style

GAP = 0.2  # between labels, in panels 2.4 inches high: two lines of text
TOP = 0.93  # where the highest label stands, at most


class Label(NamedTuple):
    """What a label says, next to which value, behind which of the palette's marks."""

    text: str
    value: float
    number: int


def canvas(height: float) -> Canvas:
    """A figure whose axes leave the right to the labels."""
    return Canvas(figsize=(5.6, height), layout=ConstrainedLayoutEngine(rect=(0, 0, 0.6, 1)))


def cues(number: int) -> dict[str, Any]:
    """The colour and the mark of one of a few series."""
    return {"color": style.PALETTE[number], "marker": style.MARKERS[number], "ms": 5.5}


def write(axes: Axes, labels: Sequence[Label]) -> None:
    """Write the labels, after everything is drawn: their heights depend on the axis."""
    axes.get_ylim()  # Matplotlib fits the limits to what is drawn when it is asked for them
    to_panel = axes.transData + axes.transAxes.inverted()
    heights = [to_panel.transform((1, label.value))[1] for label in labels]
    for label, height in zip(labels, spread(heights), strict=True):
        place: dict[str, Any] = {"transform": axes.transAxes, "in_layout": False}
        axes.plot(1.06, height, **cues(label.number), **place, clip_on=False)
        axes.text(1.12, height, label.text, **place, va="center", size=11)


def spread(heights: Sequence[float]) -> list[float]:
    """Heights in the same order, but ``GAP`` apart or more, and none above ``TOP``."""
    # From the lowest up; of equals, the first is the highest.
    order = sorted(range(len(heights)), key=lambda i: (heights[i], -i))
    placed, floor = list(heights), 0.0
    for i in order:
        placed[i] = max(placed[i], floor)
        floor = placed[i] + GAP
    ceiling = TOP
    for i in reversed(order):
        placed[i] = min(placed[i], ceiling)
        ceiling = placed[i] - GAP
    return placed
