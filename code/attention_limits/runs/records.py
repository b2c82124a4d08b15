"""Recorded runs: what an experiment measured, with all that one has to know to believe it.

A run is a JSON file with a row for each measurement. Those of the book ship with the package, since
a notebook that quotes them runs wherever that is installed.
"""

import json
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from importlib import resources
from pathlib import Path
from types import ModuleType
from typing import Any

from attention_limits.runs.provenance import provenance

__all__ = ["Run", "UnwritableError", "check_writable", "load", "provenance", "save"]


@dataclass(frozen=True)
class Run:
    """What one run of an experiment measured.

    Args:
        experiment: which one; the last part of its module's name.
        config: the fields of its Config.
        provenance: when and on what, as ``provenance()`` says. Of a run of cells, when and on what
            it was begun, and as ``cells`` what was otherwise when each of them was measured.
        records: one row a measurement, as the experiment's COLUMNS name them.
        complete: whether it came to its end, and was not interrupted.
    """

    experiment: str
    config: Mapping[str, Any]
    provenance: Mapping[str, Any]
    records: Sequence[Mapping[str, Any]]
    complete: bool = True

    def values(self, column: str = "value", /, **where: object) -> list[float]:
        """A column of all rows that hold what is asked: ``values(quantity="flops", n=256)``."""
        return [
            row[column]
            for row in self.records
            if all(row[name] == value for name, value in where.items())
        ]

    @property
    def stamp(self) -> str:
        """When and where it was measured, as a clause of a sentence."""
        date = datetime.fromisoformat(self.provenance["date"])
        threads = self.provenance["threads"]
        return (
            f"recorded on {date.day} {date:%B %Y} on {self._each('device')}, "
            f"{threads} thread{'' if threads == 1 else 's'}, PyTorch {self._each('torch')}"
            + ("" if self.complete else ", interrupted before its end")
        )

    def _each(self, entry: str) -> str:
        """What the provenance says, or all that it says of different cells."""
        others = (cell.get(entry) for cell in self.provenance.get("cells", {}).values())
        return " and ".join(dict.fromkeys(filter(None, (self.provenance[entry], *others))))


class UnwritableError(OSError):
    """A folder or a disk that does not take what was measured."""


@contextmanager
def writing(complaint: str) -> Iterator[None]:
    """What goes wrong on the disk meanwhile is an UnwritableError: the complaint, and why."""
    try:
        yield
    except OSError as error:
        raise UnwritableError(f"{complaint}: {error.strerror or error}") from error


def check_writable(folder: Path) -> None:
    """Make the folder and write to it, so that no measurement is made that cannot be kept.

    Raises:
        UnwritableError: if it cannot be made, or nothing can be written there, or not enough.
    """
    with writing(f"folder {folder} cannot keep a run"):
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(2**20))  # more than a run takes
            file.flush()
            os.fsync(file.fileno())  # a full disk may accept what it cannot keep


def write(path: Path, text: str) -> None:
    """Write a file as a whole; a reader, or a kill, never meets half of it.

    Raises:
        UnwritableError: if the disk does not take it; what was in the file before is still there.
    """
    partial = path.with_name(f".{path.name}.partial")
    with writing(f"{path} cannot be written, and is as it was"):
        try:
            partial.write_text(text, encoding="utf-8")
            with partial.open("rb+") as file:
                os.fsync(file.fileno())  # or the name could be there before the content is
            partial.replace(path)
        except OSError:
            partial.unlink(missing_ok=True)  # half a file keeps its room on a full disk
            raise


def save(path: Path, run: Run) -> None:
    """Write a run, one row a line, as a whole or not at all.

    Raises:
        UnwritableError: as ``write``.
    """
    entries = {field.name: getattr(run, field.name) for field in fields(Run)}
    rows = ",\n".join(f"  {json.dumps(row, allow_nan=False)}" for row in entries.pop("records"))
    head = json.dumps(entries, indent=1, allow_nan=False).removesuffix("\n}")
    write(path, f'{head},\n "records": [\n{rows}\n ]\n}}\n')


def name_of(experiment: ModuleType) -> str:
    """What an experiment is called, also by the file of its record: its module's own name."""
    return experiment.__name__.rpartition(".")[2]


def load(experiment: ModuleType, folder: Path | None = None) -> Run:
    """The run of an experiment that ships with the package, or one saved in a folder.

    Raises:
        ValueError: if there is none, or if the file is no run of that experiment as it is now.
    """
    name = name_of(experiment)
    source = (folder or resources.files("attention_limits") / "results") / f"{name}.json"
    place = folder or "code/attention_limits/results"
    again = f"record it with: attention-limits run {name} --out {place}"
    try:
        entries = json.loads(source.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ValueError(f"{source.name}: there is no such run, {again}") from error
    except ValueError as error:
        raise ValueError(f"{source.name} is corrupted, {again} ({error})") from error
    run = _run(source.name, entries)
    if run.experiment != name:
        raise ValueError(f"{source.name} is a run of {run.experiment!r}, not of {name!r}")
    if run.config.keys() != {field.name for field in fields(experiment.Config)}:
        raise ValueError(f"{source.name} is outdated: its config has other fields now, {again}")
    for row in run.records:
        if tuple(row) != experiment.COLUMNS:
            wanted = ", ".join(experiment.COLUMNS)
            raise ValueError(f"{source.name} is outdated: a row is {wanted} now, {again}")
    return run


def new(experiment: ModuleType, config: Any, records: Sequence[Mapping], *, complete: bool) -> Run:
    """A run that was just measured, on the device that its config names."""
    made = made_on(experiment, config)
    return Run(name_of(experiment), plain(config), made, records, complete)


def made_on(experiment: ModuleType, config: Any) -> dict[str, object]:
    """The provenance of what an experiment measures from now on."""
    # An experiment that rests on packages which the library does not need names them.
    packages = getattr(experiment, "PACKAGES", ())
    return provenance(config.device, config.threads, packages)


def plain(config: Any) -> dict[str, object]:
    """The fields of a Config as JSON keeps them: tuples are lists, dataclasses are objects.

    Two Configs are the same run if and only if these are equal.

    Raises:
        ValueError: if JSON cannot keep them.
    """
    try:
        return json.loads(json.dumps(asdict(config), allow_nan=False))
    except (TypeError, ValueError) as error:
        raise ValueError(f"config must hold what JSON can keep, got {config} ({error})") from error


def _run(name: str, entries: object) -> Run:
    """A run, if the entries have the shape of one."""
    shape = {
        "experiment": str,
        "config": dict,
        "provenance": dict,
        "records": list,
        "complete": bool,
    }
    if not isinstance(entries, dict) or entries.keys() != shape.keys():
        raise ValueError(f"{name} is no recorded run: it must hold {', '.join(shape)}")
    for entry, kind in shape.items():
        if not isinstance(entries[entry], kind):
            raise ValueError(f"{name} is no recorded run: {entry} must be a {kind.__name__}")
    if not all(isinstance(row, dict) for row in entries["records"]):
        raise ValueError(f"{name} is no recorded run: each record must be a row of columns")
    return Run(**entries)
