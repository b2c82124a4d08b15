"""Growth as a power of n: exponents of a log-log fit, and how sure one can be of them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

RESAMPLES = 2000


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
        raise ValueError("values must be positive and finite, to have a logarithm")
    lengths, logs = np.asarray(lengths), np.log(np.asarray(values, dtype=float))
    different = np.unique(lengths)
    if len(different) < 2 or different[0] <= 0:
        raise ValueError(f"lengths must be positive, and two or more, got {different.tolist()}")
    return {float(length): logs[lengths == length] for length in different}


def _resampled(repeats: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """By how much the mean of the repeats might have come out otherwise, many times."""
    count = len(repeats)
    if count == 1:
        return np.zeros(RESAMPLES)  # one measurement says nothing of its own noise
    drawn = rng.choice(repeats, (RESAMPLES, count)).mean(-1) - repeats.mean()
    # Draws from a few repeats vary less than new measurements would, by this factor.
    return drawn * np.sqrt(count / (count - 1))
