"""Evidence on convolution inside attention: heads that read one pixel each, and what they cost."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import conv2d, one_hot, pad, scaled_dot_product_attention
from torch.utils.flop_counter import FlopCounterMode

from attention_limits.baselines import convolution
from attention_limits.chapters.locality.derivations import convolution as derivations
from attention_limits.evidence import Evidence, evidence

SHARP = 40.0  # what is lost, 4e^−40, is less than float64 can tell from nothing

Points = torch.Tensor  # (..., 2): row and column of each pixel
Layer = Callable[..., torch.Tensor]  # (image, kernel), as PyTorch's conv2d takes them


# --- heads that do what a convolution does ------------------------------------------------------


def grid(height: int, width: int, device: torch.device | None = None) -> Points:
    """Row and column of each pixel, row by row: (n, 2)."""
    sides = (torch.arange(s, dtype=torch.float64, device=device) for s in (height, width))
    return torch.cartesian_prod(*sides)


def offsets_of(kernel: torch.Tensor) -> Points:
    """Which pixel each matrix of a kernel reads, as seen from the output's: (k², 2)."""
    size = kernel.shape[-1]
    return grid(size, size, device=kernel.device) - (size - 1) / 2


def keys(points: Points) -> torch.Tensor:
    """Three numbers of a position: its squared length, its row and its column."""
    return torch.cat([(points**2).sum(-1, keepdim=True), points], -1)


def without_the_square(points: Points) -> torch.Tensor:
    """Row and column alone: the score still grows towards the aim, and goes on growing."""
    return torch.cat([torch.zeros_like(points[..., :1]), points], -1)


def queries(aims: Points, sharpness: float) -> torch.Tensor:
    """What meets the keys in −α‖p − aim‖², but for a term of the query alone."""
    ones = torch.ones_like(aims[..., :1])
    return sharpness * torch.cat([-ones, 2 * aims], -1)


def values(image: torch.Tensor, kernel: torch.Tensor) -> torch.Tensor:
    """Each pixel times the matrix of each head: (k², n, c_out)."""
    matrices = kernel.flatten(2).permute(2, 1, 0)  # (k², c_in, c_out)
    return image.flatten(1).mT @ matrices


def heads(
    image: torch.Tensor,
    kernel: torch.Tensor,
    *,
    sharpness: float = SHARP,
    encode: Callable[[Points], torch.Tensor] = keys,
    count: int | None = None,
    scale: float = 1,
    precision: torch.dtype = torch.float64,
) -> torch.Tensor:
    """A convolution by one head of attention for each matrix of its kernel, all pixels seen.

    Args:
        image, kernel: (c_in, height, width) and (c_out, c_in, k, k), as ``conv2d`` has them.
        sharpness: of all heads.
        encode: what a key is.
        count: how many of the heads there are; None means all.
        scale: of the scores.
        precision: to which queries, keys and values are rounded; what is done with them is not.
    """
    _, height, width = image.shape
    points = grid(height, width, device=image.device)
    aims = points + offsets_of(kernel)[:, None]
    q, v = queries(aims, sharpness)[:count], values(image, kernel)[:count]
    k = encode(points).expand(len(q), -1, -1)
    q, k, v = (x.to(precision).double() for x in (q, k, v))
    mixed = scaled_dot_product_attention(q, k, v, scale=scale).sum(0)
    return mixed.mT.unflatten(-1, (height, width))


def heads_in_windows(
    image: torch.Tensor, kernel: torch.Tensor, *, sharpness: float = SHARP
) -> torch.Tensor:
    """The same, if each query sees only as many pixels as the kernel has; outside, the border's."""
    _, height, width = image.shape
    points, near = grid(height, width, device=image.device), offsets_of(kernel)
    seen = points[:, None] + near  # (n, k², 2)
    rows, columns = seen[..., 0].clamp(0, height - 1), seen[..., 1].clamp(0, width - 1)
    v = values(image, kernel)[:, (rows * width + columns).long()]  # (k², n, k², c_out)
    q = queries(points + near[:, None], sharpness)[..., None, :]
    k = keys(seen).expand(len(q), -1, -1, -1)
    mixed = scaled_dot_product_attention(q, k, v, scale=1).sum(0)
    return mixed[:, 0].mT.unflatten(-1, (height, width))


def drawn(height: int = 12, width: int = 9) -> tuple[torch.Tensor, torch.Tensor]:
    """An image of random pixels, six channels, and a random kernel of 3 × 3 to five."""
    generator = torch.Generator().manual_seed(0)
    shapes = (6, height, width), (5, 6, 3, 3)
    image, kernel = (torch.randn(s, generator=generator, dtype=torch.float64) for s in shapes)
    return image, kernel


def replicated(image: torch.Tensor, kernel: torch.Tensor) -> torch.Tensor:
    """PyTorch's convolution; beyond the border it reads the nearest pixel once more."""
    reach = kernel.shape[-1] // 2
    return conv2d(pad(image, [reach] * 4, mode="replicate"), kernel)


def zero_padded(image: torch.Tensor, kernel: torch.Tensor) -> torch.Tensor:
    """The same, as it is by default: it reads zeros there."""
    return conv2d(image, kernel, padding=kernel.shape[-1] // 2)


def of_half_the_rank(image: torch.Tensor, kernel: torch.Tensor) -> torch.Tensor:
    """Heads half as wide as the output: each matrix as good as such a head can have it."""
    u, s, v = torch.linalg.svd(kernel.permute(2, 3, 0, 1), full_matrices=False)
    s = s * (torch.arange(s.shape[-1]) < s.shape[-1] // 2)
    return heads(image, (u * s[..., None, :] @ v).permute(2, 3, 0, 1))


def off_by(
    layer: Layer,
    by: Layer = replicated,
    size: tuple[int, int] = (12, 9),
    **options: Any,
) -> float:
    """The largest difference to a convolution, of any output."""
    image, kernel = drawn(*size)
    return (layer(image, kernel, **options) - by(image, kernel)).abs().max().item()


def eight(*given: torch.Tensor, **options: Any) -> torch.Tensor:
    """One head too few for a kernel of 3 × 3."""
    return heads(*given, count=8, **options)


def unsquared(*given: torch.Tensor, **options: Any) -> torch.Tensor:
    """Keys of row and column alone."""
    return heads(*given, encode=without_the_square, **options)


def divided(*given: torch.Tensor, **options: Any) -> torch.Tensor:
    """Scores over √3, as attention has them by default."""
    return heads(*given, scale=3**-0.5, **options)


def as_sharp_as_one(*given: torch.Tensor, sharpness: float = SHARP) -> torch.Tensor:
    """α stays where it is."""
    return heads(*given, sharpness=1.0)


@evidence(
    rivals={
        "eight heads": dict(layer=eight),
        "keys without the square": dict(layer=unsquared),
        "α = 1": dict(layer=as_sharp_as_one),
        "heads half as wide as the output": dict(layer=of_half_the_rank),
        "zeros beyond the border": dict(by=zero_padded),
    }
)
def nine_heads_are_a_convolution(layer: Layer = heads, by: Layer = replicated) -> Evidence:
    """The largest difference of any output, those at the border among them."""
    return Evidence(
        value=off_by(layer, by),
        expected=1e-12,
        tolerance=0,
        unit="apart",
        how=f"PyTorch's scaled_dot_product_attention, nine heads with α = {SHARP:g}, and conv2d on "
        "a random image of 12 × 9 pixels, 6 channels in, 5 out, in float64; beyond the border "
        "conv2d reads the nearest pixel",
        relation="<",
    )


# --- how sharp ----------------------------------------------------------------------------------


AIMS = ((16, 16), (0, 0), (3, 33), (-2, 34))  # the middle, a corner, and two outside the image
SHARPNESSES = (0.5, 1.0, 2.0, 4.0)


def lost(sharpness: float, *, off_the_grid: float = 0, encode: Callable = keys) -> float:
    """The weight that a head gives to all pixels but the nearest to its aim, the most of AIMS."""
    points, aims = grid(33, 33), torch.tensor(AIMS).double() + off_the_grid
    ones = torch.eye(len(points), dtype=torch.float64)
    q, k = queries(aims, sharpness), encode(points)
    weights = scaled_dot_product_attention(q, k, ones, scale=1)
    nearest = torch.cdist(aims, points).argmin(-1, keepdim=True)
    return weights.scatter(-1, nearest, 0).sum(-1).max().item()


@evidence(
    rivals={
        "keys without the square": dict(encode=without_the_square),
        "aims a quarter of a pixel off the grid": dict(off_the_grid=0.25),
    }
)
def no_more_is_lost_than_derived(**options: Any) -> Evidence:
    """The weight of all other pixels over its bound, where it is largest."""
    return Evidence(
        value=_of_the_bound(**options),
        expected=1,
        tolerance=0,
        unit="× the bound",
        how=LOOKED_AT,
        relation="<",
    )


@evidence(rivals={"heads a tenth sharper than they should be": dict(sharper=1.1)})
def nearly_as_much_is_lost_as_derived(**options: Any) -> Evidence:
    """The same number: a bound that is never approached would say little."""
    return Evidence(
        value=_of_the_bound(**options),
        expected=1,
        tolerance=0.03,
        unit="× the bound",
        how=LOOKED_AT,
    )


LOOKED_AT = (
    "PyTorch's attention in float64 over 33 × 33 pixels, aimed at the middle, a corner and "
    f"outside, α = {SHARPNESSES[0]:g} to {SHARPNESSES[-1]:g}; the largest of "
    f"{len(SHARPNESSES) * len(AIMS)}"
)


def _of_the_bound(sharper: float = 1, **options: Any) -> float:
    shares = [
        lost(sharper * alpha, **options) / derivations.LOST.numpy(sharpness=alpha)
        for alpha in SHARPNESSES
    ]
    return float(max(shares))


@evidence(
    rivals={
        "eight heads": dict(layer=eight),
        "keys without the square": dict(layer=unsquared),
        "α that stays 1": dict(layer=as_sharp_as_one),
        "scores over √3, as they are by default": dict(layer=divided),
    }
)
def the_error_falls_as_derived(layer: Layer = heads) -> Evidence:
    """By which factor the error is less for each unit of α."""
    mild, sharp = 10.0, 20.0
    errors = [off_by(layer, sharpness=alpha) for alpha in (mild, sharp)]
    return Evidence(
        value=(errors[0] / errors[1]) ** (1 / (sharp - mild)),
        expected=math.e,
        tolerance=3e-4,
        unit="times less for each unit of α",
        how=f"the largest difference to conv2d, as above, at α = {mild:g} and {sharp:g}",
    )


SIDES = range(8, 20)  # of square images


@evidence(
    rivals={
        "float16, which has whole numbers up to 2,048": dict(precision=torch.float16),
        "float32": dict(precision=torch.float32),
        "eight heads": dict(layer=eight),
    }
)
def bfloat16_works_while_keys_are_below_256(
    layer: Layer = heads, precision: torch.dtype = torch.bfloat16
) -> Evidence:
    """The largest square image on which no output is off by one or more."""
    works = [
        side
        for side in SIDES
        if off_by(layer, size=(side, side), sharpness=32.0, precision=precision) < 1
    ]
    return Evidence(
        value=max(works, default=0),
        expected=max(side for side in SIDES if 2 * (side - 1) ** 2 <= 256),
        tolerance=0,
        unit="pixels a side",
        how=f"nine heads, α = 32, queries, keys and values rounded; of {SIDES[0]} to {SIDES[-1]}",
    )


# --- what it costs ------------------------------------------------------------------------------


def flops(layer: Layer, side: int, channels: int) -> int:
    """FLOPs that PyTorch counts for a layer on a square image, as many channels out as in."""
    image = torch.empty(channels, side, side, device="meta", dtype=torch.float64)
    kernel = torch.empty(channels, channels, 3, 3, device="meta", dtype=torch.float64)
    # Fused kernels are invisible to the counter here; the plain one has the same products.
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        layer(image, kernel)
    return counter.get_total_flops()


def with_wide_keys(image: torch.Tensor, kernel: torch.Tensor) -> torch.Tensor:
    """The same results with queries and keys as wide as values: the rest of them is zeros."""
    _, height, width = image.shape
    points = grid(height, width, device=image.device)
    q = queries(points + offsets_of(kernel)[:, None], SHARP)
    v = values(image, kernel)
    more = (0, v.shape[-1] - 3)
    q, k = pad(q, more), pad(keys(points), more).expand(len(q), -1, -1)
    mixed = scaled_dot_product_attention(q, k, v, scale=1).sum(0)
    return mixed.mT.unflatten(-1, (height, width))


SIDE, CHANNELS = 56, 64  # of the first of four stages of a ResNet


def over_a_separable(n: int, d: int, *, taps: int = 3) -> float:
    """FLOPs of heads that do what a separable convolution does, over those of that convolution.

    A head moves all channels, and each is multiplied by a number of its own; then all are mixed.
    """
    heads = taps**2 * (n**2 * (2 * 3 + 2 * d) + 2 * n * d)
    mixing = 2 * n * d**2
    return (heads + mixing) / (2 * n * taps**2 * d + mixing)


@evidence(
    rivals={
        "a window of 3 × 3": dict(layer=heads_in_windows),
        "eight heads": dict(layer=eight),
        "keys as wide as the values": dict(layer=with_wide_keys),
    }
)
def heads_cost_what_was_derived(layer: Layer = heads) -> Evidence:
    """FLOPs of nine heads over those of the convolution, in the first stage of a ResNet."""
    return Evidence(
        value=flops(layer, SIDE, CHANNELS) / flops(zero_padded, SIDE, CHANNELS),
        expected=derivations.RATIO(n=SIDE**2, d=CHANNELS),
        tolerance=0,
        unit="× the FLOPs of the convolution",
        how=f"FlopCounterMode, 3 × 3, {SIDE} × {SIDE} pixels, {CHANNELS} channels in and out",
    )


@evidence(
    rivals={
        "all pixels": dict(layer=heads),
        "the convolution itself": dict(layer=zero_padded),
    }
)
def in_windows_they_cost_little_more(layer: Layer = heads_in_windows) -> Evidence:
    """The same, if each query sees only the nine pixels that it needs."""
    return Evidence(
        value=flops(layer, SIDE, CHANNELS) / flops(zero_padded, SIDE, CHANNELS),
        expected=derivations.WINDOW_RATIO(w=9, d=CHANNELS),
        tolerance=0,
        unit="× the FLOPs of the convolution",
        how="FlopCounterMode, the same image; a window of 3 × 3 pixels for each query",
    )


# --- what followed the last time? ---------------------------------------------------------------

SYMBOLS, LENGTH, SEQUENCES = 16, 64, 200
LATER = 8.0  # by how much each key beats the one before it, if both match

Model = Callable[[torch.Tensor], torch.Tensor]  # from tokens (..., n) to weights of all symbols


def texts() -> torch.Tensor:
    """Random tokens: nothing can be guessed."""
    generator = torch.Generator().manual_seed(0)
    return torch.randint(SYMBOLS, (SEQUENCES, LENGTH), generator=generator)


def followers(tokens: torch.Tensor) -> torch.Tensor:
    """What followed each token the last time that it occurred; −1 if it is new."""
    found = torch.full_like(tokens, -1)
    for i in range(1, tokens.shape[-1]):
        for j in range(i):
            same = tokens[..., j] == tokens[..., i]
            found[..., i] = torch.where(same, tokens[..., j + 1], found[..., i])
    return found


def match(before: torch.Tensor, tokens: torch.Tensor, later: float = LATER) -> torch.Tensor:
    """A causal head that finds the last key whose ``before`` is the query's own token."""
    own = one_hot(tokens, SYMBOLS).double()
    place = torch.arange(tokens.shape[-1]).double()[:, None].expand(*own.shape[:-1], 1)
    beats_all_places = LATER * tokens.shape[-1]
    q = torch.cat([beats_all_places * own, torch.full_like(place, later)], -1)
    k = torch.cat([before, place], -1)
    return scaled_dot_product_attention(q, k, own, is_causal=True, scale=1)


def two_layers(tokens: torch.Tensor, *, offset: float = -1, later: float = LATER) -> torch.Tensor:
    """First a head that aims at the token before, as at a pixel; then one that matches."""
    own = one_hot(tokens, SYMBOLS).double()
    place = torch.arange(tokens.shape[-1]).double()[:, None]
    q, k = queries(place + offset, SHARP), keys(place)
    q, k = (x.expand(*own.shape[:-1], -1) for x in (q, k))
    before = scaled_dot_product_attention(q, k, own, is_causal=True, scale=1)
    return match(before, tokens, later)


def one_layer(tokens: torch.Tensor, *, taps: tuple[float, ...] = (0, 1)) -> torch.Tensor:
    """One head, and a convolution of its keys whose taps weigh the own token and the one before."""
    kernel = torch.tensor(taps).double()[:, None].expand(-1, SYMBOLS)
    own = one_hot(tokens, SYMBOLS).double()
    return match(convolution.apply(own, kernel.contiguous(), causal=True), tokens)


def without_a_shift(tokens: torch.Tensor) -> torch.Tensor:
    """The head that matches, alone."""
    return one_layer(tokens, taps=(1,))


def aims_two_back(tokens: torch.Tensor) -> torch.Tensor:
    """A first layer that is off by one."""
    return two_layers(tokens, offset=-2)


def any_match(tokens: torch.Tensor) -> torch.Tensor:
    """All occurrences count alike, not the last alone."""
    return two_layers(tokens, later=0)


def takes_the_mean(tokens: torch.Tensor) -> torch.Tensor:
    """A convolution that is there, and does not shift."""
    return one_layer(tokens, taps=(0.5, 0.5))


def _right(model: Model) -> Evidence:
    """The share of tokens that occurred before whose follower has the largest weight."""
    tokens = texts()
    wanted = followers(tokens)
    known = wanted >= 0
    answers = model(tokens).argmax(-1)
    return Evidence(
        value=(answers == wanted)[known].double().mean().item(),
        expected=1,
        tolerance=0,
        unit="of the answers",
        how=f"PyTorch's attention with weights set by hand, {SEQUENCES} random sequences of "
        f"{LENGTH} tokens, {SYMBOLS} symbols; {known.sum().item():,} tokens that occurred before",
    )


@evidence(
    rivals={
        "the second layer alone": dict(model=without_a_shift),
        "a first layer that aims two tokens back": dict(model=aims_two_back),
        "all matches alike": dict(model=any_match),
    }
)
def two_layers_find_what_followed(model: Model = two_layers) -> Evidence:
    """How often a head that shifts and a head that matches are right."""
    return _right(model)


@evidence(
    rivals={
        "the same layer without the convolution": dict(model=without_a_shift),
        "a convolution that takes the mean of both": dict(model=takes_the_mean),
    }
)
def one_layer_and_a_convolution_do(model: Model = one_layer) -> Evidence:
    """How often one head is right if its keys are shifted."""
    return _right(model)
