"""What is kept of a run of cells while it is under way: a kill loses next to nothing of it.

Beside the record that the run will leave, its folder holds ``.NAME.partial/``, and in it

- ``run.json``: what is measured, with which code and, of what is timed, on which machine;
- ``cells/CELL.json``: the rows of a cell that is finished, and where they were measured;
- ``checkpoints/CELL/``: what the cell keeps that is not;
- ``claims/CELL``: a file that whoever measures the cell holds locked. The system lets go of it when
  its holder ends, and however it ends.

So any number of processes may work on one folder: each cell is measured by one of them. A later run
goes on from there, if it would have measured the same; else it refuses, and touches nothing.
"""

import functools
import inspect
import json
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import ModuleType
from typing import Any

from filelock import FileLock, Timeout

from attention_limits import closure
from attention_limits.runs import cells, records
from attention_limits.runs.cells import Cell, Tell
from attention_limits.runs.provenance import now
from attention_limits.runs.records import Run

# Between the parts of one run: whether the code is the same, its digest knows better than git.
MAY_DIFFER = ("date", "commit", "dirty")


class LeftoverError(ValueError):
    """Something that an earlier run left behind, and that this one cannot go on from."""


class CellStore:
    """The cells of one run, on the disk.

    Args:
        experiment: whose.
        config: a Config of it.
        folder: where its record will be.
    """

    def __init__(self, experiment: ModuleType, config: Any, folder: Path) -> None:
        self.experiment, self.config, self.folder = experiment, config, folder
        self.name = records.name_of(experiment)
        self._head = head_of(self.name, folder)
        self.path = self._head.parent
        self.made = records.made_on(experiment, config)
        self.head: dict[str, Any] = {
            "experiment": self.name,
            "config": records.plain(config),
            "code": code(experiment),
            "provenance": self.made,
        }

    # --- the run --------------------------------------------------------------------------------

    def begin(self, *, fresh: bool) -> Run | None:
        """Take up what there is, or nothing; and write it, before there is anything to lose.

        Returns:
            The complete record of the same config, if there is one: then nothing is begun.

        Raises:
            LeftoverError: if what there is is another run's or, ``fresh``, still being measured.
        """
        with locked(self.folder, self.name):
            if fresh:
                self._refuse_to_disturb()
                self._remove()
            if self._head.exists():
                self._take_up()
                return None
            self._remove()  # what has no head is nobody's
            if not fresh and (recorded := self._recorded()):
                return recorded
            with records.writing(f"{self.path} cannot be made"):
                for part in ("cells", "checkpoints", "claims"):
                    (self.path / part).mkdir(parents=True)
            records.write(self._head, json.dumps(self.head, indent=1, allow_nan=False))
        return None

    def join(self, head: dict[str, Any]) -> None:
        """Be part of a run that another process began, perhaps on another machine.

        Raises:
            LeftoverError: if rows that were measured here could not stand beside its others.
        """
        if different := self._different(head):
            raise LeftoverError(f"worker must measure the same run, but has another {different}")
        self.head = head

    def is_open(self) -> bool:
        """Whether the run is still under way here: whoever has all cells ends it."""
        with suppress(OSError, ValueError):
            return json.loads(self._head.read_text(encoding="utf-8")) == self.head
        return False

    def gathered(self, names: Iterable[str], *, complete: bool) -> Run:
        """The run as far as its cells are finished, in this order."""
        found = {name: self._read(name) for name in names if self.has(name)}
        made = self.head["provenance"]
        of_cells = {
            name: {
                key: value for key, value in cell["provenance"].items() if made.get(key) != value
            }
            for name, cell in found.items()
        }
        rows = [row for cell in found.values() for row in cell["rows"]]
        provenance = {**made, "cells": of_cells}
        return Run(self.name, self.head["config"], provenance, rows, complete)

    def finish(self, names: Iterable[str]) -> Run:
        """Save the run, all of whose cells are finished, and remove what is no longer needed.

        Of several processes that measured it together one does it, and the others read it.
        """
        with locked(self.folder, self.name):
            if not self.is_open():
                return self._finished_by_another()
            run = self.gathered(names, complete=True)
            records.save(self._record, run)
            self._remove()
        return run

    # --- its cells ------------------------------------------------------------------------------

    def has(self, name: str) -> bool:
        """Whether a cell is finished."""
        return self._cell(name).exists()

    def left(self, names: Iterable[str]) -> list[str]:
        """The cells that nobody has finished; none, if the run has ended meanwhile."""
        left = [name for name in names if not self.has(name)]
        return left if self.is_open() else []

    @contextmanager
    def claimed(self, name: str, *, wait: bool) -> Iterator[bool]:
        """Whether a cell is this process's to measure; nobody else gets it meanwhile.

        Args:
            name: the cell's.
            wait: until whoever has it has finished or, killed, has left it.
        """
        claim = FileLock(self.path / "claims" / name)
        try:
            if not self.has(name):
                claim.acquire(blocking=wait)
        except (Timeout, FileNotFoundError):  # another has it; or all are finished, and all is gone
            yield False
            return
        try:
            # In this order: when a run ends, its head is what is removed first.
            yield not self.has(name) and self.is_open()
        finally:
            claim.release()

    def measure(self, cell: Cell, tell: Tell, *, keep: bool = True) -> dict[str, Any]:
        """What is kept of a cell, and kept here, with checkpoints on the way, if so wished."""
        checkpoints = self._checkpoints(cell.name) if keep else None
        rows = cells.measure(self.experiment, cell, self.config, checkpoints, tell)
        measured = {"rows": rows, "provenance": {**self.made, "date": now()}}
        if keep:
            self.keep(cell.name, measured)
        return measured

    def keep(self, name: str, measured: Mapping[str, object]) -> None:
        """Keep a finished cell; its checkpoints are needed no longer."""
        records.write(self._cell(name), json.dumps(measured, indent=1, allow_nan=False))
        shutil.rmtree(self.path / "checkpoints" / name, ignore_errors=True)

    # --- files ----------------------------------------------------------------------------------

    @property
    def _record(self) -> Path:
        return self.folder / f"{self.name}.json"

    def _cell(self, name: str) -> Path:
        return self.path / "cells" / f"{name}.json"

    def _checkpoints(self, name: str) -> Path:
        folder = self.path / "checkpoints" / name
        with records.writing(f"{folder} cannot be made, finished cells are kept in {self.path}"):
            folder.mkdir(parents=True, exist_ok=True)
        return folder

    def _recorded(self) -> Run | None:
        """The complete record of the same config, if there is one."""
        try:
            recorded = records.load(self.experiment, self.folder)
        except ValueError:  # none, or none of today's: it is measured, and replaced in the end
            return None
        return recorded if recorded.complete and recorded.config == self.head["config"] else None

    def _finished_by_another(self) -> Run:
        """The record that another process has saved."""
        if not self._head.exists():
            self._remove()  # this one may have left a claim where everything had been removed
        if recorded := self._recorded():
            return recorded
        raise LeftoverError(f"{self.path} was thrown away meanwhile: another run was begun there")

    def _read(self, name: str) -> dict:
        """A finished cell."""
        try:
            measured = json.loads(self._cell(name).read_text(encoding="utf-8"))
            if measured.keys() == {"rows", "provenance"} and isinstance(measured["rows"], list):
                return measured
            problem = "it must hold rows and provenance"
        except (OSError, ValueError, AttributeError) as error:
            problem = str(error)
        raise LeftoverError(f"{self._cell(name)} is no finished cell, delete it ({problem})")

    def _remove(self) -> None:
        """Remove everything, the head first: without it, the rest is nobody's."""
        with records.writing(f"{self.path} cannot be removed"):
            self._head.unlink(missing_ok=True)
            if self.path.exists():
                shutil.rmtree(self.path)

    # --- who may go on --------------------------------------------------------------------------

    def _take_up(self) -> None:
        """Go on from an earlier run, whose date and commit stay those of its beginning."""
        remedy = "delete it, or begin anew with --fresh"
        try:
            head = json.loads(self._head.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise LeftoverError(f"{self._head} cannot be read, {remedy} ({error})") from error
        if not self._looks_right(head):
            raise LeftoverError(f"{self._head} is no unfinished run of {self.name} today, {remedy}")
        if different := self._different(head):
            raise LeftoverError(f"{self._head} is of another run ({different}), {remedy}")
        self.head = head

    def _looks_right(self, head: object) -> bool:
        """Whether a file holds what ``begin`` puts there."""
        if not isinstance(head, dict) or head.keys() != self.head.keys():
            return False
        kinds_agree = all(type(head[key]) is type(self.head[key]) for key in head)
        return kinds_agree and head["experiment"] == self.name

    def _different(self, head: Mapping[str, Any]) -> str:
        """What keeps the rows of another process from standing beside this one's, in words."""
        theirs, ours = self._identity(head), self._identity(self.head)
        return "; ".join(
            f"{key} {theirs.get(key)}, not {ours.get(key)}"
            for key in {**theirs, **ours}
            if theirs.get(key) != ours.get(key)
        )

    def _identity(self, head: Mapping[str, Any]) -> dict[str, object]:
        """All that the parts of one run have to agree in; of what is timed, also the machine."""
        same = {f"config.{key}": value for key, value in head["config"].items()}
        same["code"] = head["code"]
        if is_timed(self.experiment):
            same |= {k: v for k, v in head["provenance"].items() if k not in MAY_DIFFER}
        return same

    def _refuse_to_disturb(self) -> None:
        """Refuse to throw away what another process is measuring."""
        for claim in (self.path / "claims").glob("*"):
            try:
                FileLock(claim).acquire(blocking=False).lock.release()
            except Timeout:
                raise LeftoverError(
                    f"{self.path} is at work: another process measures {claim.name!r}; stop it "
                    "before you begin anew with --fresh"
                ) from None


def head_of(name: str, folder: Path) -> Path:
    """The file that is there as long as a run is under way."""
    return folder / f".{name}.partial" / "run.json"


@contextmanager
def locked(folder: Path, name: str) -> Iterator[None]:
    """One process at a time changes what a folder holds of an experiment."""
    path = folder / f".{name}.lock"
    with FileLock(path):
        try:
            yield
        finally:
            with suppress(OSError):  # not every system lets go of a file that is open
                path.unlink()  # whoever waits for it sees that, and makes another


def is_timed(experiment: ModuleType) -> bool:
    """Whether its rows are times, which only one machine measures alike."""
    return getattr(experiment, "TIMED", False)


@functools.cache  # the code that runs is that which was imported, whatever was edited since
def code(experiment: ModuleType) -> str:
    """A digest of an experiment's module and of all code of the book that it imports."""
    source = inspect.getsource(experiment)
    files = [path for path in closure.files(source) if path.suffix == ".py"]  # and no records
    return closure.digest("", source, *files)
