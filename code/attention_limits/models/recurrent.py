"""Recurrent networks: a state that is rewritten by each token; ``cells`` has the steps."""

import torch
from torch import nn

from attention_limits.models.architecture import Architecture
from attention_limits.models.cells import CELLS, walk
from attention_limits.models.layers import Embedding, Initializer, Linear


class Recurrent(nn.Module):
    """Tokens to logits, (s, batch, n) to (s, batch, n, classes)."""

    def __init__(
        self, initializer: Initializer, architecture: Architecture, vocabulary: int, classes: int
    ):
        super().__init__()
        self.d = d = architecture.d_model
        self.cell, (_, gates, _) = architecture.kind, CELLS[architecture.kind]
        self.embedding = Embedding(initializer, vocabulary, d)
        layers = range(architecture.layers)
        self.inward = nn.ModuleList(Linear(initializer, d, gates * d) for _ in layers)
        self.back = nn.ModuleList(Linear(initializer, d, gates * d) for _ in layers)
        self.head = Linear(initializer, d, classes)

    def forward(
        self,
        tokens: torch.Tensor,
        *,
        positions: torch.Tensor | None = None,
        times: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """A recurrent network counts tokens as they come: positions and times it never sees."""
        x = self.embedding(tokens)
        for inward, back in zip(self.inward, self.back, strict=True):
            x = self._walk(inward(x), back)
        return self.head(x)

    def _walk(self, driven: torch.Tensor, back: nn.Module) -> torch.Tensor:
        """The states of a layer, from what its inputs drive it with."""
        # As autocast has made what drives it, or as they come.
        weight, bias = (getattr(back, x).to(driven.dtype)[:, None] for x in ("weight", "bias"))
        start = driven.new_zeros(*driven.shape[:2], 1, self.d)
        return walk(driven, weight, start, bias, self.cell)
