"""What is left out of a run: were it too much, a green suite would say nothing."""

import os
from itertools import combinations, product

import pytest
from helpers.selection import DAY, beyond_pairs, in_turn, spread, today

MANY = {"four": 4, "three": 3, "two": 2}
CASES = [("a", 1), ("a", 2), ("b", 3)]
SOURCE = f"""
import pytest

values = lambda name, count: pytest.mark.parametrize(name, list(range(count)))
four, three, two = (values(name, count) for name, count in {MANY}.items())

def test_plain(): ...

@values("nine", 9)
def test_nine(nine): ...

@four
@three
def test_pair(four, three): ...

@four
@three
@two
def test_many(four, three, two): ...

@four
@three
@two
def test_other(four, three, two): ...

@three
@two
@pytest.mark.parametrize(("module", "options"), {CASES})
def test_cases(module, options, three, two): ...
"""


class Catch:
    def pytest_collection_modifyitems(self, items):
        self.items = list(items)


@pytest.fixture(scope="module")
def items(tmp_path_factory):
    """Items as pytest itself collects them, by the names of their tests."""
    folder, catch = tmp_path_factory.mktemp("items"), Catch()
    (folder / "pytest.ini").write_text("[pytest]")
    (folder / "test_it.py").write_text(SOURCE)
    without = ("-p", "no:terminal", "-p", "no:cacheprovider", "-p", "no:hypothesispytest")
    assert pytest.main(["--collect-only", *without, str(folder)], plugins=[catch]) == 0
    return {
        name: [item for item in catch.items if item.originalname == f"test_{name}"]
        for name in ("plain", "nine", "pair", "many", "other", "cases")
    }


def values_of(kept, *names):
    return {tuple(item.callspec.params[name] for name in names) for item in kept}


@pytest.mark.parametrize("name", ["plain", "nine", "pair"])
def test_up_to_two_parameters_run_in_every_combination(items, name):
    assert list(beyond_pairs(items[name])) == []


def test_of_three_parameters_all_pairs_run_and_not_the_whole_product(items):
    """None was left out, for pytest numbers the items where it seems to number the values."""
    left_out = list(beyond_pairs(items["many"] + items["other"]))
    for name in ("many", "other"):  # what one test has shown, another has not
        kept = [item for item in items[name] if item not in left_out]
        assert 12 <= len(kept) < len(items[name]) == 24
        for pair in combinations(MANY, 2):
            assert values_of(kept, *pair) == values_of(items[name], *pair)


def test_two_parameters_that_come_together_are_one(items):
    """Mechanism and options are one case, beside which two more make three parameters."""
    left_out = list(beyond_pairs(items["cases"]))
    kept = [item for item in items["cases"] if item not in left_out]
    assert len(kept) < len(items["cases"]) == 18
    for other in ("two", "three"):
        wanted = {(*case, x) for case, x in product(CASES, range(MANY[other]))}
        assert values_of(kept, "module", "options", other) == wanted


@pytest.mark.parametrize(("few", "kept"), [(1, [0]), (2, [0, 8]), (3, [0, 4, 8]), (9, range(9))])
def test_a_few_are_spread_from_the_first_to_the_last(items, few, kept):
    everything = items["plain"] + items["nine"]
    assert list(spread(everything, few)) == items["plain"] + [items["nine"][i] for i in kept]


@pytest.mark.parametrize("ways", [1, 2, 3, 7, 14, 15])
@pytest.mark.parametrize("first", [0, 739_586])
def test_every_pair_has_its_day_in_a_week(ways, first):
    """A width in which a page is never looked at; or a day on which all of them come."""
    for page in ("index.html", "chapters/proofs.html", "library/index.html"):
        days = [in_turn(page, range(ways), first + day) for day in range(7)]
        assert sorted(way for day in days for way in day) == [*range(ways)]
        assert max(map(len, days)) <= -(-ways // 7)


def test_a_day_is_one_for_a_whole_run(monkeypatch):
    """Beyond midnight, a process that starts anew collects other tests than its siblings."""
    monkeypatch.setenv(DAY, "739586")
    assert today() == 739586
    monkeypatch.delenv(DAY)
    assert str(today()) == os.environ[DAY]
