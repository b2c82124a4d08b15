r"""ALiBi: a score falls in proportion to distance, in each head at a rate of its own.

.. math::

    s'_{ij} = s_{ij} - m_h \, |i - j|

.. math::

    m_h = 2^{-8h/H}, \quad h = 1, \dots, H, \qquad \text{if } H \text{ is a power of two}

For other H, with H' the largest power of two below, the first H' slopes are those of H' heads; the
others lie halfway between these on the scale of exponents, 2^(−8(h − 1/2)/H') for h = 1, 2, …, so
that the first of them is the steepest of all.

A slope is a prior that near keys matter more, and it has the same effect at any length.  Among n
equal keys the nearest keeps

.. math::

    \frac{1 - e^{-m}}{1 - e^{-mn}} \ge 1 - e^{-m}

of a causal softmax, however large n becomes, where without the slope it keeps 1/n.

It costs 2Hn² additions and multiplications, and has H parameters where slopes are learned (the
paper's are not).  The price: a key at the distance D needs a score that is better by mD, and among
equal keys a head always prefers the nearest; others take several heads with different slopes.  Use
it where what is recent matters, on sequences longer than those of training.

Source: :cite:t:`press2022train`.  Taught in: "Positional encodings".
"""

import numpy as np
import torch

from attention_limits import symbols
from attention_limits.checks import check_count
from attention_limits.formula import Formula
from attention_limits.positions.cost import EncodingCost
from attention_limits.positions.inputs import check_per_head, falling
from attention_limits.positions.scores import added, differences, sizes
from attention_limits.tensors import check_leads, own_precision

PLACE = "scores"


def define(
    scores: np.ndarray,
    slopes: np.ndarray,
    *,
    positions_q: np.ndarray | None = None,
    positions_k: np.ndarray | None = None,
) -> np.ndarray:
    """The equation above, word for word, on (h, n_q, n_k) arrays; leading axes broadcast."""
    n_q, n_k = scores.shape[-2:]
    i = np.arange(n_k - n_q, n_k) if positions_q is None else positions_q
    j = np.arange(n_k) if positions_k is None else positions_k
    distance = np.abs(i[..., None, :, None] - j[..., None, None, :])
    return scores - slopes[..., None, None] * distance


@own_precision
def apply(
    scores: torch.Tensor,
    slopes: torch.Tensor,
    *,
    positions_q: torch.Tensor | None = None,
    positions_k: torch.Tensor | None = None,
) -> torch.Tensor:
    """The same on (..., h, n_q, n_k) tensors; output in the dtype of ``scores``.

    Takes what ``bias`` takes, and refuses what it refuses, and ``scores`` of other heads.
    """
    n_q, n_k = sizes(scores)
    where = {"positions_q": positions_q, "positions_k": positions_k}
    return added(scores, bias(n_q, n_k, slopes, **where))


@own_precision
def bias(
    n_q: int,
    n_k: int,
    slopes: torch.Tensor,
    *,
    positions_q: torch.Tensor | None = None,
    positions_k: torch.Tensor | None = None,
) -> torch.Tensor:
    """What goes on top of the scores, −m |i − j| for all pairs, those ahead included.

    Args:
        n_q: number of queries.
        n_k: number of keys.
        slopes: m, (..., h), such as ``slopes(h)``.
        positions_q: i, (..., n_q), integers on the device of ``slopes``, at most 2^62 in size, so
            that differences are exact; None means the last n_q of n_k positions.
        positions_k: j, (..., n_k), likewise; None means 0, 1, …  Leading axes broadcast, those of
            positions and those of ``slopes`` alike.

    Returns:
        (..., h, n_q, n_k), in the dtype of ``slopes``, but in float32 at the least: half precision
        does not tell the distance 257 from 256.

    Raises:
        ValueError: naming the argument, if it does not fit.
    """
    check_per_head("slopes", slopes)
    distance = differences(n_q, n_k, positions_q, positions_k, slopes.device).abs()
    check_leads(slopes=slopes.shape[:-1], positions=distance.shape[:-2])
    return falling(distance, slopes)


def slopes(
    h: int, *, dtype: torch.dtype | None = None, device: torch.device | str | None = None
) -> torch.Tensor:
    """The paper's slopes of h heads, (h,), in the order of the code published with it.

    Raises:
        ValueError: if ``h`` is no integer of at least 1.
    """
    h = check_count("h", h, least=1)
    power = 2 ** (h.bit_length() - 1)  # the largest power of two up to h
    exponents = [8 * (i + 1) / power for i in range(power)]
    exponents += [8 * (i + 1 / 2) / power for i in range(h - power)]
    return 2.0 ** -torch.tensor(exponents, dtype=dtype, device=device)


def cost() -> EncodingCost:
    """A slope for each head, if they are learned; a product and a sum for each pair and head."""
    n, h = symbols.n, symbols.h
    return EncodingCost(
        parameters=Formula(h, "numbers", "parameters of ALiBi"),
        flops=Formula(2 * h * n**2, "FLOPs", "added by ALiBi"),
    )
