"""How to train, the models and the task aside."""

import math
from dataclasses import dataclass

import numpy as np

from attention_limits.checks import (
    Plain,
    as_integer,
    check_choice,
    check_count,
    check_number,
    is_number,
)

INTERVAL = 10  # steps from one look at losses and accuracies to the next
PRECISIONS = ("float32", "bfloat16")


@dataclass(frozen=True)
class Recipe(Plain):
    """How to train, the models and the task aside.

    Args:
        steps: how many.
        batch: sequences a step, for each model.
        lengths: of the sequences, from and to; each step draws one for all models.
        max_position: where positions are drawn from; None leaves them at 0, 1, 2, …: see ``tasks``.
        vary_gaps: whether each step draws the range anew that positions are drawn from, from the
            number of tokens up to ``max_position``, all ratios alike: so gaps of all sizes occur.
        warm_up: steps in which the learning rate grows to what it should be.
        cool_down: the share of the steps, at the end, in which it falls to 0.
        weight_decay: of AdamW.
        clip: to which norm a model's gradient is shortened; None leaves it as it is.
        precision: in which matrices are multiplied: "float32" or "bfloat16".
        target: the accuracy in training, over ``INTERVAL`` steps, at which a model stops; None
            trains to the end.
        diverged: the loss at which a model is given up.

    Raises:
        ValueError: naming the argument, if one has no sensible value.
    """

    steps: int = 400
    batch: int = 32
    lengths: tuple[int, int] = (8, 32)
    max_position: int | None = None
    vary_gaps: bool = False
    warm_up: int = 20
    cool_down: float = 0.3
    weight_decay: float = 0.01
    clip: float | None = 1.0
    precision: str = "float32"
    target: float | None = None
    diverged: float = 1e3

    def __post_init__(self) -> None:
        super().__post_init__()
        check_count("steps", self.steps, least=1)
        check_count("batch", self.batch, least=1)
        check_count("warm_up", self.warm_up)
        check_choice("precision", self.precision, PRECISIONS)
        if self.max_position is not None:
            check_count("max_position", self.max_position, least=1)
        elif self.vary_gaps:
            raise ValueError("max_position must be given, for vary_gaps to draw up to it, got None")
        ends = self.lengths if isinstance(self.lengths, tuple) else ()
        integers = len(ends) == 2 and all(as_integer(n) is not None for n in ends)
        if not integers or not 1 <= ends[0] <= ends[1]:
            raise ValueError(f"lengths must be from and to, ascending, got {self.lengths}")
        check_number("weight_decay", self.weight_decay, least=0)
        if not 0 <= check_number("cool_down", self.cool_down) <= 1:
            raise ValueError(f"cool_down must be a share from 0 to 1, got {self.cool_down}")
        for name in ("clip", "target"):
            value = getattr(self, name)
            if value is not None and check_number(name, value) <= 0:
                raise ValueError(f"{name} must be positive, or None, got {value}")
        if not is_number(self.diverged) or not self.diverged > 0:
            raise ValueError(f"diverged must be a positive number, got {self.diverged!r}")

    def length(self, step: int) -> int:
        """How long the sequences of a step are: the same for all seeds, which share a tensor."""
        low, high = self.lengths
        return int(np.random.default_rng([step]).integers(low, high + 1))

    def range_of_positions(self, step: int) -> int | None:
        """Where positions of a step end, that are drawn; None, if they are not."""
        if self.max_position is None or not self.vary_gaps:
            return self.max_position
        n, share = self.length(step), np.random.default_rng([step, 1]).random()
        return round(n * (self.max_position / n) ** share)

    def rate(self, step: int) -> float:
        """The share of its learning rate with which a model takes this step, the first being 0."""
        cooling = math.ceil(self.cool_down * self.steps)
        up = (step + 1) / (self.warm_up + 1)
        down = (self.steps - step) / (cooling + 1)
        return min(1.0, up, down)
