"""What was recorded of three tasks beyond the trained length, and what was expected of it.

Each task is an experiment of its own, so its record is found by the task.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from attention_limits.evidence import Evidence
from attention_limits.experiments import extrapolation, first_token, most_recent, three_back
from attention_limits.experiments.conditions import LONGEST, TRAINED, Question
from attention_limits.runs import records
from attention_limits.runs.records import Run
from attention_limits.runs.statistics import interval

EXPERIMENTS = {module.SETTING: module for module in (most_recent, three_back, first_token)}
RECENCY, OFFSET, FIRST = EXPERIMENTS
SHORT = TRAINED[1]

# Of Shaw and T5 the reach, of tables the deviation that rows begin with.
NAMES = {
    "none": "no positions",
    "none + bos": "none, with bos",
    "sinusoidal": "sinusoids",
    "rotary": "rotary",
    "alibi": "ALiBi",
    "shaw 16": "Shaw, to 16",
    "shaw 48": "Shaw, to 48",
    "relative_bias 24": "T5, to 24",
    "relative_bias 128": "T5, to 128",
    "learned .02": "table, from .02",
    "learned 1": "table, from 1",
    "lstm_generated": "LSTM-generated",
    "lstm alone": "LSTM alone",
}

# Mean accuracies at 256 tokens, at the positions 0, 1, 2, …, as the authors wrote them down on 30
# November 2026, before any of these models was trained. Of the others they expected no number.
EXPECTED: Mapping[str, Mapping[str, float]] = {
    RECENCY: {
        "none": 0.4,
        "sinusoidal": 0.25,
        "alibi": 0.98,
        "relative_bias 24": 0.6,
        "relative_bias 128": 0.45,
        "shaw 16": 0.99,
        "shaw 48": 0.8,
    },
    OFFSET: {
        "rotary": 0.4,
        "alibi": 0.6,
        "relative_bias 24": 0.9,
        "relative_bias 128": 0.4,
        "shaw 16": 1.0,
        "shaw 48": 1.0,
    },
    FIRST: {
        "none": 1.0,
        "sinusoidal": 0.5,
        "learned .02": 1.0,
        "rotary": 0.3,
        "relative_bias 24": 1.0,
        "relative_bias 128": 1.0,
        "shaw 16": 1.0,
        "shaw 48": 1.0,
    },
}


def run(task: str) -> Run:
    """The record of a task."""
    return records.load(EXPERIMENTS[task])


def longer(n: int, condition: str = "plain") -> Question:
    """A sequence of n tokens, under the condition that a model trained under."""
    end = LONGEST if "random" in condition else n
    return Question("longer", n, end, end / n)


def evenly(gap: int) -> Question:
    """As many tokens as in training, so far apart."""
    return Question("evenly", SHORT, LONGEST, gap)


SHIFTED = Question("shifted", SHORT, LONGEST, 1)


def accuracies(
    task: str, encoding: str, question: Question, condition: str = "plain"
) -> list[float]:
    """How often the last answer is right, one number a recorded seed."""
    return extrapolation.accuracies(run(task), encoding, condition, question)


def mean(task: str, encoding: str, question: Question, condition: str = "plain") -> float:
    """The mean of ``accuracies``."""
    return float(np.mean(accuracies(task, encoding, question, condition)))


def misses() -> list[float]:
    """By how much the runs came out higher than ``EXPECTED``."""
    return [
        mean(task, encoding, longer(LONGEST)) - expected
        for task, each in EXPECTED.items()
        for encoding, expected in each.items()
    ]


# Mean accuracies on recency of models that train for 4,000 steps at random positions, by question
# and marks, written down on 30 November 2026 before they trained. Of rotary and ALiBi at the
# longest length, and of T5 and Shaw with marks, a referee's runs were known.
PATIENT: Mapping[tuple[Question, int | None], Mapping[str, float]] = {
    (longer(256, "random positions"), None): {
        "sinusoidal": 0.75,
        "learned .02": 0.45,
        "relative_bias 24": 0.4,
        "shaw 48": 0.8,
    },
    (evenly(1), None): {
        "rotary": 0.99,
        "alibi": 0.97,
        "sinusoidal": 0.85,
        "learned .02": 0.7,
        "relative_bias 24": 0.96,
        "shaw 48": 0.97,
    },
    (longer(256, "random positions"), 8): {"sinusoidal": 0.85, "learned .02": 0.6},
    (longer(32, "random positions"), 31): {"rotary": 0.95, "alibi": 0.9},
}


# --- means over seeds ---------------------------------------------------------------------------


def half(values: Sequence[float]) -> float:
    """Half of the 95 % interval in which the mean of all seeds lies."""
    found = interval(values)
    return (found.high - found.low) / 2


def said(values: Sequence[float]) -> str:
    """A mean, and the least and the most."""
    return f"{np.mean(values):.2f} ({min(values):.2f} to {max(values):.2f})"


def least(
    found: Mapping[str, Sequence[float]], above: float, where: str, names: Mapping[str, str] = NAMES
) -> Evidence:
    """The least mean of several against a bound, which it clears by half of its interval.

    Args:
        found: the accuracies of all seeds, by what they are of.
        above: the bound.
        where: what was asked, and where and when it was recorded.
        names: of what they are of, where other words say it better.
    """
    worst = min(found.values(), key=np.mean)
    words = "; ".join(f"{names.get(key, key)}: {said(values)}" for key, values in found.items())
    return Evidence(
        value=float(np.mean(worst)),
        expected=above,
        tolerance=half(worst),
        unit="of the last answers right",
        how=f"{where}: {words}{'; the least' * (len(found) > 1)}; margin: half of the mean's 95 % "
        "interval",
        relation=">",
    )


def difference(
    more: tuple[str, Sequence[float]],
    less: tuple[str, Sequence[float]],
    above: float,
    where: str,
    unit: str = "more of the last answers right",
) -> Evidence:
    """One mean less another against a bound, which it clears by half of both intervals.

    Args:
        more, less: what accuracies are of, and those of all seeds.
        above: the bound.
        where: what was asked, and where and when it was recorded.
        unit: of the difference.
    """
    (what, high), (other, low) = more, less
    return Evidence(
        value=float(np.mean(high) - np.mean(low)),
        expected=above,
        tolerance=half(high) + half(low),
        unit=unit,
        how=f"{where}, means of {len(high)} seeds and their ranges: {what} {said(high)} less "
        f"{other} {said(low)}; margin: half of each mean's 95 % interval, added",
        relation=">",
    )
