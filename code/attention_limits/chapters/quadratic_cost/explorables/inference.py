"""The sliders of the page on inference of "Quadratic cost"."""

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import numpy as np
import sympy as sp

from attention_limits import style
from attention_limits.accelerators import ACCELERATORS
from attention_limits.chapters.quadratic_cost.derivations import inference as derivations
from attention_limits.chapters.quadratic_cost.derivations.flops import in_ratios
from attention_limits.chapters.quadratic_cost.explorables.flops import CLASSIC
from attention_limits.explorable import (
    FOUR,
    Explorable,
    Readout,
    Slider,
    Trace,
    explore,
    with_transforms,
)
from attention_limits.formula import Formula
from attention_limits.numerals import numeral
from attention_limits.shapes import MEMORY, MODELS
from attention_limits.symbols import (
    accelerator,
    b,
    bandwidth,
    batch,
    d_model,
    group,
    kappa,
    model,
    n,
    output,
    peak,
    prompt,
    table,
    tables,
    weights,
)

SERVED = ("Llama-3.1 8B", "Qwen3-32B", "Llama-3.1 70B")  # full attention in all layers

BYTES = 2  # of a number: bfloat16


def decoding() -> Explorable:
    """The FLOPs of decoding a sequence, with keys and values kept and without."""
    rereading, uncached, cached, leads = (
        in_ratios(formula).subs(CLASSIC)
        for formula in (
            derivations.REREADING,
            derivations.UNCACHED,
            derivations.CACHED,
            derivations.CUBE_LEADS,
        )
    )
    saved = Formula((uncached.expr / cached.expr).subs(n, 8192), "×", "saved")
    return explore(
        [uncached, rereading, cached],
        x=n,
        over=(16, 2**20),
        sliders=[Slider.between(d_model, 64, 16384, 1024, log=True)],
        names_at=((1, "above"), (0.05, "below"), (0.7, "below")),
        name="decoding-flops",
        title="What does decoding a sequence cost?",
        caption="Without a cache the layer runs over the whole prefix for each token. Widen the "
        "model: all lines rise, and the length from which the cube leads moves right. Left of it "
        "the upper line is mostly not attention: decoding without a cache is quadratic there, and "
        "still costs about n/2 times as much as decoding with one.",
        alt_text="Three rising lines on logarithmic axes, FLOPs of one layer over the number of "
        "tokens decoded. The upper one, without a cache, turns from a slope of two to a slope of "
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


def _pick(choice: sp.Symbol, values: Sequence[float]) -> sp.Expr:
    """The value that belongs to the slider's choice: 1 is the first."""
    *cases, last = ((sp.sympify(int(value)), sp.Eq(choice, k)) for k, value in enumerate(values, 1))
    return sp.Piecewise(*cases, (last[0], True))


def _facts(field: str, among: Mapping[str, Any], names: Sequence[str]) -> list[float]:
    return [getattr(among[name], field) for name in names]


def served() -> dict[sp.Symbol, sp.Expr]:
    """What the formulas of a whole model and of an accelerator stand for, by the two choices."""
    heads = [MODELS[name].h * MODELS[name].full * 2 * MODELS[name].d_k for name in SERVED]
    shared = [
        all_heads // MEMORY[name].kappa for name, all_heads in zip(SERVED, heads, strict=True)
    ]
    of_model: dict[sp.Symbol, Sequence[float]] = {
        kappa: _facts("kappa", MEMORY, SERVED),
        weights: _facts("weights", MEMORY, SERVED),
        table: _facts("table", MEMORY, SERVED),
        tables: _facts("tables", MEMORY, SERVED),
        group: shared,
    }
    machines = tuple(ACCELERATORS)
    return {symbol: _pick(model, values) for symbol, values in of_model.items()} | {
        peak: _pick(accelerator, _facts("peak", ACCELERATORS, machines)),
        bandwidth: _pick(accelerator, _facts("bandwidth", ACCELERATORS, machines)),
        b: sp.Integer(BYTES),
    }


# What each bar is made of: attention's or the cache's part, and all of it, over what is done in a
# second.
BARS = {
    "prefill, compute": (derivations.PREFILL_ATTENTION, derivations.PREFILL_FLOPS, peak),
    "prefill, memory": (derivations.CACHE_WRITTEN, derivations.PREFILL_BYTES, bandwidth),
    "decoding, compute": (derivations.DECODING_ATTENTION, derivations.DECODING_FLOPS, peak),
    "decoding, memory": (derivations.CACHE_READ, derivations.DECODING_BYTES, bandwidth),
}


def seconds() -> Explorable:
    """Prefill and decoding of three models on three accelerators: seconds at least, what binds."""
    facts = served()

    def formula(expr: sp.Expr, unit: str = "", name: str = "") -> Formula:
        return Formula(expr, unit, name).subs(facts)

    times = {bar: formula(whole.expr / rate, "s", bar) for bar, (_, whole, rate) in BARS.items()}
    rests = {
        bar: formula((whole.expr - part.expr) / rate, "s")
        for bar, (part, whole, rate) in BARS.items()
    }
    compute, memory = (times[f"decoding, {what}"].expr for what in ("compute", "memory"))
    first = sp.Max(times["prefill, compute"].expr, times["prefill, memory"].expr)
    steps, decoding_time = output - 1, sp.Max(compute, memory)
    capacity = _pick(accelerator, _facts("capacity", ACCELERATORS, tuple(ACCELERATORS)))
    resident = formula(derivations.RESIDENT.expr)
    traces = []
    for number, bar in enumerate(BARS):
        traces += [
            Trace(f"rest_{number}", rests[bar], {}),
            Trace(f"time_{number}", times[bar], {}),
        ]
    traces += [
        Trace("needed", Formula(resident.expr / 10**9, "GB"), {}),
        Trace("capacity", Formula(capacity / 10**9, "GB"), {}),
    ]
    # Beyond the longest bar there is room for its words, on a phone as on a desk.
    signals = {symbol: symbol.name for symbol in (model, accelerator, prompt, output, batch)}
    longest = Formula(sp.Max(first, decoding_time)).vega(signals)
    scale = alt.Scale(domainMin=0, domainMax=alt.ExprRef(f"{longest} / (1 - {WORDS} / width)"))
    layers = [part for number, bar in enumerate(BARS) for part in _bar(number, bar, scale)]
    layers.append(_fits())
    sliders = [
        Slider(model, (1, 2, 3), 1, names=SERVED),
        Slider(accelerator, (1, 2, 3), 2, names=tuple(ACCELERATORS)),
        Slider(prompt, tuple(2**power for power in range(7, 18)), 131072),
        Slider(output, tuple(2**power for power in range(4, 16)), 512),
        Slider(batch, tuple(2**power for power in range(11)), 1),
    ]
    base = alt.Chart(alt.sequence(0, 1, as_="step"))
    for trace in traces:
        base = with_transforms(base, trace.transforms(sliders))
    chart = alt.layer(*layers, data=base.data).properties(width="container", height=210)
    chart.transform = base.transform
    return Explorable(
        name="inference-seconds",
        title="Prefill and decoding: how long, at least, and what binds?",
        caption="Each phase takes at least as long as the longer of its two bars, which is marked. "
        "Blue is attention and its cache, grey the weights and their products. Which of the two "
        "phases gains more from a B200? Then choose the chat, and raise its batch until the "
        "cache binds. Shorten prompt and output: can you make decoding compute-bound?",
        alt="Four horizontal bars in seconds, each of a grey and a blue part: what prefill "
        "computes and moves, and what decoding computes and moves. The longer bar of each pair is "
        "marked, and a fifth row says whether weights and cache fit in memory. At the start, "
        "prefill is bound by its FLOPs, mostly attention's, and decoding by memory traffic, half "
        "of it the cache's.",
        chart=chart,
        sliders=sliders,
        traces=traces,
        table=_table(times, sliders),
        readouts=[
            Readout("prefill of the whole batch, at least", Formula(first, "s"), FOUR),
            Readout("time per output token", Formula(1000 * decoding_time / steps, "ms"), FOUR),
            Readout("decoding", Formula(batch * steps / decoding_time, "tokens/s")),
            Readout(
                "arithmetic intensity of decoding",
                formula(
                    derivations.DECODING_FLOPS.expr / derivations.DECODING_BYTES.expr,
                    "FLOPs/B",
                ),
                ",.1f",
            ),
            Readout("the accelerator's balance", formula(peak / bandwidth, "FLOPs/B"), ",.0f"),
            Readout(
                "the cache's share of what decoding reads",
                formula(derivations.CACHE_READ.expr / derivations.DECODING_BYTES.expr),
                ".0%",
            ),
            Readout("memory in use", Formula(resident.expr / 10**9, "GB")),
            Readout("memory of the accelerator", Formula(capacity / 10**9, "GB")),
        ],
        presets={
            label: dict(zip((model, accelerator, prompt, output, batch), values, strict=True))
            for label, values in PRESETS.items()
        },
    )


WORDS = 160  # pixels of what stands beside a bar
CAPACITY = "capacity"  # the row beneath the bars
FITS = "datum.needed <= datum.capacity"

# Model, accelerator, prompt, output and batch.
PRESETS = {
    "Long document": (1, 2, 131072, 512, 1),
    "Chat, batch of 64": (1, 2, 1024, 512, 64),
    "Long answer": (2, 3, 1024, 32768, 8),
    "70B on one H100": (3, 2, 1024, 512, 1),
}


def _row() -> alt.Y:
    order = [*BARS, CAPACITY]
    return alt.Y("row:N", title=None, sort=order).axis(labelLimit=200, ticks=False, domain=False)


def _fits() -> alt.Chart:
    """A row of words: what has to be held, and whether it fits."""
    in_all = "format(datum.needed, ',.0f') + ' of ' + format(datum.capacity, ',.0f') + ' GB'"
    rows = alt.Chart().transform_calculate(
        row=f"'{CAPACITY}'", words=f"{in_all} + ({FITS} ? ': fits' : ': does not fit')"
    )
    text, held = rows.mark_text(align="left", dx=5), ["needed:Q", "capacity:Q"]
    return text.encode(_row(), x=alt.value(0), text="words:N", detail=held)


def _bar(number: int, label: str, scale: alt.Scale) -> list[alt.Chart]:
    """A bar of two parts in its row, its seconds, and a mark if it is the longer of its pair."""
    row = alt.Y("row:N", title=None, sort=list(BARS)).axis(
        labelLimit=200, ticks=False, domain=False
    )
    rows = alt.Chart().transform_calculate(row=f"'{label}'")
    at = (
        alt.X(f"time_{number}:Q", title="seconds, at least")
        .axis(format=",~r", tickCount=4)
        .scale(scale)
    )
    thick: dict[str, Any] = dict(height={"band": 0.65})
    # What cannot run where it does not fit is pale.
    pale = alt.condition(FITS, alt.value(1), alt.value(0.35))
    grey = rows.mark_bar(color=style.GREY, **thick)
    blue = rows.mark_bar(color=style.BLUE, **thick)
    time, other = f"datum.time_{number}", f"datum.time_{number ^ 1}"  # the bar beside it
    why = "': compute binds'"
    if "memory" in label:
        why = f"(datum.rest_{number} > {time} / 2 ? ': weights bind' : ': the cache binds')"
    words = f"format({time}, ',.3~r') + ' s' + ({time} >= {other} ? {why} : '')"
    text = rows.transform_calculate(words=words).mark_text(align="left", dx=5)
    return [
        grey.encode(alt.X(f"rest_{number}:Q").scale(scale), row, opacity=pale),
        blue.encode(at, row, x2=f"rest_{number}:Q", opacity=pale),
        text.encode(at, row, text="words:N"),
    ]


def _table(times: dict[str, Formula], sliders: list[Slider]) -> dict[str, list[str]]:
    """The four times over the length of the prompt, with every other slider where it starts."""
    start = {slider.symbol.name: slider.start for slider in sliders}
    (lengths,) = (slider for slider in sliders if slider.symbol == prompt)
    table = {f"{lengths.label} ({lengths.unit})": lengths.labels}
    for bar, time in times.items():
        at = {s.name: start[s.name] for s in time.symbols} | {"prompt": np.array(lengths.values)}
        table[bar] = [numeral(value) for value in time.numpy(**at)]
    return table
