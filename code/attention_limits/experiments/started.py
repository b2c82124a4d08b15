"""Any task whose sequences begin with a token that means nothing, called <bos>."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from attention_limits.tasks import IGNORE, Task


@dataclass(frozen=True)
class Started(Task):
    """The same questions after a first token of its own; it is one of the n tokens.

    Attributes:
        task: which.
    """

    task: Task

    @property
    def vocabulary(self) -> int:
        """The task's, and the first token."""
        return self.task.vocabulary + 1

    @property
    def classes(self) -> int:
        """The task's."""
        return self.task.classes

    @property
    def shortest(self) -> int:
        """One more than the task's."""
        return self.task.shortest + 1

    def _draw(self, rng: np.random.Generator, count: int, n: int) -> tuple[np.ndarray, ...]:
        inputs, targets, *times = self.task._draw(rng, count, n - 1)
        if times:
            raise ValueError(f"task must have no times, got {self.task}")
        before = ((0, 0), (1, 0))
        inputs = np.pad(inputs, before, constant_values=self.task.vocabulary)
        return inputs, np.pad(targets, before, constant_values=IGNORE)

    def _read(self, tokens: Iterable) -> Iterator[int]:
        rest = iter(tokens)
        next(rest)
        yield IGNORE
        yield from self.task._read(rest)
