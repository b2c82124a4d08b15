"""Evidence on ways around n²: what cheap attention can and cannot do."""

import functools
import itertools
from collections.abc import Callable

import numpy as np
import torch
from torch.nn.functional import elu
from torch.utils.flop_counter import FlopCounterMode

from attention_limits.attention import dense, linear
from attention_limits.chapters.quadratic_cost.derivations import lower_bounds as derivations
from attention_limits.evidence import Evidence, evidence
from attention_limits.meters import Touched

N, D, SEEDS = 512, 16, 5
SMALL, LARGE = 0.25, 8.0  # sizes of the scores


# --- how sharp small scores can be --------------------------------------------------------------


def within(scores: torch.Tensor, beta: float) -> torch.Tensor:
    """No score larger than β in size."""
    return scores.clamp(-beta, beta)


def a_tenth_more(scores: torch.Tensor, beta: float) -> torch.Tensor:
    """A rival: scores that may be a tenth larger than β."""
    return scores.clamp(-1.1 * beta, 1.1 * beta)


def one_side_only(scores: torch.Tensor, beta: float) -> torch.Tensor:
    """A rival: no score above β, but any below −β."""
    return scores.clamp(max=beta)


@evidence(
    rivals={
        "scores that may be a tenth larger": dict(allow=a_tenth_more),
        "scores that may be as small as they like": dict(allow=one_side_only),
    }
)
def no_search_beats_the_bound_on_the_largest_weight(
    allow: Callable[[torch.Tensor, float], torch.Tensor] = within, steps: int = 40
) -> Evidence:
    """The largest weight that a search finds among scores of at most β in size, over the bound.

    From random scores it goes uphill along the sign of the gradient.  Above one, the bound would be
    wrong, and far below one, it would say little.
    """
    found = []
    for n in (16, 97, 1024):
        for beta in (0.5, 2.0, 4.0):
            for seed in range(3):
                weight = dense.define(
                    np.ones((1, 1)), _uphill(n, beta, seed, allow, steps), np.eye(n), scale=1.0
                ).max()
                found.append(weight / derivations.LARGEST_WEIGHT(n=n, beta=beta) - 1)
    return Evidence(
        value=float(np.abs(found).max()),
        expected=1e-12,
        tolerance=0,
        unit="off the bound, relative",
        how=f"sign ascent on dense attention's largest weight, {steps} steps from random scores, "
        f"n = 16 to 1024, β = 0.5 to 4, {len(found)} searches",
        relation="<",
    )


def _uphill(n: int, beta: float, seed: int, allow: Callable, steps: int) -> np.ndarray:
    generator = torch.Generator().manual_seed(seed)
    scores = beta * (2 * torch.rand(n, generator=generator, dtype=torch.float64) - 1)
    for _ in range(steps):
        scores.requires_grad_()
        (slope,) = torch.autograd.grad(torch.softmax(scores, dim=0).max(), scores)
        scores = allow(scores.detach() + beta / 8 * slope.sign(), beta)
    return scores.numpy()[:, None]  # keys of one entry, for a query of 1


# --- what the matrix of weights is like ---------------------------------------------------------


def weights(beta: float, seed: int, n: int = N, d: int = D) -> np.ndarray:
    """Softmax weights (n, n) of random scores, the largest of which is ``beta`` in size."""
    q, k = np.random.default_rng(seed).standard_normal((2, n, d))
    scores = q @ k.T
    scores *= beta / np.abs(scores).max()
    exponentials = np.exp(scores)
    return exponentials / exponentials.sum(-1, keepdims=True)


def rank(matrix: np.ndarray, within: float = 0.01) -> int:
    """The least rank that comes as near as ``within``, relative, in the Frobenius norm."""
    return _needed(np.linalg.svd(matrix, compute_uv=False) ** 2, within)


def entries(matrix: np.ndarray, within: float = 0.01) -> int:
    """The fewest entries that come as near, all others being set to 0."""
    return _needed(np.sort(matrix.ravel() ** 2)[::-1], within)


def _needed(squares: np.ndarray, within: float) -> int:
    rest = np.cumsum(squares[::-1])[::-1]  # what is left out if the first r are kept
    return int((rest > within**2 * rest[0]).sum())


@evidence(rivals={"scores four times as large": dict(beta=4 * SMALL)})
def small_scores_make_a_matrix_of_low_rank(beta: float = SMALL) -> Evidence:
    """Rank of the weights where scores are small: at most 1 + d, that of 1 + s in place of e^s."""
    sizes = (N // 4, N // 2, N)
    ranks = [rank(weights(beta, seed, n=n)) for n in sizes for seed in range(SEEDS - 2)]
    return Evidence(
        value=max(ranks),
        expected=D + 2,
        tolerance=0,
        unit="dimensions",
        how=f"singular values, error 1%, d = {D}, scores up to {beta:g}, the most at n = "
        f"{', '.join(map(str, sizes))} and {SEEDS - 2} seeds",
        relation="<",
    )


def drawn(seed: int, beta: float = LARGE, d: int = D) -> np.ndarray:
    """The weights of random queries and keys, whose largest score is β."""
    return weights(beta, seed, d=d)


def each_its_own_key(seed: int) -> np.ndarray:
    """A rival: every query looks at one key.  Its rank is n, and it costs next to nothing."""
    return np.random.default_rng(seed).permutation(np.eye(N))


@evidence(
    rivals={
        "queries that look at one key each, of full rank and yet cheap": dict(
            draw=each_its_own_key
        ),
        "heads of width 2": dict(draw=functools.partial(drawn, d=2)),
        "scores four times as large": dict(draw=functools.partial(drawn, beta=4 * LARGE)),
    }
)
def large_scores_are_neither_thin_nor_sparse(
    draw: Callable[[int], np.ndarray] = drawn,
) -> Evidence:
    """How much of the weights is needed to come within 1%, as a thin or as a sparse matrix.

    The rank over n, or the entries that are kept over n², whichever is less.
    """
    needed = [
        min(rank(matrix) / N, entries(matrix) / N**2) for matrix in map(draw, range(SEEDS - 2))
    ]
    return Evidence(
        value=min(needed),
        expected=1 / 2,
        tolerance=max(needed) - min(needed),
        unit="of all dimensions, or of all entries",
        how=f"singular values and largest entries, error 1%, n = {N}, d = {D}, scores up to "
        f"{LARGE:g}; the least of {len(needed)} seeds, margin: their range",
        relation=">",
    )


# --- linear attention ---------------------------------------------------------------------------


def normalised_by_pairs(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, *, causal: bool = False
) -> torch.Tensor:
    """A rival whose outputs and matrix products are right, but whose normaliser takes n² numbers.

    It adds up φ(q) · φ(k) over all pairs, element by element, where no FLOP counter looks.
    """
    phi_q, phi_k = elu(q) + 1, elu(k) + 1
    terms = (phi_q[..., :, None, e] * phi_k[..., None, :, e] for e in range(q.shape[-1]))
    pairs = sum(terms, q.new_zeros(()))
    if causal:
        pairs = pairs.tril()
        return linear.attend(q, k, v, causal=True) + 0 * pairs.sum(-1, keepdim=True)
    return phi_q @ (phi_k.mT @ v) / pairs.sum(-1, keepdim=True)


def tripled(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, *, causal: bool = False
) -> torch.Tensor:
    """A rival with 3d features a head, φ(x), φ(−x) and φ(2x)."""
    phi_q, phi_k = (torch.cat([elu(a * x) + 1 for a in (1, -1, 2)], -1) for x in (q, k))
    v_1 = torch.cat([v, torch.ones_like(v[..., :1])], dim=-1)
    mix = phi_q @ (phi_k.mT @ v_1)
    return mix[..., :-1] / mix[..., -1:]


def counted(n: int, attend: Callable, *, d: int = D, **options: bool) -> tuple[int, int]:
    """FLOPs and touched numbers of attention over n tokens."""
    inputs = [torch.empty(1, n, d, device="meta") for _ in range(3)]
    with FlopCounterMode(display=False) as flops, Touched() as touched:
        attend(*inputs, **options)
    return flops.get_total_flops(), touched.count


@evidence(rivals={"a normaliser summed over all pairs": dict(attend=normalised_by_pairs)})
def the_work_of_linear_attention_doubles_when_n_doubles(
    attend: Callable = linear.attend,
) -> Evidence:
    """By how much the work added by a doubling of n grows at the next, causal and not: two.

    FLOPs of the products, and the numbers that all operations read and write.
    """
    ratios = []
    for causal in (False, True):
        counts = np.array([counted(2**power, attend, causal=causal) for power in range(9, 13)])
        added = np.diff(counts, axis=0)
        ratios += list((added[1:] / added[:-1]).ravel())
    return Evidence.exactly(
        ratios,
        expected=2,
        unit="× for each doubling",
        how="FLOPs that PyTorch counts (FlopCounterMode) and numbers that all operations read and "
        f"write, causal and not, n = {2**9} to {2**12}, d = {D}",
    )


@evidence(rivals={"features of width 3d": dict(attend=tripled)})
def linear_attention_takes_as_many_flops_as_derived(attend: Callable = linear.attend) -> Evidence:
    """Counted FLOPs of linear attention without a mask over 4nd(d + 1): one, whatever n and d."""
    ratios = [
        counted(n, attend, d=d)[0] / derivations.LINEAR(n=n, d=d)
        for n in (64, 1000, 8192)
        for d in (8, 64)
    ]
    return Evidence.exactly(
        ratios,
        expected=1,
        unit="× 4nd(d + 1)",
        how="FLOPs that PyTorch counts (FlopCounterMode), no mask, "
        "n = 64, 1000 and 8192, d = 8 and 64",
    )


def positive(x: np.ndarray) -> np.ndarray:
    """The features elu(x) + 1."""
    return np.where(x > 0, x + 1, np.exp(np.minimum(x, 0)))


def exponential(x: np.ndarray) -> np.ndarray:
    """A rival's features, e^x, which do sharpen as x grows."""
    return np.exp(x - x.max(-1, keepdims=True))


def _largest_weights(gain: float, seed: int, features: Callable) -> tuple[float, float]:
    """Mean over queries of the largest weight, of softmax and of linear attention."""
    q, k = np.random.default_rng(seed).standard_normal((2, N, D)) * np.sqrt(gain)
    scores = q @ k.T / np.sqrt(D)
    softmax, product = (
        np.exp(scores - scores.max(-1, keepdims=True)),
        features(q) @ features(k).T,
    )
    sharpest, linear = ((p / p.sum(-1, keepdims=True)).max(-1).mean() for p in (softmax, product))
    return float(sharpest), float(linear)


@evidence(rivals={"exponential features": dict(features=exponential)})
def larger_scores_do_not_sharpen_linear_attention(
    gain: float = 100, features: Callable[[np.ndarray], np.ndarray] = positive
) -> Evidence:
    """By how much the largest weight grows if queries and keys do: softmax's, over linear's.

    A common factor of all features cancels in the normaliser.
    """
    before, after = (
        np.array([_largest_weights(g, seed, features) for seed in range(SEEDS)]) for g in (1, gain)
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


def visible(n: int, causal: bool) -> torch.Tensor:
    """Which keys each of n queries sees."""
    sees = torch.ones(n, n, dtype=torch.bool)
    return sees.tril() if causal else sees


def by_features(q: torch.Tensor, k: torch.Tensor, *, causal: bool) -> torch.Tensor:
    """The weights of linear attention with the features elu + 1."""
    return linear.attend(q, k, torch.eye(len(k), dtype=k.dtype), causal=causal)


def by_softmax(q: torch.Tensor, k: torch.Tensor, *, causal: bool) -> torch.Tensor:
    """A rival: the weights of softmax attention, from vectors of the same width."""
    scores = (q @ k.mT).masked_fill(~visible(len(k), causal), -torch.inf)
    return torch.softmax(scores, dim=-1)


def by_twice_as_many(q: torch.Tensor, k: torch.Tensor, *, causal: bool) -> torch.Tensor:
    """A rival: linear attention with 2d features, φ(x) and φ(−x)."""
    q, k = (torch.cat([x, -x], dim=-1) for x in (q, k))
    return by_features(q, k, causal=causal)


def after_all_keys(weights: torch.Tensor, causal: bool) -> torch.Tensor:
    """Weights on own keys, one a query, if every query sees them all.

    Under a causal mask those of the second half, each on a key of the first.
    """
    half = len(weights) // 2
    return weights[half:, :half].diagonal() if causal else weights.diagonal()


def at_each_position(weights: torch.Tensor, causal: bool) -> torch.Tensor:
    """A rival: query i's own key is key i, under a causal mask as well, where few see it late."""
    return weights.diagonal()


@evidence(
    rivals={
        "softmax attention of the same width": dict(weigh=by_softmax),
        "features twice as many": dict(weigh=by_twice_as_many),
        "queries that do not see all the keys, each on the key at its own position under a "
        "causal mask": dict(own=at_each_position),
    }
)
def no_training_puts_more_on_own_keys_than_there_are_features(
    weigh: Callable[..., torch.Tensor] = by_features,
    own: Callable[[torch.Tensor, bool], torch.Tensor] = after_all_keys,
    n: int = 64,
    steps: int = 100,
) -> Evidence:
    """Queries' weights on keys of their own, added up, after they were trained for just that.

    Every query sees all of these keys: there is no mask, or it comes after them.  d features allow
    no more than d of the sum.
    """
    found = []
    for seed, (d, causal) in enumerate(itertools.product((4, 8), (False, True))):
        generator = torch.Generator().manual_seed(seed)
        q, k = (
            torch.randn(n, d, generator=generator, dtype=torch.float64).requires_grad_()
            for _ in range(2)
        )
        optimiser = torch.optim.Adam([q, k], lr=0.3)
        for _ in range(steps):
            total = own(weigh(q, k, causal=causal), causal).sum()
            optimiser.zero_grad()
            (-total).backward()
            optimiser.step()
        found.append(own(weigh(q, k, causal=causal), causal).sum().item() / d)
    return Evidence(
        value=max(found),
        expected=1,
        tolerance=0,
        unit="× d, the sum of the weights on own keys",
        how=f"Adam on queries and keys, {steps} steps, n = {n}, d = 4 and 8, features elu + 1, "
        f"without a mask and, causal, the last {n // 2} queries on the first {n // 2} keys; the "
        f"largest of {len(found)} runs, the least {min(found):.3f}",
        relation="<",
    )
