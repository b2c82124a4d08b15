"""Positional encodings as parts of a Transformer: where each of them comes in, and what it learns.

A part has three hooks, of which it uses those that its place wants:

- ``at_inputs(x, where)``: the tokens, (s, batch, n, d_model), once;
- ``turned(x, where)``: queries, and keys, (s, batch, h, n, d), in each layer;
- ``bias(where)``: what is added to the scores of all layers, (..., h, n, n).

``where`` says where the tokens stand.  Shaw's encoding, whose bias hangs on the queries of a layer,
has a table in each and a hook of its own.
"""

from typing import NamedTuple

import torch
from torch import nn
from typing_extensions import override

from attention_limits.checks import check_count
from attention_limits.models.architecture import Architecture
from attention_limits.models.layers import Dice
from attention_limits.positions import (
    alibi,
    learned,
    lstm_generated,
    relative_bias,
    rotary,
    shaw,
    sinusoidal,
    time_aware,
)


class Where(NamedTuple):
    """Where the tokens of a batch stand.

    Attributes:
        n: how many there are.
        positions: integers (s, batch, n); None means 0 … n − 1.
        times: numbers (s, batch, n), where there are any.
    """

    n: int
    positions: torch.Tensor | None = None
    times: torch.Tensor | None = None


class Encoding(nn.Module):
    """None of them: tokens, queries, keys and scores stay as they are."""

    takes_positions = True  # or has no use for them, like this one

    def __init__(self, dice: Dice, architecture: Architecture):
        super().__init__()

    def at_inputs(self, x: torch.Tensor, where: Where) -> torch.Tensor:
        """The tokens, with what goes on top of them."""
        return x

    def turned(self, x: torch.Tensor, where: Where) -> torch.Tensor:
        """Queries or keys, turned to where they stand."""
        return x

    def bias(self, where: Where) -> torch.Tensor | None:
        """What goes on top of the scores, if anything does."""
        return None


class Sinusoidal(Encoding):
    """Option: ``base``."""

    def __init__(self, dice: Dice, architecture: Architecture, *, base: float = 10000.0):
        super().__init__(dice, architecture)
        _check_pairs("d_model", architecture.d_model)
        self.base = base

    @override
    def at_inputs(self, x: torch.Tensor, where: Where) -> torch.Tensor:
        return sinusoidal.apply(x, base=self.base, positions=where.positions)


class Learned(Encoding):
    """Option: ``n_max``, the length of its table."""

    def __init__(self, dice: Dice, architecture: Architecture, *, n_max: int = 256):
        super().__init__(dice, architecture)
        check_count("n_max", n_max, least=1)
        self.table = dice.normal(1, n_max, architecture.d_model, deviation=1.0)

    @override
    def at_inputs(self, x: torch.Tensor, where: Where) -> torch.Tensor:
        return learned.apply(x, self.table, positions=where.positions)


class LstmGenerated(Encoding):
    """Option: ``hidden``, the width of its state; ``d_model`` if not given."""

    takes_positions = False  # it makes them

    def __init__(self, dice: Dice, architecture: Architecture, *, hidden: int | None = None):
        super().__init__(dice, architecture)
        d, m = architecture.d_model, architecture.d_model if hidden is None else hidden
        check_count("hidden", m, least=1)
        self.w_x = dice.normal(1, 4 * m, d, deviation=d**-0.5)
        self.w_h = dice.normal(1, 4 * m, m, deviation=m**-0.5)
        self.gates = dice.constant(1, 4 * m)
        self.w_out = dice.normal(1, d, m, deviation=m**-0.5)

    @override
    def at_inputs(self, x: torch.Tensor, where: Where) -> torch.Tensor:
        return lstm_generated.apply(x, self.w_x, self.w_h, self.gates, self.w_out)


class Rotary(Encoding):
    """Options: ``base``; ``factor``, by which positions are interpolated.

    Scores hang on distances alone unless something comes between the rotation and the inner
    product, such as the feature map of ``linear`` or, with one for each channel, a decay.
    """

    def __init__(
        self, dice: Dice, architecture: Architecture, *, base: float = 10000.0, factor: float = 1
    ):
        super().__init__(dice, architecture)
        _check_pairs("d_model / heads", architecture.d_model // architecture.heads)
        self.base, self.factor = base, factor

    @override
    def turned(self, x: torch.Tensor, where: Where) -> torch.Tensor:
        theta = rotary.frequencies(x.shape[-1], base=self.base, device=x.device)
        theta = rotary.interpolated(theta, self.factor)
        # In halves, which lie together in memory: as good as interleaved, and faster.
        positions = _for_all_heads(where.positions)
        return rotary.apply(x, frequencies=theta, positions=positions, layout="half")


class Alibi(Encoding):
    """No options; its slopes are those of the paper."""

    def __init__(self, dice: Dice, architecture: Architecture):
        super().__init__(dice, architecture)
        self.register_buffer("slopes", alibi.slopes(architecture.heads))

    @override
    def bias(self, where: Where) -> torch.Tensor:
        p = where.positions
        return alibi.bias(where.n, where.n, self.slopes, positions_q=p, positions_k=p)


class RelativeBias(Encoding):
    """Options: ``buckets`` and ``max_distance``.  One table serves all layers, as in T5."""

    def __init__(
        self, dice: Dice, architecture: Architecture, *, buckets: int = 32, max_distance: int = 128
    ):
        super().__init__(dice, architecture)
        self.table = dice.constant(1, architecture.heads, buckets)
        self.options = {"causal": architecture.causal, "max_distance": max_distance}

    @override
    def bias(self, where: Where) -> torch.Tensor:
        p = where.positions
        options = {**self.options, "buckets": self.table.shape[-1]}
        return relative_bias.bias(
            where.n, where.n, self.table, positions_q=p, positions_k=p, **options
        )


class Shaw(Encoding):
    """Option: ``reach``, the distance from which on all are alike."""

    takes_positions = False  # it knows how many tokens lie between two, and no more

    def __init__(self, dice: Dice, architecture: Architecture, *, reach: int = 16):
        super().__init__(dice, architecture)
        check_count("reach", reach)
        d = architecture.d_model // architecture.heads
        layers = range(architecture.layers)
        self.tables = nn.ParameterList(
            dice.normal(1, 1, 2 * reach + 1, d, deviation=d**-0.5) for _ in layers
        )

    def bias_of(self, q: torch.Tensor, layer: int) -> torch.Tensor:
        """What goes on top of the scores of a layer's queries."""
        table = self.tables[layer].to(q.dtype)  # lower than its own under autocast
        return shaw.bias(q, table, q.shape[-2])


class TimeAware(Encoding):
    """Options: ``knots``, where the bias may bend; ``periods``, of the first pair and the last.

    Without periods, queries and keys do not turn.  Slopes start as ALiBi's and are learned, as
    logarithms.
    """

    def __init__(
        self,
        dice: Dice,
        architecture: Architecture,
        *,
        knots: tuple[float, ...] = (0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 3.0, 5.0, 8.0),
        periods: tuple[float, float] | None = None,
    ):
        super().__init__(dice, architecture)
        heads = architecture.heads
        first = alibi.slopes(heads).log().expand(len(dice.generators), 1, heads)
        self.log_slopes = nn.Parameter(first.clone())
        self.changes = dice.constant(1, heads, len(knots))
        self.register_buffer("knots", torch.tensor(knots, dtype=first.dtype))
        if periods is not None:
            _check_pairs("d_model / heads", architecture.d_model // heads)
        self.periods = periods

    @override
    def turned(self, x: torch.Tensor, where: Where) -> torch.Tensor:
        if self.periods is None:
            return x
        periods = time_aware.geometric(x.shape[-1], *self.periods, device=x.device)
        return time_aware.rotate(x, _for_all_heads(where.times), periods=periods)

    @override
    def bias(self, where: Where) -> torch.Tensor:
        if where.times is None:
            raise ValueError("times must be given to a model whose encoding is time_aware")
        return time_aware.bias(
            where.times,
            where.times,
            self.log_slopes.exp(),
            knots=self.knots,
            changes=self.changes,
        )


ENCODINGS = {
    "none": Encoding,
    "sinusoidal": Sinusoidal,
    "learned": Learned,
    "rotary": Rotary,
    "alibi": Alibi,
    "relative_bias": RelativeBias,
    "shaw": Shaw,
    "time_aware": TimeAware,
    "lstm_generated": LstmGenerated,
}


def _check_pairs(name: str, width: int) -> None:
    if width % 2:
        raise ValueError(f"{name} must be even, for a pair of entries a frequency, got {width}")


def _for_all_heads(positions: torch.Tensor | None) -> torch.Tensor | None:
    return None if positions is None else positions.unsqueeze(-2)
