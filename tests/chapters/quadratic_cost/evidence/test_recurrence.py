"""The evidence on recurrent networks: that it holds, and that it could have failed."""

import numpy as np
import pytest
import torch

from attention_limits.baselines import recurrent
from attention_limits.chapters.quadratic_cost.evidence import recurrence


def test_one_seed_draws_one_network():
    """Evidence that changes from run to run cannot be checked by anybody."""
    once, again = (recurrence.network(3, n=5, d=4, gain=2) for _ in range(2))
    other = recurrence.network(4, n=5, d=4, gain=2)
    assert all(x.equal(y) for x, y in zip(once, again, strict=True))
    assert not any(x.equal(y) for x, y in zip(once[:3], other[:3], strict=True))


def test_gain_and_strength_are_what_they_are_called():
    """Where chaos begins hangs on both, so a factor here would move every verdict."""
    x, w_x, w_h, bias = recurrence.network(0, n=4000, d=64, gain=3, strength=0.5)
    assert x.std().item() == pytest.approx(0.5, rel=0.02)
    assert w_x.std().item() * 8 == pytest.approx(1, rel=0.05)
    assert w_h.std().item() * 8 == pytest.approx(3, rel=0.05)
    assert not bias.any()


@pytest.mark.parametrize(
    ("piece", "gain"),
    [
        (recurrence.gradient_vanishes_with_distance, 1.9),
        (recurrence.gradient_vanishes_with_distance, 4.0),
        (recurrence.gradient_explodes_where_the_network_is_chaotic, 1.9),
        (recurrence.gradient_explodes_where_the_network_is_chaotic, 1.0),
    ],
)
def test_elsewhere_the_gradient_does_something_else(piece, gain):
    """A rate that came out the same at every gain would say nothing about the gain."""
    assert not piece(gain=gain).holds


def test_the_rate_is_that_of_the_jacobians():
    """A product that began a step too early, or in the warm-up, would have another slope."""
    found = recurrence.log_gradients(1.0, distance=50)
    assert found.shape == (len(recurrence.SEEDS), 51)
    assert (found[:, 0] == 0).all()
    x, w_x, w_h, bias = recurrence.network(0, n=100, d=64, gain=1.0)
    jacobians = recurrent.jacobians(recurrent.apply(x, w_x, w_h, bias), w_h)
    assert found[0, 1] == pytest.approx((jacobians[-1].norm() / 8).log().item())
    assert np.ptp(recurrence.rates(1.0, distance=50)) > 0


def test_the_stable_network_stays_with_what_it_started_in():
    """What its evidence says of it: starts meet, or stay apart for ever; none is chaotic."""
    x, w_x, w_h, bias = recurrence.network(3, n=5 * 256, d=16, gain=5, strength=0.3)
    starts = torch.randn(20, 16, generator=torch.Generator().manual_seed(1), dtype=x.dtype).tanh()
    states = recurrent.apply(x, w_x, w_h, bias, start=starts)
    apart = (states[1:, -200:] - states[:1, -200:]).norm(dim=-1)
    assert set((apart.amin(-1) > 1).tolist()) == {False, True}
    assert ((apart < 1e-6) | (apart > 1)).all()
    assert recurrent.lyapunov(states, w_h).max() < -0.1


def test_what_a_latch_is_told_it_repeats():
    for bit in (-1, 1):
        x, w_x, w_h, bias = recurrence.latch(0, bit=bit)
        states = recurrent.apply(x, w_x, w_h, bias)
        assert (states.sign() == bit).all()
        assert (x[1:].abs() < 0.5).all()


def test_newton_is_tried_at_the_gains_that_its_card_names(monkeypatch):
    """The card named two gains, and networks had one of them."""
    gains, make = set(), recurrence.network

    def network(seed, *, gain, **sizes):
        gains.add(gain)
        return make(seed, gain=gain, **sizes)

    monkeypatch.setattr(recurrence, "network", network)
    found = recurrence.newton_needs_few_iterations_if_contracting(n=32)
    assert "gains 0.5 and 1," in found.how
    assert gains == {0.5, 1}
