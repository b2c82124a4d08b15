"""What encodings ask of their options, tensors aside.

An encoding refuses with these what it is called with, and ``models.Architecture`` what it is made
of, before there is a tensor.
"""

import math
from collections.abc import Sequence
from numbers import Real

from attention_limits.checks import check_count


def check_base(base: float) -> None:
    """Refuse what is no base of frequencies."""
    if not isinstance(base, Real) or not 1 <= base < math.inf:
        raise ValueError(f"base must be a finite number of at least 1, got {base!r}")


def check_factor(factor: float) -> None:
    """Refuse what positions cannot be interpolated by."""
    if not isinstance(factor, Real) or not 1 <= factor < math.inf:
        raise ValueError(f"factor must be a finite number of at least 1, got {factor!r}")


def check_numbers(name: str, values: Sequence[float], *, count: int | None = None) -> None:
    """Refuse what is no sequence of finite numbers, ``count`` of them if that is given."""
    given = isinstance(values, Sequence) and not isinstance(values, str)
    given = given and all(isinstance(x, Real) and math.isfinite(x) for x in values)
    if not given or (count is not None and len(values) != count):
        wanted = "finite numbers" if count is None else f"{count} finite numbers"
        raise ValueError(f"{name} must be a sequence of {wanted}, got {values!r}")


def check_periods(shortest: float, longest: float) -> None:
    """Refuse periods between which there is nothing to space."""
    if not 0 < shortest <= longest < math.inf:
        raise ValueError(f"shortest must be more than 0, up to longest = {longest}, got {shortest}")


def buckets_a_side(causal: bool, buckets: int, max_distance: int) -> int:
    """How many buckets there are for the keys on one side of a query; refused if too few."""
    check_count("buckets", buckets, least=2 if causal else 4)
    if not causal and buckets % 2:
        raise ValueError(f"buckets must be even unless causal, for two sides, got {buckets}")
    side = buckets if causal else buckets // 2
    check_count("max_distance", max_distance, least=side // 2 + 1)
    return side
