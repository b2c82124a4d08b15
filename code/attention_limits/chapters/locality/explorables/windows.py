"""The slider of the page on windows."""

from attention_limits.chapters.locality.derivations.windows import (
    NEVER,
    TOGETHER,
    TOGETHER_ONCE,
)
from attention_limits.explorable import Explorable, Readout, Slider, explore
from attention_limits.formula import Formula
from attention_limits.symbols import apart, halved, shift, window_side

WIDEST = 32


def near() -> Explorable:
    """How often two pixels of a row share a window, by how far apart they are."""
    once = TOGETHER_ONCE.subs({shift: halved * window_side})
    return explore(
        [once, TOGETHER],
        x=apart,
        over=(1, WIDEST),
        sliders=[
            Slider(window_side, (4, 6, 7, 8, 12, 14, 16, 24, WIDEST), 16),
            Slider(halved, (0.125, 0.25, 0.375, 0.5), 0.5),
        ],
        name="near",
        title="How near is near enough?",
        caption="In one layer, even neighbours are kept apart at times. Make the shift smaller: "
        "how far apart may pixels be that surely meet in one of two layers? Which shift is best?",
        alt_text="Two falling lines. In one layer the share falls from nearly one to zero at 16 "
        "places. In one of two layers it stays at one up to eight places, and then falls twice as "
        "steeply to the same point.",
        log="",
        y_title="share of pairs that meet",
        y_format=".0%",
        key=True,
        readouts=[
            Readout(
                "all pixels meet that are at most so far apart",
                Formula(halved * window_side, "pixels", "all meet"),
                ".1f",
            ),
            Readout("diagonal neighbours that never meet", NEVER, ".2%"),
        ],
    )
