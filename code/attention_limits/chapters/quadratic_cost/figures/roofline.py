"""The figure of the roofline, as measured."""

from typing import Any

from matplotlib.figure import Figure as Canvas

from attention_limits import labels, style
from attention_limits.experiments import roofline as experiment
from attention_limits.runs import records
from attention_limits.runs.records import Run

NAMES = {
    "scores": "scores QKᵀ",
    "softmax": "softmax",
    "mixing": "mixing PV",
    "written out": "all three, written out",
    "fused": "all three, fused",
}
# Where a name stands from its mark, in points, and how it is aligned: none meets another's.
PLACES = {
    "scores": ((-9, 1), "right"),
    "softmax": ((9, -4), "left"),
    "mixing": ((-9, -8), "right"),
    "written out": ((9, -8), "left"),
    "fused": ((9, -15), "right"),
}
ACROSS = (1 / 8, 4096)  # FLOPs for each byte: the ends of the axis


def roofline(run: Run | None = None) -> style.Figure:
    """FLOPs a second against arithmetic intensity: the kernels of attention, under their roof."""
    run = run or records.load(experiment)
    peak, bandwidth = experiment.roof(run)
    speeds = {name: experiment.speed(run, name) for name in NAMES}
    shares = {name: speeds[name] / _roof(run, name) for name in NAMES}
    canvas = Canvas()
    axes = canvas.add_subplot(xscale="log", yscale="log", xlim=ACROSS, ylim=(peak / 50, 2 * peak))
    axes.set_xlabel("arithmetic intensity (FLOPs a byte)", size=12)
    axes.set_ylabel("FLOPs a second", size=12)
    corner = peak / bandwidth
    axes.plot((ACROSS[0], corner, ACROSS[1]), (ACROSS[0] * bandwidth, peak, peak), color=style.GREY)
    text: dict[str, Any] = {"textcoords": "offset points", "size": 12, "va": "center"}
    axes.annotate("memory-bound", (ACROSS[0], peak), (4, 10), ha="left", **text)
    axes.annotate("compute-bound", (ACROSS[1], peak), (-4, 10), ha="right", **text)
    for number, name in enumerate(NAMES):
        at, cues = (experiment.intensity(run, name), speeds[name]), labels.cues(number)
        axes.plot(*at, **cues, ls="none")
        offset, side = PLACES[name]
        axes.annotate(NAMES[name], at, offset, ha=side, **text)
    said = "; ".join(f"{NAMES[name]} reaches {share:.0%}" for name, share in shares.items())
    return style.Figure(
        canvas,
        alt="FLOPs a second against arithmetic intensity, both axes logarithmic. A roof rises with "
        "the bandwidth of the memory, where kernels are memory-bound, and is level at the peak of "
        f"the arithmetic, where they are compute-bound. Of the speed that it allows, {said}.",
        caption=f"One head of width {run.config['d']}, n = {run.config['n']:,}, float32, "
        f"{run.stamp}. The roof, {bandwidth / 1e9:.0f} GB/s and {peak / 1e9:.0f} GFLOP/s, is "
        "measured too. Bytes are the least that each kernel has to load and store; an exponential "
        f"counts as one FLOP. Of the speed that the roof allows, {said}.",
    )


def _roof(run: Run, name: str) -> float:
    peak, bandwidth = experiment.roof(run)
    return min(peak, bandwidth * experiment.intensity(run, name))
