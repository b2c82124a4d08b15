"""How this package starts other processes: not as forks of one whose threads they would lack."""

import multiprocessing
from multiprocessing.context import ForkServerContext, SpawnContext


def context(*preload: str) -> ForkServerContext | SpawnContext:
    """Where processes come from: a server that forks, if there is one, or else a new interpreter.

    Args:
        preload: modules that the server imports once, so that its forks have them at once.
    """
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    with_server = multiprocessing.get_context("forkserver")
    with_server.set_forkserver_preload(list(preload))
    return with_server
