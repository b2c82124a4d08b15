"""What the commutant's share buys: parts of a layer's scores are taken away, beside the share."""

import copy
from dataclasses import asdict

import numpy as np
import pytest
import torch

from attention_limits import models
from attention_limits.experiments import relative_share
from attention_limits.experiments.commutant import between_positions, projection, share
from attention_limits.experiments.conditions import ENCODINGS
from attention_limits.experiments.relative_share import (
    AS_LARGE,
    AS_TRAINED,
    FEW,
    FLAT,
    PARTS,
    PRESETS,
    RELATIVE,
    REST,
    SPEEDS,
    Ablated,
    ablated,
)
from attention_limits.runs import records

TOKENS = torch.randint(16, (2, 3, 20), generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def model():
    """Whose norms are not as they began, and whose tokens say something."""
    built = models.build(ENCODINGS["sinusoidal"], vocabulary=16, classes=16, seeds=(0, 1))
    rng = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for layer in built.layers:
            gain = layer.norms[0].gain
            gain.copy_(1 + 0.3 * torch.randn(gain.shape, generator=rng))
    return built


def test_who_is_slower_gets_more_steps():
    rates, longer = zip(*SPEEDS.values(), strict=True)
    assert list(rates) == sorted(rates)
    assert list(longer) == sorted(longer, reverse=True)


# --- parts --------------------------------------------------------------------------------------


def test_parts_are_of_the_size_that_they_say():
    M = np.random.default_rng(0).standard_normal((3, 64, 64))
    M += 0.5 * np.eye(64)
    size = np.square(M).sum((-1, -2))
    own = {part: PARTS[part](M) for part in PARTS}
    np.testing.assert_allclose(own[RELATIVE] + own[REST], M)
    np.testing.assert_allclose(share(own[RELATIVE]), 1)
    np.testing.assert_allclose(projection(own[REST]), 0, atol=1e-12)
    np.testing.assert_allclose(np.square(own[AS_LARGE]).sum((-1, -2)), size)
    np.testing.assert_allclose(share(own[AS_LARGE]), 1)
    kept = np.square(own[FEW]).sum((-1, -2)) / size
    assert ((kept >= share(M)) & (kept < share(M) + 0.1)).all()
    assert (np.linalg.matrix_rank(own[FEW]) < 10).all()


@pytest.mark.parametrize("number", [0, 1])
def test_without_all_that_positions_say_scores_are_those_of_tokens(model, number):
    """The norm's size was left out, heads were mixed up, or the scale was another.

    Tokens that are all alike and say nothing leave what positions say: without it, a query weighs
    its keys alike.
    """
    silent = copy.deepcopy(model)
    with torch.no_grad():
        silent.embedding.table.zero_()
        if number:  # nothing comes between the inputs and the second layer
            silent.layers[0].attention.merge.weight.zero_()
            silent.layers[0].mlp[-1].weight.zero_()
        flat = ablated(silent, number, FLAT)
        silent.layers[number] = Ablated(
            silent.layers[number], -torch.from_numpy(between_positions(silent, number))
        )
        torch.testing.assert_close(silent(TOKENS), flat(TOKENS), atol=1e-5, rtol=0)


@pytest.mark.parametrize("part", [FLAT, *PARTS])
def test_a_part_changes_a_copy_of_one_layer(model, part):
    """The models themselves were changed, or both layers."""
    with torch.no_grad():
        before = model(TOKENS)
        first, second = (ablated(model, number, part)(TOKENS) for number in (0, 1))
        torch.testing.assert_close(model(TOKENS), before, atol=0, rtol=0)
    assert not torch.allclose(first, before, atol=1e-4)
    assert not torch.allclose(second, before, atol=1e-4)
    assert not torch.allclose(first, second, atol=1e-4)


def test_as_trained_nothing_is_taken_away(model):
    with torch.no_grad():
        torch.testing.assert_close(ablated(model, 0, AS_TRAINED)(TOKENS), model(TOKENS))


# --- cells, and what was found ------------------------------------------------------------------


def test_a_share_without_need_is_that_of_a_model_that_loses_nothing():
    """The largest of all was named, or that of a model which needs the layer a little."""
    rows = [
        {"speed": "fast", "layers": 2, "layer": 1, "part": part, "n": 32, "share": share}
        | {"accuracy": 1.0 if part == AS_TRAINED else left}
        for part in (AS_TRAINED, FLAT)
        for share, left in ((0.9, 0.1), (0.5, 0.99), (0.3, 1.0), (0.2, 1.0))
    ]
    run = records.Run("relative_share", {"lengths": [32]}, {}, rows)
    assert relative_share.most_without_need(run, "fast") == 0.3


@pytest.mark.slow
def test_a_row_has_the_share_of_its_own_model_and_layer(monkeypatch):
    config, taken = PRESETS["smoke"], []

    def watched(model, number, part):
        taken.append((len(model.layers), number, part))
        return ablated(model, number, part)

    monkeypatch.setattr(relative_share, "ablated", watched)
    two, one = relative_share.cells(config)
    assert (asdict(two), asdict(one)) == (
        {"speed": "fast", "layers": "2"},
        {"speed": "fast", "layers": "1"},
    )
    rows = relative_share.run_cell(two, config, None, lambda *_: None)
    assert {tuple(row) for row in rows} == {relative_share.COLUMNS}
    assert [(row["layer"], row["part"], row["n"], row["seed"]) for row in rows] == [
        (layer, part, n, seed)
        for layer in (1, 2)
        for part in (AS_TRAINED, FLAT, *PARTS)
        for n in (32, 64)
        for seed in (0, 1)
    ]
    parts = (AS_TRAINED, FLAT, *PARTS)
    assert taken == [(2, number, part) for number in (0, 1) for part in parts]
    assert rows[0]["share"] == rows[2]["share"] != rows[1]["share"]
    assert rows[0]["share"] != rows[-2]["share"]  # of the same seed, in the other layer
    run = records.new(relative_share, config, rows, complete=True)
    assert relative_share.shares(run, "fast") == [row["share"] for row in rows[:2]]
    assert relative_share.shares(run, "fast", layer=2) == [row["share"] for row in rows[-2:]]
    asked = dict(part=REST, layer=2)
    assert relative_share.accuracies(run, "fast", 64, **asked) == [
        row["accuracy"] for row in rows if (row["part"], row["layer"], row["n"]) == (REST, 2, 64)
    ]
    assert len(relative_share.table(run).rows) == 2 * (2 + len(PARTS))
    taken.clear()
    relative_share.run_cell(one, config, None, lambda *_: None)
    assert taken == [(1, 0, part) for part in parts]
