"""The still figures of the page on windows."""

import numpy as np
from matplotlib.figure import Figure as Canvas

from attention_limits import style
from attention_limits.chapters.locality.evidence.windows import HALF, TWO, WINDOW, meeting
from attention_limits.experiments import image_windows
from attention_limits.gallery import speed
from attention_limits.runs import records

SIDE = 2 * WINDOW  # pixels of the picture
PARTS = np.argwhere(np.ones((3, 3)))  # windows of the picture, and those that begin at its end


def corners() -> style.Figure:
    """Borders of two layers, and the corners across which pixels never meet."""
    canvas = Canvas(figsize=style.NARROW)
    axes = canvas.add_subplot(aspect="equal")
    for name, shift, colour, line in (
        ("first layer", 0, style.BLUE, "-"),
        ("second layer", HALF, style.VERMILLION, "--"),
    ):
        borders = np.arange(shift, SIDE + 1, WINDOW)
        axes.hlines(borders, 0, SIDE, color=colour, ls=line, lw=1.6, label=name)
        axes.vlines(borders, 0, SIDE, color=colour, ls=line, lw=1.6)
    corners = np.argwhere(~meeting(TWO, 1, 1).numpy()) + 1  # below and to the right of a pixel
    every = {tuple(corner % WINDOW + WINDOW * part) for corner in corners for part in PARTS}
    y, x = np.array([corner for corner in every if max(corner) <= SIDE]).T
    axes.plot(x, y, "o", ms=8, mfc="none", mec=style.GREEN, mew=1.6, label="never meet")
    axes.set(xlim=(-0.3, SIDE + 0.3), ylim=(SIDE + 0.3, -0.3), xticks=(), yticks=())
    axes.set_xticks(range(SIDE + 1), minor=True)
    axes.set_yticks(range(SIDE + 1), minor=True)
    axes.grid(which="minor", lw=0.4)
    axes.tick_params(which="minor", length=0)
    axes.set_frame_on(False)
    canvas.legend(loc="outside right upper")
    return style.Figure(
        canvas,
        alt=f"A grid of {SIDE} by {SIDE} pixels with the borders of windows of {WINDOW}: solid "
        f"ones, and dashed ones moved by {HALF}. Circles stand wherever a solid line crosses a "
        "dashed one.",
        caption="Two pixels that touch at a circled corner, one above and to the left of it and "
        "one below and to the right, are kept apart by a border of each layer.",
    )


def times() -> style.Figure:
    """Seconds against tokens, for windows on images and their peers, as recorded."""
    return speed.times("image", records.load(image_windows))
