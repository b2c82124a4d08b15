"""The evidence on length: that it reads the records right, and refuses its rivals."""

import pytest
from helpers.chapter_parts import (
    assert_all_found,
    assert_recorded_and_refuses_rivals,
    pieces_in,
)
from helpers.task_runs import loads, made_runs

from attention_limits.chapters.positional_encodings.evidence import length
from attention_limits.chapters.positional_encodings.recorded import FIRST, OFFSET, RECENCY
from attention_limits.experiments import offsets, without_positions
from attention_limits.runs import records

PIECES = pieces_in(length)


@pytest.fixture
def recorded(monkeypatch):
    """What was recorded is what a test says, by task, encoding, condition and question."""

    def record(accuracy):
        runs = made_runs(accuracy, seeds=(0, 1, 2), conditions=("plain",), lengths=(32, 256))
        monkeypatch.setattr(records, "load", loads(runs))
        return runs

    return record


def test_all_pieces_are_found():
    """One that a claim names was not among those that are tried below."""
    assert_all_found(PIECES, "length")


@pytest.mark.parametrize("piece", PIECES, ids=lambda piece: piece.__name__)
def test_it_holds_of_what_was_recorded_and_refuses_its_rivals(piece):
    assert_recorded_and_refuses_rivals(piece)


@pytest.mark.parametrize("piece", PIECES, ids=lambda piece: piece.__name__)
def test_it_does_not_hold_where_all_are_alike(piece, recorded, monkeypatch):
    """Then no encoding is better than another."""
    runs = recorded(lambda *_: 0.7)
    for run in (runs[RECENCY], runs[OFFSET]):
        longer = [row for row in run.records if row["asked"] == "longer"]
        run.records.extend(
            {**row, "role": "trial", "steps": steps, "accuracy": 0.95}
            for row in longer
            for steps in (350, 1400)
        )
    load = records.load
    others = (offsets, without_positions)
    for module in others:
        monkeypatch.setattr(module, "accuracies", lambda *_: [0.7, 0.7])
    monkeypatch.setattr(
        records, "load", lambda module: runs[RECENCY] if module in others else load(module)
    )
    assert not piece().holds


@pytest.mark.parametrize(
    ("piece", "task", "encodings"),
    [
        (length.no_positions_find_the_first_token, FIRST, ["none"]),
        (length.the_first_row_is_found_among_unseen_ones, FIRST, ["learned .02", "learned 1"]),
        (length.slopes_carry_recency, RECENCY, ["alibi"]),
    ],
    ids=lambda given: getattr(given, "__name__", ""),
)
def test_it_is_of_these_encodings_on_this_task_at_the_longest_length(
    piece, task, encodings, recorded
):
    recorded(
        lambda where, encoding, _, question: (
            0.95 if where == task and encoding in encodings and question.n == 256 else 0.1
        )
    )
    assert (piece().value, piece().holds) == (pytest.approx(0.95), True)


@pytest.mark.parametrize("worse", [RECENCY, OFFSET])
def test_both_are_carried_only_if_the_worse_is(worse, recorded):
    """The better stood for both, or their mean."""
    recorded(lambda task, *_: 0.8 if task == worse else 1.0)
    found = length.vectors_carry_recency_and_offsets()
    assert (found.value, found.holds) == (pytest.approx(0.8), False)


def test_the_better_table_is_what_counts(recorded):
    """One of two tables lost recency, and it was said of both."""
    recorded(lambda _, encoding, *__: 0.9 if encoding == "learned 1" else 0.1)
    found = length.tables_lose_recency()
    assert (found.value, found.holds) == (pytest.approx(0.9), False)


def test_a_mean_that_its_seeds_do_not_settle_is_no_evidence(recorded):
    """Two of three seeds were right, and it was said of all."""
    each = iter((1.0, 1.0, 0.8))
    recorded(
        lambda task, encoding, _, question: (
            next(each)
            if (task, encoding, question.asked, question.n) == (RECENCY, "alibi", "longer", 256)
            else 0.0
        )
    )
    found = length.slopes_carry_recency()
    assert found.value == pytest.approx(0.9333, abs=1e-4)
    assert found.tolerance == pytest.approx(4.303 * 0.11547 / 3**0.5, rel=1e-3)  # Student's, of 3
    assert not found.holds


def test_patience_is_the_worst_after_less_the_best_before(recorded):
    """The mean rose, and one seed did not; or the rate that was best for long was bad for short."""
    runs = recorded(lambda *_: 0.0)
    before, after = {1e-3: (0.3, 0.4), 1e-2: (0.5, 0.55)}, {1e-3: (0.9, 0.8), 1e-2: (0.2, 0.3)}
    row = next(
        row
        for row in runs[OFFSET].records
        if (row["encoding"], row["asked"], row["n"]) == ("alibi", "longer", 32)
    )
    runs[OFFSET].records.extend(
        {**row, "role": "trial", "steps": steps, "rate": rate, "accuracy": accuracy}
        for steps, found in ((1400, after), (350, before))
        for rate, accuracies in found.items()
        for accuracy in accuracies
    )
    found = length.slopes_learn_an_offset_late()
    assert found.value == pytest.approx(0.8 - 0.55)
    assert "after 1400 steps" in found.how


@pytest.mark.parametrize("kind", ["shaw 48", "relative_bias 128"])
def test_a_reach_must_cost_both_kinds(kind, recorded):
    """Buckets lost recency, and vectors were blamed along."""
    recorded(lambda _, encoding, *__: 0.1 if encoding == kind else 1.0)
    assert not length.a_reach_beyond_training_costs_recency().holds
    recorded(lambda _, encoding, *__: 0.1 if encoding in ("shaw 48", "relative_bias 128") else 1.0)
    found = length.a_reach_beyond_training_costs_recency()
    assert (found.value, found.holds) == (pytest.approx(0.9), True)


def test_it_says_where_it_comes_from_and_every_seed(recorded):
    runs = recorded(lambda *_: 0.95)
    found = length.slopes_carry_recency()
    assert found.how.startswith(runs[RECENCY].stamp)
    assert "n = 256, means of 3 seeds" in found.how
    assert "0.95 (0.95 to 0.95)" in found.how


@pytest.mark.parametrize("task", [RECENCY, OFFSET])
def test_one_rate_that_learns_and_keeps_is_enough_to_refute(task, recorded):
    """The best rate on short sequences stood for all; or one that had learned nothing counted."""

    def trials(kept):
        runs = recorded(lambda *_: 0.0)
        for name, run in runs.items():
            if name == FIRST:
                continue
            row = next(r for r in run.records if (r["encoding"], r["n"]) == ("rotary", 32))
            found = {1e-3: (0.95, kept if name == task else 0.1), 1e-2: (0.4, 1.0)}
            run.records.extend(
                {**row, "role": "trial", "steps": 400, "rate": rate, "n": n, "accuracy": accuracy}
                for rate, both in found.items()
                for n, accuracy in zip((32, 256), both, strict=True)
            )

    trials(0.2)
    found = length.rotary_loses_both_at_every_rate_that_learns()
    assert (found.value, found.holds) == (pytest.approx(0.2), True)
    trials(0.6)
    found = length.rotary_loses_both_at_every_rate_that_learns()
    assert (found.value, found.holds) == (pytest.approx(0.6), False)
