"""How far two outputs are from each other, in which both are in float64."""

from typing import NamedTuple

import torch

CLOSE = 1e-9  # beside the largest entry: what rounding in float64 may add up to


class Difference(NamedTuple):
    """The largest difference beside the largest entry, and the rows that differ."""

    size: float
    rows: list[int]

    @property
    def small(self) -> bool:
        """Whether it may be rounding; what is NaN in one of them is none."""
        return not self.rows


def difference(out: torch.Tensor, expected: torch.Tensor) -> Difference:
    """Of (..., n, d) tensors; what is NaN in both is alike: it is the reader's own equation."""
    if not out.numel():
        return Difference(0.0, [])
    out, expected = out.detach().cpu().double(), expected.detach()
    largest = float(expected.abs().nan_to_num().max()) or 1.0
    apart = ((out - expected).abs() / largest).nan_to_num(torch.inf)
    apart = torch.where(out.isnan() & expected.isnan(), 0, apart)
    rows = apart.movedim(-2, 0).flatten(1).amax(1)
    return Difference(float(rows.max()), (rows > CLOSE).nonzero().flatten().tolist())
