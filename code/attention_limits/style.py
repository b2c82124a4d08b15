"""One look for every figure of the book, in Matplotlib and in Altair, on light and dark pages.

The colours are four of Okabe and Ito's and a violet, chosen because they keep a contrast of 3:1 and
more on both of the book's backgrounds and because every eye tells them apart; text and axes take
the page's own colour. Import this module before you draw with Matplotlib: it sets the defaults.
"""

import functools
import hashlib
import html
import io
import math
import re
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
from cycler import cycler
from matplotlib.figure import Figure as MatplotlibFigure
from matplotlib.legend import Legend
from matplotlib.text import Text

BLUE, VERMILLION, GREEN, PURPLE, VIOLET = PALETTE = (
    "#0072b2",
    "#d55e00",
    "#009e73",
    "#cc79a7",
    "#9818f0",
)
DASHES = ((1, 0), (6, 3), (2, 2), (8, 3, 2, 3), (8, 3, 2, 3, 2, 3))  # a cue without colours
MARKERS = ("o", "s", "^", "D", "v")  # likewise, for lines through measurements
GREY = "#808080"  # for what is context: the same on both backgrounds
ENCODINGS = {  # a positional encoding has one colour wherever it is drawn; the others are grey
    "none": BLUE,
    "sinusoidal": VERMILLION,
    "rotary": GREEN,
    "alibi": PURPLE,
    "shaw": VIOLET,
}

# A phone's page is about 337 CSS pixels wide, where a figure of this width keeps its text at 11.
NARROW = (4.4, 3.2)
READABLE = 11  # CSS pixels of the smallest text: a figure that would need less scrolls in its box
GENEROUS = 1.5  # and none is drawn larger than so many pixels a point, where the page is wide

REFERENCE = re.compile(r'( id="|url\(#|href="#)([^")]+)')  # to an id, or where it is given

# Matplotlib must be told a colour; this one becomes the page's own when the figure is shown.
_INK = "#010203"

ALTAIR: dict[str, Any] = {
    "aria": False,  # the figure around the chart carries the words
    "background": "transparent",
    "font": "sans-serif",
    "range": {"category": list(PALETTE)},
    "view": {"stroke": None},
    "axis": {
        "labelFontSize": 12,
        "titleFontSize": 13,
        "titleFontWeight": "normal",
        "tickCount": 6,
        "gridOpacity": 0.4,
    },
    "legend": {"labelFontSize": 13},
    "text": {"fontSize": 13},
    "line": {"strokeWidth": 2.5},
}

SETTINGS: dict[Any, Any] = {
    key: _INK for key, colour in mpl.rcParamsDefault.items() if colour in ("black", "k")
} | {
    "axes.grid": True,
    "axes.prop_cycle": cycler(color=PALETTE),
    "axes.spines.right": False,
    "axes.spines.top": False,
    "figure.figsize": NARROW,
    "figure.constrained_layout.use": True,
    "font.size": 11,
    "grid.alpha": 0.25,
    "grid.color": GREY,
    "legend.frameon": False,  # its frame would stay white on a dark page
    "savefig.transparent": True,
    "svg.fonttype": "none",
    "svg.hashsalt": "attention-limits",  # the same figure gives the same file
}
mpl.rcParams.update(SETTINGS)


@dataclass(frozen=True)
class Figure:
    """A Matplotlib figure as the page shows it: inline, in the page's own colours, with its words.

    Args:
        figure: what Matplotlib drew.
        alt: what to see in it, for readers who don't see it; required.
        caption: what it says, for everybody.

    Raises:
        ValueError: if ``alt`` or ``caption`` is empty; when it is shown, if a legend is cut off.
    """

    figure: MatplotlibFigure
    alt: str
    caption: str

    def __post_init__(self) -> None:
        for name in ("alt", "caption"):
            if not getattr(self, name).strip():
                raise ValueError(
                    f"{name} must say what there is to see in the figure, "
                    f"got {getattr(self, name)!r}"
                )

    def _repr_html_(self) -> str:
        return (
            f'<figure class="plot"><div role="img" aria-label="{html.escape(self.alt)}" '
            f"{self._widths}>{self._svg}</div><figcaption>{html.escape(self.caption)}</figcaption></figure>"
        )

    @property
    def _widths(self) -> str:
        """Between which widths the page may draw it; what a phone has to scroll, keys can reach."""
        points = 72 * self.figure.get_figwidth()
        texts = (one for one in self.figure.findobj(Text) if one.get_text().strip())
        sizes = [float(one.get_fontsize()) for one in texts if isinstance(one, Text)]
        least = math.ceil(points * READABLE / min(sizes, default=READABLE))
        most = max(least, round(points * GENEROUS))
        focus = ' tabindex="0"' if least > 72 * NARROW[0] + 1 else ""
        return f'style="--least: {least}px; --most: {most}px"{focus}'

    def _check_legends(self) -> None:
        """Refuse a drawing at whose edge a legend is cut off."""
        if not (legends := self.figure.findobj(Legend)):
            return
        self.figure.draw_without_rendering()
        page = self.figure.bbox.padded(1)
        for legend in legends:
            own = legend.get_window_extent()
            if not (page.contains(*own.min) and page.contains(*own.max)):
                raise ValueError(
                    f"figure must have room for its legend, got one of {own.width:.0f} × "
                    f"{own.height:.0f} in {page.width:.0f} × {page.height:.0f} pixels"
                )

    @functools.cached_property
    def _svg(self) -> str:
        drawn = io.StringIO()
        metadata = dict.fromkeys(("Date", "Creator", "Type", "Format"))
        self.figure.savefig(drawn, format="svg", metadata=metadata)
        self._check_legends()
        svg = drawn.getvalue()[drawn.getvalue().index("<svg") :]
        # Matplotlib's ids follow the last digits of a layout, which vary from run to run, and are
        # otherwise the same in every figure, so that two of them would clash on one page.
        numbers: dict[str, int] = {}
        svg = REFERENCE.sub(lambda m: m[1] + str(numbers.setdefault(m[2], len(numbers))), svg)
        own = f"figure-{hashlib.sha256(svg.encode()).hexdigest()[:8]}-"
        svg = REFERENCE.sub(rf"\g<1>{own}\g<2>", svg)
        return svg.replace(_INK, "currentColor").replace("<svg ", '<svg aria-hidden="true" ', 1)
