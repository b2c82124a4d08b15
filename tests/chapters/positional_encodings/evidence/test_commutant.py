"""The evidence on the commutant: that it reads the record right, and that models bear it."""

import pytest
from helpers.chapter_parts import assert_all_found, pieces_in

from attention_limits.chapters.positional_encodings.evidence import commutant
from attention_limits.evidence import rivals
from attention_limits.runs import records

PIECES = pieces_in(commutant)
PROVENANCE = {"date": "2000-01-01T00:00:00", "threads": 1, "device": "an abacus", "torch": "0"}


def made_run(share):
    """Three seeds, each a little above the last, with a second head that has nothing."""
    rows = [
        {"task": task, "seed": seed, "when": when, "head": head, "share": value, "seen": value}
        for task, after in share.items()
        for seed in (0, 1, 2)
        for when, base in (("before", 0.02), ("after", after))
        for head, value in ((0, base + 0.01 * seed), (1, 0))
    ]
    return records.Run("commutant", {"seeds": [0, 1, 2]}, PROVENANCE, rows)


@pytest.fixture
def recorded(monkeypatch):
    """What was recorded is what a test says."""
    return lambda **share: monkeypatch.setattr(records, "load", lambda name: made_run(share))


def test_all_pieces_are_found():
    """One that a claim names was not among those that are tried below."""
    assert_all_found(PIECES, "commutant")


def test_it_holds_of_what_was_recorded():
    found = commutant.fast_training_finds_the_commutant()
    assert found.holds, str(found)
    assert found.how.startswith("recorded on")
    for read in rivals(commutant.fast_training_finds_the_commutant).values():
        assert not read().holds


def test_it_is_the_least_of_the_best_heads(recorded, monkeypatch):
    """A head that does nothing was averaged in, or the best seed stood for all."""
    monkeypatch.setattr(commutant, "OFFSET", "offset")
    recorded(offset=0.7, recency=0.02)
    found = commutant.fast_training_finds_the_commutant(task="offset")
    assert found.value == pytest.approx(0.7)
    assert found.tolerance == pytest.approx(0.02)
    assert found.holds
    assert not commutant.fast_training_finds_the_commutant(task="recency").holds


def trained(monkeypatch, **found):
    usual = {"right": [0.99, 0.98], "longer": [0.1, 0.2], "share": [0.04, 0.03]}
    monkeypatch.setattr(commutant, "trained", lambda rate: usual | found)


def test_a_share_well_above_chance_is_refused(monkeypatch):
    """Three times the rate leaves a share of 0.3, and that is not chance."""
    trained(monkeypatch)
    assert commutant.slow_training_does_without().holds
    trained(monkeypatch, share=[0.04, 0.3])
    assert not commutant.slow_training_does_without().holds


def test_models_that_have_not_learned_do_without_nothing(monkeypatch):
    """Without the commutant, and without the answer: that would be no counter-case."""
    trained(monkeypatch, right=[0.99, 0.3])
    assert not commutant.slow_training_does_without().holds


def test_models_that_carry_it_further_are_refused(monkeypatch):
    trained(monkeypatch, longer=[0.1, 0.9])
    assert not commutant.the_share_buys_no_length().holds


@pytest.mark.deep  # each build trains these models as well, and refuses what does not hold
@pytest.mark.parametrize("piece", PIECES, ids=lambda piece: piece.__name__)
def test_it_holds_of_models_that_are_trained_anew(piece):
    found = piece()
    assert found.holds, str(found)
