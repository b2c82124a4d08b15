"""The evidence on rotations: that it holds, and that rivals are as right as their words say."""

import math

import pytest
import torch
from helpers.chapter_parts import assert_all_found, assert_holds_by_no_accident, pieces_in

from attention_limits.chapters.positional_encodings.evidence import encodings
from attention_limits.chapters.positional_encodings.evidence import rotary as evidence
from attention_limits.positions import rotary

PIECES = pieces_in(evidence)


def test_all_pieces_are_found():
    """One that a claim names was not among those that are tried below."""
    assert_all_found(PIECES, "rotary")


@pytest.mark.parametrize("piece", PIECES, ids=lambda piece: piece.__name__)
def test_it_holds_and_is_no_accident(piece):
    """A second run found another number; or a bound is so wide that nothing would cross it."""
    assert_holds_by_no_accident(piece)


def test_a_frequency_of_a_fraction_is_nearly_that_of_one():
    """A rival that is another frequency altogether is refused by any check."""
    rows = evidence.in_whole_tokens(torch.arange(711), 2)
    torch.testing.assert_close(rows[710], rows[0], rtol=0, atol=1e-10)
    angle = torch.atan2(rows[1, 0], rows[1, 1]).item()
    assert angle == pytest.approx(1, abs=1e-6)
    assert angle != pytest.approx(1, abs=1e-9)


def test_coarse_angles_do_not_tell_neighbours_apart():
    """At 1024, bfloat16 counts in steps of 8."""
    turned = evidence.coarse(torch.ones(16, 8, dtype=torch.float64), start=1024)
    assert len(turned.unique(dim=0)) == 3


@pytest.mark.parametrize("turn", [evidence.coarse, evidence.turned_in_float32])
def test_coarse_angles_are_wrong_in_their_rounding_alone(turn):
    """A rotation in the wrong direction would break relativity as well; so would rounded sines."""
    x = encodings.draw(0, 9, 8)
    assert 0 < (turn(x) - rotary.apply(x)).abs().max() < 0.1


def test_errors_grow_with_the_position():
    errors = [evidence.score_errors(evidence.coarse, p) for p in (64, 256, 1024)]
    assert max(errors[0]) < min(errors[1]) < max(errors[1]) < min(errors[2])


def test_what_rounding_of_keys_leaves_does_not_grow():
    """The page says that with exact angles the error is the same anywhere."""
    near, far = (evidence.score_errors(rotary.apply, start) for start in (64, 2**16))
    assert math.fsum(far) == pytest.approx(math.fsum(near), rel=0.1)
