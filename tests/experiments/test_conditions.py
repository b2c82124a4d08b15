"""Conditions: that each changes what it says and nothing else, and that the table says so."""

import numpy as np
import pytest

from attention_limits.experiments import conditions
from attention_limits.experiments.conditions import (
    CONDITIONS,
    ENCODINGS,
    LONGEST,
    SETTINGS,
    TRAINED,
    questions,
)
from attention_limits.experiments.started import Started

SHORT = TRAINED[1]
LENGTHS, GAPS = (32, 64, 256), (8, 1)


def asked(condition, encoding="rotary"):
    return list(questions(condition, encoding, LENGTHS, GAPS))


@pytest.mark.parametrize("setting", SETTINGS.values(), ids=SETTINGS)
@pytest.mark.parametrize("condition", CONDITIONS)
def test_every_condition_has_room_in_the_shortest_sequence(setting, condition):
    assert setting.under(condition, "none + bos").shortest <= TRAINED[0]


def test_only_what_is_told_positions_is_asked_at_others():
    for encoding in ENCODINGS:
        others = {q.asked for c in CONDITIONS for q in asked(c, encoding)} - {"longer"}
        assert bool(others) == (encoding not in conditions.NOT_TOLD)


def test_a_model_without_positions_trains_under_no_condition_that_changes_them():
    found = conditions.mean_something("most recent", "none + bos")
    assert found == ["plain", "blanks"]
    assert conditions.mean_something("token 3 back", "rotary") == CONDITIONS_OF_OFFSETS
    assert conditions.mean_something("most recent", "rotary") == list(CONDITIONS)


CONDITIONS_OF_OFFSETS = ["random positions", "plain", "random gaps"]  # blanks move what is 3 back


@pytest.mark.parametrize("condition", CONDITIONS)
def test_positions_are_in_order_within_the_range_and_as_far_apart_as_is_said(condition):
    for question in asked(condition):
        positions = question.positions(200)
        assert (positions is None) == (question.asked in ("longer", "stretched"))
        if positions is not None:
            assert positions.shape == (200, question.n)
            assert positions.min() >= 0
            assert positions.max() < question.end
            assert (np.diff(positions) == question.gap).all()


def test_evenly_starts_anywhere_and_shifted_at_the_end():
    even, shifted = asked("random positions")[-1], asked("plain")[-1]
    starts = even.positions(2000)[:, 0]
    assert (even.gap, starts.min(), starts.max()) == (1, 0, LONGEST - SHORT)
    assert (shifted.positions(3)[:, -1] == LONGEST - 1).all()


# --- the table ----------------------------------------------------------------------------------


def rows_of(setting):
    return {row[0]: row[1:] for row in conditions.differences(setting).rows}


def test_two_ways_to_ask_differ_in_the_gap_and_in_what_a_gap_makes_farther():
    rows = rows_of("most recent")
    eight, one = (rows[f"random positions: 32, gap {gap}"] for gap in GAPS)
    tokens, _, gap, symbols, _, distance, distractors, marks, apart = zip(eight, one, strict=True)
    assert tokens[0] == tokens[1]
    assert distractors[0] == distractors[1]
    assert marks == ("8", "8")
    assert (gap, symbols) == (("8", "1"),) * 2
    assert float(apart[0]) == pytest.approx(8 * float(apart[1]), rel=0.01)
    assert float(distance[0]) == pytest.approx(8 * float(distance[1]), rel=0.01)


def test_the_query_stands_at_the_end():
    """What is asked on 32 tokens one apart differs in where the query stands, and nobody saw it."""
    shown = conditions.differences("most recent", ("plain", "random positions"))
    where = {row[0]: float(row[shown.head.index("query's position")]) for row in shown.rows}
    assert where["plain: trained"] == 31
    assert where["plain: 32 from 224"] == where["random positions: 256 tokens"] == 255
    assert where["random positions: trained"] > 240
    assert where["random positions: 32, gap 1"] == pytest.approx((31 + 255) / 2, abs=12)


def test_marks_are_counted_where_there_are_any():
    """A table of all that differs left out what made the difference."""
    asked = ((256, 8), (32, 31))
    shown = conditions.differences("most recent", ("random positions",), marked=asked)
    of = {row[0].partition(": ")[2]: dict(zip(shown.head, row, strict=True)) for row in shown.rows}
    assert [of[name]["marks"] for name in ("trained", "256 tokens")] == ["8", "64"]
    few, many = of["256 tokens, 8 marks"], of["32 tokens, 31 marks"]
    assert (few["tokens"], few["marks"], many["marks"]) == ("256", "8", "31")
    assert float(many["gap of marks"]) == pytest.approx(8, rel=0.05)
    assert float(few["gap of marks"]) == pytest.approx(256 / 9, rel=0.05)
    assert "marks" not in conditions.differences("first token").head


def test_at_random_positions_longer_sequences_stand_closer():
    """What an older table of three causes left out."""
    rows = rows_of("most recent")
    assert float(rows["random positions: trained"][2]) > 7
    assert rows["random positions: 256 tokens"][2] == "1"
    assert rows["random gaps: trained"][2] == "1 to 7.77"


def test_blanks_at_random_positions_change_the_number_of_tokens_alone():
    rows = rows_of("most recent")
    short, long = (rows[f"blanks, random positions: {how}"] for how in ("trained", "256 tokens"))
    assert short[0] != long[0]
    assert (short[1], short[6]) == (long[1], long[6])
    for number in (3, 5):  # the gap of symbols, and the answer's distance
        assert float(short[number]) == pytest.approx(float(long[number]), rel=0.05)


def test_the_answer_is_where_its_place_is_said_to_be():
    for name, where in conditions.ANSWERS.items():
        batch = SETTINGS[name].make().sample(0, 50, 32)
        found = batch.inputs[np.arange(50), where(batch.inputs)] % 16
        assert (found == batch.targets[:, -1]).all()


# --- a first token ------------------------------------------------------------------------------


@pytest.mark.parametrize("setting", SETTINGS.values(), ids=SETTINGS)
def test_a_sequence_that_is_begun_asks_the_same(setting):
    task = setting.make()
    begun = Started(task)
    batch = begun.sample(3, 20, 12)
    assert (batch.inputs[:, 0] == task.vocabulary).all()
    assert batch.inputs[:, 1:].max() < begun.vocabulary - 1
    assert (begun.oracle(batch) == batch.targets).all()
    assert (batch.inputs[:, 1:] == task.sample(3, 20, 11).inputs).all()
    assert begun.classes == task.classes


def test_times_cannot_begin_with_a_token():
    from attention_limits import tasks

    with pytest.raises(ValueError, match="task must have no times"):
        Started(tasks.make("irregular_events")).sample(0, 1, 12)


def test_a_table_is_of_the_conditions_that_are_asked_for():
    """A page about two conditions showed five."""
    shown = conditions.differences("most recent", ("plain", "random positions"))
    assert [row[0] for row in shown.rows] == [
        "plain: trained",
        "plain: 256 tokens",
        "plain: 32 of 256",
        "plain: 32 from 224",
        "random positions: trained",
        "random positions: 256 tokens",
        "random positions: 32, gap 8",
        "random positions: 32, gap 1",
    ]
    assert "gap of symbols" not in shown.head  # without blanks, that of tokens
    assert shown.head[0] == "sequences"
    assert len(shown.head) == len(shown.rows[0])
