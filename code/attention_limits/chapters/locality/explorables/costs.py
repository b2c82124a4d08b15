"""The sliders of the page on costs."""

import sympy as sp

from attention_limits.chapters.locality.derivations.costs import (
    DENSE,
    EQUAL,
    GLOBAL,
    SCORES,
    SCORES_IN_WINDOWS,
    SEPARABLE,
    TOKENS,
    WINDOWED,
)
from attention_limits.explorable import FOUR, Explorable, Readout, Slider, explore
from attention_limits.formula import Formula
from attention_limits.symbols import around, b, channels, d, frames, h, n, patch, side, taps

LAYERS = {
    "global attention": GLOBAL,
    "in windows": WINDOWED,
    "dense convolution": DENSE,
    "separable": SEPARABLE,
}
LARGE = 1024  # pixels, the side at which numbers are read
OF_A_HEAD = {h: 1, b: 2}


def resolution() -> Explorable:
    """FLOPs of four layers over the side of an image, a volume or a video."""
    of_image = {n: TOKENS.expr, taps: 3, d: channels}
    large = {side: LARGE}
    scores, windowed = (
        Formula(formula.subs({n: TOKENS.subs(large).expr, **OF_A_HEAD}).expr / 2**20, "MiB")
        for formula in (SCORES, SCORES_IN_WINDOWS)
    )
    square = EQUAL.expr.subs({taps: 3, d: channels}) / frames  # tokens of a frame, at the line
    equal = Formula(patch * sp.sqrt(square), "pixels", "global = dense")
    return explore(
        [
            Formula(layer.subs(of_image).expr / 10**9, "GFLOPs", name)
            for name, layer in LAYERS.items()
        ],
        x=side,
        over=(16, 4096),
        sliders=[
            Slider(patch, (1, 2, 4, 8, 14, 16), 16),
            Slider(frames, (1, 2, 4, 8, 16, 32, 64, 128), 1),
            Slider(channels, (32, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1280), 768),
            Slider(around, (16, 49, 64, 144, 256, 576), 49),
        ],
        name="resolution",
        title="What does a larger image cost?",
        caption="Left of the dashed line, global attention costs less than a convolution of three "
        "by three pixels of one frame. Make patches smaller, or take a video of 16 frames: the "
        "line moves left. Which lines never bend upwards? Then widen the windows.",
        alt_text="Four rising lines on logarithmic axes. Three are parallel: the dense convolution "
        "above attention in windows above the separable convolution. Global attention begins with "
        "attention in windows and bends upwards; it meets the dense convolution at a dashed line.",
        log="xy",
        y_title="FLOPs of a layer, in billions",
        rule=equal,
        key=True,
        readouts=[
            Readout("tokens of 1024² pixels", TOKENS.subs(large)),
            Readout("scores of a head, 2 bytes each, globally", scores, FOUR),
            Readout("the same in windows", windowed, FOUR),
        ],
        presets={
            "ViT-B/16": {patch: 16, frames: 1, channels: 768},
            "Swin-T, first stage": {patch: 4, frames: 1, channels: 96, around: 49},
            "Video of 16 frames": {patch: 16, frames: 16, channels: 768},
            "Volume, patches of 8³ of 128³": {patch: 8, frames: 16, channels: 96},
        },
    )
