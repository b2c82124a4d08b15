"""The instruments behind the evidence on lower bounds."""

import numpy as np
import pytest

from attention_limits.chapters.quadratic_cost.evidence import lower_bounds
from attention_limits.chapters.quadratic_cost.evidence.lower_bounds import rank, weights


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


def test_the_margin_is_the_spread_over_seeds(monkeypatch):
    """Seeds that differ by 40 dimensions carried a lead of 20."""
    monkeypatch.setattr(lower_bounds, "weights", lambda beta, seed: seed)
    monkeypatch.setattr(lower_bounds, "rank", lambda seed: lower_bounds.N / 2 + 20 + 40 * seed)
    found = lower_bounds.large_scores_make_a_matrix_of_high_rank()
    assert found.value == lower_bounds.N / 2 + 20
    assert found.tolerance == 40 * (lower_bounds.SEEDS - 1)
    assert not found.holds
