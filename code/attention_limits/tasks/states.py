r"""State tracking: the answer is the state of a finite automaton that has read all tokens so far.

``parity``, of fair bits, and ``modular_counting``, of uniform digits x_i < m:

.. math::

    y_i = \Bigl( \sum_{j \le i} x_j \Bigr) \bmod m, \qquad m = 2 \text{ for parity}

``permutations``: the word problem of a group; the first token acts first:

.. math::

    y_i = x_i \circ x_{i-1} \circ \dots \circ x_0

The tokens are elements of S₃, S₅ or A₅.  With ``generators`` only the first is any element, the
state in which it starts; the others are one of two that make up the whole group.  Either way the
state is uniform at every place, so that no place is easier than another.

Every token counts here, and for permutations their order does.  Transformers can express parity
(:cite:t:`chiang2022overcoming` give the weights) and seldom learn it; for why, see
:cite:t:`hahn2024sensitive`.  The word problem of S₅ or A₅ is complete for NC¹
(:cite:t:`barrington1989bounded`): if TC⁰ ≠ NC¹, it is beyond Transformers of fixed depth and
logarithmic precision (:cite:t:`merrill2023parallelism`) and beyond state-space models with
diagonal transitions (:cite:t:`merrill2024illusion`).  For S₃, a solvable group, Transformers of
fixed depth exist (:cite:t:`liu2023shortcuts`).
"""

import functools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import combinations, permutations

import numpy as np

from attention_limits.checks import check_choice, check_count
from attention_limits.tasks.task import Task


@dataclass(frozen=True)
class ModularCounting(Task):
    """What is the sum so far, modulo m?

    Attributes:
        m: how many digits there are, and as many sums.
    """

    m: int = 5

    def __post_init__(self) -> None:
        super().__post_init__()
        check_count("m", self.m, least=2)

    @property
    def vocabulary(self) -> int:
        """The digits."""
        return self.m

    @property
    def classes(self) -> int:
        """The digits."""
        return self.m

    shortest = 1

    def _draw(self, rng: np.random.Generator, count: int, n: int) -> tuple[np.ndarray, ...]:
        inputs = rng.integers(self.m, size=(count, n))
        return inputs, np.cumsum(inputs, axis=1) % self.m

    def _read(self, tokens: Iterable[int]) -> Iterator[int]:
        state = 0
        for token in tokens:
            for _ in range(token):  # an automaton with m states, which only knows the next one
                state = 0 if state == self.m - 1 else state + 1
            yield state


@dataclass(frozen=True)
class Parity(ModularCounting):
    """Has the number of ones so far been odd?"""

    m: int = field(default=2, init=False, repr=False)


@dataclass(frozen=True)
class Permutations(Task):
    """Which element of the group is the product so far?

    Tokens and answers are numbers of elements, as ``elements`` counts them.

    Attributes:
        group: "S3", "S5" or "A5".
        generators: whether all tokens but the first are drawn from two generators of the group.
    """

    group: str = "S3"
    generators: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("group", self.group, _GENERATORS)
        check_choice("generators", self.generators, (True, False))

    @property
    def vocabulary(self) -> int:
        """The elements of the group."""
        return len(elements(self.group))

    @property
    def classes(self) -> int:
        """The elements of the group."""
        return len(elements(self.group))

    shortest = 1

    def _draw(self, rng: np.random.Generator, count: int, n: int) -> tuple[np.ndarray, ...]:
        inputs = rng.integers(self.vocabulary, size=(n, count))
        if self.generators:
            numbers = [elements(self.group).index(g) for g in _GENERATORS[self.group]]
            inputs[1:] = rng.choice(numbers, size=(n - 1, count))
        after, targets = table(self.group), inputs.copy()
        for i in range(1, n):
            targets[i] = after[targets[i - 1], inputs[i]]
        return inputs.T.copy(), targets.T.copy()

    def _read(self, tokens: Iterable[int]) -> Iterator[int]:
        places = elements(self.group)
        state = places[0]
        for token in tokens:
            state = tuple(places[token][x] for x in state)
            yield places.index(state)


# Two permutations that make up the group: where each of 0, 1, … goes.
_GENERATORS = {
    "S3": ((1, 0, 2), (1, 2, 0)),
    "S5": ((1, 0, 2, 3, 4), (1, 2, 3, 4, 0)),
    "A5": ((1, 2, 0, 3, 4), (1, 2, 3, 4, 0)),
}


@functools.cache
def elements(group: str) -> tuple[tuple[int, ...], ...]:
    """The permutations of a group in alphabetical order, the identity first: x goes to p[x]."""
    everything = permutations(range(int(group[1:])))
    return tuple(p for p in everything if group[0] == "S" or _is_even(p))


@functools.cache
def table(group: str) -> np.ndarray:
    """The number of the product: in row p and column q, of p followed by q."""
    p = np.array(elements(group))
    products = p[:, p].swapaxes(0, 1)  # [p, q, x] is where q takes what p has made of x
    digits = p.shape[1] ** np.arange(p.shape[1])  # any weights that tell permutations apart
    names = p @ digits
    order = names.argsort()
    return order[np.searchsorted(names[order], products @ digits)]


def _is_even(p: tuple[int, ...]) -> bool:
    """Whether the pairs that it puts in the wrong order are even in number."""
    return sum(x > y for x, y in combinations(p, 2)) % 2 == 0
