"""Which of a test's items run: a few, enough for all pairs of parameters, or those of a day."""

import os
import zlib
from collections import defaultdict
from collections.abc import Hashable, Iterator, Sequence
from datetime import date
from itertools import combinations

import pytest


def spread(items: list[pytest.Item], few: int) -> Iterator[pytest.Item]:
    """At most so many items of each test, evenly spread over all that it has."""
    of_test: dict[object, list[pytest.Item]] = defaultdict(list)
    for item in items:
        of_test[getattr(item, "function", item)].append(item)
    for all_of_it in of_test.values():
        places = min(few, len(all_of_it))
        yield from (
            all_of_it[round(i * (len(all_of_it) - 1) / max(1, places - 1))] for i in range(places)
        )


def beyond_pairs(items: list[pytest.Item]) -> Iterator[pytest.Item]:
    """The items whose parameters, two by two, others of the same test have shown together.

    A fault takes one parameter, or two that meet, nearly always: of three and more, the whole
    product shows little beside what it costs.
    """
    seen: dict[object, set] = defaultdict(set)
    for item in items:
        if call := getattr(item, "callspec", None):
            # A value is known by its identity: ``call.indices`` counts the items, not the values.
            values = sorted((name, id(value)) for name, value in call.params.items())
            pairs = set(combinations(values, 2))
            if pairs and pairs <= seen[item.function]:
                yield item
            seen[item.function] |= pairs


WEEK = 7
DAY = "BOOK_DAY"  # in the environment: a day by its number, whose sample is to run again


def today() -> int:
    """The number of the day, the same in every process of a run: it may last beyond midnight."""
    return int(os.environ.setdefault(DAY, str(date.today().toordinal())))


def in_turn(page: str, ways: Sequence[Hashable], day: int) -> set:
    """In which of several ways a page is looked at on a day: in each of them within a week."""
    first = zlib.crc32(page.encode())  # or all pages would have the same turn
    apart = max(1, WEEK // len(ways))
    return {way for k, way in enumerate(ways) if (first + k * apart) % WEEK == day % WEEK}


def pairs_in_turn(pages: Sequence[str], ways: Sequence[Hashable]) -> list:
    """All pairs of a page and a way, as parameters of a test: today's, and others for ``deep``."""
    return [
        pytest.param(
            page, way, marks=[] if way in in_turn(page, ways, today()) else pytest.mark.deep
        )
        for page in pages
        for way in ways
    ]
