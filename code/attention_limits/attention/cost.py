r"""What a mechanism costs, in three numbers that are often confused.

.. math::

    \text{needed} \le \text{executed}, \qquad
    \text{needed} = 4 d \cdot \#\{(i, j) : i \text{ sees } j\}
    \quad\text{for attention with a softmax.}

A pair costs 4d FLOPs: one inner product of width d for its score and one weighted row of width d
for its value, a multiplication and an addition for each number.  The n² exponentials are not
counted, nor does PyTorch's own counter count them.
"""

from dataclasses import dataclass

from attention_limits.formula import Formula


@dataclass(frozen=True)
class Cost:
    """What one head costs on n tokens, where keys and values are d wide.

    Attributes:
        needed: FLOPs (2 per multiply-add) that the equation asks for.
        executed: FLOPs of the matrix products that ``attend`` runs, as PyTorch's FlopCounterMode
            counts them; more than needed where a tile also computes what is then masked.
        held: bytes of the state that ``step`` keeps after n tokens, for each key-value head,
            at b bytes a number; without a ``step``, of the keys and values that it would need.
    """

    needed: Formula
    executed: Formula
    held: Formula
