"""What a run says: medians, ratios, shares of the peak, and who was missing."""

from statistics import median

from attention_limits.experiments.speed import PRODUCT, WORKS
from attention_limits.runs.records import Run


def typical(
    run: Run, group: str, contestant: str, work: str, quantity: str, n: int
) -> float | None:
    """The median of what was measured; None if nothing was."""
    values = run.values(group=group, contestant=contestant, work=work, quantity=quantity, n=n)
    return median(values) if values else None


def ratio(
    run: Run, group: str, ours: str, peer: str, work: str, n: int, quantity: str = "seconds"
) -> float | None:
    """Ours over the peer's, below 1 where ours needs less; None if either was not measured."""
    taken, by_peer = (typical(run, group, name, work, quantity, n) for name in (ours, peer))
    return taken / by_peer if taken and by_peer else None


def share_of_peak(run: Run, group: str, ours: str, work: str, n: int) -> float | None:
    """Useful FLOPs a second over those of the square product that took turns with it."""

    def speed(name: str, work: str) -> float | None:
        flops, seconds = (typical(run, group, name, work, q, n) for q in ("flops", "seconds"))
        return flops / seconds if flops and seconds else None

    reached, peak = speed(ours, work), speed(PRODUCT, WORKS[0])
    return reached / peak if reached and peak else None


def missing(run: Run) -> list[str]:
    """Who was not measured for want of a package or a compiler, each once."""
    rows = (row for row in run.records if row["quantity"] == "missing")
    return list(dict.fromkeys(row["contestant"] for row in rows))
