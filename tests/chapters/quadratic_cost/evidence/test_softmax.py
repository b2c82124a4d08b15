"""The instruments behind the evidence on the softmax: were they blind, everything would hold."""

import math

import numpy as np
import pytest

from attention_limits.attention import dense
from attention_limits.chapters.quadratic_cost.derivations import softmax as quadratic_cost
from attention_limits.chapters.quadratic_cost.evidence import softmax
from attention_limits.chapters.quadratic_cost.evidence.softmax import Chip, changes, tiled_attention


def test_a_chip_counts_what_crosses_its_border_and_not_what_stays():
    chip, x = Chip(10), np.zeros(4)
    chip.load(x)
    chip.hold(np.zeros(5))
    chip.store(x)
    assert (chip.moved, chip.held, chip.most) == (8, 9, 9)
    chip.drop(x)
    assert (chip.moved, chip.held, chip.most) == (8, 5, 9)


def test_a_chip_refuses_what_does_not_fit():
    """A chip of any size would prove any formula for what fits on it."""
    chip = Chip(7)
    chip.load(np.zeros(7))
    with pytest.raises(MemoryError, match="8 numbers on a chip that holds 7"):
        chip.hold(np.zeros(1))


def test_tiles_do_not_fit_on_a_chip_that_is_one_number_smaller():
    inputs = np.random.default_rng(0).standard_normal((3, 32, 8))
    size = quadratic_cost.TILE_ON_CHIP(B=16, d=8)
    tiled_attention(*inputs, Chip(size), 16)
    with pytest.raises(MemoryError):
        tiled_attention(*inputs, Chip(size - 1), 16)


def test_plain_kernels_do_not_fit_on_a_chip_that_is_one_number_smaller():
    inputs = np.random.default_rng(0).standard_normal((3, 32, 8))
    size = quadratic_cost.PLAIN_ON_CHIP(B=16, d=8)
    softmax.plain_attention(*inputs, Chip(size), 16)
    with pytest.raises(MemoryError):
        softmax.plain_attention(*inputs, Chip(size - 1), 16)


@pytest.mark.parametrize("rows", [1, 5, 32, 100])
def test_both_ways_are_attention(rows):
    """What is counted has to be attention, also where the last tile is not full."""
    inputs = np.random.default_rng(0).standard_normal((3, 32, 8))
    expected = dense.define(*inputs)
    assert np.allclose(tiled_attention(*inputs, Chip(), rows), expected, atol=1e-12)
    assert np.allclose(softmax.plain_attention(*inputs, Chip(), rows), expected, atol=1e-12)


def test_fewer_rows_move_more():
    def moved(rows):
        chip = Chip(math.inf)
        tiled_attention(*np.zeros((3, 64, 4)), chip, rows)
        return chip.moved

    assert moved(1) > moved(8) > moved(64) == 4 * 64 * 4


def test_changes_of_a_running_maximum():
    """The first key always is one; an equal score is none."""
    scores = np.array([[1, 3, 2, 3, 4], [5, 4, 3, 2, 1]])
    assert changes(scores).astype(int).tolist() == [[1, 1, 0, 0, 1], [1, 0, 0, 0, 0]]


def test_tiles_change_more_often_than_rows_in_any_length():
    for n in (2, 100, 4096):
        row, tile = (
            quadratic_cost.ROW_CHANGES.numpy(n=n),
            quadratic_cost.TILE_CHANGES.numpy(n=n, B=128),
        )
        assert row < tile <= n


def test_blocks_in_which_a_maximum_changes():
    """Two blocks of two keys; in the first there always is a change."""
    scores = np.array([[1, 3, 2, 3], [5, 4, 3, 6]])
    assert softmax.changed_blocks(scores, 2).tolist() == [[True, False], [True, True]]
