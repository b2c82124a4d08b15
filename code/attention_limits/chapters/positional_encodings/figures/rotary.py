"""The still figures of the page on rotary encodings."""

import numpy as np
import torch
from matplotlib.figure import Figure as Canvas

from attention_limits import style
from attention_limits.chapters.positional_encodings.evidence import rotary as evidence
from attention_limits.chapters.positional_encodings.evidence.encodings import BASE as USUAL_BASE
from attention_limits.chapters.positional_encodings.evidence.encodings import SEEDS, WIDTH
from attention_limits.chapters.positional_encodings.figures import rows
from attention_limits.chapters.positional_encodings.figures.encodings import beside
from attention_limits.chapters.positional_encodings.figures.rows import Panel
from attention_limits.experiments import commutant, relative_share
from attention_limits.experiments.conditions import SETTINGS
from attention_limits.experiments.relative_share import (
    AS_LARGE,
    AS_TRAINED,
    FEW,
    FLAT,
    RELATIVE,
    REST,
)
from attention_limits.positions import rotary
from attention_limits.runs import records
from attention_limits.runs.records import Run

COLOUR, AT_INPUTS = style.ENCODINGS["rotary"], style.ENCODINGS["sinusoidal"]
STARTS = 2 ** np.arange(6, 15)  # where the sequences begin whose scores are wrong
PEAKS = (0, 40)  # at which distances keys are made to be found


# --- between two sinusoids ----------------------------------------------------------------------
def commutant_share(run: Run | None = None) -> style.Figure:
    """How much of the matrix between two sinusoids is relative, before and after training."""
    run = run or records.load(commutant)
    d = commutant.ARCHITECTURE.d_model
    canvas = Canvas()
    axes = canvas.add_subplot(ylim=(-0.03, 1.03), ylabel="share in the commutant")
    axes.grid(visible=False, axis="x")
    tasks = run.config["settings"]
    said = []
    for number, task in enumerate(tasks):
        means = []
        for when, shift, fill in (("before", -0.2, "none"), ("after", 0.2, AT_INPUTS)):
            rows = [row for row in run.records if (row["task"], row["when"]) == (task, when)]
            values = [row["share"] for row in rows]
            colour = AT_INPUTS if when == "after" else style.GREY
            places = beside(number + shift, len(values), 0.26)
            axes.plot(places, values, "o", color=colour, mfc=fill, ms=3.5)
            means.append(np.mean(values))
        said.append(f"{task}, {means[0]:.2f} before and {means[1]:.2f} after")
    axes.axhline(1 / d, color=style.GREY, ls=":")
    axes.text(len(tasks) - 0.55, 1 / d + 0.03, "chance", ha="right", va="bottom")
    axes.set_xticks(range(len(tasks)), tasks)
    axes.text(-0.2, 0.08, "before", ha="center")
    axes.text(0.2, 0.08, "after", ha="center")
    seeds, heads = len(run.config["seeds"]), commutant.ARCHITECTURE.heads
    return style.Figure(
        canvas,
        alt="Dots, before and after training, for each of "
        f"{len(tasks)} tasks; by chance they would lie at 1/{d}. Means: {'; '.join(said)}.",
        caption="How much of the matrix between two sinusoids is relative at all positions, in the "
        f"first layer: a dot for each of {heads} heads and {seeds} seeds. "
        f"{run.stamp[0].upper()}{run.stamp[1:]}.",
    )


# Means of fast models, as the authors wrote them down on 30 November 2026 before these runs; what
# three seeds had done in a referee's hands was known.
EXPECTED = {
    32: {RELATIVE: 0.7, AS_LARGE: 0.85},
    64: {RELATIVE: 0.55, AS_LARGE: 0.75},
    128: {RELATIVE: 0.3, AS_LARGE: 0.45},
}
LEFT = {  # what a row is called
    AS_TRAINED: "all, as trained",
    RELATIVE: "relative part",
    AS_LARGE: "the same, enlarged",
    REST: "the rest",
    FEW: "largest directions",
    FLAT: "no scores",
}


def parts_of_scores(run: Run | None = None) -> style.Figure:
    """What is left of an offset if a part of the first layer's scores is; a panel a length."""
    run = run or records.load(relative_share)
    panels = [
        Panel(
            f"n = {n}",
            SETTINGS[relative_share.SETTING].make().chance,
            {
                part: [
                    relative_share.accuracies(run, speed, n, part=part, layers=layers)
                    for speed, layers in (("slow", 1), ("fast", 2))
                ]
                for part in LEFT
            },
            expected,
        )
        for n, expected in EXPECTED.items()
    ]
    seeds = len(run.config["seeds"])
    words = ("slow, 1 layer", "fast, 2 layers")
    return style.Figure(
        rows.canvas(panels, words, labels=LEFT, encoding="sinusoidal"),
        alt=f"Accuracies of “{relative_share.SETTING}” in {len(panels)} panels, one a length, for "
        f"what is left of scores: means of {words[0]}, and of {words[1]}. {rows.said(panels)}",
        caption="Models with sinusoids that were trained on 8 to 32 tokens to find the token three "
        "back; of what two positions say to each other in the first layer, only a part is left. "
        f"Hollow and filled: means of {seeds} seeds, with the range of the latter. Cross: what we "
        f"expected of the latter, knowing three other runs. Dotted: a guess. "
        f"{run.stamp[0].upper()}{run.stamp[1:]}.",
    )


# --- rotations ----------------------------------------------------------------------------------
def score_error() -> style.Figure:
    """How wrong scores are whose angles are made in bfloat16, by where a sequence begins."""
    canvas = Canvas()
    axes = canvas.add_subplot(xlim=(STARTS[0], STARTS[-1]))
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set(xlabel="position of the first token", ylabel="error of a score")
    axes.axhline(1, color=style.GREY, ls=":")
    axes.text(STARTS[0] * 1.1, 1.1, "size of a score", va="bottom")
    middles = []
    for number, turn in enumerate((rotary.apply, evidence.coarse)):
        errors = np.array([evidence.score_errors(turn, int(start)) for start in STARTS])
        colour = (COLOUR, style.GREY)[number]
        axes.fill_between(STARTS, errors.min(1), errors.max(1), color=colour, alpha=0.3, lw=0)
        middles.append(np.median(errors, axis=1))
        axes.plot(STARTS, middles[-1], color=colour, marker=style.MARKERS[number], ms=5)
    exact, coarse = middles
    axes.text(STARTS[4], exact[4] * 1.3, "angles in float64", ha="center", va="bottom")
    axes.text(STARTS[4], coarse[4] / 1.4, "angles in bfloat16", va="top")
    return style.Figure(
        canvas,
        alt="The error of a score over the position of the first token, both axes logarithmic. "
        f"With angles in float64 it stays at about {np.median(exact):.1g}. With angles in bfloat16 "
        f"it rises from {coarse[0]:.2g} at position {STARTS[0]} to {coarse[-1]:.2g} at "
        f"{STARTS[-1]:,}, as large as a score.",
        caption="Root mean square error of rotary scores: queries and keys in bfloat16, of "
        f"standard normal entries, {WIDTH} wide, in sequences of 64 tokens, against float64; "
        f"scores have the standard deviation 1. Lines: medians of {len(SEEDS)} seeds; "
        "bands: their range.",
    )


def peaked_scores(peak: int, distances: torch.Tensor, *, at: int = 1000) -> np.ndarray:
    """Scores of a query at ``at``, over its squared length, with a key that is turned by ``peak``.

    All pairs of the query are (1, 1).

    Args:
        peak: Δ₀, the distance at which the key is to be found.
        distances: how far before the query it stands, integers (n,), at most ``at``.
        at: where the query stands, which does not matter.

    Returns:
        (n,), 1 at the most.
    """
    q = torch.ones(1, WIDTH, dtype=torch.float64)
    k = rotary.apply(q, start=peak).expand(len(distances), -1)
    turned = rotary.apply(k, positions=at - distances)
    return (turned @ rotary.apply(q, start=at)[0]).numpy() / WIDTH


def rotary_peak() -> style.Figure:
    """The score of two keys over distance: one is best near the query, the other further away."""
    distances = torch.arange(101)
    canvas = Canvas()
    axes = canvas.add_subplot(xlim=(0, 100), ylim=(0, 1.12))
    axes.set(xlabel="distance Δ (tokens)", ylabel="score over |q|²")
    found = []
    for number, peak in enumerate(PEAKS):
        scores = peaked_scores(peak, distances)
        colour, best = COLOUR, int(scores.argmax())
        axes.plot(distances, scores, color=colour, dashes=style.DASHES[number])
        axes.plot(best, scores[best], "o", color=colour, clip_on=False)
        axes.annotate(
            f"Δ₀ = {peak}", (best, scores[best]), xytext=(8, 2), textcoords="offset points"
        )
        found.append(f"the key turned by {peak} has its highest score at distance {best}")
    return style.Figure(
        canvas,
        alt=f"Two curves over the distance: {' and '.join(found)}. The second rises up to there "
        "and falls after it, in waves.",
        caption="Rotary scores of a query q with the key R(ωΔ₀) q, by how far before the query the "
        f"key stands; {WIDTH} wide, b = {USUAL_BASE:,.0f}, all pairs of q alike.",
    )
