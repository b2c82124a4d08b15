"""The fused kernel that a GPU gets instead of a loop; without one, all but the compiling."""

import functools

import numpy as np
import pytest
import torch
from helpers.tensors import draw
from torch.nn.attention.flex_attention import create_block_mask, flex_attention

from attention_limits.attention import block_sparse, flex, sliding_window
from attention_limits.meters import PeakMemory

CPU = torch.device("cpu")
BLOCK = 48  # no divisor, and no multiple, of the kernel's own blocks

mechanisms = pytest.mark.parametrize("mechanism", ["window", "blocks"])
causality = pytest.mark.parametrize("causal", [False, True], ids=["both ways", "causal"])


def layout_of(n):
    """A hub, neighbours, chance, and a row that sees nothing."""
    layout = block_sparse.bigbird(-(-n // BLOCK), width=1, first=1, per_row=1, seed=0)
    layout[-2::-4] = False
    return layout


def pattern(mechanism, n, causal, window=150):
    """The kernel's block mask, and the pattern that it should state."""
    if mechanism == "window":
        mask = sliding_window._block_mask(n, window, causal, CPU)
        return mask, sliding_window.visible(n, window=window, causal=causal)
    layout, block = layout_of(n), min(BLOCK, n)
    mask = block_sparse._block_mask(n, layout.tobytes(), block, causal, CPU)
    return mask, block_sparse.visible(n, layout=layout, block=block, causal=causal)


def attend_of(mechanism, n, causal):
    if mechanism == "window":
        return functools.partial(sliding_window.attend, window=150, causal=causal)
    options = {"layout": layout_of(n), "block": BLOCK, "causal": causal}
    return functools.partial(block_sparse.attend, **options)


@pytest.mark.parametrize("n", [1, 127, 128, 129, 500])
@causality
@mechanisms
def test_the_function_of_positions_is_the_pattern(mechanism, causal, n):
    mask, visible = pattern(mechanism, n, causal)
    i, j = torch.arange(n)[:, None], torch.arange(n)
    assert (mask.mask_mod(0, 0, i, j).numpy() == visible).all()


@pytest.mark.parametrize("window", [1, 128, 129, 1000])
@causality
def test_the_function_of_positions_has_the_window_s_edges(causal, window):
    mask, visible = pattern("window", 300, causal, window)
    i, j = torch.arange(300)[:, None], torch.arange(300)
    assert (mask.mask_mod(0, 0, i, j).numpy() == visible).all()


@pytest.mark.parametrize("n", [1, 127, 128, 129, 500])
@causality
@mechanisms
def test_the_blocks_are_those_that_pytorch_finds(mechanism, causal, n):
    """Strip by strip, or in one square: the same lists of blocks, partly and wholly seen."""
    ours, _ = pattern(mechanism, n, causal)
    theirs = create_block_mask(ours.mask_mod, None, None, n, n, device="cpu")
    for numbers, columns in [
        ("kv_num_blocks", "kv_indices"),
        ("full_kv_num_blocks", "full_kv_indices"),
        ("q_num_blocks", "q_indices"),
        ("full_q_num_blocks", "full_q_indices"),
    ]:
        count = getattr(theirs, numbers)
        assert torch.equal(getattr(ours, numbers), count)
        listed = torch.arange(getattr(theirs, columns).shape[-1]) < count[..., None]
        one, other = getattr(ours, columns), getattr(theirs, columns)
        assert torch.equal(one[listed], other[listed])
    assert ours.seq_lengths == theirs.seq_lengths
    assert ours.BLOCK_SIZE == theirs.BLOCK_SIZE


def test_finding_the_blocks_holds_no_square():
    """PyTorch's own search holds n² booleans, 4 GiB at n = 65536, whatever the window."""
    n = 4096
    with PeakMemory() as memory:
        sliding_window._block_mask.__wrapped__(n, 150, True, CPU)
    assert memory.peak < n**2 / 2


@pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")
@pytest.mark.parametrize("shapes", [((2, 3, 300, 16), (2, 1, 300, 16)), ((300, 16), (300, 16))])
@causality
@mechanisms
def test_the_kernel_uncompiled_equals_the_loop(mechanism, causal, shapes, monkeypatch):
    """Grouped heads, no heads, values wider than keys, a row that sees nothing, a scale."""
    attend = attend_of(mechanism, 300, causal)
    q, k = draw(*shapes)
    v = torch.cat([k.roll(1, -1), k], dim=-1)
    expected = attend(q, k, v, scale=0.3)
    monkeypatch.setattr(flex, "takes", lambda *inputs: True)
    monkeypatch.setattr(flex, "_kernel", lambda: flex_attention)
    out = attend(q, k, v, scale=0.3)
    torch.testing.assert_close(out, expected, atol=2e-6, rtol=1e-5)
    assert out.shape == (*shapes[0][:-1], 32)


def test_a_window_is_not_compiled_into_the_kernel(monkeypatch):
    """A number would be: at the second window, a kernel more, and on a GPU an error."""
    torch.compiler.reset()
    compiled = []

    def count(graph, example_inputs):
        compiled.append(graph)
        return graph.forward

    kernel = torch.compile(flex_attention, fullgraph=True, backend=count)
    monkeypatch.setattr(flex, "_kernel", lambda: kernel)
    q, k, v = draw(*[(2, 300, 16)] * 3)
    for window in (3, 5, 7, 150):
        mask = sliding_window._block_mask(300, window, True, CPU)
        out = flex.attend(q, k, v, mask, scale=0.25)
        expected = sliding_window.attend(q, k, v, window=window, causal=True)
        torch.testing.assert_close(out, expected, atol=2e-6, rtol=1e-5)
    assert len(compiled) == 1


@mechanisms
def test_packed_sequences_are_a_part_of_the_pattern(mechanism, monkeypatch):
    """And what is in none of them, padding, is 0 to a kernel that takes whole blocks of keys."""
    spans = [0, 130, 130, 130, 140, 300]
    mask, visible = pattern(mechanism, 300, False)
    within, real = flex._within(mask, spans, 300, CPU)
    i, j = torch.arange(300)[:, None], torch.arange(300)
    same = ((i < 130) & (j < 130)) | ((i >= 140) & (j >= 140))
    assert (within.mask_mod(0, 0, i, j) == torch.from_numpy(visible) & same).all()
    assert (real == ((torch.arange(300) < 130) | (torch.arange(300) >= 140))).all()
    monkeypatch.setattr(flex, "_kernel", lambda: flex_attention)
    q, k, v = draw(*[(2, 300, 16)] * 3)
    expected = flex.attend(q, k, v, within, scale=0.25)
    q, k, v = (torch.where(real[:, None], x, torch.nan) for x in (q, k, v))
    out = flex.attend(q, k, v, mask, scale=0.25, spans=spans)
    torch.testing.assert_close(out, expected)


class OnGPU:
    """Shapes and a dtype that claim to be on a GPU."""

    def __init__(self, *shape, dtype=torch.float32):
        self.shape, self.dtype, self.is_cuda = shape, dtype, True

    def numel(self):
        return int(np.prod(self.shape))


REFUSED = {
    "a mask": ((300, 64), (300, 64), (300, 64), {"mask": True}),
    "double precision": ((300, 64), (300, 64), (300, 64), {"dtype": torch.float64}),
    "fewer queries than keys": ((3, 64), (300, 64), (300, 64), {}),
    "narrow keys": ((300, 8), (300, 8), (300, 64), {}),
    "narrow values": ((300, 64), (300, 64), (300, 8), {}),
    "wide values": ((300, 64), (300, 64), (300, 512), {}),
    "no tokens": ((0, 64), (0, 64), (0, 64), {}),
    "an empty batch": ((0, 300, 64), (0, 300, 64), (0, 300, 64), {}),
}


@pytest.mark.parametrize(("q", "k", "v", "change"), REFUSED.values(), ids=REFUSED)
def test_what_the_kernel_cannot_do_goes_to_the_loop(q, k, v, change, monkeypatch):
    monkeypatch.setattr(flex.importlib.util, "find_spec", lambda name: name)
    mask = change.pop("mask", None)
    assert not flex.takes(*(OnGPU(*shape, **change) for shape in (q, k, v)), mask)
    assert flex.takes(*[OnGPU(2, 300, 64, dtype=torch.bfloat16)] * 3, None)


def test_a_cpu_takes_the_loop():
    assert not flex.takes(*draw(*[(300, 64)] * 3), None)


def test_a_gpu_without_a_compiler_takes_the_loop(monkeypatch):
    monkeypatch.setattr(flex.importlib.util, "find_spec", lambda name: None)
    assert not flex.takes(*[OnGPU(300, 64)] * 3, None)


@pytest.mark.cuda
@pytest.mark.parametrize("n", [129, 1000])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@causality
@mechanisms
def test_the_kernel_equals_the_loop_on_a_gpu(mechanism, causal, dtype, n, monkeypatch):
    attend = attend_of(mechanism, n, causal)
    inputs = [x.requires_grad_() for x in draw(*[(2, 3, n, 64)] * 3, dtype=dtype, device="cuda")]
    assert flex.takes(*inputs, None)
    out = attend(*inputs)
    grads = torch.autograd.grad(out.square().sum(), inputs)
    monkeypatch.setattr(flex, "takes", lambda *inputs: False)
    expected = attend(*inputs)
    wanted = torch.autograd.grad(expected.square().sum(), inputs)
    digits = 1e-4 if dtype == torch.float32 else 3e-2
    for one, other in zip((out, *grads), (expected, *wanted), strict=True):
        assert (one - other).float().norm() <= digits * other.float().norm()
