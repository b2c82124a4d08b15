"""The still figures of the chapter "Attention"."""

from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.patches import PathPatch
from matplotlib.textpath import TextPath
from matplotlib.transforms import Affine2D

from attention_limits import style

FORMULA = r"$\mathrm{softmax}\left(\dfrac{QK^{\top}}{\sqrt{d}}\,+\,M\right)\,V$"
# The limitations: where each points, where its words stand, above (+1) or below, and why.
LIMITS = (
    ("Locality", 1.6, 1.2, +1, "every key, near\nor far, is in\none sum"),
    ("Quadratic cost", 3.55, 3.6, +1, "a score\nfor each of\nn × n pairs"),
    ("Temporal\ndynamics", 6.5, 6.1, +1, "each output\nstarts from all\ntokens anew"),
    ("Training stability", 3.55, 1.75, -1, "too large a score\nfreezes the weights"),
    ("Positional encodings", 5.5, 5.45, -1, "only the mask knows\nthat i comes after j"),
)


def six_limits() -> style.Figure:
    """The formula of attention, each limitation pointing at the part that it sits in."""
    canvas = Canvas(figsize=(style.NARROW[0], 3.5))
    canvas.set_layout_engine("none")
    axes = canvas.add_axes((0, 0, 1, 1), xlim=(0, 7.3), ylim=(-2.55, 3.25))
    axes.set_axis_off()
    _typeset(axes, FORMULA, 3.65)
    for limit in LIMITS:
        _point(axes, *limit)
    return style.Figure(
        canvas,
        alt="The formula softmax(QKᵀ/√d + M)V. Quadratic cost points at QKᵀ, training stability at "
        "the square root of d, positional encodings at the mask M, locality at the softmax, and "
        "temporal dynamics at V.",
        caption="Where the limitations sit. Five point at one part of the formula each; the sixth "
        "chapter, on ways out, replaces the whole of it.",
    )


def _typeset(axes: Axes, tex: str, x: float) -> None:
    """Mathematics as outlines, which look alike in every browser, centred on (x, 0)."""
    with mpl.rc_context({"mathtext.fontset": "cm"}):
        outline = TextPath((0, 0), tex, size=0.55)
    middle = Affine2D().translate(*(np.array([x, 0]) - outline.get_extents().get_points().mean(0)))
    axes.add_patch(PathPatch(middle.transform_path(outline), fc=mpl.rcParams["text.color"], lw=0))


def _point(axes: Axes, name: str, x: float, at: float, side: int, reason: str) -> None:
    colour = style.VERMILLION if side > 0 else style.BLUE
    arrow = {"arrowstyle": "->", "color": colour, "lw": 1.6}
    axes.annotate("", (x, 0.8 * side), (at, 1.3 * side), arrowprops=arrow)
    heights = (2.45, 1.4) if side > 0 else (-1.4, -1.78)  # of the words' ends towards the formula
    place: dict[str, Any] = {"ha": "center", "va": "bottom" if side > 0 else "top"}
    axes.text(at, heights[0], name, weight="bold", **place)
    axes.text(at, heights[1], reason, **place)


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


def largest_weights(
    widths: np.ndarray, power: float, seeds: int = 5, keys: int = 64, queries: int = 200
) -> np.ndarray:
    """The lines of that figure: scores are divided by d to a power."""
    drawn = [_largest(widths, power, seed, keys, queries) for seed in range(seeds)]
    return np.mean(drawn, axis=0)


def _largest(widths, power: float, seed: int, keys: int, queries: int) -> list[float]:
    rng, means = np.random.default_rng(seed), []
    for d in widths:
        scores = rng.standard_normal((queries, d)) @ rng.standard_normal((d, keys)) / d**power
        weights = np.exp(scores - scores.max(-1, keepdims=True))
        means.append((weights.max(-1) / weights.sum(-1)).mean())
    return means
