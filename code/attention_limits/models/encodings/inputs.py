"""Encodings that add something to each token, once."""

import torch
from typing_extensions import override

from attention_limits.checks import check_count, check_number
from attention_limits.models.encodings.encoding import (
    Encoding,
    Sizes,
    Where,
    as_frequencies,
    check_even,
)
from attention_limits.models.layers import Initializer
from attention_limits.positions import learned, lstm_generated, options, sinusoidal


class Sinusoidal(Encoding):
    """Options: ``base``; or ``frequencies``, one a pair of entries, and base is not looked at.

    Of a frequency of 0 the entries are the same for all tokens.
    """

    def __init__(
        self,
        initializer: Initializer,
        sizes: Sizes,
        *,
        base: float = 10000.0,
        frequencies: tuple[float, ...] | None = None,
    ):
        super().__init__(initializer, sizes)
        self.base, self.frequencies = base, frequencies

    @staticmethod
    @override
    def check(sizes: Sizes, *, base: float, frequencies: tuple[float, ...] | None) -> None:
        check_even("d_model", sizes.d_model)
        options.check_base(base)
        if frequencies is not None:
            options.check_numbers("frequencies", frequencies, count=sizes.d_model // 2)

    @override
    def at_inputs(self, x: torch.Tensor, where: Where) -> torch.Tensor:
        omega = as_frequencies(self.frequencies, x.shape[-1], self.base, x.device)
        return sinusoidal.apply(x, frequencies=omega, positions=where.positions)


class Learned(Encoding):
    """Options: ``n_max``, the length of its table; ``deviation``, of its first entries."""

    def __init__(
        self, initializer: Initializer, sizes: Sizes, *, n_max: int = 256, deviation: float = 1.0
    ):
        super().__init__(initializer, sizes)
        self.table = initializer.normal(1, n_max, sizes.d_model, deviation=deviation)

    @staticmethod
    @override
    def check(sizes: Sizes, *, n_max: int, deviation: float) -> None:
        check_count("n_max", n_max, least=1)
        check_number("deviation", deviation, least=0)

    @override
    def at_inputs(self, x: torch.Tensor, where: Where) -> torch.Tensor:
        return learned.apply(x, self.table, positions=where.positions)


class LstmGenerated(Encoding):
    """Option: ``hidden``, the width of its state; ``d_model`` if not given."""

    takes_positions = False  # it makes them

    def __init__(self, initializer: Initializer, sizes: Sizes, *, hidden: int | None = None):
        super().__init__(initializer, sizes)
        d, m = sizes.d_model, sizes.d_model if hidden is None else hidden
        self.w_x = initializer.normal(1, 4 * m, d, deviation=d**-0.5)
        self.w_h = initializer.normal(1, 4 * m, m, deviation=m**-0.5)
        self.gates = initializer.constant(1, 4 * m)
        self.w_out = initializer.normal(1, d, m, deviation=m**-0.5)

    @staticmethod
    @override
    def check(sizes: Sizes, *, hidden: int | None) -> None:
        if hidden is not None:
            check_count("hidden", hidden, least=1)

    @override
    def at_inputs(self, x: torch.Tensor, where: Where) -> torch.Tensor:
        return lstm_generated.apply(x, self.w_x, self.w_h, self.gates, self.w_out)
