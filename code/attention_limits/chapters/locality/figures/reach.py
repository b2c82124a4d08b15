"""The still figure of the page on reach."""

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.patches import Circle, Rectangle
from torch import nn

from attention_limits import style
from attention_limits.chapters.locality.derivations import reach as derivations

DEPTHS = (4, 8, 16)
TAPS, CHANNELS, DRAWS = 3, 32, 24


def pictures() -> style.Figure:
    """What an output pixel owes to each pixel of an image, for three depths."""
    canvas = Canvas(figsize=(style.NARROW[0], 1.9))
    side = int(derivations.FIELD(layers=max(DEPTHS), taps=TAPS))
    for axes, depth in zip(canvas.subplots(1, len(DEPTHS)), DEPTHS, strict=True):
        _picture(axes, influence(depth, side), depth)
    return style.Figure(
        canvas,
        alt="Three pictures of a dark spot in the middle of a square. The square grows from "
        "picture to picture to four times its side, the spot to twice its width, so that it fills "
        "ever less of the square.",
        caption=f"How much one output of a stack of PyTorch's convolutions of three by three owes "
        f"to each pixel: gradients, root mean square of {DRAWS} draws of weights. Square: what is "
        "within reach. Circle: two derived deviations.",
    )


def influence(depth: int, side: int) -> np.ndarray:
    """Mean squared gradients of the output in the middle, (side, side), the largest being 1."""
    generator = torch.Generator().manual_seed(0)
    total = torch.zeros(side, side)
    for _ in range(DRAWS):
        x = torch.randn(1, CHANNELS, side, side, generator=generator, requires_grad=True)
        y = x
        for _ in range(depth):
            layer = nn.Conv2d(CHANNELS, CHANNELS, TAPS, padding="same", bias=False)
            nn.init.normal_(layer.weight, std=(CHANNELS * TAPS**2) ** -0.5, generator=generator)
            y = layer(y)
        y[0, :, side // 2, side // 2].sum().backward()
        assert x.grad is not None
        square = x.grad[0].square().sum(0)
        total += square / square.sum()
    return (total / total.max()).numpy()


def _picture(axes: Axes, weights: np.ndarray, depth: int) -> None:
    """Influence as brightness, with what is derived drawn into it."""
    side, field = len(weights), int(derivations.FIELD(layers=depth, taps=TAPS))
    middle, two = side // 2, 2 * float(derivations.DEVIATION(layers=depth, taps=TAPS, taken=1))
    axes.imshow(np.sqrt(weights), cmap="Greys", vmin=0, vmax=1)
    corner = middle - field / 2
    axes.add_patch(Rectangle((corner, corner), field, field, fill=False, color=style.BLUE, lw=1.2))
    axes.add_patch(Circle((middle, middle), two, fill=False, color=style.VERMILLION, lw=1.2))
    axes.set(xlim=(-1.5, side + 0.5), ylim=(side + 0.5, -1.5), xticks=(), yticks=())
    axes.set_title(f"{depth} layers", size=11)
    axes.set_frame_on(False)
