r"""None: queries, keys and values are made of the tokens alone.

.. math::

    y_i = x_i

If the tokens are permuted, the outputs of attention are permuted in the same way: attention does
not see the order.  A causal mask changes that, since the number of visible keys grows with the
position.  The last output of a single causal layer still ignores the order of the earlier tokens;
two layers can use it, and decoders without positions learn to count.

It costs nothing, and has no longest position.  The price: order is learned from the mask, slowly,
and without a mask not at all.  Use it to see what an encoding is worth, in a decoder that must go
beyond its trained length, and where order does not matter.

Sources: :cite:t:`haviv2022transformer`; :cite:t:`kazemnejad2023impact`.
Taught in: "Positional encodings".
"""

import numpy as np
import torch

from attention_limits.formula import Formula
from attention_limits.positions.cost import EncodingCost
from attention_limits.positions.inputs import resolve
from attention_limits.tensors import own_precision

PLACE = "inputs"


def define(x: np.ndarray, *, positions: np.ndarray | None = None, start: int = 0) -> np.ndarray:
    """The equation above: ``x`` as it came."""
    return x


@own_precision
def apply(
    x: torch.Tensor, *, positions: torch.Tensor | None = None, start: int = 0
) -> torch.Tensor:
    """The same on (..., n, d) tensors.

    Args:
        x: inputs (..., n, d).
        positions: (..., n), any real numbers, which do not matter.
        start: how many tokens came before, which does not matter either.

    Returns:
        ``x`` itself.

    Raises:
        ValueError: naming the argument, where another encoding would refuse it.
    """
    resolve(x, positions, start, real=True)
    return x


def cost() -> EncodingCost:
    """Nothing to learn, nothing to compute."""
    return EncodingCost(
        parameters=Formula(0, "numbers", "parameters of no encoding"),
        flops=Formula(0, "FLOPs", "added by no encoding"),
    )
