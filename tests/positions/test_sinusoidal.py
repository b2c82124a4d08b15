"""Sinusoids: what their docstring says of shifts, of distances and of precision."""

import numpy as np
import pytest
import torch

from attention_limits.positions import rotary, sinusoidal


def encoded(*positions, d=64, **options):
    return sinusoidal.encoding(torch.tensor(positions), d, **options)


def kernel(distances, *, p=0, d=64):
    """PE(p) · PE(p + distance), relative to that of no distance."""
    far = sinusoidal.encoding(p + torch.as_tensor(distances), d)
    return far @ sinusoidal.encoding(torch.tensor([p]), d)[0] / (d / 2)


def test_an_example_by_hand():
    """Sines first, cosines second, pair by pair; many codes keep all sines in one half."""
    expected = [np.sin(3), np.cos(3), np.sin(0.3), np.cos(0.3)]
    x = np.array([[0.0, 0.0, 0.0, 10.0]])
    by_hand = np.array([expected]) + x
    np.testing.assert_allclose(sinusoidal.define(x, base=100.0, start=3), by_hand, rtol=1e-15)
    actual = sinusoidal.apply(torch.from_numpy(x), base=100.0, start=3)
    np.testing.assert_allclose(actual, by_hand, rtol=1e-15)
    assert encoded(0, d=6).tolist() == [[0, 1, 0, 1, 0, 1]]


def test_frequencies_that_are_given_count_and_the_base_does_not():
    omega = np.array([0.7, 0.0])
    by_hand = [[np.sin(3 * 0.7), np.cos(3 * 0.7), 0, 1]]  # one that does not turn says nothing
    np.testing.assert_allclose(
        sinusoidal.define(np.zeros((1, 4)), base=7.0, frequencies=omega, start=3), by_hand
    )
    given = {"base": 7.0, "frequencies": torch.tensor(omega)}
    np.testing.assert_allclose(encoded(3, d=4, **given), by_hand)
    np.testing.assert_allclose(
        sinusoidal.apply(torch.zeros(1, 4).double(), **given, start=3), by_hand
    )


@pytest.mark.parametrize("base", [10.0, 10000.0, 1e300])
@pytest.mark.parametrize("k", [1, 17, 100_000])
def test_a_shift_is_one_rotation_wherever_it_starts(k, base):
    """A matrix made of k alone takes PE(p) to PE(p + k)."""
    d, blocks = 64, []
    for i in range(32):
        angle = k * base ** (-i / 32)
        blocks.append([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    turn = torch.block_diag(*torch.tensor(np.array(blocks)))
    assert (turn @ turn.T - torch.eye(d, dtype=torch.float64)).abs().max() < 1e-14
    p = torch.tensor([0, 1, 5, 300, 1_000_000])
    shifted = sinusoidal.encoding(p, d, base=base) @ turn.T
    difference = shifted - sinusoidal.encoding(p + k, d, base=base)
    assert difference.abs().max() < 1e-9


def test_the_rotation_is_the_one_that_turns_queries_and_keys():
    """(sin, cos) stands at a right angle to (cos, sin), so a shift by k turns by −k."""
    p, k = torch.tensor([0, 3, 1000]), 7
    turned = rotary.apply(sinusoidal.encoding(p, 16), positions=torch.full((3,), -k))
    torch.testing.assert_close(turned, sinusoidal.encoding(p + k, 16), atol=1e-12, rtol=0)


def test_inner_products_depend_on_the_distance_alone():
    distances = torch.arange(-50, 51)
    here = kernel(distances, p=100)
    for p in (1000, 10**6):
        assert (kernel(distances, p=p) - here).abs().max() < 1e-9
    assert (here - here.flip(0)).abs().max() < 1e-12  # before and after are told apart by no sum


def test_inner_products_do_not_fall_with_distance_throughout():
    """A nearer key may score less than one further away: 39 of the first 100 steps go up."""
    falls = kernel(torch.arange(101))
    up = (falls.diff() > 0).nonzero()[:, 0]
    assert len(up) == 39
    assert up[0] + 1 == 6
    at = kernel(torch.tensor([0, 1, 2, 5, 10, 20, 50, 100, 200]))
    expected = [1, 0.97, 0.88, 0.73, 0.66, 0.59, 0.49, 0.56, 0.36]
    assert (at - torch.tensor(expected)).abs().max() < 0.0051


def test_the_first_hand_is_the_fastest_and_the_last_almost_b_times_slower():
    omega = sinusoidal.frequencies(64)
    assert omega[0] == 1
    assert omega[-1].item() == pytest.approx(10000 ** -(62 / 64), rel=1e-14)
    assert (omega.diff() < 0).all()
    assert sinusoidal.frequencies(2).tolist() == [1]  # one hand has no slowest
    assert sinusoidal.frequencies(6, base=1).tolist() == [1, 1, 1]


@pytest.mark.parametrize("p", [1001, 100_003])
def test_positions_stay_themselves_beside_inputs_in_bfloat16(p):
    """Counted in bfloat16, 1001 is 1000, and the encoding of another token."""
    x = torch.zeros(1, 64, dtype=torch.bfloat16)
    exact = sinusoidal.define(np.zeros((1, 64)), start=p)
    error = np.abs(sinusoidal.apply(x, start=p).double().numpy() - exact).max()
    aliased = torch.tensor(p).to(torch.bfloat16).long().item()
    elsewhere = np.abs(sinusoidal.define(np.zeros((1, 64)), start=aliased) - exact).max()
    assert error < 2**-8
    assert elsewhere > 0.5


def test_times_between_positions_have_an_encoding():
    half_way = encoded(0.5, d=4, base=100.0)
    np.testing.assert_allclose(half_way[0], [np.sin(0.5), np.cos(0.5), np.sin(0.05), np.cos(0.05)])


def test_is_made_where_its_positions_are():
    assert sinusoidal.encoding(torch.arange(5, device="meta"), 8).shape == (5, 8)
    assert sinusoidal.encoding(torch.zeros(2, 5, dtype=torch.int64), 8).shape == (2, 5, 8)
    assert sinusoidal.frequencies(8, device="meta").is_meta


@pytest.mark.parametrize("bad", [torch.tensor(3), torch.ones(2).half(), np.arange(3), 3])
def test_positions_that_are_none_are_refused(bad):
    with pytest.raises(ValueError, match=r"^positions must "):
        sinusoidal.encoding(bad, 8)


@pytest.mark.parametrize("d", [0, 1, 7, -2, 8.0, True])
def test_a_width_without_pairs_is_refused(d):
    with pytest.raises(ValueError, match=r"^d must be "):
        sinusoidal.frequencies(d)


@pytest.mark.parametrize("base", [0.5, 0, -1, float("inf"), float("nan"), "10000"])
def test_a_base_that_is_none_is_refused(base):
    for door in (lambda: sinusoidal.frequencies(8, base=base), lambda: encoded(1, base=base)):
        with pytest.raises(ValueError, match=r"^base must be a finite number of at least 1"):
            door()
