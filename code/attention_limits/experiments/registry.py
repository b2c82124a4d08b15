"""The book's experiments by their names. Whoever wants a certain one imports it."""

import importlib
from types import ModuleType

from attention_limits.checks import check_choice

EXPERIMENTS = (
    "scaling",
    "roofline",
    "speed",
    "throughput",
    "crossover",
    "allocator",
    "learned",
    "commutant",
    "offsets",
    "most_recent",
    "three_back",
    "first_token",
    "controls",
    "cures",
    "fine_tuning",
    "relearning",
    "log_n",
    "without_positions",
    "score_frequencies",
    "frozen_frequencies",
    "relative_share",
    "encoding_time",
    "separation",
    "image_windows",
)


def find(name: str) -> ModuleType:
    """The module of an experiment.

    Raises:
        ValueError: if there is no experiment of that name.
    """
    check_choice("name", name, EXPERIMENTS)
    return importlib.import_module(f"attention_limits.experiments.{name}")
