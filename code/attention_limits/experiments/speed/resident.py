"""The most memory that a process holds for one pass over a very long sequence, Python included.

Each mechanism has a process of its own, since a process does not forget its peak.
"""

import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch

from attention_limits.attention import clock, linear, offsets, sliding_window

MECHANISMS: dict[str, Callable[[int], Callable[..., torch.Tensor]]] = {
    "linear": lambda n: partial(linear.attend, causal=True),
    "sliding_window": lambda n: partial(sliding_window.attend, window=256, causal=True),
    "offsets": lambda n: partial(offsets.attend, offsets=offsets.powers_of_two(n)),
    "clock": lambda n: partial(clock.attend, period=64),
}


def peak_bytes(name: str, n: int, d: int) -> int:
    """The peak of a fresh process that computes the forward pass of one head.

    Raises:
        MemoryError: if the system killed it, as it does for want of memory.
    """
    code = f"from {__name__} import main; main({name!r}, {n}, {d})"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, check=False, stdout=subprocess.PIPE, text=True)
    if done.returncode == -signal.SIGKILL:
        raise MemoryError(f"{name} was killed at n = {n:,}")
    done.check_returncode()
    return int(done.stdout)


def own_peak_bytes() -> int:
    """The peak of this process.

    Linux's ``ru_maxrss`` also remembers the process that started this one; ``VmHWM`` does not.
    """
    status = Path("/proc/self/status")
    if status.exists():
        (line,) = (x for x in status.read_text().splitlines() if x.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def main(name: str, n: int, d: int) -> None:
    """Compute, and print the peak."""
    torch.set_num_threads(1)
    attend = MECHANISMS[name](n)
    q, k, v = (torch.randn(1, 1, n, d) for _ in range(3))
    with torch.no_grad():
        attend(q, k, v)
    print(own_peak_bytes())
