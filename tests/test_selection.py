"""What is left out of a run: were it too much, a green suite would say nothing."""

from itertools import combinations, product
from types import SimpleNamespace

import pytest
from helpers.selection import beyond_pairs, spread


def items(function, **axes):
    """One item for each combination of so many parameters, as pytest collects them."""
    for indices in product(*map(range, axes.values())):
        call = SimpleNamespace(indices=dict(zip(axes, indices, strict=True)))
        yield SimpleNamespace(function=function, callspec=call)


def pairs(kept):
    return {
        pair for item in kept for pair in combinations(sorted(item.callspec.indices.items()), 2)
    }


@pytest.mark.parametrize("axes", [{"a": 7}, {"a": 3, "b": 5}])
def test_one_parameter_and_two_run_in_every_combination(axes):
    assert list(beyond_pairs(list(items("f", **axes)))) == []


def test_of_three_parameters_all_pairs_run_and_not_the_whole_product():
    everything = [*items("f", a=4, b=3, c=2), *items("g", a=4, b=3, c=2)]
    left_out = list(map(id, beyond_pairs(everything)))
    for function in "fg":  # what one test has shown, another has not
        own = [item for item in everything if item.function == function]
        kept = [item for item in own if id(item) not in left_out]
        assert pairs(kept) == pairs(own)
        assert 12 <= len(kept) < 24


def test_a_test_without_parameters_always_runs():
    plain = SimpleNamespace(function="f")
    assert list(beyond_pairs([plain])) == []
    assert list(spread([plain], 3)) == [plain]


@pytest.mark.parametrize(("count", "kept"), [(1, [0]), (2, [0, 1]), (3, [0, 1, 2]), (9, [0, 4, 8])])
def test_a_few_are_spread_from_the_first_to_the_last(count, kept):
    own, other = list(items("f", a=count)), list(items("g", a=1))
    assert list(spread([*own, *other], 3)) == [*(own[place] for place in kept), *other]
