"""Aggregates: what the contract of all tasks cannot know."""

import numpy as np

from attention_limits.tasks import IGNORE, make


def test_prefix_majority_by_hand():
    """At a tie nothing is asked: "no" there would make zeros the better guess."""
    task = make("prefix_majority")
    batch = task.sample(0, 500, 5)
    row = np.flatnonzero((batch.inputs == [1, 0, 0, 1, 1]).all(axis=1))[0]
    assert batch.targets[row].tolist() == [1, IGNORE, 0, IGNORE, 1]


def test_ties_are_as_rare_as_chance_has_them():
    """At token 2k one of C(2k, k) / 4^k sequences is undecided, at odd tokens none."""
    silent = (make("prefix_majority").sample(0, 20000, 8).targets == IGNORE).mean(axis=0)
    assert (silent[0::2] == 0).all()
    assert abs(silent[1::2] - [1 / 2, 3 / 8, 5 / 16, 35 / 128]).max() < 0.02
