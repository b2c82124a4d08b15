"""What is a sliding window's own; what it shares with others is in test_contract and test_tiles."""

import numpy as np
import pytest
import torch
from helpers.tensors import draw
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode

from attention_limits import symbols
from attention_limits.attention import dense, sliding_window
from attention_limits.attention.sliding_window import TILE

causality = pytest.mark.parametrize("causal", [False, True], ids=["both ways", "causal"])


# Who sees whom


def test_the_pattern_by_hand():
    """A window of 2: the key itself and one back; both ways, one ahead as well."""
    causal = [[1, 0, 0, 0], [1, 1, 0, 0], [0, 1, 1, 0], [0, 0, 1, 1]]
    both = [[1, 1, 0, 0], [1, 1, 1, 0], [0, 1, 1, 1], [0, 0, 1, 1]]
    assert (sliding_window.visible(4, window=2, causal=True) == causal).all()
    assert (sliding_window.visible(4, window=2) == both).all()


def test_the_pattern_of_unequal_lengths_by_hand():
    """The last query sits at the last key; the first of five queries is before all two keys."""
    few = [[0, 1, 1, 0], [0, 0, 1, 1]]
    many = [[0, 0], [0, 0], [1, 0], [1, 1], [1, 1]]
    assert (sliding_window.visible(2, n_k=4, window=2, causal=True) == few).all()
    assert (sliding_window.visible(5, n_k=2, window=2) == many).all()


@pytest.mark.parametrize("window", [1, 2, TILE, TILE + 1, 1000])
def test_sees_exactly_window_keys(window):
    """Peers disagree by one here: w visible keys, the query's own included; 2w − 1 both ways."""
    i = np.arange(300)
    past, ahead = np.minimum(i, window - 1), np.minimum(299 - i, window - 1)
    causal = sliding_window.visible(300, window=window, causal=True)
    assert (causal.sum(axis=1) == past + 1).all()
    both = sliding_window.visible(300, window=window)
    assert (both.sum(axis=1) == past + 1 + ahead).all()


@pytest.mark.parametrize("window", [1, 2, TILE, TILE + 1, 1000])
@causality
def test_attend_looks_at_exactly_those_keys(window, causal):
    """Each key's value is a unit vector of its own, so that the output shows who was seen."""
    q, k = draw((300, 8), (300, 8))
    weights = sliding_window.attend(q, k, torch.eye(300).double(), window=window, causal=causal)
    assert (
        (weights != 0).numpy() == sliding_window.visible(300, window=window, causal=causal)
    ).all()


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_each_layer_reaches_window_minus_one_further(layers):
    """As the module says; an output may depend on what is layers · (w − 1) back, and no more."""
    n, window = 40, 5
    x = draw((n, 4))[0].requires_grad_()
    y = x
    for _ in range(layers):
        y = sliding_window.attend(y, y, y, window=window, causal=True)
    (gradient,) = torch.autograd.grad(y[-1].sum(), x)
    reached = gradient.any(-1).flip(0).int()
    assert reached.sum() == layers * (window - 1) + 1
    assert reached[: layers * (window - 1) + 1].all()


# Equal to what it should be

LENGTHS = [1, TILE - 1, TILE, TILE + 1, 3 * TILE + 5]
WINDOWS = [1, 2, TILE - 1, TILE, TILE + 1, 2 * TILE, 10**9]
UNEQUAL = [(1, 200), (70, 200), (200, 70), (TILE, 3 * TILE), (3 * TILE, TILE)]


@causality
@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize(("n_q", "n_k"), [(n, n) for n in LENGTHS] + UNEQUAL)
def test_is_dense_attention_under_a_band(n_q, n_k, window, causal):
    """Output and gradients, around every edge of a tile; a window of 10⁹ sees all."""
    inputs = [x.requires_grad_() for x in draw((2, n_q, 8), (2, n_k, 8), (2, n_k, 5))]
    out = sliding_window.attend(*inputs, window=window, causal=causal)
    mask = torch.from_numpy(sliding_window.visible(n_q, n_k=n_k, window=window, causal=causal))
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
    n_q=st.integers(0, 150),
    n_k=st.integers(0, 150),
    window=st.integers(1, 160),
    causal=st.booleans(),
    share=st.sampled_from([None, 0.05, 0.7]),
    padded=st.booleans(),
)
def test_equals_its_definition_whatever_the_window(n_q, n_k, window, causal, share, padded):
    q, k, v = draw((2, n_q, 4), (2, n_k, 4), (2, n_k, 3))
    mask = None
    if share is not None:
        mask = torch.rand(2, 1 if padded else n_q, n_k) < share
    options = {"window": window, "causal": causal}
    out = sliding_window.attend(q, k, v, mask=mask, **options)
    arrays = [x.numpy() for x in (q, k, v)]
    mask = None if mask is None else mask.numpy()
    expected = sliding_window.define(*arrays, mask=mask, **options)
    np.testing.assert_allclose(out.numpy(), expected, atol=1e-12)


def test_an_example_by_hand():
    """Equal scores: each output is the mean of the last two values, or of three around it."""
    q, k, v = np.zeros((4, 1)), np.ones((4, 1)), np.array([[2.0], [4.0], [8.0], [16.0]])
    causal, both = [2, 3, 6, 12], [3, 14 / 3, 28 / 3, 12]
    tensors = [torch.from_numpy(x) for x in (q, k, v)]
    for options, expected in [({"causal": True}, causal), ({}, both)]:
        assert sliding_window.define(q, k, v, window=2, **options)[:, 0] == pytest.approx(expected)
        out = sliding_window.attend(*tensors, window=2, **options)
        assert out[:, 0].numpy() == pytest.approx(np.array(expected))


@causality
def test_a_window_of_one_gives_each_value_back(causal):
    """A softmax of one score is 1 whatever the score, so none of it reaches q or k: exactly 0."""
    inputs = [x.requires_grad_() for x in draw(*[(2, 100, 8)] * 3, dtype=torch.float32)]
    out = sliding_window.attend(*inputs, window=1, causal=causal)
    assert torch.equal(out, inputs[2])
    upstream = torch.randn(out.shape)
    dq, dk, dv = torch.autograd.grad(out, inputs, upstream)
    assert not dq.any()
    assert not dk.any()
    assert torch.equal(dv, upstream)


def test_the_first_token_s_query_has_no_gradient():
    """It sees one key; rounding must not pretend that its scores matter."""
    inputs = [x.requires_grad_() for x in draw(*[(2, 100, 60)] * 3, dtype=torch.float32)]
    out = sliding_window.attend(*inputs, window=30, causal=True)
    (dq,) = torch.autograd.grad(out.square().sum(), inputs[:1])
    assert not dq[:, 0].any()


def test_keys_before_every_window_may_hold_anything():
    """No query sees them, mask or no mask: a cache longer than the window, not yet cleaned."""
    q, k, v = draw((5, 8), (300, 8), (300, 8))
    expected = sliding_window.attend(q, k, v, window=20, causal=True)
    k[: 300 - 24], v[: 300 - 24] = torch.nan, torch.inf
    inputs = [x.requires_grad_() for x in (q, k, v)]
    out = sliding_window.attend(*inputs, window=20, causal=True)
    assert torch.equal(out, expected)
    for grad in torch.autograd.grad(out.sum(), inputs):
        assert grad.isfinite().all()


def test_a_window_wholly_inside_the_padding():
    """The last queries are real and every key near them is not: 0, and finite gradients."""
    inputs = [x.requires_grad_() for x in draw(*[(2, 200, 8)] * 3)]
    mask = (torch.arange(200) < 100)[None]
    out = sliding_window.attend(*inputs, window=30, causal=True, mask=mask)
    assert out[:, :129].all()
    assert not out[:, 129:].any()
    grads = torch.autograd.grad(out.sum(), inputs)
    assert all(grad.isfinite().all() for grad in grads)
    assert not grads[0][:, 129:].any()


@causality
def test_a_mask_joins_the_window_by_and(causal):
    """A mask that allows all changes nothing, and one that allows a column opens no window."""
    inputs = draw(*[(2, 150, 8)] * 3)
    options = {"window": 20, "causal": causal}
    everything = torch.ones(150, 150, dtype=torch.bool)
    out = sliding_window.attend(*inputs, mask=everything, **options)
    torch.testing.assert_close(out, sliding_window.attend(*inputs, **options))
    column = torch.zeros(150, 150, dtype=torch.bool)
    column[:, 70] = True
    sees = sliding_window.attend(*inputs, mask=column, **options).any(-1)[0]
    assert (sees.numpy() == sliding_window.visible(150, **options)[:, 70]).all()


# What it costs


@causality
@pytest.mark.parametrize("window", [1, 2, TILE, 3 * TILE + 1, 1000])
def test_the_formula_for_any_window_is_that_for_each(window, causal):
    """With the window left open, a slider can move it."""
    n = np.array([1, TILE - 1, TILE, TILE + 1, 500, 2**20])
    open_, closed = (sliding_window.cost(window=w, causal=causal) for w in (symbols.w, window))
    for name in ("needed", "executed", "held"):
        values = {"n": n, "d": 64, "b": 4, "w": window}
        for_any, for_each = getattr(open_, name), getattr(closed, name)
        one, other = (
            formula.numpy(**{symbol.name: values[symbol.name] for symbol in formula.symbols})
            for formula in (for_any, for_each)
        )
        assert (one == other).all()


@causality
@pytest.mark.parametrize("window", [1, TILE - 1, TILE, TILE + 1, 3 * TILE + 1, 1000])
def test_the_formula_counts_every_tile(window, causal):
    """Around each edge that it has a case for: of a tile, of the window, of the sequence."""
    executed = sliding_window.cost(window=window, causal=causal).executed
    for n in (1, TILE - 1, TILE, TILE + 1, 2 * TILE, 3 * TILE - 1, 5 * TILE + 20):
        with FlopCounterMode(display=False) as counter:
            inputs = [torch.empty(n, 12, device="meta")] * 3
            sliding_window.attend(*inputs, window=window, causal=causal)
        assert counter.get_total_flops() == executed(n=n, d=12)


def test_needs_what_the_module_says():
    """4d (nw − w(w − 1)/2) from n = w on, and dense attention's before."""
    needed = sliding_window.cost(window=256, causal=True).needed
    assert needed(n=5000, d=64) == 4 * 64 * (5000 * 256 - 256 * 255 / 2)
    short = sliding_window.cost(window=1000, causal=True).needed
    assert short(n=999, d=64) == dense.cost(causal=True).needed(n=999, d=64)
    assert short(n=1001, d=64) < dense.cost(causal=True).needed(n=1001, d=64)


@causality
def test_a_long_sequence_wastes_what_a_tile_adds_to_a_window(causal):
    """B − 1 keys beside the w, or 2w − 1, that each query needs."""
    cost = sliding_window.cost(window=256, causal=causal)
    needs = 256 if causal else 511
    ratio = cost.executed(n=2**24, d=64) / cost.needed(n=2**24, d=64)
    assert ratio == pytest.approx((needs + TILE - 1) / needs, rel=1e-3)


# Streams


@pytest.mark.parametrize("window", [1, 2, 30, 200])
@pytest.mark.parametrize("chunks", [[1] * 70, [0, 40, 1, 29], [29, 30, 11], [3, 67, 0]], ids=len)
def test_a_stream_may_come_in_any_chunks(chunks, window):
    inputs = draw(*[(2, 70, 8)] * 3)
    state, outputs = None, []
    for tokens in zip(*(x.split(chunks, dim=-2) for x in inputs), strict=True):
        out, state = sliding_window.step(state, *tokens, window=window, scale=0.7)
        outputs.append(out)
    expected = sliding_window.attend(*inputs, window=window, causal=True, scale=0.7)
    torch.testing.assert_close(torch.cat(outputs, dim=-2), expected)
    kept = min(70, window - 1)
    assert torch.equal(state.keys, inputs[1][:, 70 - kept :])
    assert torch.equal(state.values, inputs[2][:, 70 - kept :])


@pytest.mark.parametrize("window", [1, 5])
def test_a_stream_keeps_no_more_alive_than_it_shows(window):
    """A view of the last keys would hold on to all of them, and to the caller's tensors."""
    state = None
    for tokens in (1000, 3, 1):
        q, k, v = draw(*[(2, tokens, 8)] * 3)
        _, state = sliding_window.step(state, q, k, v, window=window)
        for held in state:
            assert held.untyped_storage().nbytes() == held.nbytes == 2 * (window - 1) * 8 * 8


def test_a_short_stream_is_not_the_caller_s_tensor():
    q, k, v = draw(*[(2, 3, 8)] * 3)
    _, state = sliding_window.step(None, q, k, v, window=100)
    k.zero_()
    assert state.keys.any()


def test_a_step_has_a_query_for_each_key():
    """A query more would sit before the new keys, whose window is no longer all there."""
    with pytest.raises(ValueError, match=r"^q must have one row per key, 4"):
        sliding_window.step(None, torch.zeros(5, 8), torch.zeros(4, 8), torch.zeros(4, 8), window=3)


@pytest.mark.parametrize(
    "change", [{"d": 6}, {"d_v": 6}, {"lead": (3,)}, {"dtype": torch.float64}], ids=str
)
def test_a_step_that_does_not_continue_its_stream_is_refused(change):
    def tokens(lead=(2,), d=8, d_v=8, dtype=torch.float32):
        return [torch.zeros(*lead, 4, width, dtype=dtype) for width in (d, d, d_v)]

    _, state = sliding_window.step(None, *tokens(), window=3)
    with pytest.raises(ValueError, match=r"^[kv] must continue its stream"):
        sliding_window.step(state, *tokens(**change), window=3)


@pytest.mark.parametrize("window", [0, -1, 2.0, None, True, "3"])
def test_a_window_that_is_none_is_refused_by_name(window):
    inputs = [torch.zeros(4, 8)] * 3
    arrays = [x.numpy() for x in inputs]
    for call in (
        lambda: sliding_window.attend(*inputs, window=window),
        lambda: sliding_window.step(None, *inputs, window=window),
        lambda: sliding_window.define(*arrays, window=window),
        lambda: sliding_window.visible(4, window=window),
        lambda: sliding_window.cost(window=window),
    ):
        with pytest.raises(ValueError, match=r"^window must be an integer of at least 1, got "):
            call()
