"""The parts of all models, each with a leading axis for seeds: several models in one.

Weights have the shape (s, ...), tokens (s, batch, n, d), and nothing mixes one seed with another,
so that a model trained side by side with others is what it would be alone.
"""

import math
from collections.abc import Sequence

import torch
from torch import nn
from torch.nn.functional import layer_norm

from attention_limits.checks import check_counts
from attention_limits.tensors import INTEGERS, check_kind


class Initializer:
    """First weights, those of each seed from a generator of its own.

    Drawn on the CPU, they are the same for every device, and whatever other seeds are there.
    They come to lie on PyTorch's default device.
    """

    def __init__(self, seeds: Sequence[int]):
        seeds = check_counts("seeds", seeds)
        self.generators = [torch.Generator().manual_seed(seed) for seed in seeds]

    def normal(self, *shape: int, deviation: float) -> nn.Parameter:
        """Independent normal numbers around 0."""
        drawn = [torch.randn(shape, generator=g, device="cpu") for g in self.generators]
        return nn.Parameter((deviation * torch.stack(drawn)).to(torch.get_default_device()))

    def constant(self, *shape: int, value: float = 0.0) -> nn.Parameter:
        """The same number everywhere."""
        return nn.Parameter(torch.full((len(self.generators), *shape), value))


class Linear(nn.Module):
    """y = W x + b, with W of deviation 1/√d_in at first and b = 0."""

    def __init__(self, initializer: Initializer, d_in: int, d_out: int, *, bias: bool = True):
        super().__init__()
        self.weight = initializer.normal(d_out, d_in, deviation=1 / math.sqrt(d_in))
        self.bias = initializer.constant(1, d_out) if bias else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(s, ..., d_in) to (s, ..., d_out)."""
        rows = x.flatten(1, -2)  # of a seed, in one product
        if self.bias is None:
            out = rows @ self.weight.mT
        else:
            out = torch.baddbmm(self.bias, rows, self.weight.mT)
        return out.reshape(*x.shape[:-1], out.shape[-1])


class Embedding(nn.Module):
    """A row for each token."""

    def __init__(self, initializer: Initializer, vocabulary: int, d: int):
        super().__init__()
        self.table = initializer.normal(vocabulary, d, deviation=1.0)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """(s, batch, n) to (s, batch, n, d)."""
        seeds, vocabulary, d = self.table.shape
        check_kind("tokens", tokens, INTEGERS)
        if tokens.ndim != 3 or len(tokens) != seeds:
            raise ValueError(
                f"tokens must be (s, batch, n) for s = {seeds} seeds, got {tuple(tokens.shape)}"
            )
        # One table under another, so that PyTorch's own look-up serves all seeds.
        first = vocabulary * torch.arange(seeds, device=tokens.device)
        return nn.functional.embedding(tokens + first.view(-1, 1, 1), self.table.reshape(-1, d))


class Norm(nn.Module):
    """Each token's entries brought to mean 0 and variance 1, then scaled and shifted."""

    def __init__(self, initializer: Initializer, d: int):
        super().__init__()
        self.gain = initializer.constant(1, 1, d, value=1.0)
        self.shift = initializer.constant(1, 1, d)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(s, batch, n, d) to the same."""
        return torch.addcmul(self.shift, layer_norm(x, x.shape[-1:]), self.gain)
