"""What is fractal attention's own; what it shares with the others is in test_contract.py."""

import itertools

import numpy as np
import pytest
import torch
from helpers.tensors import draw
from hypothesis import given
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from attention_limits.attention import dense, fractal
from attention_limits.attention.fractal import BLOCK
from attention_limits.meters import PeakMemory

covariance_or_not = pytest.mark.parametrize("covariance", [False, True])


def defined(q, k, v, **options):
    return torch.from_numpy(fractal.define(*(x.detach().numpy() for x in (q, k, v)), **options))


def close(actual, expected, within=1e-12):
    torch.testing.assert_close(actual, expected, atol=within, rtol=within)


def rms(x):
    return x.square().mean().sqrt().item()


# Who sees what


@pytest.mark.parametrize("block", [1, 2, 3, 8, 64])
def test_every_earlier_key_is_in_one_interval_and_no_later_one(block):
    """A gap would lose keys, an overlap count them twice."""
    for i, P in enumerate(fractal.cover(600, block=block)):
        stops = [stop for _, stop in P]
        assert [start for start, _ in P] == [0, *stops[:-1]]
        assert stops[-1] == i + 1
        assert all(start < stop for start, stop in P)


@pytest.mark.parametrize("block", [1, 2, 3, 8, 64])
def test_blocks_grow_with_their_distance_and_stand_still(block):
    """Size S lies between S and 4S behind the query, and starts at a multiple of S."""
    for i, P in enumerate(fractal.cover(600, block=block)):
        near = i - i % block - block  # the first key of the leaf before the query's own
        for start, stop in P:
            size = stop - start
            if start >= near:
                assert size == 1
            else:
                assert size in block * 2 ** np.arange(12)
                assert start % size == 0
                assert size <= i - stop
                assert i - start < 4 * size


@pytest.mark.parametrize("block", [1, 3, 8])
def test_a_query_sees_one_block_of_each_size_or_two(block):
    """So their number grows like the logarithm: a third one would have been made part of a pair."""
    for i, P in enumerate(fractal.cover(700, block=block)):
        sizes = [stop - start for start, stop in P if stop <= i - i % block - block]
        counts = [len(list(same)) for _, same in itertools.groupby(sizes)]
        assert set(counts) <= {1, 2}
        assert len(counts) == max(0, (i // block).bit_length() - 1)
        assert len(P) <= 2 * block + 2 * len(counts)


def test_a_cover_is_aligned_bottom_right():
    whole = fractal.cover(90, block=4)
    assert fractal.cover(7, n_k=90, block=4) == whole[-7:]
    assert fractal.cover(12, n_k=9, block=4) == [[], [], [], *whole[:9]]
    assert fractal.cover(0) == []


def test_an_example_by_hand():
    """The last of five keys, in leaves of one: two as a whole, then one, then the near two.

    Keys 0 and 2 ln 2 have the mean ln 2 and the weight 2 · 2, and the others 1 each.
    """
    q, v = np.ones((1, 1)), np.array([[1.0], [3], [0], [0], [7]])
    k = np.array([[0], [2 * np.log(2)], [0], [0], [0]])
    assert fractal.cover(1, n_k=5, block=1) == [[(0, 2), (2, 3), (3, 4), (4, 5)]]
    assert fractal.define(q, k, v, block=1, scale=1) == pytest.approx((4 * 2 + 7) / 7)
    # The covariance of (0, 2 ln 2) and (1, 3) is ln 2.
    corrected = fractal.define(q, k, v, block=1, scale=1, covariance=True)
    assert corrected == pytest.approx((4 * (2 + np.log(2)) + 7) / 7)


# The computation


@st.composite
def problems(draw_one):
    n_q, n_k = draw_one(st.integers(0, 70)), draw_one(st.integers(0, 70))
    block = draw_one(st.integers(1, 9))
    lead = draw_one(st.sampled_from([((), (), ()), ((2, 3), (2, 1), (2, 3)), ((3,), (1,), ())]))
    widths = draw_one(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    shapes = [(n_q, widths[0]), (n_k, widths[0]), (n_k, widths[1])]
    options = {"block": block, "covariance": draw_one(st.booleans())}
    options["scale"] = draw_one(st.sampled_from([None, 1.5]))
    return draw(*(axes + shape for axes, shape in zip(lead, shapes, strict=True))), options


@given(problem=problems())
def test_equals_its_definition_over_many_levels(problem):
    """Pooled pair by pair here, block by block there: around every edge of small blocks."""
    inputs, options = problem
    close(fractal.attend(*inputs, **options), defined(*inputs, **options))


@covariance_or_not
@pytest.mark.parametrize("n", [BLOCK, 2 * BLOCK, 2 * BLOCK + 1, 4 * BLOCK, 6 * BLOCK - 1])
def test_equals_its_definition_at_the_edges_of_its_leaves(n, covariance):
    inputs = draw((n, 4), (n, 4), (n, 3))
    expected = defined(*inputs, covariance=covariance)
    close(fractal.attend(*inputs, covariance=covariance), expected)


@covariance_or_not
def test_the_last_queries_see_what_they_see_in_the_whole(covariance):
    """With a cache: old leaves are summed up without a query of their own."""
    q, k, v = draw((2, 90, 4), (2, 90, 4), (2, 90, 3))
    options = {"block": 4, "covariance": covariance}
    whole = fractal.attend(q, k, v, **options)
    for n_q in (1, 2, 5, 64, 89):
        close(fractal.attend(q[:, -n_q:], k, v, **options), whole[:, -n_q:])


@covariance_or_not
@pytest.mark.parametrize(("n_q", "n_k"), [(13, 13), (2, 13), (14, 11)])
def test_gradients_are_those_of_the_output(n_q, n_k, covariance):
    """Through means of means, covariances between halves and three levels of blocks."""
    inputs = [x.requires_grad_() for x in draw((n_q, 2), (n_k, 2), (n_k, 3))]

    def attend(*inputs):
        return fractal.attend(*inputs, block=1, covariance=covariance)

    assert torch.autograd.gradcheck(attend, inputs)


@covariance_or_not
def test_no_nan_comes_from_a_later_leaf(covariance):
    """Leaves are summed up as they fill; sums that run on would carry it back."""
    q, k, v = draw((40, 4), (40, 4), (40, 3))
    options = {"block": 4, "covariance": covariance}
    expected = fractal.attend(q[:20], k[:20], v[:20], **options)
    k[20:], v[20:] = torch.nan, torch.nan
    close(fractal.attend(q, k, v, **options)[:20], expected)


def test_no_score_of_a_later_key_in_the_same_leaf_overflows_into_the_past():
    """∞ − ∞ is NaN where −∞ is added to what it should replace."""
    q, k, v = draw((8, 4), (8, 4), (8, 4), dtype=torch.float32)
    q = q.abs()
    expected = fractal.attend(q[:5], k[:5], v[:5])
    k[5:], v[5:] = 3e38, 3e38
    close(fractal.attend(q, k, v)[:5], expected, within=1e-6)


def test_half_precision_is_pooled_in_single():
    """The mean of 1 and the next number in bfloat16 is none that bfloat16 has."""
    k = torch.tensor([1, 1 + 2**-7], dtype=torch.bfloat16).repeat(32)[:, None]
    _, state = fractal.step(None, k, k, k, block=4)
    for mean in tree_leaves(state.far):
        assert mean.dtype == torch.float32
        assert not mean.numel() or mean == 1 + 2**-8


# How far it is from dense attention


@covariance_or_not
@pytest.mark.parametrize("rest", [0, 1, 7])
def test_is_dense_attention_where_the_keys_of_each_far_block_agree(rest, covariance):
    """Whatever their values, and at every level: of a block, the size and the mean value count."""
    n, n_q = 27 * 8 + rest, rest + 1  # queries of one leaf, and so of one cover
    q, k, v = draw((n_q, 4), (n, 4), (n, 3))
    for start, stop in fractal.cover(1, n_k=n, block=8)[0]:
        k[start:stop] = k[start].clone()
    q = q[-max(1, rest) :]
    expected = dense.attend(q, k, v, causal=True, scale=2.0)
    close(fractal.attend(q, k, v, block=8, scale=2.0, covariance=covariance), expected)


@pytest.mark.parametrize("seed", range(3))
def test_the_error_is_of_first_order_and_with_covariances_of_second(seed):
    """Half the spread of the keys, half the error; or a quarter of it.  And less from the start."""
    q, same, spread, v = draw((512, 16), (1, 16), (512, 16), (512, 16), seed=seed)
    errors = []
    for size in (0.1, 0.05, 0.025):
        k = same + size * spread
        exact = dense.attend(q, k, v, causal=True)
        ways = [fractal.attend(q, k, v, block=8, covariance=choice) for choice in (False, True)]
        errors.append([rms(way - exact) for way in ways])
    orders = np.log2(errors[:-1]) - np.log2(errors[1:])
    assert orders[:, 0] == pytest.approx(1, abs=0.1)
    assert orders[:, 1] == pytest.approx(2, abs=0.1)
    assert errors[-1][1] < errors[-1][0] / 10


@covariance_or_not
def test_the_far_has_too_little_weight(covariance):
    """Jensen: e to the mean score is at most the mean of e to the score.

    With values of 1 far away and 0 nearby, the output is the weight of what is far.
    """
    q, k = draw((1, 8), (129, 8))
    v = (torch.arange(129)[:, None] < 120).double()
    far = fractal.attend(q, 2 * k, v, block=8, covariance=covariance)
    assert far < 0.8 * dense.attend(q, 2 * k, v)


@pytest.mark.parametrize("gap", [1.0, 6.0])
def test_a_needle_speaks_with_the_voice_of_its_block(gap):
    """One key of score a in a far block of m: its mass is m e^(a/m), not e^a + m − 1."""
    m, near = 4, 5
    k = torch.zeros(m + near, 1, dtype=torch.float64)
    k[1], v = gap, (torch.arange(m + near)[:, None] < m).double()
    weight = fractal.attend(torch.ones(1, 1, dtype=k.dtype), k, v, block=m, scale=1.0).item()
    mass = m * np.exp(gap / m)
    assert fractal.cover(1, n_k=m + near, block=m)[0][0] == (0, m)
    assert weight == pytest.approx(mass / (mass + near))
    assert weight < (np.exp(gap) + m - 1) / (np.exp(gap) + m - 1 + near) - 0.01


# What it costs


def counted(n, **options):
    """Matmul FLOPs of the forward, and of forward and backward."""
    inputs = [torch.zeros(n, 8, requires_grad=True) for _ in range(3)]
    with FlopCounterMode(display=False) as counter:
        out = fractal.attend(*inputs, **options)
        forward = counter.get_total_flops()
        out.sum().backward()
    return forward, counter.get_total_flops()


@covariance_or_not
@pytest.mark.parametrize("block", [1, 2, 8, 24])
def test_executed_flops_are_counted_around_every_edge(block, covariance):
    lengths = [1, block, block + 1, 2 * block, 3 * block + 1, 4 * block, 41, 57]
    both = [counted(n, block=block, covariance=covariance) for n in lengths]
    forward, total = np.array(both).T
    executed = fractal.cost(block=block, covariance=covariance).executed
    assert (forward == executed.numpy(n=np.array(lengths), d=8)).all()
    assert covariance or (total == 3 * forward).all()


@pytest.mark.parametrize("block", [1, 3, 8, 64])
def test_needs_4d_flops_for_each_near_key_and_each_far_block(block):
    """Formula and cover must not drift apart, at any length."""
    needed = fractal.cost(block=block).needed
    seen = np.cumsum([len(P) for P in fractal.cover(700, block=block)])
    assert (needed.numpy(n=np.arange(700) + 1, d=12) == 4 * 12 * seen).all()
    assert needed(n=700, d=12) == 4 * 12 * seen[-1]


@pytest.mark.parametrize("block", [1, 3, 8, 64])
def test_a_covariance_needs_2d_squared_for_each_row_and_each_query(block):
    """Its rows are the keys of a leaf, or the two halves of anything larger."""
    plain, full = (fractal.cost(block=block, covariance=c).needed for c in (False, True))
    extra = [needed.numpy(n=np.arange(400) + 1, d=12) for needed in (full, plain)]
    made, rows, pairs, expected = set(), 0, 0, []
    for i, P in enumerate(fractal.cover(401, block=block)):
        far = {ends for ends in P if ends[1] <= i - i % block - block}
        # What a query sees is made when the leaf before the previous one ends, so before it.
        rows += sum(block if stop - start == block else 2 for start, stop in far - made)
        expected.append(2 * 12**2 * (pairs + rows))
        made, pairs = made | far, pairs + len(far)
    assert (extra[0] - extra[1] == expected[1:]).all()


def test_flops_grow_as_n_log_n():
    """Each doubling adds 1.5 blocks a query, of one size more: one, and half the time another."""
    lengths = 2.0 ** np.arange(16, 24)
    seen = fractal.cost().needed.numpy(n=lengths, d=1) / (4 * lengths)
    assert np.diff(seen) == pytest.approx(1.5 * np.ones(7), abs=0.03)


class Written(TorchDispatchMode):
    """How many numbers all operations together write."""

    def __init__(self):
        super().__init__()
        self.total = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        self.total += sum(x.numel() for x in tree_leaves(result) if isinstance(x, torch.Tensor))
        return result


@covariance_or_not
def test_the_way_back_writes_n_log_n_numbers(covariance):
    """A slice in the loop has a gradient of full length: as many numbers as n²."""

    def written(n):
        inputs = [torch.zeros(n, 8, requires_grad=True) for _ in range(3)]
        with Written() as numbers:
            fractal.attend(*inputs, block=16, covariance=covariance).sum().backward()
        return numbers.total

    assert written(4096) < 2.2 * written(2048)


@pytest.mark.parametrize(("covariance", "growth"), [(False, 1.05), (True, 1.35)])
def test_memory_is_nearly_linear_there_and_back(covariance, growth):
    peaks = []
    for n in (2048, 8192):
        inputs = [torch.zeros(n, 64, requires_grad=True) for _ in range(3)]
        with PeakMemory() as memory:
            fractal.attend(*inputs, covariance=covariance).sum().backward()
        peaks.append(memory.peak)
    assert peaks[1] < 4 * growth * peaks[0], peaks


# Streams


@covariance_or_not
@pytest.mark.parametrize("block", [1, 4, 7])
@pytest.mark.parametrize(
    "chunks", [[1] * 61, [61], [4, 4, 4, 4, 45], [0, 3, 30, 0, 28], [29, 1, 1, 1, 29]], ids=str
)
def test_a_stream_may_come_in_any_chunks(chunks, block, covariance):
    """Those of a step and the leaves have different edges."""
    inputs = draw((2, 61, 3), (2, 61, 3), (2, 61, 2))
    options = {"block": block, "covariance": covariance}
    state, outputs = None, []
    for tokens in zip(*(x.split(chunks, dim=-2) for x in inputs), strict=True):
        out, state = fractal.step(state, *tokens, **options)
        outputs.append(out)
    close(torch.cat(outputs, dim=-2), fractal.attend(*inputs, **options))


def test_a_stream_holds_what_its_next_query_sees():
    """Every far block of its cover with its means and covariance, every near key, and no more."""
    k, v = draw((75, 3), (75, 2))
    state = None
    for n in range(75):
        _, state = fractal.step(
            state, k[n : n + 1], k[n : n + 1], v[n : n + 1], block=3, covariance=True
        )
        far = [block for same in state.far for block in same]
        P = fractal.cover(1, n_k=n + 2, block=3)[0][:-1]  # but for the next query's own key
        intervals = [(start, stop) for start, stop in P if stop - start > 1]
        assert len(intervals) == len(far)
        # Largest first there, and the smallest here; of one size, the older first in both.
        intervals.sort(key=lambda ends: (ends[1] - ends[0], ends[0]))
        for (start, stop), block in zip(intervals, far, strict=True):
            K, V = k[start:stop], v[start:stop]
            close(block.keys, K.mean(0, keepdim=True))
            close(block.values, V.mean(0, keepdim=True))
            close(block.covariance, (K - K.mean(0)).mT @ (V - V.mean(0)) / len(K))
        near = len(P) - len(intervals)
        for x, held in ((k, 0), (v, 1)):
            close(torch.cat([state.last[held], state.rest[held]]), x[n + 1 - near : n + 1])


@covariance_or_not
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16], ids=str)
@pytest.mark.parametrize("block", [1, 4, 24])
def test_a_stream_keeps_alive_the_bytes_it_says(block, dtype, covariance):
    """Storages, not views: a view of one token keeps alive the whole prompt that it came with."""
    held = fractal.cost(block=block, covariance=covariance).held
    for n in (1, 4, 8, 48, 49, 200):
        x = torch.zeros(n, 6, dtype=dtype)
        _, state = fractal.step(None, x, x, x, block=block, covariance=covariance)
        storages = [x.untyped_storage() for x in tree_leaves(state)]
        alive = {storage._cdata: storage.nbytes() for storage in storages}
        assert sum(alive.values()) == held(n=n, d=6, b=dtype.itemsize), n


def test_a_stream_grows_with_the_logarithm():
    """From a thousand tokens to a million: ten more sizes, and at most two blocks of each."""
    held = fractal.cost().held
    thousand, million = held(n=2**10, d=64, b=4), held(n=2**20, d=64, b=4)
    assert 0 < million - thousand <= 2 * 10 * 2 * 64 * 4


# Bad inputs


@pytest.mark.parametrize("block", [0, -1, 2.0, True, None, "8"])
def test_a_bad_block_is_refused_by_name(block):
    inputs = [torch.zeros(4, 8)] * 3
    for door in (
        lambda: fractal.attend(*inputs, block=block),
        lambda: fractal.step(None, *inputs, block=block),
        lambda: fractal.define(*(x.numpy() for x in inputs), block=block),
        lambda: fractal.cover(4, block=block),
        lambda: fractal.cost(block=block),
    ):
        with pytest.raises(ValueError, match=r"^block must be an integer of at least 1"):
            door()


@pytest.mark.parametrize(("n", "n_k", "name"), [(-1, 3, "n"), (3, -1, "n_k"), (2.0, 3, "n")])
def test_a_bad_length_is_refused_by_name(n, n_k, name):
    with pytest.raises(ValueError, match=rf"^{name} must be an integer"):
        fractal.cover(n, n_k=n_k)


@pytest.mark.parametrize("change", [{"d": 6}, {"d_v": 6}, {"lead": (3,)}, {"dtype": torch.float64}])
def test_a_step_that_does_not_continue_its_stream_is_refused(change):
    """All of q, k and v changed alike, so that they fit each other and not the stream."""

    def tokens(lead=(2,), d=8, d_v=8, dtype=torch.float32):
        return [torch.zeros(*lead, 4, width, dtype=dtype) for width in (d, d, d_v)]

    _, state = fractal.step(None, *tokens())
    name = "v" if "d_v" in change else "k"
    with pytest.raises(ValueError, match=rf"^{name} must continue its stream"):
        fractal.step(state, *tokens(**change))


def test_the_options_of_a_stream_stay_what_they_were():
    """Leaves of another size would be summed up as if they were of this one."""
    inputs = [torch.zeros(20, 8)] * 3
    _, state = fractal.step(None, *inputs, block=4)
    with pytest.raises(ValueError, match=r"^block must be that of the stream, 4, got 8"):
        fractal.step(state, *inputs, block=8)
    with pytest.raises(ValueError, match=r"^covariance must be that of the stream, False"):
        fractal.step(state, *inputs, block=4, covariance=True)
    _, state = fractal.step(None, *inputs, block=4, covariance=True)
    with pytest.raises(ValueError, match=r"^covariance must be that of the stream, True"):
        fractal.step(state, *inputs, block=4)


def test_a_step_has_a_query_for_each_key():
    with pytest.raises(ValueError, match=r"^q must have one row per key, 4"):
        fractal.step(None, torch.zeros(3, 8), torch.zeros(4, 8), torch.zeros(4, 8))


def test_a_stream_of_no_width_has_its_covariance():
    """A covariance of no rows was taken for none, and the stream refused to go on."""
    inputs = draw((2, 12, 0), (2, 12, 0), (2, 12, 0))
    state = None
    for token in range(12):
        part = [x[:, token : token + 1] for x in inputs]
        out, state = fractal.step(state, *part, block=2, covariance=True)
        assert out.shape == (2, 1, 0)
