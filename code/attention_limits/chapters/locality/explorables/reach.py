"""The slider of the page on reach."""

from attention_limits.chapters.locality.derivations.reach import EFFECTIVE, FIELD
from attention_limits.explorable import Explorable, Readout, Slider, explore
from attention_limits.formula import Formula
from attention_limits.symbols import layers, taken, taps


def field() -> Explorable:
    """What is within reach of a stack, and where most of its weight comes from."""
    deep = {layers: 32}
    share = Formula(100 * EFFECTIVE.subs(deep).expr / FIELD.subs(deep).expr, "%", "of it")
    return explore(
        [FIELD, EFFECTIVE],
        x=layers,
        over=(2, 128),
        sliders=[
            Slider(taps, (3, 7, 15, 31, 127, 511, 4095), 3),
            Slider(taken, tuple(share / 20 for share in range(1, 21)), 1),
        ],
        name="field",
        title="How much of its field does a stack use?",
        caption="Let each layer take less from its window: which of the two lines falls? Then "
        "make windows wider: does the share of the field that matters grow?",
        alt_text="Two rising lines on logarithmic axes. What is within reach rises twice as "
        "steeply as where 95 % of the weight comes from, so that they part.",
        log="xy",
        y_title="tokens",
        key=True,
        readouts=[
            Readout("within reach of 32 layers", FIELD.subs(deep)),
            Readout("95 % of the weight comes from", EFFECTIVE.subs(deep), ",.0f"),
            Readout("that is", share, ".1f"),
        ],
    )
