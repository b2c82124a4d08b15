"""Recurrent networks: how a gradient travels. Taught in: "Quadratic cost"."""

import sympy as sp

from attention_limits.derivation import Derivation, Step
from attention_limits.formula import Formula
from attention_limits.symbols import (
    back,
    cell,
    forget,
    forget_bias,
    fresh,
    h_0,
    inputs,
    n,
    states,
    tanh_slope,
    w_h,
)

# What is left of a gradient after Δ steps.  A chart has no room for less than 1e-8, about what
# a float32 can still add to one, nor for more than 1e8.
_LEAST, _MOST = -8 * sp.log(10), 8 * sp.log(10)


def _shown(factor: sp.Expr, name: str) -> Formula:
    # The logarithm is cut, since the power itself may be more than a float can hold.
    return Formula(sp.exp(sp.Min(_MOST, sp.Max(_LEAST, back * sp.log(factor)))), "", name)


_TANH = w_h * tanh_slope
_GATE = 1 / (1 + sp.exp(-forget_bias))

TANH_LEFT = _shown(_TANH, "tanh unit")
GATED_LEFT = _shown(_GATE, "gated cell")
TANH_FACTOR = Formula(_TANH, "", "factor of a tanh unit")
GATE_FACTOR = Formula(_GATE, "", "factor of a gated cell")
GATE_HALF = Formula(sp.log(2) / sp.log(1 + sp.exp(-forget_bias)), "steps", "half is left after")


def product_of_jacobians() -> Derivation:
    """The backward pass of a recurrent network: one factor a step."""
    chain, state = [], h_0
    for x in inputs:
        state = sp.tanh(w_h * state + x)
        chain.append(state)
    return Derivation(
        Step(
            "One step",
            sp.Derivative(chain[0], h_0),
            w_h * (1 - states[0] ** 2),
            "The recurrent weight, times the slope of the tanh, which is at most one.",
        ),
        Step(
            "Three steps",
            sp.Derivative(chain[2], h_0),
            w_h**3 * (1 - states[0] ** 2) * (1 - states[1] ** 2) * (1 - states[2] ** 2),
            "Every step is one more factor. With many units the factors are matrices, and the "
            "product is one of Jacobians.",
        ),
        where=dict(zip(states, chain, strict=True)),
    )


def forget_gate() -> Derivation:
    """The same through the cell of a gated network, along the path that its gate controls."""
    return Derivation(
        Step(
            "One step",
            sp.Derivative(forget * cell + fresh, cell),
            forget,
            "The cell is kept in the proportion $f$, and something new is added. Gates that depend "
            "on the state add paths of their own, which are left out here.",
        ),
        Step(
            "A gate that is opened by its bias",
            sp.Subs(_GATE**n, forget_bias, sp.log(n)),
            (n / (n + 1)) ** n,
            "With $b_f = \\ln n$ the gate forgets one part in $n + 1$ at each of $n$ steps.",
        ),
        Step(
            "However many steps",
            sp.Limit((n / (n + 1)) ** n, n, sp.oo),
            sp.exp(-1),
            "A third of the gradient is left, and a little more.",
        ),
    )
