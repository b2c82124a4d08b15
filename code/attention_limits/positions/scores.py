"""What the encodings of scores share: how far apart queries and keys are, and adding a bias."""

import torch

from attention_limits.checks import check_count
from attention_limits.positions.inputs import check_device, check_positions
from attention_limits.tensors import check_leads, check_tensor, shape_of


def differences(
    n_q: int,
    n_k: int,
    positions_q: torch.Tensor | None,
    positions_k: torch.Tensor | None,
    device: torch.device,
) -> torch.Tensor:
    """Of all pairs, i − j: (..., n_q, n_k), int64, in which narrower integers cannot wrap."""
    n_q = check_count("n_q", n_q)
    n_k = check_count("n_k", n_k)
    i = _positions("positions_q", positions_q, n_k - n_q, n_q, device)
    j = _positions("positions_k", positions_k, 0, n_k, device)
    check_leads(positions_q=i.shape[:-1], positions_k=j.shape[:-1])
    return i[..., :, None] - j[..., None, :]


def added(scores: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    """The bias on top of scores that were made for it, in their dtype."""
    check_device("scores", scores, bias.device)
    if scores.shape[-3:] != bias.shape[-3:]:
        wanted = ", ".join(map(str, bias.shape[-3:]))
        raise ValueError(f"scores must have the shape (..., {wanted}), got {shape_of(scores)}")
    check_leads(bias=bias.shape[:-3], scores=scores.shape[:-3])
    return (scores + bias).to(scores.dtype)


def sizes(scores: torch.Tensor) -> tuple[int, int]:
    """How many queries and keys the scores are of."""
    check_tensor("scores", scores)
    return scores.shape[-2], scores.shape[-1]


def _positions(
    name: str, given: torch.Tensor | None, first: int, n: int, device: torch.device
) -> torch.Tensor:
    """Those given, if they fit, or n from the first on, as int64."""
    if given is None:
        return torch.arange(first, first + n, device=device)
    check_positions(name, given)
    check_device(name, given, device)
    if given.shape[-1:] != (n,):
        raise ValueError(f"{name} must have the shape (..., {n}), got {shape_of(given)}")
    return given.long()
