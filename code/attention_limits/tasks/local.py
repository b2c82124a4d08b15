r"""Local tasks: everything that an answer needs stands side by side.

``motif``: a fixed string of ℓ different letters somewhere among random letters, and a query at
the end:

.. math::

    y_{n-1} = [\, \exists i : x_i \cdots x_{i + \ell - 1} = m_0 \cdots m_{\ell - 1} \,]

A sequence without it holds, at a place as random, the same letters in another order: which letters
there are says nothing, only their order does.  It probes how many examples it takes to find out
that neighbours matter.

``rule_110``: one step of the elementary cellular automaton (:cite:t:`wolfram1983statistical`),
which can compute anything if it runs long enough (:cite:t:`cook2004universality`).  At token i the
next state of cell i − 1 is asked for, whose neighbourhood i − 2, i − 1, i has then been seen:

.. math::

    y_i = \Bigl\lfloor \frac{110}{2^{\,4 x_{i-2} + 2 x_{i-1} + x_i}} \Bigr\rfloor \bmod 2,
    \qquad i \ge 2

Five of the eight neighbourhoods lead to a one, so the best constant answer is right in 5/8 of all
cases.  It probes the same small circuit applied everywhere, which is what a convolution is.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import count as count_from
from itertools import permutations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from attention_limits.checks import check_count
from attention_limits.tasks.task import (
    IGNORE,
    Task,
    asked_at_the_end,
    check_distractors,
    filled,
    scattered,
)

FEWEST_STRINGS = 2**16  # among fewer, long sequences can hardly be kept free of the motif


@dataclass(frozen=True)
class Motif(Task):
    """Did the motif occur?

    Attributes:
        letters: how many letters there are.
        length: how many of them make the motif, all different.
        motif_seed: which motif it is.
        distractors: how many letters stand around it; None for as many as there is room.
    """

    letters: int = 32
    length: int = 5
    motif_seed: int = 0
    distractors: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_count("length", self.length, least=2, most=8)
        least = next(k for k in count_from(self.length) if k**self.length >= FEWEST_STRINGS)
        check_count("letters", self.letters, least=least)
        check_count("motif_seed", self.motif_seed, least=0)
        check_distractors(self.distractors)

    @property
    def vocabulary(self) -> int:
        """The letters, a blank and the query."""
        return self.letters + 2

    classes = 2

    @property
    def shortest(self) -> int:
        """The motif, the distractors and the query."""
        return self.length + (self.distractors or 0) + 1

    @cached_property
    def motif(self) -> tuple[int, ...]:
        """The letters, in order."""
        order = np.random.default_rng(self.motif_seed).permutation(self.letters)
        return tuple(order[: self.length].tolist())

    def _draw(self, rng: np.random.Generator, count: int, n: int) -> tuple[np.ndarray, ...]:
        answers = rng.integers(2, size=count)
        body = self._texts(rng, answers, n - 1)
        # Among many letters the motif also comes about by chance; such sequences are drawn again.
        while len(wrong := np.flatnonzero(self._occurs(body) != answers)):
            body[wrong] = self._texts(rng, answers[wrong], n - 1)
        return asked_at_the_end(body, self.letters + 1, answers)

    def _texts(self, rng: np.random.Generator, answers: np.ndarray, width: int) -> np.ndarray:
        """Sequences that hold the motif where the answer is 1, and its letters where it is 0."""
        which = np.where(answers == 1, 0, rng.integers(1, len(self._orders), size=len(answers)))
        others = rng.integers(self.letters, size=(len(answers), width - self.length))
        others = scattered(rng, others, self.distractors, self.letters)
        start = rng.integers(width - self.length + 1, size=(len(answers), 1))
        offset = np.arange(width) - start
        return filled((offset >= 0) & (offset < self.length), self._orders[which], others)

    @cached_property
    def _orders(self) -> np.ndarray:
        """The motif and, after it, all other orders of its letters."""
        return np.array(list(permutations(self.motif)))

    def _occurs(self, body: np.ndarray) -> np.ndarray:
        windows = sliding_window_view(body, self.length, axis=1)
        return (windows == self.motif).all(axis=-1).any(axis=-1)

    def _read(self, tokens: Iterable[int]) -> Iterator[int]:
        text, motif = "", "".join(map(chr, self.motif))
        for token in tokens:
            yield int(motif in text) if token == self.letters + 1 else IGNORE
            text += chr(token)


@dataclass(frozen=True)
class Rule110(Task):
    """What is the next state of the cell before this one?"""

    vocabulary = 2
    classes = 2
    chance = 5 / 8  # of a one
    shortest = 3

    def _draw(self, rng: np.random.Generator, count: int, n: int) -> tuple[np.ndarray, ...]:
        cells = rng.integers(2, size=(count, n))
        targets = np.full((count, n), IGNORE)
        neighbourhood = 4 * cells[:, :-2] + 2 * cells[:, 1:-1] + cells[:, 2:]
        targets[:, 2:] = 110 >> neighbourhood & 1
        return cells, targets

    def _read(self, tokens: Iterable[int]) -> Iterator[int]:
        # In words: a cell and its right neighbour differ, or they are two ones and not three.
        left = cell = None
        for right in tokens:
            yield IGNORE if left is None else int(cell != right or (cell and not left))
            left, cell = cell, right
