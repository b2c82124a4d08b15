"""What an encoding is as a part of a Transformer, and where the tokens stand that it is told of."""

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import torch
from torch import nn

from attention_limits.models.layers import Initializer
from attention_limits.positions import sinusoidal


class Where(NamedTuple):
    """Where the tokens of a batch stand.

    Attributes:
        n: how many there are.
        positions: integers (s, batch, n); None means 0 … n − 1.
        times: numbers (s, batch, n), where there are any.
    """

    n: int
    positions: torch.Tensor | None = None
    times: torch.Tensor | None = None


class Sizes(Protocol):
    """What an encoding has to know of its model; an ``Architecture`` does."""

    @property
    def d_model(self) -> int:
        """The width of a token."""

    @property
    def heads(self) -> int:
        """How many share it."""

    @property
    def layers(self) -> int:
        """How many there are."""

    @property
    def causal(self) -> bool:
        """Whether a token sees none that comes after it."""


class Encoding(nn.Module):
    """None of them: tokens, queries, keys and scores stay as they are."""

    takes_positions = True  # or has no use for them, like this one

    def __init__(self, initializer: Initializer, sizes: Sizes):
        super().__init__()

    # Any options here, since each part has its own.
    @staticmethod
    def check(sizes: Sizes, *args: Any, **options: Any) -> None:
        """Refuse sizes and options, all of them given, with which there is no such part.

        Raises:
            ValueError: naming the size or the option.
        """

    def at_inputs(self, x: torch.Tensor, where: Where) -> torch.Tensor:
        """The tokens, with what goes on top of them."""
        return x

    def turned(self, x: torch.Tensor, where: Where) -> torch.Tensor:
        """Queries or keys, turned to where they stand."""
        return x

    def bias(self, where: Where) -> torch.Tensor | None:
        """What goes on top of the scores, if anything does."""
        return None


def check_even(name: str, width: int) -> None:
    """Refuse a width that does not fall into pairs."""
    if width % 2:
        raise ValueError(f"{name} must be even, for a pair of entries a frequency, got {width}")


def as_frequencies(
    given: Sequence[float] | None, width: int, base: float, device: torch.device
) -> torch.Tensor:
    """What pairs turn by a token, (width/2,): those that are given, or those of a base."""
    usual = sinusoidal.frequencies(width, base=base, device=device)
    return usual if given is None else torch.tensor(given, dtype=usual.dtype, device=device)


def for_all_heads(positions: torch.Tensor) -> torch.Tensor:
    """Positions, or times, (s, batch, n), to go with (s, batch, h, n, d)."""
    return positions.unsqueeze(-2)
