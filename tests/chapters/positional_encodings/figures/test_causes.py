"""The figure of causes: that each mark is where, and what, was measured."""

import numpy as np
import pytest
from helpers.panel_rows import marks_of
from helpers.task_runs import loads, made_controls, made_runs

from attention_limits.chapters.positional_encodings.figures import causes as figures
from attention_limits.chapters.positional_encodings.recorded import (
    NAMES,
    PATIENT,
    RECENCY,
    evenly,
    longer,
)
from attention_limits.experiments import controls, extrapolation
from attention_limits.experiments.controls import MARKS, RANDOM, RATES
from attention_limits.runs import records

ROWS = [name for name in NAMES if name in RATES[RECENCY, RANDOM]]
ASKED = [
    (longer(256, RANDOM), None),
    (evenly(1), None),
    (longer(256, RANDOM), 8),
    (longer(32, RANDOM), 31),
]


@pytest.fixture(scope="module")
def runs():
    return made_runs()


@pytest.fixture(scope="module")
def patient():
    return made_controls()


@pytest.fixture
def figure(runs, patient, monkeypatch):
    monkeypatch.setattr(records, "load", loads(runs, patient))
    return figures.controlled()


def test_the_questions_are_those_that_were_asked():
    assert [(question.n, marks) for question, marks in ASKED[2:]] == list(MARKS)
    assert set(PATIENT) == set(ASKED)


def test_hollow_is_the_search_and_filled_has_patience(runs, patient, figure):
    """They had changed places, or a panel asked something else, or a row was another encoding's."""
    for axes, (question, marks) in zip(figure.figure.axes, ASKED, strict=True):
        for row, name in enumerate(ROWS):
            found, crosses = marks_of(axes, row)
            long = controls.accuracies(patient, RECENCY, name, question, marks=marks)
            means = {False: np.mean(long)}
            if marks is None:
                usual = extrapolation.accuracies(runs[RECENCY], name, RANDOM, question)
                means[True] = np.mean(usual)
            assert found == pytest.approx(means)
            expected = PATIENT[question, marks].get(name)
            assert crosses == ([] if expected is None else [expected])


def test_ranges_are_of_patience(patient, figure):
    for axes, (question, marks) in zip(figure.figure.axes, ASKED, strict=True):
        for name, bar in zip(ROWS, axes.collections, strict=True):
            values = controls.accuracies(patient, RECENCY, name, question, marks=marks)
            [[low, high]] = bar.get_segments()
            assert (low[0], high[0]) == pytest.approx((min(values), max(values)))


def test_its_words_give_every_mean_and_where_it_was_recorded(patient, figure):
    long = np.mean(controls.accuracies(patient, RECENCY, "rotary", ASKED[0][0]))
    assert f" to {long:.2f}" in figure.alt
    assert patient.stamp[1:] in figure.caption
    titles = [axes.get_title(loc="left") for axes in figure.figure.axes]
    assert titles == [
        "n = 256, 1 apart",
        "n = 32, 1 apart",
        "n = 256, 8 marks",
        "n = 32, 31 marks",
    ]
