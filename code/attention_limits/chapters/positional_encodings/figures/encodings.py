"""The still figures of the page on encodings."""

import numpy as np
from matplotlib.figure import Figure as Canvas

from attention_limits import style
from attention_limits.chapters.positional_encodings.evidence import encodings as evidence

FLOOR = 1e-17  # what changes less than this is drawn here


# --- without positions --------------------------------------------------------------------------
def shuffled() -> style.Figure:
    """How much the last output changes if what came before is shuffled, by number of layers."""
    depths = (1, 2, 3)
    changes = {depth: evidence.changes_of_the_last_output(depth) for depth in depths}
    canvas = Canvas()
    axes = canvas.add_subplot(yscale="log", ylim=(FLOOR, 10), xlim=(0.5, 3.6))
    axes.set(xlabel="layers", ylabel="change of the last output", xticks=depths)
    axes.grid(visible=False, axis="x")
    for depth, values in changes.items():
        drawn = np.maximum(values, FLOOR)
        axes.plot(
            beside(depth, len(values)),
            drawn,
            "o",
            color=style.ENCODINGS["none"],
            ms=5,
            clip_on=False,
        )
    axes.text(1.2, max(max(changes[1]), FLOOR), "rounding", va="center")
    axes.text(2.5, min(changes[2]) / 10, "order, seen through the mask", ha="center", va="top")
    more = [value for depth in depths[1:] for value in changes[depth]]
    return style.Figure(
        canvas,
        alt="Dots on a logarithmic axis. With one layer all of them lie at "
        f"{max(changes[1]):.0e} or less; with two and three layers they lie together, between "
        f"{min(more):.2f} and {max(more):.2f}.",
        caption="The change of the last output, as a share of its length, when all tokens before "
        f"the last are shuffled: random causal layers without positions, {evidence.WIDTH} wide, "
        f"32 tokens, float64; a dot for each of {len(evidence.SEEDS)} seeds.",
    )


def beside(x: float, count: int, width: float = 0.3) -> np.ndarray:
    """Places around x for a few dots, so that none hides another."""
    return x + width * np.linspace(-0.5, 0.5, count)
