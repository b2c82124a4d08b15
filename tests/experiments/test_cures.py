"""Cures of rotary models: that pairs turn by what each says, and that theory has no free number."""

import math

import numpy as np
import pytest
import torch
from helpers.cure_runs import as_theory_says, made_run

from attention_limits import training
from attention_limits.experiments import cures
from attention_limits.experiments.cures import (
    CURED,
    CURES,
    FREQUENCIES,
    INTERPOLATED,
    LARGER,
    NOTHING,
    NTK,
    PRESETS,
    SHARPENED,
    SHORT,
    WIDTH,
    Cell,
    cured,
    expected,
)
from attention_limits.runs import records

THETA = np.array(FREQUENCIES[CURED])


def test_bases_are_those_of_their_names_and_what_is_partial_turns_in_part():
    pairs = np.arange(WIDTH // 2)
    np.testing.assert_allclose(FREQUENCIES["base 6"], 6.0 ** (-2 * pairs / WIDTH))
    np.testing.assert_allclose(FREQUENCIES["p-RoPE 0.25"], np.where(pairs < 2, THETA, 0))
    half = FREQUENCIES["partial 0.5"]
    assert half[4:] == (0,) * 4
    np.testing.assert_allclose(half[:4], THETA[::2])


@pytest.mark.parametrize("cure", CURES)
def test_at_the_trained_length_there_is_nothing_to_cure(cure):
    np.testing.assert_allclose(cured(cure, SHORT), THETA)


def test_each_cure_does_what_it_says():
    ratios = {cure: np.array(cured(cure, 256)) / THETA for cure in CURES}
    np.testing.assert_allclose(ratios[NOTHING], 1)
    np.testing.assert_allclose(ratios[INTERPOLATED], 1 / 8)
    assert ratios[NTK][[0, -1]] == pytest.approx([1, 1 / 8])
    assert (np.diff(ratios[NTK]) < 0).all()
    turns = THETA * SHORT / (2 * math.pi)
    assert ratios[LARGER][0] == 1
    assert ratios[LARGER][turns < 1] == pytest.approx(8.0 ** (-1 - np.arange(6) / 2))
    np.testing.assert_allclose(ratios["YaRN 0.75-1.5"], [1, 1, *[1 / 8] * 6])
    np.testing.assert_allclose(ratios[SHARPENED], ratios["YaRN 1-4"])


@pytest.mark.parametrize("n", [64, 128, 256])
def test_no_smaller_base_leaves_no_new_angle(n):
    """The base fitted the slowest pair, and those between went too far."""
    assert expected(THETA, cured(LARGER, n), n).strange == 0
    base = 0.99 * cures.base_without_new_angles(n / SHORT)
    assert expected(THETA, base ** (-np.arange(8) / 8), n).strange == 1


# --- theory -------------------------------------------------------------------------------------


def test_a_pair_is_seen_whole_from_a_turn_on():
    turn = 2 * math.pi / SHORT
    found = expected((1.001 * turn, 0.999 * turn, 0.0), (1.001 * turn, 0.999 * turn, 0.0), SHORT)
    assert (found.whole, found.slow, found.still, found.strange) == (1, 1, 1, 0)


def test_who_never_turned_so_far_is_strange_and_who_was_seen_whole_is_not():
    assert expected((1.0, 0.01), (1.0, 0.01), 64).strange == 1
    assert expected((1.0, 0.01), (1.0, 0.005), 64).strange == 0
    assert expected((1.0, 0.01), (1.0, 0.0051), 64).strange == 1


def test_interpolation_keeps_order_and_no_offset_and_ntk_the_other_way_round():
    """What is to be believed before there are data."""
    interpolated, ntk = (expected(THETA, cured(cure, 256), 256) for cure in (INTERPOLATED, NTK))
    assert (interpolated.strange, interpolated.peak) == (0, 24)
    assert interpolated.carried == {
        "most recent": True,
        "token 3 back": False,
        "first token": True,
    }
    assert ntk.peak == 3
    assert ntk.strange == 5
    assert not any(ntk.carried.values())


def test_a_ramp_between_those_seen_whole_and_the_others_carries_everything():
    assert all(expected(THETA, cured("YaRN 0.75-1.5", 256), 256).carried.values())


def test_if_all_are_seen_whole_an_offset_is_carried_and_no_order():
    base = FREQUENCIES["base 6"]
    assert expected(base, base, 256).carried == {
        "most recent": False,
        "token 3 back": True,
        "first token": False,
    }


# --- cells --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def smoke():
    config = PRESETS["smoke"]
    rows = [cures.run_cell(cell, config, None, lambda *_: None) for cell in cures.cells(config)]
    return config, rows


@pytest.mark.slow
def test_a_cell_has_a_row_for_each_cure_and_length(smoke):
    config, (cured_rows, others) = smoke
    asked = [(row["cure"], row["n"], row["seed"]) for row in cured_rows]
    assert asked == [
        (cure, n, seed)
        for cure, n in [(NOTHING, 32), (NOTHING, 64), (INTERPOLATED, 64)]
        for seed in config.seeds
    ]
    assert {row["cure"] for row in others} == {NOTHING}
    assert {tuple(row) for row in cured_rows + others} == {cures.COLUMNS}
    [first, *_] = cures.cells(config)
    assert first == Cell("first token", CURED)
    assert cures.run_cell(first, config, None, lambda *_: None) == cured_rows


@pytest.mark.slow
def test_a_table_has_theory_beside_the_data(smoke):
    config, rows = smoke
    shown = cures.table(records.new(cures, config, [*rows[0], *rows[1]], complete=True))
    assert shown.head[3:] == ["expected", "first token"]
    assert [row[0] for row in shown.rows] == [
        "base 10000, nothing",
        "base 10000, interpolated",
        "base 6, nothing",
    ]
    assert [row[3] for row in shown.rows] == ["no", "yes", "no"]


def test_a_cure_changes_angles_and_no_weights():
    """Queries and keys turned by θ', and whatever else there is stayed."""
    task = cures.SETTINGS["first token"].make()
    recipe = training.Recipe(steps=1, batch=2)
    before = training.train(cures.architecture(THETA), task, recipe, seeds=(0, 1))
    slow = cures.turned_by(before, cures.architecture(THETA / 8), "first token")
    tokens = torch.from_numpy(task.sample(0, 4, 16).inputs).expand(2, -1, -1)
    apart = torch.arange(0, 128, 8).expand(2, 4, -1)
    expected_logits = before.model(tokens)
    torch.testing.assert_close(
        slow.model(tokens, positions=apart), expected_logits, atol=1e-4, rtol=1e-4
    )
    sharper = cures.turned_by(before, cures.architecture(THETA, sharper=2.0), "first token")
    with torch.no_grad():
        for layer in before.model.layers:
            layer.attention.project.weight[:, : cures.Architecture().d_model] *= 2
    torch.testing.assert_close(before.model(tokens), sharper.model(tokens), atol=1e-4, rtol=1e-4)


# --- what was found -----------------------------------------------------------------------------


def test_what_is_carried_is_more_than_half_of_what_was_above_a_guess():
    """Half of the accuracy itself, or of the best model, or of the cured one at 32 tokens."""
    half = (0.9 + 1 / 16) / 2
    for above in (0.001, -0.001):
        run = made_run(lambda *case, above=above: 0.9 if case[-1] == 32 else half + above)
        left = cures.left(run, "most recent", CURED, INTERPOLATED, 256)
        np.testing.assert_allclose(left, [above, above + 0.005])
        lower = made_run(
            lambda *case, above=above: 0.9 if case[-1] == 32 else half + above - 0.0025
        )
        assert cures.carried(lower, "most recent", CURED, INTERPOLATED, 256) == (above > 0)


def test_only_one_base_is_cured_and_the_others_are_asked_as_they_are():
    config = made_run(as_theory_says).config
    kinds = list(cures.pairs(config))
    assert [cure for trained, cure in kinds if trained == CURED] == list(CURES)
    others = [kind for kind in kinds if kind[0] != CURED]
    assert others == [(name, NOTHING) for name in FREQUENCIES if name != CURED]
    before, after = cures.turned("base 6", NOTHING, 256)
    assert before == after == FREQUENCIES["base 6"]
    np.testing.assert_allclose(cures.turned(CURED, INTERPOLATED, 256)[1], THETA / 8)
