"""Still figures of the page on models of "Quadratic cost"."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

from attention_limits import style
from attention_limits.shapes import SHAPES


def by_model(lengths: dict[str, float], name: str, label: str) -> tuple[Canvas, Axes]:
    """A row a model: its context in training, and another length of its own."""
    canvas = Canvas(figsize=(5.6, 3.8))
    axes = canvas.add_subplot(ylim=(-0.8, len(SHAPES) - 0.5))
    axes.set_xscale("log", base=2)
    axes.set(xlabel=label, yticks=range(len(SHAPES)))
    axes.set_yticklabels(SHAPES)
    for row, shape in enumerate(SHAPES.values()):
        axes.plot((shape.trained, lengths[shape.name]), (row, row), color=style.GREY, zorder=1)
        axes.plot(lengths[shape.name], row, "D", color=style.BLUE, ms=7)
        axes.plot(shape.trained, row, "o", color=style.VERMILLION, ms=7)
    first = next(iter(SHAPES.values()))
    for text, x in (("trained", first.trained), (name, lengths[first.name])):
        axes.annotate(text, (x, 0), xytext=(-4, -16), textcoords="offset points")
    return canvas, axes
