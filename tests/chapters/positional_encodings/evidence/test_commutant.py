"""The evidence on the commutant: that it reads the record right, and that the record bears it."""

import inspect

import pytest
from helpers.chapter_parts import evidence_of

from attention_limits.chapters.positional_encodings.evidence import commutant
from attention_limits.evidence import Evidence
from attention_limits.runs import records

PIECES = [
    piece
    for name, piece in inspect.getmembers(commutant, inspect.isfunction)
    if inspect.signature(piece).return_annotation is Evidence and not name.startswith("_")
]
SLOW = [piece for piece in PIECES if "slow" in piece.__name__]  # at a small learning rate
QUICK = [piece for piece in PIECES if piece not in SLOW]
PROVENANCE = {"date": "2000-01-01T00:00:00", "threads": 1, "device": "an abacus", "torch": "0"}
GROWN = {  # in made-up records: from before to after training
    ("token 3 back", "share"): (0.02, 0.7),
    ("token 3 back", "seen"): (0.3, 0.9),
    ("most recent", "share"): (0.02, 0.02),
    ("most recent", "seen"): (0.3, 0.95),
}


def made_run(grown):
    """Three seeds, each a little above the last, with a second head that has nothing."""
    rows = [
        {
            "task": task,
            "seed": seed,
            "when": when,
            "head": head,
            **{
                of: (0 if head else grown[task, of][number] + 0.001 * (1 + number) * seed)
                for of in ("share", "seen")
            },
        }
        for task in ("token 3 back", "most recent")
        for seed in (0, 1, 2)
        for number, when in enumerate(("before", "after"))
        for head in (0, 1)
    ]
    return records.Run("commutant", {"seeds": [0, 1, 2]}, PROVENANCE, rows)


@pytest.fixture
def recorded(monkeypatch):
    """What was recorded is what a test says."""

    def record(grown):
        monkeypatch.setattr(records, "load", lambda name: made_run(grown))

    return record


def test_all_pieces_are_found():
    """One that a claim names was not among those that are tried below."""
    assert {piece.__name__ for piece in PIECES} >= evidence_of("commutant")


@pytest.mark.parametrize("piece", QUICK, ids=lambda piece: piece.__name__)
def test_it_holds_of_what_was_recorded(piece):
    found = piece()
    assert found.holds, str(found)
    assert found.how.startswith("recorded on")


@pytest.mark.deep  # each build trains these models as well, and refuses what does not hold
@pytest.mark.parametrize("piece", SLOW, ids=lambda piece: piece.__name__)
def test_it_holds_of_models_that_are_trained_anew(piece):
    found = piece()
    assert found.holds, str(found)
    assert found.how.startswith("“token 3 back”")


def test_values_are_differences_of_the_best_heads(recorded):
    """A head that does nothing was averaged in, or before and after have changed places."""
    recorded(GROWN)
    assert commutant.training_finds_the_commutant().value == pytest.approx(0.681)
    assert commutant.training_turns_scores_towards_distance().value == pytest.approx(0.601)
    assert commutant.recency_turns_scores_towards_distance().value == pytest.approx(0.651)
    assert commutant.recency_does_without_the_commutant().value == pytest.approx(0.68)
    found = commutant.training_finds_the_commutant()
    # Differences of 0.68, 0.681 and 0.682: Student's t is 4.303.
    assert found.tolerance == pytest.approx(4.303 * 0.001 / 3**0.5, rel=1e-3)


@pytest.mark.parametrize(
    ("piece", "task", "of"),
    [
        (commutant.training_turns_scores_towards_distance, "token 3 back", "seen"),
        (commutant.training_finds_the_commutant, "token 3 back", "share"),
        (commutant.recency_turns_scores_towards_distance, "most recent", "seen"),
        (commutant.recency_does_without_the_commutant, "token 3 back", "share"),
    ],
)
def test_if_training_did_nothing_it_does_not_hold(piece, task, of, recorded):
    """Evidence of an effect that holds without one."""
    recorded(GROWN)
    assert piece().holds
    recorded(GROWN | {(task, of): (0.02, 0.0195)})
    assert not piece().holds


def test_if_recency_lies_in_the_commutant_it_does_not_hold(recorded):
    recorded(GROWN | {("most recent", "share"): (0.02, 0.7)})
    assert not commutant.recency_does_without_the_commutant().holds


def test_a_share_no_smaller_than_that_of_fast_training_does_not_hold(recorded, monkeypatch):
    recorded(GROWN | {("token 3 back", "share"): (0.02, 0.03)})
    monkeypatch.setattr(commutant, "_slow", lambda: {"shares": [0.02, 0.04]})
    assert not commutant.slow_training_does_without_the_commutant().holds


def test_slow_models_that_have_not_learned_do_not_hold(monkeypatch):
    """Without the commutant, and without the answer: that would be no counter-case."""
    found = {"right": [0.99, 0.3], "shares": [0.1, 0.1]}
    monkeypatch.setattr(commutant, "_slow", lambda: found)
    assert not commutant.slow_training_finds_the_offset().holds
