"""Layers that differ in their priors alone, and how many examples each needs."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn.functional import conv1d, pad, softplus

from attention_limits.experiments import separation
from attention_limits.experiments.priors import CHANNELS, TAPS, Look, OnPatches, Prior, loss, right
from attention_limits.experiments.separation import (
    ABSOLUTE,
    ALIGNED,
    CONVOLUTION,
    FULL,
    LEARNED,
    PATCHES,
    PLAIN,
    PRESETS,
    PRIORS,
    RELATIVE,
    SHIFTED,
    SHUFFLED,
    STRIDES,
    UNSHARED,
    WIDE,
    WINDOW,
    Cell,
)
from attention_limits.experiments.signals import Signals
from attention_limits.models.layers import Initializer
from attention_limits.runs.records import Run

N = 24


def made(name, n=N, seeds=(0, 1)):
    return separation.build(name, n, seeds)


def x_of(seeds=2, batch=5, n=N):
    return torch.randn(seeds, batch, n, generator=torch.Generator().manual_seed(0))


# --- layers -------------------------------------------------------------------------------------


def test_a_convolution_is_that_of_others():
    """Taps that went the other way around the ring, or channels that were mixed up."""
    model, x = made(CONVOLUTION), x_of()
    with torch.no_grad():
        model.threshold.fill_(0.3)
    for seed in range(2):
        ring = pad(x[seed].unsqueeze(1), (0, TAPS - 1), mode="circular")
        z = conv1d(ring, model.weight[seed])  # (batch, channels, n)
        passed = softplus(z - 0.3) - softplus(-z - 0.3)
        expected = (passed.sum(-1) @ model.readout[seed]).squeeze(-1)
        torch.testing.assert_close(model(x)[seed], expected)


@pytest.mark.parametrize("name", separation.CORE)
def test_places_see_what_they_may(name):
    """A local layer that saw all, or a place that looked elsewhere."""
    seen = made(name).weights().detach().abs().sum((0, -1)) > 0  # of input j and place i
    j, i = np.ogrid[:N, :N]
    near = torch.from_numpy((j - i) % N < TAPS)
    assert torch.equal(seen, near if PRIORS[name].local else torch.ones_like(near))


@pytest.mark.parametrize("name", PRIORS)
def test_only_what_is_shared_answers_alike_if_all_is_shifted(name):
    """A layer that was called shared had places of its own; or one that was not, had none."""
    model, x = made(name), x_of()
    unmoved = torch.allclose(model(x), model(x.roll(3, -1)), atol=1e-5)
    assert unmoved == PRIORS[name].shared


@pytest.mark.parametrize("name", [name for name in PRIORS if PRIORS[name].attention])
def test_heads_of_attention_take_averages(name):
    """Scores whose softmax ran over heads or places."""
    model = made(name)
    with torch.no_grad():
        model.mix.fill_(1.0)
    total = model.weights().detach().sum(1)  # over inputs
    torch.testing.assert_close(total, torch.full_like(total, TAPS))


@pytest.mark.parametrize("name", [RELATIVE, ABSOLUTE])
def test_sharp_heads_are_a_convolution(name):
    """Heads that aimed elsewhere than at the taps: they would have begun far from a convolution."""
    prior = replace(PRIORS[name], sharpness=100.0)
    attention, convolution = Look(Initializer((0,)), prior, N), made(CONVOLUTION, seeds=(0,))
    with torch.no_grad():
        convolution.weight.copy_(attention.mix.unsqueeze(2))
    x = x_of(seeds=1)
    torch.testing.assert_close(attention(x), convolution(x))


def test_pace_changes_how_fast_scores_learn_and_not_what_they_are():
    """A slow start that was another start."""
    x = x_of(seeds=1)
    slow, fast = (
        Look(Initializer((0,)), Prior(False, True, True, sharpness=1.0, pace=pace), N)
        for pace in (0.01, 1.0)
    )
    torch.testing.assert_close(slow(x), fast(x))
    for model in (slow, fast):
        loss(model(x), torch.ones(1, 5)).sum().backward()
    torch.testing.assert_close(slow.scores.grad, 0.01 * fast.scores.grad)


@pytest.mark.parametrize("stride", STRIDES.values())
def test_attention_among_patches_is_pytorchs(stride):
    """Patches that overlapped where they should not, or a softmax over the wrong axis."""
    model, x = OnPatches(Initializer((0,)), stride), x_of(seeds=1)
    ring = torch.cat([x[0], x[0]], -1)
    patches = torch.stack([ring[:, t : t + TAPS] for t in range(0, N, stride)], 1)
    expected = 0
    for head in range(CHANNELS):
        query = model.key[0, :, head].expand(len(patches), 1, -1)
        value = patches @ model.value[0, :, head : head + 1]
        attend = torch.nn.functional.scaled_dot_product_attention
        expected = expected + attend(query, patches, value, scale=1.0)[:, 0, 0]
    torch.testing.assert_close(model(x)[0], expected)


@pytest.mark.parametrize("name", [*PRIORS, *STRIDES])
def test_models_are_what_they_would_be_alone(name):
    """One seed's weights were another's if more seeds were there."""
    together, alone = made(name, seeds=(3, 4)), made(name, seeds=(4,))
    x = x_of()
    torch.testing.assert_close(together(x)[1], alone(x[1:])[0])


def test_layers_run_on_any_device():
    with torch.device("meta"):
        for name in (CONVOLUTION, RELATIVE, LEARNED, PATCHES):
            assert made(name)(torch.empty(2, 5, N)).shape == (2, 5)


# --- signals ------------------------------------------------------------------------------------


@pytest.mark.parametrize("aligned", [False, True])
def test_a_pattern_stands_somewhere_with_its_sign(aligned):
    """Noise that was not there, a sign that was another's, or places that were always the same."""
    signals = Signals(40, strength=1e4, aligned=aligned)
    x, signs = signals.sample((0, 1), 200)
    ring = np.concatenate([x, x], 1)
    matched = np.stack([ring[:, t : t + 8] @ signals.pattern for t in range(40)], 1)
    place = np.abs(matched).argmax(1)
    np.testing.assert_array_equal(np.sign(matched[range(200), place]), signs)
    assert set(place) == set(range(0, 40, 8 if aligned else 1))
    assert signals.pattern.sum() == pytest.approx(0, abs=1e-9)
    assert np.linalg.norm(signals.pattern) == pytest.approx(1e4)


def test_shuffling_moves_numbers_and_changes_none():
    (plain, signs), (moved, same) = (
        Signals(40, shuffled=shuffled).sample((0, 1), 9) for shuffled in (False, True)
    )
    np.testing.assert_array_equal(signs, same)
    np.testing.assert_array_equal(np.sort(plain, 1), np.sort(moved, 1))
    assert (plain != moved).any(0).mean() > 0.9


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (dict(n=4), "n must be"),
        (dict(n=20, aligned=True), "n must be a multiple of width 8, got 20"),
        (dict(n=20, width=1), "width must be"),
        (dict(n=20, strength=-1), "strength must be"),
    ],
)
def test_wrong_signals_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        Signals(**wrong)


# --- the experiment -----------------------------------------------------------------------------


def test_a_shift_moves_each_example_along_the_ring():
    x = x_of()
    moved = separation.shifted(x, torch.Generator().manual_seed(0))
    turns = torch.stack([x.roll(-by, -1) for by in range(N)])
    found = (turns == moved).all(-1)
    assert found.any(0).all()
    assert found.int().argmax(0).unique().numel() > 3  # each by a place of its own


def test_a_convolution_learns_what_a_fully_connected_layer_does_not():
    """The loop moved nothing, or showed the answers."""
    config = replace(PRESETS["smoke"], steps=200, count=300)
    found = {
        name: separation.learn(Cell(name, PLAIN, "32"), config, 64, [0.1, 0.1], (0, 1))
        for name in (CONVOLUTION, FULL)
    }
    assert max(max(each.loss) for each in found.values()) < 0.05
    assert min(found[CONVOLUTION].accuracy) > 0.9 > 0.8 > max(found[FULL].accuracy)
    assert None not in found[FULL].matched


def test_answers_are_counted_by_their_sign():
    logits, signs = torch.tensor([[2.0, -1, 3, -4]]), torch.tensor([[1.0, 1, 1, -1]])
    assert right(logits, signs).tolist() == [0.75]
    expected = torch.nn.functional.binary_cross_entropy_with_logits(logits, (signs + 1) / 2)
    torch.testing.assert_close(loss(logits, signs), expected.unsqueeze(0))


def test_every_layer_takes_every_condition():
    """At the middle length; of local starts, which are variants, the plain one alone."""
    config = PRESETS["full"]
    cells = list(separation.cells(config))
    assert len(cells) == len(set(cells)) == len({cell.name for cell in cells})
    for name in (*separation.CORE, *STRIDES):
        conditions = {cell.condition for cell in cells if (cell.layer, cell.n) == (name, "64")}
        assert conditions == {PLAIN, SHIFTED, SHUFFLED, ALIGNED}
    for n in config.lengths:
        assert {WIDE, UNSHARED, WINDOW} <= {c.layer for c in cells if c.n == str(n)}


def recorded(accuracies):
    rows = [
        {"layer": "a", "condition": PLAIN, "n": 64, "examples": examples, "accuracy": value}
        for examples, values in accuracies.items()
        for value in values
    ]
    return Run("separation", {"examples": [8, 16, 32, 64]}, {}, rows)


def test_examples_that_are_needed_lie_between_those_that_were_tried():
    """The logarithm was forgotten, or the first number that is enough was taken."""
    run = recorded({8: [0.7, 0.7], 16: [0.8, 0.8], 32: [0.95, 1.05]})
    assert separation.needed(run, "a") == pytest.approx(16 * 2**0.5)
    assert separation.in_words(run, "a") == "23"
    assert separation.needed(recorded({8: [0.95]}), "a") == 8
    assert separation.in_words(recorded({8: [0.95]}), "a") == "≤ 8"
    assert separation.needed(recorded({8: [0.5], 64: [0.8]}), "a") is None
    assert separation.in_words(recorded({8: [0.5], 64: [0.8]}), "a") == "> 64"
