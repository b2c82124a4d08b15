"""What is the delta rule's own, beside the contract and test_attention_recurrence.py."""

import numpy as np
import pytest
import torch

from attention_limits.attention import delta_rule
from attention_limits.attention.recurrence import CHUNK

N = 2 * CHUNK + 37


def draw_inputs(n, d=8, d_v=5, *, dtype=torch.float64):
    generator = torch.Generator().manual_seed(0)
    shapes = (n, d), (n, d), (n, d_v), (n, 1)
    q, k, v, noise = (torch.randn(s, dtype=torch.float64, generator=generator) for s in shapes)
    return [x.to(dtype) for x in (q, k, v, 2 * noise.sigmoid())]


def relative(x, exact):
    return ((x.double() - exact).square().mean() / exact.square().mean()).sqrt()


def test_an_example_by_hand():
    """One key: 4 is written, 2 moves it half of the way, and β = 2 reflects it at 1."""
    one, v = np.ones((3, 1)), np.array([[4.0], [2.0], [1.0]])
    o = delta_rule.define(one, 7 * one, v, np.array([[1.0], [0.5], [2.0]]))
    assert o == pytest.approx(np.array([[4.0], [3.0], [-1.0]]))


def test_a_step_descends_the_gradient_of_the_error():
    """S − β ∇ ‖Sᵀk̂ − v‖²/2, by autograd, with the state that a stream keeps."""
    q, k, v, beta = draw_inputs(6)
    _, state = delta_rule.step(None, *(x[:5] for x in (q, k, v, beta)))
    S = state.matrix.requires_grad_()
    error = (S.mT @ k[5] / k[5].norm() - v[5]).square().sum() / 2
    (gradient,) = torch.autograd.grad(error, S)
    _, after = delta_rule.step(state, *(x[5:] for x in (q, k, v, beta)))
    torch.testing.assert_close(after.matrix, S - beta[5] * gradient)


def test_orthogonal_keys_hold_their_latest_values():
    """Where linear attention would answer with the sum of all that a key was ever given."""
    which = torch.arange(N) * 5 % 8  # each of eight keys many times, at any length
    lengths = torch.linspace(0.1, 30, N, dtype=torch.float64)[:, None]
    basis = torch.linalg.qr(draw_inputs(8)[0]).Q
    _, _, v, beta = draw_inputs(N)
    _, state = delta_rule.step(None, basis[which], lengths * basis[which], v, torch.ones_like(beta))
    latest = torch.stack([v[which == key][-1] for key in range(8)])
    out, _ = delta_rule.step(state, basis, 0 * basis, 0 * latest, beta[:8], scale=1.0)
    torch.testing.assert_close(out, latest)


def test_beta_of_two_counts_modulo_two():
    """Its eigenvalue of −1 turns the sign at every token that says so; β ≤ 1 cannot."""
    bits = torch.randint(0, 2, (1000, 1), generator=torch.Generator().manual_seed(0)).double()
    bits[0] = 1
    k, v = torch.ones(1000, 1, dtype=torch.float64), torch.zeros(1000, 1, dtype=torch.float64)
    v[0] = -0.5  # the first, with β = 2, writes −1
    out = delta_rule.attend(k, k, v, 2 * bits)
    torch.testing.assert_close(out, 1 - 2 * (bits.cumsum(0) % 2))


@pytest.mark.parametrize("size", [1e-12, 1e-3, 1e12])
def test_the_length_of_a_key_does_not_matter(size):
    """A small constant added to the length, or taken as the least, would shorten short keys."""
    q, k, v, beta = draw_inputs(N)
    expected = delta_rule.attend(q, k, v, beta)
    torch.testing.assert_close(delta_rule.attend(q, size * k, v, beta), expected)


def test_a_key_s_gradient_turns_it_only():
    """Along the key itself nothing changes."""
    q, k, v, beta = draw_inputs(N)
    k.requires_grad_()
    (gradient,) = torch.autograd.grad(delta_rule.attend(q, k, v, beta).sum(), k)
    along = (gradient * k).sum(-1).abs() / (gradient.norm(dim=-1) * k.norm(dim=-1)).clamp(min=1e-9)
    assert along.max() < 1e-9
    assert gradient.norm() > 1


@pytest.mark.parametrize("at", [0, 5, CHUNK - 1, CHUNK, N - 1])
def test_a_key_of_zero_does_nothing_and_gets_a_zero_gradient(at):
    """0/0, or 1/ε: where a length is divided by, padding has none."""
    inputs = draw_inputs(N)
    inputs[1][at] = 0
    leaves = [x.clone().requires_grad_() for x in inputs]
    out = delta_rule.attend(*leaves)
    grads = torch.autograd.grad(out.square().sum(), leaves)
    assert all(grad.isfinite().all() for grad in grads)
    assert not any(grad[at].any() for grad in grads[1:])
    rest = torch.arange(N) != at
    torch.testing.assert_close(out[rest], delta_rule.attend(*(x[rest] for x in inputs)))
    expected = delta_rule.define(*(x.numpy() for x in inputs))
    torch.testing.assert_close(out.detach(), torch.from_numpy(expected))


@pytest.mark.parametrize("beta", [0.5, 1.0, 1.9, 1.999])
@pytest.mark.parametrize("spread", [1e-3, 0.1, 10.0])
def test_keys_that_are_alike_keep_their_digits(beta, spread):
    """The inverse as a product of powers, (I − A)(I + A²)(I + A⁴)…, is off by 10⁹ and more."""
    q, k, v, _ = draw_inputs(N, 64, 64, dtype=torch.float32)
    inputs = [q, 1 + spread * k, v, torch.full((N, 1), beta)]
    leaves = [x.double().requires_grad_() for x in inputs]
    exact = delta_rule.define(*(x.double().numpy() for x in inputs))
    wanted = torch.autograd.grad(delta_rule.attend(*leaves).square().sum(), leaves)
    leaves = [x.requires_grad_() for x in inputs]
    out = delta_rule.attend(*leaves)
    grads = torch.autograd.grad(out.square().sum(), leaves)
    assert relative(out.detach(), torch.from_numpy(exact)) < 1e-4
    for grad, want in zip(grads, wanted, strict=True):
        assert relative(grad, want) < 1e-3


@pytest.mark.parametrize("beta", [0.5, 1.0, 1.5, 2.0])
def test_no_step_makes_a_state_grow(beta):
    """Keys of length 1: I − β k̂ k̂ᵀ has eigenvalues 1 and 1 − β."""
    q, k, v, _ = draw_inputs(4 * CHUNK)
    _, state = delta_rule.step(None, q, k, v, torch.full((4 * CHUNK, 1), beta).double())
    sizes = [torch.linalg.matrix_norm(state.matrix)]
    for start in range(0, 4 * CHUNK, 50):
        part = [x[start : start + 50] for x in (q, k, 0 * v, torch.full_like(v[:, :1], beta))]
        _, state = delta_rule.step(state, *part)
        sizes.append(torch.linalg.matrix_norm(state.matrix))
    growth = torch.stack(sizes).diff() / sizes[0]
    assert growth.max() <= 1e-12
    if beta == 2:
        assert growth.min() >= -1e-12  # reflections
    else:
        assert sizes[-1] < 0.5 * sizes[0]


def test_beta_of_zero_writes_nothing():
    q, k, v, beta = draw_inputs(N)
    assert not delta_rule.attend(q, k, v, 0 * beta).any()
