"""What every positional encoding asks of its inputs, and which position each token has.

What does not fit is refused by a ValueError that names the argument.  Only ``check_values`` looks
at a value.
"""

from collections.abc import Callable

import torch

from attention_limits.checks import check_count
from attention_limits.tensors import INTEGERS, REALS, check_kind, check_tensor, shape_of

FARTHEST = 2**62  # Differences of what is no farther from 0 are integers of 64 bits.


def resolve(
    x: torch.Tensor, positions: torch.Tensor | None, start: int, *, real: bool = False
) -> torch.Tensor:
    """The position of each token of ``x``.

    Args:
        x: tokens (..., n, d).
        positions: (..., n), with leading axes that broadcast to those of ``x``, on its device:
            (B, 1, n) where ``x`` is (B, h, n, d) and each sequence has its own.  None means
            ``start``, ``start`` + 1, and so on.
        start: how many tokens of a stream came before these; 0 where there are ``positions``.
        real: whether positions may be floating-point numbers, such as times.

    Returns:
        (n,) or ``positions`` as they came.

    Raises:
        ValueError: naming the argument, if one of them does not fit.
    """
    check_tensor("x", x)
    if isinstance(start, torch.Tensor) and start.ndim:
        raise ValueError(
            f"start must be one integer, got {shape_of(start)}: where sequences differ, give "
            "positions instead"
        )
    start = check_count("start", start, most=FARTHEST)
    if positions is None:
        return torch.arange(start, start + x.shape[-2], device=x.device)
    if start:
        raise ValueError(f"start must be 0 where positions are given, got {start}")
    check_positions("positions", positions, real=real)
    if positions.device != x.device:
        raise ValueError(
            f"positions must be on the device of x, {x.device}, got {positions.device}"
        )
    check_fits("positions", positions, x.shape[:-1], "a token")
    return positions


def check_positions(name: str, positions: torch.Tensor, *, real: bool = False) -> None:
    """Refuse what is no tensor of integers or, if ``real``, of floats that can count."""
    check_kind(name, positions, INTEGERS | REALS if real else INTEGERS)
    if not positions.ndim:
        raise ValueError(f"{name} must have at least one axis, (..., n), got a single number")


def check_values(
    name: str,
    x: torch.Tensor,
    fit: Callable[[torch.Tensor], torch.Tensor],
    wanted: str,
    got: Callable[[torch.Tensor], str],
) -> None:
    """Refuse a tensor that does not hold what it should.

    A program that is being compiled or exported knows no values yet: it gets an assertion, which
    stops it with a RuntimeError when it runs.  What ``vmap`` runs along is looked at all at once.

    Args:
        name: what the caller calls it.
        x: the tensor, whose last axis is one of tokens.
        fit: takes it to booleans, all of which are true if it fits.
        wanted: what it must do to be right.
        got: takes it to what came.

    Raises:
        ValueError: if not all fit.
    """
    if x.is_meta:  # there is nothing to look at
        return
    if torch.compiler.is_compiling():
        torch._assert_async(fit(x.detach()).all(), f"{name} must {wanted}")
        return
    x = _of_all_samples(x.detach())
    if not fit(x).all():
        raise ValueError(f"{name} must {wanted}, got {got(x)}")


def _of_all_samples(x: torch.Tensor) -> torch.Tensor:
    """A tensor without what ``torch.func`` wraps around it; samples are the first axes then."""
    functorch = torch._C._functorch
    while functorch.is_functorch_wrapped_tensor(x):
        axis = functorch.maybe_get_bdim(x) if functorch.is_batchedtensor(x) else None
        x = functorch.get_unwrapped(x)
        x = x if axis is None else x.movedim(axis, 0)
    return x


def check_pairs(x: torch.Tensor) -> None:
    """Refuse a width that does not fall into pairs."""
    if x.shape[-1] % 2 or not x.shape[-1]:
        raise ValueError(f"x must have an even width, a pair for each frequency, got {shape_of(x)}")


def distances(n_q: int, n_k: int, device: torch.device | str | None = None) -> torch.Tensor:
    """How far each key lies behind each query, i − j: (n_q, n_k) integers, aligned bottom-right."""
    n_q = check_count("n_q", n_q)
    n_k = check_count("n_k", n_k)
    i = torch.arange(n_k - n_q, n_k, device=device)
    return i[:, None] - torch.arange(n_k, device=device)


def check_per_head(name: str, x: torch.Tensor) -> None:
    """Refuse what is no tensor of floats, one a head in its last axis."""
    check_kind(name, x)
    if not x.ndim:
        raise ValueError(f"{name} must have one number a head, (..., h), got a single one")


def check_fits(name: str, x: torch.Tensor, wanted: torch.Size, each: str, own: int = 1) -> None:
    """Refuse numbers, one ``each``, whose ``own`` last axes differ or others do not broadcast."""
    try:
        fits = x.shape[-own:] == wanted[-own:]
        fits = fits and torch.broadcast_shapes(x.shape, wanted) == wanted
    except RuntimeError:
        fits = False
    if not fits:
        a_sequence = len(wanted) > own + 1 and x.shape == (wanted[0], *wanted[-own:])
        hint = f"; for the same in all heads, {name}[:, None]" if a_sequence else ""
        raise ValueError(
            f"{name} must have one number {each} and broadcast to {tuple(wanted)}, "
            f"got {shape_of(x)}{hint}"
        )


def check_device(name: str, x: torch.Tensor, device: torch.device) -> None:
    """Refuse a tensor that lies elsewhere."""
    if x.device != device:
        raise ValueError(f"{name} must be on the device {device}, got {x.device}")


def falling(distance: torch.Tensor, slopes: torch.Tensor) -> torch.Tensor:
    """−m times distances (..., n_q, n_k), as (..., h, n_q, n_k), in float32 at the least."""
    wide = torch.promote_types(slopes.dtype, torch.float32)
    return -slopes.to(wide)[..., None, None] * distance.to(wide)[..., None, :, :]


def check_frequencies(
    frequencies: torch.Tensor, device: torch.device, pairs: int | None = None
) -> None:
    """Refuse what is elsewhere than x, or the positions, or, if told, not one a pair."""
    check_kind("frequencies", frequencies, REALS)
    check_device("frequencies", frequencies, device)
    if pairs is None:
        if frequencies.ndim != 1:
            raise ValueError(f"frequencies must be one a pair, (d/2,), got {shape_of(frequencies)}")
    elif frequencies.shape != (pairs,):
        raise ValueError(f"frequencies must be one a pair, ({pairs},), got {shape_of(frequencies)}")
