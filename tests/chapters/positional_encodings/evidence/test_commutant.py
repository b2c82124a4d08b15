"""The evidence on the commutant: that it reads the records right, and refuses its rivals."""

import pytest
from helpers.chapter_parts import (
    assert_all_found,
    assert_recorded_and_refuses_rivals,
    pieces_in,
)

from attention_limits.chapters.positional_encodings.evidence import commutant
from attention_limits.experiments import relative_share
from attention_limits.experiments.relative_share import AS_TRAINED, FLAT, RELATIVE
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


LENGTHS = (32, 64, 128)
PARTS = (AS_TRAINED, FLAT, *relative_share.PARTS)


@pytest.fixture
def trained(monkeypatch):
    """Two seeds of each kind, right in all cases unless a test says what is unusual.

    ``accuracy(speed, layers, layer, part, n)`` and ``share(speed, layers, layer)`` of both seeds.
    """

    def made(accuracy=lambda *_: (1.0, 1.0), share=lambda *_: (0.5, 0.6)):
        rows = [
            {"speed": speed, "layers": layers, "layer": layer, "part": part, "n": n, "seed": seed}
            | {"accuracy": accuracy(speed, layers, layer, part, n)[seed]}
            | {"share": share(speed, layers, layer)[seed]}
            for speed in relative_share.SPEEDS
            for layers in (2, 1)
            for layer in range(1, layers + 1)
            for part in PARTS
            for n in LENGTHS
            for seed in (0, 1)
        ]
        config = {"seeds": [0, 1], "lengths": list(LENGTHS)}
        run = records.Run("relative_share", config, PROVENANCE, rows)
        monkeypatch.setattr(records, "load", lambda name: run)

    return made


def test_what_slow_models_lose_is_what_the_worst_seed_loses(trained):
    """One seed that needs its first layer was averaged away, or the second layer was asked."""
    piece = commutant.slow_models_do_without_scores_of_the_first_layer
    needed = ("slow", 2, 2, FLAT, 32)
    trained(lambda *where: (0.1, 0.2) if where == needed else (1.0, 0.99))
    found = piece()
    assert (found.value, found.holds) == (0, True)
    assert "shares of 0.50 to 0.60" in found.how
    assert piece(layer=2).value == pytest.approx(0.9)
    trained(lambda *where: (0.98, 0.6) if where == ("slow", 2, 1, FLAT, 32) else (1.0, 0.99))
    assert piece().value == pytest.approx(0.39)
    assert not piece().holds


def test_who_has_learned_nothing_does_not_do_without(trained):
    trained(lambda *_: (1.0, 0.1))
    assert commutant.slow_models_do_without_scores_of_the_first_layer().value == 1
    assert commutant.with_one_layer_slow_training_finds_it_too().value == 0


def test_the_share_of_one_layer_is_the_least_of_the_seeds(trained):
    piece = commutant.with_one_layer_slow_training_finds_it_too
    trained(share=lambda *where: (0.4, 0.2) if where == ("slow", 1, 1) else (0.03, 0.9))
    assert (piece().value, piece().holds) == (0.2, True)
    assert piece(layers=2).value == 0.03
    assert not piece(layers=2).holds


def test_what_is_gained_is_gained_by_the_same_seed(trained):
    """Seeds were mixed up, whose accuracies lie far apart and whose gains do not."""
    piece = commutant.without_the_rest_longer_sequences_are_answered_better
    known = {AS_TRAINED: (0.1, 0.5), RELATIVE: (0.4, 0.81)}
    trained(
        lambda speed, layers, layer, part, n: (
            known.get(part, (0.1, 0.5))
            if (speed, layers, layer, n) == ("fast", 2, 1, 64)
            else (1, 1)
        )
    )
    found = piece()
    assert found.value == pytest.approx(0.305)
    assert found.tolerance == pytest.approx(12.706 * 0.005, rel=1e-3)  # Student's, of two
    assert found.holds
    assert piece(part=relative_share.REST).value == 0
    trained()  # all alike
    assert not piece().holds


def test_one_fast_seed_that_carries_it_further_is_enough_to_refuse(trained):
    piece = commutant.the_share_buys_no_length
    asked = ("fast", 2, 1, AS_TRAINED, 128)
    trained(lambda *where: (0.1, 0.2) if where == asked else (1.0, 1.0))
    assert (piece().value, piece().holds) == (0.2, True)
    assert "shares of 0.50 and more" in piece().how
    trained(lambda *where: (0.1, 0.9) if where == asked else (1.0, 1.0))
    assert not piece().holds
