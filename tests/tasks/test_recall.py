"""Recall and copying: what the contract of all tasks cannot know."""

import numpy as np

from attention_limits.tasks import IGNORE, make


def test_keys_are_stored_once_and_asked_for_once():
    """A key that is stored twice has two answers; one asked for twice is easier the second time."""
    task = make("recall", pairs=6, keys=9, values=5, queries=4)
    inputs, targets, *_ = task.sample(0, 500, 40)
    keys = inputs[:, 0:12:2]
    assert all(len(set(row)) == 6 for row in keys)
    assert (keys >= task.values).all()
    assert (inputs[:, 1:12:2] < task.values).all()
    assert (targets[:, :12] == IGNORE).all()
    assert ((targets != IGNORE).sum(axis=1) == 4).all()
    queried = inputs[targets != IGNORE].reshape(500, 4)
    assert all(set(row) <= set(stored) for row, stored in zip(queried, keys, strict=True))
    assert all(len(set(row)) == 4 for row in queried)


def test_no_gap_holds_a_stored_key():
    """Something was asked of the model in silence: the key is there and the target says IGNORE."""
    inputs, targets, *_ = make("recall", keys=9, pairs=8).sample(0, 500, 64)
    for row, target in zip(inputs, targets, strict=True):
        silent = row[16:][target[16:] == IGNORE]
        assert not set(silent) & set(row[0:16:2])


def test_gaps_hold_keys_and_values_alike():
    """Whoever sees a key after the pairs knows that it is asked for."""
    task = make("recall")
    inputs, targets, *_ = task.sample(0, 500, 64)
    silent = inputs[:, 16:][targets[:, 16:] == IGNORE]
    share = (silent >= task.values).mean()
    assert abs(share - 24 / 40) < 0.02  # 24 keys that were not stored, 16 values


def test_order_of_the_pairs_and_place_of_the_queries_are_random():
    """Keys in ascending order, or queries in the order of the pairs, make recall a counter."""
    task = make("recall")
    inputs, targets, *_ = task.sample(0, 2000, 48)
    keys = inputs[:, 0:16:2]
    queried = inputs[targets != IGNORE].reshape(2000, 8)
    for row in (keys, queried):
        assert abs((np.diff(row) > 0).mean() - 0.5) < 0.03
    which = (queried[:, :1] == keys).argmax(axis=1)
    assert abs(np.bincount(which, minlength=8) / 2000 - 1 / 8).max() < 0.035
    place = (targets[:, 16:] != IGNORE).mean(axis=0)
    assert abs(place - 8 / 32).max() < 0.05


def test_copy_by_hand():
    task = make("copy", symbols=4)
    for n in (6, 7):
        inputs, targets, *_ = task.sample(0, 1, n)
        a, b, c = inputs[0, :3]
        assert inputs.tolist() == [[a, b, c, 4, a, b, c][:n]]
        assert targets.tolist() == [[IGNORE, IGNORE, IGNORE, a, b, c, IGNORE][:n]]
