"""What is online softmax's own; what it shares with the others is in test_contract.py."""

import numpy as np
import pytest
import torch
from helpers.tensors import draw
from torch.utils.flop_counter import FlopCounterMode

from attention_limits.attention import dense, online_softmax
from attention_limits.meters import PeakMemory


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("block", [1, 2, 7, 32, 33, 34, 1000])
def test_the_block_does_not_matter(block, causal):
    """Around the length, and with tiles of a single key, an index is easily off by one."""
    inputs = [x.requires_grad_() for x in draw(*[(2, 33, 8)] * 3)]
    out = online_softmax.attend(*inputs, causal=causal, block=block)
    expected = dense.attend(*inputs, causal=causal)
    torch.testing.assert_close(out, expected)
    upstream = torch.linspace(-1, 1, out.numel(), dtype=out.dtype).view_as(out)
    for one, other in zip(
        torch.autograd.grad(out, inputs, upstream),
        torch.autograd.grad(expected, inputs, upstream),
        strict=True,
    ):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize(("n_q", "n_k"), [(5, 40), (40, 5), (16, 17), (17, 16)])
@pytest.mark.parametrize("block", [4, 16])
def test_the_diagonal_is_aligned_bottom_right_in_every_tile(n_q, n_k, block):
    """A tile that is skipped, or one that is not masked, one key too early or too late."""
    inputs = draw((n_q, 8), (n_k, 8), (n_k, 8))
    expected = dense.attend(*inputs, causal=True)
    torch.testing.assert_close(online_softmax.attend(*inputs, causal=True, block=block), expected)


@pytest.mark.parametrize("size", [1e3, 1e150], ids=["e^1000", "e^1e150"])
def test_scores_whose_exponentials_overflow(size):
    """Each later key scores higher: the running maximum changes at every one of them."""
    q = torch.ones(3, 1, dtype=torch.float64)
    k = torch.linspace(-size, size, 9, dtype=torch.float64)[:, None]
    v = torch.arange(9, dtype=torch.float64)[:, None]
    for order in (torch.arange(9), torch.arange(9).flip(0)):
        for block in (1, 2, 9):
            out = online_softmax.attend(q, k[order], v[order], block=block)
            torch.testing.assert_close(out, torch.full_like(out, 8.0))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_half_precision_is_rounded_at_the_end_only(dtype):
    """A running sum in bfloat16 stops at 256, and a scaled query loses digits before it begins."""
    q, k, v = (x.to(dtype) for x in draw(*[(300, 60)] * 3))
    single = online_softmax.attend(q.float(), k.float(), v.float(), causal=True, block=64)
    assert torch.equal(online_softmax.attend(q, k, v, causal=True, block=64), single.to(dtype))


def test_definition_rescales_what_came_before():
    """By hand: scores 0, ln 3 and -∞ in any order give weights 1/4, 3/4 and 0."""
    q, k = np.array([[1.0]]), np.array([[0.0], [np.log(3)], [-1e6]])
    v = np.array([[8.0], [4.0], [99.0]])
    for order in ([0, 1, 2], [2, 1, 0], [1, 2, 0]):
        out = online_softmax.define(q, k[order], v[order])
        assert out == pytest.approx(np.array([[5.0]]))


def test_a_tile_that_is_empty_for_some_rows_only():
    """−∞ minus −∞: the first tile has nothing for one row, and something for the next."""
    inputs = [x.requires_grad_() for x in draw(*[(6, 4)] * 3)]
    mask = torch.ones(6, 6, dtype=torch.bool)
    mask[1, :2], mask[2, 2:4], mask[3] = False, False, False
    out = online_softmax.attend(*inputs, mask=mask, block=2)
    torch.testing.assert_close(out, dense.attend(*inputs, mask=mask))
    assert all(g.isfinite().all() for g in torch.autograd.grad(out.sum(), inputs))


MASKS = [(33,), (33, 1), (1, 33), (33, 33), (2, 1, 1, 33), (3, 33, 33), (2, 3, 33, 33)]


@pytest.mark.parametrize("block", [1, 7, 33, 1000])
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("shape", MASKS, ids=str)
def test_a_mask_is_cut_along_the_axes_that_it_has(shape, causal, block):
    """Every axis of a mask may be missing, or 1, or whole."""
    inputs = [x.requires_grad_() for x in draw((2, 3, 33, 8), (2, 1, 33, 8), (3, 33, 8))]
    mask = torch.rand(shape, generator=torch.Generator().manual_seed(0)) < 0.4
    out = online_softmax.attend(*inputs, causal=causal, mask=mask, block=block)
    expected = dense.attend(*inputs, causal=causal, mask=mask)
    torch.testing.assert_close(out, expected)
    for one, other in zip(
        torch.autograd.grad(out.sin().sum(), inputs),
        torch.autograd.grad(expected.sin().sum(), inputs),
        strict=True,
    ):
        torch.testing.assert_close(one, other)


def test_nan_that_a_query_sees_is_not_hidden():
    """Nor taken for a row that saw nothing, in its output or in its gradient."""
    inputs = draw(*[(5, 8)] * 3)
    inputs[0][2] = torch.nan
    inputs = [x.requires_grad_() for x in inputs]
    out = online_softmax.attend(*inputs, block=2)
    assert out[2].isnan().all()
    for gradient, row in zip(torch.autograd.grad(out.sum(), inputs), (2, 0, 0), strict=True):
        assert gradient[row].isnan().all()


def test_a_tile_that_nobody_sees_may_hold_anything():
    """Dense attention multiplies a NaN of the future by 0; a tile that is skipped is not read."""
    q, k, v = draw(*[(12, 8)] * 3)
    expected = online_softmax.attend(q, k, v, causal=True, block=4)[:8]
    k[8:], v[8:] = torch.nan, torch.inf
    assert torch.equal(online_softmax.attend(q, k, v, causal=True, block=4)[:8], expected)


@pytest.mark.parametrize("block", [1, 2, 4, 9])
def test_what_comes_down_to_a_blind_query_does_not_leak(block):
    """A loss that is NaN at a padded query is nobody's loss."""
    inputs = [x.requires_grad_() for x in draw(*[(9, 8)] * 3)]
    real = (torch.arange(9) >= 3) & (torch.arange(9) < 7)
    out = online_softmax.attend(*inputs, mask=real[:, None] & real, block=block)
    upstream = torch.where(real[:, None], torch.ones_like(out), torch.nan)
    for gradient in torch.autograd.grad(out, inputs, upstream):
        assert gradient.isfinite().all()
        assert not gradient[~real].any()


def test_grouped_heads_hold_no_copy_of_their_keys():
    """One head of values for 64 queries: copies would take 64 times the saved memory."""
    saved = {}

    def note(x):
        saved[x.untyped_storage().data_ptr()] = x.untyped_storage().nbytes()
        return x

    q, k, v = (x.requires_grad_() for x in draw((2, 64, 1, 8), (2, 1, 100, 8), (2, 1, 100, 8)))
    with torch.autograd.graph.saved_tensors_hooks(note, lambda x: x):
        online_softmax.attend(q, k, v)
    assert sum(saved.values()) <= k.nbytes + v.nbytes + 3 * q.nbytes


def test_the_order_of_keys_does_not_matter():
    """The merge is associative, and a softmax knows no order."""
    q, k, v = draw(*[(50, 8)] * 3)
    order = torch.randperm(50, generator=torch.Generator().manual_seed(1))
    one = online_softmax.attend(q, k, v, block=8)
    torch.testing.assert_close(online_softmax.attend(q, k[order], v[order], block=8), one)


@pytest.mark.parametrize("causal", [False, True])
def test_the_way_back_takes_five_products(causal):
    """Two and a half times the forward's FLOPs; skipped tiles are skipped there too."""
    inputs = [torch.empty(2, 200, 16, device="meta", requires_grad=True) for _ in range(3)]
    with FlopCounterMode(display=False) as forward:
        out = online_softmax.attend(*inputs, causal=causal, block=64)
    with FlopCounterMode(display=False) as backward:
        out.backward(torch.empty_like(out))
    assert backward.get_total_flops() == 2.5 * forward.get_total_flops()
    executed = online_softmax.cost(causal=causal, block=64).executed(n=200, d=16)
    assert forward.get_total_flops() == 2 * executed


def test_causal_tiles_spare_the_half_that_nobody_sees():
    for n in (1000, 2**15):
        causal, full = (online_softmax.cost(causal=c).executed(n=n, d=64) for c in (True, False))
        assert causal / full < 0.5 + 130 / (2 * n)


@pytest.mark.parametrize("backward", [False, True])
def test_memory_is_linear_where_the_square_would_not_fit(backward):
    """A padding mask of one row stays one row, and 16 384² numbers would be a gigabyte."""
    peaks = []
    for n in (8192, 16384):
        inputs = [torch.empty(n, 16, device="meta", requires_grad=backward) for _ in range(3)]
        mask = torch.ones(1, n, dtype=torch.bool, device="meta")
        with PeakMemory() as memory:
            out = online_softmax.attend(*inputs, mask=mask, block=1024)
            if backward:
                out.backward(torch.empty_like(out))
        peaks.append(memory.peak)
    tile = 1024 * 1024 * 4
    assert peaks[1] - peaks[0] <= 8192 * 16 * 4 * 12  # a few tensors of the inputs' shape
    assert peaks[1] < 16384 * 16 * 4 * 12 + 6 * tile


@pytest.mark.parametrize("block", [0, -1, 2.0, True, None])
def test_a_block_that_is_no_number_of_keys_is_refused(block):
    inputs = [torch.zeros(4, 8)] * 3
    with pytest.raises(ValueError, match=r"^block must "):
        online_softmax.attend(*inputs, block=block)
    with pytest.raises(ValueError, match=r"^block must "):
        online_softmax.cost(block=block)
