r"""Generated encoding: an LSTM reads the inputs and says, for each, what is added to it.

.. math::

    y_t = x_t + W_o h_t, \qquad h_t = o_t \circ \tanh(c_t), \qquad
    c_t = f_t \circ c_{t-1} + i_t \circ \tilde{c}_t

.. math::

    \begin{pmatrix} i_t \\ f_t \\ \tilde{c}_t \\ o_t \end{pmatrix} =
    \begin{pmatrix} \sigma \\ \sigma \\ \tanh \\ \sigma \end{pmatrix}
    (W_x x_t + W_h h_{t-1} + b), \qquad h_0 = c_0 = 0 \text{ unless given}

The gates come in the order of ``torch.nn.LSTM``: input, forget, cell, output.  Its two biases, one
for inputs and one for states, are b together.

A position then depends on all earlier tokens: the LSTM may count tokens, or only those that matter,
and there is no longest position.  It has 4m(d + m) + 4m + md parameters, m being the width of its
state, and needs about twice as many FLOPs a token, linear in n.

The price: n steps one after another, in front of a layer that was designed to have none.  And the
LSTM passes on more than positions: what it has learned about the contents also reaches the layer,
so that a comparison needs the LSTM alone as a control.  Use it where counting depends on content,
on short sequences.

Source: ours, around the cell of :cite:t:`hochreiter1997long` with a forget gate.  Kin:
:cite:t:`liu2020learning`, whose positions follow a differential equation, and
:cite:t:`golovneva2024contextual`, where a query counts the keys that it chooses.
Taught in: "Positional encodings".
"""

from typing import NamedTuple

import numpy as np
import torch

from attention_limits import symbols
from attention_limits.attention.transforms import one_call
from attention_limits.checks import check_count
from attention_limits.formula import Formula
from attention_limits.positions.cost import EncodingCost
from attention_limits.tensors import check_leads, check_rows, check_tensors, own_precision, shape_of

# What `help` shows, and first of all functions: states are looked up where they are returned.
__all__ = ["PLACE", "apply", "cost", "define", "step"]

PLACE = "inputs"


class State(NamedTuple):
    """What an LSTM remembers: h_t, which it shows, and c_t, which it keeps; (..., m) each."""

    hidden: torch.Tensor
    cell: torch.Tensor


def define(
    x: np.ndarray,
    w_x: np.ndarray,
    w_h: np.ndarray,
    bias: np.ndarray,
    w_out: np.ndarray,
    *,
    state: tuple[np.ndarray, np.ndarray] | None = None,
) -> np.ndarray:
    """The equations above, word for word, on (n, d) arrays; leading axes broadcast."""

    def sigmoid(z):
        return (1 + np.tanh(z / 2)) / 2  # 1 / (1 + e^−z), which overflows

    def one_sequence(x, w_x, w_h, bias, w_out, h, c):
        y = np.zeros(x.shape)
        for t, x_t in enumerate(x):
            i, f, g, o = np.split(w_x @ x_t + w_h @ h + bias, 4)
            c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
            h = sigmoid(o) * np.tanh(c)
            y[t] = x_t + w_out @ h
        return y

    signature = "(n,d),(g,d),(g,m),(g),(d,m),(m),(m)->(n,d)"
    start = (np.zeros(w_h.shape[-1]),) * 2 if state is None else state
    sequences = np.vectorize(one_sequence, [float], signature=signature)
    return sequences(x, w_x, w_h, bias, w_out, *start)


@own_precision
def apply(
    x: torch.Tensor,
    w_x: torch.Tensor,
    w_h: torch.Tensor,
    bias: torch.Tensor,
    w_out: torch.Tensor,
    *,
    state: State | None = None,
) -> torch.Tensor:
    """The same on (..., n, d) tensors: one large product for the inputs, n small ones.

    Time and memory are linear in n, forward and backward.

    Args:
        x: inputs (..., n, d).
        w_x: weights of the inputs (..., 4m, d), in the dtype and on the device of ``x``.
        w_h: weights of the states (..., 4m, m), likewise.
        bias: (..., 4m), likewise.
        w_out: from states to encodings, (..., d, m), likewise.  Leading axes broadcast: models
            trained side by side have weights (s, 1, 4m, d) for inputs (s, batch, n, d).
        state: h_0 and c_0, (..., m) each, likewise; None means 0.

    Returns:
        (..., n, d), in the dtype of ``x``.

    Raises:
        ValueError: naming the argument, if shapes, dtypes or devices do not fit.
    """
    lead = _check(state, x, w_x, w_h, bias, w_out)
    return _walk(lead, state, x, w_x, w_h, bias, w_out)[0]


@own_precision
def step(
    state: State | None,
    x: torch.Tensor,
    w_x: torch.Tensor,
    w_h: torch.Tensor,
    bias: torch.Tensor,
    w_out: torch.Tensor,
) -> tuple[torch.Tensor, State]:
    """The next input, or the next few, of a stream.

    Args:
        state: what the last step returned; None starts a stream.
        x: the new inputs only, shaped as for ``apply``.
        w_x: as for ``apply``.
        w_h: as for ``apply``.
        bias: as for ``apply``.
        w_out: as for ``apply``.

    Returns:
        The new inputs with their encodings, and the state that the next step wants.

    Raises:
        ValueError: naming the argument, if it does not fit the others or the stream.
    """
    lead = _check(None, x, w_x, w_h, bias, w_out)
    if state is not None:
        _check(state, x, w_x, w_h, bias, w_out)
        held = [shape_of(part)[:-1] for part in state]
        if held != [tuple(lead)] * 2:
            raise ValueError(
                f"x must continue its stream, with leading axes {held[0]}, got {tuple(lead)}"
            )
    return _walk(lead, state, x, w_x, w_h, bias, w_out)


def cost(*, hidden: int) -> EncodingCost:
    """With states ``hidden`` wide: the products of n steps, and what is added and multiplied."""
    hidden = check_count("hidden", hidden, least=1)
    n, d, m = symbols.n, symbols.d, hidden
    weights = 4 * m * (d + m) + m * d
    # Products, their sum with each other and the bias, three a cell, one a state, the inputs'.
    token = 2 * weights + 2 * 4 * m + 3 * m + m + d
    return EncodingCost(
        parameters=Formula(weights + 4 * m, "numbers", "parameters of the generated encoding"),
        flops=Formula(n * token, "FLOPs", "added by the generated encoding"),
    )


def _walk(lead, state, x, w_x, w_h, bias, w_out) -> tuple[torch.Tensor, State]:
    """All steps from a state on, and the state after them."""
    n, m = x.shape[-2], w_h.shape[-1]
    if state is None:
        start = x.new_zeros(*lead, 1, 2 * m)
    else:
        start = torch.cat([part.expand(*lead, m) for part in state], dim=-1).unsqueeze(-2)
    # Not matmul, which would copy shared weights for each sequence of a batch, and at each step.
    driven = torch.einsum("...nd,...gd->...ng", x, w_x) + bias.unsqueeze(-2)
    states = _states(driven, w_h, start)
    encodings = torch.einsum("...nm,...dm->...nd", states[..., :m], w_out)
    last = states[..., -1, :] if n else start.squeeze(-2)
    # Views would keep all states alive.
    return x + encodings, State(*(part.clone() for part in last.chunk(2, dim=-1)))


@one_call
def _states(driven: torch.Tensor, w_h: torch.Tensor, start: torch.Tensor) -> torch.Tensor:
    """All h_t, each beside its c_t, (..., n, 2m), from W_x x_t + b and the pair before them."""
    m = w_h.shape[-1]
    hidden, cell = start.squeeze(-2).split(m, dim=-1)
    states = [hidden[..., :0]]  # there may be no inputs
    for now in driven.unbind(-2):
        gates = now + torch.einsum("...m,...gm->...g", hidden, w_h)
        i, f, g, o = gates.chunk(4, dim=-1)
        cell = f.sigmoid() * cell + i.sigmoid() * g.tanh()
        hidden = o.sigmoid() * cell.tanh()
        states += [hidden, cell]
    return torch.cat(states, dim=-1).unflatten(-1, (driven.shape[-2], 2 * m))


def _check(state, x, w_x, w_h, bias, w_out) -> torch.Size:
    """The leading axes of the output, if everything fits; else ValueError."""
    check_tensors(x=x, w_x=w_x, w_h=w_h, bias=bias, w_out=w_out)
    check_rows("x", x, "(..., n, d)")
    check_rows("w_h", w_h, "(..., 4m, m)")
    d, m = x.shape[-1], w_h.shape[-1]
    fitting = {
        "w_x": (w_x, (4 * m, d)),
        "w_h": (w_h, (4 * m, m)),
        "bias": (bias, (4 * m,)),
        "w_out": (w_out, (d, m)),
    }
    if state is not None:
        hidden, cell = state
        check_tensors(x=x, hidden=hidden, cell=cell)
        fitting |= {"hidden": (hidden, (m,)), "cell": (cell, (m,))}
    leads = {"x": x.shape[:-2]}
    for name, (tensor, shape) in fitting.items():
        if tensor.shape[-len(shape) :] != shape:
            wanted = ", ".join(map(str, shape))
            raise ValueError(f"{name} must have the shape (..., {wanted}), got {shape_of(tensor)}")
        leads[name] = tensor.shape[: -len(shape)]
    check_leads(**leads)
    return torch.broadcast_shapes(*leads.values())
