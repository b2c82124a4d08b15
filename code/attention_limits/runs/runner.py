"""Runs of experiments: measured, recorded and, where they are made of cells, safe from a kill."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

from attention_limits.progress import Progress, silent
from attention_limits.runs import cells, cluster, records
from attention_limits.runs.cell_store import CellStore, head_of, is_timed, locked
from attention_limits.runs.cells import Shares
from attention_limits.runs.records import Run
from attention_limits.runs.workers import Hands, TeamError, alone, together


def run(
    experiment: ModuleType,
    config: Any,
    folder: Path,
    progress: Progress | None = None,
    *,
    fresh: bool = False,
    workers: int = 1,
    scheduler: str | None = None,
) -> Run:
    """Measure an experiment, and save it as ``folder/NAME.json``.

    With ``measure``, it is measured anew each time; one that is interrupted is saved, incomplete.

    Of cells, it goes on from where earlier runs were killed or interrupted, to the rows that it
    would have had without; what other processes measure in the same folder at the same time, it
    leaves to them. A complete record of the same config is returned as it is, whatever code it was
    measured with. One that is interrupted leaves the record that is there alone.

    Args:
        experiment: its module; ``experiments`` says what that holds.
        config: a Config of it.
        folder: where records are kept; made if it is not there.
        progress: told how far it is.
        fresh: cells are measured anew, and what an earlier run left unfinished is thrown away.
        workers: how many processes measure cells; with 1 it is this one. More than one each train
            on one core, so that products may sum in another order than here.
        scheduler: the address of a Dask scheduler, whose workers measure cells instead.

    Returns:
        The run; not ``complete`` if it was interrupted.

    Raises:
        ValueError: if cells or rows are not what they must be.
        workers.TeamError: naming ``workers`` or ``scheduler``, if there cannot be any.
        cell_store.LeftoverError: if there is an unfinished run of another config or code or, of
            what is timed, another machine; or a file in its place that is none.
        records.UnwritableError: if the folder cannot keep a run, or no longer can. Whatever was
            saved before is still there.
        workers.LostWorkersError: if all workers were killed. Finished cells are kept.
    """
    progress = progress or silent
    _check_hands(experiment, workers, scheduler)
    records.check_writable(folder)
    if has_cells(experiment):
        with _hands(workers, scheduler) as hands:
            return _run_cells(experiment, config, folder, progress, hands, fresh=fresh)
    rows, complete = [], False
    with suppress(KeyboardInterrupt):
        for row in experiment.measure(config, progress):
            rows.append(row)
        complete = True
    measured = records.new(experiment, config, rows, complete=complete)
    with locked(folder, measured.experiment):
        records.save(folder / f"{measured.experiment}.json", measured)
    return measured


def measure(
    experiment: ModuleType, config: Any, progress: Progress | None = None
) -> Iterator[dict]:
    """The rows of either kind of experiment as they come, with nothing kept on the disk."""
    progress = progress or silent
    if not has_cells(experiment):
        yield from experiment.measure(config, progress)
        return
    todo = cells.named(experiment.cells(config))
    tell = Shares(todo, (), progress)
    for cell in todo.values():
        yield from cells.measure(experiment, cell, config, None, tell)


def has_cells(experiment: ModuleType) -> bool:
    """Whether an experiment is made of cells, and its runs therefore go on after a kill."""
    return hasattr(experiment, "cells")


def is_under_way(experiment: ModuleType, folder: Path) -> bool:
    """Whether a run of cells was begun in a folder and is not complete."""
    return head_of(records.name_of(experiment), folder).exists()


def _check_hands(experiment: ModuleType, workers: int, scheduler: str | None) -> None:
    if workers < 1:
        raise TeamError(f"workers must be at least 1, got {workers}")
    if workers == 1 and scheduler is None:
        return
    name, argument = records.name_of(experiment), "workers" if workers > 1 else "scheduler"
    if not has_cells(experiment):
        raise TeamError(f"{argument} must be left out: {name} is measured in one piece")
    if workers > 1 and scheduler is not None:
        raise TeamError("workers must be left out where a scheduler has its own")
    if workers > 1 and is_timed(experiment):
        raise TeamError(f"workers must be 1: {name} is timed, and they would disturb each other")


@contextmanager
def _hands(workers: int, scheduler: str | None) -> Iterator[Hands]:
    """Who measures: this process, several, or a cluster."""
    if scheduler is not None:
        with cluster.client_of(scheduler) as client:
            yield partial(cluster.across, client)
    else:
        yield alone if workers == 1 else partial(together, count=workers)


def _run_cells(
    experiment: ModuleType,
    config: Any,
    folder: Path,
    progress: Progress,
    hands: Hands,
    *,
    fresh: bool,
) -> Run:
    todo = cells.named(experiment.cells(config))
    store = CellStore(experiment, config, folder)
    if recorded := store.begin(fresh=fresh):
        path = folder / f"{recorded.experiment}.json"
        progress(None, f"{path} is there, {recorded.stamp}; --fresh measures it anew")
        return recorded
    if finished := sum(map(store.has, todo)):
        progress(None, f"goes on: {finished} of {len(todo)} cells are finished")
    try:
        hands(store, todo, progress)
    except KeyboardInterrupt:
        progress(None, "interrupted: the next run goes on from here")
        return store.gathered(todo, complete=False)
    return store.finish(todo)
