"""A Dask cluster that measures the cells of a run, with Dask's own client, retries and dashboard.

Workers that see the folder of the run keep cells there, as any process does. Those that do not send
them back, and keep no checkpoints. A cell whose worker dies goes to another: that is Dask's doing.
"""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attention_limits.progress import Progress
from attention_limits.runs.cell_store import CellStore
from attention_limits.runs.cells import Cell, Shares
from attention_limits.runs.workers import LostWorkersError, TeamError, joined

if TYPE_CHECKING:
    from distributed import Client

KEPT = "kept"  # what a worker answers that has put a cell where it belongs
_TURN = threading.Lock()  # the threads of a worker share PyTorch's settings


@contextmanager
def client_of(address: str) -> Iterator["Client"]:
    """A client of the cluster whose scheduler has this address.

    Raises:
        TeamError: if there is none.
    """
    try:
        from distributed import Client
    except ImportError as error:
        extra = "pip install 'attention-limits[cluster]'"
        raise TeamError(f"scheduler needs Dask, which is not installed: {extra}") from error
    try:
        client = Client(address)
    except (OSError, ValueError) as error:
        raise TeamError(
            "scheduler must be the address of a Dask scheduler that answers, such as "
            f"tcp://127.0.0.1:8786, got {address!r} ({error})"
        ) from error
    with client:
        yield client


def across(
    client: "Client", store: CellStore, todo: Mapping[str, Cell], progress: Progress
) -> None:
    """Measure cells on the cluster; an error in one, or an interrupt, cancels those that wait.

    Raises:
        LostWorkersError: if the workers that had a cell died, more often than Dask allows.
    """
    from distributed import KilledWorker, as_completed

    given = (store.experiment.__name__, store.config, store.folder.resolve(), store.head)
    tell = Shares(todo, filter(store.has, todo), progress)
    asked = {
        client.submit(measure, *given, cell, pure=False): cell
        for name, cell in todo.items()
        if not store.has(name)
    }
    answers = as_completed(asked)
    try:
        for future in answers:
            cell, answer = asked[future], future.result()
            if answer is None and store.is_open() and not store.has(cell.name):
                again = client.submit(measure, *given, cell, is_shared=False, pure=False)
                asked[again] = cell
                answers.add(again)
                continue
            if isinstance(answer, dict) and not store.has(cell.name):
                store.keep(cell.name, answer)
            tell(cell.name, 1, "is finished")
    except KilledWorker as error:
        raise LostWorkersError(f"workers died too often: {error}") from error
    finally:
        client.cancel(list(asked))  # which those that are done do not mind
    if left := store.left(todo):
        raise LostWorkersError(f"the cluster has answered, and {len(left)} cells are not there")


def measure(
    name: str,
    config: Any,
    folder: Path,
    head: dict[str, Any],
    cell: Cell,
    *,
    is_shared: bool = True,
) -> dict[str, Any] | str | None:
    """What a worker does: measure a cell, unless somebody else has.

    Returns:
        What is to be kept, if the folder is not shared; ``KEPT``, if it is; None where it should be
        and there is no run under way.

    Raises:
        cell_store.LeftoverError: if the worker has other code or, of what is timed, is another
            machine.
    """
    with _TURN:
        store = joined(name, config, folder, head)
        if not is_shared:
            return store.measure(cell, _tell_nobody, keep=False)
        if not store.is_open():
            return None
        with store.claimed(cell.name, wait=True) as is_mine:
            if is_mine:
                store.measure(cell, _tell_nobody)
        return KEPT


def _tell_nobody(cell: str, share: float | None, words: str) -> None:
    """The dashboard shows how far a cluster is."""
