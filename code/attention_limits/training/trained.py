"""What training gives."""

from dataclasses import dataclass
from typing import Any

from torch import nn


@dataclass(frozen=True)
class Trained:
    """Models that were trained side by side.

    Attributes:
        model: all of them, as ``models.build`` makes them.
        seeds: one a model.
        rates: their learning rates.
        history: rows of step, model (its number), loss and accuracy, means over ``INTERVAL`` steps
            up to that one; nothing of a model after it stopped.
        ended: for each model "trained", at the last step; "target", when it reached that; or
            "diverged".
        steps: how many steps each model took.
    """

    model: nn.Module
    seeds: tuple[int, ...]
    rates: tuple[float, ...]
    history: list[dict[str, Any]]
    ended: tuple[str, ...]
    steps: tuple[int, ...]

    def of(self, number: int) -> dict[str, object]:
        """The seed of a model, its rate and how it ended, as a record has them."""
        return {
            "seed": self.seeds[number],
            "rate": self.rates[number],
            "ended": self.ended[number],
        }
