"""Models without positions: how deep they are, how sequences begin, how training went."""

import pytest

from attention_limits.experiments import without_positions
from attention_limits.experiments.without_positions import EVERY, PRESETS, Cell
from attention_limits.runs import records


def test_every_depth_is_trained_with_a_first_token_and_without():
    found = list(without_positions.cells(PRESETS["full"]))
    assert Cell("token 3 back", "4 layers", "none + bos") in found
    assert len(found) == 2 * 2


@pytest.mark.slow
def test_a_cell_says_how_training_went_and_what_came_of_it():
    config = PRESETS["smoke"]
    [_, cell] = without_positions.cells(config)
    rows = without_positions.run_cell(cell, config, None, lambda *_: None)
    assert {tuple(row) for row in rows} == {without_positions.COLUMNS}
    assert {row["layers"] for row in rows} == {1}
    curve = [(r["step"], r["seed"]) for r in rows if r["asked"] == "in training"]
    assert curve == [(config.steps, 0), (config.steps, 1)]
    assert config.steps % EVERY  # the last step is noted, wherever it falls
    run = records.new(without_positions, config, rows, complete=True)
    assert len(without_positions.accuracies(run, "token 3 back", 1, "none + bos", 16)) == 2
    [shown] = without_positions.table(run).rows
    assert shown[:3] == ["token 3 back", "1", "none + bos"]
