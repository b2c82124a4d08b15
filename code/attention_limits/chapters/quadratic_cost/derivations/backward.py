"""What the backward pass costs, and what it makes training keep. Taught in: "Quadratic cost"."""

import sympy as sp

from attention_limits.derivation import Derivation, Step
from attention_limits.formula import Formula
from attention_limits.symbols import (
    Z,
    b,
    d,
    d_model,
    f,
    g,
    h,
    i,
    j,
    l,
    n,
    p,
    s,
    u,
)

# One head's attention, forward and back; and the elementwise work of a softmax's backward pass, by
# its vector-Jacobian product and by a program that writes out the Jacobian of every row.
FORWARD = Formula(4 * n**2 * d, "FLOPs", "forward")

BACKWARD = Formula(8 * n**2 * d, "FLOPs", "backward")

RECOMPUTED = Formula(10 * n**2 * d, "FLOPs", "backward, recomputing")

SOFTMAX_BACKWARD = Formula(4 * n**2, "FLOPs", "softmax, backward")

JACOBIANS = Formula(5 * n**3, "FLOPs", "with full Jacobians")

JACOBIANS_LEAD = Formula(8 * d / 5, "tokens", "Jacobians lead")

# What one layer keeps for its backward pass, in bytes: a classic layer (as many key-value heads as
# query heads, two matrices in its MLP, GELU, no dropout), one sequence, its parameters left out.
WEIGHTS_KEPT = Formula(b * h * n**2, "bytes", "attention weights")

REST_KEPT = Formula(b * n * (8 * d_model + 2 * f), "bytes", "everything else")

INPUT_KEPT = Formula(b * n * d_model, "bytes", "input of the layer")

WEIGHTS_LEAD = Formula((8 * d_model + 2 * f) / h, "tokens", "weights lead")

# The same to the last number, as PyTorch's layer keeps it: two norms keep a mean and a scale of
# each row; a kernel that writes the weights out keeps q and k once more, scaled; one in tiles keeps
# for each head and row the logarithm of the sum in its softmax.
ALL_KEPT = Formula(WEIGHTS_KEPT.expr + REST_KEPT.expr + b * n * (4 + 2 * d_model), "bytes")

LINEAR_KEPT = Formula(REST_KEPT.expr + b * n * (4 + h), "bytes")

# A gated layer as libraries write it (RMSNorm, grouped heads, SiLU, no dropout), scores recomputed:
# eight widths and the keys and values, and of the MLP its gate before and after SiLU, the other
# branch and their product.
GATED_KEPT = Formula(b * n * (8 * d_model + 2 * g * d + 4 * f), "bytes", "gated layer")


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
            "What is needed is its product with one vector, the incoming gradient $u$. The sum "
            "collapses to one inner product, the same for every entry of the row.",
        ),
        where={**{w: sp.exp(one) / Z for w, one in zip(p, s, strict=True)}, Z: sum(map(sp.exp, s))},
    )


def backward_flops() -> Derivation:
    """What the backward pass costs, product by product, in one head."""
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
            "Each of them needs two in the backward pass, one for each of its factors: "
            "$dV = P^\\top dO$ and $dP = dO\\,V^\\top$, $dQ = dS\\,K$ and $dK = dS^\\top Q$.",
        ),
        Step(
            "Softmax between them",
            sp.Sum(sp.Sum(2, (j, 1, n)) + sp.Sum(2, (j, 1, n)), (i, 1, n)),
            SOFTMAX_BACKWARD,
            "A row of $n$: a multiply-add an entry for the inner product, then a subtraction and a "
            "multiplication.",
        ),
        Step(
            "Backward, recomputing the scores",
            5 * one_product,
            RECOMPUTED,
            "Where the weights were not kept, $QK^\\top$ is computed once more: a fifth product.",
        ),
    )


def jacobian_flops() -> Derivation:
    """What `through_jacobians` costs, operation by operation, and from which length it leads."""
    entries = sp.Sum(1, (l, 1, n), (j, 1, n), (i, 1, n))
    return Derivation(
        Step(
            "Writing them",
            3 * entries,
            sp.Rational(3, 5) * JACOBIANS.expr,
            "Three operations an entry: a multiplication for the diagonal, one for the outer "
            "product, a subtraction.",
        ),
        Step(
            "With their products",
            3 * entries + 2 * entries,
            JACOBIANS,
            "Then a multiplication and an addition for each entry.",
        ),
        Step(
            "Where they lead",
            sp.Subs(JACOBIANS.expr / BACKWARD.expr, n, JACOBIANS_LEAD.expr),
            sp.Integer(1),
            "Past this length they cost more than all four products.",
        ),
    )


def activation_memory() -> Derivation:
    """What one layer keeps for its backward pass, and where the attention weights lead."""
    attention, mlp, norms = 5 * d_model, d_model + 2 * f, 2 * d_model
    classic = ((f, h), (4 * d_model, d_model / d))
    in_16_bits = ((b, f), (2, 4 * d_model))
    masked = REST_KEPT.expr + 2 * n * d_model
    return Derivation(
        Step(
            "For each token",
            b * sp.Sum(sp.Add(attention, mlp, norms, evaluate=False), (i, 1, n)),
            REST_KEPT,
            "Attention keeps five widths: its input, $q$, $k$, $v$ and its output. The MLP keeps "
            "its input, and its hidden layer before and after GELU. Two norms keep their inputs.",
        ),
        Step(
            "For each pair of tokens",
            b * sp.Sum(1, (j, 1, n), (i, 1, n), (l, 1, h)),
            WEIGHTS_KEPT,
            "Each of $h$ heads keeps one attention weight, if weights are kept.",
        ),
        Step(
            "Where the weights lead",
            sp.Subs(WEIGHTS_KEPT.expr / REST_KEPT.expr, n, WEIGHTS_LEAD.expr),
            sp.Integer(1),
            "At this length they are half of what the layer keeps.",
        ),
        Step(
            "In the classic layer",
            sp.Subs(WEIGHTS_LEAD.expr, *classic),
            16 * d,
            "With $f = 4 d_\\text{model}$: sixteen head widths, whatever the width of the model.",
        ),
        Step(
            "With dropout, in 16 bits",
            sp.Subs(masked, *in_16_bits),
            34 * n * d_model,
            "Dropout after attention and after the MLP keeps two masks, one byte a number.",
        ),
        Step(
            "With dropout, for each pair",
            sp.Subs(2 * WEIGHTS_KEPT.expr, b, 2) + h * n**2,
            5 * h * n**2,
            "Dropout on the weights: they are kept before and after it, and so is its mask.",
        ),
    )
