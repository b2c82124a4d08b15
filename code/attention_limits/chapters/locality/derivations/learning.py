"""How many examples a template takes: one that is local or not, and shared by all places or not.

Taught in: "Locality".
"""

import sympy as sp

from attention_limits.derivation import Derivation, Step
from attention_limits.formula import Formula
from attention_limits.symbols import (
    examples,
    j,
    kernels,
    n,
    per_weight,
    seen,
    strength,
    taps,
)

# Each of P kernels has averaged N/P examples of a pattern on the r numbers that it sees.
TEMPLATE = Formula(
    strength / sp.sqrt(1 + seen * kernels / (examples * strength**2)), "", "signal over noise"
)

# r and P of the four layers that have weights of their own.
LAYERS = {
    "convolution": {seen: taps, kernels: 1},
    "wide kernel": {seen: n, kernels: 1},
    "unshared": {seen: taps, kernels: n},
    "fully connected": {seen: n, kernels: n},
}
WEIGHTS = {
    name: Formula((seen * kernels).subs(sizes), "weights", name) for name, sizes in LAYERS.items()
}


def template() -> Derivation:
    """What a kernel needs is examples for each of its weights."""
    noise = sp.Sum(kernels / examples, (j, 1, seen))
    return Derivation(
        Step(
            "A template",
            strength**2 + noise,
            strength**2 + seen * kernels / examples,
            "Let a kernel be the mean of the examples that it has seen, each turned to the sign 1. "
            "That is the pattern, whose square is $S^2$, and noise. Each of $P$ kernels has seen "
            "$N/P$ examples, so the noise has a variance of $P/N$ on each of the $r$ numbers.",
        ),
        Step(
            "Signal over noise",
            strength**2 / sp.sqrt(strength**2 + noise),
            TEMPLATE,
            "On a new example the kernel answers with $S^2$ at the pattern, and everywhere with a "
            "noise that is as large as the kernel is long.",
        ),
        Step(
            "What counts",
            sp.Subs(TEMPLATE.expr, examples, per_weight * seen * kernels),
            strength / sp.sqrt(1 + 1 / (per_weight * strength**2)),
            "So examples count in units of $rP$. That is the number of weights.",
        ),
        Step(
            "The unit",
            sp.Subs(TEMPLATE.expr, examples, seen * kernels / strength**2),
            strength / sp.sqrt(2),
            "At $N = rP/S^2$ a kernel is as much noise as pattern.",
        ),
    )


def weights() -> Derivation:
    """Locality and sharing each divide the weights, and they do it independently."""
    product = seen * kernels
    steps = [
        ("Local and shared", "convolution", "A convolution has its taps."),
        ("Shared, not local", "wide kernel", "A kernel as wide as the input sees all of it."),
        ("Local, not shared", "unshared", "Each place has taps of its own."),
        ("Neither", "fully connected", "Each place has its own weights for the whole input."),
    ]
    return Derivation(
        *(
            Step(name, sp.Subs(product, [*LAYERS[which]], [*LAYERS[which].values()]), weight, words)
            for name, which, words in steps
            for weight in [WEIGHTS[which]]
        )
    )
