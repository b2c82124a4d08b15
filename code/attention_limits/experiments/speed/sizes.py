"""What all contestants of a comparison have in common."""

import math
from dataclasses import dataclass

import numpy as np

from attention_limits.attention import block_sparse
from attention_limits.checks import Plain


@dataclass(frozen=True)
class Sizes(Plain):
    """The sizes of a comparison, its length aside.

    Args:
        heads: side by side, in a batch of one.
        d: the width of each.
        window: keys that a query of windowed attention sees, itself included.
        block: queries, or keys, of a block of block-sparse attention.
        blocks: how many blocks of keys each block of queries sees, at least 4.
        period: tokens from one tick of the clock to the next.
    """

    heads: int = 4
    d: int = 64
    window: int = 256
    block: int = 64
    blocks: int = 8
    period: int = 64

    @property
    def side(self) -> int:
        """Rows and columns of a window on an image, of as many tokens as a block."""
        return math.isqrt(self.block)

    def layout(self, n: int) -> np.ndarray:
        """Which blocks each sees: itself, two before it, the first, and random ones of its past."""
        number = n // self.block
        past = np.tri(number, dtype=bool)
        planned = block_sparse.local(number, width=3) | block_sparse.global_blocks(number, first=1)
        # The future is taken as planned, so that all that is drawn is seen.
        drawn = block_sparse.random(
            number, per_row=self.blocks - 4, seed=0, besides=planned | ~past
        )
        return (planned | drawn) & past
