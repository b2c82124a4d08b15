"""How this package starts other processes: not as forks of one whose threads they would lack."""

import multiprocessing
from multiprocessing.context import BaseContext


def context(*preload: str) -> BaseContext:
    """Where processes come from: a server that forks, if there is one, or else a new interpreter.

    Args:
        preload: modules that the server imports once, so that its forks have them at once.
    """
    with_server = "forkserver" in multiprocessing.get_all_start_methods()
    chosen = multiprocessing.get_context("forkserver" if with_server else "spawn")
    if with_server:
        chosen.set_forkserver_preload(list(preload))
    return chosen
