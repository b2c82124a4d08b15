"""How far beyond its training a model carries what it learned.

The figure takes the recorded run, or one of the reader's own that may still be going on: what was
not measured yet is left out.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from attention_limits import labels, style
from attention_limits.experiments import length
from attention_limits.experiments.length import SETTINGS, TRAINED
from attention_limits.runs import records
from attention_limits.runs.records import Run

NAMES = {
    "none": "no positions",
    "sinusoidal": "sinusoids",
    "rotary": "rotary",
    "alibi": "ALiBi",
    "relative_bias": "T5 buckets",
    "learned": "learned table",
    "shaw": "Shaw",
    "lstm_generated": "LSTM-generated",
    "lstm alone": "LSTM alone",
}
COLOURS = len(style.PALETTE)
APART = 0.05  # octaves from one encoding's mark to the next, so that ranges do not hide each other


# --- over the length ----------------------------------------------------------------------------

Line = Mapping[int, Sequence[float]]  # by length, the accuracies of all seeds
Lines = Mapping[str, Line]  # by encoding; what was not measured is in neither


def curves(
    run: Run | None = None,
    condition: str = "plain",
    encodings: Iterable[str] | None = None,
) -> style.Figure:
    """Accuracy of the last answer against n, a panel a task and a line an encoding.

    Args:
        run: what to draw; None for the recorded run.
        condition: under which the models trained and are asked, one of ``length.CONDITIONS``.
        encodings: those that get a colour and a label at their line, at most five; None for the
            first of ``NAMES`` that the run has. The others are grey, and in the legend.

    Raises:
        ValueError: if ``encodings`` are too many, or not of the run; if the run has nothing yet
            under this ``condition``.
    """
    run = run or records.load(length)
    looks = _looks(run, encodings)
    lines = {name: _lines(run, name, condition) for name in run.config["settings"]}
    lines = {name: found for name, found in lines.items() if found}
    if not lines:
        raise ValueError(f"condition must be one that was measured, got {condition!r}")
    grey = [name for name in looks if looks[name]["color"] == style.GREY]
    canvas = labels.canvas(height=0.6 + 2.4 * len(lines) + 0.25 * len(grey))
    panels = canvas.subplots(len(lines), sharex=True, squeeze=False)[:, 0]
    for axes, (name, found) in zip(panels, lines.items(), strict=True):
        _panel(axes, run, name, found, looks)
    panels[-1].set_xlabel("length n of the texts that are asked (tokens)")
    if drawn := [name for name in grey if any(name in found for found in lines.values())]:
        marks = [Line2D([], [], **looks[name]) for name in drawn]
        canvas.legend(handles=marks, loc="outside lower left", ncols=2)
    return style.Figure(
        canvas,
        alt=f"{len(lines)} plot{'s' * (len(lines) > 1)} of accuracy over the length n, from "
        f"{min(run.config['lengths'])} to {max(run.config['lengths'])} on a logarithmic axis. "
        + " ".join(_said(name, found) for name, found in lines.items()),
        caption="How often the last answer of a text is right, by its length; models trained on "
        f"{TRAINED[0]} to {TRAINED[1]} tokens, {_said_of(condition)}. {_conventions(run)} Dotted: "
        "chance. Marks of one length stand beside each other, to be told apart.",
    )


def _lines(run: Run, setting: str, condition: str) -> Lines:
    """What was measured of a task."""
    found = {}
    for encoding in run.config["encodings"]:
        where = {"task": setting, "encoding": encoding, "condition": condition}
        each = {n: length.accuracies(run, n, **where) for n in sorted(run.config["lengths"])}
        if line := {n: values for n, values in each.items() if values}:
            found[encoding] = line
    return found


def _looks(run: Run, encodings: Iterable[str] | None) -> dict[str, dict[str, Any]]:
    """How each encoding is drawn: a few in colour, the others in grey and each with its dashes."""
    there = [name for name in NAMES if name in run.config["encodings"]]
    coloured = there[:COLOURS] if encodings is None else list(encodings)
    if len(coloured) > COLOURS or not set(coloured) <= set(there):
        raise ValueError(
            f"encodings must be at most {COLOURS} of {', '.join(there)}, got {coloured}"
        )
    looks = {
        name: {**labels.cues(number), "lw": 1.4, "label": NAMES[name]}
        for name, number in _in_their_colours(coloured).items()
    }
    for number, name in enumerate(name for name in there if name not in coloured):
        again, number = divmod(number, COLOURS)  # those that find no other mark have it full
        looks[name] = {
            "color": style.GREY,
            "dashes": style.DASHES[number],
            "marker": style.MARKERS[number],
            "mfc": style.GREY if again else "none",
            "ms": 4.5,
            "lw": 1,
            "label": NAMES[name],
        }
    return looks


def _in_their_colours(names: Sequence[str]) -> dict[str, int]:
    """The colour of each, by its number: the encoding's own, or one that none of them has."""
    own = {name: style.PALETTE.index(style.ENCODINGS[name]) for name in style.ENCODINGS}
    left = (n for n in range(COLOURS) if n not in {own.get(name) for name in names})
    return {name: own[name] if name in own else next(left) for name in names}


def _panel(
    axes: Axes,
    run: Run,
    setting: str,
    found: Lines,
    looks: Mapping[str, Mapping[str, Any]],
) -> None:
    """One task: the trained lengths, chance, a line for each encoding and labels at their ends."""
    lengths = sorted(run.config["lengths"])
    axes.set_xscale("log", base=2)
    axes.set(ylabel="accuracy", ylim=(0, 1.05), xlim=(lengths[0] / 1.6, lengths[-1] * 1.25))
    axes.set_xticks(lengths, [str(n) for n in lengths])
    axes.set_title(setting, loc="left", size=11)
    axes.axvspan(lengths[0] / 1.6, TRAINED[1], color=style.GREY, alpha=0.2, lw=0)
    axes.text(lengths[0] / 1.5, 0.5, "trained", rotation=90, va="center", size=10)
    axes.axhline(SETTINGS[setting].make().chance, color=style.GREY, ls=":", lw=1.2)
    ends = []
    for place, name in enumerate(looks):
        if name not in found:
            continue
        shift = 2 ** (APART * (place - (len(looks) - 1) / 2))
        end = _line(axes, found[name], shift, looks[name])
        if looks[name]["color"] != style.GREY:
            ends.append(labels.Label(f"{NAMES[name]} {end:.2f}", end, place))
    labels.write(axes, ends)


def _line(axes: Axes, found: Line, shift: float, look: Mapping[str, Any]) -> float:
    """Means with a line, and the range of the seeds; the last mean."""
    at, means = [n * shift for n in found], [np.mean(values) for values in found.values()]
    axes.plot(at, means, **look)
    least, most = (list(map(end, found.values())) for end in (min, max))
    axes.vlines(at, least, most, color=look["color"], lw=1.2)
    return float(means[-1])


def _said(setting: str, found: Lines) -> str:
    """What there is to see in a panel."""
    parts = []
    for name, line in found.items():
        first, last = min(line), max(line)
        start, end = np.mean(line[first]), np.mean(line[last])
        parts.append(f"{NAMES[name]} from {start:.2f} at {first} to {end:.2f} at {last}")
    return f"{setting.capitalize()}: {'; '.join(parts)}."


def _said_of(condition: str) -> str:
    """A condition, as a clause of a sentence."""
    return {
        "plain": "and nothing is done about what is new in longer texts",
        "blanks": "and blanks fill longer texts, in which the number of symbols stays",
        "random positions": f"at positions drawn from {length.LONGEST}, as they are later",
        "blanks, random positions": f"at positions drawn from {length.LONGEST}, as they are "
        "later, and blanks fill longer texts",
        "log n": f"and scores are multiplied by ln n / ln {TRAINED[1]}",
    }[condition]


def _conventions(run: Run) -> str:
    """What one has to know to read a mean, and where it comes from."""
    seeds = len(run.config["seeds"])
    over = f"Means over {seeds} seeds, bars from the least to the most" if seeds > 1 else "One seed"
    return f"{over}; {run.stamp}."
