"""Evidence on rotations: scores that are relative, frequencies that never come back, rounding."""

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


@evidence()
def one_frequency_comes_near_but_not_back(steps: int = 100_000) -> Evidence:
    """The least distance of one sine and cosine, ω = 1, from where they were before."""
    encoding = sinusoidal.encoding(torch.arange(steps + 1), 2)
    apart = (encoding[1:] - encoding[0]).norm(dim=-1)
    nearest = int(apart.argmin())
    return Evidence(
        value=apart[nearest].item(),
        expected=0,
        tolerance=rounding_of_angles(steps),
        unit="from the encoding of position 0",
        how=f"d = 2, the nearest of {steps} positions, which is {nearest + 1}, float64; margin: "
        "what rounding may do to the angles",
        relation=">",
    )


# --- rotations ----------------------------------------------------------------------------------
@evidence()
def rotary_scores_depend_on_the_distance(offset: int = 10**6) -> Evidence:
    """The change of any score when queries and keys both move on by an offset."""
    q, k = draw(0, 64, WIDTH), draw(1, 64, WIDTH)
    gap = _scores(rotary.apply, q, k, start=offset) - _scores(rotary.apply, q, k)
    # Errors of d entries add up at random, to √d of one, by which a score is divided.
    return Evidence(
        value=gap.abs().max().item(),
        expected=rounding_of_angles(offset),
        tolerance=0,
        unit="in any score",
        how=f"64 queries and keys of standard normal entries, d = {WIDTH}, moved by {offset}, "
        "float64; the bound is what rounding may do to the angles",
        relation="<",
    )


def coarse(x: torch.Tensor, *, start: int = 0) -> torch.Tensor:
    """A rotary encoding that makes its angles in bfloat16, as an autocast model may."""
    p = torch.arange(start, start + x.shape[-2], dtype=torch.bfloat16)
    angles = (p[:, None] * sinusoidal.frequencies(x.shape[-1]).bfloat16()).double()
    pairs = torch.view_as_complex(x.double().unflatten(-1, (-1, 2)))
    turned = pairs * torch.polar(torch.ones_like(angles), angles)
    return torch.view_as_real(turned).flatten(-2).to(x.dtype)


def score_errors(turn: Callable[..., torch.Tensor], start: int) -> list[float]:
    """How far scores are off if a text begins at ``start``: a root mean square for each seed.

    Queries and keys are in bfloat16; the scores that they ought to have are made in float64.
    """
    errors = []
    for seed in SEEDS:
        q, k = draw(seed, 2, 64, WIDTH).bfloat16()
        gap = _scores(turn, q, k, start=start) - _scores(rotary.apply, q.double(), k.double())
        errors.append(gap.square().mean().sqrt().item())
    return errors


@evidence()
def angles_in_bfloat16_break_relativity(start: int = 1024) -> Evidence:
    """The error of scores whose angles are made in bfloat16, over that of exact angles."""
    broken, exact = score_errors(coarse, start), score_errors(rotary.apply, start)
    return Evidence(
        value=min(broken),
        expected=max(exact),
        tolerance=np.ptp(broken),
        unit="in a score, root mean square",
        how=f"bfloat16 queries and keys of standard normal entries, 64 tokens from {start} on, "
        f"d = {WIDTH}, against float64; the least of {len(SEEDS)} seeds with angles in bfloat16, "
        "expected the most with exact angles; margin: the range",
        relation=">",
    )


def _scores(
    turn: Callable[..., torch.Tensor], q: torch.Tensor, k: torch.Tensor, **options: int
) -> torch.Tensor:
    """Inner products of turned queries and keys over √d, summed in float64."""
    q, k = (turn(x, **options).double() for x in (q, k))
    return q @ k.mT / q.shape[-1] ** 0.5
