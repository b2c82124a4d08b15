"""Does finding room for its tensors explain why a mechanism's time outgrows its FLOPs?

The C library gives large tensors back to the operating system as soon as they are freed, and asks
for the same memory again at the next call. The system hands it out page by page, each at the first
touch, filled with zeros: a page fault. Told to keep what it has, the library asks for nothing.
What it gives back depends on what else has run, so mechanisms take turns, as in ``scaling``.

They are timed both ways, in processes of their own, since the library reads its settings
when it starts. Only glibc has these settings; elsewhere both ways are the same.
"""

import json
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from attention_limits.checks import Plain
from attention_limits.experiments import scaling
from attention_limits.progress import Progress, silent
from attention_limits.runs import timing
from attention_limits.runs.records import Run
from attention_limits.runs.statistics import Fit, fit

COLUMNS = ("mechanism", "memory", "n", "quantity", "repeat", "value")
TIMED = True
KEEPS = {
    "MALLOC_MMAP_THRESHOLD_": str(2**30),  # bytes from which a tensor gets a mapping of its own
    "MALLOC_TRIM_THRESHOLD_": str(2**31 - 1),  # free bytes from which some are given back
    "MALLOC_TOP_PAD_": str(2**28),  # bytes that are asked for at a time
}
MEMORY = {"given back": {}, "kept": KEEPS}


@dataclass(frozen=True)
class Config(Plain):
    """What a run depends on, the machine aside.

    Args:
        mechanisms: names of ``scaling.MECHANISMS``.
        lengths: numbers of tokens, ascending.
        longest_dense: what writes its square out goes no further.
        d: the width of the one head.
        repeats: how often each length is timed.
        device: the CPU: other devices have allocators of their own.
        threads: how many threads compute.
        seed: of the numbers that go in.
    """

    mechanisms: tuple[str, ...] = ("dense", "recurrent", "linear")
    lengths: tuple[int, ...] = tuple(2**power for power in range(10, 16))
    longest_dense: int = 8192
    d: int = 64
    repeats: int = 7
    device: str = "cpu"
    threads: int = 1
    seed: int = 0


PRESETS = {
    "smoke": Config(lengths=(32, 64), d=16, repeats=2),
    "book": Config(repeats=0),
    "full": Config(),
}
DURATIONS = {"smoke": "a few seconds", "book": "a few seconds", "full": "about a minute"}


def measure(config: Config, progress: Progress | None = None) -> Iterator[dict]:
    """Seconds and page faults of each mechanism, one way and then the other; rows as they come."""
    progress = progress or silent
    if not config.repeats:
        return
    for number, (memory, settings) in enumerate(MEMORY.items()):
        progress(number / len(MEMORY), f"memory is {memory}")
        code = f"from {__name__} import in_a_process; in_a_process({json.dumps(asdict(config))!r})"
        done = subprocess.run(
            [sys.executable, "-c", code],
            env=os.environ | settings,
            check=True,
            capture_output=True,
            text=True,
        )
        for mechanism, *rest in json.loads(done.stdout):
            yield dict(zip(COLUMNS, (mechanism, memory, *rest), strict=True))


def in_a_process(fields: str) -> None:
    """Print what is found with this process's memory."""
    given: dict[str, Any] = json.loads(fields)
    lists = {name: tuple(given[name]) for name in ("mechanisms", "lengths")}
    config = Config(**given | lists)
    print(json.dumps([row for n in config.lengths for row in _at(n, config)]))


def _at(n: int, config: Config) -> Iterator[tuple[str, int, str, int, float]]:
    """All that is found at one length."""
    calls = scaling.computations(
        [name for name in config.mechanisms if name != "dense" or n <= config.longest_dense],
        n,
        scaling.Config(d=config.d, seed=config.seed, device=config.device),
    )
    on = (config.device, config.threads)
    counts = {name: timing.warm_up(compute, *on) for name, compute in calls.items()}
    for repeat in range(config.repeats):
        for name, compute in calls.items():
            before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
            seconds = timing.seconds(compute, *on, counts[name])
            faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
            yield name, n, "seconds", repeat, seconds
            yield name, n, "faults", repeat, faults / counts[name]


def exponent(run: Run, mechanism: str, memory: str) -> Fit:
    """The power of n with which the seconds grow, over as many lengths as ``scaling`` takes."""
    rows = [
        row
        for row in run.records
        if (row["mechanism"], row["memory"], row["quantity"]) == (mechanism, memory, "seconds")
    ]
    last = sorted({row["n"] for row in rows})[-scaling.TAIL :]
    tail = [row for row in rows if row["n"] in last]
    return fit([row["n"] for row in tail], [row["value"] for row in tail])


def faults(run: Run, n: int) -> float:
    """The page faults of a call of dense attention, where memory is given back."""
    return _median(run, n, "faults", "given back")


def slower(run: Run, n: int) -> float:
    """How many times as long dense attention takes where memory is given back."""
    return _median(run, n, "seconds", "given back") / _median(run, n, "seconds", "kept")


def _median(run: Run, n: int, quantity: str, memory: str) -> float:
    return median(run.values(mechanism="dense", memory=memory, n=n, quantity=quantity))
