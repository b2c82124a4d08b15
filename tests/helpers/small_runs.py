"""Runs of the small experiment, in processes that are killed."""

import contextlib
import os
import signal
import socket
import sys
import threading
from unittest import mock

from helpers import small_cells
from helpers.small_cells import NAME, PATIENCE, Config, Moments

from attention_limits.experiments import registry
from attention_limits.runs import runner


def install():
    """Make it an experiment of the book's; what is returned is undone by leaving it."""
    undo = contextlib.ExitStack()
    names = (*registry.EXPERIMENTS, NAME)
    undo.enter_context(mock.patch.object(registry, "EXPERIMENTS", names))
    place = {f"attention_limits.experiments.{NAME}": small_cells}
    undo.enter_context(mock.patch.dict(sys.modules, place))
    return undo


def run_until(moment, folder, config):
    """What a process does that is killed at a moment."""
    with Moments.counted(moment):
        runner.run(small_cells, config, folder)


def run_whole(folder, config):
    """What a process does that measures what others do not."""
    assert runner.run(small_cells, config, folder).complete


# --- killed while others measure ----------------------------------------------------------------


class Gate:
    """A door in the middle of each cell, before which processes wait to be let through or killed.

    Args:
        judge: told who came so far, as pairs of a process and a cell, whenever one comes; returns
            those who may go on, by process. Whoever it kills will not come back.
    """

    def __init__(self, judge):
        self.judge, self.came, self.waiting = judge, [], {}
        self.server = socket.create_server(("localhost", 0))
        self.server.settimeout(PATIENCE)
        self.port = self.server.getsockname()[1]
        self.thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        with socket.create_connection(("localhost", self.port)) as last:
            last.sendall(b"\n")
        self.thread.join(PATIENCE)
        for left in (self.server, *self.waiting.values()):
            left.close()

    def _serve(self):
        while True:
            visitor, _ = self.server.accept()
            with visitor.makefile() as stream:
                line = stream.readline()
            if line == "\n":
                visitor.close()
                return
            if not line.endswith("\n"):  # killed before it could say who it is
                visitor.close()
                continue
            process, cell = line.rstrip().split(maxsplit=1)
            self.came.append((int(process), cell))
            self.waiting[int(process)] = visitor
            for passed in self.judge(self.came):
                self.waiting.pop(passed).close()


def first_of_two_killed(came):
    """Once two processes are in the middle of a cell, the first is killed; others go on."""
    (first, _), *others = came
    if len(others) == 1:
        os.kill(first, signal.SIGKILL)
    return [process for process, _ in others[-1:]]


def came_once_but_for_the_killed(came):
    """No cell is measured twice: only the one whose process was killed is begun again."""
    (killed, _), *others = came
    assert killed not in {process for process, _ in others}
    assert sorted(cell for _, cell in others) == [cell.name for cell in small_cells.cells(Config())]
