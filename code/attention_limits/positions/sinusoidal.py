r"""Sinusoidal encoding: each position is added as a row of sines and cosines.

.. math::

    y_p = x_p + \mathrm{PE}(p), \qquad
    \mathrm{PE}(p)_{2i} = \sin \omega_i p, \quad \mathrm{PE}(p)_{2i+1} = \cos \omega_i p

.. math::

    \omega_i = b^{-2i/d}, \qquad i = 0, \dots, d/2 - 1

Each pair of entries is a sine and a cosine of one frequency; the d/2 wavelengths run from 2π to
2πb^(1 − 2/d), where b = 10000 unless told.  A shift rotates each pair by an angle that does not
depend on the position.  So PE(p + k) is a rotation of PE(p), and the inner product of two encodings
depends only on their distance:

.. math::

    \mathrm{PE}(p) \cdot \mathrm{PE}(q) = \sum_i \cos \omega_i (p - q)

That sum falls at first, but not throughout, so it does not measure distance.  And a score is not
made of this sum alone: W_q and W_k act on the encodings, and the tokens themselves are added.

It costs nd additions, and has no parameters and no last position.  The price: attention must learn
to subtract positions, and beyond the trained length it meets combinations of phases that were not
seen in training.  Use it where a fixed encoding at the inputs is enough: on trained lengths.

Source: :cite:t:`vaswani2017attention`.  Taught in: "Positional encodings".
"""

import functools
import math

import numpy as np
import torch

from attention_limits import symbols
from attention_limits.checks import check_count
from attention_limits.devices import widest_float
from attention_limits.formula import Formula
from attention_limits.positions.cost import EncodingCost
from attention_limits.positions.inputs import (
    check_frequencies,
    check_pairs,
    check_positions,
    resolve,
)
from attention_limits.positions.options import check_base
from attention_limits.tensors import own_precision

PLACE = "inputs"

# A digit of a position times the first bits of a share of a turn has to fit into the significant
# bits of a float, 53 or 24.
DIGIT_BITS = {torch.float64: 22, torch.float32: 10}
FIRST_BITS = {torch.float64: 31, torch.float32: 14}


def define(
    x: np.ndarray,
    *,
    base: float = 10000.0,
    frequencies: np.ndarray | None = None,
    positions: np.ndarray | None = None,
    start: int = 0,
) -> np.ndarray:
    """The equations above, word for word, on (n, d) arrays; leading axes broadcast."""
    n, d = x.shape[-2:]
    p = start + np.arange(n) if positions is None else positions
    omega = base ** (-2 * np.arange(d // 2) / d) if frequencies is None else frequencies
    PE = np.zeros((*p.shape, d))
    for i in range(d // 2):
        PE[..., 2 * i] = np.sin(omega[i] * p)
        PE[..., 2 * i + 1] = np.cos(omega[i] * p)
    return x + PE


@own_precision
def apply(
    x: torch.Tensor,
    *,
    base: float = 10000.0,
    frequencies: torch.Tensor | None = None,
    positions: torch.Tensor | None = None,
    start: int = 0,
) -> torch.Tensor:
    """The same on (..., n, d) tensors.

    Args:
        x: inputs (..., n, d), d even.
        base: b, at least 1; not looked at where there are ``frequencies``.
        frequencies: ω, (d/2,), on the device of ``x``; None means b^(−2i/d).
        positions: (..., n), integers or wider floats than half precision, less than 2^63 in size,
            with leading axes that broadcast to those of ``x``; None means ``start``, ``start`` + 1,
            and so on.
        start: how many tokens of a stream came before these.

    Returns:
        (..., n, d), in the dtype of ``x``.

    Raises:
        ValueError: naming the argument, if it does not fit.
    """
    positions = resolve(x, positions, start, real=True)
    check_pairs(x)
    PE = encoding(positions, x.shape[-1], base=base, frequencies=frequencies)
    return x + PE.to(x.dtype)


def cost() -> EncodingCost:
    """One addition for each number of the inputs."""
    return EncodingCost(
        parameters=Formula(0, "numbers", "parameters of the sinusoidal encoding"),
        flops=Formula(symbols.n * symbols.d, "FLOPs", "added by the sinusoidal encoding"),
    )


@own_precision
def encoding(
    positions: torch.Tensor,
    d: int,
    *,
    base: float = 10000.0,
    frequencies: torch.Tensor | None = None,
) -> torch.Tensor:
    """PE itself: (..., n, d), in the widest float of the device.

    Args:
        positions: (..., n).
        d: even.
        base: b; not looked at where there are ``frequencies``.
        frequencies: ω, (d/2,), on the device of ``positions``; None means b^(−2i/d).

    Raises:
        ValueError: naming the argument, as for ``apply``.
    """
    check_positions("positions", positions, real=True)
    usual = _usual(d, base=base, device=positions.device)
    if frequencies is None:
        frequencies = usual
    check_frequencies(frequencies, positions.device, len(usual))
    hands = angles(positions, frequencies)
    return torch.stack([hands.sin(), hands.cos()], dim=-1).flatten(-2)


def frequencies(
    d: int, *, base: float = 10000.0, device: torch.device | str | None = None
) -> torch.Tensor:
    """ω, from the highest to the lowest: (d/2,), in the widest float of the device.

    Raises:
        ValueError: naming the argument, if ``d`` is odd or less than 2, or ``base`` less than 1.
    """
    d = check_count("d", d, least=2)
    if d % 2:
        raise ValueError(f"d must be even, a pair for each frequency, got {d}")
    check_base(base)
    device = torch.get_default_device() if device is None else torch.device(device)
    i = torch.arange(d // 2, dtype=widest_float(device), device=device)
    return base ** (-2 * i / d)


_usual = frequencies  # where an argument has that name


def angles(
    positions: torch.Tensor, frequencies: torch.Tensor, *, largest: int | None = None
) -> torch.Tensor:
    """ω_i p less whole turns: (..., n, d/2), in the widest float of the device.

    No position is too large: ω is rounded once, as a share of a turn, and of the turns that p
    times that makes, the fraction is exact to the last digits.  So a shift of all positions, by
    nanoseconds since 1970 say, turns all alike.  A product of floats would have lost the fraction:
    in float64 at p = 2^53, in bfloat16, with its 8 significant bits, at 256.

    Args:
        positions: (..., n), integers or floats of less than 2^63.
        frequencies: ω, (d/2,).
        largest: a bound of integers from 0 on, which saves work if it is small.
    """
    wide = widest_float(positions.device)
    turn = frequencies.to(wide) / (2 * math.pi)  # a position turns by so much
    first_bits, parts = FIRST_BITS[wide], []
    digits, rest = _digits(positions, wide, largest)
    if rest is not None:
        parts.append(rest * turn)
    for digit, shift in digits:
        # Whole turns of 2^shift positions do not count, and a power of two costs no rounding.
        share = (turn * 2.0**shift).frac()
        # A digit times the first bits of the share is exact, and what is left is less than one.
        first = (share * 2**first_bits).floor() / 2**first_bits
        parts.append(torch.addcmul((digit * first).frac(), digit, share - first))
    turns = parts[0] if len(parts) == 1 else functools.reduce(torch.add, parts).frac()
    return 2 * math.pi * turns


def _digits(
    positions: torch.Tensor, wide: torch.dtype, largest: int | None
) -> tuple[list[tuple[torch.Tensor, int]], torch.Tensor | None]:
    """Positions in digits, as floats (..., n, 1), each with the power of two that it counts.

    Of floats there is one digit after the point, and a rest, which is less than that can count.
    """
    bits, whole = DIGIT_BITS[wide], positions[..., None]
    digits, rest = [], None
    if positions.is_floating_point():
        floor = whole.detach().floor()
        after = (whole - floor).to(wide)
        digit = (after.detach() * 2**bits).floor()
        digits, rest = [(digit, -bits)], after - digit / 2**bits
        whole = floor.long()
    if largest is not None and largest < 2**bits:
        return [(whole.to(wide), 0)], None
    # Each with the sign: −1 as the complement of large digits would be exact, but its gradient,
    # the sum of theirs, is rounded.
    sign, size = whole.sign(), whole.abs()
    for shift in range(0, torch.iinfo(whole.dtype).bits, bits):
        digits.append(((sign * (size >> shift & (2**bits - 1))).to(wide), shift))
    return digits, rest
