"""The evidence on the commutant: that it reads the records right, and refuses its rivals."""

import pytest
from helpers.chapter_parts import (
    assert_all_found,
    assert_recorded_and_refuses_rivals,
    pieces_in,
)

from attention_limits.chapters.positional_encodings.evidence import commutant
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


@pytest.mark.parametrize("piece", PIECES, ids=lambda piece: piece.__name__)
def test_it_holds_of_what_was_recorded_and_refuses_its_rivals(piece):
    assert_recorded_and_refuses_rivals(piece)


def test_it_is_the_least_of_the_best_heads(recorded, monkeypatch):
    """A head that does nothing was averaged in, or the best seed stood for all."""
    monkeypatch.setattr(commutant, "OFFSET", "offset")
    recorded(offset=0.7, recency=0.02)
    found = commutant.fast_training_finds_the_commutant(task="offset")
    assert found.value == pytest.approx(0.7)
    assert found.tolerance == pytest.approx(0.02)
    assert found.holds
    assert not commutant.fast_training_finds_the_commutant(task="recency").holds


USUAL = {
    "slow": {"right": [0.99, 0.98], "longer": [0.1, 0.1], "share": [0.04, 0.03]},
    "middle": {"right": [0.99, 0.98], "longer": [0.1, 0.1], "share": [0.3, 0.4]},
    "fast": {"right": [0.99, 0.98], "longer": [0.1, 0.2], "share": [0.8, 0.6]},
}


@pytest.fixture
def trained(monkeypatch):
    """Models of three speeds and two seeds, of which a test says what is unusual."""

    def made(speed="slow", **found):
        each = {**USUAL, speed: USUAL[speed] | found}
        rows = [
            {"speed": name, "seed": seed, "n": n, "share": of["share"][seed], "accuracy": right}
            for name, of in each.items()
            for n, which in ((32, "right"), (128, "longer"))
            for seed, right in enumerate(of[which])
        ]
        run = records.Run("relative_share", {"seeds": [0, 1]}, PROVENANCE, rows)
        monkeypatch.setattr(records, "load", lambda name: run)

    return made


def test_it_is_the_most_of_the_slow_over_the_least_of_the_fast(trained):
    trained()
    found = commutant.slow_training_does_without()
    assert found.value == pytest.approx(0.04 / 0.6)
    assert found.holds
    assert "the most of 2 seeds at the rate 0.001, 0.040, all right in 98% or more" in found.how
    assert "the least of 2 at 0.01, 0.600" in found.how
    assert not commutant.slow_training_does_without(speed="middle").holds


def test_one_slow_seed_that_finds_it_is_enough_to_refuse(trained):
    trained(share=[0.04, 0.3])
    assert not commutant.slow_training_does_without().holds


def test_models_that_have_not_learned_do_without_nothing(trained):
    """Without the commutant, and without the answer: that would be no counter-case."""
    trained(right=[0.99, 0.3])
    assert commutant.slow_training_does_without().value == pytest.approx(1 / 0.6)


def test_one_fast_seed_that_carries_it_further_is_enough_to_refuse(trained):
    trained()
    found = commutant.the_share_buys_no_length()
    assert found.value == 0.2
    assert "shares of 0.60 and more" in found.how
    assert found.holds
    trained("fast", longer=[0.1, 0.9])
    assert not commutant.the_share_buys_no_length().holds
