"""Evidence on what training makes of the matrix between two sinusoids, from recorded runs.

Of each seed the head counts that has the largest **share**: how much of the matrix is relative at
all positions, in squared entries.
"""

import numpy as np

from attention_limits.evidence import Evidence, evidence
from attention_limits.experiments import commutant, relative_share
from attention_limits.experiments.conditions import SETTINGS, TRAINED
from attention_limits.runs import records

OFFSET, RECENCY = relative_share.SETTING, "most recent"
CHANCE = 1 / commutant.ARCHITECTURE.d_model  # the share of a random matrix, about
FAST = "fast"  # of the speeds, the one that finds the commutant
RIGHT = 0.9  # of the answers at the trained length: who has learned the task
LENGTH = TRAINED[1]  # tokens
LONGER = 4 * LENGTH


@evidence(rivals={"the task of recency, in the same record": dict(task=RECENCY)})
def fast_training_finds_the_commutant(task: str = OFFSET) -> Evidence:
    """How much of the matrix lies in the commutant, after training on a task."""
    run = records.load(commutant)
    shares = commutant.largest(run, task, "after", "share")
    return Evidence(
        value=min(shares),
        expected=10 * CHANCE,
        tolerance=float(np.ptp(shares)),
        unit="of the matrix between positions, in squared entries",
        how=f"{run.stamp}: “{task}”, the best head of the first layer, the least of "
        f"{len(shares)} seeds; expected more than ten times chance; margin: the range of the seeds",
        relation=">",
    )


@evidence(rivals={"models that were trained three times as fast": dict(speed="middle")})
def slow_training_does_without(speed: str = "slow") -> Evidence:
    """The largest share of models that have learned the task slowly, against the least of fast.

    A model that has not learned it counts as one whose matrix is relative altogether.
    """
    run = records.load(relative_share)
    own, fast = (run.values("share", speed=which, n=LENGTH) for which in (speed, FAST))
    right = run.values("accuracy", speed=speed, n=LENGTH)
    most = max(share if learned > RIGHT else 1.0 for share, learned in zip(own, right, strict=True))
    return Evidence(
        value=most / min(fast),
        expected=1 / 5,
        tolerance=0,
        unit="of the share that fast training leaves",
        how=f"{run.stamp}: “{OFFSET}”, the best head of the first layer; the most of {len(own)} "
        f"seeds at the rate {_rate(speed)}, {max(own):.3f}, all right in {min(right):.0%} or more "
        f"at n = {LENGTH}, over the least of {len(fast)} at {_rate(FAST)}, {min(fast):.3f}",
        relation="<",
    )


@evidence(rivals={"the same models at the trained length": dict(n=LENGTH)})
def the_share_buys_no_length(n: int = LONGER) -> Evidence:
    """How often models that have found the commutant are right at four times the length."""
    run = records.load(relative_share)
    right = run.values("accuracy", speed=FAST, n=n)
    least = min(run.values("share", speed=FAST, n=n))
    chance = SETTINGS[OFFSET].make().chance
    return Evidence(
        value=max(right),
        expected=0.5,
        tolerance=0,
        unit="of the last answers right",
        how=f"{run.stamp}: “{OFFSET}”, trained on up to {LENGTH} tokens at the rate "
        f"{_rate(FAST)}, asked at n = {n}; shares of {least:.2f} and more; the most of "
        f"{len(right)} seeds, a guess being right in {chance:.4f}",
        relation="<",
    )


def _rate(speed: str) -> str:
    return f"{relative_share.SPEEDS[speed][0]:g}"
