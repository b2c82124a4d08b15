"""The still figures of the page on what grows with a sequence."""

import numpy as np

from attention_limits import labels, style
from attention_limits.chapters.positional_encodings import recorded
from attention_limits.chapters.positional_encodings.figures.length import looks
from attention_limits.chapters.positional_encodings.recorded import (
    NAMES,
    RECENCY,
    SHORT,
    evenly,
    longer,
)
from attention_limits.experiments.conditions import LONGEST, SETTINGS, TRAINED

SHOWN = ("shaw 16", "rotary", "alibi", "sinusoidal", "relative_bias 24")
CONDITION = "random positions"
APART = 0.06  # from one encoding's marks to the next


def gaps() -> style.Figure:
    """Recency of models trained at random positions: fewer positions between tokens, then more."""
    run = recorded.run(RECENCY)
    each = sorted(run.config["gaps"], reverse=True)
    questions = [*map(evenly, each), longer(LONGEST, CONDITION)]
    look = looks(SHOWN, SHOWN)
    canvas = labels.canvas(height=3.4)
    axes = canvas.subplots()
    axes.axhline(SETTINGS[RECENCY].make().chance, color=style.GREY, ls=":", lw=1.2)
    ends, words = [], []
    for place, name in enumerate(SHOWN):
        found = [recorded.accuracies(RECENCY, name, q, CONDITION) for q in questions]
        means = [float(np.mean(values)) for values in found]
        at = np.arange(len(questions)) + APART * (place - (len(SHOWN) - 1) / 2)
        at[-1] += 0.4  # another question, and not one more gap
        axes.plot(at[:-1], means[:-1], **look[name])
        axes.plot(at[-2:], means[-2:], **{**look[name], "ls": ":"})
        colour = look[name]["color"]
        axes.vlines(at, list(map(min, found)), list(map(max, found)), color=colour, lw=1.2)
        number = style.PALETTE.index(colour)
        ends.append(labels.Label(f"{NAMES[name]} {means[-1]:.2f}", means[-1], number))
        words.append(f"{NAMES[name]} {', '.join(f'{mean:.2f}' for mean in means)}")
    axes.set_ylim(0, 1.05)
    axes.set_xticks([*range(len(each)), len(each) + 0.4], [*map(str, each), f"1\nn = {LONGEST}"])
    axes.set(xlabel="positions from one token to the next", ylabel="accuracy, most recent")
    axes.text(0, 0.1, f"n = {SHORT}", size=11)
    labels.write(axes, ends)
    return style.Figure(
        canvas,
        alt=f"Accuracy on recency of models trained at random positions, of {len(SHOWN)} "
        f"encodings, at n = {SHORT} with tokens {', '.join(map(str, each))} positions apart, and "
        f"then at n = {LONGEST}: {'; '.join(words)}.",
        caption=f"How often the last answer is right. Models trained on {TRAINED[0]} to {SHORT} "
        f"tokens at positions drawn from {LONGEST}, with neighbours 8 apart on average; asked on "
        f"{SHORT} tokens an even gap apart, and on {LONGEST}. Means of "
        f"{len(run.config['seeds'])} seeds, bars from the least to the most; {run.stamp}. Dotted "
        "below: a guess.",
    )
