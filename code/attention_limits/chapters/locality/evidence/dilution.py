"""Evidence on dilution: what a token's weight comes to among n, and what is still read of it."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import sympy as sp
import torch
from torch.nn.functional import one_hot, scaled_dot_product_attention

from attention_limits.chapters.locality.derivations import dilution as derivations
from attention_limits.evidence import Evidence, evidence
from attention_limits.formula import Formula
from attention_limits.symbols import noise

CLASSES = 16  # values that there are; one read by chance is right once in so many
LEAD = 3.0  # of the token's score
LENGTHS = (10, 100, 1_000, 10_000, 100_000)

Attend = Callable[..., torch.Tensor]  # (q, k, v), shapes (..., n, d)
Draw = Callable[[tuple[int, int], np.random.Generator], np.ndarray]  # values (trials, n)


def first_token(n: int, lead: float, trials: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    """One query, and n keys of which the first leads in its score: shapes (trials, 1 or n, d)."""
    d = 4
    q, k = torch.zeros(trials, 1, d), torch.zeros(trials, n, d)
    q[..., 0] = 1
    k[:, 0, 0] = lead * math.sqrt(d)
    return q, k


# --- weight -------------------------------------------------------------------------------------


def weight_of_first(attend: Attend, n: int, lead: float) -> float:
    """The weight of the first of n tokens, read from an output to which it alone adds."""
    q, k = first_token(n, lead)
    v = torch.zeros_like(k)
    v[:, 0] = 1
    return attend(q.double(), k.double(), v.double())[0, 0, 0].item()


def windowed(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """A window of eight tokens, seen from the first: there are never more others than seven."""
    return scaled_dot_product_attention(q, k[:, :8], v[:, :8])


def times_ln_n(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """Scores that grow with the logarithm of the length: they are not of a limited size."""
    scale = math.log(k.shape[-2]) / math.log(LENGTHS[0]) / math.sqrt(q.shape[-1])
    return scaled_dot_product_attention(q, k, v, scale=scale)


@evidence(
    rivals={
        "a window of 8 tokens": dict(attend=windowed),
        "scores that grow with ln n": dict(attend=times_ln_n),
    }
)
def a_weight_falls_as_derived(attend: Attend = scaled_dot_product_attention) -> Evidence:
    """The weight of a token that leads in PyTorch's attention, over that of the formula."""
    ratios = [
        weight_of_first(attend, n, lead) / float(derivations.WEIGHT.numpy(n=n, lead=lead))
        for n in LENGTHS
        for lead in (2.0, 8.0)
    ]
    furthest = max(ratios, key=lambda ratio: abs(math.log(ratio)))
    return Evidence(
        value=furthest,
        expected=1,
        tolerance=1e-12,
        unit="× the formula",
        how="PyTorch's scaled_dot_product_attention in float64, leads of 2 and 8, "
        f"n = {LENGTHS[0]} to {LENGTHS[-1]:,}; the furthest of {len(ratios)}",
    )


# --- what is read -------------------------------------------------------------------------------


def independent(shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Values drawn alike and independently."""
    return rng.integers(CLASSES, size=shape)


def one_for_all(shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """All tokens but the first share one value, which is not that of the first."""
    values = np.broadcast_to(rng.integers(CLASSES, size=(shape[0], 1)), shape).copy()
    values[:, 0] = (values[:, 0] + rng.integers(1, CLASSES, size=shape[0])) % CLASSES
    return values


def read(attend: Attend, draw: Draw, n: int, lead: float, *, trials: int) -> float:
    """How often the largest number of an output is that of the first token's value."""
    rng, right = np.random.default_rng(0), 0.0
    at_once = max(1, 400_000 // n)
    for done in range(0, trials, at_once):
        some = min(at_once, trials - done)
        values = torch.from_numpy(draw((some, n), rng))
        q, k = first_token(n, lead, some)
        output = attend(q, k, one_hot(values, CLASSES).to(q.dtype))
        right += (output[:, 0].argmax(-1) == values[:, 0]).sum().item()
    return right / trials


def as_the_weight(**sizes: float) -> np.ndarray:
    """What would be read if weight were information: the value itself, or chance."""
    weight = derivations.WEIGHT.numpy(n=sizes["n"], lead=sizes["lead"])
    return weight + (1 - weight) / CLASSES


@evidence(
    rivals={
        "a world in which all other tokens share one value": dict(draw=one_for_all),
        "the belief that what is read is the weight": dict(predicted=as_the_weight),
        "a window of 8 tokens": dict(attend=windowed),
    }
)
def what_is_read_follows_the_integral(
    attend: Attend = scaled_dot_product_attention,
    draw: Draw = independent,
    predicted: Callable[..., np.ndarray] = derivations.ACCURACY.numpy,
) -> Evidence:
    """How far the share of values that are read is from the derived one, at most."""
    trials, gaps = 2_000, []
    for squares in (1 / 4, 1, 4):
        n = 1 + round(squares * math.exp(2 * LEAD))
        found = read(attend, draw, n, LEAD, trials=trials)
        gaps.append(abs(found - float(predicted(n=n, values=CLASSES, lead=LEAD))))
    return Evidence(
        value=max(gaps),
        expected=0,
        tolerance=0.033,  # three standard errors of a share of one half
        unit="of the answers",
        how=f"PyTorch's attention over independent values, {CLASSES} of them, lead {LEAD:g}, "
        f"n = e⁶/4, e⁶ and 4e⁶, {trials} trials each; nothing is fitted",
    )


EVEN = np.full(CLASSES, 1 / CLASSES)
ONE_DOUBLED = np.array([2] + [1] * (CLASSES - 1)) / (CLASSES + 1)  # and all others alike


def counted(
    n: int,
    lead: float,
    *,
    frequencies: np.ndarray = EVEN,
    subtract: bool = False,
    precision: torch.dtype = torch.float64,
    trials: int = 10_000,
) -> float:
    """How often a value is read, without tokens: equal weights add up to counts of any size.

    Args:
        n: the length.
        lead: of the token's score.
        frequencies: of the values, for the token and for all others.
        subtract: whether the reader takes them from the output, as a bias behind it can.
        precision: to which the output is rounded; of equal numbers the first is read.
        trials: how often it is tried.
    """
    rng = np.random.default_rng(0)
    own = rng.choice(CLASSES, size=trials, p=frequencies)
    counts = rng.multinomial(n - 1, frequencies, size=trials).astype(float)
    counts[np.arange(trials), own] += math.exp(lead)
    output = torch.from_numpy(counts / (n - 1 + math.exp(lead))).to(precision).double().numpy()
    return float(((output - subtract * frequencies).argmax(1) == own).mean())


@evidence(
    rivals={
        "lengths in units of eᵟ, in which the weight falls": dict(power=1),
        "lengths in units of e³ᵟ": dict(power=3),
    }
)
def all_leads_fall_on_one_curve(power: float = 2) -> Evidence:
    """How far leads of 3, 4 and 5 are from each other at one length, in units of e²ᵟ."""
    apart = []
    for units in (1 / 4, 1, 4, 16):
        # The same lengths in all units for the lead of 4.
        lengths = {a: round(units * math.exp(8 + power * (a - 4))) for a in (3, 4, 5)}
        found = [counted(1 + n, a) for a, n in lengths.items()]
        apart.append(max(found) - min(found))
    return Evidence(
        value=max(apart),
        expected=0,
        tolerance=0.03,
        unit="of the answers",
        how="attention with equal scores but one, leads of 3, 4 and 5, n from e²ᵟ/4 to 16 e²ᵟ, "
        f"{CLASSES} values, 10,000 trials each; the largest distance of two leads",
    )


def power(**options: Any) -> float:
    """By which power of e^δ the length grows at which half of the values are read."""

    def half(lead: float) -> float:
        shorter, longer = 2.0, 1e9
        while longer > 1.01 * shorter:
            middle = math.sqrt(shorter * longer)
            if counted(round(middle), lead, trials=2_000, **options) > 1 / 2:
                shorter = middle
            else:
                longer = middle
        return shorter

    return math.log(half(6) / half(3)) / 3


@evidence(
    rivals={
        "values that are equally frequent": dict(frequencies=EVEN),
        "a reader who subtracts how frequent values are": dict(subtract=True),
    }
)
def a_frequent_value_takes_the_square_away(
    frequencies: np.ndarray = ONE_DOUBLED, subtract: bool = False
) -> Evidence:
    """The power if one value is twice as frequent as each other: one, not two."""
    return _of_power("<", 1.1, frequencies, subtract)


@evidence(
    rivals={"a reader of the largest number, with nothing subtracted": dict(subtract=False)},
)
def a_bias_behind_attention_gives_it_back(
    frequencies: np.ndarray = ONE_DOUBLED, subtract: bool = True
) -> Evidence:
    """The same power if the reader subtracts the frequencies, which do not depend on n: two."""
    return _of_power(">", 1.9, frequencies, subtract)


def _of_power(relation: str, bound: float, frequencies: np.ndarray, subtract: bool) -> Evidence:
    return Evidence(
        value=power(frequencies=frequencies, subtract=subtract),
        expected=bound,
        tolerance=0.01,  # of a search that stops at a hundredth of the length
        relation=relation,
        unit="powers of eᵟ",
        how=f"lengths at which half of {CLASSES} values are read, leads of 3 and 6, one value "
        "twice as frequent, 2,000 trials each",
    )


@evidence(rivals={"an output in float32": dict(precision=torch.float32)})
def bfloat16_rounds_a_small_signal_away(precision: torch.dtype = torch.bfloat16) -> Evidence:
    """How often the value is read where the integral says six times in ten."""
    lead = 8.0
    n = 1 + round(4 * math.exp(2 * lead))
    return Evidence(
        value=counted(n, lead, precision=precision),
        expected=2 / CLASSES,
        tolerance=0.01,
        unit="of the answers",
        how=f"the output rounded, lead {lead:g}, n = 4e¹⁶, {CLASSES} values, 10,000 trials; the "
        "bound is twice a guess",
        relation="<",
    )


@evidence(
    rivals={"independent values, which average out": dict(draw=independent)},
)
def a_shared_value_wins_at_half_of_the_weight(draw: Draw = one_for_all) -> Evidence:
    """The longest sequence of which the value is read, if all others share a wrong one."""
    longest = max(
        n
        for n in range(2, 60)
        if read(scaled_dot_product_attention, draw, n, LEAD, trials=50) > 0.5
    )
    return Evidence(
        value=longest,
        expected=math.floor(1 + math.exp(LEAD)),
        tolerance=0,
        unit="tokens",
        how=f"the longest of 2 to 59 that is read more often than not, lead {LEAD:g}: 1 + e³ = "
        f"{1 + math.exp(LEAD):.1f}",
    )


# --- spread scores ------------------------------------------------------------------------------


def needed_lead(n: int, noise: float, *, trials: int = 40) -> float:
    """The lead that gives one token half of the weight, if the others' scores are normal."""
    scores = noise * np.random.default_rng(0).standard_normal((trials, n - 1))
    top = scores.max(1, keepdims=True)
    return float(np.mean(top[:, 0] + np.log(np.exp(scores - top).sum(1))))


SHARES = (0.1, 0.3, 0.6, 0.75, 0.9, 1, 1.2, 1.4, 2.5)  # spreads, in units of √(2 ln n)
OTHERS = 100_000


def bound_with_edge(factor: float) -> Formula:
    """The bound whose two parts meet elsewhere: at so many times √(2 ln n)."""
    all_count, largest = derivations.ALL_COUNT.expr, derivations.LARGEST_COUNT.expr
    below = noise < factor * derivations.EDGE.expr
    return Formula(sp.Piecewise((all_count, below), (largest, True)))


def _over(bound: Formula) -> list[float]:
    """The lead that half of the weight takes, over a bound, for each spread."""
    edge = float(derivations.EDGE.numpy(n=OTHERS))
    return [
        needed_lead(OTHERS, share * edge) / float(bound.numpy(n=OTHERS, scores=share * edge))
        for share in SHARES
    ]


@evidence(
    rivals={
        "ς√(2 ln n), as if the largest always counted": dict(bound=derivations.LARGEST_COUNT),
        "two parts that meet too early": dict(bound=bound_with_edge(0.61)),
        "a tenth less": dict(bound=Formula(0.9 * derivations.NOISY_HALF.expr)),
    }
)
def half_of_the_weight_takes_no_more_than_the_bound(
    bound: Formula = derivations.NOISY_HALF,
) -> Evidence:
    """The lead that half of the weight takes, over the bound, where it is nearest."""
    return Evidence(
        value=max(_over(bound)),
        expected=1,
        tolerance=0,
        unit="× the bound",
        how=f"{OTHERS:,} normal scores, spread from .1 to 2.5 times √(2 ln n), mean of 40 draws",
        relation="<",
    )


@evidence(
    rivals={
        "ln n + ς²/2, as if all others always counted": dict(bound=derivations.ALL_COUNT),
        "two parts that meet too late": dict(bound=bound_with_edge(1.49)),
    }
)
def half_of_the_weight_takes_nearly_the_bound(
    bound: Formula = derivations.NOISY_HALF,
) -> Evidence:
    """How far the lead that half of the weight takes is from the bound, as a share of that.

    The largest of n normal scores is less than ς√(2 ln n) by a share of (ln ln n + ln 4π)/(4 ln n).
    """
    return Evidence(
        value=max(abs(ratio - 1) for ratio in _over(bound)),
        expected=0,
        tolerance=(math.log(math.log(OTHERS)) + math.log(4 * math.pi)) / (4 * math.log(OTHERS)),
        unit="of the bound",
        how=f"{OTHERS:,} normal scores, spread from .1 to 2.5 times √(2 ln n), mean of 40 draws; "
        f"the furthest of {len(SHARES)}",
    )


def kept_among(n: int, spread: float, factor: float, *, of: int = 100) -> float:
    """The weight among n tokens of one that has half of it among ``of``, the median of 20 draws.

    All scores are multiplied by a factor, as ln n/ln n_0 is.
    """
    lead, rng = needed_lead(of, spread), np.random.default_rng(0)
    others = factor * spread * rng.standard_normal((20, n - 1))
    return float(np.median(1 / (1 + np.exp(others - factor * lead).sum(1))))


# --- cures --------------------------------------------------------------------------------------


def with_a_slope(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """A bias that falls by a half for each token of distance, here from the first one."""
    bias = -SLOPE * torch.arange(k.shape[-2], dtype=q.dtype)
    return scaled_dot_product_attention(q, k, v, attn_mask=bias)


SLOPE = 0.5


@evidence(rivals={"attention without a bias": dict(attend=scaled_dot_product_attention)})
def a_bias_keeps_the_nearest(attend: Attend = with_a_slope) -> Evidence:
    """The least weight of the nearest of equal keys over n, under a bias by distance."""
    found = min(weight_of_first(attend, n, 0) for n in LENGTHS)
    return Evidence(
        value=round(found, 12),  # beyond which sums of 100,000 weights are rounded
        expected=round(1 - math.exp(-SLOPE), 12),
        tolerance=0,
        unit="of the weight",
        how=f"PyTorch's attention with a bias of −{SLOPE} a token, equal keys, n = {LENGTHS[0]} to "
        f"{LENGTHS[-1]:,}; the least of {len(LENGTHS)}, to 12 digits",
    )
