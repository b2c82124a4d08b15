"""How cost grows with length, as measured: the recorded run, or one of the reader's own."""

from statistics import median

import numpy as np
from matplotlib.axes import Axes

from attention_limits import labels, style
from attention_limits.experiments import scaling
from attention_limits.runs import records
from attention_limits.runs.records import Run

NAMES = {
    "dense": "dense, written out",
    "fused": "dense, fused kernel",
    "online_softmax": "online softmax",
    "linear": "linear attention",
    "recurrent": "recurrent network",
}
BENDS = 0.1  # a line whose slope changes by more is given no exponent
TITLES = {
    "flops": "FLOPs of one call",
    "peak_bytes": "Peak memory of one call (bytes)",
    "seconds": "Seconds for one call",
}


def times(run: Run | None = None) -> style.Figure:
    """Seconds against n, with fitted exponents; of a run that may still be going on."""
    run = run or records.load(scaling)
    canvas = labels.canvas(height=3.6)
    said = _panel(canvas.add_subplot(), run, "seconds")
    return style.Figure(
        canvas,
        alt=f"Seconds for one call against the length n, both axes logarithmic. {said}",
        caption=f"Seconds for one call on sequences of n tokens, {run.stamp}. {_conventions(run)}; "
        "± is half of a 95% interval.",
    )


def counts(run: Run | None = None) -> style.Figure:
    """FLOPs and memory against n, one above the other, with exponents."""
    run = run or records.load(scaling)
    canvas = labels.canvas(height=6.0)
    counted = [quantity for quantity in TITLES if quantity != "seconds"]
    panels = canvas.subplots(len(counted), sharex=True)
    said = [f"{TITLES[q]}: {_panel(axes, run, q)}" for q, axes in zip(counted, panels, strict=True)]
    for axes in panels[:-1]:
        axes.set_xlabel("")
    return style.Figure(
        canvas,
        alt=f"Two plots over the length n, all axes logarithmic. {' '.join(said)}",
        caption=f"Counted, up to n = {run.config['counted']:,}: the same on every machine. "
        f"{_conventions(run)}. Where the slope of a line changes by more than {BENDS} over these, "
        "none is given.",
    )


def _panel(axes: Axes, run: Run, quantity: str) -> str:
    """Draw every mechanism that was measured; what there is to see, in words."""
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_title(TITLES[quantity], loc="left", size=11)
    axes.set_xlabel("sequence length n (tokens)")
    measured = {row["mechanism"] for row in run.records if row["quantity"] == quantity}
    ends, grown = [], []
    for number, name in enumerate(scaling.MECHANISMS):
        if name in measured:
            end, exponent = _line(axes, run, name, quantity), _exponent(run, name, quantity)
            text = f"{NAMES[name]}\nexponent {exponent}" if exponent else NAMES[name]
            ends.append(labels.Label(text, end, number))
            grown += [f"{NAMES[name]} grows as n to the {exponent}"] if exponent else []
    labels.write(axes, ends)
    return f"{'; '.join(grown)}." if grown else "No line has two lengths yet."


def _line(axes: Axes, run: Run, name: str, quantity: str) -> float:
    """Medians with a line, and the range of the repeats; the last median."""
    lengths, values = (np.array(x) for x in scaling.series(run, name, quantity))
    each = np.unique(lengths)
    repeats = [values[lengths == n] for n in each]
    middles = [median(some) for some in repeats]
    cues = labels.cues(scaling.MECHANISMS.index(name))
    axes.plot(each, middles, **cues, lw=1.2)
    axes.vlines(each, list(map(min, repeats)), list(map(max, repeats)), color=cues["color"])
    return middles[-1]


def _exponent(run: Run, name: str, quantity: str) -> str:
    """The fit, or nothing for a single length, or for counts that follow no single power."""
    lengths, values = scaling.series(run, name, quantity)
    if len(set(lengths)) < 2 or (quantity != "seconds" and _bends(lengths, values)):
        return ""
    return str(scaling.exponent(run, name, quantity))


def _bends(lengths: list[int], values: list[float]) -> bool:
    """Whether the slope changes by more than ``BENDS`` over the lengths that are fitted."""
    slopes = np.diff(np.log(values)) / np.diff(np.log(lengths))
    return bool(np.ptp(slopes[1 - scaling.TAIL :]) > BENDS)


def _conventions(run: Run) -> str:
    """What one has to know of the configuration to read the numbers."""
    heads = run.config["heads"]
    return (
        f"{heads} head{'' if heads == 1 else 's'} of width {run.config['d']}, float32"
        f"{', causal' if run.config['causal'] else ''}. Exponents are fitted to the "
        f"{scaling.TAIL} longest lengths of each line"
    )
