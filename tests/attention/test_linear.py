"""What is linear attention's own; what it shares with the others is in test_contract.py."""

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from attention_limits.attention import dense, linear
from attention_limits.attention.linear import CHUNK


def draw(*shapes, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(shape, generator=generator, dtype=torch.float64) for shape in shapes]


PHI = {"elu": lambda x: torch.where(x > 0, x + 1, x.exp()), "relu": lambda x: x.clamp(min=0)}


@pytest.mark.parametrize("feature_map", PHI)
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("n", [1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK + 5])
def test_is_the_square_that_it_avoids(n, causal, feature_map):
    """Weights φ(q)·φ(k) written out, masked and normalised: around every edge of a chunk."""
    q, k, v = draw(*[(2, n, 8)] * 3)
    phi = PHI[feature_map]
    weights = phi(q) @ phi(k).mT * torch.from_numpy(dense.visible(n, causal=causal))
    expected = weights @ v / weights.sum(-1, keepdim=True).clamp(min=1e-300)
    out = linear.attend(q, k, v, causal=causal, feature_map=feature_map)
    torch.testing.assert_close(out, expected)


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


@pytest.mark.parametrize("causal", [False, True])
def test_flops_double_with_the_length(causal):
    def counted(n):
        inputs = [torch.empty(1, n, 64, device="meta") for _ in range(3)]
        with FlopCounterMode(display=False) as counter:
            linear.attend(*inputs, causal=causal)
        return counter.get_total_flops()

    assert [counted(2 * n) / counted(n) for n in (128, 4096, 32768)] == [2, 2, 2]


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
