"""The sliders of the page on inference of "Quadratic cost"."""

import functools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import altair as alt
import sympy as sp

from attention_limits import style
from attention_limits.accelerators import ACCELERATORS
from attention_limits.chapters.quadratic_cost.derivations import inference as derivations
from attention_limits.chapters.quadratic_cost.derivations.flops import in_ratios
from attention_limits.chapters.quadratic_cost.explorables.flops import CLASSIC
from attention_limits.explorable import (
    FOUR,
    Chart,
    Explorable,
    Readout,
    Slider,
    Table,
    Trace,
    explore,
    with_transforms,
)
from attention_limits.formula import Formula
from attention_limits.shapes import MEMORY, MODELS
from attention_limits.symbols import (
    accelerator,
    b,
    bandwidth,
    batch,
    chosen,
    d_model,
    devices,
    experts,
    g,
    group,
    kappa,
    model,
    n,
    output,
    peak,
    prompt,
    routed,
    table,
    tables,
    weight_bytes,
    weights,
)

SERVED = ("Llama-3.1 8B", "Qwen3-32B", "Llama-3.1 70B", "DeepSeek-V3")  # full attention throughout

BYTES = 2  # of a number in the cache: bfloat16

ANSWER = 512  # tokens that are decoded

# Which accelerators, and how many of them share each layer.
SERVERS = tuple((name, count) for name in ACCELERATORS for count in (1, 2, 4, 8, 16))


def server(name: str, count: int) -> int:
    """Where the slider of accelerators has so many of a kind."""
    return 1 + SERVERS.index((name, count))


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
        names_at=((1, "above"), (0.58, "below"), (0.55, "below")),
        name="decoding-flops",
        title="What does decoding a sequence cost?",
        caption="Without a cache the layer runs over the whole prefix for each token. Widen the "
        "model: all lines rise, and the length from which the n³ term is the largest moves right. "
        "Left of it the upper line is mostly not attention: decoding without a cache is quadratic "
        "there, and still costs about n/2 times as much as decoding with one.",
        alt_text="Three rising lines on logarithmic axes, FLOPs of one layer over the number of "
        "tokens decoded. The upper one, without a cache, turns from a slope of two to a slope of "
        "three past the dashed line, where its attention alone, of slope three throughout, comes "
        "up to it. The lowest, with a cache, turns from one to two.",
        log="xy",
        y_title="FLOPs of one layer, in all",
        rule=leads,
        readouts=[
            Readout("the n³ term is the largest past", leads),
            Readout("a cache saves, over 8,192 tokens", saved),
            Readout(
                "share of attention at 8,192 tokens, without a cache",
                Formula((rereading.expr / uncached.expr).subs(n, 8192)),
                ".0%",
            ),
        ],
    )


def _pick(choice: sp.Symbol, values: Sequence[sp.Expr | float]) -> sp.Expr:
    """The value that belongs to the slider's choice: 1 is the first."""
    exact = [value if isinstance(value, sp.Expr) else sp.Integer(int(value)) for value in values]
    if len(set(exact)) == 1:
        return exact[0]
    *cases, last = ((value, sp.Eq(choice, k)) for k, value in enumerate(exact, 1))
    return sp.Piecewise(*cases, (last[0], True))


def _facts(field: str) -> list[float]:
    return [getattr(MEMORY[name], field) for name in SERVED]


def _rates(field: str) -> sp.Expr:
    return _pick(accelerator, [getattr(ACCELERATORS[name], field) for name, _ in SERVERS])


def served(*, decoded: bool) -> dict[sp.Symbol, sp.Expr]:
    """What the formulas of a whole model and of a server stand for, by the two choices.

    Latent attention multiplies a cached number with other vectors in decoding than in prefill.
    """
    shared = []  # multiply-adds of a query for each number that a token leaves in the cache
    for name in SERVED:
        shape, memory = MODELS[name], MEMORY[name]
        pair = shape.full * shape.h * (shape.d_k + shape.d_v)
        pair = memory.of_cached or pair if decoded else pair
        shared.append(sp.Rational(pair, memory.kappa))
    fields = {
        "kappa": kappa,
        "table": table,
        "tables": tables,
        "g": g,
        "routed": routed,
        "experts": experts,
        "chosen": chosen,
    }
    return {symbol: _pick(model, _facts(field)) for field, symbol in fields.items()} | {
        weights: _pick(model, [MODELS[name].weights for name in SERVED]),
        group: _pick(model, shared),
        devices: _pick(accelerator, [count for _, count in SERVERS]),
        peak: _rates("peak"),
        bandwidth: _rates("bandwidth"),
        b: sp.Integer(BYTES),
        output: sp.Integer(ANSWER),
    }


# What each bar is made of: attention's or the cache's part, and all of it, over what is done in a
# second. FLOPs are divided by the number of accelerators; what is moved is already that of each.
BARS = {
    "prefill, compute": (derivations.PREFILL_ATTENTION, derivations.PREFILL_FLOPS, peak * devices),
    "prefill, memory": (derivations.CACHE_WRITTEN, derivations.PREFILL_BYTES, bandwidth),
    "decoding, compute": (
        derivations.DECODING_ATTENTION,
        derivations.DECODING_FLOPS,
        peak * devices,
    ),
    "decoding, memory": (derivations.CACHE_READ, derivations.DECODING_BYTES, bandwidth),
}


def seconds() -> Explorable:
    """Prefill and decoding of four models on up to 16 accelerators: seconds, what binds."""
    times, sliders = _times(), _server_sliders()
    traces = [*_bar_traces(times), *_memory_traces()]
    return Explorable(
        name="inference-seconds",
        title="Prefill and decoding: how long, at least, and what binds?",
        caption="Each phase takes at least as long as the longer of its two bars, which is marked. "
        f"A prompt is read, and {ANSWER} tokens are decoded. Blue is attention and its cache, grey "
        "the weights and their products. Accelerators share each layer, and what they send each "
        "other is left out. Which phase gains from weights of one byte? Then choose the chat, and "
        "raise its batch until the cache binds. Last, double the accelerators of DeepSeek-V3's "
        "many chats: which of the longest bar's two parts does not shrink?",
        alt="Four horizontal bars in seconds, each of a grey and a blue part: what prefill "
        "computes and moves, and what decoding computes and moves. The longer bar of each pair is "
        "marked, and a fifth row says whether weights and cache fit in memory. At the start, "
        "prefill is bound by its FLOPs, mostly attention's, and decoding by memory traffic, half "
        "of it the cache's.",
        chart=_bars(times, traces, sliders),
        sliders=sliders,
        traces=traces,
        table=_table(times, sliders),
        readouts=[*_time_readouts(times), *_decoding_readouts()],
        presets={
            label: dict(zip(SETTING, values, strict=True)) for label, values in PRESETS.items()
        },
    )


def _server_sliders() -> list[Slider]:
    servers = tuple(f"{count} × {name}" for name, count in SERVERS)
    return [
        Slider(model, tuple(range(1, len(SERVED) + 1)), 1, names=SERVED),
        Slider(weight_bytes, (1, 2), 2),
        Slider(accelerator, tuple(range(1, len(servers) + 1)), server("H100", 1), names=servers),
        Slider(prompt, tuple(2**power for power in range(7, 18)), 131072),
        Slider(batch, tuple(2**power for power in range(14)), 1),
    ]


@functools.cache
def _facts_in(phase: str) -> Mapping[sp.Symbol, sp.Expr]:
    return served(decoded=phase == "decoding")


def _in_bar(bar: str, expr: sp.Expr, unit: str) -> Formula:
    """A formula in the sliders' symbols, named after its bar, which begins with its phase."""
    return Formula(expr, unit, bar).subs(_facts_in(bar.split(",")[0]))


def _times() -> dict[str, Formula]:
    """The seconds of each bar."""
    return {bar: _in_bar(bar, whole.expr / rate, "s") for bar, (_, whole, rate) in BARS.items()}


def _at_least(phase: str, times: Mapping[str, Formula]) -> sp.Expr:
    """The seconds of a phase: those of the longer of its two bars."""
    return sp.Max(times[f"{phase}, compute"].expr, times[f"{phase}, memory"].expr)


def _bar_traces(times: Mapping[str, Formula]) -> Iterator[Trace]:
    """Two columns a bar: where its grey part ends, and where it ends itself."""
    for number, (bar, (part, whole, rate)) in enumerate(BARS.items()):
        rest = _in_bar(bar, (whole.expr - part.expr) / rate, "s")
        yield Trace(f"rest_{number}", rest, {})
        yield Trace(f"time_{number}", times[bar], {})


def _memory_traces() -> list[Trace]:
    """What each accelerator has to hold, and what it can."""
    resident = _in_bar("decoding", derivations.RESIDENT.expr, "")
    return [
        Trace("needed", Formula(resident.expr / 10**9, "GB"), {}),
        Trace("capacity", Formula(_rates("capacity") / 10**9, "GB"), {}),
    ]


def _bars(
    times: Mapping[str, Formula], traces: Sequence[Trace], sliders: Sequence[Slider]
) -> Chart:
    # Beyond the longest bar there is room for its words, on a phone as on a desk.
    signals = {symbol: symbol.name for symbol in SETTING}
    phases = (_at_least(phase, times) for phase in ("prefill", "decoding"))
    longest = Formula(sp.Max(*phases)).vega(signals)
    scale = alt.Scale(domainMin=0, domainMax=alt.ExprRef(f"{longest} / (1 - {WORDS} / width)"))
    layers = [part for number, bar in enumerate(BARS) for part in _bar(number, bar, scale)]
    base = alt.Chart(alt.sequence(0, 1, as_="step"))
    for trace in traces:
        base = with_transforms(base, trace.transforms(sliders))
    chart = alt.layer(*layers, _fits(), data=base.data).properties(width="container", height=210)
    chart.transform = base.transform
    return chart


def _time_readouts(times: Mapping[str, Formula]) -> list[Readout]:
    """How long, at least, and how fast."""
    first, decoding_time = (_at_least(phase, times) for phase in ("prefill", "decoding"))
    steps = ANSWER - 1
    return [
        Readout("prefill of the whole batch, at least", Formula(first, "s"), FOUR),
        Readout("time per output token", Formula(1000 * decoding_time / steps, "ms"), FOUR),
        Readout("decoding", Formula(batch * steps / decoding_time, "tokens/s")),
    ]


def _decoding_readouts() -> list[Readout]:
    """What binds decoding, and what its memory traffic is made of."""

    def read(label: str, expr: sp.Expr, unit: str, spec: str) -> Readout:
        return Readout(label, _in_bar("decoding", expr, unit), spec)

    flops, moved = derivations.DECODING_FLOPS.expr, derivations.DECODING_BYTES.expr
    from_weights = derivations.WEIGHTS_READ.expr / derivations.WEIGHTS_HELD.expr
    from_cache = derivations.CACHE_READ.expr / moved
    turning = derivations.TURNING_BATCH_EXPERTS.expr
    return [
        read("arithmetic intensity of decoding", flops / devices / moved, "FLOPs/B", ",.1f"),
        read("balance of an accelerator", peak / bandwidth, "FLOPs/B", ",.0f"),
        read("without caches, decoding is compute-bound from", turning, "sequences", ",.0f"),
        read("share of its weights that a step reads", from_weights, "", ".0%"),
        read("the cache's share of what decoding reads", from_cache, "", ".0%"),
    ]


WORDS = 102  # pixels of what stands beside a bar
CAPACITY = "capacity"  # the row beneath the bars

# Names and words of a row have two lines, or a phone's bars would have no room. Vega measures words
# before their font is there: the longest of them needs this room.
LABELS: dict[str, Any] = dict(
    labelExpr="split(datum.label, ', ')", ticks=False, domain=False, minExtent=70
)
UP = -7  # by half a line: two lines stand in the middle of their row
BESIDE: dict[str, Any] = dict(align="left", dx=5, lineBreak="\n")
FITS = "datum.needed <= datum.capacity"

SETTING = (model, weight_bytes, accelerator, prompt, batch)

PRESETS = {
    "Long document": (1, 2, server("H100", 1), 131072, 1),
    "Chat, batch of 64": (1, 2, server("H100", 1), 1024, 64),
    "70B in 8 bits": (3, 1, server("H100", 1), 1024, 1),
    "DeepSeek-V3, one chat": (4, 1, server("B200", 8), 4096, 1),
    "DeepSeek-V3, many chats": (4, 1, server("B200", 8), 4096, 256),
}


def _row() -> alt.Y:
    order = [*BARS, CAPACITY]
    return alt.Y("row:N", title=None, sort=order).axis(**LABELS)


def _fits() -> alt.Chart:
    """A row of words: what each accelerator has to hold, and whether it fits."""
    in_all = "format(datum.needed, ',.0f') + ' of ' + format(datum.capacity, ',.0f') + ' GB'"
    rows = alt.Chart().transform_calculate(
        row=f"'{CAPACITY}'", words=f"{in_all} + ({FITS} ? ':\\nfits' : ':\\ndoes not fit')"
    )
    text, held = rows.mark_text(dy=UP, **BESIDE), ["needed:Q", "capacity:Q"]
    return text.encode(_row(), x=alt.value(0), text="words:N", detail=held)


def _bar(number: int, label: str, scale: alt.Scale) -> list[alt.Chart]:
    """A bar of two parts in its row, its seconds, and a mark if it is the longer of its pair."""
    row = alt.Y("row:N", title=None, sort=list(BARS)).axis(**LABELS)
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
    why = "':\\ncompute binds'"
    if "memory" in label:
        why = f"(datum.rest_{number} > {time} / 2 ? ':\\nweights bind' : ':\\nthe cache binds')"
    seconds = f"format({time}, ',.3~r') + ' s'"
    rows = rows.transform_calculate(
        one=f"{time} >= {other} ? '' : {seconds}", two=f"{time} >= {other} ? {seconds} + {why} : ''"
    )
    return [
        grey.encode(alt.X(f"rest_{number}:Q").scale(scale), row, opacity=pale),
        blue.encode(at, row, x2=f"rest_{number}:Q", opacity=pale),
        rows.mark_text(**BESIDE).encode(at, row, text="one:N"),
        rows.mark_text(dy=UP, **BESIDE).encode(at, row, text="two:N"),
    ]


def _table(times: Mapping[str, Formula], sliders: Sequence[Slider]) -> Table:
    """The four times over the length of the prompt, whichever is drawn."""
    (lengths,) = (slider for slider in sliders if slider.symbol == prompt)
    return Table(prompt, lengths.values, times, f"{lengths.label} ({lengths.unit})")
