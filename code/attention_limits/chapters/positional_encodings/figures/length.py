"""How far beyond its training a model carries what it learned.

``curves`` takes the recorded runs, or one of the reader's own that may still be going on: what was
not measured yet is left out.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from attention_limits import labels, style
from attention_limits.chapters.positional_encodings import recorded
from attention_limits.chapters.positional_encodings.figures import rows
from attention_limits.chapters.positional_encodings.figures.rows import Panel, kind
from attention_limits.chapters.positional_encodings.recorded import EXPECTED, NAMES, SHORT
from attention_limits.experiments import extrapolation
from attention_limits.experiments.conditions import LONGEST, SETTINGS, TRAINED
from attention_limits.runs.records import Run

COLOURS = len(style.PALETTE)
APART = 0.05  # octaves from one encoding's mark to the next, so that ranges do not hide each other
Look = Mapping[str, Any]


# --- over the length ----------------------------------------------------------------------------

Line = Mapping[int, Sequence[float]]  # by length, the accuracies of all seeds
Lines = Mapping[str, Line]  # by encoding; what was not measured is in neither


def curves(
    runs: Sequence[Run] | None = None,
    encodings: Iterable[str] = ("none", "sinusoidal", "rotary", "alibi", "shaw 16"),
) -> style.Figure:
    """Accuracy of the last answer against n, a panel a task and a line an encoding.

    Args:
        runs: what to draw, one a task; None for the recorded runs.
        encodings: those that get a colour and a label at their line, at most five. Of the others,
            those that were measured are grey, and in the legend.

    Raises:
        ValueError: if ``encodings`` are too many, or there are none of that name; if the runs have
            nothing yet.
    """
    runs = [*map(recorded.run, recorded.EXPERIMENTS)] if runs is None else runs
    lines = {setting: _lines(run) for run in runs for setting in run.config["settings"]}
    lines = {setting: found for setting, found in lines.items() if found}
    if not lines:
        raise ValueError(f"runs must have some rows of plain models, got {len(runs)} without")
    shown = [name for name in NAMES if any(name in run.config["encodings"] for run in runs)]
    look = looks(shown, [name for name in encodings if name in shown or name not in NAMES])
    grey = [name for name in shown if look[name]["color"] == style.GREY]
    canvas = labels.canvas(height=0.6 + 2.4 * len(lines) + 0.25 * len(grey))
    panels = canvas.subplots(len(lines), sharex=True, squeeze=False)[:, 0]
    lengths = sorted(runs[0].config["lengths"])
    for axes, (setting, found) in zip(panels, lines.items(), strict=True):
        _panel(axes, lengths, setting, found, look)
    panels[-1].set_xlabel("length n of the sequences that are asked (tokens)")
    if drawn := [name for name in grey if any(name in found for found in lines.values())]:
        marks = [Line2D([], [], **look[name]) for name in drawn]
        canvas.legend(handles=marks, loc="outside lower left", ncols=2)
    return style.Figure(
        canvas,
        alt=f"{len(lines)} plot{'s' * (len(lines) > 1)} of accuracy over the length n, from "
        f"{lengths[0]} to {lengths[-1]} on a logarithmic axis. "
        + " ".join(_said(setting, found) for setting, found in lines.items()),
        caption="How often the last answer of a sequence is right, by its length; models trained "
        f"on {TRAINED[0]} to {SHORT} tokens. {_conventions(runs)} Dotted: chance. Marks of one "
        "length stand beside each other, to be told apart.",
    )


def _lines(run: Run) -> Lines:
    """What was measured of a task."""
    found = {}
    for name in run.config["encodings"]:
        each = {
            n: extrapolation.accuracies(run, name, "plain", recorded.longer(n))
            for n in sorted(run.config["lengths"])
        }
        if line := {n: values for n, values in each.items() if values}:
            found[name] = line
    return found


def looks(shown: Sequence[str], coloured: Sequence[str]) -> dict[str, dict[str, Any]]:
    """How each encoding is drawn: a few in colour, the others in grey and each with its dashes.

    Raises:
        ValueError: if ``coloured`` are too many, or not all shown.
    """
    if len(coloured) > COLOURS or not set(coloured) <= set(shown):
        raise ValueError(
            f"encodings must be at most {COLOURS} of {', '.join(shown)}, got {coloured}"
        )
    found: dict[str, dict[str, Any]] = {
        name: {**labels.cues(number), "lw": 1.4, "label": NAMES[name]}
        for name, number in in_their_colours(coloured).items()
    }
    for number, name in enumerate(name for name in shown if name not in coloured):
        again, number = divmod(number, COLOURS)  # those that find no other mark have it full
        found[name] = {
            "color": style.GREY,
            "dashes": style.DASHES[number],
            "marker": style.MARKERS[number],
            "mfc": style.GREY if again else "none",
            "ms": 4.5 + again // 2,
            "lw": 1,
            "label": NAMES[name],
        }
    return found


def in_their_colours(names: Sequence[str]) -> dict[str, int]:
    """The colour of each, by its number: the encoding's own, or one that none of them has."""
    own = {kind: style.PALETTE.index(style.ENCODINGS[kind]) for kind in style.ENCODINGS}
    taken: dict[str, int] = {}
    for name in names:  # of two with other reaches, the first has the encoding's colour
        number = own.get(kind(name))
        if number is not None and number not in taken.values():
            taken[name] = number
    left = (number for number in range(COLOURS) if number not in taken.values())
    return {name: taken[name] if name in taken else next(left) for name in names}


def _panel(
    axes: Axes,
    lengths: Sequence[int],
    setting: str,
    found: Lines,
    look: Mapping[str, Look],
) -> None:
    """One task: the trained lengths, chance, a line for each encoding and labels at their ends."""
    axes.set_xscale("log", base=2)
    axes.set(ylabel="accuracy", ylim=(0, 1.05), xlim=(lengths[0] / 1.6, lengths[-1] * 1.25))
    axes.set_xticks(lengths, [str(n) for n in lengths])
    axes.set_title(setting, loc="left", size=11)
    axes.axvspan(lengths[0] / 1.6, SHORT, color=style.GREY, alpha=0.2, lw=0)
    axes.text(lengths[0] / 1.5, 0.5, "trained", rotation=90, va="center", size=10)
    axes.axhline(SETTINGS[setting].make().chance, color=style.GREY, ls=":", lw=1.2)
    ends = []
    for place, name in enumerate(look):
        if name not in found:
            continue
        shift = 2 ** (APART * (place - (len(look) - 1) / 2))
        end = _line(axes, found[name], shift, look[name])
        if look[name]["color"] != style.GREY:
            number = style.PALETTE.index(look[name]["color"])
            ends.append(labels.Label(f"{NAMES[name]} {end:.2f}", end, number))
    labels.write(axes, ends)


def _line(axes: Axes, found: Line, shift: float, look: Look) -> float:
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


def _conventions(runs: Sequence[Run]) -> str:
    """What one has to know to read a mean, and where it comes from."""
    seeds = len(runs[0].config["seeds"])
    over = f"Means over {seeds} seeds, bars from the least to the most" if seeds > 1 else "One seed"
    return f"{over}; {' and '.join(dict.fromkeys(run.stamp for run in runs))}."


# --- at the longest length ----------------------------------------------------------------------


def at_the_end() -> style.Figure:
    """Accuracy at the longest length, a panel a task and a row an encoding, and what we expected.

    Hollow is what the same models reach at the trained length.
    """
    panels = [
        Panel(
            task.removeprefix("token "),
            SETTINGS[task].make().chance,
            {
                name: [
                    recorded.accuracies(task, name, recorded.longer(n)) for n in (SHORT, LONGEST)
                ]
                for name in NAMES
            },
            EXPECTED[task],
        )
        for task in recorded.EXPERIMENTS
    ]
    run = recorded.run(next(iter(recorded.EXPERIMENTS)))
    seeds = len(run.config["seeds"])
    return style.Figure(
        rows.canvas(panels, (f"at n = {SHORT}", f"at n = {LONGEST}")),
        alt=f"Accuracies in {len(panels)} panels, one a task, of {len(NAMES)} encodings: means at "
        f"n = {SHORT} and at n = {LONGEST}. {rows.said(panels)}",
        caption=f"Models trained on {TRAINED[0]} to {SHORT} tokens; of Shaw and T5 the reach, of "
        f"tables the deviation that rows began with. Hollow: mean of {seeds} seeds "
        f"at n = {SHORT}. Filled: at n = {LONGEST}, with the range of the seeds. Cross: what we "
        f"expected there before the runs, where we expected a number. Dotted: a guess. "
        f"{_sentence(run.stamp)}",
    )


def _sentence(words: str) -> str:
    return f"{words[0].upper()}{words[1:]}."
