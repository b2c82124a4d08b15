"""What one layer of a Transformer costs, for every chapter that divides by it.

One FLOP is one addition or one multiplication, so a multiply-add is two. Only matrix products are
counted, as everywhere in this field; softmax, norms and biases are of lower order in the widths.
"Quadratic cost" derives the formulas.
"""

from attention_limits.formula import Formula
from attention_limits.symbols import c, d_model, f, g, h, n

# One layer's FLOPs on n tokens: h query heads, g key-value heads, heads of width d_model / h.
ATTENTION = Formula(4 * n**2 * d_model, "FLOPs", "attention")
PROJECTIONS = Formula(4 * n * d_model**2 * (1 + g / h), "FLOPs", "projections")
MLP = Formula(2 * c * n * d_model * f, "FLOPs", "MLP")
LAYER = Formula(ATTENTION.expr + PROJECTIONS.expr + MLP.expr, "FLOPs", "layer")

# The length at which attention costs as much as the rest of the layer.
CROSSOVER = Formula(d_model * (1 + g / h) + c * f / 2, "tokens", "crossover")
