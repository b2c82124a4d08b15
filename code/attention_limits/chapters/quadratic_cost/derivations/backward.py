"""What the backward pass costs. Taught in: "Quadratic cost"."""

import sympy as sp

from attention_limits.derivation import Derivation, Step
from attention_limits.formula import Formula
from attention_limits.symbols import (
    Z,
    d,
    i,
    j,
    l,
    n,
    p,
    s,
    u,
)

# One head's attention, forward and back; and the elementwise work of a softmax's way back, by its
# vector-Jacobian product and by writing out the Jacobian of every row.
FORWARD = Formula(4 * n**2 * d, "FLOPs", "forward")

BACKWARD = Formula(8 * n**2 * d, "FLOPs", "backward")

RECOMPUTED = Formula(10 * n**2 * d, "FLOPs", "backward, recomputing")

SOFTMAX_BACKWARD = Formula(4 * n**2, "FLOPs", "softmax, backward")

JACOBIANS = Formula(3 * n**3, "FLOPs", "with full Jacobians")

JACOBIANS_LEAD = Formula(8 * d / 3, "tokens", "Jacobians lead")


def softmax_vjp() -> Derivation:
    """Back through one row of a softmax: u ↦ p ∘ (u − ⟨u, p⟩); n numbers in, n numbers out."""
    row = [sp.exp(score) / sum(map(sp.exp, s)) for score in s]
    inner = sum(one * other for one, other in zip(u, p, strict=True))
    back = sum(up * sp.Derivative(out, s[0]) for up, out in zip(u, row, strict=True))
    return Derivation(
        Step(
            "On the diagonal",
            sp.Derivative(row[0], s[0]),
            p[0] * (1 - p[0]),
            "Its own score raises a weight.",
        ),
        Step(
            "Off the diagonal",
            sp.Derivative(row[0], s[1]),
            -p[0] * p[1],
            "Every other score lowers it. Together: the $n \\times n$ Jacobian of one row.",
        ),
        Step(
            "The product",
            back,
            p[0] * (u[0] - inner),
            "What is needed is its product with one vector, the gradient $u$ from above. There all "
            "of the sum collapses to one inner product, the same for every entry of the row.",
        ),
        where={**{w: sp.exp(one) / Z for w, one in zip(p, s, strict=True)}, Z: sum(map(sp.exp, s))},
    )


def backward_flops() -> Derivation:
    """What the way back costs, product by product, in one head."""
    one_product = sp.Sum(2, (l, 1, d), (j, 1, n), (i, 1, n))
    return Derivation(
        Step(
            "Forward",
            2 * one_product,
            FORWARD,
            "Two products: $S = QK^\\top$ and $O = PV$.",
        ),
        Step(
            "Backward",
            4 * one_product,
            BACKWARD,
            "Each of the two needs two on the way back, one for each of its factors: "
            "$dV = P^\\top dO$ and $dP = dO\\,V^\\top$, $dQ = dS\\,K$ and $dK = dS^\\top Q$.",
        ),
        Step(
            "Backward, recomputing",
            5 * one_product,
            RECOMPUTED,
            "Where the weights were not kept, $QK^\\top$ is computed once more: a fifth product.",
        ),
        Step(
            "Softmax between them",
            sp.Sum(sp.Sum(2, (j, 1, n)) + sp.Sum(2, (j, 1, n)), (i, 1, n)),
            SOFTMAX_BACKWARD,
            "A row of $n$: a multiply-add an entry for the inner product, then a subtraction and a "
            "multiplication.",
        ),
        Step(
            "The same with Jacobians",
            sp.Sum(sp.Sum(1, (l, 1, n), (j, 1, n)) + sp.Sum(2, (l, 1, n), (j, 1, n)), (i, 1, n)),
            JACOBIANS,
            "A row writes $n^2$ entries, a multiplication each, and multiplies them with a vector.",
        ),
        Step(
            "Where Jacobians lead",
            sp.Subs(JACOBIANS.expr / BACKWARD.expr, n, JACOBIANS_LEAD.expr),
            sp.Integer(1),
            "Past this length they would cost more than all four products.",
        ),
    )
