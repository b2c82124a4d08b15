"""The evidence of the chapter "Quadratic cost", one function for each piece of it."""

from attention_limits.chapters.quadratic_cost.evidence import (
    cost,
    generation,
    lower_bounds,
    recurrence,
    softmax,
)

__all__ = ["cost", "generation", "lower_bounds", "recurrence", "softmax"]
