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


def a_torch_that_knows(monkeypatch, device, *, works):
    """PyTorch as it answers where it was built for ``device``, which is there or is not."""
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda: torch.device(device))
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: works)


def test_a_cuda_build_without_a_gpu_computes_on_the_cpu(monkeypatch):
    """PyPI's PyTorch on Linux names CUDA on a laptop too: no driver was found, in chapter one."""
    a_torch_that_knows(monkeypatch, "cuda", works=False)
    assert devices.choose("auto") == torch.device("cpu")
    assert devices.available() == ["cpu"]


def test_an_accelerator_that_works_is_chosen(monkeypatch):
    """Whoever has a GPU was left to compute on the CPU."""
    a_torch_that_knows(monkeypatch, "cuda", works=True)
    assert devices.choose("auto") == torch.device("cuda")
    assert devices.available() == ["cpu", "cuda"]
