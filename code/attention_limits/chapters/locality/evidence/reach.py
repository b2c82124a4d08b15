"""Evidence on reach: gradients of stacks of PyTorch's layers, from one output to all inputs."""

import functools
import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import nn
from torch.nn.functional import pad, scaled_dot_product_attention

from attention_limits.chapters.locality.derivations import reach as derivations
from attention_limits.evidence import Evidence, evidence

CHANNELS = 64
TAPS = 3
DEPTHS = (4, 8, 16)
WINDOW = 8  # tokens

Layer = Callable[[torch.Tensor], torch.Tensor]  # (1, n, channels) to the same
Stack = Callable[[int], Sequence[Layer]]  # so many layers
Drawn = Callable[[int, int], Sequence[Layer]]  # so many, with the weights of a seed
DRAWS = 32  # of weights


# --- stacks -------------------------------------------------------------------------------------


def kernel(dilation: int = 1, generator: torch.Generator | None = None) -> Layer:
    """PyTorch's convolution with random weights, which keep the size of what they get."""
    layer = nn.Conv1d(CHANNELS, CHANNELS, TAPS, padding="same", dilation=dilation, bias=False)
    nn.init.normal_(layer.weight, std=(CHANNELS * TAPS) ** -0.5, generator=generator)
    return lambda x: layer(x.mT).mT


def convolutions(depth: int, seed: int = 0, dilation: int = 1) -> list[Layer]:
    """Kernels whose taps are ``dilation`` times as far apart in each layer as in the one before."""
    generator = torch.Generator().manual_seed(seed)
    return [kernel(dilation**level, generator) for level in range(depth)]


def one_fewer(depth: int, seed: int = 0) -> list[Layer]:
    """A stack that has a layer less than it says."""
    return convolutions(depth - 1, seed)


def dilated(depth: int, seed: int = 0) -> list[Layer]:
    """Taps that are twice as far apart in each layer."""
    return convolutions(depth, seed, dilation=2)


def skipping(depth: int, seed: int = 0, taken: float = 0.5) -> list[Layer]:
    """The same kernels, which a share of the squares comes from, and the rest from what came in."""

    def skip(layer: Layer) -> Layer:
        return lambda x: math.sqrt(1 - taken) * x + math.sqrt(taken) * layer(x)

    return [skip(layer) for layer in convolutions(depth, seed)]


def with_relu(depth: int, seed: int = 0) -> list[Layer]:
    """The same kernels, with a ReLU behind each."""

    def rectified(layer: Layer) -> Layer:
        return lambda x: math.sqrt(2) * layer(x).relu()

    return [rectified(layer) for layer in convolutions(depth, seed)]


def windows(depth: int, share: float = 1.0, causal: bool = True) -> list[Layer]:
    """PyTorch's attention in causal windows, all scores alike; a share of 1 has no skips."""

    def layer(x: torch.Tensor) -> torch.Tensor:
        n = x.shape[-2]
        back = torch.arange(n)[:, None] - torch.arange(n)
        seen = (back >= 0) & ((back < WINDOW) | (not causal))
        q = torch.zeros_like(x)
        return (1 - share) * x + share * scaled_dot_product_attention(q, q, x, attn_mask=seen)

    return [layer] * depth


def half_skipping(depth: int) -> list[Layer]:
    """Windows that take half of what they pass on from their tokens."""
    return windows(depth, share=0.5)


def everything(depth: int) -> list[Layer]:
    """Causal attention without windows."""
    return windows(depth, causal=False)


def blocks(depth: int, shift: int = WINDOW // 2) -> list[Layer]:
    """PyTorch's multi-head attention in blocks of tokens, shifted in every second layer."""
    attention = nn.MultiheadAttention(CHANNELS, 4, batch_first=True)

    def layer(x: torch.Tensor, by: int) -> torch.Tensor:
        # Half a block of zeros on either side, so that shifted blocks are whole, too.
        room = pad(x, (0, 0, by, WINDOW - by)) if by else x
        cut = room.unflatten(1, (-1, WINDOW)).flatten(0, 1)
        out = attention(cut, cut, cut, need_weights=False)[0].reshape(1, -1, CHANNELS)
        return out[:, by : by + x.shape[1]]

    return [functools.partial(layer, by=shift * (level % 2)) for level in range(depth)]


def unshifted(depth: int) -> list[Layer]:
    """The same blocks in all layers."""
    return blocks(depth, shift=0)


def by_a_block(depth: int) -> list[Layer]:
    """Blocks that are shifted by a whole one."""
    return blocks(depth, shift=WINDOW)


def then_everywhere(depth: int) -> list[Layer]:
    """Blocks in the first layer, and attention to all tokens in the others."""
    attention = nn.MultiheadAttention(CHANNELS, 4, batch_first=True)
    return [*blocks(1), *[lambda x: attention(x, x, x, need_weights=False)[0]] * (depth - 1)]


# --- what an output owes to each input ----------------------------------------------------------


def influence(stack: Sequence[Layer], n: int, at: int) -> np.ndarray:
    """The squared gradient of a random sum of an output's channels, (n,) summing to 1."""
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(1, n, CHANNELS, generator=generator, requires_grad=True)
    y = x
    for layer in stack:
        y = layer(y)
    (y[0, at] * torch.randn(CHANNELS, generator=generator)).sum().backward()
    assert x.grad is not None
    square = x.grad[0].double().square().sum(-1)
    return (square / square.sum()).numpy()


def of_weights(stack: Sequence[Layer], n: int) -> np.ndarray:
    """What the last output owes to each input by its weights, (n,), where values just add up."""
    x = torch.eye(n, dtype=torch.float64).unsqueeze(0)
    for layer in stack:
        x = layer(x)
    return x[0, -1].numpy()


def moments(weights: np.ndarray, at: int) -> tuple[float, float]:
    """How far back from ``at`` weight comes from: the mean, and the deviation."""
    back = at - np.arange(len(weights))
    mean = float(weights @ back)
    return mean, math.sqrt(float(weights @ (back - mean) ** 2))


def of_layers(depth: int, taken: float = 1) -> float:
    """The derived deviation of where influence comes from, in tokens."""
    return float(derivations.DEVIATION(layers=depth, taps=TAPS, taken=taken))


def of_the_field(depth: int) -> float:
    """What it would be if all of the field counted alike."""
    return math.sqrt((float(derivations.FIELD(layers=depth, taps=TAPS)) ** 2 - 1) / 12)


def spread(stack: Drawn, depth: int, n: int) -> float:
    """The deviation of where influence comes from, over ``DRAWS`` draws of the weights."""
    each = [influence(stack(depth, seed), n, n // 2) for seed in range(DRAWS)]
    return moments(np.mean(each, axis=0), n // 2)[1]


# --- evidence -----------------------------------------------------------------------------------


@evidence(
    rivals={
        "taps twice as far apart in each layer": dict(stack=dilated),
        "a layer less": dict(stack=one_fewer),
    }
)
def a_stack_reaches_its_field(stack: Stack = convolutions) -> Evidence:
    """How many inputs an output owes anything to, over L (k − 1) + 1; the furthest depth."""
    ratios = []
    for depth in (2, 4, 6):
        n = 2 ** (depth + 2) + 1
        reached = np.count_nonzero(influence(stack(depth), n, n // 2))
        ratios.append(reached / derivations.FIELD(layers=depth, taps=TAPS))
    return Evidence(
        value=furthest(ratios),
        expected=1,
        tolerance=0,
        unit="× the formula",
        how=f"inputs with a gradient, stacks of 2, 4 and 6 of PyTorch's Conv1d, {TAPS} taps",
    )


@evidence(
    rivals={
        "layers of which half is skipped": dict(stack=skipping),
        "taps twice as far apart in each layer": dict(stack=dilated),
        "the belief that all of the field counts alike": dict(derived=of_the_field),
    }
)
def gradients_come_from_a_part_of_it(
    stack: Drawn = convolutions, derived: Callable[[int], float] = of_layers
) -> Evidence:
    """The deviation of where they come from, over the derived one; of both depths the furthest."""
    how = f"{TAPS} taps, {CHANNELS} channels"
    return _of_deviation(stack, derived, (4, 8), tolerance=0.1, how=how)


@evidence(rivals={"layers of which half is skipped": dict(stack=skipping)})
def a_relu_changes_little(stack: Drawn = with_relu) -> Evidence:
    """The same, with a ReLU behind each layer."""
    return _of_deviation(stack, of_layers, (8,), tolerance=0.03, how="with a ReLU behind each")


def a_tenth(depth: int, seed: int = 0) -> list[Layer]:
    """A tenth of the squares comes from the kernels."""
    return skipping(depth, seed, taken=0.1)


def by_weights(depth: int, seed: int = 0) -> list[Layer]:
    """A tenth of the weights, and so a smaller share of the squares, comes from the kernels."""
    return skipping(depth, seed, taken=0.1**2 / (0.1**2 + 0.9**2))


@evidence(rivals={"layers that skip nothing": dict(stack=convolutions)})
def skips_shorten_it(stack: Drawn = skipping) -> Evidence:
    """The same, where half of what a layer passes on is what it got."""
    half = functools.partial(of_layers, taken=0.5)
    return _of_deviation(stack, half, (8,), tolerance=0.01, how="x + f(x) over √2, p = 1/2")


@evidence(rivals={"a share of weights": dict(stack=by_weights)})
def a_share_is_one_of_squares(stack: Drawn = a_tenth) -> Evidence:
    """The same, where a tenth of the squares comes from the kernels."""
    tenth = functools.partial(of_layers, taken=0.1)
    return _of_deviation(stack, tenth, (8,), tolerance=0.01, how="√.9 x + √.1 f(x), p = 1/10")


def _of_deviation(
    stack: Drawn,
    derived: Callable[[int], float],
    depths: Sequence[int],
    tolerance: float,
    how: str,
) -> Evidence:
    """The deviation of squared gradients over a derived one; of all depths the furthest."""
    ratios = [spread(stack, depth, 2 ** (depth + 1) + 1) / derived(depth) for depth in depths]
    return Evidence(
        value=furthest(ratios),
        expected=1,
        tolerance=tolerance,
        unit="× the formula",
        how=f"squared gradients, {' and '.join(map(str, depths))} layers of PyTorch's Conv1d, "
        f"{how}; {DRAWS} draws of weights",
    )


@evidence(
    rivals={
        "layers of which half is skipped": dict(stack=half_skipping),
        "attention to all tokens before": dict(stack=everything),
    }
)
def windows_look_halfway_back(stack: Stack = windows) -> Evidence:
    """How far back weight comes from, over the derived distance; of all depths the furthest."""
    ratios = []
    for depth in DEPTHS:
        n = depth * WINDOW + 10
        back, _ = moments(of_weights(stack(depth), n), n - 1)
        ratios.append(back / derivations.BACK(layers=depth, window=WINDOW, taken=1))
    return Evidence(
        value=round(furthest(ratios), 9),
        expected=1,
        tolerance=0,
        unit="× the formula",
        how=f"PyTorch's attention in causal windows of {WINDOW}, scores alike, 4, 8 and 16 layers; "
        "to 9 digits",
    )


@evidence(
    rivals={
        "blocks that are never shifted": dict(stack=unshifted),
        "blocks that are shifted by a whole one": dict(stack=by_a_block),
        "attention to all tokens behind the first layer": dict(stack=then_everywhere),
    }
)
def shifted_blocks_reach_a_block_a_layer(stack: Stack = blocks) -> Evidence:
    """How many inputs an output owes anything to, over L w; of all depths the furthest."""
    ratios = [
        np.count_nonzero(influence(stack(depth), 12 * WINDOW, 6 * WINDOW + 2)) / (depth * WINDOW)
        for depth in (1, 2, 3, 4)
    ]
    return Evidence(
        value=furthest(ratios),
        expected=1,
        tolerance=0,
        unit="of L windows",
        how=f"inputs with a gradient, PyTorch's multi-head attention in blocks of {WINDOW}, "
        "shifted by half in every second layer, 1 to 4 layers",
    )


@evidence(rivals={"taps that stay together": dict(stack=convolutions)})
def dilated_kernels_keep_their_share(stack: Drawn = dilated) -> Evidence:
    """Four deviations over the field: how much less they are in eight layers than in four."""
    shares = []
    for depth in (4, 8):
        n = 2 ** (depth + 1) + 1
        field = np.count_nonzero(influence(stack(depth, 0), n, n // 2))
        shares.append(4 * spread(stack, depth, n) / field)
    return Evidence(
        value=shares[1] / shares[0],
        expected=0.9,
        tolerance=0.01,
        unit="× the share of the field",
        how=f"four deviations of squared gradients over what is reached, {TAPS} taps, the taps of "
        f"each layer twice as far apart as before, {DRAWS} draws; without dilation it would be "
        "less than .8",
        relation=">",
    )


def furthest(ratios: Sequence[float]) -> float:
    """That which is furthest from 1."""
    return float(max(ratios, key=lambda ratio: abs(ratio - 1)))
