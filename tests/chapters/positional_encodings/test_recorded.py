"""What a page reads of three records: the right record, the right question."""

import numpy as np
import pytest
from helpers.task_runs import loads, made_runs

from attention_limits.chapters.positional_encodings import recorded
from attention_limits.chapters.positional_encodings.recorded import (
    EXPECTED,
    FIRST,
    RECENCY,
    SHIFTED,
    longer,
)
from attention_limits.experiments import conditions, extrapolation
from attention_limits.experiments.conditions import LONGEST
from attention_limits.runs import records


@pytest.fixture
def runs(monkeypatch):
    found = made_runs()
    monkeypatch.setattr(records, "load", loads(found))
    return found


@pytest.mark.parametrize("condition", ["plain", "random positions"])
def test_questions_are_those_that_are_asked(condition):
    """A question that nobody asked has no rows, and a mean of nothing."""
    asked = list(conditions.questions(condition, "rotary", (32, 64, 128, 256), (8, 4, 2, 1)))
    assert {longer(n, condition) for n in (32, 64, 128, 256)} <= set(asked)
    assert (SHIFTED in asked) == (condition == "plain")


def test_a_mean_is_of_the_record_of_its_task(runs):
    for task in (RECENCY, FIRST):
        values = extrapolation.accuracies(runs[task], "alibi", "plain", longer(64))
        assert len(values) == 5
        assert recorded.accuracies(task, "alibi", longer(64)) == values
        assert recorded.mean(task, "alibi", longer(64)) == pytest.approx(np.mean(values))


def test_misses_are_what_was_found_less_what_was_expected(runs):
    misses = iter(recorded.misses())
    for task, each in EXPECTED.items():
        for encoding, expected in each.items():
            found = extrapolation.accuracies(runs[task], encoding, "plain", longer(LONGEST))
            assert next(misses) == pytest.approx(np.mean(found) - expected)
    assert next(misses, None) is None


def test_half_an_interval_is_that_of_the_mean():
    assert recorded.half([0.5, 0.5, 0.5]) == 0
    # Student's t of two seeds, and the standard error of their mean
    assert recorded.half([0.0, 0.2]) == pytest.approx(12.706 * 0.1, rel=1e-3)
    assert recorded.said([0.0, 0.2]) == "0.10 (0.00 to 0.20)"
