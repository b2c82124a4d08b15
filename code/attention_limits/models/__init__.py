"""Small models with one interface, several seeds wide: a Transformer and what it is measured with.

    from attention_limits import models

    architecture = models.Architecture(mechanism="delta_rule", position="rotary")
    model = models.build(architecture, vocabulary=16, classes=16, seeds=(0, 1, 2))
    logits = model(tokens)  # (3, batch, n) to (3, batch, n, 16)

The leading axis is that of seeds. Each model has its own weights and does not depend on the others,
so that several train in little more time than one (``training``).
"""

from collections.abc import Sequence

from torch import nn

from attention_limits.attention.cost import Cost
from attention_limits.checks import check_count
from attention_limits.models.architecture import KINDS, NORMS, Architecture
from attention_limits.models.cells import CELLS
from attention_limits.models.convolutional import Convolutional
from attention_limits.models.layers import Initializer
from attention_limits.models.recurrent import Recurrent
from attention_limits.models.transformer import Transformer

__all__ = ["KINDS", "NORMS", "Architecture", "build", "parameters", "state_bytes"]

CLASSES = {
    "transformer": Transformer,
    "convolution": Convolutional,
    **dict.fromkeys(CELLS, Recurrent),
}


def build(
    architecture: Architecture, *, vocabulary: int, classes: int, seeds: Sequence[int] = (0,)
) -> nn.Module:
    """A model with its first weights, on PyTorch's default device.

    Args:
        architecture: what it is made of.
        vocabulary: how many tokens there are.
        classes: how many answers there are.
        seeds: one for each of the models side by side.

    Returns:
        A module that takes ``tokens`` (s, batch, n), s the number of seeds, and if wanted
        ``positions`` and ``times``, shaped alike, and gives logits (s, batch, n, classes).

    Raises:
        ValueError: naming the argument, if one has no sensible value.
    """
    vocabulary = check_count("vocabulary", vocabulary, least=1)
    classes = check_count("classes", classes, least=1)
    return CLASSES[architecture.kind](Initializer(seeds), architecture, vocabulary, classes)


def parameters(model: nn.Module) -> int:
    """How many numbers one of the models side by side learns."""
    return sum(p[0].numel() for p in model.parameters())


def state_bytes(architecture: Architecture, n: int, *, bytes_a_number: int = 4) -> int:
    """What a stream holds after n tokens: caches of attention, states of all others.

    Raises:
        ValueError: if ``architecture`` sees what is to come, and knows no stream, or if ``n`` is no
            count.
    """
    n = check_count("n", n)
    bytes_a_number = check_count("bytes_a_number", bytes_a_number, least=1)
    if not architecture.causal and architecture.kind in ("transformer", "convolution"):
        raise ValueError(f"architecture must be causal, to read a stream, got {architecture}")
    d, layers = architecture.d_model, architecture.layers
    match architecture.kind:
        case "transformer":
            sizes = {"n": n, "d": d // architecture.heads, "b": bytes_a_number, "r": 1}
            each = [cost.held for cost in _costs(architecture)]
            held = sum(int(f(**{s.name: sizes[s.name] for s in f.symbols})) for f in each) * layers
            if architecture.position == "lstm_generated":
                hidden = architecture.position_options.get("hidden") or d
                held += 2 * hidden * bytes_a_number
            return held
        case "convolution":
            spans = ((architecture.width - 1) * 2**level for level in range(layers))
            return sum(spans) * d * bytes_a_number
        case kind:
            return layers * CELLS[kind][2] * d * bytes_a_number


def _costs(architecture: Architecture) -> list[Cost]:
    """Of the heads of a layer, one each: clocks may have periods of their own."""
    options = architecture.fitting("cost")
    periods = options.get("period")
    if not isinstance(periods, tuple):
        return [architecture.attention.cost(**options)] * architecture.heads
    return [architecture.attention.cost(period=period) for period in periods]
