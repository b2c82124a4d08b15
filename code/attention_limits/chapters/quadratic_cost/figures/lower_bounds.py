"""Still figures of the page on linear attention of "Quadratic cost"."""

import numpy as np
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import PercentFormatter

from attention_limits import style
from attention_limits.chapters.quadratic_cost.derivations.lower_bounds import (
    LARGEST_WEIGHT,
)
from attention_limits.chapters.quadratic_cost.evidence.lower_bounds import (
    D,
    N,
    entries,
    rank,
    weights,
)


def cheap_is_blunt(seeds: int = 5) -> style.Figure:
    """What it takes to come near a matrix of weights, and the largest of them, over the scores."""
    sizes = np.geomspace(0.1, 32, 16)
    drawn = [[weights(beta, seed) for beta in sizes] for seed in range(seeds)]
    thin = np.array([[rank(p) / N for p in row] for row in drawn])
    sparse = np.array([[entries(p) / N**2 for p in row] for row in drawn])
    largest = np.array([[p.max(-1).mean() for p in row] for row in drawn])
    canvas = Canvas(figsize=(4.6, 4.8))
    upper, lower = canvas.subplots(2, sharex=True)
    for axes, values, colour, dash in (
        (upper, thin, style.BLUE, "-"),
        (upper, sparse, style.GREEN, "--"),
        (lower, largest, style.VERMILLION, "-"),
    ):
        axes.plot(sizes, np.median(values, axis=0), color=colour, ls=dash)
        axes.fill_between(sizes, values.min(0), values.max(0), color=colour, alpha=0.25, lw=0)
        axes.set_xscale("log")
    upper.set(ylabel="share for an error of 1%", ylim=(0, 1.05))
    upper.yaxis.set_major_formatter(PercentFormatter(1))
    lower.yaxis.set_major_formatter(PercentFormatter(1))
    lower.set(ylabel="largest weight", ylim=(0, 1.05), xlabel="largest score in size, β")
    upper.text(1.1, 0.4, "rank ÷ n", ha="right")
    upper.text(1.1, 0.85, "entries ÷ n²", ha="right")
    lower.plot(sizes, LARGEST_WEIGHT.numpy(n=N, beta=sizes), color=style.GREY, ls="--")
    lower.text(2.6, 0.72, "bound", ha="right")
    lower.text(11, 0.36, "measured", ha="right")
    return style.Figure(
        canvas,
        alt="Two panels over the size of the scores, on a logarithmic axis. Above, the rank that "
        f"is needed rises from {1 + D} of {N} where scores are small to four fifths, with a slight "
        "fall at the end; the share of entries that is needed is all of them at first and falls "
        "to a few per cent where scores are largest. Below, the largest weight of a query rises "
        "from almost nothing to more than one half, below a dashed bound.",
        caption=f"Weights of {N} random queries and keys of width {D}. Above: the rank over n, or "
        "the number of entries over n², that comes within 1% of them. Below: the mean largest "
        f"weight of a query. Lines are medians of {seeds} seeds, bands their range.",
    )
