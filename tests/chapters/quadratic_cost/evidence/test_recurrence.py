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


@pytest.mark.parametrize("rival", [recurrence.by_index, recurrence.by_copies])
def test_a_rival_of_cost_has_the_same_states_and_gradients(rival):
    """A rival with wrong results would be refused for another reason."""
    found = {}
    for apply in (rival, recurrent.apply):
        inputs = [x.requires_grad_() for x in recurrence.network(0, n=20, d=4, gain=1.5)]
        states = apply(*inputs)
        states.square().sum().backward()
        found[apply] = [states.detach(), *(x.grad for x in inputs)]
    for one, other in zip(*found.values(), strict=True):
        torch.testing.assert_close(one, other)


def test_without_tangents_the_states_are_the_same():
    """It is slow, not wrong."""
    inputs = recurrence.network(0, n=50, d=4, gain=1.0)
    states, taken = recurrence.without_tangents(*inputs, tolerance=1e-12)
    torch.testing.assert_close(states, recurrent.apply(*inputs))
    assert taken > recurrent.newton(*inputs)[1]


def test_the_worlds_that_obey_a_power_law_are_what_they_are_called():
    """The logarithm of a product of their steps, which is easy to get wrong by a factor."""
    decays = (np.arange(64) + 0.5) / 64
    product = np.linalg.matrix_power(np.diag(decays), 7)
    expected = np.log(np.linalg.norm(product) / 8)
    assert recurrence.many_time_scales(1, distance=7)[0, -1] == pytest.approx(expected)
    product = np.linalg.matrix_power(np.array([[1, 1], [0, 1]]), 7)
    expected = np.log(np.linalg.norm(product) / 2**0.5)
    assert recurrence.integrated_twice(1, distance=7)[0, -1] == pytest.approx(expected)


def test_a_carry_is_the_counterexample():
    """Newton's method was fast, but to other states; or λ was not near zero."""
    for seed in recurrence.SEEDS:
        network = recurrence.carry(seed)
        states = recurrent.apply(*network)
        found, taken = recurrent.newton(*network, tolerance=1e-8)
        assert taken == 6
        assert (found - states).abs().max() < 1e-14
        assert abs(recurrent.lyapunov(states, network[2]).item()) < 0.01


def test_newton_is_exact_where_steps_are_nearly_linear():
    """An orthogonal W_h and inputs so weak that the tanh is straight: gradients stay, too."""
    x, w_x, w_h, bias = recurrence.network(0, n=256, d=16, gain=1, strength=1e-4)
    w_h = torch.linalg.qr(w_h).Q
    states = recurrent.apply(x, w_x, w_h, bias)
    assert recurrent.log_gradients(states, w_h)[-1].exp().item() > 0.99
    assert recurrent.newton(x, w_x, w_h, bias, tolerance=1e-8)[1] <= 3


@pytest.mark.slow
def test_seed_3_is_the_only_stable_one_of_twelve():
    """Its card and its page say so."""
    stable = []
    for seed in range(12):
        inputs = recurrence.network(seed, n=5 * 128, d=16, gain=5, strength=0.3)
        if recurrent.lyapunov(recurrent.apply(*inputs), inputs[2]) < 0:
            stable.append(seed)
    assert stable == [3]


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
