"""What is linear attention's own; what it shares with the others is in test_contract.py."""

import numpy as np
import pytest
import torch
from helpers.tensors import draw
from torch.utils.flop_counter import FlopCounterMode

from attention_limits.attention import dense, linear
from attention_limits.attention.linear import CHUNK, SEGMENT
from attention_limits.meters import PeakMemory

PHI = {"elu": lambda x: torch.where(x > 0, x + 1, x.exp()), "relu": lambda x: x.clamp(min=0)}


CHUNKS = 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK + 5
EDGES = [(n, n) for n in (*CHUNKS, SEGMENT, SEGMENT + 1, 2 * SEGMENT + CHUNK + 5)]
UNEQUAL = [(70, 200), (200, 70), (1, CHUNK + 1), (CHUNK + 1, 1)]


@pytest.mark.parametrize("feature_map", PHI)
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize(("n_q", "n_k"), EDGES + UNEQUAL)
def test_is_the_square_that_it_avoids(n_q, n_k, causal, feature_map):
    """Weights φ(q)·φ(k) written out, masked and normalised: around the edges of what is a loop."""
    q, k, v = inputs = [x.requires_grad_() for x in draw((2, n_q, 8), (2, n_k, 8), (2, n_k, 5))]
    phi = PHI[feature_map]
    weights = phi(q) @ phi(k).mT * torch.from_numpy(dense.visible(n_q, n_k=n_k, causal=causal))
    expected = weights @ v / weights.sum(-1, keepdim=True).clamp(min=1e-300)
    out = linear.attend(q, k, v, causal=causal, feature_map=feature_map)
    torch.testing.assert_close(out, expected)
    upstream = torch.linspace(-1, 1, out.numel(), dtype=out.dtype).view_as(out)
    for one, other in zip(
        torch.autograd.grad(out, inputs, upstream),
        torch.autograd.grad(expected, inputs, upstream),
        strict=True,
    ):
        torch.testing.assert_close(one, other)


def test_an_example_by_hand():
    """elu(0) + 1 = 1 and elu(1) + 1 = 2: of two keys, weights 1/3 and 2/3."""
    q, k, v = np.zeros((2, 1)), np.array([[0.0], [1.0]]), np.array([[3.0], [6.0]])
    assert linear.define(q, k, v) == pytest.approx(np.array([[5.0], [5.0]]))
    assert linear.define(q, k, v, causal=True) == pytest.approx(np.array([[3.0], [5.0]]))


@pytest.mark.parametrize("causal", [False, True])
def test_a_normaliser_of_zero_gives_zero_and_zero_gradients(causal):
    """A query and keys without a positive entry in common: 0/0 in each of their rows."""
    q, k, v = draw((5, 4), (5, 4), (5, 4))
    q[2] = -q[2].abs()
    inputs = [x.requires_grad_() for x in (q, k, v)]
    out = linear.attend(*inputs, causal=causal, feature_map="relu")
    grads = torch.autograd.grad(out.sum(), inputs)
    assert not out[2].any()
    assert not grads[0][2].any()
    assert all(grad.isfinite().all() for grad in grads)
    defined = linear.define(*(x.detach().numpy() for x in inputs), feature_map="relu")
    assert not defined[2].any()


def test_no_feature_in_common_is_a_normaliser_of_zero_too():
    """The query has a positive entry, and so have the keys, but never the same one."""
    q, k, v = (
        torch.tensor([[1.0, -1.0]]),
        torch.tensor([[-1.0, 2.0], [-1.0, 3.0]]),
        torch.ones(2, 1),
    )
    inputs = [x.requires_grad_() for x in (q, k, v)]
    out = linear.attend(*inputs, feature_map="relu")
    assert not out.any()
    assert not any(grad.any() for grad in torch.autograd.grad(out.sum(), inputs))


@pytest.mark.parametrize("causal", [False, True])
def test_nan_is_not_taken_for_a_normaliser_of_zero(causal):
    """NaN is not greater than 0 either, and an output of 0 would hide it."""
    q, k, v = draw(*[(5, 8)] * 3)
    q[2] = torch.nan
    assert linear.attend(q, k, v, causal=causal)[2].isnan().all()
    assert np.isnan(linear.define(q.numpy(), k.numpy(), v.numpy(), causal=causal)[2]).all()


def test_small_features_keep_their_digits():
    """e^x − 1 + 1 in float32 is 0 from x = −17 on, and rough well before."""
    q, k, v = draw(*[(9, 8)] * 3, dtype=torch.float32)
    out = linear.attend(q, k - 25, v)
    expected = linear.define(*(x.double().numpy() for x in (q, k - 25, v)))
    torch.testing.assert_close(out.double(), torch.from_numpy(expected), atol=1e-6, rtol=1e-5)


def test_the_branch_of_the_feature_map_that_is_not_taken_sends_nothing_back():
    """e^x is ∞ at x = 1000, and 0 · ∞ is NaN in the gradient."""
    inputs = [(1000 * x).requires_grad_() for x in draw(*[(9, 8)] * 3)]
    out = linear.attend(*inputs, causal=True)
    assert all(grad.isfinite().all() for grad in torch.autograd.grad(out.sum(), inputs))


@pytest.mark.parametrize("feature_map", PHI)
def test_the_feature_map_is_one_wherever_it_is_written(feature_map):
    """Causal attention writes it over what is there; and e^x is a power of 2, of x log₂ e."""
    x = torch.linspace(-80, 80, 1001, dtype=torch.float64)
    expected, written_over = PHI[feature_map](x), x.clone()
    linear.IN_PLACE[feature_map](written_over)
    for found in (written_over, linear.FEATURE_MAPS[feature_map](x)):
        torch.testing.assert_close(found, expected, atol=0, rtol=1e-13)


@pytest.mark.parametrize("n", [CHUNK + 1, SEGMENT + CHUNK + 1])
def test_a_state_that_heads_share_hands_on_the_sum_of_their_gradients(n):
    """Three heads of queries, one of keys: what comes down from each counts once."""
    q, k, v, S = (x.requires_grad_() for x in draw((3, n, 8), (1, n, 8), (1, n, 5), (1, 8, 6)))
    apart = [x.expand(3, *x.shape[1:]) for x in (q, k, v, S)]
    grads = []
    for *tokens, state in ((q, k, v, S), apart):
        out, end = linear.step(linear.Sums(state), *tokens)
        loss = (out * torch.linspace(-1, 1, out.numel()).view_as(out)).sum()
        loss = loss + end.sums[:1].square().sum()
        grads.append(torch.autograd.grad(loss, (q, k, v, S)))
    for one, other in zip(*grads, strict=True):
        torch.testing.assert_close(one, other)


def test_where_nobody_asks_the_state_remembers():
    """No heads of queries, two of keys."""
    q, k, v = draw((0, 1, 5, 8), (2, 5, 8), (2, 5, 3))
    out, state = linear.step(None, q, k, v)
    _, expected = linear.step(None, k, k, v)
    assert out.shape == (0, 2, 5, 3)
    torch.testing.assert_close(state.sums, expected.sums)


def test_the_feature_map_has_slope_one_at_zero():
    """A zero embedding stands on the seam of x + 1 and e^x; two clamps would count it twice."""
    q, k, v = torch.zeros(1, 1), torch.tensor([[0.0], [1.0]]), torch.tensor([[0.0], [1.0]])
    k.requires_grad_()
    (slope,) = torch.autograd.grad(linear.attend(q, k, v).sum(), k)  # o = φ₂ / (φ₁ + φ₂)
    torch.testing.assert_close(slope, torch.tensor([[-2 / 9], [1 / 9]]))


def test_a_scale_cancels_under_relu():
    """Why there is no 1/√d."""
    q, k, v = draw(*[(9, 8)] * 3)
    expected = linear.attend(q, k, v, feature_map="relu")
    torch.testing.assert_close(linear.attend(q / 8, 3 * k, v, feature_map="relu"), expected)


@pytest.mark.slow
@pytest.mark.parametrize("causal", [False, True])
def test_flops_double_with_the_length(causal):
    def counted(n):
        inputs = [torch.zeros(1, n, 64) for _ in range(3)]
        with FlopCounterMode(display=False) as counter:
            linear.attend(*inputs, causal=causal)
        return counter.get_total_flops()

    assert [counted(2 * n) / counted(n) for n in (128, 4096, 32768)] == [2, 2, 2]


def test_keys_before_the_first_query_take_one_product():
    """Not a scan, in which each chunk of them would ask what no query wants to know."""
    q, k, v = (torch.empty(n, 64, device="meta") for n in (1, 5000, 5000))
    with FlopCounterMode(display=False) as counter:
        linear.attend(q, k, v, causal=True)
    assert counter.get_total_flops() <= 1.01 * 2 * 5000 * 64 * 65


@pytest.mark.slow
@pytest.mark.parametrize("causal", [False, True])
def test_the_way_back_is_linear_too(causal):
    """Equal steps in n cost equal FLOPs and equal bytes."""
    costs = []
    for n in (2048, 4096, 6144, 8192):
        inputs = [torch.zeros(n, 64, requires_grad=True) for _ in range(3)]
        with FlopCounterMode(display=False) as counter, PeakMemory() as memory:
            linear.attend(*inputs, causal=causal).sum().backward()
        costs.append((counter.get_total_flops(), memory.peak))
    assert not np.diff(costs, 2, axis=0).any(), costs


@pytest.mark.parametrize(("causal", "n"), [(False, 66), (True, 130)])
def test_the_length_from_which_dense_attention_needs_more(causal, n):
    """As the module says: d + 2 tokens, causal 2d + 2."""
    ours, theirs = (mechanism.cost(causal=causal).needed for mechanism in (linear, dense))
    assert ours(n=n, d=64) < theirs(n=n, d=64)
    assert ours(n=n - 1, d=64) >= theirs(n=n - 1, d=64)


def test_a_stream_is_the_recurrence_word_for_word():
    """S ← S + φ(k) vᵀ, z ← z + φ(k), o = φ(q)ᵀ S / φ(q)·z."""
    q, k, v = draw((20, 8), (20, 8), (20, 5))
    S, z, state, phi = 0, 0, None, PHI["elu"]
    for q_i, k_i, v_i in zip(q, k, v, strict=True):
        S, z = S + torch.outer(phi(k_i), v_i), z + phi(k_i)
        out, state = linear.step(state, q_i[None], k_i[None], v_i[None])
        torch.testing.assert_close(out[0], phi(q_i) @ S / (phi(q_i) @ z))
    torch.testing.assert_close(state.sums, torch.cat([S, z[:, None]], dim=-1))


@pytest.mark.parametrize("chunks", [[1, CHUNK - 1, CHUNK, 12], [CHUNK + 1, 1, 70, 4], [0, 140]])
def test_a_stream_may_come_in_any_chunks(chunks):
    """Those of a step and those of the scan have different edges, in the backward pass too."""
    inputs = [x.requires_grad_() for x in draw(*[(2, sum(chunks), 8)] * 3)]
    state, outputs = None, []
    for tokens in zip(*(x.split(chunks, dim=-2) for x in inputs), strict=True):
        out, state = linear.step(state, *tokens)
        outputs.append(out)
    out, expected = torch.cat(outputs, dim=-2), linear.attend(*inputs, causal=True)
    torch.testing.assert_close(out, expected)
    (upstream,) = draw(out.shape, seed=1)
    for one, other in zip(
        torch.autograd.grad(out, inputs, upstream),
        torch.autograd.grad(expected, inputs, upstream),
        strict=True,
    ):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("n", [CHUNK + 1, SEGMENT + 1])
def test_what_a_stream_holds_has_a_way_back(n):
    """To keys, values and to what it held before: a loss on the state alone taught nothing."""
    q, k, v, S = (x.requires_grad_() for x in draw((n, 8), (n, 8), (n, 5), (8, 6)))
    _, state = linear.step(linear.Sums(S), q, k, v)
    phi, v_1 = PHI["elu"], torch.cat([v, torch.ones(n, 1, dtype=v.dtype)], dim=-1)
    (upstream,) = draw(S.shape, seed=1)
    for one, other in zip(
        torch.autograd.grad(state.sums, (k, v, S), upstream),
        torch.autograd.grad(S + phi(k).mT @ v_1, (k, v, S), upstream),
        strict=True,
    ):
        torch.testing.assert_close(one, other)


def test_a_stream_holds_the_same_however_long_it_is():
    """Constant state is the point: 40 tokens and 4000 leave the same d (d_v + 1) numbers."""
    sizes = set()
    for n in (40, 4000):
        _, state = linear.step(None, *(torch.zeros(n, 8) for _ in range(2)), torch.zeros(n, 5))
        sizes.add(state.sums.shape)
    assert sizes == {(8, 6)}


def test_half_precision_is_summed_in_single():
    """In bfloat16 a sum of ones stops at 256; after 1000 keys the next one would not count."""
    ones = torch.zeros(1000, 1, dtype=torch.bfloat16)  # φ(0) = 1
    _, state = linear.step(None, ones, ones, ones)
    assert state.sums[..., -1].item() == 1000


@pytest.mark.parametrize(
    "change", [{"d": 6}, {"d_v": 6}, {"lead": (3,)}, {"dtype": torch.float64}], ids=str
)
def test_a_step_that_does_not_continue_its_stream_is_refused(change):
    """All of q, k and v changed alike, so that they fit each other and not the sums."""

    def tokens(lead=(2,), d=8, d_v=8, dtype=torch.float32):
        return [torch.zeros(*lead, 4, width, dtype=dtype) for width in (d, d, d_v)]

    _, state = linear.step(None, *tokens())
    with pytest.raises(ValueError, match=r"^k must continue its stream"):
        linear.step(state, *tokens(**change))


def test_a_step_has_a_query_for_each_key():
    with pytest.raises(ValueError, match=r"^q must have one row per key, 4"):
        linear.step(None, torch.zeros(3, 8), torch.zeros(4, 8), torch.zeros(4, 8))


@pytest.mark.parametrize("feature_map", ["exp", "ELU", "", None])
def test_an_unknown_feature_map_is_refused_by_name(feature_map):
    inputs = [torch.zeros(4, 8)] * 3
    with pytest.raises(ValueError, match=r"^feature_map must be one of 'elu', 'relu'"):
        linear.attend(*inputs, feature_map=feature_map)
    with pytest.raises(ValueError, match=r"^feature_map must be one of 'elu', 'relu'"):
        linear.step(None, *inputs, feature_map=feature_map)
    with pytest.raises(ValueError, match=r"^feature_map must be one of 'elu', 'relu'"):
        linear.define(*(x.numpy() for x in inputs), feature_map=feature_map)
