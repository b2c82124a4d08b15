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
from attention_limits.symbols import around, b, d, frames, h, n, patch, side, taps

LARGE = 1024  # pixels, the side at which numbers are read
OF_SCORES = {h: 12, b: 2}


def resolution() -> Explorable:
    """FLOPs of four layers over the side of an image, a volume or a video."""
    of_image = {n: TOKENS.expr, taps: 3}
    large = {side: LARGE}
    scores, windowed = (
        Formula(formula.subs({n: TOKENS.subs(large).expr, **OF_SCORES}).expr / 2**20, "MiB")
        for formula in (SCORES, SCORES_IN_WINDOWS)
    )
    equal = Formula(patch * sp.sqrt(EQUAL.expr.subs(taps, 3) / frames), "pixels", "global = dense")
    return explore(
        [
            Formula(layer.subs(of_image).expr / 10**9, "GFLOPs", layer.name)
            for layer in (GLOBAL, WINDOWED, DENSE, SEPARABLE)
        ],
        x=side,
        over=(64, 4096),
        sliders=[
            Slider(patch, (1, 2, 4, 8, 14, 16, 32), 16),
            Slider(frames, (1, 2, 4, 8, 16, 32, 64, 128), 1),
            Slider(d, (32, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1280), 768),
            Slider(around, (16, 49, 64, 144, 256, 576), 49),
        ],
        name="resolution",
        title="What does a larger image cost?",
        caption="Below the dashed line, global attention costs less than a convolution of three by "
        "three. Make patches smaller, or take a video of 16 frames: the line moves left. Which "
        "lines never bend upwards? Then widen the windows. The width d is that of a pixel or a "
        "token: its channels.",
        alt_text="Four rising lines on logarithmic axes. Three are parallel: the dense convolution "
        "above attention in windows above the separable convolution. Global attention begins with "
        "attention in windows and bends upwards; it meets the dense convolution at a dashed line.",
        log="xy",
        y_title="FLOPs of a layer, in billions",
        rule=equal,
        names_at=((0.96, "left"), (0.62, "below"), (0.55, "above"), (0.3, "below")),
        readouts=[
            Readout("tokens of 1024² pixels", TOKENS.subs(large)),
            Readout("their scores, 12 heads of 2 bytes, globally", scores, FOUR),
            Readout("in windows", windowed, FOUR),
        ],
        presets={
            "ViT-B/16": {patch: 16, frames: 1, d: 768},
            "Swin-T, first stage": {patch: 4, frames: 1, d: 96, around: 49},
            "Video of 16 frames": {patch: 16, frames: 16, d: 768},
            "Volume of 128 slices": {patch: 4, frames: 32, d: 96},
        },
    )
