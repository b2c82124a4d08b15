"""Who measures the cells of a run: this process, or several that it starts."""

import pickle
import signal
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

from attention_limits import processes
from attention_limits.progress import Progress
from attention_limits.runs import cells
from attention_limits.runs.cell_store import CellStore
from attention_limits.runs.cells import Cell, Shares, Tell

# Who measures all cells of a store, and tells how far that is.
Hands = Callable[[CellStore, Mapping[str, Cell], Progress], None]


class TeamError(ValueError):
    """Workers, or a scheduler, that there cannot be."""


class LostWorkersError(RuntimeError):
    """All workers were killed, and cells are left."""


def alone(store: CellStore, todo: Mapping[str, Cell], progress: Progress) -> None:
    """Measure in this process."""
    _measure(store, todo, Shares(todo, filter(store.has, todo), progress))


def together(store: CellStore, todo: Mapping[str, Cell], progress: Progress, *, count: int) -> None:
    """Measure in so many processes of one core each, as far as there are cells.

    The cell of one that is killed is taken up by the others. An error in a cell, or an interrupt,
    stops them all.

    Raises:
        LostWorkersError: if none is left.
    """
    context = processes.context(__name__)
    given = (store.experiment.__name__, store.config, store.folder.resolve(), store.head)
    running: dict[Connection, BaseProcess] = {}
    try:
        for _ in range(min(count, sum(not store.has(name) for name in todo))):
            ours, theirs = context.Pipe(duplex=False)
            # A daemon ends with this process, and trains on one core (``training.cores``).
            running[ours] = context.Process(target=_work, args=(*given, theirs), daemon=True)
            running[ours].start()
            theirs.close()  # so that there is nothing more to hear once the worker has ended
        _listen(dict(running), Shares(todo, filter(store.has, todo), progress))
    finally:
        for ours, process in running.items():
            process.terminate()
            process.join()
            ours.close()
    if left := store.left(todo):
        raise LostWorkersError(f"all workers died, and {len(left)} cells are not measured yet")


def _measure(store: CellStore, todo: Mapping[str, Cell], tell: Tell) -> None:
    """Measure what nobody else does; then wait for the others, and take up what they leave."""
    for is_waiting in (False, True):
        for name, cell in todo.items():
            with store.claimed(name, wait=is_waiting) as is_mine:
                if is_mine:
                    store.measure(cell, tell)
            if is_waiting and not is_mine:
                tell(name, 1, "is finished")


def _listen(running: dict[Connection, BaseProcess], tell: Shares) -> None:
    """Hear all workers until each has ended; the first error of one is raised."""
    while running:
        ready = wait(running)
        for ours in [each for each in running if each in ready]:
            try:
                heard = ours.recv()
            except EOFError:
                process = running.pop(ours)
                process.join()
                if process.exitcode:
                    status = f"worker {process.pid} died (exit status {process.exitcode})"
                    tell.progress(None, f"{status}; the others take up its cell")
                continue
            if isinstance(heard, Exception):
                raise heard
            tell(*heard)


def _work(name: str, config: Any, folder: Path, head: dict[str, Any], theirs: Connection) -> None:
    """What a worker does: its reports, and its error if there is one, go through the pipe."""
    # An interrupt goes to the whole group; the process that started this one hears it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        store = joined(name, config, folder, head)
        todo = cells.named(store.experiment.cells(config))
        _measure(store, todo, lambda *told: theirs.send(told))
    except Exception as error:
        with suppress(OSError):  # nobody is there any more
            theirs.send(_portable(error))


def joined(name: str, config: Any, folder: Path, head: dict[str, Any]) -> CellStore:
    """The store of a run that another process has begun, for an experiment by its full name.

    Raises:
        cell_store.LeftoverError: if this process would measure something else.
    """
    store = CellStore(resolve_name(name), config, folder)
    store.join(head)
    return store


def _portable(error: Exception) -> Exception:
    """An error that another process can raise, with the place where it happened."""
    error.add_note("".join(traceback.format_exception(error)))
    try:
        return pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
