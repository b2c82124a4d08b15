"""Evidence on what training makes of the matrix between two sinusoids: recorded, and run anew.

Of each seed the head counts that has the largest **share**: how much of the matrix is relative at
all positions, in squared entries.
"""

import functools

import numpy as np

from attention_limits import store, training
from attention_limits.evidence import Evidence, evidence
from attention_limits.experiments import commutant, length
from attention_limits.runs import records
from attention_limits.training import Recipe

OFFSET, RECENCY = "token 3 back", "most recent"
SLOW, FAST = 1e-3, 1e-2  # learning rates; both learn the offset
SEEDS = (0, 1)
CHANCE = 1 / commutant.ARCHITECTURE.d_model  # the share of a random matrix, about
LONGER = 2 * length.TRAINED[1]  # tokens


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


@evidence(rivals={"models that are right as often, trained ten times as fast": dict(rate=FAST)})
def slow_training_does_without(rate: float = SLOW) -> Evidence:
    """The same where training went slowly; a head counts if its model has learned the task."""
    found = trained(rate)
    shares = [
        share if right > 0.9 else 1.0
        for share, right in zip(found["share"], found["right"], strict=True)
    ]
    return Evidence(
        value=max(shares),
        expected=4 * CHANCE,
        tolerance=0,
        unit="of the matrix between positions, in squared entries",
        how=f"{_said(rate)}, right in {min(found['right']):.0%} and more at n = "
        f"{length.TRAINED[1]}; the best head, the most of {len(SEEDS)} seeds; expected less than "
        "four times chance",
        relation="<",
    )


@evidence(rivals={"the same models at the trained length": dict(n=length.TRAINED[1])})
def the_share_buys_no_length(n: int = LONGER) -> Evidence:
    """How often models with a share of ten times chance and more are right at twice the length."""
    found = trained(FAST)
    right = found["right" if n == length.TRAINED[1] else "longer"]
    return Evidence(
        value=max(right),
        expected=0.5,
        tolerance=0,
        unit="of the last answers right",
        how=f"{_said(FAST)}, n = {n}; shares of {min(found['share']):.2f} and more; the most of "
        f"{len(SEEDS)} seeds",
        relation="<",
    )


@functools.cache
def trained(rate: float) -> dict[str, list[float]]:
    """What training at a rate found, of each seed: pieces ask, maybe in two processes at once."""
    return store.kept(__name__, f"trained.{rate:g}", lambda: _train(rate))


def _train(rate: float) -> dict[str, list[float]]:
    """How many last answers are right, at two lengths, and the best head's share."""
    setting = length.SETTINGS[OFFSET]
    recipe = Recipe(steps=setting.steps, lengths=length.TRAINED)
    task = setting.make()
    found = training.train(commutant.ARCHITECTURE, task, recipe, seeds=SEEDS, rates=rate)
    right, longer = (
        [row["last"] for row in training.evaluate(found, task, n)]
        for n in (length.TRAINED[1], LONGER)
    )
    share = commutant.share(commutant.between_positions(found.model)).max(axis=1)
    return {"right": right, "longer": longer, "share": share.tolist()}


def _said(rate: float) -> str:
    return f"“{OFFSET}”, {length.SETTINGS[OFFSET].steps} steps at the rate {rate:g}"
