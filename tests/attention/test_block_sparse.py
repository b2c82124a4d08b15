"""What is block-sparse attention's own; the rest is in test_contract and test_tiles."""

import numpy as np
import pytest
import torch
from helpers.tensors import draw
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode

from attention_limits.attention import block_sparse, dense, sliding_window


def drawn_layout(blocks, share=0.4, seed=0):
    return np.random.default_rng(seed).random((blocks, blocks)) < share


causality = pytest.mark.parametrize("causal", [False, True], ids=["both ways", "causal"])


# Who sees whom


def test_the_pattern_by_hand():
    """Blocks of 2 over 5 positions, the last block one position short."""
    layout = np.array([[1, 0, 1], [1, 1, 0], [0, 0, 0]], dtype=bool)
    sees = block_sparse.visible(5, layout=layout, block=2)
    first, second = [1, 1, 0, 0, 1], [1, 1, 1, 1, 0]
    assert (sees == [first, first, second, second, [0] * 5]).all()
    causal = block_sparse.visible(5, layout=layout, block=2, causal=True)
    assert (causal == [[1, 0, 0, 0, 0], [1, 1, 0, 0, 0], [1, 1, 1, 0, 0], second, [0] * 5]).all()


def test_the_pattern_of_unequal_lengths_by_hand():
    """The layout is one of positions: three queries on five keys are at positions 2, 3, 4."""
    layout = np.array([[1, 0, 1], [1, 0, 0], [0, 0, 1]], dtype=bool)
    few = block_sparse.visible(3, n_k=5, layout=layout, block=2)
    assert (few == [[1, 1, 0, 0, 0], [1, 1, 0, 0, 0], [0, 0, 0, 0, 1]]).all()
    many = block_sparse.visible(4, n_k=2, layout=np.array([[True]]), block=2)
    assert (many == [[0, 0], [0, 0], [1, 1], [1, 1]]).all()


@causality
@pytest.mark.parametrize("window", [1, 2, 7])
def test_blocks_of_one_are_a_sliding_window(window, causal):
    layout = block_sparse.local(40, width=window)
    inputs = draw(*[(2, 40, 8)] * 3)
    out = block_sparse.attend(*inputs, layout=layout, block=1, causal=causal)
    torch.testing.assert_close(out, sliding_window.attend(*inputs, window=window, causal=causal))


@causality
@pytest.mark.parametrize("block", [1, 7, 64, 200])
def test_a_layout_of_all_is_dense_attention(block, causal):
    blocks = -(-200 // block)
    inputs = draw(*[(2, 200, 8)] * 3)
    layout = np.full((blocks, blocks), True)
    out = block_sparse.attend(*inputs, layout=layout, block=block, causal=causal)
    torch.testing.assert_close(out, dense.attend(*inputs, causal=causal))


# Equal to what it should be


@causality
@pytest.mark.parametrize("block", [1, 16, 23, 70])
@pytest.mark.parametrize(("n_q", "n_k"), [(96, 96), (97, 97), (1, 97), (40, 97), (130, 70)])
def test_is_dense_attention_under_its_layout(n_q, n_k, block, causal):
    """Output and gradients; blocks that divide n_k and that do not, queries amid a block."""
    layout = drawn_layout(-(-n_k // block))
    inputs = [x.requires_grad_() for x in draw((2, n_q, 8), (2, n_k, 8), (2, n_k, 5))]
    options = {"layout": layout, "block": block, "causal": causal}
    out = block_sparse.attend(*inputs, **options)
    mask = torch.from_numpy(block_sparse.visible(n_q, n_k=n_k, **options))
    expected = dense.attend(*inputs, mask=mask)
    torch.testing.assert_close(out, expected)
    upstream = torch.linspace(-1, 1, out.numel(), dtype=out.dtype).view_as(out)
    for one, other in zip(
        torch.autograd.grad(out, inputs, upstream),
        torch.autograd.grad(expected, inputs, upstream),
        strict=True,
    ):
        torch.testing.assert_close(one, other)


@given(
    n_q=st.integers(0, 100),
    n_k=st.integers(1, 100),
    block=st.integers(1, 100),
    causal=st.booleans(),
    density=st.sampled_from([0.0, 0.2, 0.7]),
    share=st.sampled_from([None, 0.05, 0.7]),
    seed=st.integers(0, 9),
)
def test_equals_its_definition_whatever_the_layout(n_q, n_k, block, causal, density, share, seed):
    block = min(block, n_k)
    q, k, v = draw((2, n_q, 4), (2, n_k, 4), (2, n_k, 3), seed=seed)
    mask = None if share is None else torch.rand(2, n_q, n_k) < share
    layout = drawn_layout(-(-n_k // block), share=density, seed=seed)
    options = {"layout": layout, "block": block, "causal": causal}
    out = block_sparse.attend(q, k, v, mask=mask, **options)
    arrays = [x.numpy() for x in (q, k, v)]
    mask = None if mask is None else mask.numpy()
    expected = block_sparse.define(*arrays, mask=mask, **options)
    np.testing.assert_allclose(out.numpy(), expected, atol=1e-12)


def test_an_example_by_hand():
    """Equal scores: the mean of the values that the block sees."""
    layout = np.array([[1, 0], [1, 1]], dtype=bool)
    q, k, v = np.zeros((3, 1)), np.ones((3, 1)), np.array([[2.0], [4.0], [12.0]])
    for causal, expected in [(False, [3, 3, 6]), (True, [2, 3, 6])]:
        options = {"layout": layout, "block": 2, "causal": causal}
        assert block_sparse.define(q, k, v, **options)[:, 0] == pytest.approx(expected)
        out = block_sparse.attend(*(torch.from_numpy(x) for x in (q, k, v)), **options)
        assert out[:, 0].tolist() == pytest.approx(expected)


@causality
def test_a_row_without_a_block_gives_zero_and_zero_gradients(causal):
    layout = np.full((4, 4), True)
    layout[1] = False
    inputs = [x.requires_grad_() for x in draw(*[(2, 40, 8)] * 3)]
    out = block_sparse.attend(*inputs, layout=layout, block=10, causal=causal)
    grads = torch.autograd.grad(out.sum(), inputs)
    rows = torch.arange(40) // 10 != 1
    assert (out.any(-1) == rows).all()
    assert not grads[0][:, ~rows].any()
    assert all(grad.isfinite().all() for grad in grads)


def test_a_block_that_is_in_no_row_may_hold_anything():
    """No mask is needed to keep out what the layout leaves out."""
    layout = np.full((4, 4), True)
    layout[:, 2] = False
    q, k, v = draw(*[(2, 40, 8)] * 3)
    expected = block_sparse.attend(q, k, v, layout=layout, block=10)
    k[:, 20:30], v[:, 20:30] = torch.nan, torch.inf
    inputs = [x.requires_grad_() for x in (q, k, v)]
    out = block_sparse.attend(*inputs, layout=layout, block=10)
    assert torch.equal(out, expected)
    assert all(grad.isfinite().all() for grad in torch.autograd.grad(out.sum(), inputs))


def test_no_queries_amid_a_block():
    """The empty tile has no corner in the largest one."""
    layout = np.full((2, 2), True)
    q, k = torch.zeros(2, 0, 8), torch.zeros(2, 5, 8)
    assert block_sparse.attend(q, k, k, layout=layout, block=3, causal=True).shape == (2, 0, 8)


def test_a_layout_in_any_memory_order_is_the_same():
    """A transposed layout is a view whose bytes lie the other way."""
    layout = np.triu(drawn_layout(5), 1)
    inputs = draw(*[(50, 8)] * 3)
    out = block_sparse.attend(*inputs, layout=layout.T, block=10)
    assert torch.equal(out, block_sparse.attend(*inputs, layout=layout.T.copy(), block=10))
    assert not torch.equal(out, block_sparse.attend(*inputs, layout=layout, block=10))


@causality
def test_blocks_that_lie_together_are_not_gathered(causal, monkeypatch):
    """Copies of keys that are where they should be are what a local layout need not pay for."""
    inputs = draw(*[(95, 8)] * 3)
    options = {"layout": block_sparse.local(10, width=3), "block": 10, "causal": causal}
    expected = block_sparse.define(*(x.numpy() for x in inputs), **options)
    monkeypatch.setattr(torch, "cat", None)
    np.testing.assert_allclose(block_sparse.attend(*inputs, **options).numpy(), expected)


# What it costs


@causality
@pytest.mark.parametrize("n", [31, 80, 81, 95, 96])
def test_the_cost_counts_every_block_once(n, causal):
    """Needed by the pattern, executed by PyTorch's counter; a last block of any length."""
    layout = drawn_layout(-(-n // 16))
    layout[-1, -1] = True  # or n might not be in the formula
    options = {"layout": layout, "block": 16, "causal": causal}
    cost = block_sparse.cost(**options)
    assert cost.needed(n=n, d=12) == 4 * 12 * block_sparse.visible(n, **options).sum()
    with FlopCounterMode(display=False) as counter:
        block_sparse.attend(*[torch.empty(n, 12, device="meta")] * 3, **options)
    assert counter.get_total_flops() == cost.executed(n=n, d=12)


def test_needs_what_the_module_says():
    """4dB² FLOPs a pair of full blocks, here seven of them."""
    layout = block_sparse.local(3, width=2)
    assert block_sparse.cost(layout=layout, block=16).needed(n=48, d=64) == 7 * 4 * 64 * 16**2


# Layouts


def test_layouts_by_hand():
    local = [[1, 1, 0, 0], [1, 1, 1, 0], [0, 1, 1, 1], [0, 0, 1, 1]]
    strided = [[1, 0, 1, 0], [0, 1, 0, 1], [1, 0, 1, 0], [0, 1, 0, 1]]
    wanted = [[1, 1, 1, 1], [1, 0, 0, 0], [1, 0, 0, 0], [1, 0, 0, 0]]
    assert (block_sparse.local(4, width=2) == local).all()
    assert (block_sparse.strided(4, stride=2) == strided).all()
    assert (block_sparse.global_blocks(4, first=1) == wanted).all()
    assert not block_sparse.global_blocks(4, first=0).any()


def everyone(blocks):
    return {
        "local": block_sparse.local(blocks, width=3),
        "strided": block_sparse.strided(blocks, stride=3),
        "global_blocks": block_sparse.global_blocks(blocks, first=2),
        "random": block_sparse.random(blocks, per_row=2, seed=0),
        "bigbird": block_sparse.bigbird(blocks, width=2, first=1, per_row=2, seed=0),
    }


@pytest.mark.parametrize("blocks", [0, 1, 2, 30])
def test_layouts_are_squares_of_booleans(blocks):
    """Of any number of blocks, even where fewer are there than a row would have."""
    for layout in everyone(blocks).values():
        assert layout.dtype == bool
        assert layout.shape == (blocks, blocks)


def test_random_blocks_are_as_many_as_asked_for_and_follow_the_seed():
    layouts = [block_sparse.random(30, per_row=4, seed=seed) for seed in (0, 0, 1)]
    assert all((layout.sum(axis=1) == 4).all() for layout in layouts)
    assert (layouts[0] == layouts[1]).all()
    assert (layouts[0] != layouts[2]).any()
    assert len(np.unique(layouts[0], axis=0)) > 20  # not the same draw in every row


def test_random_blocks_join_those_that_are_there():
    """Drawn among all, some would repeat a local one, and a row would have fewer keys."""
    planned = block_sparse.local(30, width=2) | block_sparse.global_blocks(30, first=1)
    layout = block_sparse.bigbird(30, width=2, first=1, per_row=3, seed=0)
    assert (layout >= planned).all()
    assert (layout.sum(axis=1) == np.minimum(planned.sum(axis=1) + 3, 30)).all()
    drawn = block_sparse.random(30, per_row=3, seed=0, besides=planned)
    assert not (drawn & planned).any()
    assert (layout == planned | drawn).all()


def test_random_blocks_of_a_causal_model_are_in_the_past():
    """Half of those drawn among all would be masked, and the row that much poorer."""
    layout = block_sparse.random(30, per_row=4, seed=0, causal=True)
    assert not np.triu(layout, 1).any()
    assert (layout.sum(axis=1) == np.minimum(np.arange(30) + 1, 4)).all()
    causal = block_sparse.bigbird(30, width=2, first=1, per_row=3, seed=0, causal=True)
    past = np.tril(block_sparse.local(30, width=2) | block_sparse.global_blocks(30, first=1))
    full = np.minimum(past.sum(axis=1) + 3, np.arange(30) + 1)
    assert (np.tril(causal).sum(axis=1) == full).all()


def in_two_layers(layout):
    return (layout.astype(int) @ layout > 0).all()


def test_who_is_within_two_layers_of_whom():
    """What the module says of global blocks and strides; neighbours alone do not suffice."""
    local = block_sparse.local(30, width=5)
    through_one = block_sparse.global_blocks(30, first=1)
    strided = block_sparse.strided(30, stride=5)
    assert in_two_layers(through_one)
    assert in_two_layers(local | strided)
    assert not in_two_layers(local)
    assert not in_two_layers(block_sparse.local(30, width=4) | strided)
    past = np.tril(local | strided).astype(int)
    assert (past @ past > 0).sum() == 30 * 31 / 2  # causal: all of the past
    assert (np.tril(through_one).astype(int) @ np.tril(through_one) > 0).sum() < 30 * 31 / 2


# Bad inputs

BAD = {
    "no block": ("block", {"block": 0}),
    "half a block": ("block", {"block": 2.0}),
    "a block longer than the keys": ("block", {"block": 11, "layout": np.full((1, 1), True)}),
    "a list": ("layout", {"layout": [[True] * 5] * 5}),
    "a tensor": ("layout", {"layout": torch.ones(5, 5, dtype=torch.bool)}),
    "integers": ("layout", {"layout": np.ones((5, 5), dtype=int)}),
    "one axis": ("layout", {"layout": np.full(5, True)}),
    "no axis": ("layout", {"layout": np.array(True)}),
    "too few blocks": ("layout", {"layout": np.full((4, 4), True)}),
    "too many blocks": ("layout", {"layout": np.full((6, 6), True)}),
    "no square": ("layout", {"layout": np.full((5, 4), True)}),
    "one for each head": ("layout", {"layout": np.full((2, 5, 5), True)}),
}


@pytest.mark.parametrize(("name", "change"), BAD.values(), ids=BAD)
def test_a_layout_that_does_not_fit_is_refused_by_name(name, change):
    options = {"layout": np.full((5, 5), True), "block": 2} | change
    inputs = [torch.zeros(2, 10, 8)] * 3
    for call in (
        lambda: block_sparse.attend(*inputs, **options),
        lambda: block_sparse.define(*(x.numpy() for x in inputs), **options),
        lambda: block_sparse.visible(10, **options),
    ):
        with pytest.raises(ValueError, match=rf"^{name} must "):
            call()


def test_no_keys_have_no_blocks():
    none = {"layout": np.full((0, 0), True), "block": 1}
    assert block_sparse.visible(3, n_k=0, **none).shape == (3, 0)
    q, k = torch.zeros(3, 8), torch.zeros(0, 8)
    assert not block_sparse.attend(q, k, k, **none).any()
    with pytest.raises(
        ValueError, match=r"^block must be at most n_k = 0, or 1 if n_k is 0, got 2"
    ):
        block_sparse.visible(3, n_k=0, layout=np.full((0, 0), True), block=2)


@pytest.mark.parametrize(
    "layout", [[[True]], np.ones((2, 2)), np.full((2, 3), True), np.array(True)], ids=repr
)
def test_the_cost_of_no_layout_is_refused_by_name(layout):
    with pytest.raises(ValueError, match=r"^layout must "):
        block_sparse.cost(layout=layout, block=2)
    with pytest.raises(ValueError, match=r"^block must "):
        block_sparse.cost(layout=np.full((2, 2), True), block=0)


@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("blocks", lambda: block_sparse.local(-1, width=1)),
        ("width", lambda: block_sparse.local(3, width=0)),
        ("stride", lambda: block_sparse.strided(3, stride=0)),
        ("first", lambda: block_sparse.global_blocks(3, first=-1)),
        ("blocks", lambda: block_sparse.global_blocks(2.0, first=1)),
        ("per_row", lambda: block_sparse.random(3, per_row=-1, seed=0)),
        ("blocks", lambda: block_sparse.bigbird(None, width=1, first=1, per_row=1, seed=0)),
    ],
)
def test_a_layout_that_cannot_be_made_is_refused_by_name(name, call):
    with pytest.raises(ValueError, match=rf"^{name} must be an integer of at least"):
        call()
