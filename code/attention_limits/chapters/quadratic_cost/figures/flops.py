"""Still figures of the page on flops of "Quadratic cost"."""

import numpy as np
from matplotlib.figure import Figure as Canvas

from attention_limits import style
from attention_limits.chapters.quadratic_cost.derivations.flops import (
    DOUBLING_EXPONENT,
    MODEL_CROSSOVER,
)
from attention_limits.chapters.quadratic_cost.figures.models import APART, rows
from attention_limits.shapes import MODELS, Model

WIDTHS = (256, 2048, 16384)


def doubling_exponent() -> style.Figure:
    """The power of n that a layer's cost seems to follow, for three widths of the classic layer."""
    lengths = np.geomspace(64, 2**24, 300).round()
    canvas = Canvas(figsize=(5.0, 3.3))
    axes = canvas.add_subplot(xlim=(64, 2**24), ylim=(0.98, 2.02))
    axes.set_xscale("log", base=2)
    axes.set(xlabel="sequence length n (tokens)", ylabel="doubling exponent")
    axes.set_xticks([2**power for power in (6, 10, 14, 18, 22)])
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
        caption="What power of n a whole layer's cost seems to follow, if the sequence doubles. "
        "Dots mark the crossovers, six widths.",
    )


def crossover_of(model: Model) -> float:
    """The length at which full attention is half of a model's FLOPs."""
    return MODEL_CROSSOVER(
        steady=model.steady, full=model.full, h=model.h, d_k=model.d_k, d_v=model.d_v
    )


def trained_and_crossover() -> style.Figure:
    """Each published model's context in training, and the length where attention takes over."""
    crossovers = {name: crossover_of(model) for name, model in MODELS.items()}
    beyond = [name for name, model in MODELS.items() if model.trained > crossovers[name]]
    canvas, axes = rows((f"{m.name}, {m.year}" for m in MODELS.values()), "tokens")
    for row, model in enumerate(MODELS.values()):
        high, low, star = row - APART, row + APART, crossovers[model.name]
        axes.plot((star, 2 * star), (high, high), color=style.BLUE, lw=1.2)
        axes.plot(star, high, "D", color=style.BLUE, ms=7)
        axes.plot(2 * star, high, "D", color=style.BLUE, mfc="none", ms=7)
        axes.plot((model.first, model.trained), (low, low), color=style.VERMILLION, lw=1.2)
        axes.plot(model.first, low, "o", color=style.VERMILLION, mfc="none", ms=7)
        axes.plot(model.trained, low, "o", color=style.VERMILLION, ms=7)
    for text, x, height in (("trained", 1024, 1 + APART), ("n* and 2n*", 2 * 4608, -APART)):
        axes.annotate(
            text, (x, height), xytext=(9, 0), textcoords="offset points", va="center", size=11.5
        )
    return style.Figure(
        canvas,
        alt=f"{len(MODELS)} models, one a row, over a logarithmic axis of tokens. Each has a "
        "diamond at its crossover, a hollow one at twice that, and a dot at the context of its "
        f"training. The dot lies right of the diamond for {', '.join(beyond)}, and left of it for "
        "the others.",
        caption="Diamonds: the crossover n*, hollow where a kernel skips the masked half of the "
        "pairs. Dots: context in training, hollow in its first stage. Right of its diamond, a "
        "model spends most of its FLOPs on full attention, if one document fills the context.",
    )
