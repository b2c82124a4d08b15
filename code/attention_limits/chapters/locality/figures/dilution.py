"""The still figures of the page on dilution."""

import math

import numpy as np
from matplotlib.figure import Figure as Canvas

from attention_limits import style
from attention_limits.chapters.locality.derivations import dilution as derivations
from attention_limits.chapters.locality.evidence import dilution as evidence

LEADS = (2, 3, 4, 5)


def on_one_curve() -> style.Figure:
    """What is read over the length in units of e²ᵟ: the integral, and attention for four leads."""
    canvas = Canvas()
    axes = canvas.add_subplot(xscale="log", ylim=(0, 1.05))
    axes.set(xlabel="tokens over e²ᵟ", ylabel="values read")
    units = np.geomspace(1 / 16, 256, 60)
    predicted = derivations.ACCURACY.numpy(
        n=np.round(1 + units * math.exp(10)), values=evidence.CLASSES, lead=5
    )
    axes.plot(units, predicted, color=style.GREY, label="derived")
    for number, lead in enumerate(LEADS):
        lengths = [1 + round(u * math.exp(2 * lead)) for u in 4.0 ** np.arange(-2, 5)]
        found = [evidence.counted(n, lead, trials=4_000) for n in lengths]
        x = [(n - 1) / math.exp(2 * lead) for n in lengths]
        axes.plot(
            x,
            found,
            style.MARKERS[number],
            color=style.PALETTE[number],
            ms=5,
            label=f"δ = {lead}",
        )
    axes.axhline(1 / evidence.CLASSES, color=style.GREY, ls=":", lw=1)
    axes.text(1 / 16, 1 / evidence.CLASSES + 0.02, "chance", color=style.GREY)
    axes.legend(loc="upper right")
    return style.Figure(
        canvas,
        alt="A curve that falls from one to chance between one and a hundred units of length. "
        "Marks of four leads lie on it, the least of them a little below.",
        caption=f"How often the value of one token among n is the largest number of the output, of "
        f"{evidence.CLASSES} independent values, over the length in units of e²ᵟ: derived with "
        "nothing fitted, and 4,000 draws for each mark.",
    )
