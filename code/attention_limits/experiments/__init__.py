"""Experiments that take a clock or patience: each is a module with the same doors.

    from attention_limits import experiments

    scaling = experiments.find("scaling")
    rows = list(scaling.measure(scaling.PRESETS["smoke"]))

- ``Config``: a frozen dataclass of all that a run depends on, the machine aside;
- ``COLUMNS``: what each row of the records holds, one row a measurement;
- ``PRESETS``: a Config for each of "smoke" (a test's patience), "book" (what a chapter may run:
  counts and no clock) and "full" (what ships with the package), and ``TAKES``, for how long;
- ``measure(config, progress=None)``: the rows, as they come.

``records`` keeps what was measured, and ``attention-limits run NAME`` does all of it.
"""

import importlib
from types import ModuleType

EXPERIMENTS = ("scaling", "roofline", "speed")


def find(name: str) -> ModuleType:
    """The module of an experiment.

    Raises:
        ValueError: if there is no experiment of that name.
    """
    if name not in EXPERIMENTS:
        raise ValueError(f"name must be one of {', '.join(EXPERIMENTS)}, got {name!r}")
    return importlib.import_module(f"{__name__}.{name}")
