"""The evidence on causes: that it reads the records right, and refuses its rivals."""

import pytest
from helpers.chapter_parts import (
    assert_all_found,
    assert_recorded_and_refuses_rivals,
    pieces_in,
)
from helpers.task_runs import loads, made_runs

from attention_limits.chapters.positional_encodings.evidence import causes
from attention_limits.chapters.positional_encodings.evidence.causes import ABSOLUTE, RANDOM, VARIED
from attention_limits.chapters.positional_encodings.recorded import OFFSET
from attention_limits.runs import records

PIECES = pieces_in(causes)


@pytest.fixture
def recorded(monkeypatch):
    """What was recorded is what a test says, by task, encoding, condition and question."""

    def record(accuracy):
        runs = made_runs(accuracy, seeds=(0, 1, 2), conditions=("plain", RANDOM, VARIED))
        monkeypatch.setattr(records, "load", loads(runs))

    return record


def test_all_pieces_are_found():
    """One that a claim names was not among those that are tried below."""
    assert_all_found(PIECES, "causes")


@pytest.mark.parametrize("piece", PIECES, ids=lambda piece: piece.__name__)
def test_it_holds_of_what_was_recorded_and_refuses_its_rivals(piece):
    assert_recorded_and_refuses_rivals(piece)


@pytest.mark.parametrize("better", ABSOLUTE)
def test_new_places_mislead_all_of_them_or_it_is_not_said(better, recorded):
    """One of three encodings of places bore the new ones, and was counted along."""
    recorded(lambda _, encoding, *__: 0.95 if encoding == better else 0.2)
    found = causes.new_places_alone_mislead()
    assert (found.value, found.holds) == (pytest.approx(0.95), False)
    recorded(lambda *where: 0.2 if where[3].asked == "shifted" else 1.0)
    found = causes.new_places_alone_mislead()
    assert (found.value, found.holds) == (pytest.approx(0.2), True)


def test_what_random_positions_give_is_at_the_longest_length(recorded):
    """Both were asked as they trained, or the two conditions had changed places."""

    def accuracy(_, encoding, condition, question):
        if (encoding, question.asked, question.n) != ("rotary", "longer", 256):
            return 0.5
        return 0.8 if condition == RANDOM else 0.1

    recorded(accuracy)
    found = causes.places_seen_in_training_help()
    assert (found.value, found.holds) == (pytest.approx(0.7), True)


def by_gap(wide, narrow, long):
    """Accuracies at 32 tokens 8 apart and 1 apart, and at 256; at all else far off."""

    def accuracy(_, __, condition, question):
        where = (condition, question.asked, question.n, question.gap)
        known = {
            (RANDOM, "evenly", 32, 8): wide,
            (RANDOM, "evenly", 32, 1): narrow,
            (RANDOM, "longer", 256, 1): long,
        }
        return known.get(where, 0.5)

    return accuracy


def test_a_gap_is_what_differs_at_one_length(recorded):
    recorded(by_gap(1.0, 0.7, 0.2))
    found = causes.denser_sequences_mislead()
    assert (found.value, found.holds) == (pytest.approx(0.3), True)
    assert causes.more_tokens_take_it_from_vectors_and_buckets().value == pytest.approx(0.5)
    found = causes.rotary_loses_no_more_to_more_tokens()
    assert (found.value, found.holds) == (pytest.approx(0.5), False)


def test_the_least_loss_is_what_counts(recorded):
    """Four encodings lost to the gap, and the fifth was taken along."""
    at = by_gap(1.0, 0.7, 0.2)
    recorded(lambda *where: 1.0 if where[1] == "alibi" else at(*where))
    found = causes.denser_sequences_mislead()
    assert (found.value, found.holds) == (0, False)


def test_an_offset_is_asked_at_the_trained_length(recorded):
    recorded(lambda *where: 0.4 if (where[0], *where[2:]) == (OFFSET, RANDOM, question()) else 0.99)
    found = causes.random_positions_take_an_offset_away()
    assert (found.value, found.holds) == (pytest.approx(0.4), True)
    assert not causes.random_positions_take_an_offset_away(condition="plain").holds


def question():
    return causes.longer(32, RANDOM)


@pytest.mark.parametrize("worse", ["rotary", "alibi"])
def test_both_are_repaired_at_the_longest_length_as_they_trained(worse, recorded):
    """One of the two stood for both; or another condition did, or as few tokens as in training."""

    def accuracy(_, encoding, condition, asked):
        if (condition, asked) != (VARIED, causes.longer(256, VARIED)):
            return 0.5
        return {"rotary": 0.97, "alibi": 0.97, worse: 0.95}.get(encoding, 0.5)

    recorded(accuracy)
    found = causes.dense_sequences_in_training_repair_rotary_and_slopes()
    assert (found.value, found.holds) == (pytest.approx(0.95), True)
