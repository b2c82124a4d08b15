"""The still figures on recurrent networks, of the chapter "Quadratic cost"."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

from attention_limits import style
from attention_limits.chapters.quadratic_cost.evidence import gated, recurrence

NARROW = (4.6, 4.2)  # inches: at the width of a phone, its text still is 11 pixels high
# Gains, what each is called, its colour, and where the name ends: a distance, a power of ten.
GAINS = (
    (1.0, "tanh, gain 1", style.BLUE, (60, -16)),
    (1.9, "tanh, gain 1.9", style.GREY, (100, 1.8)),
    (4.0, "tanh, gain 4", style.VERMILLION, (60, 13)),
)
# Biases of the forget and the input gates, likewise.
GATES = (
    ((1.0, 0.0), "LSTM, bias 1", style.PURPLE, (100, -6)),
    (gated.opened(100), "LSTM, open gates", style.GREEN, (100, -2)),
)

# Networks for Newton's method: gains, strength of the inputs, colour and filling of the dots.
STRONG = ((0.5, 1, 1.5, 2, 2.5, 4), 1.0, style.BLUE, style.BLUE)
WEAK = ((5,), 0.3, style.VERMILLION, "none")


def gradient_over_distance(distance: int = 100) -> style.Figure:
    """The size of ∂h_n/∂h_{n−Δ} against Δ, of tanh networks of three gains and of two LSTMs."""
    canvas, steps = Canvas(figsize=NARROW), np.arange(distance + 1)
    axes = canvas.add_subplot(yscale="log", xlim=(0, distance))
    axes.set(xlabel="distance Δ (steps)", ylabel="size of the gradient")
    for gain, name, colour, end in GAINS:
        sizes = np.exp(recurrence.log_gradients(gain, distance=distance))
        _band(axes, steps, sizes, name, colour, end)
    few = np.arange(1, distance + 1, 3)
    for biases, name, colour, end in GATES:
        sizes = gated.log_gradients(2 * distance, [*few], biases=biases).exp().numpy()
        _band(axes, few, sizes, name, colour, end, ls="--")
    axes.set_yticks([10.0**power for power in range(-20, 16, 5)])
    return style.Figure(
        canvas,
        alt="Five curves over the distance in steps, on a logarithmic axis, all from about one at "
        "the left. The tanh network of gain 1 falls in a straight line to 10⁻²⁰ after a hundred "
        "steps, the LSTM with a bias of one to 10⁻¹¹. The tanh network of gain 4 rises in a "
        "straight line. That of gain 1.9 and the LSTM with open gates stay near one.",
        caption="How large the gradient ∂hₙ/∂hₘ of a random network is, Δ = n − m steps back. "
        f"Solid: tanh networks, d = 64, inputs of strength 1, {len(recurrence.SEEDS)} each. "
        f"Dashed: LSTMs of {gated.D} cells, {len(gated.SEEDS)} each. Lines are medians, bands "
        "ranges.",
    )


def _band(
    axes: Axes,
    x: np.ndarray,
    sizes: np.ndarray,
    name: str,
    colour: str,
    end: tuple[float, float],
    ls: str = "-",
) -> None:
    axes.fill_between(x, sizes.min(0), sizes.max(0), color=colour, alpha=0.25, lw=0)
    axes.plot(x, np.median(sizes, axis=0), color=colour, ls=ls)
    distance, power = end
    axes.text(distance, 10.0**power, name, ha="right", va="center")


def newton_iterations(n: int = 256) -> style.Figure:
    """Iterations of Newton's method against the Lyapunov exponent, one dot a network."""
    canvas = Canvas(figsize=NARROW)
    axes = canvas.add_subplot(yscale="log", xlim=(-2, 0.7), ylim=(2, 2 * n))
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
    carries = [recurrence.run_newton(*recurrence.carry(s, n=n)) for s in recurrence.SEEDS]
    axes.plot(*zip(*carries, strict=True), "^", color=style.GREEN)
    biases = gated.opened(n)
    taken, _ = gated.newton(*gated.network(n, biases=biases))
    axes.plot(gated.left_by_gates(n, biases) / n, taken, "s", color=style.GREEN, mfc="none")
    for x, y, words, side in (
        (-1.95, 1.15 * n, f"n = {n}: one step at a time", "left"),
        (-1.8, 6.5, "a latch", "center"),
        (-1.17, 6.5, "gain 0.5", "center"),
        (-0.56, 7.5, "gain 1", "center"),
        (-0.16, 25, "gain 2", "right"),
        (0.22, 0.4 * n, "gain 4", "left"),
        (-0.19, 0.55 * n, "gain 5, weak inputs", "right"),
        (0.04, 5.6, "a carry", "left"),
        (0.04, 3.6, "open gates", "left"),
        (-0.03, 2.3, "stable", "right"),
        (0.03, 2.3, "chaos", "left"),
    ):
        axes.text(x, y, words, ha=side)
    return style.Figure(
        canvas,
        alt="Dots on a logarithmic axis. Left of λ = −0.2 all need about ten iterations or fewer; "
        "towards zero those of random tanh networks climb steeply, and right of zero they come "
        "close to the dotted line at n. One hollow dot lies as high as those of chaos, though its "
        "λ is negative. Triangles and squares at λ = 0, a carry and an LSTM with open gates, lie "
        "at the bottom.",
        caption=f"Iterations until all {n} states stand still to 10⁻⁸, one mark a network. Dots: "
        "random tanh networks of width 16, filled where the inputs have strength 1, hollow where "
        "0.3. Diamonds: a latch of one unit. Triangles: two units, one of them a carry. Squares: "
        f"LSTMs of {gated.D} cells with open gates.",
    )
