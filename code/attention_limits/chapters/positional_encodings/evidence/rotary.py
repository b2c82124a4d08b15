"""Evidence on rotations: scores that are relative, and what rounding leaves of that."""

import math
from collections.abc import Callable

import numpy as np
import torch

from attention_limits.chapters.positional_encodings.evidence.encodings import (
    SEEDS,
    WIDTH,
    draw,
    rounding_of_angles,
)
from attention_limits.evidence import Evidence, evidence
from attention_limits.positions import rotary, sinusoidal

Turn = Callable[..., torch.Tensor]  # queries or keys (n, d) from position ``start`` on, as rotary's
NEAR, FAR = 64, 2**16  # where sequences begin whose scores are compared

# --- periods ------------------------------------------------------------------------------------


def in_whole_tokens(p: torch.Tensor, d: int) -> torch.Tensor:
    """A frequency whose 113 turns take 710 tokens exactly, as those of 1 nearly do."""
    angles = sinusoidal.angles(p, torch.tensor([2 * math.pi * 113 / 710], dtype=torch.float64))
    return torch.cat([angles.sin(), angles.cos()], -1)


@evidence(
    rivals={
        "a frequency that is back after 710 tokens": dict(encoding=in_whole_tokens),
    }
)
def one_frequency_comes_near_but_not_back(
    encoding: Callable[..., torch.Tensor] = sinusoidal.encoding,
) -> Evidence:
    """How far ω = 1 is from where it was after 710 tokens, 113 turns, its nearest return by far."""
    rows = encoding(torch.arange(100_000), 2)
    apart = (rows - rows[0]).norm(dim=-1)
    worst = max(abs(apart[710 * k].item() - 2 * abs(math.sin(355 * k))) for k in range(1, 141))
    return Evidence(
        value=worst,
        expected=rounding_of_angles(100_000),
        tolerance=0,
        unit="off the distance 2|sin(355 k)| after 710 k tokens",
        how=f"d = 2, k = 1 to 140, the first being {apart[710]:.1e} from where it was, float64; "
        "the bound is what rounding may do to the angles",
        relation="<",
    )


# --- rotations ----------------------------------------------------------------------------------


def turned_in_float32(x: torch.Tensor, *, start: int = 0) -> torch.Tensor:
    """A rotary encoding whose angles are products of float32 numbers."""
    p = torch.arange(start, start + x.shape[-2])
    return _turned(x, (p.float()[:, None] * sinusoidal.frequencies(x.shape[-1]).float()).double())


def coarse(x: torch.Tensor, *, start: int = 0) -> torch.Tensor:
    """A rotary encoding that makes its angles in bfloat16, as an autocast model may."""
    p = torch.arange(start, start + x.shape[-2], dtype=torch.bfloat16)
    return _turned(x, (p[:, None] * sinusoidal.frequencies(x.shape[-1]).bfloat16()).double())


def _turned(x: torch.Tensor, angles: torch.Tensor) -> torch.Tensor:
    pairs = torch.view_as_complex(x.double().unflatten(-1, (-1, 2)))
    turned = pairs * torch.polar(torch.ones_like(angles), angles)
    return torch.view_as_real(turned).flatten(-2).to(x.dtype)


def _scores(turn: Turn, q: torch.Tensor, k: torch.Tensor, **options: int) -> torch.Tensor:
    """Inner products of turned queries and keys over √d, summed in float64."""
    q, k = (turn(x, **options).double() for x in (q, k))
    return q @ k.mT / q.shape[-1] ** 0.5


def unturned(x: torch.Tensor, *, start: int = 0) -> torch.Tensor:
    """Without positions, which change no score."""
    return x


def repeating(x: torch.Tensor, *, start: int = 0) -> torch.Tensor:
    """Sinusoids that are added, all of whose periods divide a million: a round shift is none."""
    periods = torch.tensor([2.0**i * 5**6 for i in range(-4, 7)], dtype=torch.float64)
    p = torch.arange(start, start + x.shape[-2])
    turns = sinusoidal.angles(p, 2 * math.pi / periods)
    rows = torch.zeros(x.shape[-2], x.shape[-1], dtype=x.dtype)
    rows[:, : 2 * len(periods)] = torch.cat([turns.sin(), turns.cos()], -1).to(x.dtype)
    return x + rows


@evidence(
    rivals={
        "angles in float32": dict(turn=turned_in_float32),
        "sinusoids added to queries and keys": dict(turn=sinusoidal.apply),
        "no positions at all": dict(turn=unturned),
        "sinusoids that are added, and repeat after a million tokens": dict(turn=repeating),
    }
)
def rotary_scores_depend_on_the_distance(turn: Turn = rotary.apply) -> Evidence:
    """The change of any score when both sides move, over what one side's move changes.

    It counts as 1 if that changes nothing: then scores do not depend on the distance either.
    """
    shifts = (10, 999, 10**6)
    q, k = draw(0, 64, WIDTH), draw(1, 64, WIDTH)
    here, queries, keys = _scores(turn, q, k), turn(q).double(), turn(k, start=shifts[0]).double()
    both = max((_scores(turn, q, k, start=x) - here).abs().max().item() for x in shifts)
    alone = (queries @ keys.mT / WIDTH**0.5 - here).abs().max().item()
    # Errors of d entries add up at random, to √d of one, by which a score is divided.
    return Evidence(
        value=both / alone if alone else 1.0,
        expected=rounding_of_angles(shifts[-1]),
        tolerance=0,
        unit="in any score, over its change if the keys alone move on",
        how=f"64 queries and keys of standard normal entries, d = {WIDTH}, moved by "
        f"{shifts[0]}, {shifts[1]} and {shifts[2]}, the keys alone by {shifts[0]}, float64; the "
        "bound is what rounding may do to the angles",
        relation="<",
    )


def alike(q: torch.Tensor, peak: int) -> torch.Tensor:
    """Keys that are the query itself, wherever one wants to find them."""
    return q


def turned_by(q: torch.Tensor, peak: int) -> torch.Tensor:
    """The query, turned by as many tokens as it is to be found behind it."""
    return rotary.apply(q, start=peak)


@evidence(rivals={"keys that are like the query": dict(key=alike)})
def the_best_distance_is_the_keys_choice(
    key: Callable[[torch.Tensor, int], torch.Tensor] = turned_by,
) -> Evidence:
    """How far the distance of the highest score is from the one that a key was made for."""
    off = []
    for seed in SEEDS:
        q = draw(seed, 1, WIDTH)
        for peak in (0, 1, 3, 17, 40, 500):
            keys = rotary.apply(key(q, peak).expand(1000, -1), positions=1000 - torch.arange(1000))
            best = int((keys @ rotary.apply(q, start=1000)[0]).argmax())
            off.append(abs(best - peak))
    return Evidence.exactly(
        off,
        expected=0,
        unit="tokens off",
        how=f"the highest of 1000 scores, keys made for 0 to 500 tokens back, {len(SEEDS)} random "
        f"queries, d = {WIDTH}",
    )


# --- what rounding leaves -------------------------------------------------------------------------


def score_errors(turn: Turn, start: int, dtype: torch.dtype = torch.bfloat16) -> list[float]:
    """How far scores are off if a sequence begins at ``start``: a root mean square for each seed.

    Queries and keys are in ``dtype``; the scores that they ought to have are made in float64.
    """
    errors = []
    for seed in SEEDS:
        q, k = draw(seed, 2, 64, WIDTH).to(dtype)
        gap = _scores(turn, q, k, start=start) - _scores(rotary.apply, q.double(), k.double())
        errors.append(gap.square().mean().sqrt().item())
    return errors


@evidence(rivals={"angles in float64, rounded afterwards": dict(turn=rotary.apply)})
def angles_in_bfloat16_break_relativity(turn: Turn = coarse) -> Evidence:
    """How much larger the error of a score is far from the start than near to it."""
    near, far = score_errors(turn, NEAR), score_errors(turn, FAR)
    grown = np.divide(far, near)
    return Evidence(
        value=float(grown.min()),
        expected=2,
        tolerance=float(np.ptp(grown)),
        unit="times the error",
        how=f"bfloat16 queries and keys of standard normal entries and angles in bfloat16, 64 "
        f"tokens from {FAR} on against {NEAR}, d = {WIDTH}; the least of {len(SEEDS)} seeds, "
        "margin: their range",
        relation=">",
    )


def _moved(turn: Turn, dtype: torch.dtype) -> list[float]:
    """How much scores change when all positions move on: a root mean square for each seed."""
    changes = []
    for seed in SEEDS:
        q, k = draw(seed, 2, 64, WIDTH).to(dtype)
        gap = _scores(turn, q, k, start=FAR) - _scores(turn, q, k, start=NEAR)
        changes.append(gap.square().mean().sqrt().item())
    return changes


@evidence(rivals={"rotated queries and keys kept in float32": dict(dtype=torch.float32)})
def exact_angles_leave_the_rounding_of_keys(dtype: torch.dtype = torch.bfloat16) -> Evidence:
    """The change of a score when all positions move on, though its angles are exact."""
    changes = _moved(rotary.apply, dtype)
    return Evidence(
        value=min(changes),
        expected=1e-3,
        tolerance=float(np.ptp(changes)),
        unit="of the size of a score",
        how=f"angles in float64, rotated queries and keys rounded to bfloat16, 64 tokens from "
        f"{FAR} on against {NEAR}, d = {WIDTH}; root mean square, the least of {len(SEEDS)} seeds, "
        "margin: their range",
        relation=">",
    )
