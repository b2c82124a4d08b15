"""The sliders of the page on linear time of "Quadratic cost"."""

from attention_limits.chapters.quadratic_cost.derivations.linear_time import (
    HALF_WEIGHT,
    LARGEST_WEIGHT,
)
from attention_limits.explorable import Explorable, Readout, Slider, explore
from attention_limits.formula import Formula
from attention_limits.symbols import (
    beta,
    n,
)


def largest_weight() -> Explorable:
    """What scores of bounded size can single out among n keys."""
    return explore(
        LARGEST_WEIGHT,
        x=n,
        over=(2, 2**20),
        sliders=[Slider.between(beta, 0.25, 10, 4, steps=39)],
        name="largest-weight",
        title="How sharp can attention be?",
        caption="The slider bounds the size of every score. Raise it: each unit of score carries "
        "the same weight to a text 7.4 times as long. What does it take to hold half of all "
        "weight on one key among a million?",
        alt_text="A falling S-shaped curve over a logarithmic axis of lengths: the largest weight "
        "that one key can have, from nearly one on short texts to nearly zero on long ones. The "
        "dashed line marks the length where it is one half.",
        y_title="largest possible weight",
        y_format=".0%",
        rule=HALF_WEIGHT,
        rule_label="left",
        readouts=[
            Readout("half of all weight up to", HALF_WEIGHT),
            Readout(
                "largest weight at 131,072 tokens",
                Formula(LARGEST_WEIGHT.expr.subs(n, 131072)),
                ".2%",
            ),
        ],
    )
