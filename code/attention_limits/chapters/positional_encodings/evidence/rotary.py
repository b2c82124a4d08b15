"""Evidence on rotations: scores that are relative, and what rounding leaves of that."""

import math
from collections.abc import Callable
from functools import partial

import numpy as np
import torch

from attention_limits.chapters.positional_encodings.evidence.encodings import (
    BASE,
    SEEDS,
    WIDTH,
    Encoding,
    draw,
    rounding_of_angles,
)
from attention_limits.evidence import Evidence, evidence
from attention_limits.positions import rotary, sinusoidal

Turn = Callable[..., torch.Tensor]  # queries or keys (n, d) from position ``start`` on, as rotary's
NEAR, FAR = 64, 2**16  # where sequences begin whose scores are compared
FARTHEST = 20_000  # tokens at which a key is looked for
TOKENS = 50_000  # in which the slowest frequency makes more than a turn

# --- periods ------------------------------------------------------------------------------------


def in_whole_tokens(p: torch.Tensor, d: int, *, base: float = BASE) -> torch.Tensor:
    """All periods rounded to whole numbers of tokens: 6, 8, 11, …, each of which comes back."""
    periods = 2 * math.pi / sinusoidal.frequencies(d, base=base)
    return sinusoidal.encoding(p, d, frequencies=2 * math.pi / periods.round())


def one_in_whole_tokens(p: torch.Tensor, d: int, *, base: float = BASE) -> torch.Tensor:
    """The usual frequencies, but for the last, whose period is rounded to whole tokens."""
    omega = sinusoidal.frequencies(d, base=base)
    omega[-1] = 2 * math.pi / (2 * math.pi / omega[-1]).round()
    return sinusoidal.encoding(p, d, frequencies=omega)


def back_after_710(p: torch.Tensor, d: int, *, base: float = BASE) -> torch.Tensor:
    """The usual frequencies, but for ω = 1, whose 113 turns take 710 tokens exactly."""
    omega = sinusoidal.frequencies(d, base=base)
    omega[0] = 2 * math.pi * 113 / 710
    return sinusoidal.encoding(p, d, frequencies=omega)


@evidence(
    rivals={
        "periods rounded to whole numbers of tokens": dict(encoding=in_whole_tokens),
        "a slowest period rounded to a whole number of tokens": dict(encoding=one_in_whole_tokens),
        "a first frequency that is back after 710 tokens": dict(encoding=back_after_710),
    }
)
def no_frequency_comes_back(encoding: Encoding = sinusoidal.encoding) -> Evidence:
    """How near any frequency comes to where it was, of all those of an encoding.

    In more tokens than the slowest takes for a turn, so that one whose period is a whole number of
    tokens would have been back.
    """
    rows = encoding(torch.arange(TOKENS + 1), WIDTH, base=BASE).unflatten(-1, (-1, 2))
    nearest, after = (rows[1:] - rows[0]).square().sum(-1).sqrt().min(0)
    i = int(nearest.argmin())
    return Evidence(
        value=nearest[i].item(),
        expected=rounding_of_angles(TOKENS),
        tolerance=0,
        unit="from where it was",
        how=f"the nearest of {WIDTH // 2} frequencies, that of i = {i} after {after[i] + 1} of "
        f"{TOKENS} tokens; on a circle of radius 1, d = {WIDTH}, b = {BASE:g}, float64; the bound "
        "is what rounding may do to the angles",
        relation=">",
    )


# --- rotations ----------------------------------------------------------------------------------


def turned(
    x: torch.Tensor, *, start: int = 0, precision: torch.dtype = torch.float32
) -> torch.Tensor:
    """A rotary encoding whose angles are products of numbers of some precision.

    In bfloat16 they are those of a model under autocast that takes no care of them.
    """
    p = torch.arange(start, start + x.shape[-2], dtype=precision)
    return _turned(x, (p[:, None] * sinusoidal.frequencies(x.shape[-1]).to(precision)).double())


def coarse(x: torch.Tensor, *, start: int = 0) -> torch.Tensor:
    """The same in bfloat16."""
    return turned(x, start=start, precision=torch.bfloat16)


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
        "angles in float32": dict(turn=turned),
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


def decaying(x: torch.Tensor, *, start: int = 0, kept: float = 0.999) -> torch.Tensor:
    """Queries as xPos has them, here with one factor for all pairs.

    Keys have its inverse, to the power of their position.  So scores are relative, and keep a share
    of what they were with each token of distance, whatever the key is.
    """
    p = torch.arange(start, start + x.shape[-2], dtype=x.dtype)
    return kept ** p[:, None] * rotary.apply(x, start=start)


@evidence(
    rivals={
        "keys that are like the query": dict(key=alike),
        "xPos, whose scores decay by a thousandth a token": dict(turn=decaying),
    }
)
def the_best_distance_is_the_keys_choice(
    turn: Turn = rotary.apply, key: Callable[[torch.Tensor, int], torch.Tensor] = turned_by
) -> Evidence:
    """How far the distance of the highest score is from the one that a key was made for.

    The key stands at position 0, the query at all distances from it.
    """
    peaks = (0, 1, 3, 17, 40, 500, 4000, 19_000)
    q = torch.stack([draw(seed, 1, WIDTH) for seed in SEEDS])
    keys = torch.cat([key(q, peak) for peak in peaks], -2)
    scores = turn(q.expand(-1, FARTHEST, -1)) @ keys.mT
    best = scores.argmax(-2)
    return Evidence.exactly(
        (best - torch.tensor(peaks)).abs().flatten().tolist(),
        expected=0,
        unit="tokens off",
        how=f"the highest of {FARTHEST} scores, keys made for {peaks[0]} to {peaks[-1]} tokens "
        f"back, {len(SEEDS)} random queries, d = {WIDTH}",
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


def rounded_afterwards(
    x: torch.Tensor, *, start: int = 0, precision: torch.dtype = torch.float64
) -> torch.Tensor:
    """A rotary encoding whose angles are in float64, whatever is asked for."""
    return rotary.apply(x, start=start)


def dynamic(
    x: torch.Tensor, *, start: int = 0, precision: torch.dtype = torch.float64
) -> torch.Tensor:
    """Dynamic NTK: from 64 tokens on, the base grows with the length; angles are in float64.

    Scores of a later sequence are others, and not because of rounding.
    """
    n = start + x.shape[-2]
    return rotary.apply(
        x, frequencies=rotary.ntk_aware(x.shape[-1], BASE, max(1.0, n / NEAR)), start=start
    )


@evidence(
    rivals={
        "angles in float64, rounded afterwards": dict(turn=rounded_afterwards),
        "a base that grows with the length, and exact angles": dict(turn=dynamic),
    }
)
def angles_in_bfloat16_break_relativity(turn: Turn = turned) -> Evidence:
    """How much more the error of a score grows with the position if angles are in bfloat16.

    That is, the error far from the start over that near to it, against the same quotient with
    angles in float32: what makes scores depend on the position in both is no matter of rounding.
    """
    coarse, fine = (
        np.divide(
            score_errors(partial(turn, precision=precision), FAR),
            score_errors(partial(turn, precision=precision), NEAR),
        )
        for precision in (torch.bfloat16, torch.float32)
    )
    grown = coarse / fine
    return Evidence(
        value=float(grown.min()),
        expected=2,
        tolerance=float(np.ptp(grown)),
        unit="times the growth of the error",
        how=f"64 tokens from {FAR} on against {NEAR}, angles in bfloat16 ({coarse.min():.1f} times "
        f"the error or more) against float32 ({fine.max():.2f} or less); queries and keys in "
        f"bfloat16, of standard normal entries, d = {WIDTH}; the least of {len(SEEDS)} seeds, "
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
