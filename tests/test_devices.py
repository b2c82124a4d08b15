"""Where to compute: a reader's typing error must not end in a traceback of a backend's."""

import pytest
import torch

from attention_limits import devices


def test_auto_is_a_device_that_computes():
    """A device that PyTorch names but cannot use would fail in the middle of a chapter."""
    assert torch.ones(2, device=devices.choose("auto")).sum() == 2


def test_a_named_device_is_taken():
    """Whoever asks for the CPU of a machine with a GPU must get it."""
    assert devices.choose("cpu") == torch.device("cpu")


@pytest.mark.parametrize("name", ["gpu", "cuda:99", ""])
def test_what_is_no_device_here_is_refused_by_name(name):
    """A misspelt device, and one that this machine lacks, both say what would be right."""
    with pytest.raises(ValueError, match=r"device must be 'auto' or one that this machine has"):
        devices.choose(name)


@pytest.mark.parametrize(
    ("device", "dtype"), [("cpu", torch.float64), ("cuda", torch.float64), ("mps", torch.float32)]
)
def test_the_widest_float_is_one_that_the_device_has(device, dtype):
    """Apple's GPUs have no float64: a chapter that asks for it would not run there."""
    assert devices.widest_float(torch.device(device)) == dtype


def test_whatever_is_available_computes():
    """A menu offered a device that is not there, or left the CPU out."""
    assert "cpu" in devices.available()
    for name in devices.available():
        assert torch.ones(2, device=devices.choose(name)).sum() == 2
