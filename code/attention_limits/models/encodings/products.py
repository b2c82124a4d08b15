"""The encoding that turns queries and keys before they meet, in each layer."""

import torch
from typing_extensions import override

from attention_limits.models.encodings.encoding import (
    Encoding,
    Sizes,
    Where,
    as_frequencies,
    check_even,
    for_all_heads,
)
from attention_limits.models.layers import Initializer
from attention_limits.positions import options, rotary


class Rotary(Encoding):
    """Options: ``base``; ``factor``, by which positions are interpolated; or ``frequencies``.

    These are what pairs turn by a token, one a pair of a head, fastest first or not; of those at 0
    queries and keys stay as they are. Then base and factor are not looked at.

    Scores depend on distances alone unless something comes between the rotation and the inner
    product, such as the feature map of ``linear`` or, with one for each channel, a decay.
    """

    def __init__(
        self,
        initializer: Initializer,
        sizes: Sizes,
        *,
        base: float = 10000.0,
        factor: float = 1,
        frequencies: tuple[float, ...] | None = None,
    ):
        super().__init__(initializer, sizes)
        self.base, self.factor, self.frequencies = base, factor, frequencies

    @staticmethod
    @override
    def check(
        sizes: Sizes, *, base: float, factor: float, frequencies: tuple[float, ...] | None
    ) -> None:
        check_even("d_model / heads", sizes.d_model // sizes.heads)
        options.check_base(base)
        options.check_factor(factor)
        if frequencies is not None:
            pairs = sizes.d_model // sizes.heads // 2
            options.check_numbers("frequencies", frequencies, count=pairs)

    @override
    def turned(self, x: torch.Tensor, where: Where) -> torch.Tensor:
        theta = as_frequencies(self.frequencies, x.shape[-1], self.base, x.device)
        if self.frequencies is None:
            theta = rotary.interpolated(theta, self.factor)
        # In halves, which lie together in memory: as good as interleaved, and faster.
        positions = None if where.positions is None else for_all_heads(where.positions)
        return rotary.apply(x, frequencies=theta, positions=positions, layout="half")
