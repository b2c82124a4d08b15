r"""Convolution: each output mixes the inputs around it, by the same weights everywhere.

.. math::

    y_i = b + \sum_{\delta \in \Delta} W_\delta \, x_{i - r \delta}

.. math::

    \Delta = \left\{ -\tfrac{w - 1}{2}, \dots, \tfrac{w - 1}{2} \right\}
    \quad\text{or, if causal,}\quad
    \Delta = \{ 0, \dots, w - 1 \}

x is 0 before its first and after its last row.  w is the width, odd unless causal, r the
``dilation``.  A ``kernel`` (w, d_out, d_in) holds the matrices W_δ, the smallest δ first; one of
shape (w, d) is depthwise: its rows are the diagonals of matrices that are 0 elsewhere, so that no
channel sees another.

n outputs need 2nwd² FLOPs, depthwise 2nwd, less what falls beyond the ends; the wd² parameters,
depthwise wd, do not depend on n.  A stream holds its last (w − 1)r inputs.  Three things come
together here: outputs depend on near inputs alone (locality), all of them by the same weights
(sharing), so that a shifted input gives a shifted output (equivariance).

The price is reach.  L layers of width w see 1 + L(w − 1) inputs, but depend only weakly on those
at the edge, to which few paths lead; with dilations 1, 2, 4, … they see 1 + (2^L − 1)(w − 1).  Use
it for what is local: pixels, phrases, the neighbours of a token in front of another mechanism.

Sources: :cite:t:`oord2016wavenet` on causal and dilated convolutions,
:cite:t:`luo2016understanding` on how much each input counts in a stack of them.
Taught in: "Locality".
"""

import math
from collections.abc import Iterable

import numpy as np
import sympy as sp
import torch
from torch.nn.functional import conv1d, linear, pad

from attention_limits import symbols
from attention_limits.attention.cost import Cost
from attention_limits.checks import check_centre, check_count
from attention_limits.formula import Formula
from attention_limits.tensors import (
    check_kind,
    check_rows,
    check_shape,
    check_tensors,
    own_precision,
    shape_of,
)


def define(
    x: np.ndarray,
    kernel: np.ndarray,
    bias: np.ndarray | None = None,
    *,
    causal: bool = False,
    dilation: int = 1,
) -> np.ndarray:
    """The equation above, word for word, on (n, d_in) arrays; leading axes broadcast."""
    matrices = [W if W.ndim == 2 else np.diag(W) for W in kernel]
    *lead, n, _ = x.shape
    y = np.zeros((*lead, n, len(matrices[0])))
    for i in range(n):
        for delta, W in zip(_offsets(len(kernel), causal), matrices, strict=True):
            j = i - dilation * delta
            if 0 <= j < n:
                y[..., i, :] += x[..., j, :] @ W.T
    return y if bias is None else y + bias


@own_precision
def apply(
    x: torch.Tensor,
    kernel: torch.Tensor,
    bias: torch.Tensor | None = None,
    *,
    causal: bool = False,
    dilation: int = 1,
) -> torch.Tensor:
    """The same on (..., n, d_in) tensors, by PyTorch's convolution.

    Time and memory are linear in n, forward and backward.

    Args:
        x: inputs (..., n, d_in).
        kernel: weights (w, d_out, d_in) or, depthwise, (w, d_in), in the dtype and on the device
            of ``x``.  Causal, the first of the w weighs the output's own position and the last
            the oldest; else the first weighs the position furthest ahead.
        bias: (d_out,), likewise; None means 0.
        causal: whether an output sees only inputs up to its own position.
        dilation: how many positions lie from one input that is seen to the next.

    Returns:
        (..., n, d_out), in the dtype of ``x``.

    Raises:
        ValueError: naming the argument, if shapes, dtypes or devices do not fit, if ``kernel``
            has an even width and is not causal, or if ``dilation`` is no integer of at least 1.
    """
    dilation = _check(x, kernel, bias, causal, dilation)
    offsets = _offsets(len(kernel), causal)
    behind, ahead = dilation * offsets[-1], -dilation * offsets[0]
    return _inner(pad(x, (0, 0, behind, ahead)), kernel, bias, dilation)


def cost(*, width: int, causal: bool = False, dilation: int = 1, depthwise: bool = False) -> Cost:
    """Where outputs are as wide as inputs; executed is a product with each 0 beyond the ends, too.

    What is held is what a stream holds, which must be causal; others would need as much.
    """
    width = check_count("width", width, least=1)
    dilation = check_count("dilation", dilation, least=1)
    check_centre("width", width, causal)
    n, d, b = symbols.n, symbols.d, symbols.b
    each = 2 * d if depthwise else 2 * d**2
    sides = 1 if causal else 2
    # On one side, the input rδ away is there for n − rδ of the outputs, δ = 1, …, inside.
    inside = sp.Min((width - 1) // sides, sp.floor(n / dilation))
    pairs = n + sides * (n * inside - dilation * inside * (inside + 1) / 2)
    return Cost(
        needed=Formula(each * pairs, "FLOPs", "needed by a convolution"),
        executed=Formula(each * n * width, "FLOPs", "executed by a convolution"),
        held=Formula((width - 1) * dilation * d * b, "bytes", "held by a convolution"),
    )


def parameters(*, width: int, depthwise: bool = False) -> Formula:
    """How many weights a kernel has where outputs are as wide as inputs; the bias has d more."""
    width = check_count("width", width, least=1)
    d = symbols.d
    return Formula(width * (d if depthwise else d**2), "numbers", "parameters of a convolution")


def receptive_field(width: int, dilations: Iterable[int]) -> int:
    """The receptive field of a stack of layers: positions from the first input seen to the last.

    Args:
        width: of the kernels, the same in all layers.
        dilations: of the layers, one number each.

    Raises:
        ValueError: naming the argument, if one of them is no integer of at least 1.
    """
    width = check_count("width", width, least=1)
    return 1 + (width - 1) * sum(check_count("dilations", each, least=1) for each in dilations)


@own_precision
def step(
    state: torch.Tensor | None,
    x: torch.Tensor,
    kernel: torch.Tensor,
    bias: torch.Tensor | None = None,
    *,
    dilation: int = 1,
) -> tuple[torch.Tensor, torch.Tensor]:
    """A causal convolution of the next input, or the next few, of a stream.

    Args:
        state: what the last step returned; None starts a stream.
        x: the new inputs only, shaped as for ``apply``.
        kernel: as for ``apply``.
        bias: as for ``apply``.
        dilation: as for ``apply``.

    Returns:
        The new outputs, and the last (w − 1) · dilation inputs, which the next step wants.

    Raises:
        ValueError: naming the argument, if it does not fit the others or the stream.
    """
    dilation = _check(x, kernel, bias, True, dilation)
    start = x.new_zeros(*x.shape[:-2], (len(kernel) - 1) * dilation, x.shape[-1])
    held = start if state is None else check_kind("state", state)
    if (held.shape, held.dtype, held.device) != (start.shape, start.dtype, start.device):
        raise ValueError(
            f"x must continue its stream, and with kernel and dilation hold inputs of shape "
            f"{shape_of(held)} in {held.dtype} on {held.device}, got {shape_of(start)} in "
            f"{start.dtype} on {start.device}"
        )
    held = torch.cat([held, x], dim=-2)
    # A view would keep all the new inputs alive, and a stream promises to hold a few.
    return _inner(held, kernel, bias, dilation), held[..., x.shape[-2] :, :].clone()


def _offsets(width: int, causal: bool) -> range:
    """Δ, in the order of the kernel."""
    first = 0 if causal else -(width // 2)
    return range(first, first + width)


def _inner(
    x: torch.Tensor, kernel: torch.Tensor, bias: torch.Tensor | None, dilation: int
) -> torch.Tensor:
    """Those outputs of which all inputs are there: (w − 1) · dilation fewer than inputs."""
    depthwise = kernel.ndim == 2
    n = x.shape[-2] - (len(kernel) - 1) * dilation
    if not n or 0 in kernel.shape[1:]:  # no outputs, or no channels: not what conv1d is for
        return linear(x[..., :n, :], kernel[0].diag() if depthwise else kernel[0], bias)
    # It correlates: its first weights meet the first of the inputs, and ours the last.
    weights = kernel.flip(0)
    weights = weights.mT[:, None] if depthwise else weights.permute(1, 2, 0)
    sequences = x.reshape(math.prod(x.shape[:-2]), *x.shape[-2:]).mT
    groups = x.shape[-1] if depthwise else 1
    out = conv1d(sequences, weights, bias, dilation=dilation, groups=groups).mT
    return out.reshape(*x.shape[:-2], *out.shape[-2:])


def _check(x, kernel, bias, causal, dilation) -> int:
    """Refuse what does not fit together; the dilation as a plain integer."""
    given = {"x": x, "kernel": kernel}
    check_tensors(**given if bias is None else given | {"bias": bias})
    check_rows("x", x, "(..., n, d_in)")
    if kernel.ndim not in (2, 3) or kernel.shape[-1] != x.shape[-1]:
        raise ValueError(
            f"kernel must have the shape (w, d_out, {x.shape[-1]}) or, depthwise, "
            f"(w, {x.shape[-1]}), got {shape_of(kernel)}"
        )
    if not len(kernel):
        raise ValueError(f"kernel must span at least one position, got {shape_of(kernel)}")
    check_centre("kernel", len(kernel), causal)
    dilation = check_count("dilation", dilation, least=1)
    if bias is not None:
        check_shape("bias", bias, kernel.shape[1:2])
    return dilation
