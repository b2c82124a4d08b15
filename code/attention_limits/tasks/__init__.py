"""Synthetic tasks, each a pure function of a seed: what is asked is known exactly.

    from attention_limits import tasks

    task = tasks.make("recall", pairs=4)
    batch = task.sample(seed=(0, 17), count=32, n=64)

Every one of them is a frozen dataclass, whose fields are its parameters, with the same interface:

- ``sample(seed, count, n, *, max_position=None)``: a ``Batch`` of tokens, answers and positions;
- ``oracle(batch)``: the answers again, by a program that reads the tokens one by one;
- ``vocabulary``, ``classes``: how many tokens and how many answers there are;
- ``chance``: how often the best constant answer is right;
- ``shortest``: the least n.

``tests/tasks/test_contract.py`` holds every name in ``TASKS`` to what this interface
promises.
"""

import importlib

from attention_limits.tasks.task import IGNORE, Batch, Task

__all__ = ["IGNORE", "TASKS", "Batch", "Task", "find", "make"]

_HOMES = {
    "token_back": "lookup.TokenBack",
    "most_recent": "lookup.MostRecent",
    "first_token": "lookup.FirstToken",
    "recall": "recall.Recall",
    "copy": "recall.Copy",
    "prefix_majority": "aggregate.PrefixMajority",
    "motif": "local.Motif",
    "rule_110": "local.Rule110",
    "parity": "states.Parity",
    "modular_counting": "states.ModularCounting",
    "permutations": "states.Permutations",
    "agreement": "agreement.Agreement",
    "irregular_events": "events.IrregularEvents",
}
TASKS = tuple(_HOMES)


def find(name: str) -> type[Task]:
    """The class of a task.

    Raises:
        ValueError: if there is no task of that name.
    """
    if name not in TASKS:
        raise ValueError(f"name must be one of {', '.join(TASKS)}, got {name!r}")
    module, class_name = _HOMES[name].split(".")
    return getattr(importlib.import_module(f"{__name__}.{module}"), class_name)


def make(name: str, **parameters: object) -> Task:
    """A task with these parameters, the others as its class has them.

    Raises:
        ValueError: if there is no task of that name, or a parameter has no sensible value.
        TypeError: if the task has no such parameter.
    """
    return find(name)(**parameters)
