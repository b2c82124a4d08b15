"""What this package set out to reach, as data, and whether a run shows that it did."""

from typing import NamedTuple

from attention_limits.experiments import speed
from attention_limits.experiments.speed import readings
from attention_limits.runs.records import Run

MILLION = 2**20
FORWARD, BOTH = speed.WORKS


class Target(NamedTuple):
    """A bound on one number of a run.

    Args:
        group, ours: what it is about.
        peer: what it is compared with, or ``speed.PRODUCT`` for the machine's peak; empty where
            bytes are bounded as they are.
        work, quantity, n: what is compared.
        bound: the most that a ratio or a size may be, the least that a share of the peak may be.
    """

    group: str
    ours: str
    peer: str
    work: str
    quantity: str
    n: int
    bound: float

    @property
    def is_share(self) -> bool:
        """Whether it is about a share of the peak, of which more is better."""
        return self.peer == speed.PRODUCT

    def value(self, run: Run) -> float | None:
        """What the run found; None if it did not measure it."""
        if self.is_share:
            return readings.share_of_peak(run, self.group, self.ours, self.work, self.n)
        if self.peer:
            what = self.ours, self.peer, self.work, self.n, self.quantity
            return readings.ratio(run, self.group, *what)
        return readings.typical(run, self.group, self.ours, self.work, self.quantity, self.n)

    def met(self, run: Run) -> bool | None:
        """Whether the run bears it out; None if it did not measure it."""
        value = self.value(run)
        if value is None:
            return None
        return value >= self.bound if self.is_share else value <= self.bound


def _times(group: str, ours: str, peer: str, n: int, bound: float) -> list[Target]:
    """The same bound on both kinds of work."""
    return [Target(group, ours, peer, work, "seconds", n, bound) for work in speed.WORKS]


_WINDOW = ("window", "sliding_window")

TARGETS = (
    Target(*_WINDOW, "flex_attention", FORWARD, "seconds", 16384, 1.1),
    Target(*_WINDOW, "local-attention", BOTH, "seconds", 16384, 0.35),
    Target(*_WINDOW, "Longformer", BOTH, "seconds", 16384, 0.12),
    *_times(*_WINDOW, speed.PRODUCT, 16384, 0.5),
    Target(*_WINDOW, "local-attention", FORWARD, "bytes", 65536, 0.12),
    Target(*_WINDOW, "local-attention", BOTH, "bytes", 65536, 0.4),
    *_times("block_sparse", "block_sparse", "gathered, then SDPA", 16384, 0.5),
    *_times("linear", "linear", "naive chunks", 65536, 0.45),
    *(
        Target("linear", "linear", peer, FORWARD, "seconds", n, bound)
        for peer, bound in (("plain loop", 0.7), (speed.PRODUCT, 0.5))
        for n in (4096, 16384, 65536)
    ),
    *_times("delta_rule", "delta_rule", "naive chunks", 16384, 0.8),
    *_times("gated_delta_rule", "gated_delta_rule", "naive chunks", 16384, 0.8),
    *(
        Target("million", name, "", FORWARD, "resident", MILLION, 4e9)
        for name in ("linear", "sliding_window", "offsets", "clock")
    ),
)
