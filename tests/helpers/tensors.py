"""Tensors to test with, and how near two of them have to be: one place for all tests."""

import pytest
import torch

# Items for a device exist only where it does: nothing is collected that can only skip.
DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
on_devices = pytest.mark.parametrize("device", DEVICES)


def draw(*shapes, seed=0, dtype=torch.float64, device="cpu"):
    """Standard normal tensors, one for each shape."""
    generator = torch.Generator().manual_seed(seed)
    drawn = (torch.randn(shape, generator=generator, dtype=dtype) for shape in shapes)
    return [x.to(device) for x in drawn]


def normal(*shape, **how):
    """One standard normal tensor."""
    [drawn] = draw(shape, **how)
    return drawn


def draw_qkv(q_shape, k_shape, width=None, **how):
    """Standard normal q, k, v; values as wide as keys unless told."""
    return draw(q_shape, k_shape, (*k_shape[:-1], width or k_shape[-1]), **how)


def gradients(attend, inputs, **options):
    """Output, and gradients of a sum with unequal weights (equal ones would hide exchanges)."""
    inputs = [x.detach().requires_grad_() for x in inputs]
    out = attend(*inputs, **options)
    upstream = torch.linspace(-1, 1, out.numel(), dtype=out.dtype, device=out.device)
    return out.detach(), torch.autograd.grad(out, inputs, upstream.view_as(out))


def check_gradients(function, *inputs):
    """Those of each input, of float64, are those that central differences have.

    Along random directions, where one entry after the other takes many times as long. A sum over
    all entries hides a slip in one of them, unless it is held to as many digits as here.
    """
    inputs = [x.detach().clone().requires_grad_() for x in inputs]
    assert torch.autograd.gradcheck(function, inputs, fast_mode=True, rtol=1e-6, atol=1e-9)


def assert_close(actual, expected, *, within=1e-12):
    """The same numbers, but for the last digits."""
    torch.testing.assert_close(actual.detach().cpu(), expected, atol=within, rtol=within)
