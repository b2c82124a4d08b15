"""What encodings ask of their options, tensors aside.

An encoding refuses with these what it is called with, and ``models.Architecture`` what it is made
of, before there is a tensor.
"""

import math
from collections.abc import Sequence

from attention_limits.checks import check_count, check_number, is_number, plain


def check_base(base: float) -> None:
    """Refuse what is no base of frequencies."""
    check_number("base", base, least=1)


def check_factor(factor: float) -> None:
    """Refuse what positions cannot be interpolated by."""
    check_number("factor", factor, least=1)


def check_numbers(name: str, values: Sequence[float], *, count: int | None = None) -> None:
    """Refuse what is no sequence of finite numbers, ``count`` of them if that is given."""
    values = plain(values)
    fit = isinstance(values, tuple) and all(is_number(x) and math.isfinite(x) for x in values)
    if not fit or (count is not None and len(values) != count):
        wanted = "finite numbers" if count is None else f"{count} finite numbers"
        raise ValueError(f"{name} must be a sequence of {wanted}, got {values!r}")


def check_periods(shortest: float, longest: float) -> None:
    """Refuse periods between which there is nothing to space."""
    check_number("shortest", shortest)
    check_number("longest", longest)
    if not 0 < shortest <= longest:
        raise ValueError(f"shortest must be more than 0, up to longest = {longest}, got {shortest}")


def buckets_a_side(causal: bool, buckets: int, max_distance: int) -> tuple[int, int]:
    """How many buckets there are for the keys on one side of a query; refused if too few.

    Returns:
        That, and ``max_distance``, as plain integers.
    """
    buckets = check_count("buckets", buckets, least=2 if causal else 4)
    if not causal and buckets % 2:
        raise ValueError(f"buckets must be even unless causal, for two sides, got {buckets}")
    side = buckets if causal else buckets // 2
    max_distance = check_count("max_distance", max_distance, least=side // 2 + 1)
    return side, max_distance
