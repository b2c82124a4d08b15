"""Evidence on costs: layers of PyTorch, convolutions and attention, counted on the same pixels."""

from collections.abc import Callable

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from attention_limits.chapters.locality.derivations import costs as derivations
from attention_limits.evidence import Evidence, evidence
from attention_limits.formula import Formula
from attention_limits.symbols import around, taps

SIDES = (14, 28, 56)  # pixels
WIDTHS = (64, 96)  # channels
HEADS = 4
WINDOW = 7  # pixels of a side

# Makes a layer of so many channels for an image of such a side: (1, d, side, side) to the same.
Make = Callable[[int, int], nn.Module]


# --- layers -------------------------------------------------------------------------------------


def convolution(d: int, side: int) -> nn.Module:
    """PyTorch's own, three by three."""
    return nn.Conv2d(d, d, 3, padding=1, bias=False)


def separable(d: int, side: int) -> nn.Module:
    """The same in two: each channel by itself, and then all channels of a pixel."""
    depthwise = nn.Conv2d(d, d, 3, padding=1, groups=d, bias=False)
    return nn.Sequential(depthwise, nn.Conv2d(d, d, 1, bias=False))


class Unshared(nn.Module):
    """Local, too, but with a kernel of its own for each pixel."""

    def __init__(self, d: int, side: int):
        super().__init__()
        self.kernels = nn.Parameter(torch.empty(side * side, 9 * d, d))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """An image to an image."""
        around = nn.functional.unfold(x, 3, padding=1).permute(2, 0, 1)
        return (around @ self.kernels).permute(1, 2, 0).unflatten(-1, x.shape[-2:])


class Attention(nn.Module):
    """PyTorch's own layer of attention on the pixels of an image, without biases."""

    def __init__(self, d: int, side: int):
        super().__init__()
        self.attention = nn.MultiheadAttention(d, HEADS, bias=False, batch_first=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """An image to an image."""
        tokens = x.flatten(2).mT
        return self.attention(tokens, tokens, tokens, need_weights=False)[0].mT.unflatten(
            -1, x.shape[-2:]
        )


class Windowed(Attention):
    """The same layer on windows of seven by seven pixels, each as if it were an image."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """An image to its windows."""
        windows = x.unflatten(-1, (-1, WINDOW)).unflatten(-3, (-1, WINDOW))
        windows = windows.permute(2, 4, 0, 1, 3, 5)
        return super().forward(windows.flatten(0, 2))


class Quarters(Attention):
    """The same layer on each quarter of the image."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """An image to its quarters."""
        half = x.shape[-1] // 2
        quarters = x.unflatten(-1, (2, half)).unflatten(-3, (2, half)).permute(2, 4, 0, 1, 3, 5)
        return super().forward(quarters.flatten(0, 2))


class WithPositions(Attention):
    """Attention with a learned vector for each pixel."""

    def __init__(self, d: int, side: int):
        super().__init__(d, side)
        self.table = nn.Parameter(torch.empty(d, side, side))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """An image to an image."""
        return super().forward(x + self.table)


# --- counts -------------------------------------------------------------------------------------


def flops(make: Make, d: int, side: int) -> int:
    """What PyTorch counts for a layer on one image."""
    with torch.device("meta"):
        layer, x = make(d, side), torch.empty(1, d, side, side)
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        layer(x)
    return counter.get_total_flops()


def parameters(make: Make, d: int, side: int) -> int:
    """How many numbers a layer learns."""
    with torch.device("meta"):
        return sum(weight.numel() for weight in make(d, side).parameters())


def _over(formula: Formula, make: Make) -> list[float]:
    """FLOPs of a layer over those of a formula, for each image and width."""
    return [flops(make, d, side) / formula(n=side**2, d=d) for side in SIDES for d in WIDTHS]


def _growth(count: Callable[[Make, int, int], int], make: Make) -> list[float]:
    """What is counted for an image of twice the side, over what is for the image."""
    return [count(make, d, 2 * side) / count(make, d, side) for side in SIDES for d in WIDTHS]


@evidence(
    rivals={
        "a separable convolution": dict(make=separable),
        "global attention": dict(make=Attention),
    }
)
def a_convolution_costs_what_was_derived(make: Make = convolution) -> Evidence:
    """FLOPs of PyTorch's convolution over the formula's."""
    return Evidence.exactly(
        _over(derivations.DENSE.subs({taps: 3}), make),
        expected=1,
        unit="× the formula",
        how="FLOPs that PyTorch counts (FlopCounterMode) in nn.Conv2d, three by three",
    )


@evidence(
    rivals={
        "attention in windows": dict(make=Windowed),
        "a convolution": dict(make=convolution),
    }
)
def global_attention_costs_what_was_derived(make: Make = Attention) -> Evidence:
    """FLOPs of PyTorch's attention on all pixels, over the formula's."""
    return Evidence.exactly(
        _over(derivations.GLOBAL, make),
        expected=1,
        unit="× the formula",
        how="FLOPs that PyTorch counts (FlopCounterMode) in nn.MultiheadAttention on all pixels",
    )


@evidence(
    rivals={
        "a local layer with a kernel for each pixel": dict(makes=(Unshared, Attention)),
        "attention with a learned vector for each pixel": dict(makes=(convolution, WithPositions)),
    }
)
def parameters_do_not_grow_with_the_image(
    makes: tuple[Make, ...] = (convolution, separable, Attention, Windowed),
) -> Evidence:
    """Parameters of a layer for an image of twice the side, over those for the image."""
    return Evidence.exactly(
        [ratio for make in makes for ratio in _growth(parameters, make)],
        expected=1,
        unit="× for twice the side",
        how="parameters of PyTorch's layers: convolutions, attention, globally and in windows",
    )


@evidence(
    rivals={
        "a separable convolution": dict(make=separable),
        "attention in windows": dict(attend=Windowed),
    }
)
def both_cost_the_same_at_two_and_a_half_widths(
    make: Make = convolution, attend: Make = Attention
) -> Evidence:
    """FLOPs of PyTorch's attention over those of its convolution, where n is 5d/2."""
    ratios = []
    for side in (70, 140):
        d = 2 * side**2 // 5
        assert side**2 == derivations.EQUAL(d=d, taps=3)
        ratios.append(flops(attend, d, side) / flops(make, d, side))
    return Evidence.exactly(
        ratios,
        expected=1,
        unit="× the convolution",
        how="FLOPs that PyTorch counts in nn.MultiheadAttention and in nn.Conv2d, three by three, "
        "on 70² and 140² pixels",
    )


@evidence(
    rivals={
        "global attention": dict(make=Attention),
        "windows that grow with the image": dict(make=Quarters),
        "a convolution": dict(make=convolution),
    }
)
def windows_cost_what_was_derived(make: Make = Windowed) -> Evidence:
    """FLOPs of PyTorch's attention within windows, over the formula's."""
    return Evidence.exactly(
        _over(derivations.WINDOWED.subs({around: WINDOW**2}), make),
        expected=1,
        unit="× the formula",
        how="FLOPs that PyTorch counts (FlopCounterMode) in nn.MultiheadAttention on windows of "
        "7² pixels",
    )


@evidence(
    rivals={
        "global attention": dict(make=Attention),
        "windows that grow with the image": dict(make=Quarters),
    }
)
def windows_make_attention_linear(make: Make = Windowed) -> Evidence:
    """FLOPs of attention in windows on an image of twice the side, over those on the image."""
    return Evidence.exactly(
        _growth(flops, make),
        expected=4,
        unit="× for twice the side",
        how="FLOPs that PyTorch counts in nn.MultiheadAttention on windows of 7² pixels, "
        "images of 14² to 112²",
    )
