"""Encodings that add something to the scores."""

import torch
from torch import nn
from typing_extensions import override

from attention_limits.checks import check_count
from attention_limits.models.encodings.encoding import (
    Encoding,
    Sizes,
    Where,
    check_even,
    for_all_heads,
)
from attention_limits.models.layers import Initializer
from attention_limits.positions import alibi, options, relative_bias, shaw, time_aware


class Alibi(Encoding):
    """No options; its slopes are those of the paper."""

    slopes: torch.Tensor

    def __init__(self, initializer: Initializer, sizes: Sizes):
        super().__init__(initializer, sizes)
        self.register_buffer("slopes", alibi.slopes(sizes.heads))

    @override
    def bias(self, where: Where) -> torch.Tensor:
        p = where.positions
        return alibi.bias(where.n, where.n, self.slopes, positions_q=p, positions_k=p)


class RelativeBias(Encoding):
    """Options: ``buckets`` and ``max_distance``.  One table serves all layers, as in T5."""

    def __init__(
        self, initializer: Initializer, sizes: Sizes, *, buckets: int = 32, max_distance: int = 128
    ):
        super().__init__(initializer, sizes)
        self.table = initializer.constant(1, sizes.heads, buckets)
        self.causal, self.max_distance = sizes.causal, max_distance

    @staticmethod
    @override
    def check(sizes: Sizes, *, buckets: int, max_distance: int) -> None:
        options.buckets_a_side(sizes.causal, buckets, max_distance)

    @override
    def bias(self, where: Where) -> torch.Tensor:
        return relative_bias.bias(
            where.n,
            where.n,
            self.table,
            causal=self.causal,
            buckets=self.table.shape[-1],
            max_distance=self.max_distance,
            positions_q=where.positions,
            positions_k=where.positions,
        )


class Shaw(Encoding):
    """Option: ``max_distance``, the distance from which on all are alike."""

    def __init__(self, initializer: Initializer, sizes: Sizes, *, max_distance: int = 16):
        super().__init__(initializer, sizes)
        d = sizes.d_model // sizes.heads
        layers = range(sizes.layers)
        self.tables = nn.ParameterList(
            initializer.normal(1, 1, 2 * max_distance + 1, d, deviation=d**-0.5) for _ in layers
        )

    @staticmethod
    @override
    def check(sizes: Sizes, *, max_distance: int) -> None:
        check_count("max_distance", max_distance)

    def bias_of(self, q: torch.Tensor, layer: int, where: Where) -> torch.Tensor:
        """What goes on top of the scores of a layer's queries."""
        table = self.tables[layer].to(q.dtype)  # lower than its own under autocast
        p = None if where.positions is None else for_all_heads(where.positions)
        return shaw.bias(q, table, q.shape[-2], positions_q=p, positions_k=p)


class TimeAware(Encoding):
    """Options: ``knots``, where the bias may bend; ``periods``, of the first pair and the last.

    Without periods, queries and keys do not turn.  Slopes start as ALiBi's and are learned, as
    logarithms.
    """

    knots: torch.Tensor

    def __init__(
        self,
        initializer: Initializer,
        sizes: Sizes,
        *,
        knots: tuple[float, ...] = (0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 3.0, 5.0, 8.0),
        periods: tuple[float, float] | None = None,
    ):
        super().__init__(initializer, sizes)
        heads = sizes.heads
        first = alibi.slopes(heads).log().expand(len(initializer.generators), 1, heads)
        self.log_slopes = nn.Parameter(first.clone())
        self.changes = initializer.constant(1, heads, len(knots))
        self.register_buffer("knots", torch.tensor(knots, dtype=first.dtype))
        self.periods = periods

    @staticmethod
    @override
    def check(
        sizes: Sizes, *, knots: tuple[float, ...], periods: tuple[float, float] | None
    ) -> None:
        options.check_numbers("knots", knots)
        if periods is not None:
            check_even("d_model / heads", sizes.d_model // sizes.heads)
            options.check_numbers("periods", periods, count=2)
            options.check_periods(*periods)

    @override
    def turned(self, x: torch.Tensor, where: Where) -> torch.Tensor:
        if self.periods is None:
            return x
        periods = time_aware.geometric(x.shape[-1], *self.periods, device=x.device)
        return time_aware.rotate(x, for_all_heads(_times(where)), periods=periods)

    @override
    def bias(self, where: Where) -> torch.Tensor:
        times = _times(where)
        return time_aware.bias(
            times, times, self.log_slopes.exp(), knots=self.knots, changes=self.changes
        )


def _times(where: Where) -> torch.Tensor:
    if where.times is None:
        raise ValueError("times must be given to a model whose encoding is time_aware, got None")
    return where.times
