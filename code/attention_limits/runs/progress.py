"""How whoever measures says how far that is."""

from collections.abc import Callable

# Told the share that is done and what comes next, or None and a remark that should stay.
Progress = Callable[[float | None, str], None]


def silent(share: float | None, words: str) -> None:
    """Progress that nobody wants to hear of."""
