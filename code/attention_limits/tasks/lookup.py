r"""Look-up: the answer is one earlier token, found by where it stands.

``token_back``: the token k back.  Symbols x_i are uniform, and asked is at every i ≥ k (or, not
``dense``, at the last token only, which is then a query)

.. math::

    y_i = x_{i - k}

It probes a fixed offset, which a relative position gives at once and an absolute one must learn.

``most_recent``: of the m marked symbols at random places, the last.  With a query at n − 1

.. math::

    y_{n-1} = x_j, \qquad j = \max \{\, i < n - 1 : x_i \text{ is marked} \,\}

It probes recency among equals: content finds the marked, and only order tells them apart.  A
share of marked tokens keeps the last of them as near in a long sequence as in a short one; a fixed
number of them spreads out as the sequence grows.

``first_token``: with a query at n − 1

.. math::

    y_{n-1} = x_0

It probes whether the start of a sequence is still found from its end.

In all three, "back", "last" and "first" count tokens, not positions, which may be stretched.
"""

import itertools
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from attention_limits.checks import check_choice, check_count
from attention_limits.tasks.task import (
    IGNORE,
    Task,
    asked_at_the_end,
    check_distractors,
    filled,
    scattered,
    subsets,
)


@dataclass(frozen=True)
class TokenBack(Task):
    """Which token stands k back?

    Attributes:
        k: how many tokens back the answer stands.
        symbols: how many symbols there are.
        dense: whether every token from the k-th on is asked for, or only a query at the end.
    """

    k: int = 3
    symbols: int = 16
    dense: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        check_count("k", self.k, least=1)
        check_count("symbols", self.symbols, least=2)
        check_choice("dense", self.dense, (True, False))

    @property
    def vocabulary(self) -> int:
        """The symbols and, unless every token is asked for, the query."""
        return self.symbols + (not self.dense)

    @property
    def classes(self) -> int:
        """The symbols."""
        return self.symbols

    @property
    def shortest(self) -> int:
        """One answer."""
        return self.k + 1

    def _draw(self, rng: np.random.Generator, count: int, n: int) -> tuple[np.ndarray, ...]:
        inputs = rng.integers(self.symbols, size=(count, n))
        if not self.dense:
            return asked_at_the_end(inputs[:, :-1], self.symbols, inputs[:, -1 - self.k])
        targets = np.full((count, n), IGNORE)
        targets[:, self.k :] = inputs[:, : -self.k]
        return inputs, targets

    def _read(self, tokens: Iterable[int]) -> Iterator[int]:
        last: deque[int] = deque(maxlen=self.k)
        for token in tokens:
            asked = len(last) == self.k and (self.dense or token == self.symbols)
            yield last[0] if asked else IGNORE
            last.append(token)


@dataclass(frozen=True)
class MostRecent(Task):
    """Which symbol was marked last?

    Attributes:
        symbols: how many symbols there are.
        marks: how many tokens are marked, an integer; or the share of them, less than 1, of which
            the last mark is as near in a long sequence as in a short one.
        distractors: how many tokens are symbols without a mark; None for all the others.
    """

    symbols: int = 16
    marks: int | float = 0.25
    distractors: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_count("symbols", self.symbols, least=2)
        if not (isinstance(self.marks, float) and 0 < self.marks < 1):
            check_count("marks", self.marks, least=1)
        check_distractors(self.distractors)

    @property
    def vocabulary(self) -> int:
        """The symbols, the symbols with a mark, a blank and the query."""
        return 2 * self.symbols + 2

    @property
    def classes(self) -> int:
        """The symbols."""
        return self.symbols

    @property
    def shortest(self) -> int:
        """The marked, the distractors and the query."""
        others = (self.distractors or 0) + 1
        return next(n for n in itertools.count(others) if n >= self._marked(n) + others)

    def _marked(self, n: int) -> int:
        """How many of n tokens are marked; the query is not."""
        return max(1, round(self.marks * (n - 1))) if isinstance(self.marks, float) else self.marks

    def _draw(self, rng: np.random.Generator, count: int, n: int) -> tuple[np.ndarray, ...]:
        blank, query, marks = 2 * self.symbols, 2 * self.symbols + 1, self._marked(n)
        marked = rng.integers(self.symbols, size=(count, marks))
        others = rng.integers(self.symbols, size=(count, n - 1 - marks))
        others = scattered(rng, others, self.distractors, blank)
        places = subsets(rng, count, marks, n - 1)
        body = filled(places, marked + self.symbols, others)
        return asked_at_the_end(body, query, marked[:, -1])

    def _read(self, tokens: Iterable[int]) -> Iterator[int]:
        query, latest = 2 * self.symbols + 1, IGNORE
        for token in tokens:
            yield latest if token == query else IGNORE
            if self.symbols <= token < 2 * self.symbols:
                latest = token - self.symbols


@dataclass(frozen=True)
class FirstToken(Task):
    """With which symbol did the sequence begin?

    Attributes:
        symbols: how many symbols there are.
        distractors: how many more symbols follow the first; None for as many as there is room.
    """

    symbols: int = 16
    distractors: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_count("symbols", self.symbols, least=2)
        check_distractors(self.distractors)

    @property
    def vocabulary(self) -> int:
        """The symbols, a blank and the query."""
        return self.symbols + 2

    @property
    def classes(self) -> int:
        """The symbols."""
        return self.symbols

    @property
    def shortest(self) -> int:
        """The first, the distractors and the query."""
        return 2 + (self.distractors or 0)

    def _draw(self, rng: np.random.Generator, count: int, n: int) -> tuple[np.ndarray, ...]:
        blank, query = self.symbols, self.symbols + 1
        body = rng.integers(self.symbols, size=(count, n - 1))
        body[:, 1:] = scattered(rng, body[:, 1:], self.distractors, blank)
        return asked_at_the_end(body, query, body[:, 0])

    def _read(self, tokens: Iterable[int]) -> Iterator[int]:
        query, first = self.symbols + 1, None
        for token in tokens:
            first = token if first is None else first
            yield first if token == query else IGNORE
