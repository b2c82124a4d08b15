"""How whoever measures says how far that is."""

from collections.abc import Callable

# Told the share that is done and what comes next, or None and a remark that should stay.
Progress = Callable[[float | None, str], None]


def silent(share: float | None, words: str) -> None:
    """Progress that nobody wants to hear of."""


def part(progress: Progress, number: int, count: int, what: str = "") -> Progress:
    """Progress of one of several parts that take as long as each other, for that of the whole.

    Args:
        progress: of the whole.
        number: of the part, from 0.
        count: how many there are.
        what: what the part is, to be put before its words.
    """

    def told(share: float | None, words: str) -> None:
        progress(None if share is None else (number + share) / count, f"{what}{words}")

    return told
