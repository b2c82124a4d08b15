"""What limits a kernel: the arithmetic of the chip, or the traffic to its memory.

A kernel of F FLOPs that moves B bytes does F/B FLOPs a byte, its arithmetic intensity. No kernel
runs faster than the chip's peak, nor than its intensity times the bandwidth of the memory: that is
the roof (:cite:t:`williams2009roofline`). Both of its parts are measured here, too.

Conventions, for one head, n queries and keys of width d, 4 bytes a number:

- FLOPs of a product are two a multiply-add. A softmax takes ``SOFTMAX`` of them a score: compare
  (for the maximum), subtract it, exponentiate, add up, divide. An exponential counts as one, which
  flatters it: it takes a dozen instructions or so.
- Bytes are the least that a kernel can move: its inputs read once, its outputs written once. What
  a cache keeps from one kernel for the next, or has to fetch twice, is not counted.
"""

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import median
from typing import NamedTuple

import torch

from attention_limits.attention import dense
from attention_limits.checks import Plain
from attention_limits.experiments.scaling import written_out
from attention_limits.progress import Progress
from attention_limits.runs import timing
from attention_limits.runs.records import Run

COLUMNS = ("kernel", "quantity", "repeat", "value")
TIMED = True
SOFTMAX = 5
NUMBER = 4  # bytes, of a float32


@dataclass(frozen=True)
class Config(Plain):
    """What a run depends on, the machine aside.

    Args:
        n, d: queries and keys of the head, and its width.
        product: rows of the square matrices whose product shows the peak.
        copied: numbers in the copy that shows the bandwidth, far more than any cache holds.
        repeats: how often each kernel is timed; 0 counts and leaves the clock alone.
        device: where.
        threads: how many threads of a CPU compute.
        seed: of the numbers that go in.
    """

    n: int = 4096
    d: int = 64
    product: int = 2048
    copied: int = 2**26
    repeats: int = 15
    device: str = "cpu"
    threads: int = 1
    seed: int = 0


PRESETS = {
    "smoke": Config(n=128, d=16, product=64, copied=2**12, repeats=2),
    "book": Config(repeats=0),
    "full": Config(),
}
DURATIONS = {"smoke": "a second", "book": "a second", "full": "about half a minute"}


class Kernel(NamedTuple):
    """One kernel: what it counts, what it moves at least, and how it is called."""

    flops: int
    moved: int  # bytes
    compute: Callable[[], torch.Tensor]


PEAK, BANDWIDTH = "square product", "copy"  # these two show the roof, the others stay under it


def measure(config: Config, progress: Progress | None = None) -> Iterator[dict]:
    """Count FLOPs and bytes of every kernel, then time them in turn; rows as they come."""
    every = kernels(config)
    for name, kernel in every.items():
        yield _row(name, "flops", 0, kernel.flops)
        yield _row(name, "bytes", 0, kernel.moved)
    if not config.repeats:
        return
    on = config.device, config.threads
    calls = {name: timing.warm_up(kernel.compute, *on) for name, kernel in every.items()}
    for repeat in range(config.repeats):
        if progress:
            progress(repeat / config.repeats, f"repeat {repeat + 1} of {config.repeats}")
        for name, kernel in every.items():
            yield _row(name, "seconds", repeat, timing.seconds(kernel.compute, *on, calls[name]))


def kernels(config: Config) -> dict[str, Kernel]:
    """Every kernel by name, with its inputs, and with room for its output where it takes that.

    Else each call would fetch fresh memory, which the system has to clear first. Attention as a
    whole, written out, does fetch it: that is how it is used.
    """
    generator, n, d = torch.Generator().manual_seed(config.seed), config.n, config.d
    device = config.device if config.repeats else "meta"  # what is only counted needs no numbers

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator).to(device)

    q, k, v, out = (normal(n, d) for _ in range(4))
    scores, weights = q @ k.mT, torch.softmax(q @ k.mT, dim=-1)
    one, other, product = (normal(config.product, config.product) for _ in range(3))
    source, target = (torch.ones(config.copied, device=device) for _ in range(2))

    half, softmax = 2 * n * n * d, SOFTMAX * n * n  # FLOPs: of either product, of the softmax
    square, tall = NUMBER * n * n, NUMBER * n * d  # bytes: of the scores, of q, k, v or the output
    matmul, call = torch.matmul, functools.partial
    return {
        PEAK: Kernel(2 * len(one) ** 3, 3 * one.nbytes, call(matmul, one, other, out=product)),
        BANDWIDTH: Kernel(0, 2 * source.nbytes, call(target.copy_, source)),
        "scores": Kernel(half, 2 * tall + square, call(matmul, q, k.mT, out=scores)),
        "softmax": Kernel(softmax, 2 * square, call(torch.softmax, scores, -1, out=weights)),
        "mixing": Kernel(half, square + 2 * tall, call(matmul, weights, v, out=out)),
        "written out": Kernel(
            2 * half + softmax, 4 * tall + 4 * square, call(written_out, q, k, v)
        ),
        "fused": Kernel(2 * half + softmax, 4 * tall, call(dense.attend, q, k, v)),
    }


def intensity(run: Run, kernel: str) -> float:
    """FLOPs for each byte that the kernel moves at least."""
    (flops,), (moved,) = (run.values(kernel=kernel, quantity=q) for q in ("flops", "bytes"))
    return flops / moved


def speed(run: Run, kernel: str, quantity: str = "flops") -> float:
    """FLOPs, or bytes, that a kernel does each second: the median of its repeats."""
    (done,) = run.values(kernel=kernel, quantity=quantity)
    return done / median(run.values(kernel=kernel, quantity="seconds"))


def roof(run: Run) -> tuple[float, float]:
    """The peak, in FLOPs a second, and the bandwidth, in bytes a second: the best of the repeats.

    A roof is what can be reached: whatever slows a repeat down is no property of the chip.
    """
    (flops,), (moved,) = (
        run.values(kernel=PEAK, quantity="flops"),
        run.values(kernel=BANDWIDTH, quantity="bytes"),
    )
    times = (run.values(kernel=name, quantity="seconds") for name in (PEAK, BANDWIDTH))
    peak, bandwidth = (done / min(time) for done, time in zip((flops, moved), times, strict=True))
    return peak, bandwidth


def _row(kernel: str, quantity: str, repeat: int, value: float) -> dict:
    return dict(zip(COLUMNS, (kernel, quantity, repeat, value), strict=True))
