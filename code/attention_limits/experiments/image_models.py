r"""Small models of an image that differ in what they have built in, all of nearly one size.

A convolutional network, a fully connected one, and a vision Transformer on patches of two by two
pixels, whose positions are one of five kinds.  A position is a pair of real numbers, row and
column, in patches, so that an image may be moved, cut or finer than those of training:

- none;
- learned: a vector for each place, and between places the bilinear mean of its neighbours;
- sinusoidal: half of the channels for the row and half for the column, added to the patches;
- rotary: half of each head is turned by the row, and half by the column ("axial");
- relative: a number for each offset and head is added to the scores, likewise bilinear between.

Its last layer's tokens are averaged, as the convolutional network's pixels are, and not read from a
token of their own: neither knows where something is unless positions say so.
"""

import math
from collections.abc import Callable, Mapping

import torch
from torch import nn
from torch.nn.functional import grid_sample

from attention_limits.positions import rotary, sinusoidal

CLASSES, PATCH, CANVAS = 10, 2, 12  # pixels
PLACES = CANVAS // PATCH  # along a side, of patches
WIDTH, HEADS, LAYERS, MLP = 32, 2, 2, 64
BASE = 100.0  # of frequencies: images have few places

CONVOLUTION, FULL, STEM = "convolution", "fully connected", "learned positions, on a stem"
NONE, LEARNED, SINUSOIDAL = "no positions", "learned positions", "sinusoids"
ROTARY, RELATIVE = "rotary", "relative scores"
OF_TRANSFORMERS = (NONE, LEARNED, SINUSOIDAL, ROTARY, RELATIVE, STEM)
MODELS = (CONVOLUTION, FULL, *OF_TRANSFORMERS)


def places(rows: int, columns: int) -> torch.Tensor:
    """Row and column of each patch, (rows · columns, 2), from 0 on."""
    each = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
    return torch.stack(each, dim=-1).flatten(0, 1).float()


def build(name: str) -> nn.Module:
    """A model of ``MODELS``, from (b, rows, columns) to (b, CLASSES)."""
    makers: Mapping[str, Callable[[], nn.Module]] = {CONVOLUTION: Convolutional, FULL: connected}
    return makers[name]() if name in makers else Transformer(name)


def connected() -> nn.Module:
    """Two hidden layers; it takes images of one size only."""
    return nn.Sequential(
        nn.Flatten(),
        *(nn.Linear(CANVAS**2, 88), nn.ReLU()),
        *(nn.Linear(88, 52), nn.ReLU()),
        nn.Linear(52, CLASSES),
    )


class Convolutional(nn.Module):
    """Three layers of kernels, the second with a stride, and the mean of all pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *(nn.Conv2d(1, 30, 3, padding=1), nn.ReLU()),
            *(nn.Conv2d(30, 30, 3, padding=1, stride=2), nn.ReLU()),
            *(nn.Conv2d(30, 30, 3, padding=1), nn.ReLU()),
        )
        self.read = nn.Linear(30, CLASSES)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits."""
        return self.read(self.layers(images[:, None]).mean((-2, -1)))


class Transformer(nn.Module):
    """Patches, or what a stem of kernels makes of them, layers of attention, and their mean."""

    def __init__(self, position: str) -> None:
        super().__init__()
        self.position = position
        self.patches = _stem() if position == STEM else nn.Conv2d(1, WIDTH, PATCH, stride=PATCH)
        if position in (LEARNED, STEM):
            self.table = nn.Parameter(0.2 * torch.randn(WIDTH, PLACES, PLACES))
        self.layers = nn.ModuleList(Layer(position) for _ in range(LAYERS))
        self.norm, self.read = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, CLASSES)

    def forward(self, images: torch.Tensor, where: torch.Tensor | None = None) -> torch.Tensor:
        """Logits; ``where`` are the positions of patches, (n, 2), if others than they have."""
        grid = self.patches(images[:, None])
        where = places(*grid.shape[-2:]) if where is None else where
        where, x = where.to(grid.device), grid.flatten(2).mT
        if self.position in (LEARNED, STEM):
            x = x + between(self.table, where, PLACES - 1).mT
        if self.position == SINUSOIDAL:
            halves = (sinusoidal.encoding(axis, WIDTH // 2, base=BASE) for axis in where.unbind(-1))
            x = x + torch.cat([*halves], dim=-1).to(x.dtype)
        for layer in self.layers:
            x = layer(x, where)
        return self.read(self.norm(x).mean(-2))


def _stem() -> nn.Module:
    """Two layers of kernels, a token for each two by two pixels, as patches have."""
    first, second = nn.Conv2d(1, 8, 3, padding=1), nn.Conv2d(8, WIDTH, 3, padding=1, stride=2)
    return nn.Sequential(first, nn.ReLU(), second)


class Layer(nn.Module):
    """Attention and an MLP, each behind its norm."""

    def __init__(self, position: str) -> None:
        super().__init__()
        self.position = position
        self.norms = nn.ModuleList(nn.LayerNorm(WIDTH) for _ in range(2))
        self.qkv, self.out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.mlp = nn.Sequential(nn.Linear(WIDTH, MLP), nn.GELU(), nn.Linear(MLP, WIDTH))
        if position == RELATIVE:
            self.table = nn.Parameter(torch.zeros(HEADS, 2 * PLACES - 1, 2 * PLACES - 1))

    def forward(self, x: torch.Tensor, where: torch.Tensor) -> torch.Tensor:
        """(b, n, WIDTH) to the same."""
        q, k, v = (
            part.unflatten(-1, (HEADS, -1)).transpose(-3, -2)
            for part in self.qkv(self.norms[0](x)).chunk(3, dim=-1)
        )
        bias = None
        if self.position == ROTARY:
            q, k = (turned(part, where) for part in (q, k))
        if self.position == RELATIVE:
            apart = where[:, None] - where
            bias = between(self.table, apart.flatten(0, 1) + PLACES - 1, 2 * PLACES - 2)
            bias = bias.unflatten(-1, apart.shape[:2])
        # Written out: `vmap`, by which models train side by side, has no rule for PyTorch's kernel.
        scores = q @ k.mT / math.sqrt(q.shape[-1])
        scores = scores if bias is None else scores + bias
        attended = scores.softmax(-1) @ v
        x = x + self.out(attended.transpose(-3, -2).flatten(-2))
        return x + self.mlp(self.norms[1](x))


def turned(x: torch.Tensor, where: torch.Tensor) -> torch.Tensor:
    """Queries or keys (…, n, d): the first half turned by the row, the second by the column."""
    halves = zip(x.chunk(2, dim=-1), where.unbind(-1), strict=True)
    return torch.cat([rotary.apply(half, positions=axis, base=BASE) for half, axis in halves], -1)


def between(table: torch.Tensor, where: torch.Tensor, last: int) -> torch.Tensor:
    """What a table (…, rows, columns) says at real places (n, 2), bilinear: (…, n).

    Places beyond its edge get what stands there.
    """
    share = 2 * where.flip(-1) / last - 1  # columns come first, from −1 to 1
    found = grid_sample(
        table[None], share[None, None].to(table), padding_mode="border", align_corners=True
    )
    return found[0, :, 0]
