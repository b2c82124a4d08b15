"""The still figures of the chapter "Attention"."""

import numpy as np
from matplotlib.figure import Figure as Canvas

from attention_limits import style

# Pieces of the formula: text, where it stands, and which limitation sits there.
PIECES = (
    ("softmax", 1.15, "Locality", "every key, near or far,\nis in one sum", +1),
    ("(", 2.1, "", "", 0),
    ("Q Kᵀ", 2.65, "Quadratic cost", "a score for each\nof n × n pairs", -1),
    ("/ √d", 3.75, "Training stability", "too large a score freezes\nthe weights", +1),
    ("+", 4.55, "", "", 0),
    ("M", 5.15, "Positional encodings", "only the mask knows\nthat i comes after j", -1),
    (")", 5.65, "", "", 0),
    ("V", 6.3, "Temporal dynamics", "each output starts afresh\nfrom all tokens", +1),
)


def six_limits() -> style.Figure:
    """The formula of attention, each limitation pointing at the part that it sits in."""
    canvas = Canvas(figsize=(5.6, 3.2))
    canvas.set_layout_engine("none")
    axes = canvas.add_axes((0, 0, 1, 1), xlim=(0, 7.6), ylim=(-1.8, 1.8))
    axes.set_axis_off()
    for text, x, name, reason, side in PIECES:
        axes.text(x, 0, text, size=19, ha="center", va="center")
        if name:
            _point(axes, x, side, name, reason)
    return style.Figure(
        canvas,
        alt="The formula softmax(QKᵀ/√d + M)V. Quadratic cost points at QKᵀ, training stability at "
        "the division by √d, positional encodings at the mask M, locality at the softmax, and "
        "temporal dynamics at V.",
        caption="Where the limitations sit. Five point at one part of the formula each; the sixth "
        "chapter, on ways out, replaces the whole of it.",
    )


def _point(axes, x: float, side: int, name: str, reason: str) -> None:
    colour = style.VERMILLION if side > 0 else style.BLUE
    arrow = {"arrowstyle": "->", "color": colour, "lw": 1.6}
    axes.annotate("", (x, 0.4 * side), (x, 0.85 * side), arrowprops=arrow)
    first, second = (1.5, 1.12) if side > 0 else (-1.05, -1.45)
    axes.text(x, first, name, size=10.5, weight="bold", ha="center", va="center")
    axes.text(x, second, reason, size=9, ha="center", va="center")


def largest_weight(seeds: int = 5, keys: int = 64, queries: int = 200) -> style.Figure:
    """The mean of each row's largest weight against the width, with and without the scale."""
    widths = 2 ** np.arange(2, 13)
    canvas = Canvas()
    axes = canvas.add_subplot(xscale="log", xlim=(4, 4096), ylim=(0, 1.02))
    axes.set_xscale("log", base=2)
    axes.set(xlabel="width of one head d", ylabel="largest weight of a query")
    lines = (("unscaled", style.VERMILLION, 0, -0.08), ("divided by √d", style.BLUE, 0.5, 0.06))
    for name, colour, power, above in lines:
        drawn = np.array([_largest(widths, power, seed, keys, queries) for seed in range(seeds)])
        axes.plot(widths, drawn.mean(0), color=colour)
        axes.fill_between(widths, drawn.min(0), drawn.max(0), color=colour, alpha=0.25, lw=0)
        axes.text(widths[-3], drawn.mean(0)[-3] + above, name, ha="center", va="center")
    axes.axhline(1 / keys, color=style.GREY, ls=":")
    axes.text(4.4, 1 / keys + 0.02, f"uniform, 1/{keys}")
    return style.Figure(
        canvas,
        alt="Two curves over the width of a head, from 4 to 4096. Without the scale the largest "
        "weight climbs towards one; divided by √d it stays near the same small value throughout.",
        caption=f"The largest of {keys} weights at initialisation: the mean of {queries} queries, "
        f"standard normal entries. Lines are means over {seeds} seeds, bands their range.",
    )


def _largest(widths, power: float, seed: int, keys: int, queries: int) -> list[float]:
    rng, means = np.random.default_rng(seed), []
    for d in widths:
        scores = rng.standard_normal((queries, d)) @ rng.standard_normal((d, keys)) / d**power
        weights = np.exp(scores - scores.max(-1, keepdims=True))
        means.append((weights.max(-1) / weights.sum(-1)).mean())
    return means
