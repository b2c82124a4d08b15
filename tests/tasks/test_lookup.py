"""Look-up: what the contract of all tasks cannot know."""

import numpy as np
import pytest

from attention_limits.tasks import IGNORE, make


def test_token_back_by_hand():
    inputs, targets, *_ = make("token_back", k=2).sample(0, 1, 5)
    a, b, c, *_ = inputs[0]
    assert targets.tolist() == [[IGNORE, IGNORE, a, b, c]]


def test_a_query_at_the_end_asks_once_and_is_no_symbol():
    task = make("token_back", k=2, dense=False)
    inputs, targets, *_ = task.sample(0, 50, 6)
    assert (targets[:, :-1] == IGNORE).all()
    assert (targets[:, -1] == inputs[:, 3]).all()
    assert (inputs[:, -1] == task.symbols).all()
    assert (inputs[:, :-1] < task.symbols).all()


@pytest.mark.parametrize("distractors", [None, 7])
def test_marks_are_as_many_as_asked_and_stand_anywhere(distractors):
    """The latest mark always stood near the end, where a window finds it."""
    task = make("most_recent", marks=3, distractors=distractors)
    inputs, targets, *_ = task.sample(0, 4000, 31)
    marked = (inputs >= task.symbols) & (inputs < 2 * task.symbols)
    assert (marked.sum(axis=1) == 3).all()
    assert abs(marked[:, :-1].mean(axis=0) - 3 / 30).max() < 5 * np.sqrt(0.09 / 4000)
    # The largest of 3 places of 30 has the mean 3 · 31 / 4 − 1.
    latest = np.where(marked, np.arange(31), 0).max(axis=1)
    assert abs(latest.mean() - 22.25) < 0.5
    assert (targets[:, -1] == inputs[np.arange(4000), latest] - task.symbols).all()


def latest_mark(task, n):
    """How far before the query the last mark stands, on average."""
    inputs = task.sample(0, 2000, n).inputs
    marked = (inputs >= task.symbols) & (inputs < 2 * task.symbols)
    return (n - 1 - np.where(marked, np.arange(n), 0).max(axis=1)).mean()


def test_a_share_of_marks_keeps_the_last_one_near_and_a_number_does_not():
    """Length and distance are two difficulties, and a longer sequence grew both."""
    share, number = make("most_recent", marks=0.25), make("most_recent", marks=8)
    assert abs(latest_mark(share, 256) - latest_mark(share, 33)) < 0.5
    assert latest_mark(number, 256) > 6 * latest_mark(number, 33)


def test_other_marks_and_symbols_say_nothing():
    """The last token, or the first mark, was right more often than chance."""
    task = make("most_recent", symbols=4)
    inputs, targets, *_ = task.sample(0, 4000, 24)
    marked = (inputs >= 4) & (inputs < 8)
    first = inputs[np.arange(4000), marked.argmax(axis=1)] - 4
    unmarked = ~marked[:, -2]
    assert abs((first == targets[:, -1]).mean() - 0.25) < 0.03
    assert abs((inputs[unmarked, -2] == targets[unmarked, -1]).mean() - 0.25) < 0.03


def test_a_distractor_never_hides_the_first_token():
    task = make("first_token", distractors=1)
    inputs, targets, *_ = task.sample(0, 200, 12)
    assert (targets[:, -1] == inputs[:, 0]).all()
    assert (inputs[:, 0] < task.symbols).all()
