"""Integers that are not Python's, as programs have them that compute their sizes."""

import numpy as np
import torch


class Index:
    """An integer that has nothing but ``__index__``."""

    def __init__(self, value):
        self.value = value

    def __index__(self):
        return self.value


# The narrowest of NumPy's, since 2 times 100 does not fit in eight bits.
INTEGERS = {
    "NumPy's": lambda value: np.min_scalar_type(value).type(value),
    "an array of no axes": np.array,
    "a tensor of no axes": torch.tensor,
    "an index": Index,
}


def replaced(value, by):
    """The same with other integers; what a function makes later is replaced there."""
    if isinstance(value, dict):
        return {name: replaced(x, by) for name, x in value.items()}
    if isinstance(value, tuple):
        return tuple(replaced(x, by) for x in value)
    if type(value) is int:
        return by(value)
    if callable(value):
        return lambda *args: replaced(value(*args), by)
    return value
