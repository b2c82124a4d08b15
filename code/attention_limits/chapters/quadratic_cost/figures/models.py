"""Rows of published models, in the still figures of "Quadratic cost"."""

from collections.abc import Iterable

from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

from attention_limits import style
from attention_limits.shapes import SHAPES

APART = 0.14  # a model's two marks lie so far above and below its row: none hides the other


def rows(names: Iterable[str], label: str) -> tuple[Canvas, Axes]:
    """An empty row a model, over a logarithmic axis of tokens, the first model on top."""
    names = list(names)
    canvas = Canvas(figsize=(5.0, 1.2 + 0.38 * len(names)))
    axes = canvas.add_subplot(ylim=(len(names) - 0.4, -0.9))
    axes.set_xscale("log", base=2)
    axes.set_xlabel(label, size=12)
    axes.set_yticks(range(len(names)), names, size=12.8)
    axes.tick_params("x", labelsize=12)
    axes.grid(False, axis="y")
    return canvas, axes


def by_model(lengths: dict[str, float], name: str, label: str) -> tuple[Canvas, Axes]:
    """A row a model: its context in training, and another length of its own."""
    canvas, axes = rows(SHAPES, label)
    for row, shape in enumerate(SHAPES.values()):
        axes.plot(lengths[shape.name], row - APART, "D", color=style.BLUE, ms=7)
        axes.plot(shape.trained, row + APART, "o", color=style.VERMILLION, ms=7)
    first = next(iter(SHAPES.values()))
    for text, x, y in (("trained", first.trained, APART), (name, lengths[first.name], -APART)):
        axes.annotate(text, (x, y), xytext=(8, 0), textcoords="offset points", va="center")
    return canvas, axes
