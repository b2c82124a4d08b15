r"""Events in real time: the answer is found by the clock, not by counting.

``irregular_events``: values x_i arrive at times t_i with exponentially distributed gaps, ``rate``
of them a time unit, and a query arrives last.  Asked for is the latest that is by then at least
one time unit old:

.. math::

    y_{n-1} = x_j, \qquad j = \max \{\, i : t_{n-1} - t_i \ge 1 \,\}

The first gap is one time unit longer than drawn, so that there always is an answer.  A blank takes
no time: it shares that of the event before it.

How many events back the answer stands is random, Poisson of mean ``rate`` plus one in a long
sequence, so that no fixed offset finds it; only the times do.  It probes what
:cite:t:`shukla2021multitime` and :cite:t:`zuo2020transformer` build for, in its simplest form.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from attention_limits.checks import check_count, is_number
from attention_limits.tasks.task import IGNORE, Task, asked_at_the_end, check_distractors, subsets

AGE = 1.0  # how old the answer is at least, in time units


@dataclass(frozen=True)
class IrregularEvents(Task):
    """What was the state one time unit ago?

    Attributes:
        values: how many different values there are.
        rate: how many events arrive in a time unit, on average.
        distractors: how many events there are besides one; None for as many as there is room.
    """

    values: int = 16
    rate: float = 2.0
    distractors: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_count("values", self.values, least=2)
        if not is_number(self.rate) or not 0 < self.rate < np.inf:
            raise ValueError(f"rate must be positive and finite, got {self.rate!r}")
        check_distractors(self.distractors)

    @property
    def vocabulary(self) -> int:
        """The values, a blank and the query."""
        return self.values + 2

    @property
    def classes(self) -> int:
        """The values."""
        return self.values

    @property
    def shortest(self) -> int:
        """One event, the distractors and the query."""
        return 2 + (self.distractors or 0)

    def _draw(self, rng: np.random.Generator, count: int, n: int) -> tuple[np.ndarray, ...]:
        blank, query = self.values, self.values + 1
        events = n - 1 if self.distractors is None else self.distractors + 1
        happens = subsets(rng, count, events, n - 1)
        body = np.where(happens, rng.integers(self.values, size=happens.shape), blank)

        arrives = np.pad(happens, ((0, 0), (0, 1)), constant_values=True)
        nth = np.cumsum(arrives, axis=1)
        gaps = rng.exponential(1 / self.rate, size=arrives.shape) + AGE * (nth == 2)
        times = np.cumsum(gaps * (arrives & (nth > 1)), axis=1)  # of the first event: 0

        old = happens & (times[:, -1:] - times[:, :-1] >= AGE)
        latest = np.where(old, np.arange(n - 1), -1).argmax(axis=1)
        answers = body[np.arange(count), latest]
        return *asked_at_the_end(body, query, answers), times

    def _read(self, tokens: Iterable[tuple[int, float]]) -> Iterator[int]:
        past: list[tuple[int, float]] = []
        for token, time in tokens:
            if token == self.values + 1:
                yield next((x for x, then in reversed(past) if time - then >= AGE), IGNORE)
                continue
            yield IGNORE
            if token < self.values:
                past.append((token, time))
