"""What the options of a mechanism may be, for a Transformer that is not built yet."""

import inspect
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from attention_limits.attention import linear
from attention_limits.attention.options import (
    check_layout,
    check_period,
    check_windows,
    distinct_offsets,
)
from attention_limits.checks import check_choice, check_count, check_number


def options_of(function: Callable) -> dict[str, object]:
    """What a function takes by name only, each with its default: ``Parameter.empty`` if none."""
    parameters = inspect.signature(function).parameters.values()
    return {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}


def check_names(
    name: str, given: Mapping[str, object], owner: str, takes: Mapping[str, object]
) -> None:
    """Refuse options that their owner does not take, and the lack of one that it cannot be without.

    Raises:
        ValueError: naming ``name``, the field that holds them.
    """
    for option in given:
        if option not in takes:
            known = ", ".join(takes) or "none"
            raise ValueError(f"{name} must be among those of {owner}, {known}, got {option!r}")
    for option, default in takes.items():
        if default is inspect.Parameter.empty and option not in given:
            raise ValueError(f"{name} must say {option} for {owner}, got {given}")


def check_values(options: Mapping[str, Any], *, heads: int, causal: bool) -> None:
    """Refuse options that a mechanism would refuse when it is called.

    Raises:
        ValueError: naming the option.
    """
    for name, value in options.items():
        match name:
            case "offsets":
                distinct_offsets(value, causal)
            case "period":
                check_period(value, (heads,))
            case "layout":
                check_layout(np.array(value), options["block"])
            case "width" | "window" | "shift" if "width" in options:  # windows on a grid
                check_windows(options["width"], options["window"], options.get("shift", 0))
            case _:
                CHECKS[name](name, value)


def _check_number(name: str, value: object) -> None:
    if value is not None and (name != "sink" or value not in (-math.inf, math.inf)):
        check_number(name, value)


def _check_positive(name: str, value: int) -> None:
    check_count(name, value, least=1)


def _check_switch(name: str, value: object) -> None:
    check_choice(name, value, (False, True))


def _check_feature_map(name: str, value: str) -> None:
    check_choice(name, value, linear.FEATURE_MAPS)


# An option means the same in all mechanisms that have it. Those that depend on others are above.
CHECKS: dict[str, Callable[[str, Any], None]] = {
    "block": _check_positive,
    "covariance": _check_switch,
    "feature_map": _check_feature_map,
    "log_n": _check_number,
    "per_channel": _check_switch,
    "scale": _check_number,
    "sink": _check_number,
    "window": _check_positive,
}
