"""The gated network of the evidence: PyTorch's own cell, and its Jacobians."""

import numpy as np
import pytest
import torch

from attention_limits.chapters.quadratic_cost.evidence import gated

BIASES = (1.5, -0.5)


def test_its_cell_is_that_of_pytorch():
    """Gates in another order would be an LSTM as well, with other biases."""
    drive, w_h = gated.network(20, biases=BIASES, gain=2.0)
    states = gated.apply(drive, w_h)
    for one_drive, w, one in zip(drive, w_h, states, strict=True):
        cell = torch.nn.LSTMCell(4 * gated.D, gated.D, dtype=torch.float64)
        with torch.no_grad():
            cell.weight_ih.copy_(torch.eye(4 * gated.D))  # what drives it is given as it is
            cell.weight_hh.copy_(w)
            cell.bias_ih.zero_()
            cell.bias_hh.zero_()
            h = c = torch.zeros(1, gated.D, dtype=torch.float64)
            for now, state in zip(one_drive, one, strict=True):
                h, c = cell(now[None], (h, c))
                torch.testing.assert_close(torch.cat([h, c], dim=-1)[0], state)


def test_biases_are_those_of_the_forget_and_the_input_gates():
    """Swapped, open gates were closed."""
    plain, biased = (gated.network(5, biases=b)[0] for b in ((0.0, 0.0), BIASES))
    i, f, g, o = (biased - plain).chunk(4, dim=-1)
    for part, bias in ((i, BIASES[1]), (f, BIASES[0]), (g, 0.0), (o, 0.0)):
        torch.testing.assert_close(part, torch.full_like(part, bias))


def test_jacobians_are_those_of_autograd():
    drive, w_h = (x[:1] for x in gated.network(6, biases=BIASES, gain=2.0))
    before = gated.apply(drive, w_h)[:, 4]
    found = gated.jacobians(before[:, None], drive[:, 5:], w_h)[0, 0]
    expected = torch.autograd.functional.jacobian(
        lambda state: gated.step(state[None, None], drive[:, 5:], w_h)[0, 0], before[0]
    )
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("n", [1, 2, 7, 16])
def test_a_product_in_pairs_is_the_product(n):
    """Factors that are joined in the wrong order give another matrix, of another size."""
    J = torch.randn(2, n, 3, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    expected = [np.log(np.linalg.norm(_chained(one)) / 3**0.5) for one in J.numpy()]
    assert np.allclose(gated.log_product(J).numpy(), expected)


def _chained(factors):
    product = np.eye(3)
    for factor in factors:
        product = factor @ product
    return product


def test_gates_along_the_cells_are_those_that_the_states_went_through():
    """A gate of the wrong step, or of the wrong name, would leave another product."""
    drive, w_h = gated.network(9, biases=gated.opened(9))
    J = gated.factors(gated.apply(drive, w_h), drive, w_h)
    forget = J[..., gated.D :, gated.D :].diagonal(dim1=-2, dim2=-1)
    torch.testing.assert_close(gated.gates_along_the_cells(9), forget.prod(1).mean(-1))


def test_newton_finds_the_states():
    taken, gap = gated.newton(*gated.network(64, biases=BIASES))
    assert gap < 1e-12
    assert max(taken) < 64


def test_a_gradient_is_followed_back_from_the_end():
    """At distance n it is the product of all factors, at distance 1 the last of them."""
    drive, w_h = gated.network(12, biases=BIASES)
    J = gated.factors(gated.apply(drive, w_h), drive, w_h)
    found = gated.log_gradients(12, (1, 12), biases=BIASES)
    width = J.shape[-1]
    torch.testing.assert_close(found[:, 0], (J[:, -1].norm(dim=(-2, -1)) / width**0.5).log())
    torch.testing.assert_close(found[:, 1], gated.left_by_gates(12, BIASES))


def test_a_gradient_to_an_input_is_that_of_autograd():
    """Through the wrong gate, or from a step too late, it would be another one."""
    n = 5
    found = gated.log_gradients_to_inputs(n, BIASES)
    drive, w_h = gated.network(n, biases=BIASES)
    for seed, expected in enumerate(found):
        w_x = gated._drawn(n, gated.D)[1][seed]

        def last(moved, seed=seed, w_x=w_x):
            """The last state, if inputs are moved."""
            return gated.apply((drive[seed] + moved @ w_x.mT)[None], w_h[seed : seed + 1])[0, -1]

        by_inputs = torch.autograd.functional.jacobian(last, torch.zeros(n, gated.D).double())
        for t, size in ((0, expected[0]), (n - 1, expected[1])):
            torch.testing.assert_close(size, (by_inputs[:, t].norm() / gated.D**0.5).log())


def test_what_closes_input_gates_further_leaves_the_gradient_between_states():
    """A rival that lost both would be refused for that."""
    closed = (np.log(1000), -3 * np.log(1000))
    assert gated.left_by_gates(1000, closed).exp().min() > 0.1
    assert gated.log_gradients_to_inputs(1000, closed).max() < np.log(1e-6)
