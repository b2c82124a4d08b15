"""Evidence on what training makes of the matrix between two sinusoids: recorded, and run slowly.

Of each seed the head counts that has most: of ``share``, how much of the matrix is relative at all
positions, or of ``seen``, how much of what a softmax sees of its scores the distance explains.
"""

import functools

import numpy as np

from attention_limits import store, training
from attention_limits.evidence import Evidence, evidence
from attention_limits.experiments import commutant, length
from attention_limits.runs import records
from attention_limits.runs.records import Run
from attention_limits.runs.statistics import Paired, paired
from attention_limits.training import Recipe

DISTANCE, RECENCY = "token 3 back", "most recent"
SLOW, SEEDS = 1e-3, (0, 1)  # a tenth of the rate that did best, for models that train here and now


@evidence()
def training_turns_scores_towards_distance() -> Evidence:
    """What distance explains of the scores of a task at a fixed distance, after less before."""
    return _grown(DISTANCE, "seen", "of what a softmax sees of its scores")


@evidence()
def training_finds_the_commutant() -> Evidence:
    """How much of the matrix lies in the commutant, for the same task, after less before."""
    return _grown(DISTANCE, "share", "of the matrix between positions, in squared entries")


@evidence()
def recency_turns_scores_towards_distance() -> Evidence:
    """What distance explains of the scores of a task of recency, after less before."""
    return _grown(RECENCY, "seen", "of what a softmax sees of its scores")


@evidence()
def recency_does_without_the_commutant() -> Evidence:
    """How much more of the matrix lies in the commutant at a fixed distance than for recency."""
    run = records.load(commutant)
    fixed, recent = (commutant.largest(run, task, "after", "share") for task in (DISTANCE, RECENCY))
    return _above_zero(
        paired(fixed, recent),
        "of the matrix between positions, in squared entries",
        f"{_how(run)}, “{DISTANCE}” less “{RECENCY}”",
    )


@evidence()
def slow_training_finds_the_offset() -> Evidence:
    """The task at a fixed distance, learned at a tenth of the rate that did best."""
    right = _slow()["right"]
    return Evidence(
        value=min(right),
        expected=0.9,
        tolerance=float(np.ptp(right)),
        unit="of the last answers right",
        how=f"{_slowly()}, n = {length.TRAINED[1]}; the least of {len(SEEDS)} seeds; margin: their "
        "range",
        relation=">",
    )


@evidence()
def slow_training_does_without_the_commutant() -> Evidence:
    """How much of the matrix lies in the commutant there, against the rate that did best."""
    shares = _slow()["shares"]
    fast = commutant.largest(records.load(commutant), DISTANCE, "after", "share")
    return Evidence(
        value=max(shares),
        expected=min(fast),
        tolerance=float(np.ptp(fast)),
        unit="of the matrix between positions, in squared entries",
        how=f"{_slowly()}; the most of {len(SEEDS)} seeds; expected the least of the recorded "
        "ones, at the rate that did best; margin: their range",
        relation="<",
    )


@functools.cache
def _slow() -> dict[str, list[float]]:
    """What slow training found, of each seed: two pieces ask, maybe in two processes at once."""
    return store.kept(__name__, "slow_training", _train_slowly)


def _train_slowly() -> dict[str, list[float]]:
    """How many last answers are right, and the share of the commutant in the best head."""
    setting = length.SETTINGS[DISTANCE]
    recipe = Recipe(steps=setting.steps, lengths=length.TRAINED)
    task = setting.make()
    trained = training.train(commutant.ARCHITECTURE, task, recipe, seeds=SEEDS, rates=SLOW)
    asked = training.evaluate(trained, task, length.TRAINED[1])
    shares = commutant.share(commutant.between_positions(trained.model)).max(axis=1)
    return {"right": [row["last"] for row in asked], "shares": shares.tolist()}


def _slowly() -> str:
    return f"“{DISTANCE}”, {length.SETTINGS[DISTANCE].steps} steps at the rate {SLOW:g}"


def _grown(task: str, of: str, unit: str) -> Evidence:
    run = records.load(commutant)
    after, before = (commutant.largest(run, task, when, of) for when in ("after", "before"))
    return _above_zero(
        paired(after, before), unit, f"{_how(run)}, “{task}”, after training less before"
    )


def _above_zero(found: Paired, unit: str, how: str) -> Evidence:
    """A difference over seeds, with half of its interval as its uncertainty."""
    between = found.difference
    return Evidence(
        value=between.mean,
        expected=0,
        tolerance=(between.high - between.low) / 2,
        unit=unit,
        how=f"{how}; margin: half of Student's interval of {between.level:.0%}",
        relation=">",
    )


def _how(run: Run) -> str:
    seeds = len(run.config["seeds"])
    return f"{run.stamp}: the first layer's best head, the mean of {seeds} seeds"
