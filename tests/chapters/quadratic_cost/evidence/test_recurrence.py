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
    """Where chaos begins depends on both, so a factor here would move every verdict."""
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


def test_bent_courses_keep_ends_and_noise():
    """A rival that had other ends or no noise would be refused for that."""
    logs = recurrence.log_gradients(1.0, distance=20)
    for bent in (
        recurrence.slowing(1.0, distance=20),
        recurrence.bent(0.8, 1.0, distance=20),
    ):
        assert np.allclose(bent[:, [0, -1]], logs[:, [0, -1]])
        moved = (bent - logs) / logs[:, -1:]
        assert np.allclose(moved, moved[0])  # the same course, whatever the network does about it
        assert (moved[0, 1:-1] > 0).all()
    assert np.allclose(recurrence.bent(1.0, 1.0, distance=20), logs)


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
def test_these_are_the_stable_ones_of_sixty():
    """Their card and their page say so."""
    stable = []
    for seed in range(60):
        inputs = recurrence.network(seed, n=5 * 128, d=16, gain=5, strength=0.3)
        if recurrent.lyapunov(recurrent.apply(*inputs), inputs[2]) < 0:
            stable.append(seed)
    assert tuple(stable) == recurrence.STABLE


def test_growth_is_that_of_the_worst_stretch():
    """Found stretch by stretch."""
    x, w_x, w_h, bias = recurrence.network(0, n=12, d=4, gain=2)
    states = recurrent.apply(x, w_x, w_h, bias)
    factors = recurrent.jacobians(states, w_h).numpy()
    for longest in (1, 3, 5):
        expected = max(
            np.linalg.norm(np.linalg.multi_dot([np.eye(4), *factors[s : s + length][::-1]])) / 2
            for length in range(1, longest + 1)
            for s in range(12 - length + 1)
        )
        found = recurrence.growth(states, w_h, longest=longest)
        assert found == pytest.approx(np.log(expected))


def test_what_is_written_back_takes_the_carry_s_gradient_before_newton_is_slow():
    """The page says both."""
    some = recurrence.a_carry_keeps_its_gradient(
        make=lambda seed: recurrence.written_back(1e-3, seed)
    )
    assert some.value < 1e-6
    assert recurrence.run_newton(*recurrence.written_back(1e-3, 0))[1] < 20


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


def test_from_zero_newton_takes_what_the_package_s_takes():
    """A guess that was not the first one, or another step, would take another number."""
    for gain, strength in ((1.0, 1.0), (2.0, 1.0)):
        network = recurrence.network(0, n=64, d=8, gain=gain, strength=strength)
        states, taken = recurrent.newton(*network, tolerance=1e-8)
        assert recurrence.newton_from(torch.zeros_like(states), network) == taken
        assert recurrence.newton_from(states, network) == 1


def test_nearer_guesses_take_fewer_iterations():
    """The deviation of the guesses was not used."""
    near, far = (np.mean(recurrence.from_nearby(off, n=32, draws=1)) for off in (1e-6, 0.1))
    assert near < far


def test_ranks_agree_as_far_as_their_order_does():
    """Also where some are equal."""
    rising = [1, 2, 3, 10]
    assert recurrence.ranks_agree(rising, [2, 4, 8, 9]) == pytest.approx(1)
    assert recurrence.ranks_agree(rising, [4, 3, 2, 1]) == pytest.approx(-1)
    assert recurrence.ranks_agree(rising, [1, 1, 2, 2]) == pytest.approx(0.8**0.5)


def test_stable_networks_are_the_same_at_all_lengths():
    """Iterations at two lengths were compared of two networks."""
    short, long = (recurrence.stable(3, n=n) for n in (16, 32))
    assert short[0].equal(long[0][:16])
    assert all(x.equal(y) for x, y in zip(short[1:], long[1:], strict=True))
