"""The figure of the roofline, as measured."""

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
ACROSS = (1 / 8, 4096)  # FLOPs for each byte: the ends of the axis


def roofline(run: Run | None = None) -> style.Figure:
    """FLOPs a second against arithmetic intensity: the kernels of attention, under their roof."""
    run = run or records.load(experiment)
    peak, bandwidth = experiment.roof(run)
    speeds = {name: experiment.speed(run, name) for name in NAMES}
    shares = {name: speeds[name] / _roof(run, name) for name in NAMES}
    canvas = labels.canvas(height=3.6)
    axes = canvas.add_subplot(xscale="log", yscale="log", xlim=ACROSS, ylim=(peak / 50, 2 * peak))
    axes.set(xlabel="arithmetic intensity (FLOPs a byte)", ylabel="FLOPs a second")
    corner = peak / bandwidth
    axes.plot((ACROSS[0], corner, ACROSS[1]), (ACROSS[0] * bandwidth, peak, peak), color=style.GREY)
    axes.annotate("memory-bound", (corner / 4, peak / 4), (6, -6), textcoords="offset points")
    axes.annotate(
        "compute-bound", (ACROSS[1], peak), (-4, 4), textcoords="offset points", ha="right"
    )
    for number, name in enumerate(NAMES):
        cues = labels.cues(number)
        axes.plot(experiment.intensity(run, name), speeds[name], **cues, ls="none")
    texts = [f"{NAMES[name]}\n{shares[name]:.0%} of its roof" for name in NAMES]
    labels.write(axes, list(map(labels.Label, texts, speeds.values(), range(len(NAMES)))))
    said = "; ".join(f"{NAMES[name]} reaches {share:.0%}" for name, share in shares.items())
    return style.Figure(
        canvas,
        alt="FLOPs a second against arithmetic intensity, both axes logarithmic. A roof rises with "
        "the bandwidth of the memory, where kernels are memory-bound, and is level at the peak of "
        f"the arithmetic, where they are compute-bound. {said}.",
        caption=f"One head of width {run.config['d']}, n = {run.config['n']:,}, float32, "
        f"{run.stamp}. The roof, {bandwidth / 1e9:.0f} GB/s and {peak / 1e9:.0f} GFLOP/s, is "
        "measured too. Bytes are the least that each kernel has to load and store; an exponential "
        "counts as one FLOP. A share of its roof is the speed over the most that the roof allows.",
    )


def _roof(run: Run, name: str) -> float:
    peak, bandwidth = experiment.roof(run)
    return min(peak, bandwidth * experiment.intensity(run, name))
