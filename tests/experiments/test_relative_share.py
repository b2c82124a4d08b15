"""What the commutant's share buys: measured beside the accuracy of the same model."""

import pytest

from attention_limits.experiments import relative_share
from attention_limits.experiments.relative_share import PRESETS, SPEEDS
from attention_limits.runs import records


def test_who_is_slower_gets_more_steps():
    rates, longer = zip(*SPEEDS.values(), strict=True)
    assert list(rates) == sorted(rates)
    assert list(longer) == sorted(longer, reverse=True)


@pytest.mark.slow
def test_a_row_has_the_share_of_its_own_model():
    config = PRESETS["smoke"]
    [cell] = relative_share.cells(config)
    rows = relative_share.run_cell(cell, config, None, lambda *_: None)
    assert {tuple(row) for row in rows} == {relative_share.COLUMNS}
    assert [(row["n"], row["seed"]) for row in rows] == [(32, 0), (32, 1), (64, 0), (64, 1)]
    assert rows[0]["share"] == rows[2]["share"] != rows[1]["share"]
    run = records.new(relative_share, config, rows, complete=True)
    assert relative_share.pairs(run, 64) == [(row["share"], row["accuracy"]) for row in rows[2:]]
    assert -1 <= relative_share.correlation(run, 64) <= 1
    assert len(relative_share.table(run).rows) == 1


def test_a_correlation_is_that_of_all_models_or_of_one_speed():
    """Two groups apart correlate, though nothing does within them."""
    rows = [
        {"speed": speed, "n": n, "share": share, "accuracy": accuracy if n == 64 else 0.5 - share}
        for n in (64, 128)
        for speed, share, accuracy in [
            ("slow", 0.0, 0.1),
            ("slow", 0.1, 0.0),
            ("fast", 0.9, 1.0),
            ("fast", 1.0, 0.9),
        ]
    ]
    run = records.Run("relative_share", {"speeds": ["slow", "fast"]}, {}, rows)
    assert relative_share.correlation(run, 64) > 0.9
    assert relative_share.correlation(run, 64, "slow") == pytest.approx(-1)
    assert relative_share.correlation(run, 128) == pytest.approx(-1)
    assert relative_share.pairs(run, 64, "fast") == [(0.9, 1.0), (1.0, 0.9)]
