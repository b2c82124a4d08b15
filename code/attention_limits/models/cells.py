r"""Steps of recurrent networks, and the walk that takes them.

.. math::

    \text{rnn:} \quad h_t = \tanh(a_t), \qquad a_t = W_x x_t + b_x + W_h h_{t-1} + b_h

LSTM and GRU as PyTorch's own have them; what these compute, one seed at a time, is what these do
for all seeds at once.
"""

from collections.abc import Callable

import torch

from attention_limits.attention.transforms import one_call
from attention_limits.tensors import own_precision

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


@own_precision
@one_call
def walk(
    driven: torch.Tensor, weight: torch.Tensor, start: torch.Tensor, bias: torch.Tensor, cell: str
) -> torch.Tensor:
    """What a layer shows at each token, (s, batch, n, d), all in one dtype.

    Args:
        driven: W_x x_t + b_x, (s, batch, n, gates · d).
        weight: W_h, (s, 1, gates · d, d).
        start: each tensor of the first state, (s, batch, 1, d).
        bias: b_h, (s, 1, 1, gates · d).
        cell: one of ``CELLS``.
    """
    step, _, parts = CELLS[cell]
    # There may be no tokens.
    state, shown = (start.squeeze(-2),) * parts, [start[..., :0, :]]
    for now in driven.unbind(-2):
        fed_back = torch.baddbmm(bias.squeeze(1), state[0], weight.squeeze(1).mT)
        state = step(now, fed_back, state)
        shown.append(state[0].unsqueeze(-2))
    return torch.cat(shown, dim=-2)
