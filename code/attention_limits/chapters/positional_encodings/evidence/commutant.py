"""Evidence on what training makes of the matrix between two sinusoids, from recorded runs.

Of each seed the head counts that has the largest **share**: how much of the matrix is relative at
all positions, in squared entries.
"""

import numpy as np

from attention_limits.chapters.positional_encodings.recorded import half, said
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


@evidence(
    rivals={
        "models that were trained ten times as fast": dict(speed=FAST),
        "the second layer of the slow models": dict(layer=2),
    }
)
def slow_models_do_without_scores_of_the_first_layer(
    speed: str = "slow", layer: int = 1
) -> Evidence:
    """The most that any seed loses at the trained length if queries of a layer see all keys alike.

    Who has not learned the task has nothing to lose, and counts as one that loses everything.
    """
    run = records.load(relative_share)
    before, flat = (
        relative_share.accuracies(run, speed, LENGTH, part=part, layer=layer)
        for part in (relative_share.AS_TRAINED, relative_share.FLAT)
    )
    lost = [x - y if x > RIGHT else 1.0 for x, y in zip(before, flat, strict=True)]
    own = relative_share.shares(run, speed, layer=layer)
    return Evidence(
        value=max(lost),
        expected=0.05,
        tolerance=0,
        unit="fewer of the last answers right",
        how=f"{run.stamp}: “{OFFSET}”, trained at the rate {_rate(speed)}, n = {LENGTH}, with all "
        f"weights of layer {layer} alike, {said(flat)}, against {said(before)}; the most of "
        f"{len(lost)} seeds, whose best heads there have shares of {min(own):.2f} to "
        f"{max(own):.2f}",
        relation="<",
    )


@evidence(rivals={"slow models of two layers": dict(layers=2)})
def with_one_layer_slow_training_finds_it_too(layers: int = 1) -> Evidence:
    """The least share of models that have learned the task slowly, in their first layer.

    Who has not learned it counts as one that has found nothing.
    """
    run = records.load(relative_share)
    own = relative_share.shares(run, "slow", layers=layers)
    right = relative_share.accuracies(run, "slow", LENGTH, layers=layers)
    found = [share if learned > RIGHT else 0.0 for share, learned in zip(own, right, strict=True)]
    return Evidence(
        value=min(found),
        expected=5 * CHANCE,
        tolerance=0,
        unit="of the matrix between positions, in squared entries",
        how=f"{run.stamp}: “{OFFSET}”, trained at the rate {_rate('slow')}, layers: {layers}, the "
        f"best head of the first; the least of {len(own)} seeds, the most being {max(own):.2f}, "
        f"all right in {min(right):.0%} or more at n = {LENGTH}; expected more than five times "
        "chance",
        relation=">",
    )


@evidence(
    rivals={
        "what lies outside of the commutant": dict(part=relative_share.REST),
        "as much of the matrix, in the largest singular values": dict(part=relative_share.FEW),
        "slow models, which look elsewhere": dict(speed="slow"),
    }
)
def without_the_rest_longer_sequences_are_answered_better(
    part: str = relative_share.RELATIVE, speed: str = FAST, n: int = 2 * LENGTH
) -> Evidence:
    """How much more often models are right if the first layer keeps only a part of the matrix."""
    run = records.load(relative_share)
    whole = relative_share.accuracies(run, speed, n)
    kept = relative_share.accuracies(run, speed, n, part=part)
    gained = [y - x for x, y in zip(whole, kept, strict=True)]
    return Evidence(
        value=float(np.mean(gained)),
        expected=0,
        tolerance=half(gained),
        unit="more of the last answers right",
        how=f"{run.stamp}: “{OFFSET}”, trained on up to {LENGTH} tokens at the rate "
        f"{_rate(speed)}, n = {n}: “{part}”, {said(kept)}, less the whole matrix, {said(whole)}; "
        f"mean of {len(gained)} seeds; margin: half of its 95 % interval",
        relation=">",
    )


@evidence(
    rivals={
        "the same models at the trained length": dict(n=LENGTH),
        "the same models at twice the length, without the rest of the matrix": dict(
            n=2 * LENGTH, part=relative_share.AS_LARGE
        ),
    }
)
def the_share_buys_no_length(n: int = LONGER, part: str = relative_share.AS_TRAINED) -> Evidence:
    """How often models that have found the commutant are right at four times the length."""
    run = records.load(relative_share)
    right = relative_share.accuracies(run, FAST, n, part=part)
    least = min(relative_share.shares(run, FAST))
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
