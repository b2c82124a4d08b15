"""Pictures of what was found: who sees whom, how costs grow, which digits are left."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure as Canvas

from attention_limits import style
from attention_limits.contract.findings import Finding, Report
from attention_limits.contract.scaling import exponent

MOST = len(style.PALETTE)  # cases in one picture, and maps on one page


def draw(report: Report) -> Iterator[style.Figure]:
    """All pictures that the findings of a report have the numbers for."""
    for finding in _with(report, "causality", "seen"):
        yield leak_map(finding)
    for check, data, unit in (("FLOPs", "flops", "FLOPs"), ("memory", "bytes", "bytes")):
        grown = [f for f in _with(report, check, data) if all(f.data[data].values())]
        if grown:
            yield growth(grown, data, unit)
    if precise := _with(report, "precision", "errors"):
        yield digits(precise)


def _with(report: Report, check: str, data: str) -> list[Finding]:
    return [finding for finding in report.of(check) if data in finding.data][:MOST]


def _options(finding: Finding) -> str:
    return f" ({finding.case})" if finding.case else ""


def leak_map(finding: Finding) -> style.Figure:
    """A square for each pair: a query in rows, a key in columns."""
    seen, allowed = (np.array(finding.data[name]) for name in ("seen", "allowed"))
    n, leaks = len(seen), seen & ~allowed
    shades = np.zeros((n, n, 4))  # see-through where there is nothing: the page may be dark
    for pattern, colour, alpha in (
        (allowed & ~seen, style.GREY, 0.3),
        (allowed & seen, style.BLUE, 0.8),
        (leaks, style.VERMILLION, 1.0),
    ):
        shades[pattern] = (*to_rgb(colour), alpha)
    canvas = Canvas(figsize=(4.2, 4.2))
    axes = canvas.subplots()
    axes.imshow(shades, interpolation="none")
    axes.plot(*np.nonzero(leaks)[::-1], "x", color="black", ms=60 / n)
    axes.grid(visible=False)
    ticks = range(0, n, max(1, n // 4))
    axes.set(xlabel="key j", ylabel="query i", xticks=ticks, yticks=ticks)
    found = (
        f"{leaks.sum()} of these pairs must not be there: vermillion, and crossed out."
        if leaks.any()
        else "Nobody sees what must not be seen."
    )
    pairs = f"{seen.sum()} of {n * n} pairs"
    return style.Figure(
        canvas,
        alt=f"A square of {n} by {n} pairs, a query in each row. Coloured: {pairs}. {found}",
        caption=f"Who sees whom{_options(finding)}: {pairs}, found by gradients and by changing "
        f"one key at a time. {found} Grey would be seen, and had no influence.",
    )


def growth(findings: Sequence[Finding], data: str, unit: str) -> style.Figure:
    """Counts against the number of tokens, on logarithmic axes, with the power that fits."""
    canvas = Canvas()
    axes = canvas.subplots()
    told = []
    for number, finding in enumerate(findings):
        counts = finding.data[data]
        power = exponent(counts)
        n, last = np.array(list(counts)), max(counts)
        own: dict[str, Any] = {"color": style.PALETTE[number]}
        axes.loglog(n, counts.values(), style.MARKERS[number], **own, label=finding.case or None)
        axes.loglog(n, counts[last] * (n / last) ** power.slope, **own, lw=1, alpha=0.6)
        told.append(f"n^{power}{_options(finding)}")
    _finish(axes, findings, f"{unit} a head")
    axes.set(xlabel="tokens n")
    return style.Figure(
        canvas,
        alt=f"Points that rise with n on logarithmic axes, with lines of {', '.join(told)}.",
        caption=f"{unit[0].upper()}{unit[1:]} of one head, counted. The lines are the powers of n "
        f"that fit the longest: {', '.join(told)}.",
    )


def digits(findings: Sequence[Finding]) -> style.Figure:
    """The error in each dtype, and what it may be."""
    canvas = Canvas()
    axes = canvas.subplots()
    for number, finding in enumerate(findings):
        errors = finding.data["errors"]
        axes.semilogy(
            list(errors),
            [max(error, 1e-12) for error, _ in errors.values()],
            style.MARKERS[number],
            color=style.PALETTE[number],
            label=finding.case or None,
        )
    limits = {name: limit for f in findings for name, (_, limit) in f.data["errors"].items()}
    axes.semilogy(list(limits), list(limits.values()), "_", color=style.GREY, ms=30, mew=2)
    _finish(axes, findings, "error beside the output")
    worst = "; ".join(f"{f.sentence}{_options(f)}" for f in findings)
    return style.Figure(
        canvas,
        alt=f"A point for each dtype, and a bar for its limit. {worst}.",
        caption="The largest error of a token's output, beside its size, against float64. The bars "
        "are what it may be: twice that of a plain softmax, or of a few roundings.",
    )


def _finish(axes: Axes, findings: Sequence[Finding], label: str) -> None:
    axes.set(ylabel=label)
    if len(findings) > 1:
        axes.legend(fontsize=9)
