"""The figure of causes: that each mark is where, and what, was measured."""

import numpy as np
import pytest
from helpers.task_runs import loads, made_runs
from matplotlib.colors import to_hex

from attention_limits import style
from attention_limits.chapters.positional_encodings.figures import causes as figures
from attention_limits.chapters.positional_encodings.figures.length import kind
from attention_limits.chapters.positional_encodings.recorded import NAMES, RECENCY, evenly, longer
from attention_limits.experiments import extrapolation
from attention_limits.experiments.conditions import LONGEST
from attention_limits.runs import records

CONDITION = "random positions"


@pytest.fixture(scope="module")
def run():
    return made_runs()[RECENCY]


@pytest.fixture
def figure(run, monkeypatch):
    monkeypatch.setattr(records, "load", loads({RECENCY: run}))
    return figures.gaps()


def found(run, name):
    """What was asked: ever smaller gaps, and then more tokens."""
    asked = [*map(evenly, (8, 4, 2, 1)), longer(LONGEST, CONDITION)]
    return [extrapolation.accuracies(run, name, CONDITION, question) for question in asked]


def test_a_line_is_of_gaps_and_a_dotted_one_leads_to_more_tokens(run, figure):
    """Of another condition, another task, or with the gaps the other way round."""
    [axes] = figure.figure.axes
    drawn = [line for line in axes.lines if len(line.get_xdata()) == 4]
    dotted = [
        line
        for line in axes.lines
        if len(line.get_xdata()) == 2 and line.get_marker() in style.MARKERS
    ]
    for name, line, on in zip(figures.SHOWN, drawn, dotted, strict=True):
        means = [np.mean(values) for values in found(run, name)]
        assert line.get_ydata() == pytest.approx(means[:4])
        assert on.get_ydata() == pytest.approx(means[3:])
        assert (line.get_linestyle(), on.get_linestyle()) == ("-", ":")
        assert line.get_xdata() == pytest.approx(range(4), abs=0.2)
    labels = [label.get_text() for label in axes.get_xticklabels()]
    assert labels == ["8", "4", "2", "1", "1\nn = 256"]


def test_bars_go_from_the_least_to_the_most(run, figure):
    [axes] = figure.figure.axes
    for name, bars in zip(figures.SHOWN, axes.collections, strict=True):
        ends = [(low[1], high[1]) for low, high in bars.get_segments()]
        np.testing.assert_allclose(ends, [(min(v), max(v)) for v in found(run, name)])


def test_an_encoding_has_its_colour_and_its_last_mean_beside_it(run, figure):
    [axes] = figure.figure.axes
    drawn = [line for line in axes.lines if len(line.get_xdata()) == 4]
    texts = [text.get_text() for text in axes.texts]
    for name, line in zip(figures.SHOWN, drawn, strict=True):
        own = style.ENCODINGS.get(kind(name))
        assert own is None or to_hex(line.get_color()) == own
        assert f"{NAMES[name]} {np.mean(found(run, name)[-1]):.2f}" in texts
    assert len({line.get_color() for line in drawn}) == len(figures.SHOWN)


def test_its_words_say_every_mean(run, figure):
    for name in figures.SHOWN:
        means = ", ".join(f"{np.mean(values):.2f}" for values in found(run, name))
        assert f"{NAMES[name]} {means}" in figure.alt
    assert run.stamp in figure.caption
