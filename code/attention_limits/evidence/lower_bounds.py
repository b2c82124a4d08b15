"""Evidence on ways around n²: what cheap attention can and cannot do."""

from itertools import pairwise

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from attention_limits.attention import linear
from attention_limits.derivations import quadratic_cost
from attention_limits.evidence.evidence import Evidence

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


def no_weight_exceeds_its_bound() -> Evidence:
    """The largest weight over what the size of the scores allows, at every size tried."""
    sizes = np.geomspace(0.1, 8, 8)
    shares = [
        weights(beta, seed).max() / quadratic_cost.LARGEST_WEIGHT(n=N, beta=beta)
        for beta in sizes
        for seed in range(SEEDS)
    ]
    return Evidence(
        value=float(max(shares)),
        expected=1,
        tolerance=0,
        unit="of the bound",
        how=f"largest weight, n = {N}, scores up to 0.1 … 8, most of {len(shares)} cases",
        relation="<",
    )


def linear_attention_doubles_when_n_doubles() -> Evidence:
    """Counted FLOPs of linear attention at 2n over those at n, causal and not, up to 65536."""
    ratios = []
    for causal in (False, True):
        counts = []
        for power in range(7, 17):
            inputs = [torch.empty(1, 2**power, 64, device="meta") for _ in range(3)]
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
    return tuple(float((p / p.sum(-1, keepdims=True)).max(-1).mean()) for p in (softmax, product))


def linear_attention_stays_blunt(gain: float = 100) -> Evidence:
    """Queries and keys scaled up until softmax looks at one key: linear attention does not."""
    pairs = [_largest_weights(gain, seed) for seed in range(SEEDS)]
    ratios = [softmax / product for softmax, product in pairs]
    return Evidence(
        value=min(ratios),
        expected=50,
        tolerance=max(ratios) - min(ratios),
        unit="× the largest weight of linear attention",
        how=f"softmax's largest weight, mean of {N} queries, n = {N}, d = {D}, scores scaled by "
        f"{gain:g}, least of {SEEDS} seeds; margin: their range",
        relation=">",
    )
