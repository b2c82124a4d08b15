"""Runs of the experiments on three tasks, made by hand: what figures, evidence and the lab read."""

from dataclasses import asdict, replace

import numpy as np

from attention_limits.chapters.positional_encodings import recorded
from attention_limits.experiments import conditions, controls, extrapolation
from attention_limits.experiments.controls import AS_TRAINED, COPIED, PLAIN, overwritten_by
from attention_limits.runs import records
from attention_limits.runs.records import Run

PROVENANCE = {"date": "2000-01-01T00:00:00", "threads": 1, "device": "an abacus", "torch": "0"}


def drawn():
    """An accuracy like no other's for each row, learned where it was trained."""
    rng = np.random.default_rng(0)

    def accuracy(task, encoding, condition, question):
        learned = question.asked == "longer" and question.n == recorded.SHORT
        return float(rng.uniform(0.96, 1) if learned else rng.random())

    return accuracy


def made_run(task, config=None, accuracy=None, keep=lambda row: True):
    """A complete run of a task, of those rows that are kept.

    ``accuracy(task, encoding, condition, question)`` is asked for each seed, in turn.
    """
    experiment = recorded.EXPERIMENTS[task]
    config = config or experiment.PRESETS["full"]
    accuracy = accuracy or drawn()
    rows = []
    for cell in extrapolation.cells(config):
        asked = conditions.questions(cell.condition, cell.encoding, config.lengths, config.gaps)
        for question in asked:
            for seed in config.seeds:
                row = {
                    **dict.fromkeys(extrapolation.COLUMNS),
                    **asdict(cell),
                    **asdict(question),
                    "role": "test",
                    "seed": seed,
                    "rate": 3e-3,
                    "steps": 200,
                    "at_edge": False,
                    "accuracy": accuracy(task, cell.encoding, cell.condition, question),
                }
                rows.append(row)
    return Run(records.name_of(experiment), asdict(config), PROVENANCE, list(filter(keep, rows)))


def made_runs(accuracy=None, **changes):
    """One for each task; ``changes`` are fields of their configs."""
    return {
        task: made_run(task, replace(experiment.PRESETS["full"], **changes), accuracy)
        for task, experiment in recorded.EXPERIMENTS.items()
    }


def entries_of(cell):
    """What is asked of a cell's models: of plain ones, those that are overwritten as well."""
    copies = map(overwritten_by, COPIED) if cell.condition == PLAIN else ()
    return (AS_TRAINED, *copies)


def made_controls(accuracy=None):
    """A complete run of the controls; ``accuracy(cell, entries, marks, question)`` likewise."""
    config = controls.PRESETS["full"]
    if accuracy is None:
        rng = np.random.default_rng(1)

        def accuracy(*_):
            return float(rng.random())

    rows = []
    for cell in controls.cells(config):
        for entries in entries_of(cell):
            for marks, question in controls.questions(cell, config):
                for seed in config.seeds:
                    row = {
                        **dict.fromkeys(controls.COLUMNS),
                        **asdict(cell),
                        **asdict(question),
                        "entries": entries,
                        "marks": marks,
                        "seed": seed,
                        "accuracy": accuracy(cell, entries, marks, question),
                    }
                    rows.append(row)
    return Run(records.name_of(controls), asdict(config), PROVENANCE, rows)


def loads(runs, patient=None):
    """What stands in for ``records.load``: the runs, by the modules of their experiments."""
    found = {recorded.EXPERIMENTS[task]: run for task, run in runs.items()}
    return {**found, controls: patient}.__getitem__
