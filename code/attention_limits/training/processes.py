"""Trainings in processes of their own, which report as they go and stay for the next ones."""

import functools
import multiprocessing
import os
import queue
import signal
import threading
from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing.managers import SyncManager

import torch

from attention_limits import processes
from attention_limits.progress import Progress
from attention_limits.training.loop import train


def cores() -> int:
    """How many cores this process may use: a container has fewer than its machine.

    A daemon (one of several workers is one) may start no processes, so it has one.
    """
    if multiprocessing.current_process().daemon:
        return 1
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def in_processes(jobs: list[dict], progress: Progress | None) -> list[tuple]:
    """What each job came to, each in a process of its own; reports of all of them as they come."""
    pool, manager = _pool(len(jobs))
    reports, stop = manager.Queue(), manager.Event()
    try:
        waiting = [pool.submit(_job, number, job, reports, stop) for number, job in enumerate(jobs)]
        _listen(waiting, reports, progress)
        return [future.result() for future in waiting]
    except BaseException:  # an interrupt, or an error in one of them, ends the others
        stop.set()
        _pool.cache_clear()  # who knows which processes are left
        pool.shutdown(cancel_futures=True)
        manager.shutdown()
        raise


@functools.cache
def _pool(workers: int) -> tuple[ProcessPoolExecutor, SyncManager]:
    """Processes that stay for the next training: to start them takes as long as a hundred steps."""
    context = processes.context(__name__)  # which imports PyTorch once
    manager = SyncManager(ctx=context)
    manager.start(_serve)
    return ProcessPoolExecutor(workers, context, initializer=_serve), manager


def _serve() -> None:
    """Begin as one of these processes: it ends with whom it works for, even if that is killed.

    An interrupt goes to the whole group; who trains hears it, and tells the others to stop.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    assert parent is not None  # only a child begins so

    def end_with_parent() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=end_with_parent, daemon=True).start()


def _listen(waiting: list[Future], reports: queue.Queue, progress: Progress | None) -> None:
    """Pass reports on until all jobs are done, or one has failed."""
    shares = [0.0] * len(waiting)
    while True:
        failed = any(job.done() and job.exception() for job in waiting)
        over = failed or all(job.done() for job in waiting)
        try:
            number, shares[number], words = reports.get(block=not over, timeout=0.1)
        except queue.Empty:
            if over:
                return
            continue
        if progress is not None:
            progress(sum(shares) / len(shares), words)


def _job(number: int, job: dict, reports: queue.Queue, stop: threading.Event) -> tuple:
    """Train, and return what can leave a process: weights as arrays."""
    torch.set_num_threads(1)

    def report(share: float | None, words: str) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        reports.put((number, share, words))

    trained = train(**job, progress=report)
    weights = {name: w.detach().numpy() for name, w in trained.model.named_parameters()}
    return weights, trained.history, trained.ended, trained.steps
