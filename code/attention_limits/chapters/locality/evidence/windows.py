"""Evidence on windows on an image: pairs that are counted, and pixels that meet or do not."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from attention_limits.attention import dense, window_2d
from attention_limits.chapters.locality.derivations import windows as derivations
from attention_limits.evidence import Evidence, evidence
from attention_limits.experiments import image_windows, speed
from attention_limits.experiments.speed import peers, readings
from attention_limits.experiments.speed.sizes import Sizes
from attention_limits.runs import records

WINDOW, HALF = 7, 3  # Swin's, and its shift
D = 32  # width of a head
TWO = (0, HALF)  # shifts of two layers that take turns
THREE = (0, 2, 4)

Attend = Callable[..., torch.Tensor]  # of q, k and v, (1, 1, n, d), and a width
Shifts = Sequence[int]


# --- what is computed ---------------------------------------------------------------------------


def shifted(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, width: int) -> torch.Tensor:
    """The library's windows, shifted."""
    return window_2d.attend(q, k, v, width=width, window=WINDOW, shift=HALF)


def unshifted(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, width: int) -> torch.Tensor:
    """The same windows where they begin."""
    return window_2d.attend(q, k, v, width=width, window=WINDOW)


def rolled(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, width: int) -> torch.Tensor:
    """The image rolled, PyTorch's attention in whole windows, and a mask."""
    return peers.rolled(Sizes(block=WINDOW**2), q.shape[-2], "cpu")(q, k, v)


def flops(attend: Attend, side: int) -> int:
    """What PyTorch counts on a square image, for one head."""
    q = torch.zeros(1, 1, side**2, D)
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        attend(q, q, q, width=side)
    return counter.get_total_flops()


@evidence(
    rivals={
        "windows that are not shifted": dict(attend=unshifted),
        "an image that is rolled, cut and masked": dict(attend=rolled),
    }
)
def no_roll_computes_fewer_pairs(attend: Attend = shifted) -> Evidence:
    """FLOPs that PyTorch counts over those that were derived; of three images the furthest."""
    ratios = [
        flops(attend, side) / float(derivations.FLOPS(H=side, window_side=WINDOW, shift=HALF, d=D))
        for side in (14, 28, 56)
    ]
    return Evidence(
        value=max(ratios, key=lambda ratio: abs(ratio - 1)),
        expected=1,
        tolerance=0,
        unit="× the formula",
        how=f"window_2d.attend on 14, 28 and 56 pixels a side, windows of {WINDOW}, shift {HALF}",
    )


@evidence(
    rivals={
        "rolling and PyTorch's attention, for Swin": dict(ours="Swin", peer="rolled, then SDPA")
    }
)
def it_takes_less_time_than_swin(ours: str = "window_2d", peer: str = "Swin") -> Evidence:
    """Recorded seconds over those of a peer; of three images, with and without gradients, most."""
    run = records.load(image_windows)
    ratios = [over(ours, peer, work, n) for work in speed.WORKS for n in run.config["lengths"]]
    return Evidence(
        value=max(ratios),
        expected=1,
        tolerance=0,
        unit="× the time",
        how=f"{run.stamp}: images of 224, 512 and 1,024 pixels a side in patches of 4, windows of "
        "8 × 8 patches, shift 4, 4 heads of width 64, one thread; medians of up to 7",
        relation="<",
    )


def over(ours: str, peer: str, work: str, n: int, quantity: str = "seconds") -> float:
    """What one takes over what another takes, as recorded."""
    run = records.load(image_windows)
    ratio = readings.ratio(run, "image", ours, peer, work, n, quantity)
    assert ratio is not None  # both ran to the end
    return ratio


# --- who meets whom -----------------------------------------------------------------------------


def meeting(shifts: Shifts, right: int, down: int, window: int = WINDOW) -> torch.Tensor:
    """Which pixels share a window with the one so far on, in at least one of the layers.

    One for each place in a window, in the middle of an image: there all windows are whole.
    """
    side = 3 * window
    met = torch.zeros(side**2, side**2, dtype=torch.bool)
    for shift in shifts:
        met |= torch.from_numpy(window_2d.visible(side**2, width=side, window=window, shift=shift))
    x = torch.arange(window, 2 * window)
    y = x[:, None]
    return met[y * side + x, (y + down) * side + x + right]


def never(shifts: Shifts, right: int, down: int, window: int = WINDOW) -> float:
    """The share of pixels that share no window with the one so far on, in any of the layers."""
    return 1 - float(meeting(shifts, right, down, window).double().mean())


def layers_across(shifts: Shifts, windows: int = 32, *, backwards: bool = False) -> int:
    """How many layers it takes until one end of a row of windows has heard of the other."""
    side = windows * WINDOW
    sees = [window_2d.visible(side, width=side, window=WINDOW, shift=(0, s)) for s in shifts]
    ends = (0, side - 1) if backwards else (side - 1, 0)
    heard = np.arange(side) == ends[1]  # who has heard of the pixel at the other end
    layers = 0
    while not heard[ends[0]]:
        heard = (sees[layers % len(sees)] & heard).any(-1)
        layers += 1
    return layers


@evidence(
    rivals={
        "two layers without a shift": dict(shifts=(0, 0)),
        "a shift of one pixel": dict(shifts=(0, 1)),
    }
)
def two_layers_let_a_row_meet(shifts: Shifts = TWO) -> Evidence:
    """The share of pixels of a row, up to a shift apart, that share no window in two layers."""
    return Evidence(
        value=max(never(shifts, apart, 0) for apart in range(1, HALF + 1)),
        expected=0,
        tolerance=0,
        unit="of the pairs",
        how=f"window_2d.visible, windows of {WINDOW}, shifts 0 and {HALF}, 1 to {HALF} apart",
    )


@evidence(
    rivals={
        "one layer": dict(shifts=(0,)),
        "three layers with three shifts": dict(shifts=THREE),
        "windows that are one too wide": dict(wider=1),
    }
)
def some_pixels_never_meet(shifts: Shifts = TWO, wider: int = 0) -> Evidence:
    """The share of pixels that never meet the one so far on, over the derived one; the furthest."""
    offsets = [(x, y) for x in range(1, HALF + 1) for y in range(1, HALF + 1)]
    ratios = [
        never(shifts, x, y, WINDOW + wider)
        / float(derivations.NEVER(right=x, downwards=y, window_side=WINDOW))
        for x, y in offsets
    ]
    return Evidence(
        value=round(float(max(ratios, key=lambda ratio: abs(ratio - 1))), 9),
        expected=1,
        tolerance=0,
        unit="× the formula",
        how=f"window_2d.visible, windows of {WINDOW}, shifts 0 and {HALF}; 1 to {HALF} right "
        f"and 1 to {HALF} down, all places of a window, to 9 digits",
    )


@evidence(rivals={"two layers": dict(shifts=TWO)})
def a_third_shift_lets_those_that_touch_meet(shifts: Shifts = THREE) -> Evidence:
    """The same share, with windows in three places."""
    return Evidence(
        value=never(shifts, 1, 1),
        expected=0,
        tolerance=0,
        unit="of the pairs",
        how=f"window_2d.visible, windows of {WINDOW}, shifts {', '.join(map(str, THREE))}",
    )


# --- an image that moves ------------------------------------------------------------------------


def everywhere(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, width: int) -> torch.Tensor:
    """Attention to all pixels, without positions."""
    return dense.attend(q, k, v)


def change(attend: Attend, by: int) -> float:
    """How much outputs change, over what they are, if the image moves so far in a ring."""
    side = 4 * WINDOW
    generator = torch.Generator().manual_seed(0)
    image = torch.randn(side, side, D, generator=generator, dtype=torch.float64)

    def through(image: torch.Tensor) -> torch.Tensor:
        tokens = image.reshape(1, 1, -1, D)
        near = tokens / D**0.25  # scores near 1: each pixel looks at others, too
        return attend(near, near, tokens, width=side).reshape(image.shape)

    before = through(image)
    after = through(image.roll(by, 1)).roll(-by, 1)
    return float((after - before).norm() / before.norm())


@evidence(
    rivals={"a move by a pixel": dict(by=1), "windows that are shifted": dict(attend=shifted)}
)
def windows_follow_an_image_that_moves_by_a_window(
    attend: Attend = unshifted, by: int = WINDOW
) -> Evidence:
    """How much outputs change when the image moves by a whole window, in a ring of four."""
    return Evidence(
        value=round(change(attend, by), 9),
        expected=0,
        tolerance=0,
        unit="of their size",
        how=f"window_2d.attend on random pixels, {4 * WINDOW} a side, windows of {WINDOW}; to 9 "
        "digits",
    )


@evidence(
    rivals={
        "attention to all pixels": dict(attend=everywhere),
        "a move by a window": dict(by=WINDOW),
    }
)
def a_pixel_is_enough_to_change_them(attend: Attend = unshifted, by: int = 1) -> Evidence:
    """The same for a move by one pixel."""
    return Evidence(
        value=change(attend, by),
        expected=0.5,
        tolerance=0,
        unit="of their size",
        how=f"window_2d.attend on random pixels, {4 * WINDOW} a side, windows of {WINDOW}",
        relation=">",
    )
