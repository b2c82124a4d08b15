r"""A pattern somewhere in noise: which sign does it have?

.. math::

    x_{(i + t) \bmod n} = \varepsilon_{(i + t) \bmod n} + y \, u_t, \qquad t < k

with a fixed pattern u of k numbers, of sum 0 and norm ``strength``, a random place i on a ring of
n, a sign y = ±1, and standard normal noise :math:`\varepsilon`. A sum over all numbers says nothing
of the sign. It is the task of :cite:t:`lahoti2024role`,
whose patterns begin where a patch begins (``aligned``).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from attention_limits.checks import Plain, check_count, check_number


@dataclass(frozen=True)
class Signals(Plain):
    """Which sign does the pattern have?

    Attributes:
        n: how many numbers there are.
        width: of the pattern, in numbers.
        strength: its norm, over the deviation of the noise.
        aligned: whether it begins at a multiple of its width.
        shuffled: whether all numbers are put into another order, the same in each example.
        drawn: the pattern itself, of ``width`` numbers, in place of one of that strength.

    Raises:
        ValueError: naming the argument, if one has no sensible value.
    """

    n: int
    width: int = 8
    strength: float = 7.0
    aligned: bool = False
    shuffled: bool = False
    drawn: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        check_count("width", self.width, least=2)
        check_count("n", self.n, least=self.width)
        check_number("strength", self.strength, least=0)
        if self.aligned and self.n % self.width:
            raise ValueError(f"n must be a multiple of width {self.width}, got {self.n}")
        if self.drawn and len(self.drawn) != self.width:
            raise ValueError(f"drawn must have {self.width} numbers or none, got {self.drawn}")
        for number in self.drawn:
            check_number("drawn", number)

    @property
    def pattern(self) -> np.ndarray:
        """u, the same for each n."""
        if self.drawn:
            return np.array(self.drawn)
        drawn = np.random.default_rng(0).standard_normal(self.width)
        drawn -= drawn.mean()
        return self.strength * drawn / np.linalg.norm(drawn)

    def sample(self, seed: Sequence[int], count: int) -> tuple[np.ndarray, np.ndarray]:
        """Examples (count, n) and their signs (count,), in single precision."""
        rng = np.random.default_rng(seed)
        x = rng.standard_normal((count, self.n))
        signs = 2 * rng.integers(2, size=count) - 1
        step = self.width if self.aligned else 1
        first = step * rng.integers(self.n // step, size=(count, 1))
        where = (first + np.arange(self.width)) % self.n
        np.put_along_axis(
            x, where, np.take_along_axis(x, where, 1) + signs[:, None] * self.pattern, 1
        )
        if self.shuffled:
            x = x[:, np.random.default_rng(1).permutation(self.n)]
        return x.astype(np.float32), signs.astype(np.float32)
