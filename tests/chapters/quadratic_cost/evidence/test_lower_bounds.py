"""The instruments behind the evidence on lower bounds, and the rivals that it refuses."""

import numpy as np
import pytest
import torch

from attention_limits.attention import linear
from attention_limits.chapters.quadratic_cost.evidence import lower_bounds
from attention_limits.chapters.quadratic_cost.evidence.lower_bounds import entries, rank, weights


@pytest.mark.parametrize("r", [1, 3, 20])
def test_rank_of_a_thin_product_is_its_width(r):
    left, right = np.random.default_rng(0).standard_normal((2, 50, r))
    assert rank(left @ right.T, within=1e-6) == r


def test_rank_leaves_out_no_more_than_it_may():
    """Nine directions of size 1 and one of 0.02: left out at 1 %, needed at 0.1 %."""
    matrix = np.diag([1.0] * 9 + [0.02])
    assert rank(matrix, within=0.01) == 9
    assert rank(matrix, within=0.001) == 10


@pytest.mark.parametrize("beta", [0.1, 3.0])
def test_weights_are_a_softmax_of_scores_of_that_size(beta):
    p = weights(beta, seed=0, n=30, d=4)
    assert np.allclose(p.sum(-1), 1)
    logs = np.log(p)
    spread = logs.max(-1) - logs.min(-1)  # of a row's scores: its normaliser cancels
    assert spread.max() <= 2 * beta + 1e-12
    assert spread.max() > beta


def test_entries_are_the_largest_and_no_more_than_it_takes():
    """The smallest entries were kept, or one too few."""
    matrix = np.diag([3.0, 2.0, 1.0, 0.001])
    assert entries(matrix, within=0.01) == 3
    assert entries(matrix, within=0.3) == 2  # 1/√14 = 0.27 is left out
    assert entries(np.ones((4, 4)), within=1e-6) == 16


def test_the_margin_is_the_spread_over_seeds():
    """Seeds that differ by 40 dimensions carried a lead of 20."""

    def draw(seed):
        dense = np.random.default_rng(seed).standard_normal((lower_bounds.N, lower_bounds.N))
        dense[lower_bounds.N // 2 + 20 + 40 * seed :] = 0
        return dense

    found = lower_bounds.large_scores_are_neither_thin_nor_sparse(draw)
    assert found.value < found.expected + found.tolerance
    assert not found.holds


@pytest.mark.parametrize("causal", [False, True])
def test_a_rival_s_normaliser_is_right_and_costs_the_square(causal):
    """A rival with wrong outputs would be refused for another reason."""
    q, k, v = torch.randn(3, 40, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    rival = lower_bounds.normalised_by_pairs(q, k, v, causal=causal)
    torch.testing.assert_close(rival, linear.attend(q, k, v, causal=causal))


@pytest.mark.parametrize("causal", [False, True])
def test_the_weights_that_are_trained_are_those_of_linear_attention(causal):
    """Their sum would be that of something else."""
    q, k = torch.randn(2, 10, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    found = lower_bounds.by_features(q, k, causal=causal)
    expected = linear.define(q.numpy(), k.numpy(), np.eye(10), causal=causal)
    assert np.allclose(found.numpy(), expected)
    for weigh in (lower_bounds.by_softmax, lower_bounds.by_twice_as_many):
        p = weigh(q, k, causal=causal)
        assert np.allclose(p.sum(-1).numpy(), 1)
        assert (p[~lower_bounds.visible(10, causal)] == 0).all()


def test_queries_after_all_keys_see_each_key_that_is_theirs():
    """A key that came after its query would have had no weight to be counted."""
    at = torch.arange(6)[:, None] * 10 + torch.arange(6)  # 10 i + j
    assert lower_bounds.after_all_keys(at, causal=True).tolist() == [30, 41, 52]
    assert lower_bounds.after_all_keys(at, causal=False).tolist() == [0, 11, 22, 33, 44, 55]


def test_under_a_causal_mask_one_feature_puts_every_query_on_its_own_key():
    """The bound needs queries that see all the keys."""
    k = 10.0 ** torch.arange(200, dtype=torch.float64)[:, None]
    p = lower_bounds.by_features(torch.ones_like(k), k, causal=True)
    assert p.diagonal().min() > 0.8


@pytest.mark.parametrize("gain", [1, 100])
def test_linear_attention_has_the_rank_of_its_features(gain):
    """By construction: (n, d) times (d, n), each row divided by a number."""
    q, k = np.random.default_rng(0).standard_normal((2, 128, 16)) * np.sqrt(gain)
    assert rank(linear.define(q, k, np.eye(128)), within=1e-9) == 16


def test_two_features_let_every_query_prefer_its_own_key():
    """Rank does not bound how many keys can be told apart; weight is what runs out."""
    angles = (np.arange(100) + 0.5) / 100 * np.pi / 2
    features = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    p = features @ features.T
    p /= p.sum(-1, keepdims=True)
    assert (p.argmax(-1) == np.arange(100)).all()
    assert np.trace(p) < 2


def test_the_causal_form_executes_more_than_is_needed():
    """The page says by how much at d = 64 and d = 16."""
    for d, more in ((64, 1.48), (16, 2.82)):
        flops, _ = lower_bounds.counted(4096, linear.attend, d=d, causal=True)
        assert flops / (4 * 4096 * d * (d + 1)) == pytest.approx(more, abs=0.01)
