r"""Rotary encoding: queries and keys are rotated, pair by pair, by angles that grow with position.

.. math::

    \begin{pmatrix} y_{2i} \\ y_{2i+1} \end{pmatrix} =
    \begin{pmatrix} \cos \theta_i p & -\sin \theta_i p \\
                    \sin \theta_i p & \cos \theta_i p \end{pmatrix}
    \begin{pmatrix} x_{2i} \\ x_{2i+1} \end{pmatrix}, \qquad
    \theta_i = b^{-2i/d}

It is also called RoPE.  Rotations keep lengths, and a score depends only on the distance: of two
rotations, by θp and by θp', an inner product sees the difference θ(p' − p) alone:

.. math::

    (R_p \, q) \cdot (R_{p'} \, k) = q \cdot R_{p' - p} \, k

A score need not fall with distance: for k = R(Δ) q it is largest at the distance Δ.  All this is
true of exact angles.  With the 8 significant bits of bfloat16 an angle of 1000 may be wrong by 2,
and the score depends on the position again.

It costs 3nd FLOPs for the queries, as many for the keys, and has no parameters.  The price: beyond
the trained length, slow pairs reach angles that were not seen in training.  Use it in decoders, as
most do; to go beyond the trained length, use it with ``frequencies`` that are scaled by a
``factor``, the new length over the trained one:

- ``interpolated``: all of them divided by it.  Every angle has been seen, but neighbours are harder
  to tell apart.
- ``ntk_aware``: another b, for which the highest frequency stays and the lowest is divided by it.
- ``yarn``: those that turn more than ``high`` times within the trained context stay, those of less
  than ``low`` turns are divided by it, and between them lies a ramp.  Scores are to be sharpened,
  too: ``yarn_temperature``.

Models differ in which entries form a pair: (2i, 2i + 1), ``layout="interleaved"``, or (i, i + d/2),
``layout="half"``.  One is the other with the columns of W_q and W_k permuted, by ``to_half`` or
``to_interleaved``; the scores are the same.  Weights of one layout under the other raise no error
and give other scores.

``apply`` makes angles, sines and cosines anew at each call, in float64, which takes longer than the
rotation unless there are many heads.  Queries and keys, in all layers, turn by the same ones: make
them once, ``cos, sin = cos_sin(positions, frequencies)``, and hand them on, ``rotate(q, cos,
sin)``, with the same results.

Frequencies are to be float32 at the least, too: those that a model rounds to bfloat16, along with
its weights, still give scores that depend on the distance alone, but of another encoding.  Keys in
a cache are rotated already; after a change of frequencies they have to be rotated anew.

Sources: :cite:t:`su2024roformer`; :cite:t:`chen2023extending` for ``interpolated``,
:cite:t:`peng2024yarn` for the others, :cite:t:`barbero2025round` on what the frequencies are used
for.  Taught in: "Positional encodings".
"""

import math

import numpy as np
import torch

from attention_limits import symbols
from attention_limits.checks import check_choice, check_count, check_number
from attention_limits.formula import Formula
from attention_limits.positions import sinusoidal
from attention_limits.positions.cost import EncodingCost
from attention_limits.positions.inputs import (
    check_device,
    check_fits,
    check_frequencies,
    check_pairs,
    check_positions,
    resolve,
)
from attention_limits.positions.options import check_factor
from attention_limits.tensors import REALS, check_kind, check_tensor, own_precision

PLACE = "queries and keys"
LAYOUTS = ("interleaved", "half")
RAMPS = ("turns", "pairs")
DTYPES = (torch.float32, torch.float64)  # of sines and cosines

frequencies = sinusoidal.frequencies  # θ are the ω of the sinusoids, which turn here instead


def define(
    x: np.ndarray,
    *,
    base: float = 10000.0,
    frequencies: np.ndarray | None = None,
    layout: str = "interleaved",
    positions: np.ndarray | None = None,
    start: int = 0,
) -> np.ndarray:
    """The equation above, word for word, on (n, d) arrays; leading axes broadcast."""
    n, d = x.shape[-2:]
    p = start + np.arange(n) if positions is None else positions
    theta = base ** (-2 * np.arange(d // 2) / d) if frequencies is None else frequencies
    y = np.zeros(x.shape)
    for i in range(d // 2):
        one, other = (2 * i, 2 * i + 1) if layout == "interleaved" else (i, i + d // 2)
        cos, sin = np.cos(theta[i] * p), np.sin(theta[i] * p)
        y[..., one] = cos * x[..., one] - sin * x[..., other]
        y[..., other] = sin * x[..., one] + cos * x[..., other]
    return y


@own_precision
def apply(
    x: torch.Tensor,
    *,
    base: float = 10000.0,
    frequencies: torch.Tensor | None = None,
    layout: str = "interleaved",
    positions: torch.Tensor | None = None,
    start: int = 0,
) -> torch.Tensor:
    """The same on (..., n, d) tensors, to be called on queries and on keys.

    Angles are made in float64 where the device has it, less whole turns, which no position is too
    large for, and rounded no sooner than their sines and cosines; the rotation is done in float32
    at the least.  Where the same angles are needed again, ``cos_sin`` and ``rotate`` save making
    them.

    Args:
        x: queries or keys (..., n, d), d even.
        base: b, at least 1; not looked at where there are ``frequencies``.
        frequencies: θ, (d/2,), on the device of ``x``; None means b^(−2i/d).
        layout: which entries form a pair, "interleaved" or "half".
        positions: (..., n), integers or wider floats than half precision, such as times, less than
            2^63 in size, with leading axes that broadcast to those of ``x``; None means ``start``,
            ``start`` + 1, …
        start: how many tokens of a stream came before these.

    Returns:
        (..., n, d), in the dtype of ``x``.

    Raises:
        ValueError: naming the argument, if it does not fit.
    """
    where = resolve(x, positions, start, real=True)
    largest = None
    if positions is None and not torch.compiler.is_compiling():  # which is for any length
        largest = check_count("start", start) + x.shape[-2]
    check_pairs(x)
    check_choice("layout", layout, LAYOUTS)
    if frequencies is None:
        frequencies = sinusoidal.frequencies(x.shape[-1], base=base, device=x.device)
    check_frequencies(frequencies, x.device, x.shape[-1] // 2)
    turns = sinusoidal.angles(where, frequencies, largest=largest)
    wide = torch.promote_types(x.dtype, torch.float32)
    return _rotated(x, turns.cos().to(wide), turns.sin().to(wide), layout)


@own_precision
def cos_sin(
    positions: torch.Tensor, frequencies: torch.Tensor, *, dtype: torch.dtype | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """What ``rotate`` turns by: made once, for all heads and layers of the same frequencies.

    Args:
        positions: (..., n), as for ``apply``.
        frequencies: θ, (d/2,), on the device of ``positions``.
        dtype: float32 if None, or float64 for inputs in float64; rounded to it last of all.

    Returns:
        cos θp and sin θp, each (..., n, d/2).  Their rows can be cut out: a token at the position p
        of a stream takes ``cos[p : p + 1]``.

    Raises:
        ValueError: naming the argument, if it does not fit.
    """
    check_positions("positions", positions, real=True)
    dtype = torch.float32 if dtype is None else dtype
    check_choice("dtype", dtype, DTYPES)
    check_frequencies(frequencies, positions.device)
    turns = sinusoidal.angles(positions, frequencies)
    return turns.cos().to(dtype), turns.sin().to(dtype)


@own_precision
def rotate(
    x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor, *, layout: str = "interleaved"
) -> torch.Tensor:
    """``apply`` for sines and cosines that are there already.

    Args:
        x: queries or keys (..., n, d), d even.
        cos, sin: (..., n, d/2), as from ``cos_sin``, with leading axes that broadcast to those of
            ``x``, on its device: float32, or float64, which they have to be for an ``x`` in it.
        layout: which entries form a pair, "interleaved" or "half".

    Returns:
        (..., n, d), in the dtype of ``x``.

    Raises:
        ValueError: naming the argument, if it does not fit.
    """
    check_tensor("x", x)
    check_pairs(x)
    check_choice("layout", layout, LAYOUTS)
    _check_part("cos", cos, x)
    _check_part("sin", sin, x)
    return _rotated(x, cos, sin, layout)


def _rotated(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor, layout: str) -> torch.Tensor:
    if layout == "interleaved":
        one, other = x[..., 0::2], x[..., 1::2]
        y = torch.stack([cos * one - sin * other, sin * one + cos * other], dim=-1).flatten(-2)
    else:
        one, other = x.chunk(2, dim=-1)
        y = torch.cat([cos * one - sin * other, sin * one + cos * other], dim=-1)
    return y.to(x.dtype)


def cost() -> EncodingCost:
    """Four multiplications and two additions a pair: of the queries, and again of the keys."""
    return EncodingCost(
        parameters=Formula(0, "numbers", "parameters of the rotary encoding"),
        flops=Formula(3 * symbols.n * symbols.d, "FLOPs", "added by the rotary encoding"),
    )


def to_half(x: torch.Tensor) -> torch.Tensor:
    """The last axis, pairs interleaved, in the order of halves.

    Of a vector, or of one head's W in q = x W (which ``torch.nn.Linear`` keeps transposed): with
    W_q and W_k permuted so, the other layout gives the same scores.
    """
    check_kind("x", x)
    check_pairs(x)
    return x.unflatten(-1, (-1, 2)).transpose(-1, -2).flatten(-2)


def to_interleaved(x: torch.Tensor) -> torch.Tensor:
    """The reverse: the last axis, in the order of halves, with its pairs interleaved."""
    check_kind("x", x)
    check_pairs(x)
    return x.unflatten(-1, (2, -1)).transpose(-1, -2).flatten(-2)


def interpolated(frequencies: torch.Tensor, factor: float) -> torch.Tensor:
    """Position interpolation: all wavelengths ``factor`` times as long.

    Raises:
        ValueError: if ``factor`` is less than 1.
    """
    check_kind("frequencies", frequencies, REALS)
    check_factor(factor)
    return frequencies / factor


def ntk_aware(
    d: int, base: float, factor: float, *, device: torch.device | str | None = None
) -> torch.Tensor:
    """The frequencies of the base b · factor^(d/(d − 2)): the last is divided by ``factor``.

    Raises:
        ValueError: naming the argument, if ``d`` is less than 4, where the first is the last, if
            ``factor`` is less than 1, or as for ``frequencies``.
    """
    d = check_count("d", d, least=4)
    check_factor(factor)
    return frequencies(d, base=base * factor ** (d / (d - 2)), device=device)


def yarn(
    d: int,
    base: float,
    factor: float,
    context: int,
    low: float = 1.0,
    high: float = 32.0,
    *,
    ramp: str = "turns",
    device: torch.device | str | None = None,
) -> torch.Tensor:
    r"""NTK-by-parts: a frequency is divided by ``factor`` the more, the less it turns.

    .. math::

        \theta_i' = \left( \gamma_i + \frac{1 - \gamma_i}{s} \right) \theta_i, \qquad
        \gamma_i = \min\left( 1, \max\left( 0, \frac{r_i - r_\text{low}}{r_\text{high} -
        r_\text{low}} \right) \right), \qquad r_i = \frac{n_\text{max} \theta_i}{2 \pi}

    That ramp is the paper's, linear in the number of turns.  The code published with it, which many
    released models run, has a ramp that is linear in i, between the same ends rounded outwards to
    whole pairs: ``ramp="pairs"``.  In the middle the two differ by up to several times.

    Args:
        d: width of a head.
        base: b, as for ``frequencies``; more than 1 for ``ramp="pairs"``.
        factor: s, the new length over the trained one.
        context: n_max, the trained length, not the new one.
        low: turns within ``context`` below which a frequency is divided by the whole factor.
        high: turns above which it stays.
        ramp: what the ramp is linear in, "turns" or "pairs".
        device: where to make them.

    Returns:
        θ', (d/2,), in the widest float of the device.

    Raises:
        ValueError: naming the argument, if it is out of its range.
    """
    check_factor(factor)
    context = check_count("context", context, least=1)
    check_number("low", low)
    check_number("high", high)
    if not 0 <= low < high:
        raise ValueError(f"low must be at least 0 and less than high = {high}, got {low}")
    check_choice("ramp", ramp, RAMPS)
    theta = frequencies(d, base=base, device=device)
    if ramp == "turns":
        turns = context * theta / (2 * math.pi)
        gamma = ((turns - low) / (high - low)).clamp(0, 1)
    else:
        gamma = _ramp_of_pairs(theta, base, context, low, high)
    return gamma * theta + (1 - gamma) * theta / factor


def _ramp_of_pairs(
    theta: torch.Tensor, base: float, context: int, low: float, high: float
) -> torch.Tensor:
    """γ as in the published code: 1 up to a whole pair, 0 from another on, linear in i between."""
    for name, value, least in (("low", low, 0), ("base", base, 1)):
        if value <= least:
            raise ValueError(f'{name} must be more than {least} for ramp="pairs", got {value}')
    half = len(theta)
    # The i, in general no integer, whose frequency turns ``high`` times, and ``low`` times.
    first, last = (
        half * math.log(context / (2 * math.pi * turns)) / math.log(base) for turns in (high, low)
    )
    first, last = max(math.floor(first), 0), min(math.ceil(last), 2 * half - 1)
    i = torch.arange(half, dtype=theta.dtype, device=theta.device)
    return 1 - ((i - first) / max(last - first, 0.001)).clamp(0, 1)


def yarn_temperature(factor: float) -> float:
    """0.1 ln(factor) + 1, by which queries and keys are to be multiplied, each of them.

    Scores are then multiplied by its square.  The paper's temperature t divides them: this number
    is √(1/t), fitted to models of one family.

    Raises:
        ValueError: if ``factor`` is less than 1.
    """
    check_factor(factor)
    return 0.1 * math.log(factor) + 1


def _check_part(name: str, part: torch.Tensor, x: torch.Tensor) -> None:
    """Refuse cosines, or sines, that are not those of x."""
    check_kind(name, part, REALS)
    check_device(name, part, x.device)
    if x.dtype == torch.float64 != part.dtype:
        raise ValueError(f"{name} must be torch.float64 where x is, got {part.dtype}")
    wanted = torch.Size((*x.shape[:-1], x.shape[-1] // 2))
    check_fits(name, part, wanted, "a token and pair", own=2)
