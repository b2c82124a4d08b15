"""Evidence on how far encodings carry what was learned, from recorded runs.

A mean over seeds clears its bound by half of its 95 % interval.
"""

from collections.abc import Sequence

import numpy as np

from attention_limits.chapters.positional_encodings import recorded
from attention_limits.chapters.positional_encodings.recorded import (
    FIRST,
    NAMES,
    OFFSET,
    RECENCY,
    SHIFTED,
    SHORT,
    difference,
    half,
    least,
    longer,
    said,
)
from attention_limits.evidence import Evidence, evidence
from attention_limits.experiments import extrapolation, offsets, without_positions
from attention_limits.experiments.conditions import LONGEST, Question
from attention_limits.runs import records

KEPT = 0.9  # of the answers right: what counts as carried over
HALF = 0.5  # what counts as lost
UNIT = "of the last answers right"
TABLES = ("learned .02", "learned 1")


def at_the_end(task: str, encoding: str) -> list[float]:
    """The accuracies at the longest length, one a seed."""
    return recorded.accuracies(task, encoding, longer(LONGEST))


# --- without positions, and a table -------------------------------------------------------------


@evidence(rivals={"a rotary encoding, in the same record": dict(encoding="rotary")})
def no_positions_find_the_first_token(encoding: str = "none") -> Evidence:
    """Models that are told no positions name the first token of a sequence eight times as long."""
    return _carried({FIRST: at_the_end(FIRST, encoding)}, encoding)


@evidence(rivals={"sequences without a beginning of their own": dict(start="none")})
def a_beginning_gives_places(start: str = "none + bos") -> Evidence:
    """The token three back at the trained length, of models that are told no positions."""
    found = {OFFSET: _without_positions(start, SHORT)}
    return least(found, KEPT, _patiently(start, SHORT))


@evidence(rivals={"sequences as long as in training": dict(n=SHORT)})
def places_from_a_mask_end_with_training(n: int = 2 * SHORT) -> Evidence:
    """The same on sequences of twice the length."""
    found = _without_positions("none + bos", n)
    return Evidence(
        value=float(np.mean(found)),
        expected=HALF,
        tolerance=half(found),
        unit=UNIT,
        how=f"{_patiently('none + bos', n)}, “{OFFSET}”: {said(found)}; margin: half of the mean's "
        "95 % interval",
        relation="<",
    )


def _without_positions(start: str, n: int) -> list[float]:
    """Two layers, 2000 steps."""
    return without_positions.accuracies(records.load(without_positions), OFFSET, 2, start, n)


def _patiently(start: str, n: int) -> str:
    run = records.load(without_positions)
    return f"{run.stamp}, {NAMES[start]}, two layers, {run.config['steps']} steps, n = {n}"


@evidence(rivals={"a rotary encoding, in the same record": dict(encodings=("rotary",))})
def the_first_row_is_found_among_unseen_ones(encodings: Sequence[str] = TABLES) -> Evidence:
    """Learned tables on sequences whose first position alone has to be known."""
    found = {name: at_the_end(FIRST, name) for name in encodings}
    least = min(found, key=lambda name: np.mean(found[name]))
    return _carried({FIRST: found[least]}, least)


@evidence(
    rivals={
        "slopes, which have no rows": dict(encodings=("alibi",)),
        "vectors for distances up to 16": dict(encodings=("shaw 16",)),
    }
)
def tables_lose_recency(
    encodings: Sequence[str] = TABLES,
) -> Evidence:
    """Learned tables on sequences most of whose rows training has left as they were."""
    found = {name: at_the_end(RECENCY, name) for name in encodings}
    most = max(found.values(), key=np.mean)
    words = ", ".join(f"{NAMES[name]}: {said(values)}" for name, values in found.items())
    return Evidence(
        value=float(np.mean(most)),
        expected=HALF,
        tolerance=half(most),
        unit=UNIT,
        how=f"{_where(RECENCY)}: the most of {words}",
        relation="<",
    )


@evidence(rivals={"the positions of training": dict(question=longer(SHORT))})
def small_rows_mislead_less(question: Question = SHIFTED) -> Evidence:
    """What small rows are right more often, on sequences that stand at untrained ones."""
    small, large = (recorded.accuracies(RECENCY, name, question) for name in TABLES)
    run = recorded.run(RECENCY)
    where = f"{run.stamp}: “{RECENCY}”, {SHORT} tokens, {question.asked}"
    return difference(("rows that began with .02", small), ("those with 1", large), 0.1, where)


# --- encodings of distances ---------------------------------------------------------------------


@evidence(
    rivals={
        "sinusoids, in the same record": dict(encoding="sinusoidal"),
        "a rotary encoding, in the same record": dict(encoding="rotary"),
    }
)
def slopes_carry_recency(encoding: str = "alibi") -> Evidence:
    """ALiBi on the longest sequences."""
    return _carried({RECENCY: at_the_end(RECENCY, encoding)}, encoding)


@evidence(
    rivals={
        "slopes, in the same records": dict(encoding="alibi"),
        "T5's buckets, which reach 24 tokens": dict(encoding="relative_bias 24"),
        "a rotary encoding, in the same records": dict(encoding="rotary"),
        "vectors for distances that training has not shown": dict(encoding="shaw 48"),
    }
)
def vectors_carry_recency_and_offsets(encoding: str = "shaw 16") -> Evidence:
    """Shaw's vectors, for distances that training has shown, on two tasks."""
    return _carried({task: at_the_end(task, encoding) for task in (RECENCY, OFFSET)}, encoding)


@evidence(
    rivals={
        "T5's buckets, which reach 24 tokens": dict(encoding="relative_bias 24"),
        "Shaw's vectors, which reach 16": dict(encoding="shaw 16"),
        "slopes": dict(encoding="alibi"),
    }
)
def rotary_loses_both_at_every_rate_that_learns(encoding: str = "rotary") -> Evidence:
    """Two tasks on the longest sequences, at all rates and steps of the search that learned one."""
    kept = {}
    for task in (RECENCY, OFFSET):
        short, long = (
            extrapolation.tried(recorded.run(task), encoding, "plain", n) for n in (SHORT, LONGEST)
        )
        for (steps, rate), each in short.items():
            if np.mean(each) >= KEPT:
                kept[f"“{task}”, {steps} steps, {rate:g}"] = max(long[steps, rate])
    most = max(kept, key=kept.__getitem__)
    return Evidence(
        value=kept[most],
        expected=HALF,
        tolerance=0,
        unit=UNIT,
        how=f"{recorded.run(RECENCY).stamp}, n = {LONGEST}: {NAMES[encoding]}, models of the "
        f"search, {len(kept)} tasks and rates with {KEPT:g} or more at n = {SHORT}; the most of "
        f"all seeds: {most}",
        relation="<",
    )


@evidence(rivals={"models without positions": dict(encoding="none")})
def slopes_learn_an_offset_late(encoding: str = "alibi") -> Evidence:
    """What four times the steps add on the token three back, each at its best rate."""
    run = recorded.run(OFFSET)
    found = extrapolation.tried(run, encoding, "plain", SHORT)
    steps = sorted({steps for steps, _ in found})
    few, many = (
        max((each for (taken, _), each in found.items() if taken == some), key=np.mean)
        for some in steps
    )
    return Evidence(
        value=min(many) - max(few),
        expected=0.1,
        tolerance=0,
        unit="of the last answers more right",
        how=f"{run.stamp}: {NAMES[encoding]}, “{OFFSET}”, n = {SHORT}, models of the search "
        f"at their best rate: {said(many)} after {steps[1]} steps, {said(few)} after {steps[0]}; "
        "the worst seed less the best",
        relation=">",
    )


@evidence(rivals={"sequences as long as in training": dict(n=SHORT)})
def a_reach_beyond_training_costs_recency(n: int = LONGEST) -> Evidence:
    """What is lost if vectors or buckets go on beyond the distances that training shows."""
    pairs = [("shaw 16", "shaw 48"), ("relative_bias 24", "relative_bias 128")]
    lost = {}
    for within, beyond in pairs:
        found = [recorded.accuracies(RECENCY, name, longer(n)) for name in (within, beyond)]
        words = f"{NAMES[within]}: {said(found[0])}, less {NAMES[beyond]}: {said(found[1])}"
        lost[words] = (np.mean(found[0]) - np.mean(found[1]), sum(map(half, found)))
    least, margin = min(lost.values())
    return Evidence(
        value=float(least),
        expected=0.05,
        tolerance=margin,
        unit="of the last answers lost",
        how=f"{_where(RECENCY, n=n)}: the less of {' and '.join(lost)}; margin: half of each "
        "mean's 95 % interval, added",
        relation=">",
    )


@evidence(rivals={"vectors that reach 48 tokens": dict(reach=48)})
def vectors_end_where_they_reach(reach: int = 16) -> Evidence:
    """What vectors for so many distances lose where a token stands further back than two reach."""
    run, [task] = records.load(offsets), offsets.SETTINGS
    n = offsets.SETTINGS[task].asked[0]
    near = recorded.accuracies(OFFSET, f"shaw {reach}", longer(SHORT))
    far = offsets.accuracies(run, task, "shaw" if reach == 16 else f"shaw, reach {reach}", n)
    where = f"{run.stamp}: Shaw with the reach {reach}, at a trained length"
    back = f"“{task}”, n = {n},"
    return difference((f"“{OFFSET}”", near), (back, far), HALF, where, "of the last answers lost")


def _carried(found: dict[str, list[float]], encoding: str) -> Evidence:
    """The worst of what was found on some tasks, against what counts as carried over."""
    return least(found, KEPT, f"{_where(*found)}, {NAMES[encoding]}")


def _where(*tasks: str, n: int = LONGEST) -> str:
    """What was asked, and where and when it was recorded."""
    runs = [recorded.run(task) for task in tasks]
    stamps = " and ".join(dict.fromkeys(run.stamp for run in runs))
    return f"{stamps}, n = {n}, means of {len(runs[0].config['seeds'])} seeds and their ranges"
