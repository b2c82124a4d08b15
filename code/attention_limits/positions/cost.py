"""What a positional encoding costs: the numbers to learn, and the arithmetic on top of attention's.

Counted is every addition and every multiplication, one FLOP each, and two for each multiply-add of
a matrix product.  Not counted are tables that depend on no input, such as sines, cosines and
distances: they are made once for all layers and all sequences.
"""

from dataclasses import dataclass

from attention_limits.formula import Formula


@dataclass(frozen=True)
class EncodingCost:
    """What an encoding costs on n tokens of width d.

    Attributes:
        parameters: numbers that are learned, of one layer where the encoding acts on queries, keys
            or scores, which every layer has; of the model where it acts on the inputs.
        flops: what one call of ``apply`` adds and multiplies.
    """

    parameters: Formula
    flops: Formula
