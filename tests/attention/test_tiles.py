"""What the mechanisms that go tile by tile have in common; the rest is in their own files."""

import functools

import numpy as np
import pytest
import torch
from helpers.tensors import draw
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from attention_limits.attention import block_sparse, dense, sliding_window
from attention_limits.meters import PeakMemory

BLOCK, WINDOW = 32, 40


def sparse(q, k, v, *, causal, **options):
    """Three local blocks a row, a hub, and one that is not joined to them."""
    blocks = -(-k.shape[-2] // BLOCK)
    layout = block_sparse.bigbird(blocks, width=2, first=1, per_row=1, seed=0, causal=causal)
    return block_sparse.attend(q, k, v, layout=layout, block=BLOCK, causal=causal, **options)


mechanisms = pytest.mark.parametrize(
    "attend",
    [
        functools.partial(sliding_window.attend, window=WINDOW, causal=True),
        functools.partial(sliding_window.attend, window=WINDOW),
        functools.partial(sparse, causal=True),
        functools.partial(sparse, causal=False),
    ],
    ids=["causal window", "window", "causal blocks", "blocks"],
)


def on_meta(n, *, requires_grad=True, width=64):
    return [torch.empty(n, width, device="meta", requires_grad=requires_grad) for _ in range(3)]


class Traffic(TorchDispatchMode):
    """Bytes that operations give back, views aside: what is written, in sum and not at once."""

    def __init__(self):
        super().__init__()
        self.bytes = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        if not function.is_view:
            self.bytes += sum(x.nbytes for x in tree_leaves(result) if isinstance(x, torch.Tensor))
        return result


@mechanisms
def test_the_way_back_writes_no_square(attend):
    """A slice in the loop, under autograd, fills a gradient of full length for every tile."""
    written = []
    for n in (1024, 2048, 3072):
        inputs = on_meta(n)
        with Traffic() as traffic:
            attend(*inputs).sum().backward()
        written.append(traffic.bytes)
    first, second = np.diff(written)
    assert second / first == pytest.approx(1, abs=0.01)


@mechanisms
def test_memory_of_the_way_back_is_linear(attend):
    peaks = []
    for n in (1024, 2048, 3072):
        inputs = on_meta(n)
        with PeakMemory() as memory:
            attend(*inputs).sum().backward()
        peaks.append(memory.peak)
    first, second = np.diff(peaks)
    assert second / first == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("how", ["no_grad", "no leaf"])
def test_a_forward_pass_keeps_nothing_but_its_output(how, masked):
    """Weights kept for a backward pass that never comes would be five times as much."""
    n = 8192
    inputs = on_meta(n, requires_grad=how == "no_grad")
    mask = torch.ones(1, n, dtype=torch.bool, device="meta") if masked else None
    with torch.set_grad_enabled(how != "no_grad"), PeakMemory() as memory:
        sliding_window.attend(*inputs, window=256, causal=True, mask=mask)
    assert memory.peak <= n * 64 * 4 + 2**20  # and the tile at hand


def test_forward_and_backward_hold_gradients_and_weights():
    """q, k, v, o and their gradients, and a number for each pair of the tiles; little besides."""
    n, window = 8192, 256
    inputs = on_meta(n)
    with PeakMemory() as memory:
        sliding_window.attend(*inputs, window=window, causal=True).sum().backward()
    assert memory.peak <= 1.05 * 4 * n * (4 * 64 + window + sliding_window.TILE)


@pytest.mark.slow
@mechanisms
def test_a_mask_for_all_queries_stays_one_row(attend):
    """Key padding: as a square of booleans it would be several times what there is besides."""
    n = 4096
    inputs = on_meta(n, width=8)
    peaks = []
    for mask in (None, torch.ones(1, n, dtype=torch.bool, device="meta")):
        with PeakMemory() as memory:
            attend(*inputs, mask=mask).sum().backward()
        peaks.append(memory.peak)
    assert peaks[1] <= 1.5 * peaks[0]


@mechanisms
def test_a_score_that_overflows_unseen_does_no_harm(attend):
    """∞ − ∞ is NaN: added to a score of ∞, a mask of −∞ would fail.

    The last key and all queries are huge, so that who sees it has NaN, and nobody else.
    """
    n = 260
    aware = attend(*[torch.eye(n)] * 3)[:, -1] != 0
    q, k, v = draw(*[(n, 8)] * 3, dtype=torch.float32)
    q, k[-1] = q.abs() * 1e15, 1e30
    out = attend(q, k, v)
    assert 0 < aware.sum() < n
    assert torch.equal(out.isnan().all(-1), aware)
    assert torch.equal(out.isnan().any(-1), aware)


@mechanisms
@pytest.mark.parametrize("garbage", [torch.nan, torch.inf])
def test_what_lies_beyond_a_sample_s_end_does_no_harm(attend, garbage):
    """Padding that begins in the middle of a tile, and goes on for tiles."""
    inputs = draw((2, 200, 8), (2, 200, 8), (2, 200, 8))
    lengths = torch.tensor([75, 130])
    real = (torch.arange(200) < lengths[:, None])[..., None]
    results = []
    for nothing in (0.0, garbage):
        padded = [torch.where(real, x, nothing).requires_grad_() for x in inputs]
        out = attend(*padded, mask=real & real.mT)
        # What comes down to an output that was padding is garbage as well.
        grads = torch.autograd.grad(out, padded, torch.where(real, out.detach(), nothing))
        results.append((out, *grads))
    for clean, dirty in zip(*results, strict=True):
        assert torch.equal(clean, dirty)
        assert clean.isfinite().all()
        assert not clean.masked_select(~real).any()


@mechanisms
@pytest.mark.parametrize("shape", [(2, 3, 70, 70), (3, 1, 70), (2, 1, 70, 1), (70,), (1, 1, 1, 1)])
def test_a_mask_may_have_any_shape_that_broadcasts(attend, shape):
    """Cut into tiles, each of its axes may be one, or not be there at all."""
    inputs = [x.requires_grad_() for x in draw(*[(2, 3, 70, 8)] * 3)]
    mask = torch.rand(shape, generator=torch.Generator().manual_seed(0)) < 0.7
    full = mask.expand(2, 3, 70, 70).clone()
    out, expected = attend(*inputs, mask=mask), attend(*inputs, mask=full)
    assert torch.equal(out, expected)
    grads, wanted = (torch.autograd.grad(x.square().sum(), inputs) for x in (out, expected))
    assert all(map(torch.equal, grads, wanted))
    weights = attend(*[torch.eye(70, dtype=torch.float64)] * 3)
    torch.testing.assert_close(out, dense.attend(*inputs, mask=mask & (weights != 0)))


@mechanisms
def test_only_those_gradients_come_that_are_asked_for(attend):
    q, k, v = draw(*[(70, 8)] * 3)
    k.requires_grad_()
    (grad,) = torch.autograd.grad(attend(q, k, v).square().sum(), k)
    everything = [x.detach().requires_grad_() for x in (q, k, v)]
    assert torch.equal(grad, torch.autograd.grad(attend(*everything).square().sum(), everything)[1])


@mechanisms
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_half_precision_is_computed_in_single(attend, dtype):
    """Rounded once, at the end; scores of 300² · 8 are too large for float16."""
    q, k, v = draw(*[(70, 8)] * 3)
    inputs = [x.to(dtype).requires_grad_() for x in (300 * q.abs(), 300 * k.abs(), v)]
    wide = [x.detach().float().requires_grad_() for x in inputs]
    out, expected = attend(*inputs), attend(*wide)
    assert torch.equal(out, expected.to(dtype))
    grads = torch.autograd.grad(out.sum(), inputs)
    wanted = torch.autograd.grad(expected.sum(), wide)
    assert all(torch.equal(one, other.to(dtype)) for one, other in zip(grads, wanted, strict=True))
