"""The sliders of the page on recurrent networks of "Quadratic cost"."""

from attention_limits.chapters.quadratic_cost.derivations.recurrence import (
    GATE_FACTOR,
    GATE_HALF,
    GATED_LEFT,
    TANH_FACTOR,
    TANH_LEFT,
)
from attention_limits.explorable import Explorable, Readout, Slider, explore
from attention_limits.symbols import back, forget_bias, tanh_slope, w_h


def gradient_left() -> Explorable:
    """What is left of a gradient, of one tanh unit and of one gated cell."""
    return explore(
        [TANH_LEFT, GATED_LEFT],
        x=back,
        over=(1, 100_000),
        log="xy",
        sliders=[
            Slider.between(w_h, 0.5, 2, 1.2, steps=150),
            Slider.between(tanh_slope, 0.05, 1, 0.75, steps=95),
            Slider.between(forget_bias, 0, 12, 8, steps=48),
        ],
        name="gradient-left",
        title="How far back does a gradient reach?",
        caption="One tanh unit and one gated cell, each at its typical state. Try to keep the "
        "gradient of the tanh unit within a factor of ten over 10,000 steps. Then do the same for "
        "the cell. Which slider has to stand exactly where it does? Both axes are logarithmic; "
        "what is below 10⁻⁸ or above 10⁸ is drawn at the edge.",
        alt_text="Two curves over the distance in steps, both axes logarithmic. That of the tanh "
        "unit falls over an edge after some tens of steps, or rises as steeply, unless weight and "
        "slope multiply to almost exactly one. That of the gated cell falls over the same edge, "
        "which its bias moves to ever longer distances.",
        y_title="what is left of the gradient",
        key=True,
        readouts=[
            Readout("tanh unit, a step", TANH_FACTOR, ".4f"),
            Readout("gated cell, a step", GATE_FACTOR, ".6f"),
            Readout("gated cell: half is left after", GATE_HALF, ",.0f"),
        ],
        presets={
            "An LSTM's usual bias": {w_h: 1.2, tanh_slope: 0.75, forget_bias: 1},
            "A weight that is too large": {w_h: 1.5, tanh_slope: 0.75, forget_bias: 8},
            "A gate that is more open": {w_h: 1.2, tanh_slope: 0.75, forget_bias: 10},
        },
    )
