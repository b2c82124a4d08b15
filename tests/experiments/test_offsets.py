"""Tokens at a fixed offset: beyond the reach of vectors, and for those who need longer to learn."""

import dataclasses

import pytest

from attention_limits import models
from attention_limits.experiments import length, offsets
from attention_limits.experiments.offsets import PRESETS, SETTINGS, Cell, Config
from attention_limits.runs import records

FAR, LONGER = SETTINGS["40 back"], SETTINGS["3 back, longer"]


@pytest.mark.parametrize("setting", SETTINGS.values(), ids=SETTINGS)
def test_the_token_is_within_every_text_and_every_model_takes_the_task(setting):
    task = setting.make()
    assert task.shortest <= setting.lengths[0]
    for architecture in setting.encodings.values():
        models.build(architecture, vocabulary=task.vocabulary, classes=task.classes)


def test_the_far_token_is_beyond_the_reach_of_all_layers_of_short_vectors():
    """Two hops would have found it.  The last vector is that of all tokens from there on."""
    shaw, longer = FAR.encodings["shaw"], FAR.encodings["shaw, reach 48"]
    assert (shaw.position_options["max_distance"] - 1) * shaw.layers < FAR.parameters["k"]
    assert longer.position_options["max_distance"] - 1 >= FAR.parameters["k"]


def test_longer_is_the_same_task_at_the_same_rate_for_longer():
    """Who is given another rate, or shorter sequences, is given another chance."""
    known = length.SETTINGS["token 3 back"]
    assert LONGER.make() == known.make()
    assert LONGER.lengths == length.TRAINED
    assert LONGER.steps > 5 * known.steps
    for row in records.load(length).records:
        if row["task"] == "token 3 back" and row["encoding"] in LONGER.encodings:
            assert LONGER.rates == (row["rate"],)


def test_a_cell_is_a_row_a_length_and_seed_and_the_same_each_time():
    config = PRESETS["smoke"]
    cell = Cell("3 back, longer", "alibi")
    rows = [offsets.run_cell(cell, config, None, lambda *_: None) for _ in range(2)]
    assert rows[0] == rows[1]
    assert {tuple(row) for row in rows[0]} == {offsets.COLUMNS}
    assert [(row["n"], row["seed"]) for row in rows[0]] == [(32, 0), (32, 1), (256, 0), (256, 1)]
    run = records.Run("offsets", dataclasses.asdict(config), {}, rows[0])
    found = offsets.accuracies(run, cell.setting, "alibi", 256)
    assert found == [row["accuracy"] for row in rows[0][2:]]


def test_an_unknown_setting_is_refused():
    with pytest.raises(ValueError, match="settings must be among 40 back"):
        Config(settings=("telepathy",))


def test_what_is_out_of_reach_was_not_learned_and_what_is_within_was():
    """Of short vectors, it says what they lack only if longer ones have it."""
    run = records.load(offsets)
    assert max(offsets.accuracies(run, "40 back", "shaw", 64)) < 0.5
    for other in ("rotary", "shaw, reach 48"):
        assert min(offsets.accuracies(run, "40 back", other, 64)) > 0.9


def test_patience_helped_slopes_and_not_those_without_positions():
    run = records.load(offsets)
    assert min(offsets.accuracies(run, "3 back, longer", "alibi", 32)) > 0.7
    assert max(offsets.accuracies(run, "3 back, longer", "none", 32)) < 0.5
