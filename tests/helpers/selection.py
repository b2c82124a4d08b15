"""Which of a test's items run: a few of them, or enough for all pairs of parameters."""

from collections import defaultdict
from collections.abc import Iterator
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
