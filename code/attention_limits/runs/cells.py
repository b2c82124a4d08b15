"""The parts that an experiment is made of: their names, their rows, and how far they are."""

import json
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

from attention_limits.progress import Progress
from attention_limits.runs import records, timing

FOLDER = re.compile(r"\w([\w .,=+-]{0,99}[\w=+-])?")  # a name that every file system takes


class Cell(Protocol):
    """A part of an experiment that is measured by itself; its rows are kept once it is finished."""

    @property
    def name(self) -> str:
        """Unlike any other cell's, and fit to name a folder."""


# Told of a cell, by its name, what a Progress is told of everything.
Tell = Callable[[str, float | None, str], None]


def named(cells: Iterable[Cell]) -> dict[str, Cell]:
    """The cells by their names.

    Raises:
        ValueError: if these do not tell cells apart, also as folders.
    """
    cells = list(cells)
    names = [cell.name for cell in cells]
    if len({name.casefold() for name in names}) < len(names):  # some file systems know no case
        raise ValueError(f"cells must have different names, got {', '.join(names)}")
    if unfit := [name for name in names if not FOLDER.fullmatch(name)]:
        raise ValueError(f"cells must have names that are fit for a folder, got {unfit}")
    return dict(zip(names, cells, strict=True))


def measure(
    experiment: ModuleType, cell: Cell, config: Any, checkpoints: Path | None, tell: Tell
) -> list[dict]:
    """The rows of a cell, as JSON will keep them: those of a killed run have been through it.

    Raises:
        ValueError: if they are not what the experiment's COLUMNS say, or unfit for JSON.
        records.UnwritableError: if the disk does not take a checkpoint.
    """

    def told(share: float | None, words: str) -> None:
        tell(cell.name, share, words)

    told(0, "begins")
    full = f"checkpoints of {cell.name} cannot be kept in {checkpoints}; finished cells are"
    with timing.on_threads(config.threads), records.writing(full):
        rows = list(experiment.run_cell(cell, config, checkpoints, told))
    for row in rows:
        if not isinstance(row, dict) or tuple(row) != experiment.COLUMNS:
            wanted = ", ".join(experiment.COLUMNS)
            raise ValueError(f"rows of cell {cell.name!r} must hold {wanted}, got {row}")
    told(1, "is finished")
    try:
        return json.loads(json.dumps(rows, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"rows of cell {cell.name!r} must be fit for JSON, got {rows} ({error})"
        ) from error


class Shares:
    """How far all cells are together, told whenever one of them tells of itself.

    Args:
        cells: their names.
        finished: those that were finished before.
        progress: who is told.
    """

    def __init__(self, cells: Iterable[str], finished: Iterable[str], progress: Progress) -> None:
        self.of = dict.fromkeys(cells, 0.0) | dict.fromkeys(finished, 1.0)
        self.progress = progress

    def __call__(self, cell: str, share: float | None, words: str) -> None:
        """Tell of one cell."""
        if share is not None:
            self.of[cell] = share
            share = sum(self.of.values()) / len(self.of)
        self.progress(share, f"{cell}: {words}")
