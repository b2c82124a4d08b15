"""The sliders of the page on linear attention of "Quadratic cost"."""

from attention_limits.chapters.quadratic_cost.derivations.lower_bounds import (
    HALF_WEIGHT,
    LARGEST_WEIGHT,
    SHARP,
)
from attention_limits.explorable import Explorable, Readout, Slider, explore
from attention_limits.formula import Formula
from attention_limits.symbols import beta, features, n, share


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
        "the same weight to a sequence 7.4 times as long. What does it take to hold half of all "
        "weight on one key among a million?",
        alt_text="A falling S-shaped curve over a logarithmic axis of lengths: the largest weight "
        "that one key can have, from nearly one on short sequences to nearly zero on long ones. "
        "The dashed line marks the length where it is one half.",
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


def sharp_queries() -> Explorable:
    """How many queries linear attention can serve with a key of their own."""
    return explore(
        [Formula(n, "queries", "all queries"), SHARP],
        x=n,
        over=(2, 2**20),
        log="xy",
        sliders=[
            Slider.between(features, 2, 65_536, 64, steps=60, log=True),
            Slider.between(share, 0.05, 1, 0.5, steps=19),
        ],
        name="sharp-queries",
        title="How many queries can be sharp?",
        caption="A query is sharp here if it sees all the keys and puts the given share of its "
        "weight on one of its own. Softmax attention can do that for all queries. How many "
        "features does it take to do it for every query of 131,072 tokens, and how large is the "
        "state then? What if you ask for half the share?",
        alt_text="Two lines over the sequence length, both axes logarithmic. The line of all "
        "queries rises without end. That of linear attention follows it at first, bends at the "
        "number of features divided by the share, and stays there.",
        y_title="queries with a key of their own",
        rule=Formula(features / share, "tokens", "features ÷ share"),
        readouts=[
            Readout("sharp queries, at most", Formula(features / share, "queries")),
            Readout(
                "of the queries of 131,072 tokens",
                Formula(SHARP.expr.subs(n, 131072) / 131072),
                ".2%",
            ),
            Readout("numbers in the state, values of width 128", Formula(129 * features, "a head")),
        ],
    )
