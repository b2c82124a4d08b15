"""How the experiments time a computation: warm, synchronised, on a fixed number of threads."""

import gc
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

LEAST_SECONDS = 0.02  # a shorter call is repeated until it fills as much, for the clock's sake


def seconds(compute: Callable[[], object], device: str, threads: int, calls: int = 1) -> float:
    """What one call takes, with no gradients to come: the mean of a few calls in a row.

    On one thread of a CPU it is the CPU time of the process, which stands still while another
    program has the core. Anything else is timed by the clock on the wall.
    """
    on_cpu = torch.device(device).type == "cpu"
    clock = time.process_time_ns if on_cpu and threads == 1 else time.perf_counter_ns
    with on_threads(threads), _no_collection(), torch.inference_mode():
        _synchronise(on_cpu)
        start = clock()
        for _ in range(calls):
            compute()
        _synchronise(on_cpu)  # an accelerator has been told to do it, and may not have done it yet
        return (clock() - start) / calls / 1e9


def warm_up(compute: Callable[[], object], device: str, threads: int) -> int:
    """Call it twice, and return how many calls give the clock enough to see."""
    seconds(compute, device, threads)
    return 1 + int(LEAST_SECONDS / max(seconds(compute, device, threads), 1e-9))


@contextmanager
def on_threads(count: int) -> Iterator[None]:
    """A CPU computes on so many threads, and afterwards on as many as before."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def _no_collection() -> Iterator[None]:
    """Python's garbage collector stays out: it would double some of a loop's times, at random."""
    before = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if before:
            gc.enable()


def _synchronise(on_cpu: bool) -> None:
    if not on_cpu:
        torch.accelerator.synchronize()
