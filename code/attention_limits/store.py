"""Results that are kept in a folder for as long as the code that they rest on is the same.

A build of the book shows a piece of evidence in a cell and lists it on a card: it names a folder in
the environment variable ``STORE``, for its kernels and for itself, and the piece runs once. Nobody
else names one, so a reader's own session always computes.
"""

import contextlib
import functools
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from attention_limits import closure

try:
    import fcntl
except ImportError:  # Windows, where two processes may do the same work
    fcntl = None  # type: ignore[assignment]

STORE = "ATTENTION_LIMITS_STORE"

digest = functools.cache(closure.module_digest)  # code does not change while it runs


def kept(module: str, name: str, compute: Callable[[], Any]) -> Any:
    """What ``compute`` gives, or gave when its code was the same, if there is a store.

    Args:
        module: whose closure it rests on, by its dotted name.
        name: of the result, unlike any other of that module.
        compute: makes it, of what JSON can keep; called if it is not there.
    """
    folder = os.environ.get(STORE)
    if not folder:
        return compute()
    path, key = Path(folder) / f"{module}.{name}.json", digest(module)
    with _alone(path):
        with contextlib.suppress(OSError, ValueError):  # not there, or half of it
            stored = json.loads(path.read_text(encoding="utf-8"))
            if stored["key"] == key:
                return stored["result"]
        result = compute()
        partial = path.with_suffix(".partial")  # a kill leaves the whole file, or none
        partial.write_text(json.dumps({"key": key, "result": result}), encoding="utf-8")
        partial.replace(path)
        return result


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """One process at a time for each result; the others wait. A lock dies with its holder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_suffix(".lock").open("w") as file:
        if fcntl:
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
