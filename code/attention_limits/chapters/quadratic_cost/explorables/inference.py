"""The sliders of the page on inference of "Quadratic cost"."""

import sympy as sp

from attention_limits.chapters.quadratic_cost.derivations.flops import (
    in_ratios,
)
from attention_limits.chapters.quadratic_cost.derivations.inference import (
    CACHE,
    CACHE_WEIGHS,
    CACHED,
    CUBE_LEADS,
    REREADING,
    UNCACHED,
    WEIGHTS,
)
from attention_limits.chapters.quadratic_cost.explorables.flops import CLASSIC, settings
from attention_limits.explorable import Explorable, Readout, Slider, explore
from attention_limits.formula import Formula
from attention_limits.shapes import SHAPES
from attention_limits.symbols import (
    b,
    c,
    d_model,
    expansion,
    group,
    layers,
    n,
    tables,
    vocabulary,
)

CACHED_MODELS = ("Llama-2 7B", "Llama-3 8B", "Llama-3 70B", "Llama-3.1 405B")


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
