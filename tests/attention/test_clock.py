"""What is clock attention's own; what it shares with the others is in test_contract.py."""

import numpy as np
import pytest
import torch
from helpers.tensors import assert_close, draw, draw_qkv, gradients
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from attention_limits.attention import clock, dense
from attention_limits.meters import PeakMemory


def masked(q, k, v, *, period):
    """Dense attention by the tick's query, under a mask that leaves it the ticks before."""
    t = torch.from_numpy(clock.ticks(k.shape[-2], period=period))
    mask = (t == torch.arange(len(t))) & (t <= t[:, None])
    return dense.attend(q[..., t, :], k, v, mask=mask)


def test_an_example_by_hand():
    """Period 2: tokens 2 and 3 answer the query 1 of token 2, over the keys 0 and ln 3."""
    q = np.array([[5.0], [9.0], [1.0], [9.0]])
    k = np.array([[0.0], [9.0], [np.log(3)], [9.0]])
    v = np.array([[8.0], [99.0], [4.0], [99.0]])
    out = clock.define(q, k, v, period=2)
    assert out == pytest.approx(np.array([[8.0], [8.0], [5.0], [5.0]]))


def test_ticks():
    assert clock.ticks(7, period=3).tolist() == [0, 0, 0, 3, 3, 3, 6]
    assert clock.ticks(3, period=1).tolist() == [0, 1, 2]
    assert clock.ticks(3, period=9).tolist() == [0, 0, 0]
    assert clock.ticks(0, period=2).tolist() == []


def test_period_one_is_dense_attention():
    inputs = draw((2, 3, 40, 8), (2, 1, 40, 8), (2, 1, 40, 5))
    expected, wanted = gradients(dense.attend, inputs, causal=True)
    for period in (1, [1, 1, 1]):
        out, grads = gradients(clock.attend, inputs, period=period)
        torch.testing.assert_close(out, expected)
        for grad, want in zip(grads, wanted, strict=True):
            torch.testing.assert_close(grad, want)


@pytest.mark.parametrize("period", [1, 2, 3, 16, 32, 33, 34, 100])
def test_is_dense_attention_of_the_ticks(period):
    """Around the length, and where the last period is not complete."""
    inputs = draw((2, 33, 8), (2, 33, 8), (2, 33, 5))
    expected, wanted = gradients(masked, inputs, period=period)
    out, grads = gradients(clock.attend, inputs, period=period)
    torch.testing.assert_close(out, expected)
    for grad, want in zip(grads, wanted, strict=True):
        torch.testing.assert_close(grad, want)


@given(
    n_q=st.integers(0, 20),
    n_k=st.integers(0, 20),
    period=st.integers(1, 9) | st.lists(st.integers(1, 9), min_size=3, max_size=3),
)
def test_equals_its_definition_whatever_the_lengths(n_q, n_k, period):
    inputs = draw((2, 3, n_q, 4), (2, 3, n_k, 4), (2, 3, n_k, 2))
    expected = clock.define(*(x.numpy() for x in inputs), period=period)
    torch.testing.assert_close(clock.attend(*inputs, period=period), torch.from_numpy(expected))


@pytest.mark.parametrize("n_q", [1, 2, 4, 5, 6, 9, 10, 14])
def test_queries_are_the_last_ones(n_q):
    """From the first tick among them on, they get what they get in the whole sequence."""
    q, k, v = draw(*[(14, 4)] * 3)
    whole = clock.attend(q, k, v, period=5)
    part = clock.attend(q[-n_q:], k, v, period=5)
    late = -(14 - n_q) % 5
    torch.testing.assert_close(part[late:], whole[14 - n_q :][late:])
    # Before it, the first of them stands in for the tick's query, which is not there.
    tick = (14 - n_q) // 5 * 5
    alone = dense.attend(q[-n_q:][:1], k[: tick + 1 : 5], v[: tick + 1 : 5])
    torch.testing.assert_close(part[:late], alone.expand(n_q, 4)[:late])


def test_each_head_has_its_own_period():
    """Periods go with the last leading axis, whatever comes before it and whatever is shared."""
    q, k, v = draw((2, 3, 20, 4), (2, 1, 20, 4), (20, 5))
    periods = (4, 1, 7)
    expected, wanted = gradients(clock.attend, [q, k, v], period=periods)
    for head, period in enumerate(periods):
        one = clock.attend(q[:, head], k[:, 0], v, period=period)
        torch.testing.assert_close(expected[:, head], one)
    swapped = clock.attend(q.flip(1), k, v, period=periods[::-1])
    torch.testing.assert_close(swapped.flip(1), expected)
    assert [grad.shape for grad in wanted] == [q.shape, k.shape, v.shape]
    defined = clock.define(*(x.numpy() for x in (q, k, v)), period=periods)
    torch.testing.assert_close(expected, torch.from_numpy(defined))


def test_tokens_between_the_ticks_may_hold_anything():
    """They are not looked at, so NaN in their queries, keys and values changes nothing."""
    inputs = draw(*[(20, 4)] * 3)
    ticking = (torch.arange(20) % 6 == 0)[:, None]
    broken = [torch.where(ticking, x, torch.nan) for x in inputs]
    expected, wanted = gradients(clock.attend, inputs, period=6)
    out, grads = gradients(clock.attend, broken, period=6)
    assert torch.equal(out, expected)
    assert all(map(torch.equal, grads, wanted))
    assert not any(grad[~ticking[:, 0]].any() for grad in grads)


# What it costs


@pytest.mark.parametrize("period", [1, 7, 64])
def test_needs_the_square_of_the_ticks(period):
    """Counted by hand: a tick sees itself and those before it."""
    n, d = 1000, 64
    ticks = len({*clock.ticks(n, period=period).tolist()})
    assert clock.cost(period=period).needed(n=n, d=d) == 4 * d * ticks * (ticks + 1) // 2


def test_flops_are_those_of_dense_attention_over_the_square_of_the_period():
    def counted(module, **options):
        inputs = [torch.empty(4096, 64, device="meta") for _ in range(3)]
        with FlopCounterMode(display=False) as counter:
            module.attend(*inputs, **options)
        return counter.get_total_flops()

    assert counted(dense, causal=True) == 16**2 * counted(clock, period=16)


@pytest.mark.parametrize("backward", [False, True], ids=["forward", "forward and backward"])
def test_memory_is_linear_in_n(backward):
    """The square of the ticks alone would be 64 times the inputs at the shorter length."""
    peaks = []
    for n in (4096, 16384):
        inputs = [x.requires_grad_(backward) for x in draw(*[(2, n, 8)] * 3, dtype=torch.float32)]
        with PeakMemory() as memory:
            out = clock.attend(*inputs, period=(2, 4))
            if backward:
                out.sum().backward()
        peaks.append(memory.peak / inputs[0].nbytes)
    assert max(peaks) < (12 if backward else 5)
    assert peaks[1] < 1.1 * peaks[0]


# Streams


def stream(inputs, chunks, period):
    state, outputs = None, []
    for tokens in zip(*(x.split(chunks, dim=-2) for x in inputs), strict=True):
        out, state = clock.step(state, *tokens, period=period)
        outputs.append(out)
    return torch.cat(outputs, dim=-2), state


@given(
    chunks=st.lists(st.integers(0, 12), min_size=1, max_size=6),
    period=st.integers(1, 9) | st.lists(st.integers(1, 9), min_size=3, max_size=3),
)
def test_a_stream_keeps_its_phase(chunks, period):
    """However the tokens are cut: within a period, at a tick, over several, or none at all."""
    inputs = draw((2, 3, sum(chunks), 4), (2, 3, sum(chunks), 4), (2, 3, sum(chunks), 2))
    out, _ = stream(inputs, chunks, period)
    torch.testing.assert_close(out, clock.attend(*inputs, period=period))


def test_a_stream_does_nothing_between_ticks():
    """No product and no copy of what it holds, however long it is."""
    inputs = draw(*[(2, 64, 4)] * 3)
    _, state = clock.step(None, *(x[:, :33] for x in inputs), period=8)
    for token in range(33, 64):
        tokens = [x[:, token : token + 1] for x in inputs]
        counted = sdpa_kernel(SDPBackend.MATH)  # whose products FlopCounterMode sees
        with counted, FlopCounterMode(display=False) as counter, PeakMemory() as memory:
            _, after = clock.step(state, *tokens, period=8)
        if token % 8:
            assert counter.get_total_flops() == 0
            assert memory.peak == 2 * 4 * 8  # the output
            assert after[:3] == state[:3]
        else:
            assert counter.get_total_flops() == 2 * 4 * 4 * (token // 8 + 1)
        state = after


def test_a_stream_owns_what_it_holds():
    """A view of the last output, or of every eighth key, would keep the others alive."""
    _, state = clock.step(None, *draw(*[(2, 33, 4)] * 3), period=8)
    for held in state[:3]:
        assert held.untyped_storage().nbytes() == held.nbytes


def test_the_output_of_a_stream_is_not_its_state():
    """Written into, as a layer with residuals may, it must not change what comes next."""
    inputs = draw(*[(9, 4)] * 3)
    out, state = clock.step(None, *(x[:2] for x in inputs), period=8)
    out.zero_()
    out, state = clock.step(state, *(x[2:3] for x in inputs), period=8)
    out.zero_()
    out, _ = clock.step(state, *(x[3:] for x in inputs), period=8)
    torch.testing.assert_close(out, clock.attend(*inputs, period=8)[3:])


def test_a_token_at_a_tick_is_given_one_output():
    """And not a view of the period's."""
    out, _ = clock.step(None, *draw(*[(1, 4)] * 3), period=64)
    assert out.untyped_storage().nbytes() == out.nbytes


# Bad inputs

DOORS = {
    "define": lambda period: clock.define(*[np.ones((2, 3, 5, 4))] * 3, period=period),
    "attend": lambda period: clock.attend(*[torch.ones(2, 3, 5, 4)] * 3, period=period),
    "step": lambda period: clock.step(None, *[torch.ones(2, 3, 5, 4)] * 3, period=period),
}


@pytest.mark.parametrize("door", DOORS.values(), ids=DOORS)
@pytest.mark.parametrize("bad", [0, -2, 2.0, None, True, "4", (1, 0, 2), [1, 2, 3.0]], ids=repr)
def test_a_period_that_is_no_count_is_refused(door, bad):
    with pytest.raises(ValueError, match=r"^period must be an integer of at least 1"):
        door(bad)


@pytest.mark.parametrize("door", DOORS.values(), ids=DOORS)
@pytest.mark.parametrize("bad", [(), (1,), (1, 2), (1, 2, 4, 8)], ids=repr)
def test_as_many_periods_as_heads(door, bad):
    """One would broadcast, and two would go with the batch."""
    with pytest.raises(ValueError, match=rf"^period must be .* \(2, 3\), got {len(bad)} of them"):
        door(bad)


def test_periods_without_heads_are_refused():
    with pytest.raises(ValueError, match=r"^period must be .* \(\), got 5 of them"):
        clock.attend(*[torch.ones(5, 4)] * 3, period=(1, 2, 3, 4, 5))


@pytest.mark.parametrize("bad", [0, 1.5, None, (1, 2)])
def test_cost_and_ticks_are_of_one_head(bad):
    for door in (clock.cost, lambda period: clock.ticks(5, period=period)):
        with pytest.raises(ValueError, match=r"^period must be an integer of at least 1"):
            door(period=bad)
    with pytest.raises(ValueError, match=r"^n must be"):
        clock.ticks(-1, period=2)


@pytest.mark.parametrize(
    ("name", "change"), [("k", {"d": 6}), ("v", {"d_v": 6}), ("q", {"lead": (3,)})], ids=str
)
def test_a_step_that_does_not_continue_its_stream_is_refused(name, change):
    """Keys and values are shared by the heads of q, so that more of these would still broadcast."""

    def tokens(lead=(2,), d=4, d_v=4):
        return torch.zeros(*lead, 3, d), torch.zeros(3, d), torch.zeros(3, d_v)

    _, state = clock.step(None, *tokens(), period=8)
    with pytest.raises(ValueError, match=rf"^{name} must continue its stream"):
        clock.step(state, *tokens(**change), period=8)


def test_a_step_has_a_query_for_each_key():
    with pytest.raises(ValueError, match=r"^q must have one row per key, 4"):
        clock.step(None, torch.zeros(3, 8), torch.zeros(4, 8), torch.zeros(4, 8), period=2)


@pytest.mark.parametrize("n_q", [9, 4, 12])
def test_a_period_beyond_the_sequence_takes_no_memory_of_its_own(n_q):
    """What came at the only tick was held for a whole period, and then cut to the sequence."""
    inputs = draw_qkv((2, n_q, 4), (2, 9, 4))
    assert_close(clock.attend(*inputs, period=2**40), clock.attend(*inputs, period=9))
