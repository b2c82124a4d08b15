"""The figures of the page on rotary encodings: that they show what was computed, or recorded."""

import itertools

import numpy as np
import pytest
import torch
from helpers.panel_rows import marks_of

from attention_limits.chapters.positional_encodings.evidence import rotary as evidence
from attention_limits.chapters.positional_encodings.figures import rotary as figures
from attention_limits.experiments import commutant
from attention_limits.positions import rotary
from attention_limits.runs import records

PROVENANCE = {"date": "2000-01-01T00:00:00", "threads": 1, "device": "an abacus", "torch": "0"}


def lines(axes):
    """What is drawn as lines or dots, without what goes straight across."""
    drawn = [line.get_data() for line in axes.lines]
    return [(np.asarray(x), np.asarray(y)) for x, y in drawn if len(x) > 2]


# --- between two sinusoids ----------------------------------------------------------------------


def made_run():
    """Every head of every task, seed and time has numbers of its own."""
    rows = [
        {
            "task": task,
            "seed": seed,
            "when": when,
            "head": head,
            "seen": 0,
            "share": 0.2 * number + 0.1 * late + 0.01 * head + 0.001 * seed,
        }
        for number, task in enumerate(commutant.SETTINGS)
        for late, when in enumerate(commutant.WHEN)
        for seed in (0, 1)
        for head in range(4)
    ]
    config = {"settings": list(commutant.SETTINGS), "seeds": [0, 1]}
    return records.Run("commutant", config, PROVENANCE, rows)


def test_heads_stand_over_their_task_before_and_after():
    """Before and after have changed places, or a task has another's dots."""
    run = made_run()
    [axes] = figures.commutant_share(run).figure.axes
    ticks = dict(zip(axes.get_xticks(), axes.get_xticklabels(), strict=True))
    columns = lines(axes)
    assert len(columns) == 2 * len(commutant.SETTINGS)
    for x, y in columns:
        task = ticks[round(x.mean())].get_text()
        when = "before" if x.mean() < round(x.mean()) else "after"
        rows = [row for row in run.records if (row["task"], row["when"]) == (task, when)]
        assert list(y) == [row["share"] for row in rows]
        assert len(y) == 8


def test_no_two_columns_overlap():
    for axes in figures.commutant_share(made_run()).figure.axes:
        columns = sorted((x.min(), x.max()) for x, _ in lines(axes))
        assert all(a[1] < b[0] for a, b in itertools.pairwise(columns))


def test_words_on_heads_have_the_means_of_the_run():
    figure = figures.commutant_share(made_run())
    assert "first token, 0.42 before and 0.52 after" in figure.alt
    assert "a dot for each of 4 heads and 2 seeds" in figure.caption
    assert "Recorded on 1 January 2000 on an abacus" in figure.caption


def test_a_row_shows_what_a_part_of_the_scores_is_good_for():
    """Hollow and filled, a part or a length have changed places, or another layer is shown."""
    config = {"seeds": [0, 1], "lengths": [32, 64, 128]}
    parts = list(figures.LEFT)
    rows = [
        {"speed": speed, "layers": layers, "layer": layer, "part": part, "n": n, "seed": seed}
        | {"accuracy": at if layer == 1 else 0.99}
        for number, (speed, layers) in enumerate([("slow", 1), ("fast", 2), ("slow", 2)])
        for layer in range(1, layers + 1)
        for row, part in enumerate(parts)
        for column, n in enumerate(config["lengths"])
        for seed in (0, 1)
        for at in [0.1 * row + 0.05 * column + 0.02 * number + 0.01 * seed]
    ]
    run = records.Run("relative_share", config, PROVENANCE, rows)
    figure = figures.parts_of_scores(run)
    panels = figure.figure.axes
    assert [axes.get_title(loc="left") for axes in panels] == ["n = 32", "n = 64", "n = 128"]
    labels = [text.get_text() for text in panels[0].get_yticklabels()]
    assert labels == list(figures.LEFT.values())
    for column, (axes, n) in enumerate(zip(panels, config["lengths"], strict=True)):
        for row, part in enumerate(parts):
            means, crosses = marks_of(axes, row)
            middle = 0.1 * row + 0.05 * column + 0.005
            assert means == pytest.approx({True: middle, False: middle + 0.02})
            expected = figures.EXPECTED[n]
            assert crosses == ([expected[part]] if part in expected else [])
    assert "slow, 1 layer" in figure.alt


# --- rotations ----------------------------------------------------------------------------------


def test_errors_are_those_of_the_evidence():
    """Exact angles are drawn as the broken ones, or at other positions."""
    figure = figures.score_error()
    axes = figure.figure.axes[0]
    exact, coarse = lines(axes)
    for (x, y), turn in ((exact, rotary.apply), (coarse, evidence.coarse)):
        assert list(x) == [64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384]
        errors = evidence.score_errors(turn, 1024)
        assert y[4] == np.median(errors)
        bands = [band.get_paths()[0].vertices for band in axes.collections]
        drawn = {height for band in bands for place, height in band if place == 1024}
        assert {min(errors), max(errors)} <= drawn
    assert f"{coarse[1][-1]:.2g} at 16,384" in figure.alt
    assert "at about 0.002." in figure.alt


def test_a_key_is_found_where_it_was_turned_to():
    """The sign of the shift: the peak would lie ahead of the query."""
    distances = torch.arange(101)
    cosines = np.cos(10000.0 ** (-np.arange(32) / 32) * (distances.numpy()[:, None] - 40))
    for at in (100, 1000):
        scores = figures.peaked_scores(40, distances, at=at)
        np.testing.assert_allclose(scores, cosines.mean(-1), atol=1e-9)


def test_peaks_are_marked_where_they_are():
    figure = figures.rotary_peak()
    axes = figure.figure.axes[0]
    dots = [line.get_xydata()[0] for line in axes.lines if len(line.get_xdata()) == 1]
    assert [x for x, _ in dots] == [0, 40]
    assert [y for _, y in dots] == pytest.approx([1, 1])
    assert [y.argmax() for _, y in lines(axes)] == [0, 40]
