"""What an experiment found, in rows and columns, for a page of the book and for a terminal."""

from collections.abc import Sequence
from statistics import mean
from typing import NamedTuple


class Table(NamedTuple):
    """Cells of text: a heading for each column, and rows; after the first column, numbers."""

    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    numbers: bool = True

    def __str__(self) -> str:
        lines = (tuple(self.head), *map(tuple, self.rows))
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        justify = str.rjust if self.numbers else str.ljust
        return "\n".join(
            "  ".join([line[0].ljust(widths[0]), *map(justify, line[1:], widths[1:])]).rstrip()
            for line in lines
        )

    def _repr_markdown_(self) -> str:
        rule = [":--", *(["--:" if self.numbers else ":--"] * (len(self.head) - 1))]
        return "\n".join(f"| {' | '.join(line)} |" for line in (self.head, rule, *self.rows))


def spread(values: Sequence[float], *, digits: int = 2) -> str:
    """The mean, and the least and the most in brackets unless they look alike."""
    middle, least, most = (f"{x:.{digits}f}" for x in (mean(values), min(values), max(values)))
    return middle if least == most else f"{middle} ({least} … {most})"
