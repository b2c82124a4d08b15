"""The evidence on causes: that it reads the records right, and refuses its rivals."""

from dataclasses import asdict

import pytest
from helpers.chapter_parts import (
    assert_all_found,
    assert_recorded_and_refuses_rivals,
    pieces_in,
)
from helpers.task_runs import PROVENANCE, loads, made_controls, made_runs

from attention_limits.chapters.positional_encodings.evidence import causes
from attention_limits.chapters.positional_encodings.evidence.causes import (
    ABSOLUTE,
    RANDOM,
    VARIED,
)
from attention_limits.chapters.positional_encodings.recorded import (
    OFFSET,
    RECENCY,
    SHIFTED,
    evenly,
    longer,
)
from attention_limits.experiments import log_n
from attention_limits.experiments.controls import AS_TRAINED, COPIED, PLAIN, overwritten_by
from attention_limits.runs import records
from attention_limits.runs.records import Run

PIECES = pieces_in(causes)
NEAR, FAR = longer(32, RANDOM), longer(256, RANDOM)


@pytest.fixture
def recorded(monkeypatch):
    """What was recorded is what a test says, of the three tasks and of the controls."""

    def record(usual=lambda *_: 0.5, patient=lambda *_: 0.5):
        runs = made_runs(usual, seeds=(0, 1, 2), conditions=(PLAIN, RANDOM, VARIED))
        monkeypatch.setattr(records, "load", loads(runs, made_controls(patient)))

    return record


def test_all_pieces_are_found():
    """One that a claim names was not among those that are tried below."""
    assert_all_found(PIECES, "causes")


@pytest.mark.parametrize("piece", PIECES, ids=lambda piece: piece.__name__)
def test_it_holds_of_what_was_recorded_and_refuses_its_rivals(piece):
    assert_recorded_and_refuses_rivals(piece)


@pytest.mark.parametrize(
    "piece",
    # Of models that are all alike nobody has gained, either.
    [piece for piece in PIECES if piece is not causes.scores_that_grow_with_ln_n_repair_no_one],
    ids=lambda piece: piece.__name__,
)
@pytest.mark.parametrize("accuracy", [1 / 16, 0.5, 1.0])
def test_models_that_are_all_alike_show_no_cause(piece, accuracy, recorded):
    """A piece that asks how little is left held for models that had learned nothing at all."""
    recorded(lambda *_: accuracy, lambda *_: accuracy)
    kept = piece in (
        causes.places_seen_in_training_repair_the_first_token,
        causes.patience_repairs_rotary,
        causes.dense_sequences_in_training_repair_rotary_and_slopes,
        causes.more_tokens_take_nothing,
    )
    assert piece().holds == (kept and accuracy == 1)


@pytest.mark.parametrize("better", ABSOLUTE)
def test_new_places_mislead_all_of_them_or_it_is_not_said(better, recorded):
    """One of three encodings of places bore the new ones, and was counted along."""

    def accuracy(_, encoding, __, question):
        return 0.2 if question == SHIFTED and encoding != better else 1.0

    recorded(accuracy)
    found = causes.new_places_alone_mislead()
    assert (found.value, found.holds) == (0, False)
    recorded(lambda *where: 0.2 if where[3] == SHIFTED else 1.0)
    found = causes.new_places_alone_mislead()
    assert (found.value, found.holds) == (pytest.approx(0.8), True)


@pytest.mark.parametrize("repaired", [("shaw 48",), ("shaw 48", "relative_bias 128")])
@pytest.mark.parametrize("copied", [COPIED, COPIED[:-1]])
def test_entries_are_to_blame_if_any_copy_repairs_both(repaired, copied, recorded):
    """One encoding stood for two, or the best of the copies for all."""
    names = [AS_TRAINED, *map(overwritten_by, copied)]

    def patient(cell, entries, _, question):
        good = entries in names[1:] and cell.encoding in repaired and question == longer(256)
        return 0.95 if good else 0.4

    recorded(patient=patient)
    found = causes.untrained_entries_mislead()
    whole = len(repaired) == 2 and copied == COPIED
    assert (found.value, found.holds) == (pytest.approx(0.55 * whole), whole)


def test_a_gap_is_all_that_differs(recorded):
    """Other lengths were compared, or the models with patience."""

    def usual(task, _, condition, question):
        asked = task == RECENCY and condition == RANDOM
        return {evenly(8): 1.0, evenly(1): 0.7}.get(question, 0.5) if asked else 0.5

    recorded(usual)
    found = causes.rare_gaps_mislead_after_the_steps_of_the_search()
    assert (found.value, found.holds) == (pytest.approx(0.3), True)
    assert causes.rare_gaps_mislead_after_the_steps_of_the_search(patient=True).value == 0


def test_patience_is_that_of_the_controls_at_the_longest_length(recorded):
    def patient(cell, _, marks, question):
        asked = (cell.task, cell.condition, cell.encoding, question, marks)
        return 0.97 if asked == (RECENCY, RANDOM, "rotary", FAR, None) else 0.1

    recorded(patient=patient)
    found = causes.patience_repairs_rotary()
    assert (found.value, found.holds) == (pytest.approx(0.97), True)
    assert causes.patience_repairs_rotary(patient=False).value == pytest.approx(0.5)


@pytest.mark.parametrize("worse", ["rotary", "alibi"])
def test_both_are_repaired_at_the_longest_length_as_they_trained(worse, recorded):
    """One of the two stood for both; or another condition did, or as few tokens as in training."""

    def usual(_, encoding, condition, asked):
        if (condition, asked) != (VARIED, longer(256, VARIED)):
            return 0.5
        return {"rotary": 0.97, "alibi": 0.97, worse: 0.95}.get(encoding, 0.5)

    recorded(usual)
    found = causes.dense_sequences_in_training_repair_rotary_and_slopes()
    assert (found.value, found.holds) == (pytest.approx(0.95), True)


def test_an_offset_is_asked_at_the_trained_length_with_patience_and_without(recorded):
    def patient(cell, _, __, question):
        return 0.9 if (cell.task, question) == (OFFSET, NEAR) else 0.1

    recorded(lambda *where: 0.7 if (where[0], where[3]) == (OFFSET, NEAR) else 0.3, patient)
    found = causes.random_positions_make_an_offset_late()
    assert (found.value, found.holds) == (pytest.approx(0.2), True)


@pytest.mark.parametrize(
    ("piece", "guilty", "where"),
    [
        (
            causes.crowded_marks_take_it_from_places,
            ("sinusoidal", "learned .02"),
            (FAR, None),
        ),
        (causes.many_marks_take_it_from_buckets, ("relative_bias 24",), (NEAR, 31)),
    ],
    ids=["crowded", "many"],
)
def test_marks_must_cost_all_of_them_where_they_alone_differ(piece, guilty, where, recorded):
    """What one lost stood for two, or another question was asked."""
    for lose in (guilty, guilty[1:]):
        recorded(
            patient=lambda cell, _, marks, asked, lose=lose: (
                0.4 if cell.encoding in lose and (asked, marks) == where else 0.95
            )
        )
        found = piece()
        assert found.value == pytest.approx(0.55 * (lose == guilty))
        assert found.holds == (lose == guilty)


@pytest.mark.parametrize("worse", ["rotary", "shaw 48"])
def test_tokens_take_nothing_from_all_of_them_with_as_many_marks_as_in_training(worse, recorded):
    def patient(cell, _, marks, asked):
        return {worse: 0.93}.get(cell.encoding, 0.97) if (marks, asked) == (8, FAR) else 0.4

    recorded(patient=patient)
    found = causes.more_tokens_take_nothing()
    assert (found.value, found.holds) == (pytest.approx(0.93), True)


@pytest.mark.parametrize("cell", [("rotary", "fixed, products"), ("none", "learned, products")])
def test_one_that_gains_with_ln_n_is_enough_to_refute(cell, monkeypatch):
    """The mean of all stood for each, or the gain was taken at another length."""

    def record(gain):
        config = log_n.PRESETS["full"]
        rows = [
            {"encoding": each.encoding, "variant": each.variant, "n": n, "seed": seed}
            | {"accuracy": 0.3 + (gain if (each.encoding, each.variant, n) == (*cell, 256) else 0)}
            for each in log_n.cells(config)
            for n in config.lengths
            for seed in config.seeds
        ]
        run = Run("log_n", asdict(config), PROVENANCE, rows)
        monkeypatch.setattr(records, "load", {log_n: run}.__getitem__)

    record(0.3)
    found = causes.scores_that_grow_with_ln_n_repair_no_one()
    assert (found.value, found.holds) == (pytest.approx(0.3), False)
    assert causes.scores_that_grow_with_ln_n_repair_no_one(n=32).value == 0
    record(0.0)
    assert causes.scores_that_grow_with_ln_n_repair_no_one().holds
