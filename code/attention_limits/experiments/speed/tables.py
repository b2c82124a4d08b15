"""A run in tables, for a page of the book and for a terminal."""

from attention_limits.experiments import speed
from attention_limits.experiments.speed import readings
from attention_limits.experiments.speed.contests import GROUPS
from attention_limits.experiments.speed.targets import TARGETS, Target
from attention_limits.runs.records import Run
from attention_limits.runs.table import Table

NOTHING = "–"  # what was not measured
VERDICTS = {True: "✓ met", False: "✗ missed", None: "not measured"}


def ratios(run: Run, group: str, quantity: str = "seconds") -> Table:
    """What ours takes over what each peer takes, at every length; below 1, ours takes less."""
    lengths = run.config["lengths"]
    rows = []
    for ours, peer in GROUPS[group].pairs:
        for work in speed.WORKS:
            found = (readings.ratio(run, group, ours, peer, work, n, quantity) for n in lengths)
            rows.append([f"{ours} / {peer}, {work}", *map(_number, found)])
    measured = [row for row in rows if set(row[1:]) != {NOTHING}]
    return Table([f"{quantity}, ours / peer", *(f"n = {n:,}" for n in lengths)], measured)


def shares(run: Run) -> Table:
    """Useful FLOPs a second over the machine's peak, for each of ours, at every length."""
    lengths, rows = run.config["lengths"], []
    for name in run.config["groups"]:
        for ours in (c.name for c in GROUPS[name].contestants if c.cost):
            for work in speed.WORKS:
                found = (readings.share_of_peak(run, name, ours, work, n) for n in lengths)
                cells = [NOTHING if share is None else f"{share:.0%}" for share in found]
                rows.append([f"{ours}, {work}", *cells])
    return Table(["share of the peak", *(f"n = {n:,}" for n in lengths)], rows)


def targets(run: Run) -> Table:
    """What was aimed at, what was found, and whether that is enough."""
    rows = [[words(t), _bound(t), _found(t, run), VERDICTS[t.met(run)]] for t in TARGETS]
    return Table(["target", "bound", "found", "verdict"], rows)


def conditions(run: Run) -> Table:
    """When, where and with which versions a run was made."""
    made, sizes = run.provenance, run.config["sizes"]
    packages = {"Python": made["python"], "PyTorch": made["torch"], **made["packages"]}
    versions = (f"{name} {version or 'missing'}" for name, version in packages.items())
    commit = f"{made['commit'] or 'unknown'}"[:12] + (", edited" if made["dirty"] else "")
    rows = [
        ("date", made["date"]),
        ("device", f"{made['device']}, {made['cores']} cores, {made['system']}"),
        ("threads", f"{made['threads']}"),
        ("versions", ", ".join(versions)),
        ("commit", commit),
        ("inputs", f"float32, batch 1, {sizes['heads']} heads of width {sizes['d']}, causal"),
    ]
    return Table(["condition", "value"], rows, numbers=False)


def words(target: Target) -> str:
    """What a target is about: ``sliding_window, forward, n = 16,384: seconds / Longformer``."""
    what = f"{target.ours}, {target.work}, n = {target.n:,}: "
    if target.is_share:
        return f"{what}share of the peak"
    return f"{what}{target.quantity} / {target.peer}" if target.peer else f"{what}resident bytes"


def report(run: Run) -> str:
    """Everything, for a terminal."""
    parts = []
    for name in run.config["groups"]:
        parts += [f"{GROUPS[name].title}\n{ratios(run, name)}", str(ratios(run, name, "bytes"))]
    parts += [str(shares(run)), str(targets(run))]
    absent = ", ".join(readings.missing(run))
    return "\n\n".join([*parts, *([f"not measured: {absent}"] if absent else [])])


def _number(ratio: float | None) -> str:
    if ratio is None:
        return NOTHING
    return f"{ratio:.2f}" if 0.1 <= ratio < 10 else f"{ratio:.3f}" if ratio < 1 else f"{ratio:.0f}"


def _bound(target: Target) -> str:
    if target.is_share:
        return f"≥ {target.bound:.0%}"
    return f"≤ {target.bound:.2f}" if target.peer else f"≤ {_gigabytes(target.bound)}"


def _found(target: Target, run: Run) -> str:
    value = target.value(run)
    if value is None:
        return NOTHING
    if target.is_share:
        return f"{value:.1%}"
    return _number(value) if target.peer else _gigabytes(value)


def _gigabytes(size: float) -> str:
    return f"{size / 1e9:.1f} GB"
