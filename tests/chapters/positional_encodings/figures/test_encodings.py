"""The figures of the chapter on positions: that they show what was computed, or recorded."""

import itertools
import math

import numpy as np
import pytest
import torch

from attention_limits.chapters.positional_encodings.evidence import encodings as positions
from attention_limits.chapters.positional_encodings.evidence import rotary as rotary_evidence
from attention_limits.chapters.positional_encodings.figures import encodings as figures
from attention_limits.chapters.positional_encodings.figures import rotary as rotary_figures
from attention_limits.experiments import commutant
from attention_limits.runs import records

PROVENANCE = {"date": "2000-01-01T00:00:00", "threads": 1, "device": "an abacus", "torch": "0"}


def lines(axes):
    """What is drawn as lines or dots, without what goes straight across."""
    drawn = [line.get_data() for line in axes.lines]
    return [(np.asarray(x), np.asarray(y)) for x, y in drawn if len(x) > 2]


# --- without positions --------------------------------------------------------------------------


def test_each_seed_of_each_depth_is_a_dot():
    """A dot is missing, or stands over another number of layers."""
    figure = figures.shuffled()
    columns = lines(figure.figure.axes[0])
    for depth, (x, y) in zip((1, 2, 3), columns, strict=True):
        assert (np.round(x) == depth).all()
        assert list(y) == positions.changes_of_the_last_output(depth)
    assert f"at {max(columns[0][1]):.0e} or less" in figure.alt


def test_a_change_of_nothing_is_drawn_at_the_floor(monkeypatch):
    """A zero on a logarithmic axis is not drawn at all, and a seed is gone."""
    monkeypatch.setattr(
        positions, "changes_of_the_last_output", lambda depth: [0.0 if depth == 1 else 0.5] * 10
    )
    [(_, y), *_] = lines(figures.shuffled().figure.axes[0])
    assert set(y) == {figures.FLOOR}


# --- between two sinusoids ----------------------------------------------------------------------


def made_run():
    """Every head of every task, seed and time has numbers of its own."""
    rows = [
        {
            "task": task,
            "seed": seed,
            "when": when,
            "head": head,
            "seen": 0.1 * number + 0.3 * late + 0.01 * head + 0.001 * seed,
            "share": 0.2 * number + 0.1 * late + 0.01 * head + 0.001 * seed,
        }
        for number, task in enumerate(commutant.SETTINGS)
        for late, when in enumerate(commutant.WHEN)
        for seed in (0, 1)
        for head in range(4)
    ]
    config = {"settings": list(commutant.SETTINGS), "seeds": [0, 1]}
    return records.Run("commutant", config, PROVENANCE, rows)


@pytest.mark.parametrize(("panel", "of"), [(0, "seen"), (1, "share")])
def test_heads_stand_over_their_task_before_and_after(panel, of):
    """Before and after have changed places, or a task has another's dots."""
    run = made_run()
    axes = rotary_figures.relative_share(run).figure.axes
    ticks = dict(zip(axes[1].get_xticks(), axes[1].get_xticklabels(), strict=True))
    columns = lines(axes[panel])
    assert len(columns) == 2 * len(commutant.SETTINGS)
    for x, y in columns:
        task = ticks[round(x.mean())].get_text()
        when = "before" if x.mean() < round(x.mean()) else "after"
        rows = [row for row in run.records if (row["task"], row["when"]) == (task, when)]
        assert list(y) == [row[of] for row in rows]
        assert len(y) == 8


def test_no_two_columns_overlap():
    for axes in rotary_figures.relative_share(made_run()).figure.axes:
        columns = sorted((x.min(), x.max()) for x, _ in lines(axes))
        assert all(a[1] < b[0] for a, b in itertools.pairwise(columns))


def test_words_on_heads_have_the_means_of_the_run():
    figure = rotary_figures.relative_share(made_run())
    assert "most recent, 0.02 before and 0.32 after" in figure.alt
    assert "first token, 0.42 before and 0.52 after" in figure.alt  # of the share
    assert "a dot for each of 4 heads and 2 seeds" in figure.caption
    assert "Recorded on 1 January 2000 on an abacus" in figure.caption


# --- rotations ----------------------------------------------------------------------------------


def test_wavelengths_grow_as_each_way_promises():
    """Curves under another's name: the first stays, the last grows by the whole factor."""
    figure = rotary_figures.stretched_wavelengths()
    by_place, by_base, by_parts = (y for _, y in lines(figure.figure.axes[0]))
    i = np.arange(64)
    np.testing.assert_allclose(by_place, 8)
    np.testing.assert_allclose(by_base, 8 ** (i / 63))
    turns = 4096 / (2 * np.pi * 10000 ** (i / 64))
    np.testing.assert_allclose(by_parts[turns > 32], 1)
    np.testing.assert_allclose(by_parts[turns < 1], 8)
    assert (np.diff(by_parts[(turns < 32) & (turns > 1)]) > 0).all()


def test_the_mark_is_the_first_wavelength_longer_than_the_context():
    """Off by one, it calls a wavelength seen that is not."""
    figure = rotary_figures.stretched_wavelengths()
    [mark] = {x[0] for x, _ in (line.get_data() for line in figure.figure.axes[0].lines[:1])}
    wavelengths = 2 * math.pi * 10000 ** (np.arange(64) / 64)
    assert wavelengths[mark - 1] <= 4096 < wavelengths[mark]
    assert f"that begins at number {mark}." in figure.alt
    assert "stays at 1 up to number 20 " in figure.alt
    turns = 4096 / wavelengths
    assert turns[20] > 32 > turns[21]


def test_errors_are_those_of_the_evidence():
    """Exact angles are drawn as the broken ones, or at other positions."""
    figure = rotary_figures.score_error()
    axes = figure.figure.axes[0]
    exact, coarse = lines(axes)
    for (x, y), turn in ((exact, rotary_figures.rotary.apply), (coarse, rotary_evidence.coarse)):
        assert list(x) == [64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384]
        errors = rotary_evidence.score_errors(turn, 1024)
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
        scores = rotary_figures.peaked_scores(40, distances, at=at)
        np.testing.assert_allclose(scores, cosines.mean(-1), atol=1e-9)


def test_peaks_are_marked_where_they_are():
    figure = rotary_figures.rotary_peak()
    axes = figure.figure.axes[0]
    dots = [line.get_xydata()[0] for line in axes.lines if len(line.get_xdata()) == 1]
    assert [x for x, _ in dots] == [0, 40]
    assert [y for _, y in dots] == pytest.approx([1, 1])
    assert [y.argmax() for _, y in lines(axes)] == [0, 40]
