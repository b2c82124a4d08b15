"""The sliders of the chapter "Quadratic cost"."""

import sympy as sp

from attention_limits.chapters.quadratic_cost.derivations import (
    BACKWARD,
    CACHE,
    CACHE_WEIGHS,
    CACHED,
    CROSSOVER,
    CUBE_LEADS,
    HALF_WEIGHT,
    JACOBIANS,
    JACOBIANS_LEAD,
    LARGEST_WEIGHT,
    MATERIALISED,
    PLAIN_ROWS,
    REREADING,
    SHARE,
    SOFTMAX_BACKWARD,
    TILE_ROWS,
    TILED,
    UNCACHED,
    WEIGHTS,
    in_ratios,
)
from attention_limits.explorable import Explorable, Readout, Slider, explore
from attention_limits.formula import Formula
from attention_limits.shapes import SHAPES, Shape
from attention_limits.symbols import (
    B,
    M,
    b,
    beta,
    c,
    d,
    d_model,
    expansion,
    group,
    layers,
    n,
    tables,
    vocabulary,
)

LENGTHS = (256, 2**20)
CLASSIC = {group: 1, expansion: 4, c: 2}  # as many key-value heads, an MLP four times as wide


def settings(shape: Shape) -> dict[sp.Symbol, float]:
    """Where a published shape puts the sliders of one layer."""
    return {
        d_model: shape.d_model,
        group: shape.h // shape.g,
        expansion: shape.f / shape.d_model,
        c: shape.c,
    }


CACHED_MODELS = ("Llama-2 7B", "Llama-3 8B", "Llama-3 70B", "Llama-3.1 405B")
PRESETS = {name: settings(SHAPES[name]) for name in ("GPT-2 XL", "Llama-3 8B")}


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


def writing() -> Explorable:
    """The FLOPs of writing a text token by token, with keys and values kept and without."""
    rereading, uncached, cached, leads = (
        in_ratios(formula).subs(CLASSIC) for formula in (REREADING, UNCACHED, CACHED, CUBE_LEADS)
    )
    saved = Formula((uncached.expr / cached.expr).subs(n, 8192), "×", "saved")
    return explore(
        [uncached, rereading, cached],
        x=n,
        over=(16, 2**20),
        sliders=[Slider.between(d_model, 64, 16384, 1024, log=True)],
        name="writing",
        title="What does writing a text cost?",
        caption="Without a cache every token reads the whole text again. Widen the model: all "
        "lines rise, and the length from which the cube leads moves right. Left of it, attention "
        "is not what the upper line is made of: writing without a cache is quadratic there, and "
        "still dearer by about half the length of the text.",
        alt_text="Three rising lines on logarithmic axes, FLOPs of one layer over the length of "
        "the text written. The upper one, without a cache, turns from a slope of two to a slope of "
        "three past the dashed line, where its attention alone, of slope three throughout, comes "
        "up to it. The lowest, with a cache, turns from one to two.",
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


def tiled_traffic() -> Explorable:
    """How many numbers attention moves between memory and chip, with and without tiles."""
    plain, tiled = MATERIALISED.subs({B: PLAIN_ROWS.expr}), TILED.subs({B: TILE_ROWS.expr})
    saved = Formula((plain.expr / tiled.expr).subs(n, 65536), "×")
    return explore(
        [plain, tiled],
        x=n,
        over=(256, 2**20),
        sliders=[
            Slider.between(M, 2**12, 2**22, 2**16, steps=40, log=True),
            Slider(d, (32, 64, 128, 256), 128),
        ],
        name="tiled-traffic",
        title="How much has to be moved?",
        caption="Enlarge the chip. More rows share each key that passes, and the line of the tiles "
        "sinks; its slope stays two, until all queries fit at once and it bends to one. Then widen "
        "the head on a small chip: are tiles always better?",
        alt_text="Two rising lines on logarithmic axes, numbers moved by one head over the length "
        "of the text, both of slope two. Tile by tile the line lies lower, the more so the larger "
        "the chip, and is flatter where all queries fit on chip.",
        log="xy",
        y_title="numbers moved by one head",
        readouts=[
            Readout("rows in a tile", TILE_ROWS),
            Readout("fewer numbers at 65,536 tokens", saved, ",.1f"),
        ],
    )


def largest_weight() -> Explorable:
    """What scores of bounded size can single out among n keys."""
    return explore(
        LARGEST_WEIGHT,
        x=n,
        over=(2, 2**20),
        sliders=[Slider.between(beta, 0.25, 10, 4, steps=39)],
        name="largest-weight",
        title="How sharp can attention be?",
        caption="The slider bounds the size of every score. Raise it: each unit of score carries "
        "the same weight to a text 7.4 times as long. What does it take to hold half of all "
        "weight on one key among a million?",
        alt_text="A falling S-shaped curve over a logarithmic axis of lengths: the largest weight "
        "that one key can have, from nearly one on short texts to nearly zero on long ones. The "
        "dashed line marks the length where it is one half.",
        y_title="largest possible weight",
        y_format=".0%",
        rule=HALF_WEIGHT,
        rule_label="left",
        readouts=[
            Readout("half of all weight up to", HALF_WEIGHT),
            Readout(
                "largest weight at 131,072 tokens",
                Formula(LARGEST_WEIGHT.expr.subs(n, 131072)),
                ".2%",
            ),
        ],
    )


def cache_and_weights() -> Explorable:
    """The cache of a whole model against its weights, over the tokens in flight."""
    fixed = {c: 3, tables: 2, b: 2}  # gated MLP, two embedding tables, two bytes a number
    cache, weights, weighs = (
        in_ratios(formula).subs(fixed) for formula in (CACHE, WEIGHTS, CACHE_WEIGHS)
    )
    gigabytes = [Formula(x.expr / 10**9, "GB", x.name) for x in (cache, weights)]
    long_text = Formula(gigabytes[0].expr.subs(n, 131072), "GB")
    presets = {
        shape.name: {
            symbol: value for symbol, value in settings(shape).items() if symbol not in fixed
        }
        | {layers: shape.layers, vocabulary: shape.vocabulary}
        for shape in (SHAPES[name] for name in CACHED_MODELS)
    }

    def stops(symbol: sp.Symbol) -> set[float]:
        return {preset[symbol] for preset in presets.values()}

    return explore(
        gigabytes,
        x=n,
        over=(256, 2**23),
        sliders=[
            Slider.between(layers, 12, 128, 32, steps=29, also=stops(layers)),
            Slider.between(d_model, 512, 16384, 4096, log=True, also=stops(d_model)),
            Slider(group, (1, 2, 4, 8, 16), 4),
            Slider.between(expansion, 1, 8, 3.5, steps=28, also=stops(expansion)),
            Slider.between(vocabulary, 32000, 256000, 128256, steps=28, also=stops(vocabulary)),
        ],
        name="cache-and-weights",
        title="When does the cache outweigh the model?",
        caption="Tokens in flight count together: one long text, or many short ones. Start from a "
        "preset and let all query heads have keys of their own (one query head per key-value "
        "head). By what factor does the crossing move, and what would move it back?",
        alt_text="A line that rises with the number of tokens, the bytes of the cache, crosses a "
        "horizontal one, the bytes of the weights, at the dashed vertical line; both axes are "
        "logarithmic.",
        log="xy",
        y_title="GB, at two bytes a number",
        rule=weighs,
        readouts=[
            Readout("a token leaves", Formula(cache.expr.subs(n, 1) / 1000, "kB")),
            Readout("cache of 131,072 tokens", long_text, ",.1f"),
            Readout("weights", gigabytes[1], ",.1f"),
            Readout("equal at", weighs),
        ],
        presets=presets,
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
