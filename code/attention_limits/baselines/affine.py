"""Chains of affine maps, solved in rounds: what Newton's method has to do in each iteration."""

import torch

from attention_limits.attention.transforms import one_call

Affine = tuple[torch.Tensor, torch.Tensor]  # (A, b), the map h ↦ A h + b


def compose(later: Affine, earlier: Affine) -> Affine:
    """The map that does ``earlier`` and then ``later``.

    Composition is associative, so a chain of maps may be bracketed at will: as a tree, say, of
    logarithmic depth.
    """
    (A2, b2), (A1, b1) = later, earlier
    return A2 @ A1, _times(A2, b1) + b2


def solved(A: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """All h_t of h_t = A_t h_{t−1} + b_t from h_0 = 0, (..., n, d)."""
    return _solved(A.flatten(-2), b.shape[-1], b)


@one_call
def _solved(A: torch.Tensor, d: int, b: torch.Tensor) -> torch.Tensor:
    """The same, with a row of A for each matrix, (..., n, d²)."""
    return _in_rounds(A.unflatten(-1, (d, d)), b)


def _in_rounds(A: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    n = b.shape[-2]
    if n < 2:
        return b
    firsts, seconds = slice(0, n - 1, 2), slice(1, n, 2)  # of each pair of steps
    earlier, later = ((A[..., s, :, :], b[..., s, :]) for s in (firsts, seconds))
    even = _in_rounds(*compose(later, earlier))  # h_2, h_4, …
    # h_3, h_5, … are one step on from these; h_1 is b_1 already.
    on = b[..., 2::2, :] + _times(A[..., 2::2, :, :], even[..., : (n - 1) // 2, :])
    odd = torch.cat([b[..., :1, :], on], dim=-2)
    pairs = torch.stack([odd[..., : n // 2, :], even], dim=-2).flatten(-3, -2)
    return torch.cat([pairs, odd[..., n // 2 :, :]], dim=-2)


def _times(A: torch.Tensor, h: torch.Tensor) -> torch.Tensor:
    """A h, for matrices (..., d, d) and vectors (..., d)."""
    return (A @ h.unsqueeze(-1)).squeeze(-1)
