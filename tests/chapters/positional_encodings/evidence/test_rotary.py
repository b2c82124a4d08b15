"""The evidence on rotations: that it holds, and that it goes red where something is broken."""

import inspect

import pytest
import torch
from helpers.chapter_parts import evidence_of

from attention_limits.chapters.positional_encodings.evidence import encodings
from attention_limits.chapters.positional_encodings.evidence import rotary as evidence
from attention_limits.evidence import Evidence
from attention_limits.positions import rotary, sinusoidal

PIECES = [
    piece
    for name, piece in inspect.getmembers(evidence, inspect.isfunction)
    if inspect.signature(piece).return_annotation is Evidence and not name.startswith("_")
]
angles = sinusoidal.angles


def test_all_pieces_are_found():
    """One that a claim names was not among those that are tried below."""
    assert {piece.__name__ for piece in PIECES} >= evidence_of("rotary")


@pytest.mark.parametrize("piece", PIECES, ids=lambda piece: piece.__name__)
def test_it_holds_and_is_no_accident(piece):
    """A second run found another number; or a bound is so wide that nothing would cross it."""
    found = piece()
    assert found.holds, str(found)
    assert found == piece()
    assert found.slack is None or found.slack > 0.1


def in_a_hundred(p, d, **options):
    """A clock hand that is back after a whole number of tokens."""
    turns = angles(p, torch.tensor([2 * torch.pi / 100], dtype=torch.float64))
    return torch.cat([turns.sin(), turns.cos()], -1)


def test_a_frequency_that_comes_back_is_found_out(monkeypatch):
    monkeypatch.setattr(sinusoidal, "encoding", in_a_hundred)
    assert not evidence.one_frequency_comes_near_but_not_back().holds


@pytest.mark.parametrize("turn", [evidence.coarse, sinusoidal.apply, lambda x, start=0: x + start])
def test_another_rotation_is_not_relative(turn, monkeypatch):
    monkeypatch.setattr(rotary, "apply", turn)
    assert not evidence.rotary_scores_depend_on_the_distance().holds


def test_exact_angles_keep_relativity(monkeypatch):
    monkeypatch.setattr(evidence, "coarse", rotary.apply)
    assert not evidence.angles_in_bfloat16_break_relativity().holds


def test_coarse_angles_do_not_tell_neighbours_apart():
    """At 1024, bfloat16 counts in steps of 8."""
    turned = evidence.coarse(torch.ones(16, 8, dtype=torch.float64), start=1024)
    assert len(turned.unique(dim=0)) == 3


def test_coarse_angles_are_wrong_in_their_rounding_alone():
    """A rotation in the wrong direction would break relativity as well; so would rounded sines."""
    x = encodings.draw(0, 9, 8)
    few_bits = evidence.coarse(x) - rotary.apply(x)
    assert 1e-4 < few_bits.abs().max() < 0.1
    errors = [evidence.score_errors(evidence.coarse, p) for p in (64, 256, 1024)]
    assert max(errors[0]) < min(errors[1]) < max(errors[1]) < min(errors[2])
