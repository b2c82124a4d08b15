r"""Aggregates: the answer depends a little on every token and much on none.

``prefix_majority``: fair bits, and at every token whether there have been more ones than zeros:

.. math::

    y_i = [\, s_i > 0 \,], \qquad s_i = \sum_{j \le i} (2 x_j - 1), \qquad
    \text{asked where } s_i \ne 0

At a tie nothing is asked, so that both answers are equally frequent at every place.  A mean of
all tokens solves it, and so does one head with equal weights; what is hard is to keep the weights
equal and the mean exact as n grows.  A window of w tokens sees only part of the sum.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from attention_limits.tasks.task import IGNORE, Task


@dataclass(frozen=True)
class PrefixMajority(Task):
    """Have there been more ones than zeros so far?"""

    vocabulary = 2
    classes = 2
    shortest = 1

    def _draw(self, rng: np.random.Generator, count: int, n: int) -> tuple[np.ndarray, ...]:
        inputs = rng.integers(2, size=(count, n))
        lead = np.cumsum(2 * inputs - 1, axis=1)
        return inputs, np.where(lead == 0, IGNORE, lead > 0)

    def _read(self, tokens: Iterable[int]) -> Iterator[int]:
        seen = [0, 0]
        for token in tokens:
            seen[token] += 1
            zeros, ones = seen
            yield IGNORE if zeros == ones else int(ones > zeros)
