"""A step of the optimiser for models side by side, each with a rate and a gradient of its own."""

from collections.abc import Sequence

import torch


def clip(weights: Sequence[torch.Tensor], norm: float) -> None:
    """Shorten each model's gradient as ``torch.nn.utils.clip_grad_norm_`` would one alone."""
    gradients = [w.grad for w in weights if w.grad is not None]
    none = weights[0].new_zeros(len(weights[0]))
    squares = sum((g.flatten(1).square().sum(1) for g in gradients), start=none)
    shrink = (norm / (squares.sqrt() + 1e-6)).clamp(max=1)
    for g in gradients:
        g.mul_(_beside(shrink, g))


@torch.no_grad()
def move(
    weights: Sequence[torch.Tensor],
    optimizer: torch.optim.Optimizer,
    rates: torch.Tensor,
    active: torch.Tensor,
) -> None:
    """Take the optimiser's step, whose rate is 1, and of it each model's rate.

    Args:
        weights: of all models, which the optimiser has.
        optimizer: where it would go.
        rates: (s,) shares of the way.
        active: (s,) booleans; the others stay.
    """
    before = [w.clone() for w in weights]
    optimizer.step()
    for old, w in zip(before, weights, strict=True):
        moved = old.lerp(w, _beside(rates, w))
        w.copy_(torch.where(_beside(active, w), moved, old))


def _beside(x: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """One number a model, shaped to go with its weights."""
    return x.view(-1, *[1] * (weights.ndim - 1))
