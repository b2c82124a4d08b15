"""The sliders of the page on flops of "Quadratic cost"."""

import sympy as sp

from attention_limits.chapters.quadratic_cost.derivations.flops import (
    CROSSOVER,
    MASKED_CROSSOVER,
    MASKED_SHARE,
    SHARE,
    in_ratios,
    in_shares,
)
from attention_limits.explorable import Explorable, Readout, Slider, explore
from attention_limits.formula import Formula
from attention_limits.shapes import SHAPES, Shape
from attention_limits.symbols import (
    c,
    d_model,
    expansion,
    group,
    mask,
    mlp,
    n,
    spread,
)

LENGTHS = (256, 2**20)

CLASSIC = {group: 1, expansion: 4, c: 2}  # as many key-value heads, an MLP four times as wide


def settings(shape: Shape) -> dict[sp.Symbol, float]:
    """Where a published shape puts the sliders of one layer."""
    return {
        d_model: shape.d_model,
        spread: 1,
        group: shape.h // shape.g,
        mlp: shape.c * shape.f / shape.d_model,
    }


PRESETS = {
    name: settings(SHAPES[name])
    for name in ("GPT-2 XL", "Llama-2 7B", "Llama-3.1 8B", "Llama-3.1 405B")
}
# 64 heads of 128 each, and a gated MLP five times as wide as the model.
PRESETS["Qwen3-32B"] = {d_model: 5120, spread: 1.6, group: 8, mlp: 15}


def attention_share() -> Explorable:
    """How much of a layer's work is attention, at any length and for any layer."""
    share, crossover = in_shares(MASKED_SHARE), in_shares(MASKED_CROSSOVER)
    stops = {symbol: {values[symbol] for values in PRESETS.values()} for symbol in (d_model, mlp)}
    stops[d_model] |= {shape.d_model for shape in SHAPES.values()}
    return explore(
        share,
        x=n,
        over=LENGTHS,
        sliders=[
            Slider.between(d_model, 256, 16384, 4096, log=True, also=stops[d_model]),
            Slider.between(spread, 0.5, 2, 1, steps=15),
            Slider(group, (1, 2, 4, 8, 16), 4),
            Slider.between(mlp, 2, 24, 10.5, steps=44, also=stops[mlp]),
            Slider(mask, (1, 2), 1, names=("no: all pairs", "yes: half of them")),
        ],
        name="attention-share",
        title="What share of a layer is attention?",
        caption="Widen the model and watch the curve move right: a wider model needs a longer "
        "sequence before attention is what you pay for. Wider heads do the opposite. Then skip "
        "the pairs that a causal mask hides. Which of the five sliders moves the crossover most? "
        "The fourth is c · f over the width of the model, for an MLP of c matrices and width f.",
        alt_text="An S-shaped curve over a logarithmic axis of lengths: attention's share of a "
        "layer's FLOPs rises from almost nothing to almost everything, and passes one half at the "
        "crossover, marked by a dashed vertical line.",
        y_title="attention's share of a layer's FLOPs",
        y_format=".0%",
        rule=crossover,
        readouts=[
            Readout("crossover", crossover),
            Readout("share at 8,192 tokens", share.subs({n: 8192}), ".1%"),
            Readout("share at 131,072 tokens", share.subs({n: 131072}), ".1%"),
            Readout(
                "at 131,072 tokens, free attention would make it faster by",
                Formula(1 / (1 - share.expr.subs({n: 131072})), "×"),
                ".1f",
            ),
        ],
        presets=PRESETS,
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
        caption="Move the width of the model. Attention is quadratic in the length of the "
        "sequence, yet it takes over only past the dashed line, at six times the width.",
        alt_text="An S-shaped curve over a logarithmic axis of lengths: attention's share of a "
        "layer's FLOPs passes one half at six times the width of the model.",
        y_title="attention's share of a layer's FLOPs",
        y_format=".0%",
        rule=Formula(crossover.expr, "tokens", "crossover"),
        readouts=[Readout("crossover", crossover)],
    )
