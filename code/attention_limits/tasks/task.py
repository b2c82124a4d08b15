"""What all tasks share: a batch, how it is drawn from a seed, and how an answer is checked.

A task is drawn in whole arrays and answered again by a reader: a program that gets one token at a
time and answers before it gets the next.  Since both agree, the answers are right, and none of
them depends on a later token.

Three numbers make a task longer, and they are kept apart: how many tokens there are (n), how many
of them distract (a parameter ``distractors``, where there is one question only; neutral blanks fill
the rest), and how far apart their positions lie (``max_position``).  Positions drawn at random from
a range that is longer than the sequence are those of :cite:t:`ruoss2023randomized`; they are also
what is left of a sequence of length ``max_position`` in which all other tokens are blanks that
nobody sees.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from attention_limits.checks import Plain, as_integer, check_count, check_counts

IGNORE = -100  # what PyTorch's cross_entropy ignores


class Batch(NamedTuple):
    """Sequences with their answers, one a row.

    Attributes:
        inputs: (count, n) tokens, integers below the task's ``vocabulary``.
        targets: (count, n) answers, integers below its ``classes``; ``IGNORE`` where nothing is
            asked.
        positions: (count, n) integers, strictly increasing; 0 … n − 1 unless stretched.
        times: (count, n) numbers that never decrease, of tasks in real time; None of others.
    """

    inputs: np.ndarray
    targets: np.ndarray
    positions: np.ndarray
    times: np.ndarray | None = None


@dataclass(frozen=True)
class Task(Plain, ABC):
    """A rule that makes answers of tokens; its fields are its parameters."""

    @property
    @abstractmethod
    def vocabulary(self) -> int:
        """How many tokens there are."""

    @property
    @abstractmethod
    def classes(self) -> int:
        """How many answers there are."""

    @property
    @abstractmethod
    def shortest(self) -> int:
        """The least n with room for all that the parameters ask for."""

    @property
    def chance(self) -> float:
        """How often the best answer is right that does not look at the sequence.

        Unless a task says otherwise, its answers are uniform at every place that is asked.
        """
        return 1 / self.classes

    def sample(
        self, seed: int | Sequence[int], count: int, n: int, *, max_position: int | None = None
    ) -> Batch:
        """A batch, always the same for the same arguments.

        Args:
            seed: a non-negative integer, or several, such as (seed, step).
            count: how many sequences.
            n: how many tokens each has.
            max_position: where the range of positions ends: each sequence gets n of
                0 … max_position − 1, in order.  None means 0 … n − 1.  Tokens and answers do not
                depend on it.

        Raises:
            ValueError: naming the argument, if one of them has no sensible value.
        """
        count = check_count("count", count, least=1)
        n = check_count("n", n, least=1)
        if n < self.shortest:
            raise ValueError(f"n must be at least {self.shortest} for {self}, got {n}")
        if max_position is not None:
            max_position = check_count("max_position", max_position, least=n)
        rng = _generator(seed)
        inputs, targets, *times = self._draw(rng, count, n)
        # After the tokens, which must not change with them.
        positions = subsets(rng, count, n, n if max_position is None else max_position).nonzero()[1]
        return Batch(inputs, targets, positions.reshape(count, n), *times)

    def oracle(self, batch: Batch) -> np.ndarray:
        """The targets of a batch, worked out from its inputs, and times, alone."""
        rows = batch.inputs.tolist()
        if batch.times is not None:
            rows = map(zip, rows, batch.times.tolist())
        return np.array([list(self._read(row)) for row in rows])

    @abstractmethod
    def _draw(self, rng: np.random.Generator, count: int, n: int) -> tuple[np.ndarray, ...]:
        """Inputs and targets, of tasks in real time also times, all of them (count, n)."""

    @abstractmethod
    def _read(self, tokens: Iterable) -> Iterator[int]:
        """An answer, or ``IGNORE``, for each token before it reads the next one.

        In real time it reads pairs (token, time).
        """


def check_distractors(value: int | None, *, name: str = "distractors") -> None:
    """Refuse what is neither how many there are nor None, for as many as there is room."""
    if value is not None:
        check_count(name, value, least=0)


def subsets(rng: np.random.Generator, count: int, size: int, of: int) -> np.ndarray:
    """For each row, ``size`` random places of ``of``: (count, of) booleans."""
    if size == of:
        return np.full((count, of), True)
    chosen = np.full((count, of), False)
    places = rng.random((count, of)).argpartition(size, axis=1)[:, :size]
    np.put_along_axis(chosen, places, True, axis=1)
    return chosen


def scattered(
    rng: np.random.Generator, symbols: np.ndarray, distractors: int | None, blank: int
) -> np.ndarray:
    """The same rows of symbols, of which only ``distractors`` are left, at random places."""
    if distractors is None:
        return symbols
    return np.where(subsets(rng, len(symbols), distractors, symbols.shape[1]), symbols, blank)


def filled(chosen: np.ndarray, inside: np.ndarray, outside: np.ndarray) -> np.ndarray:
    """Rows that hold ``inside`` at the chosen places and ``outside`` at the others, in order."""
    out = np.empty(chosen.shape, dtype=np.int64)
    out[chosen], out[~chosen] = inside.ravel(), outside.ravel()
    return out


def asked_at_the_end(
    body: np.ndarray, query: int, answers: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Inputs, the body and a query after it, and targets, the answers at the query."""
    inputs = np.pad(body, ((0, 0), (0, 1)), constant_values=query)
    targets = np.full(inputs.shape, IGNORE)
    targets[:, -1] = answers
    return inputs, targets


def _generator(seed: int | Sequence[int]) -> np.random.Generator:
    seeds = check_counts("seed", seed if as_integer(seed) is None else (seed,))
    # NumPy pads seeds with zeros: without their number, (5,), (5, 0) and 5 would draw the same.
    return np.random.default_rng([len(seeds), *seeds])
