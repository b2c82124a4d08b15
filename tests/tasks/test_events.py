"""Events in real time: what the contract of all tasks cannot know."""

import numpy as np
import pytest

from attention_limits.tasks import Batch, make


def test_an_example_by_hand():
    """Of the events 1.5, 1.25 and 0.5 time units ago, the second is the latest that is old."""
    task = make("irregular_events", values=9)
    inputs, nothing = np.array([[4, 7, 2, 10]]), np.zeros((1, 4), dtype=int)
    batch = Batch(inputs, nothing, nothing, np.array([[0.0, 0.25, 1.0, 1.5]]))
    assert task.oracle(batch)[0, -1] == 7
    # An age of exactly one unit is enough.
    assert task.oracle(batch._replace(times=np.array([[0.0, 0.25, 0.5, 1.5]])))[0, -1] == 2


@pytest.mark.parametrize("rate", [0.5, 3.0])
def test_gaps_are_exponential_with_the_rate(rate):
    """Mean and deviation 1 / rate; the first gap is one time unit longer."""
    times = make("irregular_events", rate=rate).sample(0, 4000, 12).times
    assert (times[:, 0] == 0).all()
    gaps = np.diff(times, axis=1) * rate
    gaps[:, 0] -= rate
    assert gaps.min() > 0
    assert abs(gaps.mean(axis=0) - 1).max() < 0.08
    assert abs(gaps.std(axis=0) - 1).max() < 0.12
    assert abs((gaps > 1).mean() - np.exp(-1)) < 0.01


def test_how_many_events_back_the_answer_stands_is_poisson():
    """A fixed offset solved the task without looking at the clock."""
    rate = 2.0
    batch = make("irregular_events", rate=rate).sample(0, 8000, 64)
    younger = (batch.times[:, -1:] - batch.times[:, :-1] < 1).sum(axis=1)
    share = np.bincount(younger, minlength=9)[:9] / 8000
    poisson = np.exp(-rate) * rate ** np.arange(9) / np.cumprod([1, *range(1, 9)])
    assert abs(share - poisson).max() < 0.02
    assert share.max() < 0.3


def test_there_is_an_answer_even_if_only_one_event_came():
    batch = make("irregular_events", rate=50.0).sample(0, 500, 2)
    assert (batch.targets[:, -1] == batch.inputs[:, 0]).all()
    assert (batch.times[:, -1] >= 1).all()


def test_blanks_take_no_time():
    """Room for more tokens would have thinned the events out: length and rate in one."""
    task = make("irregular_events", distractors=6, rate=2.0)
    for n in (8, 40):
        batch = task.sample(0, 4000, n)
        happened = batch.inputs != task.values
        gaps = np.diff(batch.times, axis=1)
        assert (gaps[~happened[:, 1:]] == 0).all()
        assert abs(batch.times[:, -1].mean() - (7 / 2 + 1)) < 0.1
