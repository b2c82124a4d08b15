"""How sure one can be of a number: exponents of growth, means over seeds, and their differences.

Growth as a power of n is fitted with ``fit`` and looked at with ``local_slope``. What training
gives depends on its seed: ``summary`` says where the values lie, ``interval`` where their mean may,
and ``paired`` compares two ways of doing something, seed by seed.
"""

import functools
import itertools
from bisect import bisect
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import sympy as sp

from attention_limits.checks import is_number

RESAMPLES = 2000
SIGNS = 2**20  # of random swaps, held at once
EXACT = 14  # up to so many seeds, all signs are tried; their number doubles with each


@dataclass(frozen=True)
class Fit:
    """An exponent with the ends of its 95 % interval."""

    slope: float
    low: float
    high: float

    def __str__(self) -> str:
        """The exponent, and half of the interval if that is worth a digit: 1.98 ± 0.02."""
        half = (self.high - self.low) / 2
        return f"{self.slope:.2f}" + (f" ± {half:.2f}" if half >= 0.005 else "")


def fit(lengths: Sequence[float], values: Sequence[float]) -> Fit:
    """The exponent p in values ∝ lengths^p: least squares on both logarithms.

    The interval says how much of it is the noise of the clock: it comes from drawing the repeats
    of each length anew, always the same draws. From fewer than five repeats it is too narrow. It
    knows nothing of whether a power law is right; ``local_slope`` shows that.

    Args:
        lengths: one for each value; a length that is repeated is a repeated measurement.
        values: what was measured, all positive.

    Raises:
        ValueError: if there are fewer than two different lengths, or a value is not positive.
    """
    groups = _groups(lengths, values)
    x = np.log(list(groups))
    # Least squares is a weighted sum of the heights, here the mean logarithm at each length.
    weights = (x - x.mean()) / ((x - x.mean()) ** 2).sum()
    slope = weights @ [repeats.mean() for repeats in groups.values()]
    rng = np.random.default_rng(0)
    noise = sum(w * _resampled(y, rng) for w, y in zip(weights, groups.values(), strict=True))
    low, high = slope + np.quantile(noise, [0.025, 0.975])
    return Fit(float(slope), float(low), float(high))


def local_slope(lengths: Sequence[float], values: Sequence[float]) -> list[tuple[float, float]]:
    """The exponent between each length and the next, as (the geometric mean of both, exponent).

    Raises:
        ValueError: as ``fit``.
    """
    groups = _groups(lengths, values)
    x = np.log(list(groups))
    y = np.array([repeats.mean() for repeats in groups.values()])
    middles = np.exp((x[1:] + x[:-1]) / 2)
    return list(zip(middles.tolist(), (np.diff(y) / np.diff(x)).tolist(), strict=True))


def _groups(lengths: Sequence[float], values: Sequence[float]) -> dict[float, np.ndarray]:
    """The logarithms of all values of each length, in ascending order of the lengths."""
    if len(lengths) != len(values):
        raise ValueError(f"values must be one a length, got {len(values)} for {len(lengths)}")
    if not all(0 < value < np.inf for value in values):
        raise ValueError(
            f"values must be positive and finite, to have logarithms, got {list(values)}"
        )
    places, logs = np.asarray(lengths), np.log(np.asarray(values, dtype=float))
    different = np.unique(places)
    if len(different) < 2 or not all(0 < length < np.inf for length in different):
        raise ValueError(
            f"lengths must be positive and finite, and two or more, got {different.tolist()}"
        )
    return {float(length): logs[places == length] for length in different}


def _resampled(repeats: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """By how much the mean of the repeats might have come out otherwise, many times."""
    count = len(repeats)
    if count == 1:
        return np.zeros(RESAMPLES)  # one measurement says nothing of its own noise
    drawn = rng.choice(repeats, (RESAMPLES, count)).mean(-1) - repeats.mean()
    # Draws from a few repeats vary less than new measurements would, by this factor.
    return drawn * np.sqrt(count / (count - 1))


# --- over seeds ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Summary:
    """Values over seeds: their mean, the ends of their range, and how many there are."""

    mean: float
    least: float
    most: float
    count: int

    def __str__(self) -> str:
        """0.93 [0.91, 0.95] over 5 seeds."""
        return f"{self.mean:.3g} [{self.least:.3g}, {self.most:.3g}] over {self.count} seeds"


@dataclass(frozen=True)
class Interval:
    """A mean over seeds, and the interval in which that of all seeds lies at a level."""

    mean: float
    low: float
    high: float
    level: float

    def __str__(self) -> str:
        """The mean, and half of the interval to two digits: 0.934 ± 0.021."""
        half = (self.high - self.low) / 2
        if half == 0:
            return f"{self.mean:.3g}"
        digits = max(0, 1 - int(np.floor(np.log10(half))))
        return f"{self.mean:.{digits}f} ± {half:.{digits}f}"


@dataclass(frozen=True)
class Paired:
    """How far the values of a lie above those of b, seed by seed.

    ``p`` is the share of all ways to swap a and b within seeds after which their means would differ
    as much, in either direction. From few seeds it cannot be small: 2/2^n at the least, 0.0625 of
    five.
    """

    difference: Interval
    wins: int
    losses: int
    ties: int
    p: float

    def __str__(self) -> str:
        """0.120 ± 0.034 (won 5, lost 0, tied 0; p = 0.062)."""
        counts = f"won {self.wins}, lost {self.losses}, tied {self.ties}"
        return f"{self.difference} ({counts}; p = {self.p:.2g})"


def summary(values: Sequence[float]) -> Summary:
    """The mean of values over seeds, and their range.

    Raises:
        ValueError: if there are fewer than two values, or one is not finite.
    """
    each = _over_seeds("values", values)
    return Summary(float(each.mean()), float(each.min()), float(each.max()), len(each))


def interval(values: Sequence[float] | np.ndarray, level: float = 0.95) -> Interval:
    r"""Student's interval of the mean over seeds: :math:`\bar x \pm t_{n-1} \, s / \sqrt n`.

    For values that are normally distributed its level is exact, from two seeds on. The usual
    bootstrap is not: draws from five values vary too little, and its 95 % hold the mean 84 % of the
    time. Accuracies that pile up at 1, or that fall into learnt and not learnt, are not normal, and
    no interval of their mean says what they are like: give their ``summary`` as well. The ends are
    not held to a range; an accuracy's may lie above 1.

    Args:
        values: one for each seed.
        level: how often, over new seeds, the interval holds the mean of all.

    Raises:
        ValueError: as ``summary``, or if ``level`` is not between 0 and 1.
    """
    if not is_number(level) or not 0 < level < 1:
        raise ValueError(f"level must be between 0 and 1, got {level}")
    each = _over_seeds("values", values)
    mean, error = each.mean(), each.std(ddof=1) / np.sqrt(len(each))
    half = _student(len(each) - 1, level) * error
    return Interval(float(mean), float(mean - half), float(mean + half), level)


def paired(a: Sequence[float], b: Sequence[float], level: float = 0.95) -> Paired:
    """Compare values of a and b that have seeds in common, in the same order.

    What a seed does to both, the same draws of a task say, cancels in their difference. A win is a
    larger value of a. The p-value is exact up to ``EXACT`` seeds, and beyond from random swaps,
    always the same.

    Raises:
        ValueError: as ``interval``, or if a and b are not of equal number.
    """
    of_a, of_b = _over_seeds("a", a), _over_seeds("b", b)
    if len(of_a) != len(of_b):
        raise ValueError(f"b must have the seeds of a, got {len(of_b)} values for {len(of_a)}")
    apart = of_a - of_b
    wins, losses, ties = ((sign == np.sign(apart)).sum() for sign in (1, -1, 0))
    return Paired(interval(apart, level), int(wins), int(losses), int(ties), _swapped(apart))


def _over_seeds(name: str, values: Sequence[float] | np.ndarray) -> np.ndarray:
    each = np.asarray(values, dtype=float)
    if each.ndim != 1 or len(each) < 2:
        raise ValueError(
            f"{name} must be those of two seeds or more, got {each.size}: "
            "no claim is made from one seed"
        )
    if not np.isfinite(each).all():
        raise ValueError(f"{name} must be finite, got {each.tolist()}")
    return each


@functools.cache
def _student(degrees: int, level: float) -> float:
    """The t beyond which, in either direction, a Student variable lies 1 − level of the time."""
    half, fine = sp.Rational(1, 2), 2**53

    def tail(part: int) -> float:
        """P(|T| > t) where degrees/(degrees + t²) = part/fine; it grows with the part."""
        return float(sp.betainc_regularized(degrees * half, half, 0, sp.Rational(part, fine)))

    x = bisect(range(fine), 1 - level, key=tail) / fine
    return float(np.sqrt(degrees * (1 - x) / x))


def _swapped(differences: np.ndarray) -> float:
    """The share of swaps, each the sign of a difference, whose mean is as far from 0 as ours."""
    count = len(differences)
    if count <= EXACT:
        sums = np.array(list(itertools.product((-1, 1), repeat=count))) @ differences
    else:
        sums = _randomly_swapped(differences)
    rounding = 1e-12 * np.abs(differences).sum()
    return float((np.abs(sums) >= abs(differences.sum()) - rounding).mean())


def _randomly_swapped(differences: np.ndarray) -> np.ndarray:
    """The sums of many random swaps, some at a time: all signs at once would fill the memory."""
    rng, at_once = np.random.default_rng(0), max(1, SIGNS // len(differences))
    sums = [differences.sum()]  # ours is one of them, or p could be 0
    while len(sums) < 2**EXACT:
        swaps = min(at_once, 2**EXACT - len(sums))
        sums.extend(rng.choice((-1, 1), (swaps, len(differences))) @ differences)
    return np.array(sums)
