"""The still figures of the page on learning from examples."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

from attention_limits import style
from attention_limits.experiments import separation
from attention_limits.experiments.separation import (
    ABSOLUTE,
    CONVOLUTION,
    FULL,
    LEARNED,
    PACES,
    PLAIN,
    PRIORS,
    READ,
    RELATIVE,
    SHARPNESS,
    UNSHARED,
    WIDE,
    WINDOW,
    local_start,
)
from attention_limits.experiments.signals import Signals
from attention_limits.runs import records
from attention_limits.runs.records import Run

# A layer of weights and one of averages that see and share alike have one colour.
COLOURS = {
    CONVOLUTION: style.BLUE,
    WINDOW: style.BLUE,
    WIDE: style.GREEN,
    RELATIVE: style.GREEN,
    UNSHARED: style.PURPLE,
    FULL: style.VERMILLION,
    ABSOLUTE: style.VERMILLION,
    LEARNED: style.VIOLET,
}
WEIGHTS = {CONVOLUTION: (9, 1.02), WIDE: (50, 0.87), UNSHARED: (45, 0.72), FULL: (130, 0.48)}
AVERAGES = {
    WINDOW: (9, 1.02),
    RELATIVE: (50, 0.86),
    ABSOLUTE: (60, 0.7),
    LEARNED: (150, 0.48),
}
TYPICAL = (CONVOLUTION, UNSHARED, RELATIVE, ABSOLUTE)  # each kind that shares, and that does not


def over_examples() -> style.Figure:
    """Accuracy over the number of examples: layers of weights, and attention."""
    run = records.load(separation)
    canvas = Canvas(figsize=(style.NARROW[0], 5.2))
    above, below = canvas.subplots(2, sharex=True)
    above.set_title("weights of any size", loc="left", size=11)
    below.set_title("attention", loc="left", size=11)
    _curves(above, run, WEIGHTS)
    _curves(below, run, AVERAGES)
    below.set_xlabel("examples to learn from")
    return style.Figure(
        canvas,
        alt="Rising curves of accuracy in two panels. Above, convolution and wide kernel pass 0.9 "
        "near ten examples, the unshared layer near four hundred, the fully connected one near a "
        "thousand. Below, attention with relative scores passes it near ten, in a window or not; "
        "absolute scores and learned positions at none that was tried.",
        caption="How often layers are right on new examples, over how many they have learned "
        f"from: means of {len(run.config['seeds'])} seeds and their ranges, n = 64. Dotted: "
        f"{READ:.0%}.",
    )


def _curves(axes: Axes, run: Run, layers: Mapping[str, tuple[float, float]]) -> None:
    """A line a layer, through means, and the range of the seeds; its name at a place."""
    for name, place in layers.items():
        found = separation.curve(run, name)
        examples, each, colour = list(found), np.array(list(found.values())), COLOURS[name]
        axes.plot(examples, each.mean(1), "o-", ms=4, lw=1.2, color=colour)
        axes.fill_between(examples, each.min(1), each.max(1), color=colour, alpha=0.2, lw=0)
        axes.text(*place, name, color=colour, va="center")
    _scale(axes, run)


def _scale(axes: Axes, run: Run) -> None:
    """Shares over examples, those of a run named, and a line at what is compared."""
    axes.axhline(READ, color=style.GREY, ls=":", lw=1)
    axes.set(xscale="log", ylim=(0.45, 1.06), ylabel="right on new examples")
    axes.set_xticks(run.config["examples"][::2], [f"{n}" for n in run.config["examples"][::2]])
    axes.minorticks_off()


def drawn(run: Run | None = None, pattern: Sequence[float] = ()) -> style.Figure:
    """A pattern, and how layers learn it in a reader's run, before what was recorded of them.

    Without a run, the pattern is the recorded one, and so are the curves.
    """
    recorded = records.load(separation)
    layers, condition, n = TYPICAL, PLAIN, 64
    if run is not None:
        layers = run.config["layers"]
        [condition], [n] = run.config["settings"], run.config["lengths"]
    canvas = Canvas(figsize=(style.NARROW[0], 5.0 + 0.2 * len(layers)))
    above, below = canvas.subplots(2, height_ratios=(1, 2.4))
    _stems(above, pattern or Signals(n).pattern)
    for layer in layers:
        look = {"color": COLOURS[layer], "ls": "--" if PRIORS[layer].attention else "-"}
        if run is not None:
            _means(below, recorded, layer, condition, n, **look, lw=1, alpha=0.45)
        _means(below, run or recorded, layer, condition, n, **look, lw=1.4, marker="o", ms=4)
        below.plot([], [], label=layer, **look)
    below.set_xlabel("examples to learn from")
    _scale(below, recorded)
    canvas.legend(loc="outside lower left")
    behind = ""
    if run is not None and any(separation.curve(recorded, one, condition, n) for one in layers):
        behind = f" Pale: what was {recorded.stamp}, of the pattern of the page."
    how = f"{condition} examples, n = {n}; means of {len((run or recorded).config['seeds'])} seeds"
    return style.Figure(
        canvas,
        alt="Above, a pattern: eight numbers on a line, joined to it by stems. Below, how often "
        f"layers are right over the number of examples: {', '.join(layers)}.",
        caption="A pattern, and how often layers are right on new examples, over how many they "
        f"have learned from: {how}, {(run or recorded).stamp}.{behind}",
    )


def _means(axes: Axes, run: Run, layer: str, condition: str, n: int, **look: Any) -> None:
    """The mean of the seeds over the number of examples, where a layer was tried."""
    found = separation.curve(run, layer, condition, n)
    axes.plot([*found], [np.mean(each) for each in found.values()], **look)


def _stems(axes: Axes, pattern: Sequence[float] | np.ndarray) -> None:
    """The numbers of a pattern, in turn."""
    places = np.arange(1, len(pattern) + 1)
    axes.vlines(places, 0, pattern, color=style.BLUE, lw=1.4)
    axes.plot(places, pattern, "o", ms=5, color=style.BLUE)
    axes.axhline(0, color=style.GREY, lw=1)
    axes.set(ylabel="pattern", ylim=(-7.5, 7.5), xticks=places)


def over_sharpness() -> style.Figure:
    """Examples that attention needs, over how local its scores begin."""
    run = records.load(separation)
    canvas = Canvas()
    axes = canvas.add_subplot(xscale="log", yscale="log", xlim=(0.008, 30), ylim=(4, 2500))
    axes.set(xlabel="sharpness α of scores at the start", ylabel="examples for 90 %")
    most = max(run.config["examples"])
    axes.axhline(separation.needed(run, CONVOLUTION) or most, color=style.BLUE, ls="--", lw=1.2)
    axes.text(SHARPNESS[0], 5.2, "convolution", color=style.BLUE)
    for kind, marker in ((RELATIVE, "o"), (ABSOLUTE, "s")):
        found = [separation.needed(run, local_start(kind, alpha)) for alpha in SHARPNESS]
        known = [(alpha, value) for alpha, value in zip(SHARPNESS, found, strict=True) if value]
        axes.plot(*zip(*known, strict=True), f"{marker}-", ms=5, lw=1.2, color=COLOURS[kind])
        beyond = [alpha for alpha, value in zip(SHARPNESS, found, strict=True) if not value]
        axes.plot(beyond, [most] * len(beyond), "^", ms=6, color=COLOURS[kind], mfc="none")
    for pace in PACES:
        value = separation.needed(run, local_start(ABSOLUTE, 1.0, pace)) or most
        axes.plot([1], [value], "s", ms=5, color=COLOURS[ABSOLUTE], mfc="none")
        axes.text(1.25, 1.12 * value, f"at {pace:g} of the rate", color=COLOURS[ABSOLUTE])
    axes.text(0.014, 17, "relative scores", color=COLOURS[RELATIVE])
    axes.text(0.2, 700, "absolute scores", color=COLOURS[ABSOLUTE])
    return style.Figure(
        canvas,
        alt="Examples over the sharpness at the start, both axes logarithmic. Relative scores lie "
        "near the dashed line of the convolution throughout. Absolute scores fall from eight "
        "hundred to two hundred. Two hollow squares at 1 are absolute scores that learn more "
        "slowly: at a hundredth of the rate they lie near the dashed line.",
        caption="Examples that attention needs to be right in 90 %, if its scores begin as an "
        "approximate convolution, n = 64. Hollow squares: absolute scores that learn "
        "more slowly than all else.",
    )
