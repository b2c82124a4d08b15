"""How far beyond its training a model carries what it learned, and which of the new things fails.

Both figures take the recorded run, or one of the reader's own that may still be going on: what was
not measured yet is left out.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure as Canvas
from matplotlib.lines import Line2D

from attention_limits import labels, style
from attention_limits.experiments import length
from attention_limits.experiments.length import SETTINGS, TAKE_POSITIONS, TRAINED
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
LEARNED = 0.9  # who is right less often at the trained length has little to carry

MORE, PLACES, CROWD = NEW = ("more tokens", "new positions", "more distractors")


class Way(NamedTuple):
    """A way to ask on long sequences: heading, how models trained and are asked, what is new."""

    heading: str
    condition: str
    asked: str
    new: tuple[str, ...]


WAYS = (
    Way("plain", "plain", "longer", NEW),
    Way("log n", "log n", "longer", NEW),
    Way("blanks", "blanks", "longer", (MORE, PLACES)),
    Way("random\npositions", "random positions", "longer", (MORE, CROWD)),
    Way("blanks,\nrandom", "blanks, random positions", "longer", (MORE,)),
    Way("stretched", "plain", "stretched", (PLACES,)),
)


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


# --- at the longest -----------------------------------------------------------------------------

BRACKETS = f" In brackets: less than {LEARNED} already at {TRAINED[1]} tokens."
AXIS_SHARE = 0.8  # of a cell's width is the axis from 0 to 1 on which its range is drawn


def controls(run: Run | None = None) -> style.Figure:
    """Accuracy at the longest sequences, a row an encoding and a column a way to ask them.

    Args:
        run: what to draw; None for the recorded run.

    Raises:
        ValueError: if the ``run`` has nothing yet at its longest sequences.
    """
    run = run or records.load(length)
    cells = {name: _cells(run, name) for name in run.config["settings"]}
    cells = {name: found for name, found in cells.items() if found}
    if not cells:
        raise ValueError(
            f"run must hold an accuracy at the longest of its texts, got {len(run.records)} rows"
        )
    rows = [len(found) for found in cells.values()]
    canvas = Canvas(figsize=(5.6, 1.3 + 0.37 * sum(rows) + 0.35 * len(rows)))
    heights = [1.2 * len(NEW) / 2, *rows]
    head, *panels = canvas.subplots(len(heights), sharex=True, height_ratios=heights)
    _head(head)
    for axes, (name, found) in zip(panels, cells.items(), strict=True):
        _table(axes, name, found)
    longest = max(run.config["lengths"])
    chances = {f"{SETTINGS[name].make().chance:.2f}" for name in cells}
    every = [cell for found in cells.values() for row in found.values() for cell in row.values()]
    failed = "" if all(cell.learned for cell in every) else BRACKETS
    return style.Figure(
        canvas,
        alt=f"A table a task of accuracies at {longest}, encodings in rows and ways to ask in "
        "columns; above, dots say what is new to a model that is asked so. "
        + " ".join(_said_of_cells(name, found) for name, found in cells.items()),
        caption=f"How often the last answer of a text of {longest} tokens is right, or (stretched) "
        f"of {TRAINED[1]} tokens at positions drawn from {longest}; chance is "
        f"{' or '.join(sorted(chances))}. Dots above: what is new to a model.{failed} Below each "
        f"number, on an axis from 0 to 1, mean and range. {_conventions(run)}",
    )


class _Cell(NamedTuple):
    """Accuracies of all seeds asked one way, and whether they could do it at the trained length."""

    values: list[float]
    learned: bool


def _cells(run: Run, setting: str) -> dict[str, dict[Way, _Cell]]:
    """What was measured at the longest sequences, by encoding and way to ask."""
    found: dict[str, dict[Way, _Cell]] = {}
    longest = max(run.config["lengths"])
    # On stretched texts, what is so many tokens back has no distance of its own.
    by_content = bool(SETTINGS[setting].blanks)
    for encoding in ("none", *TAKE_POSITIONS):
        for way in (way for way in WAYS if by_content or way.asked != "stretched"):
            where = {"task": setting, "encoding": encoding, "condition": way.condition}
            if values := length.accuracies(run, longest, asked=way.asked, **where):
                trained = length.accuracies(run, TRAINED[1], **where)
                learned = not trained or np.mean(trained) >= LEARNED
                found.setdefault(encoding, {})[way] = _Cell(values, bool(learned))
    return found


def _head(axes: Axes) -> None:
    """What is new, in rows, to whom is asked how, in columns."""
    for row, what in enumerate(NEW):
        for column, way in enumerate(WAYS):
            fill: dict[str, Any] = {} if what in way.new else {"mfc": "none"}
            axes.plot(column, row, "o", color=style.GREY, ms=7, **fill)
    axes.set(ylim=(len(NEW) - 0.5, -0.5), xlim=(-0.5, len(WAYS) - 0.5))
    axes.set_yticks(range(len(NEW)), NEW)
    axes.set_xticks(range(len(WAYS)), [way.heading for way in WAYS], size=9)
    axes.tick_params(labeltop=True, labelbottom=False, length=0)
    _bare(axes)


def _table(axes: Axes, setting: str, found: Mapping[str, Mapping[Way, _Cell]]) -> None:
    """Shades, see-through where there is nothing, with numbers and ranges in them."""
    shades = np.zeros((len(found), len(WAYS), 4))
    for row, cells in enumerate(found.values()):
        for column, way in enumerate(WAYS):
            if way in cells:
                mean = float(np.mean(cells[way].values))
                # No darker than leaves the numbers legible, on light pages and on dark ones.
                shades[row, column] = to_rgba(style.BLUE, 0.5 * mean)
                _write_cell(axes, row, column, cells[way])
    axes.imshow(shades, interpolation="none", aspect="auto")
    axes.set_yticks(range(len(found)), [NAMES[name] for name in found])
    axes.set_title(setting, loc="left", size=11)
    axes.tick_params(labelbottom=False, length=0)
    _bare(axes)


def _write_cell(axes: Axes, row: int, column: int, cell: _Cell) -> None:
    """The mean in digits, and below it with its range on an axis of the cell's own."""
    mean = np.mean(cell.values)
    least, middle, most = (
        column + AXIS_SHARE * (x - 0.5) for x in (min(cell.values), mean, max(cell.values))
    )
    text = f"{mean:.2f}" if cell.learned else f"({mean:.2f})"
    axes.text(column, row - 0.1, text, ha="center", va="center", size=10.5)
    axes.hlines(row + 0.32, least, most, color=style.VERMILLION, lw=1.5)
    axes.plot(middle, row + 0.32, "o", color=style.VERMILLION, ms=3.5)


def _bare(axes: Axes) -> None:
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)


def _said_of_cells(setting: str, found: Mapping[str, Mapping[Way, _Cell]]) -> str:
    """The least and the most of each column, and whose they are."""
    parts = []
    for way in WAYS:
        means = {name: np.mean(row[way].values) for name, row in found.items() if way in row}
        if means:
            low, high = min(means, key=means.__getitem__), max(means, key=means.__getitem__)
            said = f"{NAMES[low]} {means[low]:.2f}"
            said += f" to {NAMES[high]} {means[high]:.2f}" if low != high else ""
            parts.append(f"{way.heading.replace(chr(10), ' ')}, {said}")
    return f"{setting.capitalize()}: {'; '.join(parts)}."
