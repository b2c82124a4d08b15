"""Still figures of the page on softmax of "Quadratic cost"."""

import numpy as np
from matplotlib.figure import Figure as Canvas

from attention_limits import style
from attention_limits.chapters.quadratic_cost.derivations.softmax import (
    ROW_CHANGES,
    TILE_CHANGES,
)
from attention_limits.chapters.quadratic_cost.evidence.softmax import attention_scores, changes


def maximum_changes(rows: int = 128, seeds: int = 8) -> style.Figure:
    """How often a running maximum changes: one row's, and at least one of a tile's."""
    lengths = 2 ** np.arange(2, 14)
    canvas = Canvas()
    axes = canvas.add_subplot(xlim=(4, 2**13), ylim=(1, 2**13))
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set(xlabel="keys that have passed", ylabel="changes of the maximum")
    axes.plot(lengths, lengths, color=style.GREY, ls=":")
    axes.text(40, 75, "every key", rotation=33, ha="center", va="center")
    tile = [TILE_CHANGES.numpy(n=n, B=rows) for n in lengths]
    row = [ROW_CHANGES.numpy(n=n) for n in lengths]
    axes.plot(lengths, tile, color=style.VERMILLION)
    axes.plot(lengths, row, color=style.GREEN, ls="--")
    for seed in range(seeds):
        changed = changes(attention_scores(seed, rows, lengths[-1]))
        axes.plot(lengths, changed.any(0).cumsum()[lengths - 1], ".", color=style.VERMILLION, ms=4)
        axes.plot(lengths, changed.cumsum(-1).mean(0)[lengths - 1], ".", color=style.GREEN, ms=4)
    axes.text(2**12.8, 100, f"tile of {rows} rows", ha="right")
    axes.text(2**12.8, 4.2, "one row", ha="right")
    return style.Figure(
        canvas,
        alt="Changes of the running maximum over the number of keys, on logarithmic axes. One "
        f"row's grow like a logarithm, to about ten at 8,192 keys. A tile of {rows} rows changes "
        "at nearly every key at first, and hundreds of times in all.",
        caption="How often a running maximum changes. Lines: derived, for independent scores in "
        f"random order. Dots: scores of {rows} random queries on the same random keys, d = 64, "
        f"{seeds} seeds, a dot each (for one row, the mean over the tile).",
    )
