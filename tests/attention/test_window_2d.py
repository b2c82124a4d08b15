"""What is windows' on an image own; what they share with the others is in test_contract.py."""

import numpy as np
import pytest
import torch
from helpers.tensors import assert_close, check_gradients, draw_qkv, gradients

from attention_limits.attention import dense, sliding_window, window_2d
from attention_limits.meters import PeakMemory


def test_an_example_by_hand():
    """Two by four, windows of two by two: the left half does not hear of the right one."""
    v = np.arange(8.0)[:, None]
    zero = np.zeros((8, 1))
    out = window_2d.define(zero, zero, v, width=4, window=2)
    assert out[:, 0] == pytest.approx([2.5, 2.5, 4.5, 4.5] * 2)


def test_a_shift_moves_the_borders():
    """One column to the right: a window of one column, a whole one, and what is left."""
    seen = window_2d.visible(4, width=4, window=2, shift=(0, 1))
    assert seen.astype(int).tolist() == [[1, 0, 0, 0], [0, 1, 1, 0], [0, 1, 1, 0], [0, 0, 0, 1]]


def test_causal_is_the_order_in_which_an_image_is_read():
    """The pixel to the right and above comes before, the one to the left and below does not."""
    seen = window_2d.visible(16, width=4, window=2, causal=True)
    assert np.flatnonzero(seen[4]).tolist() == [0, 1, 4]
    assert np.flatnonzero(seen[1]).tolist() == [0, 1]


@pytest.mark.parametrize(("window", "shift"), [(4, 0), (4, 2), ((2, 4), (1, 3)), ((3, 2), 1)])
def test_equals_an_image_that_is_turned_in_a_ring_and_masked(window, shift):
    """As the paper does it, where windows fill the image: roll, cut, mask what meets, roll back."""
    high, wide = window if isinstance(window, tuple) else (window, window)
    down, right = shift if isinstance(shift, tuple) else (shift, shift)
    rows, columns = 4 * high, 3 * wide
    q, k, v = draw_qkv((2, rows * columns, 8), (2, rows * columns, 8))

    def cut(x):
        grid = x.unflatten(-2, (rows, columns)).roll((-down, -right), (-3, -2))
        grid = grid.unflatten(-3, (4, high)).unflatten(-2, (3, wide))
        return grid.transpose(-4, -3).flatten(-3, -2)

    # Regions that the ring has brought together: rows and columns from before the shift.
    y, x = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
    region = cut(((y < down) * 2 + (x < right)).flatten()[:, None].double())
    out = dense.attend(*map(cut, (q, k, v)), mask=region == region.mT)
    out = out.unflatten(-2, (high, wide)).transpose(-4, -3).flatten(-3, -2).flatten(-4, -3)
    expected = out.roll((down, right), (-3, -2)).flatten(-3, -2)
    options = dict(width=columns, window=window, shift=shift)
    assert_close(window_2d.attend(q, k, v, **options), expected)


def test_one_row_in_windows_of_one_is_a_token_alone():
    q, k, v = draw_qkv((12, 8), (12, 8))
    assert_close(window_2d.attend(q, k, v, width=12, window=1), v)


def test_a_window_as_large_as_the_image_is_dense_attention():
    inputs = draw_qkv((2, 3, 24, 8), (2, 1, 24, 8))
    for window in (6, (4, 6), 1000):
        assert_close(window_2d.attend(*inputs, width=6, window=window), dense.attend(*inputs))


# A table of offsets


def biases(table, n, width):
    """What it adds to the scores of all pairs, wherever their windows are."""
    (y, x), (rows, columns) = np.divmod(np.arange(n), width), (s // 2 for s in table.shape[-2:])
    down, right = y - y[:, None], x - x[:, None]
    inside = (abs(down) <= rows) & (abs(right) <= columns)
    found = table[..., np.where(inside, down, 0) + rows, np.where(inside, right, 0) + columns]
    return found * torch.from_numpy(inside)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("lead", [(), (3,), (2, 1)], ids=str)
@pytest.mark.parametrize("window", [(3, 4), (3, 3)], ids=str)
def test_a_table_is_added_by_offset(window, lead, causal):
    """Windows at the edges are smaller, and began with the offsets of another corner."""
    n, width, shift = 7 * 5, 5, (2, 1)
    inputs = draw_qkv((2, 3, n, 8), (2, 3, n, 8))
    table = draw_qkv((*lead, *(2 * side - 1 for side in window)), (1, 1))[0]
    options = dict(width=width, window=window, shift=shift, causal=causal)
    mask = torch.from_numpy(window_2d.visible(n, **options))
    expected = dense.attend(*inputs, mask=mask, bias=biases(table, n, width))
    assert_close(window_2d.attend(*inputs, table=table, **options), expected)
    arrays = [x.numpy() for x in inputs]
    assert_close(
        torch.from_numpy(window_2d.define(*arrays, table=table.numpy(), **options)), expected
    )


def test_a_table_is_learned():
    """Together with a mask and packed sequences, in each of which it means the same."""
    inputs = draw_qkv((2, 12, 4), (2, 12, 4))
    table = draw_qkv((2, 3, 5), (1, 1))[0]
    mask = torch.ones(12, dtype=torch.bool)
    mask[3] = False

    def attend(table):
        options = dict(width=4, window=(2, 3), mask=mask, segments=[8, 4])
        return window_2d.attend(*inputs, table=table, **options)

    check_gradients(attend, table)


@pytest.mark.parametrize(
    "table",
    [
        np.zeros((3, 3)),
        torch.zeros(3, 3, dtype=torch.float64),
        torch.zeros(3, 3, device="meta"),
        torch.zeros(3),
        torch.zeros(2, 2),
        torch.zeros(5, 3, 3),
        torch.zeros(1, 1, 2, 3, 3),
    ],
    ids=str,
)
def test_bad_table_is_refused_by_name(table):
    x = torch.zeros(2, 6, 8)
    with pytest.raises(ValueError, match=r"^table must .*, got "):
        window_2d.attend(x, x, x, width=3, window=2, table=table)


# Sizes


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("width", {"width": 0}),
        ("width", {"width": 2.0}),
        ("width", {"width": 5}),
        ("window", {"window": 0}),
        ("window", {"window": (2, 2, 2)}),
        ("window", {"window": (2,)}),
        ("window", {"window": "2"}),
        ("window", {"window": (2, 1.5)}),
        ("shift", {"shift": 2}),
        ("shift", {"shift": -1}),
        ("shift", {"shift": (0, 2)}),
    ],
    ids=str,
)
def test_bad_windows_are_refused_by_name_at_every_door(name, change):
    x = torch.zeros(12, 8)
    options = {"width": 4, "window": 2, **change}
    doors = (
        lambda: window_2d.attend(x, x, x, **options),
        lambda: window_2d.define(*[x.numpy()] * 3, **options),
        lambda: window_2d.visible(12, **options),
    )
    for door in doors:
        with pytest.raises(ValueError, match=rf"^{name} must .*, got "):
            door()
    if change != {"width": 5}:  # which suits other lengths
        with pytest.raises(ValueError, match=rf"^{name} must .*, got "):
            window_2d.cost(**options)


def test_windows_that_fill_the_image_cost_what_the_chapter_says():
    """4dnw², and the pairs that a shift brings together at the edges are fewer."""
    whole = window_2d.cost(width=56, window=7).needed
    assert whole(n=56**2, d=32) == 4 * 32 * 56**2 * 7**2
    assert window_2d.cost(width=56, window=7, shift=3).needed(n=56**2, d=32) < whole(n=56**2, d=32)
    assert window_2d.cost(width=56, window=7).held(n=56**2, d=32, b=4) == 2 * 56**2 * 32 * 4


@pytest.mark.parametrize(
    "shape", [(1, 144), (144, 1)], ids=["one for all queries", "one for all keys"]
)
def test_a_mask_is_cut_and_never_expanded(shape):
    """It would hold a number for each pair of an image."""
    n = 64**2
    q, k, v = (x.requires_grad_() for x in draw_qkv((n, 4), (n, 4), dtype=torch.float32))
    mask = torch.ones(tuple(n if side == 144 else 1 for side in shape), dtype=torch.bool)
    with PeakMemory() as memory:
        window_2d.attend(q, k, v, width=64, window=4, mask=mask).sum().backward()
    assert memory.peak < n**2 / 4


def test_gradients_stay_within_a_window():
    inputs = draw_qkv((36, 4), (36, 4))
    options = dict(width=6, window=3, shift=1)
    sees = window_2d.visible(36, **options)
    _, grads = gradients(lambda *x: window_2d.attend(*x, **options)[14:15], inputs)
    for grad in grads[1:]:
        assert (grad.numpy().any(-1) == sees[14]).all()


def test_a_window_a_row_high_is_no_sliding_window():
    """Two neighbours on either side of a border do not see each other, however near."""
    fixed = window_2d.visible(8, width=8, window=(1, 4))
    moving = sliding_window.visible(8, window=4)
    assert not fixed[3, 4]
    assert moving[3, 4]
