"""The still figures of "Quadratic cost"; each function returns a ``style.Figure``."""

from attention_limits.chapters.quadratic_cost.figures import cost, recurrence, roofline, scaling

__all__ = ["cost", "recurrence", "roofline", "scaling"]
