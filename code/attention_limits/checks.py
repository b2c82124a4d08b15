"""What every public function asks of its numbers and names, refused in one form.

A ValueError names the argument, says what would be right, and shows what came. Nothing here needs
PyTorch; ``tensors`` has the checks of tensors.
"""

from collections.abc import Iterable
from numbers import Real


def is_number(x: object) -> bool:
    """Whether something is a real number; True and False are none."""
    return isinstance(x, Real) and not isinstance(x, bool)


def check_count(name: str, value: float, *, least: int = 0, most: int | None = None) -> None:
    """Refuse what is no integer, less than ``least`` or more than ``most``."""
    is_integer = isinstance(value, int) and not isinstance(value, bool)
    if not is_integer or value < least or (most is not None and value > most):
        limits = f"of at least {least}" if most is None else f"from {least} to {most}"
        raise ValueError(f"{name} must be an integer {limits}, got {value!r}")


def check_choice(name: str, value: object, choices: Iterable) -> None:
    """Refuse what is not among the choices."""
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, choices))}, got {value!r}")


def check_centre(name: str, width: int, causal: bool) -> None:
    """Refuse an even number of taps around a token: none of them would be in the middle."""
    if not causal and width % 2 == 0:
        raise ValueError(
            f"{name} must span an odd number of positions, to have a centre, or be causal; "
            f"got {width}"
        )
