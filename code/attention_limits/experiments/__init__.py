"""Experiments that take a clock or patience: each is a module with the same interface.

    from attention_limits import experiments

    scaling = experiments.find("scaling")
    rows = list(scaling.measure(scaling.PRESETS["smoke"]))

- ``Config``: a frozen dataclass of all that a run depends on, the machine aside. Its fields survive
  JSON; ``device`` and ``threads`` are two of them, and ``seeds``, a tuple, where there are several;
- ``COLUMNS``: what each row of the records holds, one row a measurement;
- ``PRESETS``: a Config for each of "smoke" (a test's patience), "book" (what a chapter may run:
  counts and no clock) and "full" (what ships with the package), and ``TAKES``, for how long;
- ``measure(config, progress=None)``: the rows, as they come.

An experiment that trains for minutes is made of cells instead, each by itself repeatable. A run of
it survives a kill: it goes on from the last cell that was finished, and from the last checkpoint of
the one that was not. In place of ``measure`` it has

- ``cells(config)``: the cells, an iterable of frozen values. Each has a ``name``, a string like no
  other's that can name a folder, and is told apart by nothing else;
- ``run_cell(cell, config, checkpoints, progress)``: the rows of one cell, a list. They depend on
  nothing but ``cell`` and ``config``, checkpoints or no, so all randomness starts from seeds that
  these two hold. Numbers in them are finite: JSON has no NaN, so None stands for what diverged.

  ``checkpoints`` is a folder of this cell's own: empty when the cell first starts, with all that it
  left there when it starts again, gone once its rows are recorded; None: keep nothing. A checkpoint
  is replaced whole (written beside, then renamed). ``progress`` is told shares of this cell.

``runner`` runs both kinds, ``records`` keeps what was measured, and ``attention-limits run NAME``
does all of it.
"""

import importlib
from collections.abc import Callable
from types import ModuleType

EXPERIMENTS = (
    "scaling",
    "roofline",
    "speed",
    "throughput",
    "learned",
    "length",
    "commutant",
    "offsets",
)

# Told the share that is done and what comes next, or None and a remark that should stay.
Progress = Callable[[float | None, str], None]


def find(name: str) -> ModuleType:
    """The module of an experiment.

    Raises:
        ValueError: if there is no experiment of that name.
    """
    if name not in EXPERIMENTS:
        raise ValueError(f"name must be one of {', '.join(EXPERIMENTS)}, got {name!r}")
    return importlib.import_module(f"{__name__}.{name}")


def silent(share: float | None, words: str) -> None:
    """Progress that nobody wants to hear of."""
