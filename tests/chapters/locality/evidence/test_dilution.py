"""The evidence on dilution: that it holds, that rivals are what they say, and its formulas."""

import math

import numpy as np
import pytest
import torch
from helpers.chapter_parts import assert_all_found, assert_holds_by_no_accident, pieces_in
from torch.nn.functional import scaled_dot_product_attention

from attention_limits.chapters.locality.derivations import dilution as derivations
from attention_limits.chapters.locality.evidence import dilution as evidence

PIECES = pieces_in(evidence)


def test_all_pieces_are_found():
    """One that a claim names was not among those that are tried below."""
    assert_all_found(PIECES, "dilution")


@pytest.mark.parametrize("piece", PIECES, ids=lambda piece: piece.__name__)
def test_it_holds_and_is_no_accident(piece):
    """A second run found another number; or a bound is so wide that nothing would cross it."""
    assert_holds_by_no_accident(piece)


@pytest.mark.parametrize("classes", [2, 16, 4096])
@pytest.mark.parametrize("snr", [0.01, 0.5, 2, 5])
def test_the_sum_is_the_integral(classes, snr):
    """Too few steps, or steps that end where something is left, for many values."""
    z = np.linspace(-9, 9, 20_001)
    below = np.array([(1 + math.erf((x + snr) / math.sqrt(2))) / 2 for x in z])
    density = np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi)
    integral = np.trapezoid(density * below ** (classes - 1), z)
    n = 1 + 10_000 * classes  # where SNR is a hundredth of e^δ
    read = derivations.ACCURACY.numpy(n=n, values=classes, lead=math.log(100 * snr))
    assert read == pytest.approx(integral, abs=3e-4)


def test_without_a_lead_all_values_are_read_alike():
    """Chance, as it is known without any integral."""
    for classes in (2, 16, 256):
        read = derivations.ACCURACY.numpy(n=10**12, values=classes, lead=0)
        assert read == pytest.approx(1 / classes, rel=0.01)


def test_counts_are_what_attention_adds_up():
    """The figure showed counts of another experiment than that of the evidence."""
    n, lead = 219, 2.0
    attended = evidence.read(
        scaled_dot_product_attention, evidence.independent, n, lead, trials=4_000
    )
    assert evidence.counted(n, lead, trials=4_000) == pytest.approx(attended, abs=0.035)


@pytest.mark.parametrize("attend", [evidence.windowed, evidence.times_ln_n, evidence.with_a_slope])
def test_rivals_attend(attend):
    """A rival that is no attention at all is refused by any check."""
    v = torch.ones(1, 30, 4)
    q, k = evidence.first_token(30, 2.0)
    torch.testing.assert_close(attend(q, k, v), torch.ones(1, 1, 4))


def test_a_lead_is_the_lead_of_a_score():
    """Divided by √d twice, or not at all."""
    q, k = evidence.first_token(5, 3.0)
    scores = (q @ k.mT / math.sqrt(q.shape[-1])).flatten()
    torch.testing.assert_close(scores, torch.tensor([3.0, 0, 0, 0, 0]))


def test_in_a_vote_all_others_share_one_wrong_value():
    """The first token's own value was among them."""
    values = evidence.one_for_all((50, 9), np.random.default_rng(0))
    assert (values[:, 1:] == values[:, 1:2]).all()
    assert (values[:, 0] != values[:, 1]).all()
    assert set(values.ravel()) <= set(range(evidence.CLASSES))


def test_the_lead_that_is_needed_holds_half_of_the_weight():
    """By its definition, on one draw: the largest score was left out, or counted twice."""
    lead = evidence.needed_lead(1000, 2.0, trials=1)
    others = 2.0 * np.random.default_rng(0).standard_normal((1, 999))
    assert math.exp(lead) / (math.exp(lead) + np.exp(others).sum()) == pytest.approx(1 / 2)
