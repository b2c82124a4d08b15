"""A token at a fixed offset, beyond the reach of vectors."""

import dataclasses

import pytest

from attention_limits import models
from attention_limits.experiments import offsets
from attention_limits.experiments.offsets import PRESETS, SETTINGS, Cell, Config
from attention_limits.runs import records

FAR = SETTINGS["40 back"]


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


def test_a_cell_is_a_row_a_length_and_seed_and_the_same_each_time():
    config = PRESETS["smoke"]
    cell = Cell("40 back", "rotary")
    rows = [offsets.run_cell(cell, config, None, lambda *_: None) for _ in range(2)]
    assert rows[0] == rows[1]
    assert {tuple(row) for row in rows[0]} == {offsets.COLUMNS}
    assert [(row["n"], row["seed"]) for row in rows[0]] == [(64, 0), (64, 1), (128, 0), (128, 1)]
    run = records.Run("offsets", dataclasses.asdict(config), {}, rows[0])
    found = offsets.accuracies(run, cell.setting, "rotary", 128)
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
