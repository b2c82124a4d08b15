"""What a stack holds if some of its layers have windows, from the costs that the library states.

Taught in: "Locality". All of it for one key-value head, whose keys and values are d wide.
"""

import sympy as sp

from attention_limits.attention import dense, sliding_window
from attention_limits.derivation import Derivation, Step
from attention_limits.formula import Formula
from attention_limits.symbols import b, d, full, layers, n, w

HELD = dense.cost(causal=True).held
HELD_IN_WINDOW = sliding_window.cost(window=w, causal=True).held

GLOBAL_CACHE = Formula(layers * HELD.expr, "bytes", "all layers global")
CACHE = Formula(
    full * HELD.expr + (layers - full) * HELD_IN_WINDOW.expr, "bytes", "some with windows"
)
SHARE = Formula(sp.expand(CACHE.expr / GLOBAL_CACHE.expr), "", "share of the cache")

# The same for FLOPs: the pairs that causal attention needs.
NEEDED = Formula(
    full * dense.cost(causal=True).needed.expr
    + (layers - full) * sliding_window.cost(window=w, causal=True).needed.expr,
    "FLOPs",
    "some with windows",
)
GLOBAL_NEEDED = Formula(layers * dense.cost(causal=True).needed.expr, "FLOPs", "all layers global")


def cache() -> Derivation:
    """Layers with windows stop growing, so in the end the global ones decide."""
    long = 2 * d * b * (full * (n + w) + (layers - full) * (w - 1))
    return Derivation(
        Step(
            "A global layer",
            HELD,
            2 * d * b * n,
            "A key and a value of width $d$ for each token.",
        ),
        Step(
            "The stack, on more tokens than a window has",
            sp.Subs(CACHE.expr, n, n + w),
            long,
            "A layer with a window keeps the last $w - 1$ tokens, and $L_\\text{full}$ layers keep "
            "all. Here the sequence is $n$ tokens longer than a window.",
        ),
        Step(
            "Its share",
            sp.Limit(long / (2 * d * b * layers * (n + w)), n, sp.oo),
            full / layers,
            "Of what the stack would hold without windows, the share of global layers is left. "
            "Narrower windows bring a stack nearer to that, and never below it.",
        ),
    )
