"""Runs of the experiment on length, made by hand: what figures and the lab are given."""

import numpy as np

from attention_limits.experiments import length
from attention_limits.experiments.length import COLUMNS, LONGEST, PRESETS, TAKE_POSITIONS, TRAINED
from attention_limits.runs import records


def made_rows(config):
    """A row for all that is asked, each with an accuracy like no other's, learned where trained."""
    rng = np.random.default_rng(0)
    for cell in length.cells(config):
        for condition in length.conditions(cell):
            drawn = LONGEST if "random" in condition else None
            asked = [("longer", n, drawn or n) for n in config.lengths]
            if condition == "plain" and cell.encoding in TAKE_POSITIONS:
                asked += [("stretched", TRAINED[1], n) for n in config.lengths if n > TRAINED[1]]
            for how, n, reach in asked:
                learned = how == "longer" and n == TRAINED[1]
                for seed in config.seeds:
                    accuracy = float(rng.uniform(0.96, 1) if learned else rng.random())
                    where = (cell.setting, cell.encoding, condition, seed, 3e-3, "trained")
                    yield dict(zip(COLUMNS, (*where, how, n, reach, accuracy), strict=True))


def made_run(config=PRESETS["full"], keep=lambda row: True):
    """A complete run, of those rows that are kept."""
    return records.new(length, config, list(filter(keep, made_rows(config))), complete=True)
