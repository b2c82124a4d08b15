"""The still figures of the chapter "Quadratic cost"."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

from attention_limits import style
from attention_limits.chapters.quadratic_cost.derivations import (
    CACHE_WEIGHS,
    CROSSOVER,
    DOUBLING_EXPONENT,
    LARGEST_WEIGHT,
    ROW_CHANGES,
    TILE_CHANGES,
)
from attention_limits.chapters.quadratic_cost.evidence.lower_bounds import D, N, rank, weights
from attention_limits.chapters.quadratic_cost.evidence.softmax import attention_scores, changes
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


def _by_model(lengths: dict[str, float], name: str, label: str) -> tuple[Canvas, Axes]:
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


def trained_and_crossover() -> style.Figure:
    """Each published model's context in training, and the length where attention takes over."""
    crossovers = {name: CROSSOVER(**shape.sizes) for name, shape in SHAPES.items()}
    beyond = [name for name, shape in SHAPES.items() if shape.trained > crossovers[name]]
    canvas, axes = _by_model(crossovers, "crossover", "sequence length (tokens)")
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


def trained_and_cache() -> style.Figure:
    """Each published model's context in training, and the tokens whose cache weighs as much."""
    weighs = {name: CACHE_WEIGHS(**shape.whole) for name, shape in SHAPES.items()}
    canvas, _ = _by_model(weighs, "cache = weights", "tokens in flight")
    texts = {name: weighs[name] / shape.trained for name, shape in SHAPES.items()}
    said = "; ".join(f"{name} takes {count:.2g} texts" for name, count in texts.items())
    return style.Figure(
        canvas,
        alt=f"{len(SHAPES)} models, one a row, each with a dot at the context of its training and "
        "a diamond at the number of tokens whose cache weighs as much as the model, on a "
        f"logarithmic axis. In texts of full length: {said}.",
        caption="Context in training (dots) and the number of tokens in flight, of one text or of "
        "many, whose keys and values outweigh the model (diamonds), both at the same number of "
        "bytes a number.",
    )


def maximum_changes(rows: int = 128, seeds: int = 8) -> style.Figure:
    """How often a running maximum changes: one row's, and at least one of a tile's."""
    lengths = 2 ** np.arange(2, 14)
    canvas = Canvas()
    axes = canvas.add_subplot(xlim=(4, 2**13), ylim=(1, 2**13))
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set(xlabel="keys that have passed", ylabel="changes of the maximum")
    axes.plot(lengths, lengths, color=style.GREY, ls=":")
    axes.text(40, 75, "every key", color=style.GREY, rotation=33, ha="center", va="center")
    tile = [TILE_CHANGES.numpy(n=n, B=rows) for n in lengths]
    row = [ROW_CHANGES.numpy(n=n) for n in lengths]
    axes.plot(lengths, tile, color=style.VERMILLION)
    axes.plot(lengths, row, color=style.BLUE)
    for seed in range(seeds):
        changed = changes(attention_scores(seed, rows, lengths[-1]))
        axes.plot(lengths, changed.any(0).cumsum()[lengths - 1], ".", color=style.VERMILLION, ms=4)
        axes.plot(lengths, changed.cumsum(-1).mean(0)[lengths - 1], ".", color=style.BLUE, ms=4)
    axes.text(2**12.8, 100, f"tile of {rows} rows", ha="right")
    axes.text(2**12.8, 4.2, "one row", ha="right")
    return style.Figure(
        canvas,
        alt="Changes of the running maximum over the number of keys, on logarithmic axes. One "
        f"row's grow like a logarithm, to about ten at 8,192 keys. A tile of {rows} rows changes "
        "at nearly every key at first, and hundreds of times in all.",
        caption="How often a running maximum changes. Lines: derived, for independent scores in "
        f"random order. Dots: scores of {rows} random queries against the same random keys, "
        f"{seeds} seeds, a dot each (for one row, the mean over the tile).",
    )


def cheap_is_blunt(seeds: int = 5) -> style.Figure:
    """The rank of a matrix of weights, and the largest of them, over the size of the scores."""
    sizes = np.geomspace(0.1, 32, 16)
    drawn = [[weights(beta, seed) for beta in sizes] for seed in range(seeds)]
    ranks = np.array([[rank(p) for p in row] for row in drawn])
    largest = np.array([[p.max(-1).mean() for p in row] for row in drawn])
    canvas = Canvas(figsize=(5.6, 5.2))
    upper, lower = canvas.subplots(2, sharex=True)
    for axes, values, colour in ((upper, ranks, style.BLUE), (lower, largest, style.VERMILLION)):
        axes.plot(sizes, np.median(values, axis=0), color=colour)
        axes.fill_between(sizes, values.min(0), values.max(0), color=colour, alpha=0.25, lw=0)
        axes.set_xscale("log")
    upper.set(ylabel=f"rank, of {N}", ylim=(0, N))
    lower.set(ylabel="largest weight of a query", ylim=(0, 1), xlabel="largest score in size, β")
    for degree, count in ((1, 1 + D), (2, (D + 1) * (D + 2) // 2)):
        upper.axhline(count, color=style.GREY, ls=":")
        upper.text(31, count + 8, f"degree {degree}: {count}", ha="right", va="bottom")
    lower.plot(sizes, LARGEST_WEIGHT.numpy(n=N, beta=sizes), color=style.GREY, ls="--")
    lower.text(3.1, 0.72, "bound", ha="right")
    lower.text(9, 0.2, "measured", ha="right")
    return style.Figure(
        canvas,
        alt="Two panels over the size of the scores, on a logarithmic axis. Above, the rank of the "
        f"weights rises from about {D} where scores are small to most of {N} where they are "
        "large, with a slight fall at the end. Below, the largest weight of a query rises from "
        "almost nothing to more than one half, below a dashed bound.",
        caption=f"Weights of {N} random queries and keys of width {D}. Above: the rank that comes "
        "within 1 % of them; dotted, the rank of the Taylor polynomials of the exponential. Below: "
        f"the mean largest weight of a query. Lines are medians of {seeds} seeds, bands their "
        "range.",
    )
