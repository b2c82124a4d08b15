"""The still figures of the page on longer contexts."""

from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from attention_limits import style
from attention_limits.chapters.positional_encodings.figures import rows
from attention_limits.chapters.positional_encodings.figures.rows import Panel
from attention_limits.experiments import cures, fine_tuning, score_frequencies
from attention_limits.experiments.conditions import SETTINGS, TRAINED
from attention_limits.experiments.cures import (
    CURED,
    INTERPOLATED,
    LARGER,
    NOTHING,
    NTK,
    SHORT,
    YARN,
)
from attention_limits.experiments.fine_tuning import SCRATCH
from attention_limits.runs import records
from attention_limits.runs.records import Run

SHOWN = (NOTHING, INTERPOLATED, NTK, LARGER, *YARN)
NAMES = {"sinusoidal": "sinusoids", "rotary": "rotary"}
WIDTH = style.NARROW[0]
APART = 0.19  # rows: how far above the seeds their mean stands, or one bar's middle from a band's


# --- cures --------------------------------------------------------------------------------------


def cures_kept(run: Run | None = None) -> style.Figure:
    """Accuracy at the longest length, a panel a task and a row a cure; and what theory expects."""
    run = run or records.load(cures)
    n, tasks = max(run.config["lengths"]), run.config["settings"]
    canvas = Canvas(figsize=(WIDTH, 5.4))
    panels = canvas.subplots(1, len(tasks), sharex=True, sharey=True, squeeze=False)[0]
    said = []
    for axes, task in zip(panels, tasks, strict=True):
        axes.set_title(task, loc="left", size=11)
        axes.axvline(SETTINGS[task].make().chance, color=style.GREY, ls=":", lw=1.2)
        axes.grid(visible=False, axis="y")
        found = []
        for row, cure in enumerate(SHOWN):
            each = cures.accuracies(run, task, CURED, cure, n)
            expected = cures.expected(*cures.turned(CURED, cure, n), n).carried[task]
            _accuracy(axes, row, each, expected)
            found.append(f"{cure} {np.mean(each):.2f}, {'kept' if expected else 'lost'}")
        said.append(f"{task.capitalize()}: {'; '.join(found)}.")
    panels[0].set_yticks(range(len(SHOWN)), SHOWN)
    panels[0].set(ylim=(len(SHOWN) - 0.45, -0.55), xlim=(-0.04, 1.06))
    panels[0].set_xticks((0, 0.5, 1), ("0", ".5", "1"))
    panels[len(panels) // 2].set_xlabel(f"accuracy at n = {n}")
    marks = [
        _mean(fill, label=f"theory: {word}") for fill, word in ((True, "kept"), (False, "lost"))
    ]
    canvas.legend(handles=marks, loc="outside lower center", ncols=2)
    seeds = len(run.config["seeds"])
    return style.Figure(
        canvas,
        alt=f"Accuracies at n = {n} in {len(tasks)} panels, one a task, for {len(SHOWN)} cures. "
        f"Means, and what theory expects. {' '.join(said)}",
        caption=f"Rotary models of base 10⁴, trained on {TRAINED[0]} to {SHORT} tokens and asked "
        f"on {n}, without another step of training. Large: means of {seeds} seeds, filled where "
        "theory expects that the task is kept, hollow where it expects that it is lost. Below "
        f"each: the seeds and their range. Dotted: a guess. {_sentence(run.stamp)}",
    )


def _mean(filled: bool, **options: Any) -> Line2D:
    """The mark of a mean, without its place."""
    colour = style.ENCODINGS["rotary"]
    face = colour if filled else "none"
    return Line2D([], [], color=colour, mfc=face, marker="o", ms=7, mew=1.5, ls="", **options)


def _accuracy(axes: Axes, row: int, each: Sequence[float], expected: bool) -> None:
    """A mean, and below it the seeds on their range."""
    mark = _mean(expected)
    mark.set_data([np.mean(each)], [row - APART])
    axes.add_line(mark)
    axes.hlines(row + APART, min(each), max(each), color=style.GREY, lw=1.2)
    axes.plot(each, [row + APART] * len(each), "o", color=style.GREY, ms=3, mew=0)


# --- a little more training ---------------------------------------------------------------------

# Means after 200 steps, as the authors wrote them down on 30 November 2026 before these runs; of
# YaRN they expected as much after 50.
EXPECTED = {
    "most recent": {INTERPOLATED: 0.99, "YaRN 1-4": 0.97, SCRATCH: 0.4},
    "token 3 back": {INTERPOLATED: 0.9, "YaRN 1-4": 0.97},
    "first token": {INTERPOLATED: 1.0, "YaRN 1-4": 0.97},
}


def fine_tuned() -> style.Figure:
    """Accuracy at the longest length after a few more steps on such sequences."""
    run = records.load(fine_tuning)
    few, many = run.config["more"]
    panels = [
        Panel(
            task.removeprefix("token "),
            SETTINGS[task].make().chance,
            {
                cure: [fine_tuning.accuracies(run, task, cure, more) for more in (few, many)]
                for cure in run.config["cures"]
            },
            EXPECTED[task],
        )
        for task in run.config["settings"]
    ]
    n = max(run.config["lengths"])
    return style.Figure(
        rows.canvas(panels, (f"{few} steps", f"{many} steps"), encoding="rotary"),
        alt=f"Accuracies at n = {n} in {len(panels)} panels, one a task, for what was done to the "
        f"frequencies before models train on, and for models that begin anew: means after {few} "
        f"and after {many} steps. {rows.said(panels)}",
        caption=f"Rotary models of base 10⁴, trained on {TRAINED[0]} to {SHORT} tokens, after "
        f"{few} and {many} more steps on {n} tokens, as many tokens a step as before. Hollow and "
        f"filled: means of {len(run.config['seeds'])} seeds, with the range of the latter. Cross: "
        f"what we expected after {many}, where we did. Dotted: a guess. {_sentence(run.stamp)}",
    )


# --- frequencies of scores ----------------------------------------------------------------------


def bands(run: Run | None = None) -> style.Figure:
    """What bands of frequencies carry of scores of positions, a panel a task, a bar an encoding."""
    run = run or records.load(score_frequencies)
    tasks, encodings = run.config["settings"], run.config["encodings"]
    canvas = Canvas(figsize=(WIDTH, 3.4))
    panels = canvas.subplots(1, len(tasks), sharex=True, sharey=True, squeeze=False)[0]
    shift = {name: APART * (2 * k - 1) for k, name in enumerate(encodings)}
    said = []
    for axes, task in zip(panels, tasks, strict=True):
        axes.set_title(task, loc="left", size=11)
        axes.grid(visible=False, axis="y")
        for name in encodings:
            found = score_frequencies.by_band(run, task, name)
            means = [float(np.mean(each)) for each in found.values()]
            rows = np.arange(len(found)) + shift[name]
            axes.barh(rows, means, height=2 * APART, **_look(name))
            ends = ([end(each) for each in found.values()] for end in (min, max))
            axes.hlines(rows, *ends, color=mpl.rcParams["text.color"], lw=1.6)
            parts = [
                f"{score_frequencies.band_name(*band)} {mean:.2f}"
                for band, mean in zip(found, means, strict=True)
            ]
            said.append(f"{task.capitalize()}, {NAMES[name]}: {', '.join(parts)}.")
    last = len(score_frequencies.BANDS) - 1
    panels[0].set_yticks(
        range(last + 1), [score_frequencies.band_name(*band) for band in score_frequencies.BANDS]
    )
    panels[0].set(ylim=(last + 0.55, -0.55), xlim=(-0.04, 1.04), ylabel="period (tokens)")
    panels[0].set_xticks((0, 0.5, 1), ("0", ".5", "1"))
    panels[0].set_xlabel("share of the variance within a query", x=len(panels) / 2)
    marks = [Patch(**_look(name), label=NAMES[name]) for name in encodings]
    canvas.legend(handles=marks, loc="outside lower center", ncols=2)
    return style.Figure(
        canvas,
        alt=f"Bars in {len(tasks)} panels, one a task: the share of each band of periods, in "
        f"tokens, on average. {' '.join(said)}",
        caption="How much of the variance of a query's scores, over the positions of its keys, "
        "each band of periods carries: in the head of the first layer whose scores vary most, at "
        f"the positions of training, 0 to {TRAINED[1] - 1}. Bars: means of "
        f"{len(run.config['seeds'])} seeds; lines: their range. "
        f"{_sentence(run.stamp)}",
    )


def _look(encoding: str) -> dict[str, Any]:
    """A bar's: one encoding's colour, and whether it is filled."""
    colour = style.ENCODINGS[encoding]
    if encoding == "rotary":
        return {"facecolor": "none", "edgecolor": colour, "hatch": "////"}
    return {"facecolor": colour, "edgecolor": colour}


def _sentence(words: str) -> str:
    return f"{words[0].upper()}{words[1:]}."
