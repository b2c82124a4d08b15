"""What is attention at offsets' own; what it shares with the others is in test_contract.py."""

import time

import numpy as np
import pytest
import torch
from helpers.tensors import draw, gradients
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode

from attention_limits.attention import dense, offsets
from attention_limits.attention.offsets import PAIRS, ROWS
from attention_limits.meters import PeakMemory


def assert_is_dense_under(sees, inputs, *, mask=None, **options):
    """Output and gradients, against PyTorch's own kernels."""
    allowed = torch.from_numpy(sees) if mask is None else torch.from_numpy(sees) & mask
    expected, wanted = gradients(dense.attend, inputs, mask=allowed)
    out, grads = gradients(offsets.attend, inputs, mask=mask, **options)
    torch.testing.assert_close(out, expected)
    for grad, want in zip(grads, wanted, strict=True):
        torch.testing.assert_close(grad, want)


def test_an_example_by_hand():
    """Scores 0 and ln 3: weights 1/4 and 3/4 where both keys exist, 1 where one does."""
    q, v = np.ones((4, 1)), np.array([[8.0], [4.0], [0.0], [16.0]])
    k = np.array([[0.0], [np.log(3)], [0.0], [np.log(3)]])
    out = offsets.define(q, k, v, offsets=(0, 1))
    assert out == pytest.approx(np.array([[8.0], [5.0], [3.0], [12.0]]))
    ahead = offsets.define(q, k, v, offsets=(-1,))
    assert ahead == pytest.approx(np.array([[4.0], [0.0], [16.0], [0.0]]))


def test_pattern_is_written_out():
    """Three offsets, one ahead: rows are queries, and the last query sits at the last key."""
    whole = ["1.1..", ".1.1.", "1.1.1", ".1.1.", "..1.1"]
    rows = [[letter == "1" for letter in row] for row in whole]
    assert offsets.visible(5, offsets=(-2, 0, 2)).tolist() == rows
    assert offsets.visible(2, n_k=5, offsets=(-2, 0, 2)).tolist() == rows[3:]
    assert offsets.visible(3, n_k=1, offsets=(-2, 0, 2)).tolist() == [[True], [False], [True]]


EDGES = [1, ROWS - 1, ROWS, ROWS + 1, 2 * ROWS + 3]


@pytest.mark.parametrize("delta", [(0, 1, ROWS - 1, ROWS, ROWS + 1), (-ROWS, -1, 0, 7), (ROWS,)])
@pytest.mark.parametrize("n", EDGES)
def test_is_dense_attention_around_every_edge_of_a_tile(n, delta):
    inputs = draw((n, 8), (n, 8), (n, 5))
    assert_is_dense_under(offsets.visible(n, offsets=delta), inputs, offsets=delta)


@given(
    n_q=st.integers(0, 30),
    n_k=st.integers(0, 30),
    delta=st.sets(st.integers(-40, 40), min_size=1, max_size=9),
    masked=st.booleans(),
    seed=st.integers(0, 9),
)
def test_is_dense_attention_whatever_the_offsets(n_q, n_k, delta, masked, seed):
    """Offsets of either sign, beyond either end, with fewer queries than keys and with more."""
    inputs = draw((2, n_q, 4), (2, n_k, 4), (2, n_k, 3), seed=seed)
    mask = torch.rand(2, n_q, n_k, generator=torch.Generator().manual_seed(seed)) < 0.6
    sees = offsets.visible(n_q, n_k=n_k, offsets=delta)
    assert_is_dense_under(sees, inputs, offsets=delta, mask=mask if masked else None)


@pytest.mark.parametrize(
    "shape", [(1, 40), (40, 1), (40, 40), (2, 1, 1, 40), (3, 1, 40), (40,)], ids=str
)
def test_a_mask_may_have_any_shape_that_broadcasts(shape):
    inputs = draw(*[(2, 3, 40, 4)] * 3)
    mask = torch.rand(shape, generator=torch.Generator().manual_seed(0)) < 0.6
    sees, delta = offsets.visible(40, offsets=(-3, 0, 1, 8)), (-3, 0, 1, 8)
    assert_is_dense_under(sees, inputs, offsets=delta, mask=mask)


def test_many_heads_make_tiles_of_a_single_query():
    """So many that one query of each has more pairs than fit in a tile."""
    heads = PAIRS // 4
    inputs = draw((heads, 9, 2), (9, 2), (9, 2))
    delta = (0, 1, 2, 3, 5, 8)
    expected = torch.stack([offsets.attend(x, *inputs[1:], offsets=delta) for x in inputs[0][:3]])
    torch.testing.assert_close(offsets.attend(*inputs, offsets=delta)[:3], expected)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize("garbage", [torch.nan, torch.inf])
def test_garbage_reaches_only_who_sees_it(garbage, dtype):
    """A weight of 0 does not silence NaN: an unseen pair must not be computed with."""
    inputs = draw(*[(12, 4)] * 3, dtype=dtype)
    delta, bad = (0, 3, 4), 5
    expected, wanted = gradients(offsets.attend, inputs, offsets=delta)
    broken = [x.index_fill(0, torch.tensor([bad]), garbage) for x in inputs]
    out, grads = gradients(offsets.attend, broken, offsets=delta)
    reached = {bad + x for x in delta} | {bad}
    kept = [i for i in range(12) if i not in reached]
    assert torch.equal(out[kept], expected[kept])
    assert out[bad].isnan().all()
    assert torch.equal(grads[0][kept], wanted[0][kept])
    # A key shares a query, and so a sum of weights, with the broken one, or it does not.
    apart = [j for j in range(12) if not {j + x for x in delta} & reached]
    assert apart
    assert all(torch.equal(g[apart], w[apart]) for g, w in zip(grads[1:], wanted[1:], strict=True))


def test_what_comes_down_to_a_query_that_sees_nothing_is_lost():
    """NaN from a loss over padded rows: 0 · NaN is NaN, and would reach every key."""
    inputs = [x.requires_grad_() for x in draw(*[(9, 4)] * 3)]
    mask = torch.ones(9, 9, dtype=torch.bool)
    mask[5] = False
    out = offsets.attend(*inputs, offsets=(2, 3), mask=mask)
    upstream = torch.ones_like(out)
    upstream[[0, 1, 5]] = torch.nan
    grads = torch.autograd.grad(out, inputs, upstream)
    assert all(grad.isfinite().all() for grad in grads)
    assert not grads[0][[0, 1, 5]].any()


@pytest.mark.parametrize("size", [1e3, 1e150])
def test_scores_whose_exponentials_overflow(size):
    """The largest wins; without a shift by it, ∞ / ∞."""
    q, k = torch.ones(9, 1).double(), size * torch.linspace(-1, 1, 9).double()[:, None]
    v = torch.arange(9, dtype=torch.float64)[:, None]
    out, grads = gradients(offsets.attend, [q, k, v], offsets=(0, 1, 4), scale=1.0)
    torch.testing.assert_close(out, v)
    torch.testing.assert_close(grads[2], torch.linspace(-1, 1, 9).double()[:, None])


def test_half_precision_is_rounded_at_the_end_only():
    q, k, v = (x.bfloat16() for x in draw(*[(60, 64)] * 3))
    single = offsets.attend(q.float(), k.float(), v.float(), offsets=(0, 1, 5))
    assert torch.equal(offsets.attend(q, k, v, offsets=(0, 1, 5)), single.bfloat16())


# Sets of offsets


def test_any_iterable_of_integers_is_a_set():
    """Each counted once: twice the same key would weigh twice."""
    inputs = draw(*[(20, 4)] * 3)
    expected = offsets.attend(*inputs, offsets=(0, 2, 5))
    assert (offsets.visible(9, offsets=[5, 0, 2, 2]) == offsets.visible(9, offsets={0, 2, 5})).all()
    for same in ([5, 0, 2], {0, 2, 5}, [0, 2, 2, 5, 0], (x for x in (5, 2, 0))):
        assert torch.equal(offsets.attend(*inputs, offsets=same), expected)
    assert offsets.cost(offsets=[5, 0, 2, 2]) == offsets.cost(offsets={0, 2, 5})


def test_helpers():
    assert offsets.powers_of_two(1) == (0,)
    assert offsets.powers_of_two(2) == (0, 1)
    assert offsets.powers_of_two(16) == (0, 1, 2, 4, 8)
    assert offsets.powers_of_two(17) == (0, 1, 2, 4, 8, 16)
    assert offsets.fibonacci(1) == (0,)
    assert offsets.fibonacci(8) == (0, 1, 2, 3, 5)
    assert offsets.fibonacci(9) == (0, 1, 2, 3, 5, 8)
    assert [offsets.butterfly(layer) for layer in range(3)] == [(0, 1), (0, 2), (0, 4)]


@pytest.mark.parametrize("n", [1, 2, 8, 64])
def test_layers_of_a_butterfly_reach_every_token_once(n):
    """log₂n layers of two keys a query, and exactly one path from each token to each later one."""
    paths = np.eye(n, dtype=int)
    for layer in range(n.bit_length() - 1):
        paths = offsets.visible(n, offsets=offsets.butterfly(layer)) @ paths
    assert (paths == np.tri(n, dtype=int)).all()


def test_powers_of_two_reach_a_distance_in_as_many_layers_as_it_has_ones():
    sees = offsets.visible(64, offsets=offsets.powers_of_two(64))[-1:]
    step, hops = offsets.visible(64, offsets=offsets.powers_of_two(64)), np.full(64, -1)
    for layer in range(1, 8):
        hops[(hops < 0) & sees[0]] = layer
        sees = sees @ step
    assert hops[::-1].tolist() == [max(1, distance.bit_count()) for distance in range(64)]


@pytest.mark.parametrize("n", [1, 2, 64, 4096])
def test_powers_of_two_need_4d_times_n_log_n_plus_1(n):
    """As the module says."""
    cost = offsets.cost(offsets=offsets.powers_of_two(n))
    assert cost.needed(n=n, d=64) == 4 * 64 * (n * (n.bit_length() - 1) + 1)


# What it costs


def test_no_flop_is_executed_but_those_of_visible_pairs():
    """Backward takes 7 products where forward takes 2; dense attention does the same in 5."""
    for n, n_k in ((300, 300), (40, 200), (200, 40)):
        inputs = [torch.empty(2, x, 8, device="meta", requires_grad=True) for x in (n, n_k, n_k)]
        delta = (-9, 0, 1, 50, 1000)
        pairs = 2 * offsets.visible(n, n_k=n_k, offsets=delta).sum()
        with FlopCounterMode(display=False) as counter:
            out = offsets.attend(*inputs, offsets=delta)
        assert counter.get_total_flops() == 4 * 8 * pairs
        with FlopCounterMode(display=False) as counter:
            out.sum().backward()
        assert counter.get_total_flops() == 14 * 8 * pairs


@pytest.mark.parametrize("backward", [False, True], ids=["forward", "forward and backward"])
def test_memory_does_not_grow_with_the_offsets_but_for_a_tile(backward):
    """One copy of the keys for each offset would be 14 times the inputs."""
    n, peaks = 8192, []
    for delta in ((0, 1), offsets.powers_of_two(n)):
        inputs = [torch.empty(n, 64, device="meta", requires_grad=backward) for _ in range(3)]
        with PeakMemory() as memory:
            out = offsets.attend(*inputs, offsets=delta)
            if backward:
                out.sum().backward()
        peaks.append(memory.peak)
    tile = 3 * ROWS * 14 * 64 * 4  # at most so many gathered at a time, the next and the last
    assert peaks[1] - peaks[0] <= 2 * tile
    assert peaks[1] < (8 if backward else 2) * n * 64 * 4


def test_a_tile_does_not_grow_with_the_heads():
    """They share it: as many queries of each would gather once more than all inputs."""
    inputs = [torch.empty(64, 1024, 64, device="meta") for _ in range(3)]
    with PeakMemory() as memory:
        offsets.attend(*inputs, offsets=offsets.powers_of_two(64))
    assert memory.peak < 1.6 * 64 * 1024 * 64 * 4


@pytest.mark.alone
def test_what_is_not_contiguous_is_copied_once():
    """PyTorch's index_select copies all of such a tensor, for each of 256 tiles.

    It frees the copy at once, so that only the time shows it.
    """
    strided = [x.mT for x in draw(*[(1, 32, 32768)] * 4, dtype=torch.float32)]
    plain = [x.contiguous() for x in strided]

    def seconds(inputs, upstream):
        inputs, before = [x.requires_grad_() for x in inputs], time.process_time()
        torch.autograd.grad(offsets.attend(*inputs, offsets=(0, 1)), inputs, upstream)
        return time.process_time() - before

    usual = min(seconds(plain[:3], plain[3]) for _ in range(3))
    assert min(seconds(strided[:3], plain[3]) for _ in range(2)) < 3 * usual
    assert min(seconds(plain[:3], strided[3]) for _ in range(2)) < 3 * usual


def test_a_row_for_all_queries_is_no_square():
    """A mask of padding is one row; written out for each query it would be n² bytes."""
    n = 8192
    inputs = [torch.empty(n, 8, device="meta", requires_grad=True) for _ in range(3)]
    mask = torch.ones(1, n, dtype=torch.bool, device="meta")
    with PeakMemory() as memory:
        offsets.attend(*inputs, offsets=(0, 1, 2, 4), mask=mask).sum().backward()
    assert memory.peak < n**2 / 10


# Streams


@pytest.mark.parametrize("chunks", [[1] * 40, [3, 1, 0, 20, 16], [40]])
def test_a_stream_holds_no_more_than_its_largest_offset(chunks):
    """And owns it: a view of the last keys would keep all others alive."""
    inputs, delta, state, seen = draw(*[(2, 40, 4)] * 3), (0, 2, 7), None, 0
    for q, k, v in zip(*(x.split(chunks, dim=-2) for x in inputs), strict=True):
        out, state = offsets.step(state, q, k, v, offsets=delta)
        now = slice(seen, seen + q.shape[-2])
        expected = offsets.attend(*(x[..., : now.stop, :] for x in inputs), offsets=delta)
        torch.testing.assert_close(out, expected[..., now, :])
        seen = now.stop
        for held, all_of_them in zip(state, inputs[1:], strict=True):
            assert torch.equal(held, all_of_them[..., max(0, seen - 7) : seen, :])
            assert held.untyped_storage().nbytes() == held.nbytes


def test_a_stream_of_a_token_by_itself_holds_nothing():
    _, state = offsets.step(None, *draw(*[(5, 4)] * 3), offsets=(0,))
    assert [x.numel() for x in state] == [0, 0]
    assert offsets.cost(offsets=(0,)).held.expr == 0


def test_a_stream_cannot_look_ahead():
    inputs = draw(*[(5, 4)] * 3)
    with pytest.raises(
        ValueError, match=r"^offsets must be at least 0 in causal attention, got -2"
    ):
        offsets.step(None, *inputs, offsets=(0, -2, 1))


@pytest.mark.parametrize("change", [{"d": 6}, {"d_v": 6}, {"lead": (3,)}], ids=str)
def test_a_step_that_does_not_continue_its_stream_is_refused(change):
    """All of q, k and v changed alike, so that they fit each other and not what is held."""

    def tokens(lead=(2,), d=4, d_v=4):
        return [torch.zeros(*lead, 3, width) for width in (d, d, d_v)]

    _, state = offsets.step(None, *tokens(), offsets=(0, 2))
    with pytest.raises(ValueError, match=r"^[kv] must continue its stream"):
        offsets.step(state, *tokens(**change), offsets=(0, 2))


def test_a_step_has_a_query_for_each_key():
    with pytest.raises(ValueError, match=r"^q must have one row per key, 4"):
        offsets.step(None, torch.zeros(3, 8), torch.zeros(4, 8), torch.zeros(4, 8), offsets=(0, 1))


# Bad inputs

DOORS = {
    "visible": lambda **options: offsets.visible(5, **options),
    "define": lambda **options: offsets.define(*[np.ones((5, 4))] * 3, **options),
    "attend": lambda **options: offsets.attend(*[torch.ones(5, 4)] * 3, **options),
    "cost": offsets.cost,
}


@pytest.mark.parametrize("door", DOORS.values(), ids=DOORS)
@pytest.mark.parametrize(
    "bad",
    [(), [], set(), 3, None, (0, 1.0), (0, True), "012", ("1",), np.arange(3.0), torch.arange(3.0)],
    ids=repr,
)
def test_what_is_no_set_of_integers_is_refused(door, bad):
    with pytest.raises(ValueError, match=r"^offsets must be integers, at least one, got "):
        door(offsets=bad)


@pytest.mark.parametrize("door", DOORS.values(), ids=DOORS)
def test_causal_changes_nothing_but_refuses_to_look_ahead(door):
    same, again = door(offsets=(0, 2)), door(offsets=(0, 2), causal=True)
    assert np.all(np.asarray(same) == np.asarray(again))
    with pytest.raises(
        ValueError, match=r"^offsets must be at least 0 in causal attention, got -2"
    ):
        door(offsets=(0, -2, -1), causal=True)


@pytest.mark.parametrize(
    ("helper", "name"),
    [(offsets.powers_of_two, "n"), (offsets.fibonacci, "n"), (offsets.butterfly, "layer")],
)
@pytest.mark.parametrize("bad", [-1, 2.0, None, True])
def test_a_bad_length_is_refused_by_name(helper, name, bad):
    with pytest.raises(ValueError, match=rf"^{name} must be an integer"):
        helper(bad)
