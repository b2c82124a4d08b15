"""Kinds of models in rows, one panel a question: found under two conditions, and expected."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.lines import Line2D

from attention_limits import style
from attention_limits.chapters.positional_encodings.recorded import NAMES

UP, DOWN = -0.13, 0.27  # of a row: where means lie, and where what was expected


@dataclass(frozen=True)
class Panel:
    """One question.

    Attributes:
        title: what is asked.
        chance: the accuracy of a guess.
        found: by row, the accuracies of all seeds: hollow, if there are two, and filled.
        expected: by row, the mean that was, of what is filled.
    """

    title: str
    chance: float
    found: Mapping[str, Sequence[Sequence[float]]]
    expected: Mapping[str, float] = field(default_factory=dict)


def canvas(
    panels: Sequence[Panel],
    words: tuple[str, str],
    labels: Mapping[str, str] = NAMES,
    encoding: str | None = None,
    columns: int | None = None,
) -> Canvas:
    """All panels side by side or, in ``columns``, below each other; as high as they have rows.

    Args:
        panels: with the same rows.
        words: that tell hollow from filled.
        labels: of rows.
        encoding: whose colour all rows have; None, if each is an encoding of its own.
        columns: of panels; None for one each.
    """
    names = list(panels[0].found)
    columns = columns or len(panels)
    lines = math.ceil(len(panels) / columns)
    drawn = Canvas(figsize=(style.NARROW[0], 0.8 + lines * (0.5 + 0.3 * len(names))))
    every = drawn.subplots(lines, columns, sharex=True, sharey=True, squeeze=False).flat
    for axes, panel in zip(every, panels, strict=True):
        axes.set_title(panel.title, loc="left", size=11)
        axes.axvline(panel.chance, color=style.GREY, ls=":", lw=1.2)
        axes.grid(visible=False, axis="y")
        for row, name in enumerate(names):
            _row(axes, row, encoding or name, panel.found[name], panel.expected.get(name))
    every[0].set_yticks(range(len(names)), [labels.get(name, name) for name in names])
    every[0].set(ylim=(len(names) - 0.4, -0.6), xlim=(-0.06, 1.08))
    every[0].set_xticks((0, 0.5, 1), ("0", ".5", "1"))
    middle = every[columns // 2 - columns]  # of the last line, or right of its middle
    middle.set_xlabel("accuracy of the last answer", x=columns % 2 / 2)
    hollow, filled = words
    marks = [
        _mark("lstm alone", label=filled),  # grey
        _mark("lstm alone", mfc="none", label=hollow),
        _cross(label="expected"),
    ]
    drawn.legend(
        handles=marks, loc="outside lower center", ncols=3, columnspacing=1, handletextpad=0.2
    )
    return drawn


def said(panels: Sequence[Panel]) -> str:
    """All means, in words."""
    return " ".join(
        f"{panel.title[0].upper()}{panel.title[1:]}: "
        + "; ".join(
            f"{NAMES.get(name, name)} {' to '.join(f'{np.mean(values):.2f}' for values in found)}"
            for name, found in panel.found.items()
        )
        + "."
        for panel in panels
    )


def kind(name: str) -> str:
    """An encoding without its reach, its first deviation or its <bos>: it has one colour."""
    return name.split()[0]


def _row(
    axes: Axes,
    row: int,
    name: str,
    found: Sequence[Sequence[float]],
    expected: float | None,
) -> None:
    """The means, the range of the last, and below it what was expected."""
    looks = [_mark(name, mfc="none"), _mark(name)][-len(found) :]
    marks = [(float(np.mean(x)), UP, look) for x, look in zip(found, looks, strict=True)]
    if expected is not None:
        marks.append((expected, DOWN, _cross()))
    axes.hlines(row + UP, min(found[-1]), max(found[-1]), color=looks[-1].get_color(), lw=1.2)
    for at, below, mark in marks:
        mark.set_data([at], [row + below])
        axes.add_line(mark)


def _mark(name: str, **options: Any) -> Line2D:
    """The mark of a mean, without its place."""
    colour = style.ENCODINGS.get(kind(name), style.GREY)
    look = {"color": colour, "marker": "o", "ms": 6, "mew": 1.3, "ls": "", **options}
    return Line2D([], [], **look)


def _cross(**options: Any) -> Line2D:
    colour = mpl.rcParams["text.color"]
    return Line2D([], [], color=colour, marker="x", ms=5, mew=1.3, ls="", **options)
