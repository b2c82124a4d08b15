"""Tensors to test with, and how near two of them have to be: one place for all tests."""

import pytest
import torch

# Items for a device exist only where it does: nothing is collected that can only skip.
DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
on_devices = pytest.mark.parametrize("device", DEVICES)


def draw(q_shape, k_shape, width=None, *, seed=0, dtype=torch.float64, device="cpu"):
    """Standard normal q, k, v; values as wide as keys unless told."""
    generator = torch.Generator().manual_seed(seed)
    shapes = q_shape, k_shape, (*k_shape[:-1], width or k_shape[-1])
    return [torch.randn(s, generator=generator, dtype=dtype).to(device) for s in shapes]


def assert_close(actual, expected, *, within=1e-12):
    """The same numbers, but for the last digits."""
    torch.testing.assert_close(actual.detach().cpu(), expected, atol=within, rtol=within)
