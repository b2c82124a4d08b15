"""Evidence on ways around n²: what cheap attention can and cannot do."""

from itertools import pairwise

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from attention_limits.attention import dense, linear
from attention_limits.chapters.quadratic_cost.derivations import linear_time as derivations
from attention_limits.evidence import Evidence, evidence

N, D, SEEDS = 512, 16, 5
SMALL, LARGE = 0.25, 8.0  # sizes of the scores


def weights(beta: float, seed: int, n: int = N, d: int = D) -> np.ndarray:
    """Softmax weights (n, n) of random scores, the largest of which is ``beta`` in size."""
    q, k = np.random.default_rng(seed).standard_normal((2, n, d))
    scores = q @ k.T
    scores *= beta / np.abs(scores).max()
    exponentials = np.exp(scores)
    return exponentials / exponentials.sum(-1, keepdims=True)


def rank(matrix: np.ndarray, within: float = 0.01) -> int:
    """The least rank that comes as near as ``within``, relative, in the Frobenius norm."""
    squares = np.linalg.svd(matrix, compute_uv=False) ** 2
    rest = np.cumsum(squares[::-1])[::-1]  # what is left out if the first r are kept
    return int((rest > within**2 * rest[0]).sum())


@evidence()
def small_scores_make_a_matrix_of_low_rank() -> Evidence:
    """Rank of the weights where scores are small: at most 1 + d, that of 1 + s in place of e^s."""
    ranks = [rank(weights(SMALL, seed)) for seed in range(SEEDS)]
    return Evidence(
        value=max(ranks),
        expected=D + 2,
        tolerance=0,
        unit=f"of {N} dimensions",
        how=f"singular values, error 1 %, d = {D}, scores up to {SMALL}, most of {SEEDS} seeds",
        relation="<",
    )


@evidence()
def large_scores_make_a_matrix_of_high_rank() -> Evidence:
    """Rank of the weights where scores are large: most of n, so no thin product comes near."""
    ranks = [rank(weights(LARGE, seed)) for seed in range(SEEDS)]
    return Evidence(
        value=min(ranks),
        expected=N / 2,
        tolerance=max(ranks) - min(ranks),
        unit=f"of {N} dimensions",
        how=f"singular values, error 1 %, d = {D}, scores up to {LARGE:g}, least of {SEEDS} seeds; "
        "margin: their range",
        relation=">",
    )


@evidence()
def the_sharpest_case_attains_the_bound() -> Evidence:
    """One key at the largest score, all others at the least: attention's weight, and the bound."""
    gaps = []
    for n in (2, 97, 4096):
        for beta in (0.5, 4.0, 12.0):
            q, k = np.array([[1.0]]), np.full((n, 1), -beta)
            k[n // 2] = beta
            hit = (k > 0).astype(float)  # a value of 1 at the one key: the output is its weight
            weight = dense.define(q, k, hit, scale=1.0).item()
            gaps.append(abs(weight / derivations.LARGEST_WEIGHT(n=n, beta=beta) - 1))
    return Evidence(
        value=max(gaps),
        expected=1e-12,
        tolerance=0,
        unit="off the bound, relative",
        how=f"dense.define on one high score among n, {len(gaps)} cases, n up to 4096",
        relation="<",
    )


@evidence()
def linear_attention_doubles_when_n_doubles() -> Evidence:
    """Counted FLOPs of linear attention at 2n over those at n, causal and not, up to 65536."""
    ratios = []
    for causal in (False, True):
        counts = []
        for power in range(7, 17):
            inputs = [torch.zeros(1, 2**power, 64) for _ in range(3)]
            with FlopCounterMode(display=False) as counter:
                linear.attend(*inputs, causal=causal)
            counts.append(counter.get_total_flops())
        ratios += [later / earlier for earlier, later in pairwise(counts)]
    return Evidence.exactly(
        ratios,
        expected=2,
        unit="× for each doubling",
        how="FlopCounterMode, causal and not, n = 128 to 65536, d = 64",
    )


def _largest_weights(gain: float, seed: int) -> tuple[float, float]:
    """Mean over queries of the largest weight, of softmax and of linear attention (elu + 1)."""
    q, k = np.random.default_rng(seed).standard_normal((2, N, D)) * np.sqrt(gain)
    scores = q @ k.T / np.sqrt(D)
    q, k = (np.where(x > 0, x + 1, np.exp(x)) for x in (q, k))
    softmax, product = np.exp(scores - scores.max(-1, keepdims=True)), q @ k.T
    sharpest, linear = ((p / p.sum(-1, keepdims=True)).max(-1).mean() for p in (softmax, product))
    return float(sharpest), float(linear)


@evidence()
def shouting_does_not_sharpen_linear_attention(gain: float = 100) -> Evidence:
    """By how much the largest weight grows if queries and keys do: softmax's, over linear's.

    A common factor of all features cancels in the normaliser.
    """
    before, after = (
        np.array([_largest_weights(g, seed) for seed in range(SEEDS)]) for g in (1, gain)
    )
    growth = after / before
    ratios = growth[:, 0] / growth[:, 1]
    (soft_before, product_before), (soft, product) = before.mean(0), after.mean(0)
    return Evidence(
        value=float(ratios.min()),
        expected=10,
        tolerance=float(np.ptp(ratios)),
        unit="× as much growth in softmax's largest weight as in linear attention's",
        how=f"scores scaled by {gain:g}, n = {N}, d = {D}, means over queries: softmax from "
        f"{soft_before:.3f} to {soft:.3f}, linear from {product_before:.4f} to {product:.4f}; "
        f"least of {SEEDS} seeds, margin: their range",
        relation=">",
    )


@evidence()
def linear_attention_has_the_rank_of_its_features() -> Evidence:
    """The rank of linear attention's weights, however loud: no more than a head's width."""
    ranks = []
    for gain in (1, 100):
        for seed in range(SEEDS):
            q, k = np.random.default_rng(seed).standard_normal((2, N, D)) * np.sqrt(gain)
            ranks.append(rank(linear.define(q, k, np.eye(N)), within=1e-9))
    return Evidence.exactly(
        ranks,
        expected=D,
        unit=f"of {N} dimensions",
        how=f"singular values of linear.define's weights, d = {D}, scores scaled by 1 and 100",
    )
