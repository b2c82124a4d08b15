"""What is left out of a run: were it too much, a green suite would say nothing."""

from itertools import combinations, product

import pytest
from helpers.selection import beyond_pairs, spread

pytest_plugins = "pytester"


@pytest.fixture
def items(pytester):
    """Items as pytest itself collects them: one for each combination of so many parameters."""

    def items(**axes):
        marks = [
            f"@pytest.mark.parametrize({name!r}, {list(range(count))})\n"
            for name, count in axes.items()
        ]
        tests = [f"{''.join(marks)}def test_{name}({', '.join(axes)}): ...\n" for name in "fg"]
        return pytester.getitems("\n".join(["import pytest", *tests]))

    return items


def pairs(kept):
    return {pair for item in kept for pair in combinations(sorted(item.callspec.params.items()), 2)}


@pytest.mark.parametrize("axes", [{}, {"a": 7}, {"a": 3, "b": 5}])
def test_up_to_two_parameters_run_in_every_combination(items, axes):
    assert list(beyond_pairs(items(**axes))) == []


def test_of_three_parameters_all_pairs_run_and_not_the_whole_product(items):
    """None was left out, for pytest numbers the items where it seems to number the values."""
    everything = items(a=4, b=3, c=2)
    left_out = list(beyond_pairs(everything))
    assert len(everything) == 48
    for name in ("test_f", "test_g"):  # what one test has shown, another has not
        own = [item for item in everything if item.originalname == name]
        kept = [item for item in own if item not in left_out]
        assert pairs(kept) == pairs(own)
        assert 12 <= len(kept) < 24


def test_two_parameters_that_come_together_are_one(pytester):
    """Mechanism and options are one case, beside which two more make three parameters."""
    cases = [("a", 1), ("a", 2), ("b", 3)]
    others = [f"@pytest.mark.parametrize({name!r}, [0, 1])" for name in ("n", "device")]
    mark = f"@pytest.mark.parametrize(('module', 'options'), {cases})"
    test = "def test_f(module, options, n, device): ..."
    everything = pytester.getitems("\n".join(["import pytest", *others, mark, test]))
    left_out = list(beyond_pairs(everything))
    kept = [item.callspec.params for item in everything if item not in left_out]
    assert len(kept) < len(everything) == 12
    for other in ("n", "device"):
        shown = {(call["module"], call["options"], call[other]) for call in kept}
        assert shown == {(*case, x) for case, x in product(cases, [0, 1])}


@pytest.mark.parametrize(("count", "kept"), [(1, [0]), (2, [0, 1]), (3, [0, 1, 2]), (9, [0, 4, 8])])
def test_a_few_are_spread_from_the_first_to_the_last(items, count, kept):
    everything = items(a=count)
    own = everything[:count]
    assert list(spread([*own, everything[count]], 3)) == [
        *(own[i] for i in kept),
        everything[count],
    ]


def test_of_few_a_test_without_parameters_is_one(items):
    everything = items()
    assert list(spread(everything, 3)) == everything
