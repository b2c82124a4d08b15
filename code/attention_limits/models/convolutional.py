"""A convolutional network: layers of one kernel, the l-th of which leaves out 2^l − 1 of 2^l."""

import torch
from torch import nn
from torch.nn.functional import pad

from attention_limits.models.architecture import Architecture
from attention_limits.models.layers import Embedding, Initializer, Linear, Norm


class Convolutional(nn.Module):
    """Tokens to logits, (s, batch, n) to (s, batch, n, classes)."""

    def __init__(
        self, initializer: Initializer, architecture: Architecture, vocabulary: int, classes: int
    ):
        super().__init__()
        d, self.width, self.causal = architecture.d_model, architecture.width, architecture.causal
        self.embedding = Embedding(initializer, vocabulary, d)
        layers = range(architecture.layers)
        self.norms = nn.ModuleList(Norm(initializer, d) for _ in layers)
        self.kernels = nn.ModuleList(Linear(initializer, self.width * d, d) for _ in layers)
        self.norm = Norm(initializer, d)
        self.head = Linear(initializer, d, classes)

    def forward(
        self,
        tokens: torch.Tensor,
        *,
        positions: torch.Tensor | None = None,
        times: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """A convolution sees which tokens are neighbours: positions and times it never sees."""
        x = self.embedding(tokens)
        for level, (norm, kernel) in enumerate(zip(self.norms, self.kernels, strict=True)):
            x = x + kernel(self._neighbours(norm(x), dilation=2**level)).relu()
        return self.head(self.norm(x))

    def _neighbours(self, x: torch.Tensor, dilation: int) -> torch.Tensor:
        """Each token beside those that a kernel sees with it: a convolution is linear in these."""
        n, span = x.shape[-2], (self.width - 1) * dilation
        ahead = 0 if self.causal else span // 2
        padded = pad(x, (0, 0, span - ahead, ahead))
        seen = [padded[..., first : first + n, :] for first in range(0, span + 1, dilation)]
        return torch.cat(seen, dim=-1)
