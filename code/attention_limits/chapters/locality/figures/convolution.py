"""The still figure of the page on convolution inside attention."""

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

from attention_limits import style
from attention_limits.chapters.locality.derivations import convolution as derivations
from attention_limits.chapters.locality.evidence import convolution as evidence

SMALL, LARGE = (12, 9), (16, 16)
LINES = {  # what is drawn: layer, size of the image, precision; and at which α it has its name
    "eight heads": (evidence.eight, SMALL, torch.float64, (39, "right", -13)),
    "float64": (evidence.heads, SMALL, torch.float64, (23, "right", -12)),
    "float32": (evidence.heads, SMALL, torch.float32, (39, "right", 5)),
    "bfloat16": (evidence.heads, SMALL, torch.bfloat16, (39, "right", -13)),
    "bfloat16, 16 × 16": (evidence.heads, LARGE, torch.bfloat16, (39, "right", 6)),
}


def error_over_sharpness() -> style.Figure:
    """How far nine heads are from a convolution, in several number formats, and a bound on it."""
    canvas = Canvas()
    axes = canvas.add_subplot(yscale="log", xlim=(0, 41), ylim=(1e-15, 1e4))
    axes.set(xlabel="sharpness α", ylabel="largest error of an output")
    image, kernel = evidence.drawn()
    # An output is off by no more than what is lost, times the range of the pixels, times weights.
    most = kernel.abs().sum((1, 2, 3)).max() * (image.max() - image.min())
    alphas = np.arange(1, 41)
    bound = most.item() * derivations.LOST.numpy(sharpness=alphas)
    axes.plot(alphas, bound, color=style.GREY, ls="--", lw=1.2)
    _name(axes, "bound", (alphas[24], bound[24]), "left", 2)
    for number, (name, (layer, size, precision, place)) in enumerate(LINES.items()):
        errors = [
            evidence.off_by(layer, size=size, sharpness=float(alpha), precision=precision)
            for alpha in alphas
        ]
        colour, marker = style.PALETTE[number], style.MARKERS[number]
        axes.plot(alphas, errors, ms=4, lw=1.2, color=colour, marker=marker, markevery=4)
        at, side, above = place
        _name(axes, name, (alphas[at], errors[at]), side, above)
    return style.Figure(
        canvas,
        alt="Errors over sharpness on a logarithmic axis. In double precision a straight line "
        "falls from ten to ten to the minus fourteen, below a dashed line parallel to it. The "
        "other lines leave it and stay level: single precision near one millionth, bfloat16 near "
        "five hundredths; bfloat16 on a larger image and eight heads stay above ten.",
        caption="Nine heads against PyTorch's convolution: random images of 12 × 9 pixels (one "
        "line: 16 × 16), with queries, keys and values rounded to the format that is named. "
        "Dashed: what the derivation allows.",
    )


def _name(axes: Axes, words: str, at: tuple[float, float], side: str, above: float) -> None:
    """The name of a line beside one of its points, so many typographic points above it."""
    right = -6 if side == "right" else 6
    axes.annotate(words, at, xytext=(right, above), textcoords="offset points", ha=side)
