"""Runs of experiments: measured, recorded and, where they are made of cells, safe from a kill.

While a run of cells is under way its folder holds, beside the record that it will leave,

- ``.NAME.partial.json``: the rows of the cells that are finished, with the run's config, code and
  machine. It is replaced as a whole after each cell;
- ``.NAME.partial/CELL/``: checkpoints of the cell that is not.

A later run goes on from there, if it would have measured the same: rows of another config, of other
code or of another machine are never mixed. It refuses them, and touches nothing.
"""

import json
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from attention_limits import experiments
from attention_limits.experiments import Progress
from attention_limits.runs import provenance, records, timing
from attention_limits.runs.records import Run

# Between the parts of one run: whether the code is the same, its digest knows better than git.
MAY_DIFFER = ("date", "commit", "dirty")
FOLDER = re.compile(r"\w([\w .,=+-]{0,99}[\w=+-])?")  # a name that every file system takes


class Cell(Protocol):
    """A part of an experiment that is measured by itself; its rows are kept once it is finished."""

    @property
    def name(self) -> str:
        """Unlike any other cell's, and fit to name a folder."""


class LeftoverError(ValueError):
    """Something that an earlier run left behind, and that this one cannot go on from."""


def run(
    name: str,
    config: object,
    folder: Path,
    progress: Progress | None = None,
    *,
    fresh: bool = False,
) -> Run:
    """Measure an experiment, and save it as ``folder/NAME.json``.

    With ``measure``, it is measured anew each time; one that is interrupted is saved, incomplete.

    Of cells, it goes on from where an earlier run was killed or interrupted, to the rows that it
    would have had without. A complete record of the same config is returned as it is, whatever
    code it was measured with. One that is interrupted leaves the record that is there alone.

    Args:
        name: which experiment.
        config: a Config of it.
        folder: where records are kept; made if it is not there.
        progress: told how far it is.
        fresh: cells are measured anew, and what an earlier run left unfinished is thrown away.

    Returns:
        The run; not ``complete`` if it was interrupted.

    Raises:
        ValueError: if there is no such experiment, or its cells or rows are not what they must be.
        LeftoverError: if there is an unfinished run of another config, code or machine, or a file
            in its place that is none.
        records.UnwritableError: if the folder cannot keep a run, or no longer can. Whatever was
            saved before is still there.
    """
    progress = progress or experiments.silent
    records.check_writable(folder)
    if has_cells(name):
        return _run_cells(name, config, folder, progress, fresh=fresh)
    rows, complete = [], False
    with suppress(KeyboardInterrupt):
        for row in experiments.find(name).measure(config, progress):
            rows.append(row)
        complete = True
    measured = records.new(name, config, rows, complete=complete)
    records.save(folder / f"{name}.json", measured)
    return measured


def measure(name: str, config: object, progress: Progress | None = None) -> Iterator[dict]:
    """The rows of either kind of experiment as they come, with nothing kept on the disk."""
    experiment, progress = experiments.find(name), progress or experiments.silent
    if not has_cells(name):
        yield from experiment.measure(config, progress)
        return
    cells = _named(experiment.cells(config))
    for number, cell in enumerate(cells.values()):
        yield from _run_cell(name, cell, config, None, _share(progress, number, cells))


def has_cells(name: str) -> bool:
    """Whether an experiment is made of cells, and its runs therefore go on after a kill."""
    return hasattr(experiments.find(name), "cells")


def is_under_way(name: str, folder: Path) -> bool:
    """Whether a run of cells was begun in a folder and is not complete."""
    return _file(name, folder).exists()


def _file(name: str, folder: Path) -> Path:
    """Where the rows of finished cells are kept until all are."""
    return folder / f".{name}.partial.json"


def _run_cells(name: str, config: object, folder: Path, progress: Progress, *, fresh: bool) -> Run:
    cells = _named(experiments.find(name).cells(config))
    path, under_way = folder / f"{name}.json", _UnderWay(name, config, folder)
    if fresh:
        under_way.discard()
    elif not is_under_way(name, folder) and (recorded := _recorded(name, config, folder)):
        progress(None, f"{path} is there, {recorded.stamp}; --fresh measures it anew")
        return recorded
    under_way.begin()
    if under_way.rows:
        progress(None, f"goes on: {len(under_way.rows)} of {len(cells)} cells are finished")
    complete = False
    try:
        for number, cell in enumerate(cells.values()):
            if cell.name not in under_way.rows:
                checkpoints = under_way.checkpoints_of(cell)
                rows = _run_cell(name, cell, config, checkpoints, _share(progress, number, cells))
                under_way.keep(cell, rows)
        complete = True
    except KeyboardInterrupt:
        progress(None, "interrupted: the next run goes on from here")
    rows = [row for cell in cells for row in under_way.rows.get(cell, ())]
    measured = Run(name, under_way.head["config"], under_way.head["provenance"], rows, complete)
    if complete:
        records.save(path, measured)
        under_way.discard()
    return measured


def _run_cell(
    name: str, cell: Cell, config: object, checkpoints: Path | None, progress: Progress
) -> list[dict]:
    """The rows of a cell, as JSON will keep them: those of a killed run have been through it."""
    experiment = experiments.find(name)
    progress(0, "begins")
    full = f"checkpoints of {name} cannot be kept in {checkpoints}; finished cells are"
    with timing.on_threads(config.threads), records.writing(full):
        rows = list(experiment.run_cell(cell, config, checkpoints, progress))
    for row in rows:
        if not isinstance(row, dict) or tuple(row) != experiment.COLUMNS:
            wanted = ", ".join(experiment.COLUMNS)
            raise ValueError(f"rows of cell {cell.name!r} must hold {wanted}, got {row}")
    try:
        return json.loads(json.dumps(rows, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise ValueError(f"rows of cell {cell.name!r} must be fit for JSON: {error}") from error


def _share(progress: Progress, number: int, cells: Mapping[str, Cell]) -> Progress:
    """What a cell tells of itself, as a share of all cells."""
    cell = list(cells)[number]

    def told(share: float | None, words: str) -> None:
        progress(None if share is None else (number + share) / len(cells), f"{cell}: {words}")

    return told


def _named(cells: Iterable[Cell]) -> dict[str, Cell]:
    """The cells by their names, which have to tell them apart, also as folders."""
    cells = list(cells)
    names = [cell.name for cell in cells]
    if len({name.casefold() for name in names}) < len(names):  # some file systems know no case
        raise ValueError(f"cells must have different names, got {', '.join(names)}")
    if unfit := [name for name in names if not FOLDER.fullmatch(name)]:
        raise ValueError(f"cells must have names that are fit for a folder, got {unfit}")
    return dict(zip(names, cells, strict=True))


def _recorded(name: str, config: object, folder: Path) -> Run | None:
    """The complete record of the same config, if there is one."""
    try:
        recorded = records.load(name, folder)
    except ValueError:  # none, or none of today's: it is measured, and replaced in the end
        return None
    return recorded if recorded.complete and recorded.config == records.plain(config) else None


class _UnderWay:
    """What is finished of a run of cells, and where that is kept."""

    def __init__(self, name: str, config: object, folder: Path) -> None:
        self.file = _file(name, folder)
        self.checkpoints = folder / f".{name}.partial"
        self.head = {
            "experiment": name,
            "config": records.plain(config),
            "source": provenance.source(),
            "provenance": records.made_on(name, config),
        }
        self.rows: dict[str, list[dict]] = {}

    def begin(self) -> None:
        """Take up what there is, or nothing; and write it, before there is anything to lose."""
        if self.file.exists():
            self._take_up()
        else:
            self.discard()  # checkpoints whose run was deleted are nobody's
        self._write()

    def checkpoints_of(self, cell: Cell) -> Path:
        """The folder for a cell's checkpoints."""
        folder = self.checkpoints / cell.name
        with records.writing(f"{folder} cannot be made, finished cells are kept in {self.file}"):
            folder.mkdir(parents=True, exist_ok=True)
        return folder

    def keep(self, cell: Cell, rows: list[dict]) -> None:
        """Keep the rows of a finished cell; its checkpoints are needed no longer."""
        self.rows[cell.name] = rows
        self._write()
        shutil.rmtree(self.checkpoints / cell.name, ignore_errors=True)

    def discard(self) -> None:
        """Remove everything, the file last: without it, checkpoints would be nobody's."""
        with records.writing(f"{self.file} cannot be removed"):
            if self.checkpoints.exists():
                shutil.rmtree(self.checkpoints)
            self.file.unlink(missing_ok=True)

    def _write(self) -> None:
        entries = {**self.head, "cells": self.rows}
        records.write(self.file, json.dumps(entries, indent=1, allow_nan=False))

    def _take_up(self) -> None:
        """Go on from an earlier run, whose date and commit stay those of all."""
        remedy = "delete it, or begin anew with --fresh"
        try:
            entries = json.loads(self.file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise LeftoverError(f"{self.file} cannot be read, {remedy} ({error})") from error
        if not self._looks_right(entries):
            name = self.head["experiment"]
            raise LeftoverError(f"{self.file} is no unfinished run of {name} today, {remedy}")
        before, now = _identity(entries), _identity(self.head)
        different = [key for key in {**before, **now} if before.get(key) != now.get(key)]
        if different:
            words = "; ".join(f"{k} {before.get(k)}, not {now.get(k)}" for k in different)
            raise LeftoverError(f"{self.file} is of another run ({words}), {remedy}")
        self.rows = entries.pop("cells")
        self.head = entries

    def _looks_right(self, entries: object) -> bool:
        """Whether a file holds what ``_write`` puts there."""
        wanted = {**self.head, "cells": self.rows}
        if not isinstance(entries, dict) or entries.keys() != wanted.keys():
            return False
        kinds_agree = all(type(entries[key]) is type(wanted[key]) for key in wanted)
        return (
            kinds_agree
            and entries["experiment"] == self.head["experiment"]
            and all(isinstance(rows, list) for rows in entries["cells"].values())
        )


def _identity(head: Mapping[str, Mapping]) -> dict[str, object]:
    """All that two parts of one run have to agree in."""
    made = {key: value for key, value in head["provenance"].items() if key not in MAY_DIFFER}
    config = {f"config.{key}": value for key, value in head["config"].items()}
    return {**config, "source": head["source"], **made}
