"""The evidence on reach: that it holds, and that its stacks are what they say."""

import numpy as np
import pytest
import torch
from helpers.chapter_parts import assert_all_found, assert_holds_by_no_accident, pieces_in

from attention_limits.attention import sliding_window
from attention_limits.chapters.locality.derivations import reach as derivations
from attention_limits.chapters.locality.evidence import reach as evidence

PIECES = pieces_in(evidence)


def test_all_pieces_are_found():
    """One that a claim names was not among those that are tried below."""
    assert_all_found(PIECES, "reach")


@pytest.mark.parametrize("piece", PIECES, ids=lambda piece: piece.__name__)
def test_it_holds_and_is_no_accident(piece):
    """A second run found another number; or a bound is so wide that nothing would cross it."""
    assert_holds_by_no_accident(piece)


@pytest.mark.parametrize("taken", [1, 0.5, 0.1])
def test_weight_is_spread_as_derived_in_causal_windows(taken):
    """The variance of a mixture lacked the square of its mean."""
    depth = 6
    n = depth * evidence.WINDOW
    weights = evidence.of_weights(evidence.windows(depth, share=taken), n)
    back, deviation = evidence.moments(weights, n - 1)
    sizes = {"layers": depth, "window": evidence.WINDOW, "taken": taken}
    assert back == pytest.approx(derivations.BACK(**sizes))
    assert deviation**2 == pytest.approx(derivations.BACK_VARIANCE(**sizes))


def test_windows_are_those_of_the_library():
    """A window one token too wide, or one that looks ahead."""
    x = torch.randn(1, 40, 4, dtype=torch.float64)
    zeros = torch.zeros_like(x)
    mean = sliding_window.attend(zeros, zeros, x, window=evidence.WINDOW, causal=True)
    torch.testing.assert_close(evidence.windows(1)[0](x), mean)


def test_layers_keep_the_size_of_what_they_get():
    """Values that grow or vanish hide which inputs have a gradient."""
    x = torch.randn(1, 200, evidence.CHANNELS)
    for make in (evidence.convolutions, evidence.skipping):
        for layer in make(3):
            assert layer(x).std().item() == pytest.approx(1, abs=0.1)


def test_shifted_blocks_see_their_own_tokens():
    """A shift cut blocks at other places than it put them back to."""
    first, second = evidence.blocks(2)
    n, w = 4 * evidence.WINDOW, evidence.WINDOW
    for layer, cut in ((first, w), (second, w + w // 2)):
        x = torch.randn(1, n, evidence.CHANNELS)
        other = x.clone()
        other[:, :cut] += 1
        moved = (layer(x) - layer(other)).abs().sum(-1)[0].detach()
        assert (moved[:cut] > 0).all()
        np.testing.assert_array_equal(moved[cut:], 0)
