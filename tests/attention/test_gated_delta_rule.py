"""What is the gated delta rule's own, beside the contract and test_attention_recurrence.py."""

import numpy as np
import pytest
import torch

from attention_limits.attention import delta_rule, gated_delta_rule, gated_linear
from attention_limits.attention.recurrence import CHUNK

N = 2 * CHUNK + 37


def draw_inputs(n, d=8, d_v=5, *, dtype=torch.float64):
    """q, k, v, a decay of about e^-0.1 a token, β."""
    generator = torch.Generator().manual_seed(0)
    shapes = (n, d), (n, d), (n, d_v), (n, 1), (n, 1)
    q, k, v, a, b = (torch.randn(s, dtype=torch.float64, generator=generator) for s in shapes)
    return [x.to(dtype) for x in (q, k, v, -0.1 * a.abs(), 2 * b.sigmoid())]


def test_an_example_by_hand():
    """What is taken out has decayed before: 4; 4/2, and half of the way from there to 6."""
    one, v = np.ones((2, 1)), np.array([[4.0], [6.0]])
    log_decay, beta = np.log([[0.5], [0.5]]), np.array([[1.0], [0.5]])
    o = gated_delta_rule.define(one, 3 * one, v, log_decay, beta)
    assert o == pytest.approx(np.array([[4.0], [4.0]]))


def test_what_is_written_has_not_decayed_yet():
    """Decaying after the write instead would give half of it."""
    one = torch.ones(1, 1)
    out = gated_delta_rule.attend(one, one, 4 * one, torch.log(one / 2), one)
    torch.testing.assert_close(out, 4 * one)


def test_without_decay_it_is_the_delta_rule():
    q, k, v, log_decay, beta = draw_inputs(N)
    out = gated_delta_rule.attend(q, k, v, 0 * log_decay, beta)
    torch.testing.assert_close(out, delta_rule.attend(q, k, v, beta))


def test_with_keys_that_never_return_it_is_gated_linear_attention():
    """Nothing is found, so nothing is taken out: k̂ is summed, with the value β v."""
    q, _, v, log_decay, beta = draw_inputs(100, 100)
    k = torch.linalg.qr(q).Q
    out = gated_delta_rule.attend(q, 5 * k, v, log_decay, beta)
    torch.testing.assert_close(out, gated_linear.attend(q, k, beta * v, log_decay))


@pytest.mark.parametrize("strong", [-1e4, -1e30, -torch.inf])
@pytest.mark.parametrize("at", [1, 70, CHUNK, 2 * CHUNK - 1])
def test_nothing_passes_a_hard_reset(at, strong):
    """What comes after is as if it had come first, and weak decays keep their digits."""
    inputs = draw_inputs(N, dtype=torch.float32)
    inputs[3] = inputs[3] / 100
    inputs[3][at] = strong
    leaves = [x.requires_grad_() for x in inputs]
    out = gated_delta_rule.attend(*leaves)
    alone = [x[at:].detach().double() for x in inputs]
    expected = torch.from_numpy(gated_delta_rule.define(*(x.numpy() for x in alone)))
    error = (out[at:].detach().double() - expected).square().mean() / expected.square().mean()
    assert error.sqrt() < 5e-6
    grads = torch.autograd.grad(out[at:].sum(), leaves)
    assert all(grad.isfinite().all() for grad in grads)
    assert not any(grad[:at].any() for grad in grads)
    assert not grads[3][at].any()


@pytest.mark.parametrize("strong", [-20.0, -1e30, -torch.inf])
def test_every_decay_is_strong(strong):
    """e^(64 · 20) overflows even in float64; each token finds next to nothing and writes β v."""
    inputs = draw_inputs(N, dtype=torch.float32)
    inputs[3] = torch.full_like(inputs[3], strong)
    leaves = [x.requires_grad_() for x in inputs]
    out = gated_delta_rule.attend(*leaves)
    q, k, v, _, beta = (x.detach() for x in inputs)
    lone = (q * k / k.norm(dim=-1, keepdim=True)).sum(-1, keepdim=True) * beta * v / 8**0.5
    torch.testing.assert_close(out.detach(), lone, atol=1e-6, rtol=1e-4)
    assert all(grad.isfinite().all() for grad in torch.autograd.grad(out.sum(), leaves))


def test_a_key_of_zero_writes_nothing_but_its_token_still_decays():
    inputs = draw_inputs(N)
    inputs[1][70] = 0
    leaves = [x.requires_grad_() for x in inputs]
    out = gated_delta_rule.attend(*leaves)
    grads = torch.autograd.grad(out.square().sum(), leaves)
    assert all(grad.isfinite().all() for grad in grads)
    assert not grads[1][70].any()
    assert not grads[2][70].any()
    assert grads[3][70].all()
    expected = gated_delta_rule.define(*(x.detach().numpy() for x in inputs))
    torch.testing.assert_close(out.detach(), torch.from_numpy(expected))
