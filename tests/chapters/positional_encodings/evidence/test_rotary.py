"""The evidence on rotations: that it holds, and that rivals are as right as their words say."""

import math

import pytest
import torch
from helpers.chapter_parts import assert_all_found, assert_holds_by_no_accident, pieces_in

from attention_limits.chapters.positional_encodings.evidence import encodings
from attention_limits.chapters.positional_encodings.evidence import rotary as evidence
from attention_limits.positions import rotary, sinusoidal

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
    rows = evidence.back_after_710(torch.arange(711), 64)
    torch.testing.assert_close(rows[710, :2], rows[0, :2], rtol=0, atol=1e-10)
    angle = torch.atan2(rows[1, 0], rows[1, 1]).item()
    assert angle == pytest.approx(1, abs=1e-6)
    assert angle != pytest.approx(1, abs=1e-9)
    usual = sinusoidal.encoding(torch.arange(711), 64)
    torch.testing.assert_close(rows[:, 2:], usual[:, 2:], rtol=0, atol=1e-10)


def test_whole_periods_are_those_next_to_the_usual_ones():
    """Each comes back, and together they do not: that takes as long as their common multiple."""
    periods = [round(2 * math.pi * 10_000 ** (i / 32)) for i in range(32)]
    rows = evidence.in_whole_tokens(torch.arange(50_001), 64).unflatten(-1, (-1, 2))
    for i, period in enumerate(periods):
        torch.testing.assert_close(rows[period, i], rows[0, i], rtol=0, atol=1e-9)
    apart = (rows[1:] - rows[0]).norm(dim=(-2, -1))
    assert apart.min() == apart[0]
    one = evidence.one_in_whole_tokens(torch.arange(50_001), 64).unflatten(-1, (-1, 2))
    assert torch.equal(one[:, 31], rows[:, 31])
    usual = sinusoidal.encoding(torch.arange(50_001), 64).unflatten(-1, (-1, 2))
    torch.testing.assert_close(one[:, :31], usual[:, :31], rtol=0, atol=1e-10)


def test_scores_that_decay_are_relative_still():
    """A rival whose scores depend on the position is refused by another piece."""
    q, k = encodings.draw(0, 5, 8), encodings.draw(1, 5, 8)

    def scores(start):
        keys = evidence.decaying(k, start=start, kept=1 / 0.999)
        return evidence.decaying(q, start=start) @ keys.mT

    torch.testing.assert_close(scores(1000), scores(0))
    plain = rotary.apply(q) @ rotary.apply(k).mT
    distance = torch.arange(5)[:, None] - torch.arange(5)
    torch.testing.assert_close(scores(0), plain * 0.999**distance)


def test_a_base_that_grows_is_the_usual_one_for_short_sequences():
    """And for longer ones it breaks relativity as badly as rounding, which is no rounding."""
    x = encodings.draw(0, 64, 8)
    assert torch.equal(evidence.dynamic(x), rotary.apply(x))
    far = evidence.score_errors(evidence.dynamic, evidence.FAR)
    assert min(far) > 10 * max(evidence.score_errors(rotary.apply, evidence.FAR))


def test_coarse_angles_do_not_tell_neighbours_apart():
    """At 1024, bfloat16 counts in steps of 8."""
    turned = evidence.coarse(torch.ones(16, 8, dtype=torch.float64), start=1024)
    assert len(turned.unique(dim=0)) == 3


@pytest.mark.parametrize("turn", [evidence.coarse, evidence.turned])
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
