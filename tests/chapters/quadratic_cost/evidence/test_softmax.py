"""The instruments behind the evidence on the softmax: were they blind, everything would hold."""

import math
from functools import partial

import numpy as np
import pytest
import torch

from attention_limits.attention import dense, online_softmax
from attention_limits.chapters.quadratic_cost.derivations import softmax as derivations
from attention_limits.chapters.quadratic_cost.evidence import softmax
from attention_limits.chapters.quadratic_cost.evidence.softmax import Chip, changes

WAYS = {
    "tiles": softmax.tiled,
    "plain kernels": softmax.plain,
    "with a temporary": softmax.with_a_temporary,
    "queries loaded again": softmax.reloading,
    "two passes": softmax.two_passes,
}


def random(n=32, d=8):
    return softmax.random_inputs(n, d)


# --- the chip ---------------------------------------------------------------------------------


def test_a_chip_counts_what_crosses_its_border_and_not_what_stays():
    chip, x, target = Chip(), torch.arange(4.0).double(), torch.zeros(4).double()
    with chip:
        there = chip.load(x)
        twice = there * 2
        chip.store(twice, target)
    assert target.tolist() == [0, 2, 4, 6]
    assert (chip.moved, chip.most) == (8, 8)


def test_a_chip_counts_temporaries():
    """A program held an outer product for a moment, and no count of what fits said so."""
    chip, x = Chip(), torch.ones(4).double()
    with chip:
        here = chip.load(x)
        here.add_((here * 2).sub_(1))
    assert chip.most == 8


def test_a_chip_frees_what_nothing_refers_to():
    chip, x = Chip(8), torch.ones(4).double()
    with chip:
        for _ in range(3):
            chip.load(x).mul_(2)
    assert (chip.moved, chip.most) == (12, 4)


def test_a_chip_refuses_what_does_not_fit():
    """A chip of any size would prove any formula for what fits on it."""
    chip, x = Chip(7), torch.zeros(7).double()
    with chip:
        here = chip.load(x)
        with pytest.raises(MemoryError, match="8 numbers on a chip that holds 7"):
            here.sum()


def test_a_chip_refuses_to_compute_on_what_was_not_loaded():
    """A program read its keys past the counter, and moved nothing."""
    x = torch.ones(4).double()
    with Chip(), pytest.raises(LookupError, match="load it first"):
        x[:2] * 2


@pytest.mark.parametrize(
    ("way", "size"),
    [
        (softmax.tiled, derivations.TILE_ON_CHIP(B=16, d=8)),
        (softmax.plain, derivations.PLAIN_ON_CHIP(B=16, d=8)),
    ],
)
def test_a_program_needs_the_derived_chip_and_not_one_number_less(way, size):
    way(*random(), Chip(size), 16)
    with pytest.raises(MemoryError):
        way(*random(), Chip(size - 1), 16)


@pytest.mark.parametrize("size", [60, 128, 300, 700])
def test_as_many_rows_fit_as_derived(size):
    for d in (4, 8):
        assert softmax.most_rows(softmax.tiled, size, d) == derivations.TILE_ROWS(M=size, d=d)
        assert softmax.most_rows(softmax.plain, size, d) == derivations.PLAIN_ROWS(M=size, d=d)


@pytest.mark.parametrize("rows", [1, 5, 32, 100])
@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_every_way_is_attention(way, rows):
    """What is counted has to be attention, rivals too, also where the last tile is not full."""
    inputs = random()
    expected = dense.define(*(x.numpy() for x in inputs))
    assert np.allclose(way(*inputs, Chip(), rows).numpy(), expected, atol=1e-12)


@pytest.mark.parametrize(("n", "d", "rows"), [(96, 8, 32), (61, 8, 16), (40, 4, 100)])
def test_traffic_is_what_was_derived(n, d, rows):
    """Also where the rows do not divide the queries, or all of them fit."""
    for way, formula in (
        (softmax.tiled, derivations.TILED),
        (softmax.plain, derivations.MATERIALISED),
    ):
        chip = Chip()
        way(*random(n, d), chip, min(rows, n))
        assert chip.moved == formula(n=n, d=d, B=min(rows, n))


def test_without_a_softmax_the_products_are_those_two():
    q, k, v = random()
    out = softmax.without_softmax(q, k, v, Chip(), 5)
    assert torch.allclose(out, q @ k.mT / math.sqrt(8) @ v, atol=1e-12)


# --- rivals -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "rival", [softmax.softmax_of_differences, softmax.softmax_through_an_identity]
)
def test_a_rival_of_the_softmax_is_a_softmax(rival):
    scores = torch.randn(5, 7, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for dim in (-1, 0):
        expected = torch.softmax(scores, dim)
        assert torch.allclose(rival(scores, dim), expected, atol=1e-14)


@pytest.mark.parametrize(
    "attend",
    [
        softmax.each_score_twice,
        softmax.under_a_square_mask,
        partial(softmax.after_a_square, dtype=torch.bool),
    ],
)
def test_rivals_in_tiles_are_attention(attend):
    inputs = [x.expand(1, -1, -1) for x in random(300)]
    assert torch.allclose(attend(*inputs), online_softmax.attend(*inputs), atol=1e-12)


# --- one kernel, step by step -----------------------------------------------------------------


@pytest.mark.parametrize(("n", "d", "B"), [(512, 64, 128), (512, 64, 256), (6, 2, 1)])
def test_after_the_last_step_all_is_done_and_moved(n, d, B):
    """The drawing promised another traffic than the formula, or stopped before the end."""
    sizes, blocks = dict(n=n, d=d, B=B), n // B
    last = blocks * (blocks + 2)
    for step in (last, last + 1):
        assert derivations.SHARE_DONE(step=step, n=n, B=B) == 1
        assert derivations.MOVED_IN_TILES(step=step, **sizes) == derivations.TILED(**sizes)
        assert derivations.MOVED_PLAINLY(step=step, **sizes) == derivations.MATERIALISED(**sizes)
    assert derivations.SHARE_DONE(step=last - 2, n=n, B=B) < 1
    assert derivations.MOVED_IN_TILES(step=last - 1, **sizes) < derivations.TILED(**sizes)


def test_each_step_moves_what_it_draws():
    """A block was drawn on the chip, and the counter did not move; or the reverse."""
    n, d, B = 512, 64, 128
    before = 0
    for step in range(1, 25):
        moved = derivations.MOVED_IN_TILES(step=step, n=n, d=d, B=B)
        place = (step - 1) % 6  # queries come, four blocks pass, outputs leave
        assert moved - before == B * d * (2 if 1 <= place <= 4 else 1)
        before = moved
        here = [derivations.QUERIES_ON_CHIP(step=step, n=n, B=B, i=i) for i in range(4)]
        passing = [derivations.KEYS_ON_CHIP(step=step, n=n, B=B, j=j) for j in range(4)]
        done = [derivations.OUTPUTS_DONE(step=step, n=n, B=B, i=i) for i in range(4)]
        tile = (step - 1) // 6
        assert here == [int(i == tile and place < 5) for i in range(4)]
        assert passing == [int(j == place - 1) for j in range(4)]
        assert done == [int(i < tile or (i == tile and place == 5)) for i in range(4)]
        pairs = [
            derivations.PAIRS_DONE(step=step, n=n, B=B, i=i, j=j)
            for i in range(4)
            for j in range(4)
        ]
        assert pairs.count(2) == sum(passing)
        assert sum(pair > 0 for pair in pairs) / 16 == derivations.SHARE_DONE(step=step, n=n, B=B)


# --- the running maximum ----------------------------------------------------------------------


def test_changes_of_a_running_maximum():
    """The first key always is one; an equal score is none."""
    scores = np.array([[1, 3, 2, 3, 4], [5, 4, 3, 2, 1]])
    assert changes(scores).astype(int).tolist() == [[1, 1, 0, 0, 1], [1, 0, 0, 0, 0]]


def test_tiles_change_more_often_than_rows_in_any_length():
    for n in (2, 100, 4096):
        row, tile = (
            derivations.ROW_CHANGES.numpy(n=n),
            derivations.TILE_CHANGES.numpy(n=n, B=128),
        )
        assert row < tile <= n


def test_blocks_in_which_a_maximum_changes():
    """Two blocks of two keys; in the first there always is a change."""
    scores = np.array([[1, 3, 2, 3], [5, 4, 3, 6]])
    assert softmax.changed_blocks(scores, 2).tolist() == [[True, False], [True, True]]


def test_keys_that_resemble_their_neighbours_score_as_widely():
    """The rival differed from random keys by the size of its scores, and not by their order."""
    near, far = (softmax.attention_scores(0, 64, 4096, memory=m) for m in (0.9, 0))
    assert near.std() == pytest.approx(far.std(), rel=0.1)
    correlation = [np.corrcoef(x[:, 1:].ravel(), x[:, :-1].ravel())[0, 1] for x in (near, far)]
    assert correlation == pytest.approx([0.9, 0], abs=0.05)
