"""The sliders of the page on backward of "Quadratic cost"."""

from attention_limits.chapters.quadratic_cost.derivations.backward import (
    BACKWARD,
    JACOBIANS,
    JACOBIANS_LEAD,
    SOFTMAX_BACKWARD,
)
from attention_limits.explorable import Explorable, Readout, Slider, explore
from attention_limits.formula import Formula
from attention_limits.symbols import (
    d,
    n,
)


def way_back() -> Explorable:
    """One head's backward pass, as it is done and as the cubic argument has it."""
    products = BACKWARD.expr + SOFTMAX_BACKWARD.expr
    return explore(
        [
            Formula(BACKWARD.expr + JACOBIANS.expr, "FLOPs", "with full Jacobians"),
            Formula(products, "FLOPs", "as it is done"),
        ],
        x=n,
        over=(16, 2**17),
        sliders=[Slider(d, (16, 32, 64, 128, 256), 64)],
        name="way-back",
        title="What does the way back cost?",
        caption="Change the width of the head. Both lines start together, where the products "
        "outweigh the softmax; find the length from which writing out Jacobians is what you pay "
        "for. It is a few head widths.",
        alt_text="Two rising lines on logarithmic axes. They start together; past the dashed line "
        "the one with full Jacobians rises more steeply, with n cubed, while the other keeps on "
        "with n squared.",
        log="xy",
        y_title="FLOPs of one head, backward",
        rule=JACOBIANS_LEAD,
        readouts=[Readout("Jacobians outweigh products past", JACOBIANS_LEAD)],
    )
