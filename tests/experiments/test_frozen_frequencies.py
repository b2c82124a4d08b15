"""Models without a band of frequencies: which these are, and when they are taken away."""

import math

import pytest
import torch

from attention_limits import models
from attention_limits.experiments import cures, frozen_frequencies, search
from attention_limits.experiments.conditions import ENCODINGS
from attention_limits.experiments.frozen_frequencies import (
    ASKED,
    NOTHING,
    PRESETS,
    THROUGHOUT,
    WITHOUT,
    architecture,
)
from attention_limits.runs import records

TOKENS = torch.arange(20).remainder(16).expand(1, 1, -1)


def frequencies(encoding, without):
    return architecture(encoding, without).position_options["frequencies"]


@pytest.mark.parametrize(("encoding", "counts"), [("sinusoidal", 32), ("rotary", 8)])
def test_each_frequency_is_in_one_band(encoding, counts):
    usual = frequencies(encoding, NOTHING)
    assert len(usual) == counts
    assert 0 not in usual
    frozen = [
        [i for i, omega in enumerate(frequencies(encoding, name)) if omega == 0]
        for name in WITHOUT
        if name != NOTHING
    ]
    assert sorted(i for own in frozen for i in own) == list(range(counts))
    for (name, (low, high)), own in zip([*WITHOUT.items()][1:], frozen, strict=True):
        assert all(low <= 2 * math.pi / usual[i] < high for i in own), name


@pytest.mark.parametrize("encoding", ["sinusoidal", "rotary"])
def test_with_all_frequencies_it_is_the_usual_model(encoding):
    ours, usual = (
        models.build(made, vocabulary=16, classes=16, seeds=(0,))
        for made in (architecture(encoding, NOTHING), ENCODINGS[encoding])
    )
    with torch.no_grad():
        torch.testing.assert_close(ours(TOKENS), usual(TOKENS), atol=0, rtol=0)


@pytest.mark.slow
def test_a_row_says_what_was_frozen_and_when(monkeypatch):
    """Models trained with what they should do without, or were asked with it."""
    config, trained, turned = PRESETS["smoke"], [], []
    train, turned_by = search.train, cures.turned_by

    def watched(own, *given):
        trained.append(own)
        return train(own, *given)

    def watched_later(models, changed, setting):
        turned.append(changed)
        return turned_by(models, changed, setting)

    monkeypatch.setattr(search, "train", watched)
    monkeypatch.setattr(cures, "turned_by", watched_later)
    rows = []
    for cell in frozen_frequencies.cells(config):
        if cell.encoding == "rotary":
            rows += frozen_frequencies.run_cell(cell, config, None, lambda *_: None)
    assert {tuple(row) for row in rows} == {frozen_frequencies.COLUMNS}
    named = [(row["when"], row["without"], row["seed"]) for row in rows]
    assert named == [
        *((THROUGHOUT, NOTHING, seed) for seed in (0, 1)),
        *((ASKED, without, seed) for without in WITHOUT for seed in (0, 1)),
        *((THROUGHOUT, "32 to 96", seed) for seed in (0, 1)),
    ]
    assert trained == [architecture("rotary", without) for without in (NOTHING, "32 to 96")]
    asked = [without for _, without, seed in named if seed == 0]
    assert turned == [architecture("rotary", without) for without in asked]
    run = records.new(frozen_frequencies, config, rows, complete=True)
    task = "most recent"
    whole, frozen = (
        frozen_frequencies.accuracies(run, task, "rotary", NOTHING, when)
        for when in (THROUGHOUT, ASKED)
    )
    assert whole == frozen
    shown = frozen_frequencies.table(run).rows
    assert [row[2] for row in shown] == [ASKED, THROUGHOUT]
    assert shown[1][4] == "–"  # nobody trained without it here
