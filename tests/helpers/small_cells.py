"""A small experiment of cells, for the tests of the runner, and moments for it to be killed at."""

import contextlib
import json
import os
import pathlib
import shutil
import signal
import socket
from dataclasses import dataclass, field
from unittest import mock

from attention_limits.runs import provenance, records

NAME = "small_cells"
PATIENCE = 300  # seconds for what takes far less, on the slowest of machines


@dataclass(frozen=True)
class Schedule:
    steps: int = 2
    decay: float | None = None


@dataclass(frozen=True)
class Config:
    models: tuple[str, ...] = ("attention", "recurrent")
    seeds: tuple[int, ...] = (0, 1)
    schedule: Schedule = field(default_factory=Schedule)
    gate: int | None = None  # the port of a Gate that every cell has to pass in its middle
    broken: str | None = None  # a cell that fails
    device: str = "cpu"
    threads: int = 1


@dataclass(frozen=True)
class Cell:
    model: str
    seed: int

    @property
    def name(self):
        return f"{self.model}, seed {self.seed}"


COLUMNS = ("model", "seed", "quantity", "value")
PRESETS = dict.fromkeys(("smoke", "book", "full"), Config())
DURATIONS = dict.fromkeys(("smoke", "book", "full"), "no time")


def cells(config):
    return (Cell(model, seed) for model in config.models for seed in config.seeds)


def run_cell(cell, config, checkpoints, progress):
    """Two rows, after steps of "training" whose state only a checkpoint remembers."""
    checkpoint = checkpoints and checkpoints / "state.json"
    state = {"step": 0, "value": cell.seed + len(cell.model) / 7}
    if checkpoint and checkpoint.exists():
        state = json.loads(checkpoint.read_text())
    while state["step"] < config.schedule.steps:
        progress(state["step"] / config.schedule.steps, f"step {state['step']}")
        Moments.here("step")
        state = {"step": state["step"] + 1, "value": (state["value"] * 3.7 + 0.1) % 1}
        if checkpoint:
            records.write(checkpoint, json.dumps(state))
    if cell.name == config.broken:
        raise ZeroDivisionError("this cell is broken")
    if config.gate:
        pass_gate(config.gate, cell.name)
    return [
        {"model": cell.model, "seed": cell.seed, "quantity": quantity, "value": value}
        for quantity, value in (("loss", state["value"]), ("accuracy", 1 / 3))
    ]


def pass_gate(port, cell):
    """Say who is here, and wait."""
    with socket.create_connection(("localhost", port), timeout=PATIENCE) as door:
        door.sendall(f"{os.getpid()} {cell}\n".encode())
        door.recv(1)


# --- killed at any moment -----------------------------------------------------------------------


class Moments:
    """Whatever is done to the disk, and each step of training: counted, and one of them the last.

    Before and after each change of a name, and in the middle of each text that is written.
    """

    last: int | None = None
    kinds: tuple[str, ...] = ()  # of all so far

    @classmethod
    def here(cls, kind):
        cls.kinds += (kind,)
        if len(cls.kinds) == cls.last:
            os.kill(os.getpid(), signal.SIGKILL)

    @classmethod
    @contextlib.contextmanager
    def counted(cls, last=None):
        cls.last, cls.kinds = last, ()
        write = pathlib.Path.write_text

        def write_text(self, text, **options):
            write(self, text[: len(text) // 2], **options)
            cls.here("half a text")
            return write(self, text, **options)

        def watched(owner, name):
            change = getattr(owner, name)

            def changed(*args, **options):
                cls.here(f"before {name}")
                done = change(*args, **options)
                cls.here(f"after {name}")
                return done

            return mock.patch.object(owner, name, changed)

        with contextlib.ExitStack() as stack:
            # What is on its way to the disk survives a kill, and 1,000 waits for it are long, as
            # are 1,000 questions to git.
            stack.enter_context(mock.patch.object(os, "fsync"))
            nobody = mock.Mock(return_value={"commit": None, "dirty": None})
            stack.enter_context(mock.patch.object(provenance, "_commit", nobody))
            stack.enter_context(mock.patch.object(pathlib.Path, "write_text", write_text))
            for owner, name in (
                (pathlib.Path, "replace"),
                (pathlib.Path, "unlink"),
                (pathlib.Path, "mkdir"),
                (shutil, "rmtree"),
            ):
                stack.enter_context(watched(owner, name))
            yield
        cls.last = None
