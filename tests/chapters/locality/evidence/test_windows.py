"""The page on windows: its evidence, and that what it counts is what formulas say at all places."""

import pytest
from helpers.chapter_parts import (
    assert_all_found,
    assert_holds_by_no_accident,
    assert_refuses_rivals,
    pieces_in,
)

from attention_limits.chapters.locality.derivations import windows as derivations
from attention_limits.chapters.locality.evidence import windows as evidence

PIECES = pieces_in(evidence)


def test_all_pieces_are_found():
    """One that a claim names was not among those that are tried below."""
    assert_all_found(PIECES, "windows")


@pytest.mark.parametrize("piece", PIECES, ids=lambda piece: piece.__name__)
def test_it_holds_and_is_no_accident(piece):
    """A second run found another number; or a bound is so wide that nothing would cross it."""
    assert_holds_by_no_accident(piece)


@pytest.mark.parametrize("piece", PIECES, ids=lambda piece: piece.__name__)
def test_it_refuses_its_rivals(piece):
    """Those that no claim names are refused by no other test."""
    assert_refuses_rivals(piece)


@pytest.mark.parametrize("shift", [1, 3, 5, 7])
def test_the_curves_of_the_figure_are_what_is_counted(shift):
    """At each distance of a row, beyond the shift and beyond a window, too."""
    for apart in range(1, 10):
        sizes = dict(window_side=8, apart=apart)
        one, two = (1 - evidence.never(shifts, apart, 0, 8) for shifts in ((0,), (0, shift)))
        assert one == pytest.approx(derivations.TOGETHER(**sizes))
        assert two == pytest.approx(derivations.TOGETHER_ONCE(**sizes, shift=shift))
        meets = apart <= derivations.ALL_MEET(window_side=8, shift=shift)
        assert meets == (two == 1)


def test_information_goes_half_a_window_a_layer_and_a_third_shift_has_a_direction():
    """Layers were counted from the wrong end, or one too many."""
    assert evidence.layers_across((0,), windows=1) == 1
    assert evidence.layers_across(evidence.TWO, windows=2) == 3
    forth, back = (evidence.layers_across(evidence.TWO, backwards=b) for b in (False, True))
    assert forth == back == 63
    assert evidence.layers_across(evidence.THREE) > forth
    assert evidence.layers_across(evidence.THREE, backwards=True) < forth
