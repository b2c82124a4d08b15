"""The slider of the page on windows."""

from attention_limits.chapters.locality.derivations.windows import (
    ALL_MEET,
    NEVER,
    TOGETHER,
    TOGETHER_ONCE,
)
from attention_limits.explorable import Explorable, Readout, Slider, explore
from attention_limits.symbols import apart, downwards, halved, right, shift, window_side

WIDEST = 32


def near() -> Explorable:
    """How often two pixels of a row share a window, by how far apart they are."""
    once = TOGETHER_ONCE.subs({shift: halved * window_side})
    return explore(
        [once, TOGETHER],
        x=apart,
        over=(1, WIDEST),
        sliders=[
            Slider(window_side, (8, 16, 24, WIDEST), 16),
            Slider(halved, tuple(eighth / 8 for eighth in range(1, 7)), 0.25),
        ],
        name="near",
        title="How near is near enough?",
        caption="In one layer, even neighbours are kept apart at times. Move the shift: how far "
        "apart may pixels be that surely meet in one of two layers? Which shift is best?",
        alt_text="Two falling lines. In one layer the share falls evenly from nearly one to zero "
        "at 16 pixels. In one of two layers it stays at one up to four pixels, falls as steeply up "
        "to twelve, and then twice as steeply to the same point.",
        log="",
        y_title="share of pairs that meet",
        y_format=".0%",
        key=True,
        readouts=[
            Readout(
                "all pixels meet that are at most so far apart",
                ALL_MEET.subs({shift: halved * window_side}),
            ),
            Readout(
                "diagonal neighbours that never meet", NEVER.subs({right: 1, downwards: 1}), ".2%"
            ),
        ],
    )
