r"""Recurrent networks: a state that is rewritten by each token.

.. math::

    \text{rnn:} \quad h_t = \tanh(a_t), \qquad a_t = W_x x_t + b_x + W_h h_{t-1} + b_h

LSTM and GRU as PyTorch's own have them; what these compute, one seed at a time, is what these do
for all seeds at once.
"""

from collections.abc import Callable

import torch
from torch import nn

from attention_limits.models.architecture import Architecture
from attention_limits.models.layers import Embedding, Initializer, Linear

State = tuple[torch.Tensor, ...]  # its first tensor is what a layer passes on


def rnn(driven: torch.Tensor, fed_back: torch.Tensor, state: State) -> State:
    """One step, from W_x x_t + b_x, W_h h_{t−1} + b_h and the state."""
    return ((driven + fed_back).tanh(),)


def gru(driven: torch.Tensor, fed_back: torch.Tensor, state: State) -> State:
    """One step: how much to reset, how much to keep, and what to put in its place."""
    reset_x, keep_x, new_x = driven.chunk(3, dim=-1)
    reset_h, keep_h, new_h = fed_back.chunk(3, dim=-1)
    reset, keep = (reset_x + reset_h).sigmoid(), (keep_x + keep_h).sigmoid()
    new = torch.addcmul(new_x, reset, new_h).tanh()
    return (torch.lerp(new, state[0], keep),)


def lstm(driven: torch.Tensor, fed_back: torch.Tensor, state: State) -> State:
    """One step: what enters, what is forgotten, what is new, and what shows."""
    enter, forget, new, show = (driven + fed_back).chunk(4, dim=-1)
    cell = torch.addcmul(forget.sigmoid() * state[1], enter.sigmoid(), new.tanh())
    return show.sigmoid() * cell.tanh(), cell


CELLS: dict[str, tuple[Callable, int, int]] = {  # the step, gates, and tensors of a state
    "rnn": (rnn, 1, 1),
    "gru": (gru, 3, 1),
    "lstm": (lstm, 4, 2),
}


class Recurrent(nn.Module):
    """Tokens to logits, (s, batch, n) to (s, batch, n, classes)."""

    def __init__(
        self, initializer: Initializer, architecture: Architecture, vocabulary: int, classes: int
    ):
        super().__init__()
        self.d = d = architecture.d_model
        self.cell, gates, self.parts = CELLS[architecture.kind]
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
        zeros = driven.new_zeros(*driven.shape[:2], self.d)
        state, shown = (zeros,) * self.parts, []
        for now in driven.unbind(-2):
            state = self.cell(now, back(state[0]), state)
            shown.append(state[0])
        return torch.stack(shown, dim=-2) if shown else driven[..., : self.d]  # of no tokens
