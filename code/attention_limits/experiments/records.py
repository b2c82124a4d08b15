"""Recorded runs: what an experiment measured, with all that one has to know to believe it.

A run is a JSON file with a row for each measurement. Those of the book ship with the package, since
a notebook that quotes them runs wherever that is installed.
"""

import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from importlib import resources
from pathlib import Path

from attention_limits import experiments
from attention_limits.experiments.machine import provenance

__all__ = ["Run", "check_writable", "load", "provenance", "save"]


@dataclass(frozen=True)
class Run:
    """What one run of an experiment measured.

    Args:
        experiment: which one; a name in ``experiments.EXPERIMENTS``.
        config: the fields of its Config.
        provenance: when and on what, as ``provenance()`` says.
        records: one row a measurement, as the experiment's COLUMNS name them.
        complete: whether it came to its end, and was not interrupted.
    """

    experiment: str
    config: Mapping[str, object]
    provenance: Mapping[str, object]
    records: Sequence[Mapping[str, object]]
    complete: bool = True

    def values(self, **where: object) -> list[float]:
        """The values of all rows that hold what is asked: ``values(quantity="flops", n=256)``."""
        return [
            row["value"]
            for row in self.records
            if all(row[column] == value for column, value in where.items())
        ]

    @property
    def stamp(self) -> str:
        """When and where it was measured, as a clause of a sentence."""
        date = datetime.fromisoformat(self.provenance["date"])
        threads = self.provenance["threads"]
        return (
            f"recorded on {date.day} {date:%B %Y} on {self.provenance['device']}, "
            f"{threads} thread{'' if threads == 1 else 's'}, PyTorch {self.provenance['torch']}"
            + ("" if self.complete else ", interrupted before its end")
        )


def check_writable(folder: Path) -> None:
    """Make the folder and write to it, so that no measurement is made that cannot be kept.

    Raises:
        OSError: if it cannot be made, or nothing can be written there, or not enough.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(2**20))  # more than a run takes
            file.flush()
            os.fsync(file.fileno())  # a full disk may accept what it cannot keep
    except OSError as error:
        raise OSError(f"folder {folder} cannot keep a run: {error.strerror or error}") from error


def save(path: Path, run: Run) -> None:
    """Write a run, one row a line; a reader, or a kill, never meets half a file."""
    entries = {field.name: getattr(run, field.name) for field in fields(Run)}
    rows = ",\n".join(f"  {json.dumps(row, allow_nan=False)}" for row in entries.pop("records"))
    head = json.dumps(entries, indent=1, allow_nan=False).removesuffix("\n}")
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(f'{head},\n "records": [\n{rows}\n ]\n}}\n', encoding="utf-8")
    partial.replace(path)


def load(name: str, folder: Path | None = None) -> Run:
    """The run of an experiment that ships with the package, or one saved in a folder.

    Raises:
        ValueError: if there is none, or if the file is no run of that experiment as it is now.
    """
    experiment = experiments.find(name)
    source = (folder or resources.files("attention_limits") / "results") / f"{name}.json"
    again = f"record it with: attention-limits run {name}"
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


def new(experiment: str, config: object, records: Sequence[Mapping], *, complete: bool) -> Run:
    """A run that was just measured, on the device that its config names."""
    # An experiment that rests on packages which the library does not need names them.
    packages = getattr(experiments.find(experiment), "PACKAGES", ())
    made = provenance(config.device, config.threads, packages)
    return Run(experiment, asdict(config), made, records, complete)


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
