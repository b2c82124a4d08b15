"""Still figures of the page on flops of "Quadratic cost"."""

import numpy as np
from matplotlib.figure import Figure as Canvas

from attention_limits import style
from attention_limits.chapters.quadratic_cost.derivations.flops import (
    CROSSOVER,
    DOUBLING_EXPONENT,
)
from attention_limits.chapters.quadratic_cost.figures.models import by_model
from attention_limits.shapes import SHAPES

WIDTHS = (256, 2048, 16384)


def doubling_exponent() -> style.Figure:
    """The power of n that a layer's cost seems to follow, for three widths of the classic layer."""
    lengths = np.geomspace(64, 2**24, 300).round()
    canvas = Canvas()
    axes = canvas.add_subplot(xlim=(64, 2**24), ylim=(0.98, 2.02))
    axes.set_xscale("log", base=2)
    axes.set(xlabel="sequence length n (tokens)", ylabel="doubling exponent")
    for d_model, colour in zip(WIDTHS, style.PALETTE, strict=False):
        shape = dict(d_model=d_model, h=1, g=1, f=4 * d_model, c=2)
        axes.plot(lengths, DOUBLING_EXPONENT.numpy(n=lengths, **shape), color=colour)
        crossover = np.log2(3)
        axes.plot(6 * d_model, crossover, "o", color=colour)
        axes.annotate(
            f"width {d_model:,}" if d_model == WIDTHS[0] else f"{d_model:,}",
            (6 * d_model, crossover),
            xytext=(-8, 3),
            textcoords="offset points",
            ha="right",
        )
    return style.Figure(
        canvas,
        alt="Three S-shaped curves of the doubling exponent over sequence length, one for each "
        "width, rising from one to two. Each passes a dot at its crossover, at an exponent of "
        "1.58; the wider the model, the further right the curve.",
        caption="What power of n a whole layer's cost seems to follow, if one doubles the text. "
        "Dots mark the crossovers, six widths.",
    )


def trained_and_crossover() -> style.Figure:
    """Each published model's context in training, and the length where attention takes over."""
    crossovers = {name: CROSSOVER(**shape.sizes) for name, shape in SHAPES.items()}
    beyond = [name for name, shape in SHAPES.items() if shape.trained > crossovers[name]]
    canvas, axes = by_model(crossovers, "crossover", "sequence length (tokens)")
    for row, crossover in enumerate(crossovers.values()):
        axes.plot((crossover, 2 * crossover), (row, row), color=style.GREY, zorder=1)
        axes.plot(2 * crossover, row, "D", color=style.BLUE, mfc="none", ms=7)
    return style.Figure(
        canvas,
        alt=f"{len(SHAPES)} models, one a row, each with a dot at the context of its training and "
        "a diamond at its crossover, on a logarithmic axis. The dot lies right of the diamond for "
        f"{', '.join(beyond)}, and left of it for the others.",
        caption="Context in training (dots) and the crossover n* (diamonds; hollow where a kernel "
        "skips the masked half). Right of its diamond, a layer spends most of its FLOPs on "
        "attention.",
    )
