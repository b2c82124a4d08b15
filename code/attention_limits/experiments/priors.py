r"""Layers that differ in one thing at a time: how local, how alike at all places, and made of what.

All of them look at n numbers on a ring and say one of two answers:

.. math::

    f(x) = \sum_c v_c \sum_i \varphi\Bigl(\sum_j W^{(c)}_{ij} \, x_j; \, b_c\Bigr),
    \qquad \varphi(z; b) = \operatorname{softplus}(z - b) - \operatorname{softplus}(-z - b)

So a place is all but silent where z is smaller than b in size, and learns all the same: with two
rectifiers in place of softplus, a threshold that grew too large could never come down again.

What they may be is a question of :math:`W` alone. A convolution has :math:`W_{ij} = w_{j - i}`,
zero beyond its taps. Without the taps it is a wide kernel, without :math:`j - i` a layer that is
local and has weights of its own at each place, without either a fully connected one. Attention
takes averages in place of weights,

.. math::

    W^{(c)}_{ij} = \sum_h w_{ch} \, \operatorname{softmax}_j\bigl(B^{(h)}_{ij}\bigr),

whose scores are a table by relative positions, :math:`B_{ij} = B_{j - i}`, or by absolute ones, or
products of learned positions, :math:`B_{ij} = p_i^\top Q^\top K p_j`. Tables may begin as an
approximate convolution, as in :cite:t:`dascoli2021convit`: head h aims h places ahead, at a
sharpness α.
"""

import math
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn.functional import softplus

from attention_limits.models.layers import Initializer

TAPS = 8  # of a kernel, and heads of attention: one for each tap
CHANNELS = 2
NOISE = 0.1  # of scores at the start: heads that were all alike would stay alike
WIDTH = 16  # of learned positions


@dataclass(frozen=True)
class Prior:
    """What a layer may be.

    Attributes:
        local: whether a place sees itself and those up to ``TAPS - 1`` ahead, and no other.
        shared: whether all places have the same weights, or scores.
        attention: whether the weights are those of averages.
        sharpness: α, with which scores are local at the start; 0 for scores that are nearly equal.
        pace: of the scores: the share of the learning rate at which they learn.
        positions: whether scores are products of learned positions, in place of a table.
    """

    local: bool
    shared: bool
    attention: bool = False
    sharpness: float = 0.0
    pace: float = 1.0
    positions: bool = False


class Look(nn.Module):
    """Such a layer, for s seeds side by side."""

    def __init__(self, initializer: Initializer, prior: Prior, n: int):
        super().__init__()
        self.prior, self.n = prior, n
        seen, places = (TAPS if prior.local else n), (1 if prior.shared else n)
        if prior.attention:
            self.mix = initializer.normal(CHANNELS, TAPS, deviation=1 / math.sqrt(TAPS))
        if prior.positions:
            self.places = initializer.normal(1, n, WIDTH, deviation=1)
            self.query = initializer.normal(TAPS, WIDTH, WIDTH, deviation=1 / math.sqrt(WIDTH))
            self.key = initializer.normal(TAPS, WIDTH, WIDTH, deviation=1 / math.sqrt(WIDTH))
        elif prior.attention:
            # Scores are ``pace`` times what is learned, so that Adam moves them at that pace.
            self.scores = initializer.normal(TAPS, places, seen, deviation=NOISE / prior.pace)
            with torch.no_grad():
                self.scores.add_(aims(seen, n) * prior.sharpness / prior.pace)
        else:
            self.weight = initializer.normal(CHANNELS, places, seen, deviation=1 / math.sqrt(seen))
        # At a threshold of 0, φ(z) = z: a sum over all places, and none knows where things are.
        self.threshold = initializer.constant(1, CHANNELS, value=1.0)
        self.readout = initializer.constant(CHANNELS, 1, value=1 / CHANNELS)

    def weights(self) -> torch.Tensor:
        """W, (s, n, n, channels): of input j, place i and channel."""
        here = torch.arange(self.n, device=self.threshold.device)
        if self.prior.positions:
            between = (self.places @ self.query) @ (self.places @ self.key).mT / math.sqrt(WIDTH)
            ahead = (here[:, None] + here) % self.n
            scores = between[:, :, here[:, None], ahead]
        elif self.prior.attention:
            scores = self.prior.pace * self.scores
        if self.prior.attention:
            by_offset = torch.einsum("sch,shpo->scpo", self.mix, scores.softmax(-1))
        else:
            by_offset = self.weight
        by_offset = nn.functional.pad(by_offset, (0, self.n - by_offset.shape[-1]))
        offset = (here[:, None] - here) % self.n
        place = torch.zeros_like(here) if self.prior.shared else here
        return by_offset[:, :, place, offset].permute(0, 2, 3, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(s, batch, n) to logits of the answer 1, (s, batch)."""
        seeds, batch, n = x.shape
        z = (x @ self.weights().flatten(2)).view(seeds, batch * n, CHANNELS)
        passed = softplus(z - self.threshold) - softplus(-z - self.threshold)
        return (passed @ self.readout).view(seeds, batch, n).sum(-1)


def aims(seen: int, n: int) -> torch.Tensor:
    """Scores of heads that aim 0, 1, … places ahead on a ring, (TAPS, 1, seen): −Δ², Δ off aim."""
    off = (torch.arange(seen) - torch.arange(TAPS)[:, None] + n // 2) % n - n // 2
    return -off.square().unsqueeze(1).float()


class OnPatches(nn.Module):
    r"""Attention among patches of ``TAPS`` numbers, whatever their place, for s seeds side by side.

    One query a head, which is learned, asks for the patches :math:`x_t`:

    .. math::

        f(x) = \sum_h \sum_t \operatorname{softmax}_t(k_h \cdot x_t) \; w_h \cdot x_t
    """

    def __init__(self, initializer: Initializer, stride: int):
        super().__init__()
        self.stride = stride
        self.key = initializer.normal(TAPS, CHANNELS, deviation=1 / math.sqrt(TAPS))
        self.value = initializer.normal(TAPS, CHANNELS, deviation=1 / math.sqrt(TAPS))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(s, batch, n) to logits of the answer 1, (s, batch)."""
        around = torch.cat([x, x[..., : TAPS - self.stride]], dim=-1)
        patches = around.unfold(-1, TAPS, self.stride)
        rows = patches.flatten(1, 2)
        scores, values = ((rows @ w).view(*patches.shape[:3], -1) for w in (self.key, self.value))
        return (scores.softmax(2) * values).sum((2, 3))


def loss(logits: torch.Tensor, answers: torch.Tensor) -> torch.Tensor:
    """Each model's mean cross-entropy in nats, (s,), of answers that are ±1."""
    return softplus(-answers * logits).mean(-1)


def right(logits: torch.Tensor, answers: torch.Tensor) -> torch.Tensor:
    """Which share of the answers each model has right, (s,)."""
    return (answers * logits > 0).float().mean(-1)
