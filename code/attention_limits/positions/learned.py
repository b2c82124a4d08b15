r"""Learned encoding: each position is added as a row of a table of parameters.

.. math::

    y_p = x_p + E_p, \qquad E \in \mathbb{R}^{n_\text{max} \times d}, \quad 0 \le p < n_\text{max}

It assumes nothing: each row is independent of the others, and before training neighbours are as
different as the two ends.

It costs nd additions and n_max · d parameters: memory, and the optimiser's state, but no time.  The
price: a row is learned only as often as its position occurs, and beyond n_max there is no row.  Use
it where all sequences have one short length, in images say, and never to extrapolate.

Source: :cite:t:`vaswani2017attention`, beside sinusoids; :cite:t:`radford2019language` has 1024
rows.  Taught in: "Positional encodings".
"""

import math

import numpy as np
import torch
from torch.nn.functional import embedding

from attention_limits import symbols
from attention_limits.checks import check_count
from attention_limits.formula import Formula
from attention_limits.positions.cost import EncodingCost
from attention_limits.positions.inputs import check_values, resolve
from attention_limits.tensors import check_like, joined, own_precision, shape_of

PLACE = "inputs"


def define(
    x: np.ndarray, table: np.ndarray, *, positions: np.ndarray | None = None, start: int = 0
) -> np.ndarray:
    """The equation above, word for word, on (n, d) arrays; leading axes broadcast."""
    p = start + np.arange(x.shape[-2]) if positions is None else positions

    def one_sequence(x, table, p):
        return x + table[p]

    return np.vectorize(one_sequence, [float], signature="(n,d),(m,d),(n)->(n,d)")(x, table, p)


@own_precision
def apply(
    x: torch.Tensor,
    table: torch.Tensor,
    *,
    positions: torch.Tensor | None = None,
    start: int = 0,
) -> torch.Tensor:
    """The same on (..., n, d) tensors.

    Args:
        x: inputs (..., n, d).
        table: E, (..., n_max, d), in the dtype and on the device of ``x``.  Leading axes broadcast:
            models trained side by side are tables (s, 1, n_max, d) for inputs (s, batch, n, d).
        positions: (..., n), integers, with leading axes that broadcast to those of ``x``; None
            means ``start``, ``start`` + 1, and so on.  They are looked at, which a GPU waits for; a
            compiled program asserts them instead.
        start: how many tokens of a stream came before these.

    Returns:
        (..., n, d), in the dtype of ``x``.

    Raises:
        ValueError: naming the argument, if shapes, dtypes or devices do not fit, or if a position
            is none of the table's.
    """
    where = resolve(x, positions, start)
    start = check_count("start", start)
    _check_table(table, x)
    n_max = table.shape[-2]
    if positions is None:
        _check_end(start + x.shape[-2], n_max)
        return x + table[..., start : start + x.shape[-2], :]
    _check_inside(positions, n_max)
    # All tables become one, and each position a row of that: what is gathered is as large as the
    # output, whichever of the two has the leading axes.
    which = n_max * torch.arange(math.prod(table.shape[:-2]), device=x.device)
    rows = where + which.view(*table.shape[:-2], 1)
    return x + embedding(rows, table.reshape(-1, table.shape[-1]))


def cost() -> EncodingCost:
    """A row for each position that was learned; one addition for each number of the inputs."""
    n, d, n_max = symbols.n, symbols.d, symbols.n_max
    return EncodingCost(
        parameters=Formula(n_max * d, "numbers", "parameters of the learned encoding"),
        flops=Formula(n * d, "FLOPs", "added by the learned encoding"),
    )


def _check_table(table: torch.Tensor, x: torch.Tensor) -> None:
    check_like("table", table, "x", x)
    if table.shape[-1] != x.shape[-1]:
        raise ValueError(
            f"table must have the width of x, d = {x.shape[-1]}, got {shape_of(table)}"
        )
    joined("table", table, x.shape[:-2])


def _check_end(end: int, n_max: int) -> None:
    if end > n_max:
        raise ValueError(
            f"x must end within the table, which was learned for {n_max} positions and knows "
            f"nothing beyond, got start + n = {end}"
        )


def _check_inside(positions: torch.Tensor, n_max: int) -> None:
    check_values(
        "positions",
        positions,
        lambda p: (p >= 0) & (p < n_max),
        f"be at least 0 and less than {n_max}: the table was learned for {n_max} "
        "positions and knows nothing beyond",
        lambda p: f"{p.min()} … {p.max()}",
    )
