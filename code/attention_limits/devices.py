"""Where to compute: the accelerator if there is one, and the widest floats that it has."""

import torch


def choose(device: str = "auto") -> torch.device:
    """A device by name; ``"auto"`` is the accelerator that PyTorch finds, or the CPU.

    Raises:
        ValueError: if ``device`` is no device, or not one that this machine has.
    """
    if device == "auto":
        return accelerator() or torch.device("cpu")
    try:
        chosen = torch.device(device)
        torch.empty(0, device=chosen)
    except Exception as error:  # each backend complains in an exception of its own
        raise ValueError(
            f"device must be 'auto' or one that this machine has, got {device!r}: {error}"
        ) from error
    return chosen


def available() -> list[str]:
    """The devices of this machine, by name: the CPU, and the accelerator if there is one."""
    found = accelerator()
    return ["cpu"] if found is None else ["cpu", found.type]


def accelerator() -> torch.device | None:
    """The accelerator of this machine, if there is one that works.

    A CUDA build of PyTorch, which is what PyPI gives on Linux, names ``cuda`` as its accelerator
    on every machine, also on one without a GPU or its driver: so it has to be asked for both.
    """
    if not torch.accelerator.is_available():
        return None
    return torch.accelerator.current_accelerator()


def widest_float(device: torch.device) -> torch.dtype:
    """The most precise floating-point type of a device: float64, where it has that."""
    return torch.float32 if device.type == "mps" else torch.float64
