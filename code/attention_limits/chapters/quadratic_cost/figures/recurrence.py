"""The still figures on recurrent networks, of the chapter "Quadratic cost"."""

import numpy as np
from matplotlib.figure import Figure as Canvas

from attention_limits import style
from attention_limits.chapters.quadratic_cost.evidence import recurrence

# Gains, what each is called, and how many points above its curve the name stands.
GAINS = ((1.0, "contracting", -26), (1.9, "near critical", 16), (4.0, "chaotic", 24))

# Networks for Newton's method: gains, strength of the inputs, colour and filling of the dots.
STRONG = ((0.5, 1, 1.5, 2, 2.5, 4), 1.0, style.BLUE, style.BLUE)
WEAK = ((4,), 0.3, style.VERMILLION, "none")


def gradient_over_distance(distance: int = 100) -> style.Figure:
    """The size of ∂h_n/∂h_{n−Δ} against Δ, for three gains."""
    canvas, steps = Canvas(), np.arange(distance + 1)
    axes = canvas.add_subplot(yscale="log", xlim=(0, distance))
    axes.set(xlabel="distance Δ (steps)", ylabel="size of the gradient")
    for (gain, name, above), colour in zip(GAINS, style.PALETTE, strict=False):
        sizes = np.exp(recurrence.log_gradients(gain, distance=distance))
        middle = np.median(sizes, axis=0)
        axes.fill_between(steps, sizes.min(0), sizes.max(0), color=colour, alpha=0.25, lw=0)
        axes.plot(steps, middle, color=colour)
        at = round(0.65 * distance)
        axes.annotate(
            f"{name}, gain {gain:g}",
            (at, middle[at]),
            xytext=(0, above),
            textcoords="offset points",
            ha="right",
            va="center",
        )
    axes.set_yticks([10.0**power for power in range(-20, 16, 5)])
    return style.Figure(
        canvas,
        alt="Three curves over the distance in steps, on a logarithmic axis, all from one at the "
        "left. The contracting network's falls in a straight line to 10⁻²⁰ after a hundred steps, "
        "the chaotic one's rises in a straight line, and the one near critical stays near one.",
        caption="How large the gradient ∂hₙ/∂hₘ of a random recurrent network is, Δ = n − m steps "
        "back; d = 64, inputs of strength 1. Lines are medians of "
        f"{len(recurrence.SEEDS)} networks, bands their range.",
    )


def newton_iterations(n: int = 256) -> style.Figure:
    """Iterations of Newton's method against the Lyapunov exponent, one dot a network."""
    canvas = Canvas()
    axes = canvas.add_subplot(yscale="log", xlim=(-2, 0.5), ylim=(2, 2 * n))
    axes.set(xlabel="Lyapunov exponent λ", ylabel="iterations of Newton's method")
    axes.axhline(n, color=style.GREY, ls=":")
    axes.axvline(0, color=style.GREY, ls=":")
    for gains, strength, colour, fill in (STRONG, WEAK):
        for gain in gains:
            runs = [
                recurrence.run_newton(
                    *recurrence.network(seed, n=n, d=16, gain=gain, strength=strength)
                )
                for seed in recurrence.SEEDS
            ]
            axes.plot(*zip(*runs, strict=True), "o", color=colour, mfc=fill)
    latches = [recurrence.run_newton(*recurrence.latch(s, bit=1, n=n)) for s in recurrence.SEEDS]
    axes.plot(*zip(*latches, strict=True), "D", color=style.PURPLE, mfc="none")
    for x, y, words, side in (
        (-1.95, 1.15 * n, f"n = {n}: one step at a time", "left"),
        (-1.8, 6.5, "a latch", "center"),
        (-1.17, 6.5, "gain 0.5", "center"),
        (-0.56, 7.5, "gain 1", "center"),
        (-0.16, 25, "gain 2", "right"),
        (0.22, 0.4 * n, "gain 4", "left"),
        (-0.19, 0.55 * n, "gain 4, weak inputs", "right"),
        (-0.03, 2.3, "stable", "right"),
        (0.03, 2.3, "chaos", "left"),
    ):
        axes.text(x, y, words, ha=side)
    return style.Figure(
        canvas,
        alt="Dots on a logarithmic axis. Left of λ = −0.2 all need about ten iterations or fewer; "
        "towards zero they climb steeply, and right of zero they come close to the dotted line at "
        "n. One hollow dot lies as high as those of chaos, though its λ is negative.",
        caption=f"Iterations until all {n} states stand still to 10⁻⁸, one dot a network: random "
        "ones of width 16, filled where the inputs have strength 1, hollow where 0.3, and a latch "
        "of one unit (diamonds), which keeps its bit for ever.",
    )
