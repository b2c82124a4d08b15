"""Evidence on how far encodings carry what was learned, from the recorded run.

Bounds are on the worst or best of the seeds, so that no mean hides one; the margin is the range of
the seeds.
"""

from collections.abc import Sequence
from types import ModuleType

import numpy as np

from attention_limits.evidence import Evidence, evidence
from attention_limits.experiments import length, offsets
from attention_limits.experiments.length import LONGEST, TRAINED
from attention_limits.runs import records

OFFSET, RECENCY, FIRST = "token 3 back", "most recent", "first token"
KEPT = 0.9  # of the answers right: what counts as carried over
HARM = 0.1  # fewer answers right: what counts as harm
SHORT = TRAINED[1]
UNIT = "of the last answers right"


def seeds(
    encoding: str, task: str, n: int = SHORT, *, condition: str = "plain", asked: str = "longer"
) -> list[float]:
    """The accuracies of the recorded seeds."""
    where = {"encoding": encoding, "task": task, "condition": condition}
    return length.accuracies(records.load(length), n, asked=asked, **where)


# --- without positions --------------------------------------------------------------------------


@evidence()
def no_positions_find_the_first_token() -> Evidence:
    """Models that are told no positions name the first token of a text eight times as long."""
    found = seeds("none", FIRST, LONGEST)
    return _above(found, KEPT, f"no positions, “{FIRST}”, n = {LONGEST}")


@evidence()
def no_positions_miss_a_fixed_offset() -> Evidence:
    """They do not learn to find the token three back, on sequences as long as in training."""
    found, others = seeds("none", OFFSET), seeds("rotary", OFFSET)
    what = f"no positions, “{OFFSET}”, n = {SHORT}; expected the least of rotary"
    return _below(found, min(others), what)


# --- positions that training has not shown ------------------------------------------------------


@evidence()
def unseen_rows_mislead() -> Evidence:
    """Rows of a table that training left as they were, on sequences as long as in training."""
    found = seeds("learned", RECENCY, LONGEST, asked="stretched")
    what = (
        f"learned table, “{RECENCY}”, n = {SHORT}, positions drawn from {LONGEST}; expected the "
        "least at the positions of training"
    )
    return _below(found, min(seeds("learned", RECENCY)), what)


@evidence()
def the_first_row_is_found_among_unseen_ones() -> Evidence:
    """A learned table on sequences whose first position alone has to be known."""
    found = seeds("learned", FIRST, LONGEST)
    return _above(found, KEPT, f"learned table, trained on {SHORT} rows, “{FIRST}”, n = {LONGEST}")


@evidence()
def unseen_distances_mislead_rotary() -> Evidence:
    """A relative encoding at distances that training has not shown, on sequences as long."""
    found = seeds("rotary", RECENCY, LONGEST, asked="stretched")
    what = (
        f"rotary, “{RECENCY}”, n = {SHORT}, positions drawn from {LONGEST}; expected the least at "
        "the positions of training"
    )
    return _below(found, min(seeds("rotary", RECENCY)), what)


@evidence()
def positions_seen_in_training_carry_rotary() -> Evidence:
    """What is gained at the longest length if training shows all positions, a few in each text."""
    found = seeds("rotary", RECENCY, LONGEST, condition="random positions")
    what = (
        f"rotary trained at random positions, “{RECENCY}”, n = {LONGEST}; expected the most without"
    )
    return _above(found, max(seeds("rotary", RECENCY, LONGEST)), what)


@evidence()
def tokens_alone_do_no_harm() -> Evidence:
    """What is lost at eight times the length where neither positions nor distractors are new."""
    condition = "blanks, random positions"
    losses = {}
    for encoding in length.TAKE_POSITIONS:
        for task in (RECENCY, FIRST):
            short, long = (seeds(encoding, task, n, condition=condition) for n in (SHORT, LONGEST))
            losses[encoding, task] = np.subtract(short, long)
    worst = max(losses.values(), key=np.mean)
    run = records.load(length)
    return Evidence(
        value=float(worst.mean()),
        expected=HARM,
        tolerance=float(np.ptp(worst)),
        unit="of the last answers lost",
        how=f"{run.stamp}: trained at random positions with blanks, from n = {SHORT} to {LONGEST}; "
        f"the most of {len(length.TAKE_POSITIONS)} encodings and two tasks, the mean of "
        f"{len(worst)} seeds; margin: their range; expected less than harm",
        relation="<",
    )


# --- no winner ----------------------------------------------------------------------------------


@evidence()
def slopes_carry_recency() -> Evidence:
    """ALiBi at the longest length, against encodings of places."""
    found = seeds("alibi", RECENCY, LONGEST)
    what = f"ALiBi, “{RECENCY}”, n = {LONGEST}; expected the most of sinusoids and a table"
    return _above(found, _most_of_places(RECENCY), what)


@evidence()
def vectors_carry_recency_and_offsets() -> Evidence:
    """Shaw's encoding at the longest length on two tasks, against encodings of places."""
    tasks = (RECENCY, OFFSET)
    found = [accuracy for task in tasks for accuracy in seeds("shaw", task, LONGEST)]
    what = (
        f"Shaw, the worse of “{RECENCY}” and “{OFFSET}”, n = {LONGEST}; expected the most of "
        "sinusoids and a table"
    )
    return _above(found, max(map(_most_of_places, tasks)), what)


@evidence()
def slopes_are_slow_to_learn_an_offset() -> Evidence:
    """ALiBi on the token three back, where rotary has learned it in as many steps."""
    found, others = seeds("alibi", OFFSET), seeds("rotary", OFFSET)
    return _below(
        found, min(others), f"ALiBi, “{OFFSET}”, n = {SHORT}; expected the least of rotary"
    )


@evidence()
def one_encoding_carries_all_three() -> Evidence:
    """Encodings that keep what they learned of all three tasks, as the mean over seeds."""
    tasks = (OFFSET, RECENCY, FIRST)
    kinds = [name for name, made in length.ENCODINGS.items() if made.kind == "transformer"]
    kept = [
        encoding
        for encoding in kinds
        if all(np.mean(seeds(encoding, task, LONGEST)) >= KEPT for task in tasks)
    ]
    run = records.load(length)
    return Evidence.exactly(
        [len(kept)],
        expected=1,
        unit=f"of {len(kinds)} encodings right in {KEPT:.0%} of all three tasks",
        how=f"{run.stamp}: {', '.join(kept) or 'none'}, n = {LONGEST}, means of "
        f"{len(run.config['seeds'])} seeds trained on {TRAINED[0]} to {SHORT} tokens",
    )


@evidence()
def vectors_end_where_they_reach() -> Evidence:
    """Shaw's encoding where a token stands further back than all of its layers reach."""
    task = "40 back"
    n = offsets.SETTINGS[task].asked[0]
    what = f"Shaw with the reach 16, “{task}”, n = {n} as in training; expected the least of rotary"
    return _below(_at_offset(task, "shaw", n), min(_at_offset(task, "rotary", n)), what, offsets)


@evidence()
def patience_teaches_slopes_an_offset() -> Evidence:
    """ALiBi on the token three back, after nearly six times as many steps."""
    setting = offsets.SETTINGS["3 back, longer"]
    found = _at_offset("3 back, longer", "alibi", SHORT)
    what = f"ALiBi, “{OFFSET}”, {setting.steps} steps, n = {SHORT}; expected the most after "
    what += f"{length.SETTINGS[OFFSET].steps}"
    return _above(found, max(seeds("alibi", OFFSET)), what, offsets)


@evidence()
def patience_does_not_help_without_positions() -> Evidence:
    """Models without positions on the token three back, after as many."""
    setting = offsets.SETTINGS["3 back, longer"]
    found = _at_offset("3 back, longer", "none", SHORT)
    what = f"no positions, “{OFFSET}”, {setting.steps} steps, n = {SHORT}; expected the least of "
    what += f"rotary after {length.SETTINGS[OFFSET].steps}"
    return _below(found, min(seeds("rotary", OFFSET)), what, offsets)


def _at_offset(setting: str, encoding: str, n: int) -> list[float]:
    return offsets.accuracies(records.load(offsets), setting, encoding, n)


@evidence()
def random_positions_take_an_offset_away() -> Evidence:
    """What rotary learns of a fixed offset, if training draws positions at random."""
    found = seeds("rotary", OFFSET, condition="random positions")
    what = (
        f"rotary trained at random positions, “{OFFSET}”, n = {SHORT}; expected the least without"
    )
    return _below(found, min(seeds("rotary", OFFSET)), what)


def _most_of_places(task: str) -> float:
    """The best seed of the encodings of places, at the longest length."""
    return max(max(seeds(encoding, task, LONGEST)) for encoding in ("sinusoidal", "learned"))


def _above(
    found: Sequence[float], bound: float, what: str, experiment: ModuleType = length
) -> Evidence:
    return _bound(min(found), bound, np.ptp(found), f"{what}; the least", ">", experiment)


def _below(
    found: Sequence[float], bound: float, what: str, experiment: ModuleType = length
) -> Evidence:
    return _bound(max(found), bound, np.ptp(found), f"{what}; the most", "<", experiment)


def _bound(
    value: float, bound: float, margin: float, what: str, relation: str, experiment: ModuleType
) -> Evidence:
    run = records.load(experiment)
    how = f"{run.stamp}: {what} of {len(run.config['seeds'])} seeds; margin: their range"
    return Evidence(value, bound, float(margin), UNIT, how, relation)
