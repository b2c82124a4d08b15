"""Still figures of the page on linear time of "Quadratic cost"."""

import numpy as np
from matplotlib.figure import Figure as Canvas

from attention_limits import style
from attention_limits.chapters.quadratic_cost.derivations.linear_time import (
    LARGEST_WEIGHT,
)
from attention_limits.chapters.quadratic_cost.evidence.lower_bounds import D, N, rank, weights


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
