"""How fast the package is next to its peers: the recorded run, or one of the reader's own."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

from attention_limits import labels, style
from attention_limits.experiments import speed
from attention_limits.experiments.speed import readings
from attention_limits.experiments.speed.contests import GROUPS
from attention_limits.runs import records
from attention_limits.runs.records import Run

ROW = 0.27  # inches that a line of the chart of ratios is high


def times(group: str = "window", run: Run | None = None) -> style.Figure:
    """Seconds against n for everyone in a group, forward above, with gradients below."""
    run = run or records.load(speed)
    canvas = labels.canvas(height=6.4)
    panels = canvas.subplots(2, sharex=True)
    said = [_panel(axes, run, group, work) for axes, work in zip(panels, speed.WORKS, strict=True)]
    panels[0].set_xlabel("")
    sizes, title = run.config["sizes"], GROUPS[group].title
    return style.Figure(
        canvas,
        alt=f"Two plots of seconds against the length n, all axes logarithmic. {' '.join(said)}",
        caption=f"{title}: seconds for one call, {sizes['heads']} heads of width {sizes['d']}, "
        f"float32, {run.stamp}. A line ends where a call would take too long, or too much memory.",
    )


def _panel(axes: Axes, run: Run, group: str, work: str) -> str:
    """Draw everyone who was timed at a kind of work; what there is to see, in words."""
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_title(f"Seconds, {work}", loc="left", size=11)
    axes.set_xlabel("sequence length n (tokens)")
    named, ends = [], []
    for number, contestant in enumerate(GROUPS[group].contestants):
        found = {
            n: readings.typical(run, group, contestant.name, work, "seconds", n)
            for n in run.config["lengths"]
        }
        line = {n: seconds for n, seconds in found.items() if seconds is not None}
        if line:
            axes.plot(list(line), list(line.values()), **labels.cues(number), lw=1.2)
            longest, seconds = max(line.items())
            named.append(labels.Label(contestant.name.replace(", ", ",\n"), seconds, number))
            ends.append(f"{contestant.name} takes {seconds:.2g} s at n = {longest:,}")
    labels.write(axes, named)
    return f"{work.capitalize()}: {'; '.join(ends)}." if ends else f"Nothing was timed {work}."


def ratios(n: int = 16384, run: Run | None = None) -> style.Figure:
    """Time of ours over that of each peer at one length, on a logarithmic axis."""
    run = run or records.load(speed)
    lines = _lines(run, n)
    canvas = Canvas(figsize=(4.4, 1.2 + ROW * len(lines)))
    axes = canvas.add_subplot(xscale="log")
    axes.axvline(1, color=style.GREY)
    for number, work in enumerate(speed.WORKS):
        found = [(each[work], y) for y, (_, each) in enumerate(lines) if each.get(work)]
        if found:
            axes.plot(*zip(*found, strict=True), **labels.cues(number), ls="none", label=work)
    names = axes.set_yticks(range(len(lines)), [words for words, _ in lines])
    for tick, (_, each) in zip(names, lines, strict=True):
        tick.label1.set_fontweight("normal" if each else "bold")
    axes.set_ylim(len(lines) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel("time of ours / time of the peer")
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter("")
    canvas.legend(loc="outside upper right", ncols=2)
    return style.Figure(
        canvas,
        alt=f"Dots on a logarithmic axis, left of 1 where ours is faster. {_said(run, n)}",
        caption=f"Time of each of our mechanisms over that of its peers at n = {n:,}, medians, "
        f"{run.stamp}. Peers that the length was too much for are not shown.",
    )


def _lines(run: Run, n: int) -> list[tuple[str, dict[str, float | None]]]:
    """A heading for each of ours, and under it each peer with its ratios, by kind of work."""
    lines: list[tuple[str, dict[str, float | None]]] = []
    heading = None
    for group, ours, peer, each in _compared(run, n):
        if heading != (group, ours):
            heading = group, ours
            lines.append((f"{ours} over", {}))
        lines.append((peer, each))
    return lines


def _compared(run: Run, n: int) -> list[tuple[str, str, str, dict[str, float | None]]]:
    """Every pair of the run that has a ratio at n."""
    pairs = [
        (group, ours, peer) for group in run.config["groups"] for ours, peer in GROUPS[group].pairs
    ]
    each = [{w: readings.ratio(run, *pair, w, n) for w in speed.WORKS} for pair in pairs]
    return [(*pair, some) for pair, some in zip(pairs, each, strict=True) if any(some.values())]


def _said(run: Run, n: int) -> str:
    words = [
        f"{ours} over {peer}: "
        + ", ".join(f"{ratio:.2g} {work}" for work, ratio in each.items() if ratio)
        for _, ours, peer, each in _compared(run, n)
    ]
    return f"{'; '.join(words)}."
