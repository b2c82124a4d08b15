"""Evidence on why encodings fail on longer sequences: each piece changes one thing.

What differs between two conditions is counted by ``conditions.differences``; what is kept while a
cause is taken away, or the other way round, by ``experiments.controls``. A mean over seeds clears
its bound by half of its 95 % interval.
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
from attention_limits.experiments import controls
from attention_limits.experiments.conditions import ENCODINGS, LONGEST, NOT_TOLD, Question
from attention_limits.experiments.controls import AS_TRAINED, OVERWRITTEN, PLAIN, RANDOM
from attention_limits.runs import records

KEPT = 0.9  # of the answers right: what counts as kept
HARM = 0.05  # of the answers: what counts as a loss or a gain
VARIED = "random gaps"
WIDE, NARROW = 8, 1  # between neighbours, as in training at random positions, and at 256 tokens
ABSOLUTE = ("sinusoidal", "learned .02", "learned 1")
FEW, MANY = (marks for _, marks in controls.MARKS)
UNIT = "of the last answers right"
LOST = "of the last answers lost"
GAINED = "more of the last answers right"

Pair = tuple[list[float], list[float]]


# --- new positions ------------------------------------------------------------------------------


@evidence(
    rivals={
        "rotary, whose scores depend on distances alone": dict(encodings=("rotary",)),
        "ALiBi and Shaw's vectors, likewise": dict(encodings=("alibi", "shaw 16")),
    }
)
def new_places_alone_mislead(encodings: Sequence[str] = ABSOLUTE) -> Evidence:
    """What is lost on sequences as long and as dense as in training, at places it has not shown."""
    asked = (longer(SHORT), SHIFTED)
    found = {
        name: tuple(recorded.accuracies(RECENCY, name, question) for question in asked)
        for name in encodings
    }
    return _less(found, f"{SHORT} tokens from 0 on, less {SHORT} from {LONGEST - SHORT} on", LOST)


@evidence(
    rivals={
        "sequences as long as in training, where no entry is new": dict(n=SHORT),
        "places, where no distance is new": dict(question=SHIFTED),
    }
)
def entries_that_nobody_trained_mislead(
    n: int = LONGEST, question: Question | None = None
) -> Evidence:
    """What is gained if they are overwritten by the last one that was trained."""
    question = question or longer(n)
    run = records.load(controls)
    found = {
        name: tuple(
            controls.accuracies(run, RECENCY, name, question, PLAIN, entries=entries)
            for entries in (OVERWRITTEN, AS_TRAINED)
        )
        for name in controls.RATES[RECENCY, PLAIN]
    }
    return _less(found, f"{question.words}: overwritten less as trained", GAINED, run.stamp)


@evidence(rivals={"recency": dict(task=RECENCY)})
def places_seen_in_training_repair_the_first_token(task: str = FIRST) -> Evidence:
    """What all encodings keep of a task at the longest length, if training draws positions."""
    found = {
        name: recorded.accuracies(task, name, longer(LONGEST, RANDOM), RANDOM)
        for name in ENCODINGS
        if name not in NOT_TOLD
    }
    return _kept(found, f"“{task}”, {RANDOM}, n = {LONGEST}", recorded.run(task).stamp)


# --- density, or patience -----------------------------------------------------------------------


@evidence(
    rivals={
        "T5's buckets, which reach 24 tokens": dict(encodings=("relative_bias 24",)),
        "rotary and ALiBi after ten times the steps": dict(patient=True),
    }
)
def rare_gaps_mislead_after_the_steps_of_the_search(
    encodings: Sequence[str] = ("rotary", "alibi"), patient: bool = False
) -> Evidence:
    """What is lost on sequences as long as in training if all of their tokens stand closer."""
    found = {
        name: tuple(_random(name, evenly(gap), patient) for gap in (WIDE, NARROW))
        for name in encodings
    }
    return _less(found, f"{RANDOM}: {SHORT} tokens, {WIDE} apart less {NARROW} apart", LOST)


@evidence(
    rivals={
        "the steps of the search": dict(patient=False),
        "T5's buckets, which reach 24 tokens": dict(encodings=("relative_bias 24",)),
        "a learned table": dict(encodings=("learned .02",)),
    }
)
def patience_repairs_rotary_and_slopes(
    encodings: Sequence[str] = ("rotary", "alibi"), patient: bool = True
) -> Evidence:
    """Recency at the longest length after ten times the steps, of sequences as before."""
    found = {name: _random(name, longer(LONGEST, RANDOM), patient) for name in encodings}
    return _kept(found, f"“{RECENCY}”, {RANDOM}, n = {LONGEST}", records.load(controls).stamp)


@evidence(
    rivals={
        "positions drawn from the whole range alone": dict(condition=RANDOM),
        "the positions 0, 1, 2, …": dict(condition=PLAIN),
        "sinusoids": dict(encodings=("sinusoidal",)),
        "a learned table": dict(encodings=("learned .02",)),
    }
)
def dense_sequences_in_training_repair_rotary_and_slopes(
    encodings: Sequence[str] = ("rotary", "alibi"), condition: str = VARIED
) -> Evidence:
    """Recency on the longest sequences, if training draws their density as well."""
    found = {
        name: recorded.accuracies(RECENCY, name, longer(LONGEST, condition), condition)
        for name in encodings
    }
    return _kept(found, f"“{RECENCY}”, {condition}, n = {LONGEST}", recorded.run(RECENCY).stamp)


@evidence(rivals={"Shaw's vectors, which reach 48 tokens": dict(encoding="shaw 48")})
def random_positions_make_an_offset_late(encoding: str = "rotary") -> Evidence:
    """What many more steps give of a fixed offset at the trained length, if positions are drawn."""
    question = longer(SHORT, RANDOM)
    found = {encoding: tuple(_random(encoding, question, p, OFFSET) for p in (True, False))}
    words = f"“{OFFSET}”, {RANDOM}, n = {SHORT}: with more steps, less with those of the search"
    return _less(found, words, GAINED)


# --- tokens, or marks ---------------------------------------------------------------------------


@evidence(
    rivals={
        "rotary": dict(encodings=("rotary",)),
        "ALiBi": dict(encodings=("alibi",)),
    }
)
def more_marks_mislead_vectors_and_buckets(
    encodings: Sequence[str] = ("relative_bias 24", "shaw 48"),
) -> Evidence:
    """What is lost where only the number of marks grows, at the trained length and the longest."""
    few, many = ((n, marks) for n, marks in controls.MARKS)
    pairs = ((few, (few[0], None)), ((many[0], None), many))
    found = {
        (name, n): tuple(
            _random(name, longer(n, RANDOM), True, marks=marks) for n, marks in pair
        )
        for name in encodings
        for pair in pairs
        for n in [pair[0][0]]
    }
    return _less(found, f"{RANDOM}, less marks less more", LOST)


@evidence(rivals={"a quarter of the tokens marked": dict(marks=None)})
def more_tokens_alone_do_not_mislead_them(
    marks: int | None = FEW, encodings: Sequence[str] = ("relative_bias 24", "shaw 48")
) -> Evidence:
    """The longest sequences, with as many marks as training had."""
    found = {
        name: _random(name, longer(LONGEST, RANDOM), True, marks=marks) for name in encodings
    }
    return _kept(found, f"{RANDOM}, n = {LONGEST}, marks: {marks}", records.load(controls).stamp)


# --- helpers ------------------------------------------------------------------------------------


def at_random_positions(
    encoding: str,
    question: Question,
    patient: bool,
    task: str = RECENCY,
    marks: int | None = None,
) -> list[float]:
    """Of models trained at random positions: with the steps of the search, or with many more."""
    if patient:
        run = records.load(controls)
        return controls.accuracies(run, task, encoding, question, marks=marks)
    return recorded.accuracies(task, encoding, question, RANDOM)


_random = at_random_positions


def _less(found: Mapping[str, Pair], what: str, unit: str, stamp: str | None = None) -> Evidence:
    """The least difference of two means, by encoding, against what counts as harm."""
    differences = {name: np.mean(a) - np.mean(b) for name, (a, b) in found.items()}
    least = min(differences, key=differences.__getitem__)
    words = "; ".join(
        f"{NAMES.get(name, name)}: {said(a)} less {said(b)}" for name, (a, b) in found.items()
    )
    return Evidence(
        value=float(differences[least]),
        expected=HARM,
        tolerance=sum(map(half, found[least])),
        unit=unit,
        how=f"{_stamp(stamp)}, {what}: {words}; the least; margin: half of each mean's 95 % "
        "interval, added",
        relation=">",
    )
