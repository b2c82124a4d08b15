"""What every public function asks of its numbers and names, refused in one form.

A ValueError names the argument, says what would be right, and shows what came. Nothing here needs
PyTorch; ``tensors`` has the checks of tensors.
"""

import dataclasses
import math
import operator
from abc import ABC
from collections.abc import Iterable, Mapping, Set
from numbers import Real
from typing import Any, TypeGuard


class Symbolic(ABC):  # noqa: B024  # a type joins by being registered, not by its methods
    """A size that is not known yet: ``tensors`` registers PyTorch's, of compiling and exporting.

    It is an integer like others, but to ask for its value would fix it.
    """


def is_number(x: object) -> TypeGuard[float]:
    """Whether something is a real number, finite or not; True and False are none."""
    return isinstance(x, Real) and not isinstance(x, bool)


def check_number(name: str, value: object, *, least: float = -math.inf) -> float:
    """Refuse what is no finite number, or less than ``least``.

    Returns:
        The number as Python's own.
    """
    try:
        number = float(value) if is_number(value) else math.nan
    except OverflowError:  # of an integer that no float is as large as
        number = math.inf
    # By comparisons, which NaN fails, for `isfinite` of a number made of symbolic sizes is none.
    if not -math.inf < number < math.inf or number < least:
        limits = "" if least == -math.inf else f" of at least {least}"
        raise ValueError(f"{name} must be a finite number{limits}, got {value!r}")
    return number


def as_integer(value: object) -> Any:
    """An integer of any library as Python's own, a symbolic one as it came; None if it is none.

    True and False are none, whoever's they are.
    """
    if type(value) is int or isinstance(value, Symbolic):
        return value
    if isinstance(value, bool) or str(getattr(value, "dtype", "")).endswith("bool"):
        return None
    try:
        return operator.index(value)  # type: ignore[arg-type]  # that it may not be is the point
    except (TypeError, RuntimeError):  # the latter from a tensor that holds nothing
        return None


def check_count(name: str, value: object, *, least: int = 0, most: int | None = None) -> int:
    """Refuse what is no integer, less than ``least`` or more than ``most``.

    Returns:
        The integer as Python's own, which does not wrap at 128 or 2^63.
    """
    integer = as_integer(value)
    if integer is None or integer < least or (most is not None and integer > most):
        limits = f"of at least {least}" if most is None else f"from {least} to {most}"
        raise ValueError(f"{name} must be an integer {limits}, got {value!r}")
    return integer


def check_counts(name: str, values: object, *, least: int = 0) -> tuple[int, ...]:
    """The same of several integers, in any collection; there is one at least."""
    try:
        each = [as_integer(x) for x in values]  # type: ignore[attr-defined]
    except TypeError:  # no collection
        each = []
    if not each or any(x is None or x < least for x in each):
        raise ValueError(f"{name} must be one or more integers of at least {least}, got {values!r}")
    return tuple(each)


def plain(x: Any) -> Any:
    """Python's own numbers, tuples and dictionaries in place of other libraries' and of lists.

    What is equal is then alike: as a key, in a record, and after a way through JSON.
    """
    if hasattr(x, "tolist"):  # NumPy's and PyTorch's
        return plain(x.tolist())
    if isinstance(x, Mapping):
        return {key: plain(value) for key, value in x.items()}
    if isinstance(x, Set):
        return tuple(map(plain, sorted(x)))
    if isinstance(x, Iterable) and not isinstance(x, str):
        return tuple(map(plain, x))
    return x if isinstance(x, bool) or not hasattr(x, "__index__") else operator.index(x)


class Plain:
    """For frozen dataclasses that are keys, and are recorded: their values are plain ones."""

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):  # type: ignore[arg-type]
            # Frozen, it lets itself assign no more than others.
            object.__setattr__(self, field.name, plain(getattr(self, field.name)))


def check_choice(name: str, value: object, choices: Iterable) -> None:
    """Refuse what is not among the choices."""
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, choices))}, got {value!r}")


def check_centre(name: str, width: int, causal: bool) -> None:
    """Refuse an even number of taps around a token: none of them would be in the middle."""
    if not causal and width % 2 == 0:
        raise ValueError(
            f"{name} must span an odd number of positions, to have a centre, or be causal, "
            f"got {width}"
        )
