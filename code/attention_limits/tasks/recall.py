r"""Recall: the answer is what stood beside an equal token before.

``recall``: multi-query associative recall.  Pairs of a key and a value come first, all keys
different; then, among distractors, q of these keys are asked for, each once:

.. math::

    k_1 \, v_1 \, k_2 \, v_2 \cdots k_p \, v_p \;\cdots\; k_j \;\cdots, \qquad
    y_i = v_j \quad\text{where}\quad x_i = k_j

After :cite:t:`arora2024zoology`, except that queries stand at uniformly random places, that
values may be equal, and that what fills the gaps, values and other keys, never holds a key that
was stored.  It probes how many associations fit in what a mechanism carries from token to token.

``copy``: a string of length L = ⌊n / 2⌋, a separator, and the string again, whose every symbol is
asked for one token early:

.. math::

    s_0 \cdots s_{L-1} \; \text{separator} \; s_0 \cdots, \qquad
    y_{L+i} = s_i, \quad 0 \le i < L

As :cite:t:`jelassi2024repeat` ask it.  It probes recall of a whole sequence, in order.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from attention_limits.checks import check_count
from attention_limits.tasks.task import IGNORE, Task, check_distractors, filled, scattered, subsets


@dataclass(frozen=True)
class Recall(Task):
    """Which value stood beside this key?

    Attributes:
        pairs: how many keys are stored with a value.
        keys: how many different keys there are.
        values: how many different values there are.
        queries: how many of the stored keys are asked for.
        distractors: how many tokens after the pairs are neither queries nor blanks; None for all.
    """

    pairs: int = 8
    keys: int = 32
    values: int = 16
    queries: int = 8
    distractors: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_count("keys", self.keys, least=1)
        check_count("pairs", self.pairs, least=1, most=self.keys)
        check_count("values", self.values, least=2)
        check_count("queries", self.queries, least=1, most=self.pairs)
        check_distractors(self.distractors)

    @property
    def vocabulary(self) -> int:
        """The values, the keys and a blank."""
        return self.values + self.keys + 1

    @property
    def classes(self) -> int:
        """The values."""
        return self.values

    @property
    def shortest(self) -> int:
        """The pairs, the queries and the distractors."""
        return 2 * self.pairs + self.queries + (self.distractors or 0)

    def _draw(self, rng: np.random.Generator, count: int, n: int) -> tuple[np.ndarray, ...]:
        rest, blank = n - 2 * self.pairs, self.values + self.keys
        keys = self.values + rng.random((count, self.keys)).argsort(axis=1)
        values = rng.integers(self.values, size=(count, self.pairs))
        stored = np.stack([keys[:, : self.pairs], values], axis=-1).reshape(count, -1)

        # What may stand in the gaps: any value, and any key that was not stored.
        unused = np.tile(np.arange(self.values), (count, 1))
        unused = np.concatenate([unused, keys[:, self.pairs :]], axis=1)
        picks = rng.integers(unused.shape[1], size=(count, rest - self.queries))
        others = np.take_along_axis(unused, picks, axis=1)
        others = scattered(rng, others, self.distractors, blank)

        asked = rng.random((count, self.pairs)).argsort(axis=1)[:, : self.queries]
        places = subsets(rng, count, self.queries, rest)
        queried = filled(places, np.take_along_axis(keys, asked, axis=1), others)
        answers = np.full(others.shape, IGNORE)
        answers = filled(places, np.take_along_axis(values, asked, axis=1), answers)
        targets = np.concatenate([np.full(stored.shape, IGNORE), answers], axis=1)
        return np.concatenate([stored, queried], axis=1), targets

    def _read(self, tokens: Iterable[int]) -> Iterator[int]:
        tokens, value_of = iter(tokens), {}
        for _ in range(self.pairs):
            key = next(tokens)
            yield IGNORE
            value_of[key] = next(tokens)
            yield IGNORE
        for token in tokens:
            yield value_of.get(token, IGNORE)


@dataclass(frozen=True)
class Copy(Task):
    """What comes next in the string that was heard before?

    Attributes:
        symbols: how many symbols there are.
    """

    symbols: int = 16

    def __post_init__(self) -> None:
        super().__post_init__()
        check_count("symbols", self.symbols, least=2)

    @property
    def vocabulary(self) -> int:
        """The symbols and the separator."""
        return self.symbols + 1

    @property
    def classes(self) -> int:
        """The symbols."""
        return self.symbols

    shortest = 2

    def _draw(self, rng: np.random.Generator, count: int, n: int) -> tuple[np.ndarray, ...]:
        length = n // 2
        string = rng.integers(self.symbols, size=(count, length))
        separator = np.full((count, 1), self.symbols)
        targets = np.full((count, n), IGNORE)
        targets[:, length : 2 * length] = string
        return np.concatenate([string, separator, string], axis=1)[:, :n], targets

    def _read(self, tokens: Iterable[int]) -> Iterator[int]:
        heard: deque[int] = deque()
        speaking = False
        for token in tokens:
            speaking = speaking or token == self.symbols
            yield heard.popleft() if speaking and heard else IGNORE
            if not speaking:
                heard.append(token)
