"""Evidence on why encodings fail on longer sequences: each piece changes one thing.

What differs between two conditions is counted by ``conditions.differences``; what is kept while a
cause is taken away, or the other way round, is measured by ``experiments.controls``. A mean over
seeds clears its bound by half of its 95 % interval.
"""

from collections.abc import Mapping, Sequence
from itertools import product

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
    least,
    longer,
    said,
)
from attention_limits.evidence import Evidence, evidence
from attention_limits.experiments import controls, log_n
from attention_limits.experiments.conditions import ENCODINGS, LONGEST, NOT_TOLD, SETTINGS, Question
from attention_limits.experiments.controls import (
    AS_TRAINED,
    COPIED,
    MARKS,
    PLAIN,
    RANDOM,
    overwritten_by,
)
from attention_limits.runs import records

KEPT = 0.9  # of the answers right: what counts as kept
HARM = 0.05  # of the answers: what counts as a loss or a gain
VARIED = "random gaps"
WIDE, NARROW = 8, 1  # between neighbours, as in training at random positions, and at 256 tokens
ABSOLUTE = ("sinusoidal", "learned .02", "learned 1")
STEPS = controls.TIMES[RECENCY, RANDOM] * SETTINGS[RECENCY].steps
(_, FEW), (_, MANY) = MARKS  # as many as in training among many tokens; nearly all of few
AT_THE_END, AT_RANDOM = longer(LONGEST), longer(LONGEST, RANDOM)
NOTHING_ADDED = ("none", "none + bos", "sinusoidal", "learned .02", "rotary")  # to scores
UNIT = "of the last answers right"
LOST = "of the last answers lost"
GAINED = "more of the last answers right"

Two = tuple[Sequence[float], Sequence[float]]


# --- new positions ------------------------------------------------------------------------------


@evidence(
    rivals={
        "rotary, whose scores depend on distances alone": dict(encodings=("rotary",)),
        "ALiBi and Shaw's vectors, likewise": dict(encodings=("alibi", "shaw 16")),
    }
)
def new_places_alone_mislead(encodings: Sequence[str] = ABSOLUTE) -> Evidence:
    """What is lost on sequences as long and as dense as in training, at places it has not shown."""
    found = {
        name: (
            recorded.accuracies(RECENCY, name, longer(SHORT)),
            recorded.accuracies(RECENCY, name, SHIFTED),
        )
        for name in encodings
    }
    what = f"{SHORT} tokens from 0 on less {SHORT} from {LONGEST - SHORT} on"
    return _less(found, f"{_stamp(RECENCY)}, {what}", LOST)


@evidence(
    rivals={
        "sequences as long as in training": dict(question=longer(SHORT)),
        "places that are new, where no distance is": dict(question=SHIFTED),
    }
)
def untrained_entries_mislead(question: Question = AT_THE_END) -> Evidence:
    """What is gained if they are overwritten by one that was trained.

    Each model is its own control, so the interval is that of the differences.
    """
    run = records.load(controls)
    gained, words = {}, []
    for name in controls.RATES[RECENCY, PLAIN]:
        by = {
            entries: controls.accuracies(run, RECENCY, name, question, PLAIN, entries=entries)
            for entries in (AS_TRAINED, *map(overwritten_by, COPIED))
        }
        words += [f"{NAMES[name]}, {entries}: {said(values)}" for entries, values in by.items()]
        for distance in COPIED[1:]:  # the first was hardly trained itself
            pairs = zip(by[overwritten_by(distance)], by[AS_TRAINED], strict=True)
            gained[name, distance] = [after - before for after, before in pairs]
    fewest = min(gained.values(), key=np.mean)
    return Evidence(
        value=float(np.mean(fewest)),
        expected=HARM,
        tolerance=half(fewest),
        unit=GAINED,
        how=f"{run.stamp}, {question.words}: {'; '.join(words)}; the least gain by "
        f"{', '.join(map(str, COPIED[1:]))}; margin: half of the 95 % interval of the mean "
        "difference within a model",
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
    return _kept(found, f"{_stamp(task)}, “{task}”, {RANDOM}, n = {LONGEST}")


# --- density, or patience -----------------------------------------------------------------------


@evidence(
    rivals={
        "T5's buckets, which reach 24 tokens": dict(encodings=("relative_bias 24",)),
        "rotary after 4,000 steps": dict(encodings=("rotary",), patient=True),
    }
)
def rare_gaps_mislead_after_the_steps_of_the_search(
    encodings: Sequence[str] = ("rotary", "alibi"), patient: bool = False
) -> Evidence:
    """What is lost on sequences as long as in training if all of their tokens stand closer."""
    found = {
        name: (
            at_random_positions(name, evenly(WIDE), patient=patient),
            at_random_positions(name, evenly(NARROW), patient=patient),
        )
        for name in encodings
    }
    what = f"{RANDOM}, {SHORT} tokens, {WIDE} apart less {NARROW} apart"
    return _less(found, f"{_stamp(RECENCY)}, {what}", LOST)


@evidence(
    rivals={
        "the steps of the search": dict(patient=False),
        "ALiBi": dict(encoding="alibi"),
        "sinusoids": dict(encoding="sinusoidal"),
        "a learned table": dict(encoding="learned .02"),
    }
)
def patience_repairs_rotary(encoding: str = "rotary", patient: bool = True) -> Evidence:
    """Recency at the longest length after more steps on such sequences as before."""
    found = {encoding: at_random_positions(encoding, AT_RANDOM, patient=patient)}
    what = f"“{RECENCY}”, {RANDOM}, n = {LONGEST}, {STEPS if patient else 'the search'} steps"
    return _kept(found, f"{records.load(controls).stamp}, {what}")


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
    return _kept(found, f"{_stamp(RECENCY)}, “{RECENCY}”, {condition}, n = {LONGEST}")


@evidence(rivals={"recency, at the same positions": dict(task=RECENCY)})
def random_positions_make_an_offset_late(task: str = OFFSET, encoding: str = "rotary") -> Evidence:
    """What four times the steps give of an offset at the trained length, if positions are drawn."""
    question = longer(SHORT, RANDOM)
    found = {
        encoding: (
            at_random_positions(encoding, question, task, patient=True),
            at_random_positions(encoding, question, task, patient=False),
        )
    }
    what = f"“{task}”, {RANDOM}, n = {SHORT}: more steps less those of the search"
    return _less(found, f"{records.load(controls).stamp}, {what}", GAINED)


# --- tokens, or marks ---------------------------------------------------------------------------


@evidence(rivals={"a quarter of the tokens marked": dict(marks=None)})
def more_tokens_take_nothing(marks: int | None = FEW) -> Evidence:
    """The longest sequences with as many marks as training had, of all encodings, with patience."""
    found = {
        name: at_random_positions(name, AT_RANDOM, patient=True, marks=marks)
        for name in controls.RATES[RECENCY, RANDOM]
    }
    what = f"{RANDOM}, {STEPS} steps, n = {LONGEST}, {marks or LONGEST // 4} marks"
    return _kept(found, f"{records.load(controls).stamp}, {what}")


@evidence(rivals={"rotary": dict(encodings=("rotary",))})
def crowded_marks_take_it_from_places(
    encodings: Sequence[str] = ("sinusoidal", "learned .02"),
) -> Evidence:
    """What is lost on the longest sequences, at the same positions, if more tokens are marked."""
    found = {
        name: (
            at_random_positions(name, AT_RANDOM, patient=True, marks=FEW),
            at_random_positions(name, AT_RANDOM, patient=True),
        )
        for name in encodings
    }
    what = f"{RANDOM}, {STEPS} steps, n = {LONGEST}, {FEW} marks less {LONGEST // 4}"
    return _less(found, f"{records.load(controls).stamp}, {what}", LOST)


@evidence(
    rivals={
        "rotary": dict(encoding="rotary"),
        "sinusoids": dict(encoding="sinusoidal"),
    }
)
def many_marks_take_it_from_buckets(encoding: str = "relative_bias 24") -> Evidence:
    """What is lost on sequences as in training of which nearly all tokens are marked."""
    asked = longer(SHORT, RANDOM)
    found = {
        encoding: (
            at_random_positions(encoding, asked, patient=True),
            at_random_positions(encoding, asked, patient=True, marks=MANY),
        )
    }
    what = f"{RANDOM}, {STEPS} steps, n = {SHORT}, {SHORT // 4} marks less {MANY}"
    return _less(found, f"{records.load(controls).stamp}, {what}", LOST)


@evidence(
    rivals={
        "T5's buckets, at another rate": dict(encodings=("relative_bias 24",)),
        "sequences as long as in training": dict(n=SHORT),
    }
)
def scores_that_grow_with_ln_n_repair_no_one(
    encodings: Sequence[str] = NOTHING_ADDED, n: int = LONGEST
) -> Evidence:
    """The most that is gained if scores are multiplied by the logarithm of how many keys there are.

    Against models that train as long without, on the positions 0, 1, 2, …
    """
    run = records.load(log_n)
    gained = {}
    for encoding, variant in product(encodings, run.config["variants"]):
        with_it = log_n.accuracies(run, encoding, variant, n)
        if with_it and variant != log_n.WITHOUT:
            without = log_n.accuracies(run, encoding, log_n.WITHOUT, n)
            words = f"{NAMES[encoding]}, {variant}: {said(with_it)} less {said(without)}"
            gained[words] = [a - b for a, b in zip(with_it, without, strict=True)]
    most = max(gained, key=lambda words: np.mean(gained[words]) + half(gained[words]))
    return Evidence(
        value=float(np.mean(gained[most])),
        expected=HARM,
        tolerance=half(gained[most]),
        unit=GAINED,
        how=f"{run.stamp}, “{RECENCY}”, n = {n}, of {len(gained)} encodings and variants the one "
        f"that may gain most: {most}; margin: half of the 95 % interval of the mean difference "
        "between models of one seed",
        relation="<",
    )


# --- helpers ------------------------------------------------------------------------------------


def at_random_positions(
    encoding: str,
    question: Question,
    task: str = RECENCY,
    *,
    patient: bool,
    marks: int | None = None,
) -> list[float]:
    """Accuracies of models trained so, with the steps of the search or, patient, with more."""
    if patient:
        return controls.accuracies(records.load(controls), task, encoding, question, marks=marks)
    return recorded.accuracies(task, encoding, question, RANDOM)


def _kept(found: Mapping[str, Sequence[float]], where: str) -> Evidence:
    return least(found, KEPT, where)


def _less(found: Mapping[str, Two], where: str, unit: str) -> Evidence:
    """The least difference of two means against what counts as a loss or a gain."""
    differences = {name: np.mean(a) - np.mean(b) for name, (a, b) in found.items()}
    name = min(differences, key=differences.__getitem__)
    words = "; ".join(
        f"{NAMES.get(name, name)}: {said(a)} less {said(b)}" for name, (a, b) in found.items()
    )
    return Evidence(
        value=float(differences[name]),
        expected=HARM,
        tolerance=sum(map(half, found[name])),
        unit=unit,
        how=f"{where}: {words}; the least; margin: half of each mean's 95 % interval, added",
        relation=">",
    )


def _stamp(task: str) -> str:
    run = recorded.run(task)
    return f"{run.stamp}, means of {len(run.config['seeds'])} seeds and their ranges"
