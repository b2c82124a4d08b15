"""What a measurement has to say about where it was made, and what the place has room for."""

import os
import platform
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

import numpy as np
import torch

PACKAGE = Path(__file__).parents[1]


def provenance(
    device: str = "cpu", threads: int | None = None, packages: Sequence[str] = ()
) -> dict[str, object]:
    """When and on what something was measured; the machine's kind, never its name.

    Args:
        device: what computed.
        threads: how many threads of a CPU; None for as many as PyTorch takes.
        packages: others whose versions matter; None stands for one that is not installed.
    """
    return {
        "date": now(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "package": _version("attention-limits") or "not installed",
        **_commit(),
        "system": platform.system(),
        "processor": processor(),
        "cores": os.cpu_count(),
        "threads": threads or torch.get_num_threads(),
        "device": device_name(device),
        **({"packages": {name: _version(name) for name in packages}} if packages else {}),
    }


def now() -> str:
    """The date and the time of day, in UTC."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def processor() -> str:
    """The processor's model, as the operating system reports it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()


def device_name(device: str) -> str:
    """What computes: the processor, or the model of the accelerator."""
    kind = torch.device(device).type
    if kind == "cpu":
        return processor()
    # Each backend has a module of its own; Apple's names no model.
    name = getattr(getattr(torch, kind, None), "get_device_name", lambda _: kind)
    return name(device)


def free_bytes(device: str) -> int | None:
    """Memory that a computation may still take; None where nobody says.

    A system that overcommits does not refuse what it lacks: it kills the process, and with it a
    reader's notebook. So whoever allocates a square asks here first.
    """
    if torch.device(device).type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    if torch.device(device).type != "cpu":
        return None
    return min(filter(None, (_free_in_machine(), _free_in_container())), default=None)


def _free_in_machine() -> int | None:
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    free = [int(line.split()[1]) for line in lines if line.startswith("MemAvailable")]
    return free[0] * 1024 if free else None


def _free_in_container(folder: Path = Path("/sys/fs/cgroup")) -> int | None:
    """What a container (Binder's, say) has left of its share of the machine."""
    try:
        limit, used = ((folder / f"memory.{name}").read_text() for name in ("max", "current"))
    except OSError:
        return None
    return None if limit.strip() == "max" else int(limit) - int(used)


def _version(package: str) -> str | None:
    """The version that is installed, if it is."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _commit() -> dict[str, object]:
    """The commit of the checkout that this package is part of, and whether that was edited."""
    try:
        # An environment may lie in somebody's repository and not be part of it.
        _git("ls-files", "--error-unmatch", "__init__.py")
        return {"commit": _git("rev-parse", "HEAD"), "dirty": bool(_git("status", "--porcelain"))}
    except (OSError, subprocess.CalledProcessError):
        return {"commit": None, "dirty": None}


def _git(*arguments: str) -> str:
    """What git says, asked in the package's folder."""
    command = ["git", "-C", str(PACKAGE), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
