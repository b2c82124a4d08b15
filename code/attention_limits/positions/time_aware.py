r"""Time-aware encoding: scores depend on the time between two events, not on how many came between.

.. math::

    s'_{ij} = s_{ij} - m_h \tau_{ij} + \sum_k c_{hk} \max(0, \tau_{ij} - \kappa_k), \qquad
    \tau_{ij} = |t_i - t_j|

t_i are times, in any unit, that never go back.  Without ``knots`` κ the bias is ALiBi's, measured
in time: for events at equal intervals Δ, it is ALiBi with the slope mΔ.  Each knot changes the
slope of what lies further back than κ_k, by c_hk, so that a bias can fall first and then stay, or
rise up to one hour and fall after it: any continuous function that is linear between the knots.

``rotate`` is the other half: the rotary encoding at times in place of positions, in pairs that turn
once in a ``period``.  With both, a score depends only on differences of times: the moment that time
is counted from does not matter, to the last digit that times came with.  Nanoseconds since 1970 are
whole as integers; in float64 they are rounded to 256 of them, and in float32 seconds since 1970
are wrong by a minute.

The bias costs n² + 2Hn² FLOPs, for each knot (2H + 1)n² more, and H parameters, with K knots
H + K + HK.  The price: no fused kernel computes it, so that Hn² numbers are held in memory.  Use
it where events come irregularly and their age matters more than their order.

Source: ours; the slopes are those of :cite:t:`press2022train`, the rotation that of
:cite:t:`su2024roformer`.  Kin: :cite:t:`kazemi2019time2vec`, :cite:t:`zuo2020transformer` and
:cite:t:`shukla2021multitime` make vectors of times.  Taught in: "Positional encodings".
"""

import math

import numpy as np
import torch

from attention_limits import symbols
from attention_limits.checks import check_count
from attention_limits.devices import widest_float
from attention_limits.formula import Formula
from attention_limits.positions import rotary
from attention_limits.positions.cost import EncodingCost
from attention_limits.positions.inputs import (
    FARTHEST,
    check_device,
    check_pairs,
    check_per_head,
    check_positions,
    check_values,
    falling,
)
from attention_limits.positions.options import check_periods
from attention_limits.positions.scores import added
from attention_limits.tensors import (
    REALS,
    check_kind,
    check_leads,
    check_tensor,
    own_precision,
    shape_of,
)

PLACE = "scores"


def define(
    scores: np.ndarray,
    times_q: np.ndarray,
    times_k: np.ndarray,
    slopes: np.ndarray,
    *,
    knots: np.ndarray | None = None,
    changes: np.ndarray | None = None,
) -> np.ndarray:
    """The equation above, word for word, on (h, n_q, n_k) arrays; leading axes broadcast."""
    tau = np.abs(times_q[..., None, :, None] - times_k[..., None, None, :])
    y = scores - slopes[..., None, None] * tau
    if knots is not None:
        assert changes is not None  # each knot has its own
        for k in range(knots.shape[-1]):
            kappa, c = knots[..., k, None, None], changes[..., k, None, None]
            y = y + c * np.maximum(0, tau - kappa)
    return y


@own_precision
def apply(
    scores: torch.Tensor,
    times_q: torch.Tensor,
    times_k: torch.Tensor,
    slopes: torch.Tensor,
    *,
    knots: torch.Tensor | None = None,
    changes: torch.Tensor | None = None,
) -> torch.Tensor:
    """The same on (..., h, n_q, n_k) tensors; output in the dtype of ``scores``.

    Takes what ``bias`` takes, and refuses what it refuses, and ``scores`` of other sizes.
    """
    check_tensor("scores", scores)
    return added(scores, bias(times_q, times_k, slopes, knots=knots, changes=changes))


@own_precision
def bias(
    times_q: torch.Tensor,
    times_k: torch.Tensor,
    slopes: torch.Tensor,
    *,
    knots: torch.Tensor | None = None,
    changes: torch.Tensor | None = None,
) -> torch.Tensor:
    """What goes on top of the scores, of all pairs, those ahead included.

    Args:
        times_q: when the queries happened, (..., n_q), integers, float32 or float64, no time less
            than the one before it, and none of more than 2^62 in size.  They are looked at, which
            a GPU waits for; a compiled program asserts them instead.
        times_k: when the keys did, (..., n_k), likewise, and integers if ``times_q`` are.
        slopes: m, (..., h), on the device of the times.
        knots: κ, (k,), or (..., h, k) for knots of each head; None means that there are none.
        changes: c, (..., h, k), by how much the slope changes beyond each knot.  Leading axes
            broadcast, those of times and those of what is learned alike.

    Returns:
        (..., h, n_q, n_k), in the dtype of ``slopes``, but in float32 at the least.

    Raises:
        ValueError: naming the argument, if it does not fit, or if a time is less than the one
            before it.
    """
    check_per_head("slopes", slopes)
    times_q = _times("times_q", times_q, slopes.device)
    times_k = _times("times_k", times_k, slopes.device)
    if times_q.is_floating_point() != times_k.is_floating_point():
        # As floats, integers would lose what they are for.
        raise ValueError(
            "times_k must be integers where times_q are, and floats where these are floats, "
            f"{times_q.dtype}, got {times_k.dtype}"
        )
    leads = {"slopes": slopes.shape[:-1], "times_q": times_q.shape[:-1]}
    leads["times_k"] = times_k.shape[:-1]
    if knots is not None or changes is not None:
        knots, changes = _checked_knots(knots, changes, slopes)
        leads |= {"knots": knots.shape[:-2], "changes": changes.shape[:-2]}
    check_leads(**leads)
    elapsed = (times_q[..., :, None] - times_k[..., None, :]).abs()
    line = falling(elapsed, slopes)
    if knots is None or changes is None:
        return line
    elapsed = elapsed.to(line.dtype)[..., None, :, :]
    # Knot by knot: all at once they would take as many tensors of all pairs.
    for knot, change in zip(knots.unbind(-1), changes.to(line.dtype).unbind(-1), strict=True):
        beyond = (elapsed - knot.to(line.dtype)[..., None, None]).relu()
        line = line + change[..., None, None] * beyond
    return line


@own_precision
def rotate(x: torch.Tensor, times: torch.Tensor, *, periods: torch.Tensor) -> torch.Tensor:
    """The rotary encoding at times, to be called on queries and on keys.

    Args:
        x: queries or keys (..., n, d), d even.
        times: when they happened, (..., n), as for ``bias``, with leading axes that broadcast to
            those of ``x``.
        periods: how long each pair takes to turn once, in the unit of the times: (d/2,), such as
            ``geometric(d, shortest, longest)``, float32 or float64.

    Returns:
        (..., n, d), in the dtype of ``x``.

    Raises:
        ValueError: naming the argument, if it does not fit, or if a time is less than the one
            before it.
    """
    check_tensor("x", x)
    check_pairs(x)
    check_kind("periods", periods, REALS)
    check_device("periods", periods, x.device)
    if periods.shape != (x.shape[-1] // 2,):
        raise ValueError(
            f"periods must be one a pair, ({x.shape[-1] // 2},), got {shape_of(periods)}"
        )
    times = _times("times", times, x.device)
    if times.shape[-1:] != x.shape[-2:-1]:
        raise ValueError(f"times must be one a token, (..., {x.shape[-2]}), got {shape_of(times)}")
    return rotary.apply(x, positions=times, frequencies=2 * math.pi / periods)


def geometric(
    d: int, shortest: float, longest: float, *, device: torch.device | str | None = None
) -> torch.Tensor:
    """Periods in equal ratios, one for each pair of d entries: (d/2,), in the widest float.

    Take ``shortest`` of about the least time between events that matters, and ``longest`` longer
    than a sequence lasts, or its two ends look alike.

    Raises:
        ValueError: naming the argument, if ``d`` is not even and at least 2, or unless
            0 < ``shortest`` ≤ ``longest`` < ∞.
    """
    d = check_count("d", d, least=2)
    if d % 2:
        raise ValueError(f"d must be even, for pairs, got {d}")
    check_periods(shortest, longest)
    ends = math.log(shortest), math.log(longest)
    dtype = widest_float(torch.empty(0, device=device).device)
    return torch.linspace(*ends, d // 2, dtype=dtype, device=device).exp()


def cost(*, knots: int = 0) -> EncodingCost:
    """Of the bias, its knots shared by the heads; the differences of times count as well."""
    knots = check_count("knots", knots)
    n, h = symbols.n, symbols.h
    each = 1 + 2 * h + knots * (2 * h + 1)
    return EncodingCost(
        parameters=Formula(h + knots * (h + 1), "numbers", "parameters of the time-aware bias"),
        flops=Formula(each * n**2, "FLOPs", "added by the time-aware bias"),
    )


def _times(name: str, times: torch.Tensor, device: torch.device) -> torch.Tensor:
    """The times, if they fit; integers as int64, in which differences are safe."""
    check_positions(name, times, real=True)
    check_device(name, times, device)
    times = times if times.is_floating_point() else times.long()
    check_values(
        name,
        times,
        lambda t: t[..., 1:] >= t[..., :-1],  # NaN is refused as well
        "never go back",
        lambda t: f"a step of {t.diff(dim=-1).min().item()}",
    )
    check_values(
        name,
        times,
        # Between the first and the last are the others.
        lambda t: (t[..., :1] >= -FARTHEST) & (t[..., -1:] <= FARTHEST),
        "be from -2^62 to 2^62, whose differences are exact",
        lambda t: f"{t.min().item()} to {t.max().item()}",
    )
    return times


def _checked_knots(
    knots: torch.Tensor | None, changes: torch.Tensor | None, slopes: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Both, unless one is missing or has other heads than the slopes."""
    if knots is None or changes is None:
        given, missing = ("changes", "knots") if knots is None else ("knots", "changes")
        raise ValueError(f"knots must be given with changes, got {given} without {missing}")
    for name, x in {"knots": knots, "changes": changes}.items():
        check_per_head(name, x)
        check_device(name, x, slopes.device)
    wanted = (*slopes.shape[-1:], *knots.shape[-1:])
    if changes.shape[-2:] != wanted:
        raise ValueError(
            f"changes must be one a head and knot, (..., {wanted[0]}, {wanted[1]}), "
            f"got {shape_of(changes)}"
        )
    if knots.shape[-2:-1] not in ((), (1,), wanted[:1]):
        raise ValueError(
            f"knots must be shared, (k,), or one list a head, (..., {wanted[0]}, k), "
            f"got {shape_of(knots)}"
        )
    return knots, changes
