"""The slider of the page on learning from examples."""

from attention_limits.chapters.locality.derivations.learning import LAYERS, TEMPLATE, WEIGHTS
from attention_limits.explorable import Explorable, Readout, Slider, explore
from attention_limits.formula import Formula
from attention_limits.symbols import examples, n, strength, taps


def templates() -> Explorable:
    """Signal over noise of four templates, over the examples that they average."""
    square = strength**2
    return explore(
        [Formula(TEMPLATE.subs(sizes).expr, TEMPLATE.unit, name) for name, sizes in LAYERS.items()],
        x=examples,
        over=(1, 10**5),
        sliders=[
            Slider(n, (16, 32, 64, 128, 256, 512, 1024), 64),
            Slider(taps, (3, 5, 8, 16), 8),
            Slider.between(strength, 2, 8, 4, steps=24),
        ],
        name="templates",
        title="What is it worth to be local, and to be shared?",
        caption="Follow one height from line to line. Make the input longer: which line stays? "
        "Then widen the taps: which lines do not move? Weaker patterns move all to the right.",
        alt_text="Four rising curves of one shape over a logarithmic axis of examples, each "
        "beside the one before: convolution, wide kernel, unshared, fully connected. They level "
        "off at the same height.",
        y_title="signal over noise",
        key=True,
        readouts=[
            Readout(
                f"examples until half noise: {name}",
                Formula((WEIGHTS[name].expr) / square, "examples", name),
                ",.1f",
            )
            for name in ("convolution", "fully connected")
        ],
    )
