"""The sliders of the chapter "Quadratic cost"."""

from attention_limits.derivations.quadratic_cost import (
    BACKWARD,
    CACHED,
    CROSSOVER,
    CUBE_LEADS,
    JACOBIANS,
    JACOBIANS_LEAD,
    REREADING,
    SHARE,
    SOFTMAX_BACKWARD,
    UNCACHED,
    in_ratios,
)
from attention_limits.explorables import Explorable, Readout, Slider, explore
from attention_limits.formula import Formula
from attention_limits.shapes import SHAPES
from attention_limits.symbols import c, d, d_model, expansion, group, n

LENGTHS = (256, 2**20)
CLASSIC = {group: 1, expansion: 4, c: 2}  # as many key-value heads, an MLP four times as wide

PRESETS = {
    shape.name: {
        d_model: shape.d_model,
        group: shape.h // shape.g,
        expansion: shape.f / shape.d_model,
        c: shape.c,
    }
    for shape in (SHAPES["GPT-2 XL"], SHAPES["Llama-3 8B"])
}


def attention_share() -> Explorable:
    """How much of a layer's work is attention, at any length and for any layer."""
    share, crossover = in_ratios(SHARE), in_ratios(CROSSOVER)
    widths = {shape.d_model for shape in SHAPES.values()}
    expansions = {shape.f / shape.d_model for shape in SHAPES.values()}
    return explore(
        Formula(share.expr, "", "share of attention"),
        x=n,
        over=LENGTHS,
        sliders=[
            Slider.between(d_model, 256, 16384, 4096, log=True, also=widths),
            Slider(group, (1, 2, 4, 8, 16), 4),
            Slider.between(expansion, 1, 8, 3.5, steps=28, also=expansions),
            Slider(c, (2, 3), 3),
        ],
        name="attention-share",
        title="What share of a layer is attention?",
        caption="Widen the model and watch the curve move right: a wider model needs a longer text "
        "before attention is what you pay for. Then give it more query heads per key-value head. "
        "Which of the four sliders moves the crossover most?",
        alt_text="An S-shaped curve over a logarithmic axis of lengths: attention's share of a "
        "layer's FLOPs rises from almost nothing to almost everything, and passes one half at the "
        "crossover, marked by a dashed vertical line.",
        y_title="attention's share of a layer's FLOPs",
        y_format=".0%",
        rule=Formula(crossover.expr, "tokens", "crossover"),
        readouts=[
            Readout("crossover", crossover),
            Readout("share at 8,192 tokens", share.subs({n: 8192}), ".1%"),
            Readout("share at 131,072 tokens", share.subs({n: 131072}), ".1%"),
        ],
        presets=PRESETS,
    )


def way_back() -> Explorable:
    """One head's backward pass, as it is done and as the cubic argument has it."""
    products = BACKWARD.expr + SOFTMAX_BACKWARD.expr
    return explore(
        [
            Formula(products, "FLOPs", "as it is done"),
            Formula(BACKWARD.expr + JACOBIANS.expr, "FLOPs", "with full Jacobians"),
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


def writing() -> Explorable:
    """The FLOPs of writing a text token by token, with keys and values kept and without."""
    rereading, uncached, cached, leads = (
        in_ratios(formula).subs(CLASSIC) for formula in (REREADING, UNCACHED, CACHED, CUBE_LEADS)
    )
    saved = Formula((uncached.expr / cached.expr).subs(n, 8192), "×", "saved")
    return explore(
        [uncached, cached],
        x=n,
        over=(16, 2**20),
        sliders=[Slider.between(d_model, 64, 16384, 1024, log=True)],
        name="writing",
        title="What does writing a text cost?",
        caption="Without a cache every token reads the whole text again. Widen the model: both "
        "lines rise, and the length from which the cube leads moves right. Left of it, writing "
        "without a cache is quadratic, and still dearer by about half the length of the text.",
        alt_text="Two rising lines on logarithmic axes, FLOPs of one layer over the length of the "
        "text written. The upper one, without a cache, turns from a slope of two to a slope of "
        "three past the dashed line; the lower one, with a cache, from one to two.",
        log="xy",
        y_title="FLOPs of one layer, in all",
        rule=leads,
        readouts=[
            Readout("the cube leads past", leads),
            Readout("a cache saves, over 8,192 tokens", saved),
            Readout(
                "share of attention there, without a cache",
                Formula((rereading.expr / uncached.expr).subs(n, 8192)),
                ".0%",
            ),
        ],
    )


def first_slider() -> Explorable:
    """One slider for the front page: the same curve, for the classic layer."""
    share, crossover = (in_ratios(formula).subs(CLASSIC) for formula in (SHARE, CROSSOVER))
    return explore(
        share,
        x=n,
        over=LENGTHS,
        sliders=[Slider.between(d_model, 64, 16384, 1024, log=True)],
        name="first-slider",
        title="When is attention what you pay for?",
        caption="Move the width of the model. Attention is quadratic in the length of the text, "
        "yet it takes over only past the dashed line, at six times the width.",
        alt_text="An S-shaped curve over a logarithmic axis of lengths: attention's share of a "
        "layer's FLOPs passes one half at six times the width of the model.",
        y_title="attention's share of a layer's FLOPs",
        y_format=".0%",
        rule=Formula(crossover.expr, "tokens", "crossover"),
        readouts=[Readout("crossover", crossover)],
    )
