"""What is gated linear attention's own, beside the contract and test_attention_recurrence.py."""

import numpy as np
import pytest
import torch
from helpers.tensors import gradients
from torch.utils.flop_counter import FlopCounterMode

from attention_limits.attention import gated_linear
from attention_limits.attention.recurrence import CHUNK
from attention_limits.meters import PeakMemory

N = 2 * CHUNK + 37
WIDTHS = pytest.mark.parametrize("width", [1, 8], ids=["one number", "per channel"])


def draw_inputs(n, width, *, dtype=torch.float64, lead=()):
    """q, k, v and a decay of about e^-0.001 a token, which forgets next to nothing."""
    generator = torch.Generator().manual_seed(0)
    q, k, v, noise = (
        torch.randn(*lead, n, w, dtype=torch.float64, generator=generator) for w in (8, 8, 5, width)
    )
    return [x.to(dtype) for x in (q, k, v, -1e-3 * noise.abs())]


def relative(x, exact):
    return ((x.double() - exact).square().mean() / exact.square().mean()).sqrt()


def test_an_example_by_hand():
    """Each token halves what there was: 4, 4/2 + 2, 4/4 + 2/2 + 8."""
    one, v = np.ones((3, 1)), np.array([[4.0], [2.0], [8.0]])
    o = gated_linear.define(one, one, v, np.log(one / 2))
    assert o == pytest.approx(np.array([[4.0], [4.0], [10.0]]))


def test_each_channel_of_the_key_has_its_own_decay():
    """Not of the value: two keys, one of which fades, and a query for either."""
    k = v = np.eye(2)
    half, q = np.log([[1.0, 1.0], [0.5, 1.0]]), np.array([[0.0, 0.0], [1.0, 1.0]])
    o = gated_linear.define(q, k, v, half, scale=1.0)
    assert o == pytest.approx(np.array([[0, 0], [0.5, 1.0]]))
    out = gated_linear.attend(*map(torch.from_numpy, (q, k, v, half)), scale=1.0)
    torch.testing.assert_close(out, torch.from_numpy(o))


@WIDTHS
def test_without_decay_it_is_a_running_sum(width):
    q, k, v, _ = draw_inputs(N, width)
    out = gated_linear.attend(q, k, v, torch.zeros(N, width, dtype=torch.float64), scale=1.0)
    torch.testing.assert_close(out, (q @ k.mT).tril() @ v)


def test_equal_channels_are_one_number():
    """The two ways through a chunk, against each other."""
    q, k, v, log_decay = draw_inputs(N, 1)
    out = gated_linear.attend(q, k, v, 300 * log_decay)
    other = gated_linear.attend(q, k, v, (300 * log_decay).expand(N, 8))
    torch.testing.assert_close(out, other)


# Strong decay

STRONG = [-100.0, -1e4, -1e30, -torch.inf]
RESETS = [0, 5, CHUNK - 1, CHUNK, CHUNK + 1, N - 1]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("strong", STRONG)
@WIDTHS
def test_a_weak_decay_after_a_strong_one_keeps_its_digits(width, strong, dtype):
    """A difference of running sums has lost e^-0.001 beside −1e30, and is NaN beside −∞."""
    inputs = draw_inputs(N, width, dtype=dtype)
    inputs[3][RESETS] = strong
    exact = gated_linear.define(*(x.double().numpy() for x in inputs))
    out, grads = gradients(gated_linear.attend, inputs)
    digits = 10 * torch.finfo(dtype).eps
    assert relative(out, torch.from_numpy(exact)) < digits
    _, wanted = gradients(gated_linear.attend, [x.double() for x in inputs])
    for grad, exact in zip(grads, wanted, strict=True):
        assert grad.isfinite().all()
        assert relative(grad, exact) < 10 * digits


@pytest.mark.parametrize("strong", STRONG[1:])  # e^-100 is small, but it is not 0
@WIDTHS
def test_nothing_passes_a_hard_reset(width, strong):
    """What comes after is as if it had come first, and what came before gets no gradient of it."""
    inputs = draw_inputs(N, width)
    inputs[3][70] = strong
    out, grads = gradients(gated_linear.attend, inputs)
    alone = [x[70:].clone() for x in inputs]
    torch.testing.assert_close(out[70:], gated_linear.attend(*alone), atol=1e-14, rtol=1e-13)
    assert not grads[3][70].any()  # a little more or less than e^-10000 is 0 all the same
    last = [x.clone().requires_grad_() for x in inputs]
    for grad in torch.autograd.grad(gated_linear.attend(*last)[70:].sum(), last):
        assert not grad[:70].any()


@pytest.mark.parametrize("strong", [-5.0, -20.0, -1e4, -1e30, -torch.inf])
@WIDTHS
def test_every_decay_is_strong(width, strong):
    """e^(+64 · 5) would already overflow in float32, and 64 · −1e38 even as a sum."""
    inputs = draw_inputs(N, width, dtype=torch.float32)
    inputs[3] = torch.full_like(inputs[3], strong)
    exact = gated_linear.define(*(x.double().numpy() for x in inputs))
    out, grads = gradients(gated_linear.attend, inputs)
    assert relative(out, torch.from_numpy(exact)) < 1e-6
    assert all(grad.isfinite().all() for grad in grads)
    assert all(grad.any() for grad in grads[:3])


def test_channels_do_not_spoil_each_other():
    """One forgets all at every token; its neighbour nothing."""
    inputs = draw_inputs(N, 8, dtype=torch.float32)
    inputs[3][:, ::2], inputs[3][:, 1::2] = -torch.inf, 0
    out, grads = gradients(gated_linear.attend, inputs)
    q, k, v = (x.double() for x in inputs[:3])
    now = (q * k)[:, ::2].sum(-1, keepdim=True) * v
    expected = now + (q[:, 1::2] @ k[:, 1::2].mT).tril() @ v
    assert relative(out, expected / 8**0.5) < 1e-6
    assert all(grad.isfinite().all() for grad in grads)


@pytest.mark.parametrize("strong", STRONG)
@WIDTHS
def test_a_stream_survives_a_hard_reset(width, strong):
    inputs = draw_inputs(N, width)
    inputs[3][RESETS] = strong
    state, outputs = None, []
    for tokens in zip(*(x.split(11) for x in inputs), strict=True):
        out, state = gated_linear.step(state, *tokens)
        outputs.append(out)
    torch.testing.assert_close(torch.cat(outputs), gated_linear.attend(*inputs))
    assert state.matrix.isfinite().all()


# What it costs


@pytest.mark.parametrize("per_channel", [False, True])
def test_every_length_is_priced(per_channel):
    """What remains after the whole chunks goes in powers of two: every binary digit counts."""
    executed = gated_linear.cost(per_channel=per_channel).executed
    for n in [*range(1, 2 * CHUNK + 2, 9), CHUNK - 1, CHUNK + 1, 1000]:
        inputs = [torch.empty(n, w, device="meta") for w in (4, 4, 4, 4 if per_channel else 1)]
        with FlopCounterMode(display=False) as counter:
            gated_linear.attend(*inputs)
        assert counter.get_total_flops() == executed(n=n, d=4)


def test_a_token_of_a_stream_does_the_work_of_one_token():
    """Not that of a whole chunk."""
    inputs = [torch.empty(1, w, device="meta") for w in (64, 64, 64, 64)]
    with FlopCounterMode(display=False) as counter:
        gated_linear.step(None, *inputs)
    assert counter.get_total_flops() <= 1.02 * gated_linear.cost().needed(n=1, d=64)


def test_channels_never_make_a_cube():
    """(c, c, d) decays of a chunk would be as big as d squares of it, eight bytes a number."""
    inputs = draw_inputs(CHUNK, 8, lead=(16,))
    with PeakMemory() as memory:
        gated_linear.attend(*inputs)
    assert memory.peak < 16 * CHUNK**2 * 8 * 8 / 2
