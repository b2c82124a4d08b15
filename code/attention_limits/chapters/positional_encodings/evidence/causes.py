"""Evidence on why encodings fail on longer sequences: each piece changes one thing, or says what.

What differs between two conditions is counted by ``conditions.differences``. A mean over seeds
clears its bound by half of its 95 % interval.
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
    evenly,
    half,
    longer,
    said,
)
from attention_limits.evidence import Evidence, evidence
from attention_limits.experiments.conditions import ENCODINGS, LONGEST, NOT_TOLD

KEPT = 0.9  # of the answers right: what counts as kept
HARM = 0.05  # fewer answers right: what counts as harm
RANDOM = "random positions"
VARIED = "random gaps"
WIDE, NARROW = 8, 1  # between neighbours, as in training at random positions, and at 256 tokens
ABSOLUTE = ("sinusoidal", "learned .02", "learned 1")
UNIT = "of the last answers right"
LOST = "of the last answers lost"


# --- new positions ------------------------------------------------------------------------------


@evidence(
    rivals={
        "rotary, whose scores depend on distances alone": dict(encodings=("rotary",)),
        "ALiBi and Shaw's vectors, likewise": dict(encodings=("alibi", "shaw 16")),
    }
)
def new_places_alone_mislead(encodings: Sequence[str] = ABSOLUTE) -> Evidence:
    """Sequences as long and as dense as in training, at places that it has not shown."""
    found = {name: recorded.accuracies(RECENCY, name, SHIFTED) for name in encodings}
    most = max(found.values(), key=np.mean)
    words = ", ".join(f"{NAMES[name]}: {said(values)}" for name, values in found.items())
    return Evidence(
        value=float(np.mean(most)),
        expected=KEPT,
        tolerance=half(most),
        unit=UNIT,
        how=f"{_stamp(RECENCY)}, {SHORT} tokens from {LONGEST - SHORT} on: the most of {words}; "
        "margin: half of the mean's 95 % interval",
        relation="<",
    )


@evidence(
    rivals={
        "T5's buckets, which reach 24 tokens": dict(encoding="relative_bias 24"),
        "slopes": dict(encoding="alibi"),
    }
)
def places_seen_in_training_help(encoding: str = "rotary") -> Evidence:
    """What is gained on the longest sequences if training draws positions from as many."""
    found = {
        condition: recorded.accuracies(RECENCY, encoding, longer(LONGEST, condition), condition)
        for condition in (RANDOM, "plain")
    }
    with_random, plain = found.values()
    return Evidence(
        value=float(np.mean(with_random) - np.mean(plain)),
        expected=HARM,
        tolerance=half(with_random) + half(plain),
        unit="more of the last answers right",
        how=f"{_stamp(RECENCY)}, {NAMES[encoding]}, n = {LONGEST}: trained at random positions "
        f"{said(with_random)} less trained at 0, 1, 2, … {said(plain)}; margin: half of each "
        "mean's 95 % interval, added",
        relation=">",
    )


@evidence(rivals={"recency": dict(task=RECENCY)})
def places_seen_in_training_repair_the_first_token(task: str = FIRST) -> Evidence:
    """What all encodings keep of a task at the longest length, if training draws positions."""
    found = {
        name: recorded.accuracies(task, name, longer(LONGEST, RANDOM), RANDOM)
        for name in ENCODINGS
        if name not in NOT_TOLD
    }
    least = min(found, key=lambda name: np.mean(found[name]))
    return Evidence(
        value=float(np.mean(found[least])),
        expected=KEPT,
        tolerance=half(found[least]),
        unit=UNIT,
        how=f"{_stamp(task)}, “{task}”, {RANDOM}, n = {LONGEST}: the least of {len(found)} "
        f"encodings, {NAMES[least]}: {said(found[least])}; margin: half of the mean's 95 % "
        "interval",
        relation=">",
    )


# --- density, and the number of tokens ----------------------------------------------------------


@evidence(rivals={"T5's buckets, which reach 24 tokens": dict(encodings=("relative_bias 24",))})
def denser_sequences_mislead(
    encodings: Sequence[str] = ("sinusoidal", "learned .02", "learned 1", "rotary", "alibi"),
) -> Evidence:
    """What is lost on sequences as long as in training if all of their tokens stand closer."""
    return _less(
        {name: (_asked(name, WIDE), _asked(name, NARROW)) for name in encodings},
        f"{SHORT} tokens, {WIDE} apart less {NARROW} apart",
    )


@evidence(
    rivals={
        "T5's buckets, which reach 24 tokens": dict(encoding="relative_bias 24"),
        "Shaw's vectors, which reach 16": dict(encoding="shaw 16"),
        "a learned table": dict(encoding="learned .02"),
    }
)
def rotary_loses_no_more_to_more_tokens(encoding: str = "rotary") -> Evidence:
    """What more tokens take, if neighbours stand as close together."""
    found = {encoding: (_asked(encoding, NARROW), _asked(encoding, None))}
    short, long = found[encoding]
    return Evidence(
        value=float(np.mean(short) - np.mean(long)),
        expected=HARM,
        tolerance=half(short) + half(long),
        unit=LOST,
        how=f"{_stamp(RECENCY)}, {NAMES[encoding]}, neighbours {NARROW} apart: {SHORT} tokens "
        f"{said(short)} less {LONGEST} {said(long)}; margin: half of each mean's 95 % interval, "
        "added",
        relation="<",
    )


@evidence(
    rivals={
        "positions drawn from the whole range alone": dict(condition=RANDOM),
        "the positions 0, 1, 2, …": dict(condition="plain"),
        "sinusoids": dict(encodings=("sinusoidal",)),
        "a learned table": dict(encodings=("learned .02",)),
    }
)
def dense_sequences_in_training_repair_rotary_and_slopes(
    encodings: Sequence[str] = ("rotary", "alibi"), condition: str = VARIED
) -> Evidence:
    """Recency on the longest sequences, if training shows all distances and all densities."""
    found = {
        name: recorded.accuracies(RECENCY, name, longer(LONGEST, condition), condition)
        for name in encodings
    }
    least = min(found.values(), key=np.mean)
    words = ", ".join(f"{NAMES[name]}: {said(values)}" for name, values in found.items())
    return Evidence(
        value=float(np.mean(least)),
        expected=KEPT,
        tolerance=half(least),
        unit=UNIT,
        how=f"{_stamp(RECENCY)}, “{RECENCY}”, {condition}, n = {LONGEST}: the least of {words}; "
        "margin: half of the mean's 95 % interval",
        relation=">",
    )


@evidence(
    rivals={
        "rotary": dict(encodings=("rotary",)),
        "ALiBi": dict(encodings=("alibi",)),
        "sinusoids": dict(encodings=("sinusoidal",)),
    }
)
def more_tokens_take_it_from_vectors_and_buckets(
    encodings: Sequence[str] = ("shaw 16", "shaw 48", "relative_bias 24", "relative_bias 128"),
) -> Evidence:
    """What more tokens take of those that do not tell far distances apart."""
    return _less(
        {name: (_asked(name, NARROW), _asked(name, None)) for name in encodings},
        f"neighbours {NARROW} apart, {SHORT} tokens less {LONGEST}",
    )


# --- what random positions take away ------------------------------------------------------------


@evidence(
    rivals={
        "the positions 0, 1, 2, …": dict(condition="plain"),
        "recency": dict(task=RECENCY),
        "Shaw's vectors, which reach 48 tokens": dict(encoding="shaw 48"),
    }
)
def random_positions_take_an_offset_away(
    encoding: str = "rotary", task: str = OFFSET, condition: str = RANDOM
) -> Evidence:
    """What rotary learns of a fixed offset, at the trained length, if positions are drawn."""
    found = recorded.accuracies(task, encoding, longer(SHORT, condition), condition)
    return Evidence(
        value=float(np.mean(found)),
        expected=KEPT,
        tolerance=half(found),
        unit=UNIT,
        how=f"{_stamp(task)}, {NAMES[encoding]}, “{task}”, {condition}, n = {SHORT}: "
        f"{said(found)}; margin: half of the mean's 95 % interval",
        relation="<",
    )


@evidence(rivals={"Shaw's vectors, which reach 48 tokens": dict(encoding="shaw 48")})
def gaps_that_were_shown_leave_an_offset_to_more_tokens(encoding: str = "rotary") -> Evidence:
    """What more tokens take of an offset at a gap that training has shown, among wider ones."""
    short, long = (
        recorded.accuracies(OFFSET, encoding, question, VARIED)
        for question in (evenly(NARROW), longer(LONGEST, VARIED))
    )
    return Evidence(
        value=float(np.mean(short) - np.mean(long)),
        expected=HARM,
        tolerance=half(short) + half(long),
        unit=LOST,
        how=f"{_stamp(OFFSET)}, {NAMES[encoding]}, {VARIED}, “{OFFSET}”, neighbours {NARROW} "
        f"apart: {SHORT} tokens {said(short)} less {LONGEST} {said(long)}; margin: half of "
        "each mean's 95 % interval, added",
        relation=">",
    )


# --- helpers ------------------------------------------------------------------------------------


def _asked(encoding: str, gap: int | None) -> list[float]:
    """Recency of models trained at random positions: as long as then, or (None) the longest."""
    question = longer(LONGEST, RANDOM) if gap is None else evenly(gap)
    return recorded.accuracies(RECENCY, encoding, question, RANDOM)


def _less(found: dict[str, tuple[list[float], list[float]]], what: str) -> Evidence:
    """The least difference of two means, by encoding, against what counts as harm."""
    losses = {name: np.mean(a) - np.mean(b) for name, (a, b) in found.items()}
    name = min(losses, key=losses.__getitem__)
    words = "; ".join(f"{NAMES[name]}: {said(a)} less {said(b)}" for name, (a, b) in found.items())
    return Evidence(
        value=float(losses[name]),
        expected=HARM,
        tolerance=sum(map(half, found[name])),
        unit=LOST,
        how=f"{_stamp(RECENCY)}, {what}: {words}; the least; margin: half of each mean's 95 % "
        "interval, added",
        relation=">",
    )


def _stamp(task: str) -> str:
    run = recorded.run(task)
    return f"{run.stamp}, means of {len(run.config['seeds'])} seeds and their ranges"
