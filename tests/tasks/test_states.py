"""Finite automata: what the contract of all tasks cannot know."""

import numpy as np
import pytest

from attention_limits.tasks import make
from attention_limits.tasks.states import elements, table

ORDER = {"S3": 6, "S5": 120, "A5": 60}
groups = pytest.mark.parametrize("group", ORDER)


def test_parity_and_counting_by_hand():
    batch = make("parity").sample(0, 200, 4)
    row = np.flatnonzero((batch.inputs == [1, 0, 1, 1]).all(axis=1))[0]
    assert batch.targets[row].tolist() == [1, 1, 0, 1]
    batch = make("modular_counting", m=3).sample(0, 500, 4)
    row = np.flatnonzero((batch.inputs == [2, 2, 0, 1]).all(axis=1))[0]
    assert batch.targets[row].tolist() == [2, 1, 1, 2]


@groups
def test_a_table_is_that_of_a_group(group):
    """One wrong entry, and no model can learn the task."""
    product = table(group)
    everything = np.arange(ORDER[group])
    assert product.shape == (ORDER[group],) * 2
    assert (
        product[product[:, :, None], everything] == product[everything[:, None, None], product]
    ).all()
    assert (product[0] == everything).all()  # the first element changes nothing
    assert (product[:, 0] == everything).all()
    assert ((product == 0).sum(axis=0) == 1).all()  # one inverse from either side
    assert ((product == 0).sum(axis=1) == 1).all()
    assert (product != product.T).any()


@groups
def test_elements_are_different_permutations(group):
    size = int(group[1])
    assert len(set(elements(group))) == len(elements(group)) == ORDER[group]
    assert all(sorted(p) == list(range(size)) for p in elements(group))
    assert elements(group)[0] == tuple(range(size))


def test_the_alternating_group_is_even():
    """The determinant of a permutation's matrix is the sign of the permutation."""
    signs = {p: round(np.linalg.det(np.eye(5)[list(p)])) for p in elements("S5")}
    assert set(elements("A5")) == {p for p, sign in signs.items() if sign == 1}


def test_the_first_token_acts_first():
    """Swap 0 and 1, then turn 0 → 1 → 2 → 0: together 0 → 2, 1 → 1, 2 → 0. The other way, not."""
    number = {p: i for i, p in enumerate(elements("S3"))}
    swap, turn = number[1, 0, 2], number[1, 2, 0]
    assert elements("S3")[table("S3")[swap, turn]] == (2, 1, 0)
    assert elements("S3")[table("S3")[turn, swap]] == (0, 2, 1)
    batch = make("permutations").sample(0, 500, 2)
    row = np.flatnonzero((batch.inputs == [swap, turn]).all(axis=1))[0]
    assert batch.targets[row].tolist() == [swap, number[2, 1, 0]]


@groups
def test_two_generators_make_up_the_group(group):
    """Half of the answers never came up: the generators lay in a smaller group."""
    inputs = make("permutations", group=group, generators=True).sample(0, 200, 20).inputs
    generators = set(inputs[:, 1:].ravel())
    assert len(generators) == 2
    reached, waiting = set(), [0]
    while waiting:
        state = waiting.pop()
        reached.add(state)
        waiting += {table(group)[state, g] for g in generators} - reached
    assert len(reached) == ORDER[group]
