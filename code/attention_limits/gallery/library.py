"""The pictures of the library's pages: who listens to whom within one layer.

Once queries and keys are fixed, every mechanism is linear in its values: o = W v. So what it makes
of the identity, ``attend(q, k, eye(n))``, is its matrix W, and that is what is drawn.

    from attention_limits.gallery import library

    library.picture("sliding_window", window=3)
"""

import importlib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from types import ModuleType
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure as Canvas
from torch.nn.functional import logsigmoid

from attention_limits import attention, baselines, style
from attention_limits.attention import block_sparse, offsets
from attention_limits.baselines import BASELINES

N, D = 48, 16  # tokens, and the width of a head


@dataclass(frozen=True)
class Example:
    """A mechanism at work.

    Attributes:
        sight: what there is to see in its matrix, for readers who don't see it.
        drawn: the options of its picture; one that is made by a function is a ``partial``.
        quoted: the options at which its page quotes a price, likewise.
    """

    sight: str
    drawn: Mapping[str, Any] = field(default_factory=dict)
    quoted: Mapping[str, Any] = field(default_factory=dict)


BIGBIRD: Mapping[str, Any] = {"width": 2, "first": 1, "per_row": 1, "seed": 2, "causal": True}

EXAMPLES = {
    "dense": Example(
        "A full lower triangle: every query gives every earlier token some weight, near or far.",
    ),
    "online_softmax": Example(
        "The same full lower triangle as for dense attention, to the last shade.",
    ),
    "sliding_window": Example(
        "A band along the diagonal, eight keys wide: each query's own and the seven before it.",
        drawn={"window": 8},
        quoted={"window": 256},
    ),
    "offsets": Example(
        "Parallel diagonals at distances 0, 1, 2, 4, 8 and 16, with nothing between them.",
        drawn={"offsets": (0, 1, 2, 4, 8, 16)},
        quoted={"offsets": partial(offsets.powers_of_two, 4096)},
    ),
    "block_sparse": Example(
        "Squares of four by four: two along the diagonal for each block of queries, one at the "
        "left edge, and one more anywhere between.",
        drawn={"layout": partial(block_sparse.bigbird, 12, **BIGBIRD), "block": 4},
        quoted={"layout": partial(block_sparse.bigbird, 64, **BIGBIRD), "block": 64},
    ),
    "window_2d": Example(
        "Tokens are pixels of an image of eight columns and six rows, and windows are four by "
        "four. Triangles of four by four lie along the diagonal, and again eight, sixteen and "
        "twenty-four keys to the left of it, as far as the window has rows above.",
        drawn={"width": 8, "window": 4},
        quoted={"width": 64, "window": 8},
    ),
    "fractal": Example(
        "A full lower triangle. Near the diagonal every key has a shade of its own; further away "
        "keys share one shade in runs, which grow longer with the distance.",
        drawn={"block": 4},
    ),
    "clock": Example(
        "Steps: four rows at a time are alike, and only every fourth column holds anything.",
        drawn={"period": 4},
        quoted={"period": 4},
    ),
    "linear": Example(
        "A full lower triangle again, but of nearly even shades: no key stands out as it does "
        "where a softmax sharpens the scores.",
    ),
    "gated_linear": Example(
        "Shades of both signs, strong within some twenty tokens of the diagonal and fading to the "
        "left, until in the lower corner next to nothing is left.",
    ),
    "delta_rule": Example(
        "Shades of both signs all the way to the left edge, a little paler there: later keys have "
        "written over some of what was there, and nothing else makes it fade.",
    ),
    "gated_delta_rule": Example(
        "Shades of both signs, fading to the left as in gated linear attention, and sooner: what "
        "has not been written over has been forgotten.",
    ),
    "recurrent": Example(
        "A dark diagonal with a tail below it that fades within about ten tokens: older tokens "
        "have almost no effect on the output.",
    ),
    "convolution": Example(
        "Five parallel diagonals, each of one shade from end to end: the same weights everywhere.",
        quoted={"width": 5},
    ),
}


# What a mechanism asks for beside queries, keys and values, and a baseline beside its inputs.
FURTHER = {
    "log_decay": lambda normal: logsigmoid(normal(N, 1) + 3),
    "beta": lambda normal: torch.sigmoid(normal(N, 1)),
    "kernel": lambda normal: normal(5, 1, 1) * normal(5, D, D),
    "w_x": lambda normal: normal(D, D) / D**0.5,
    "w_h": lambda normal: normal(D, D) / D**0.5,
    "bias": lambda normal: torch.zeros(D, dtype=torch.float64),
}


def module_of(name: str) -> ModuleType:
    """The mechanism, or baseline, of that name."""
    package = baselines if name in BASELINES else attention
    return importlib.import_module(f"{package.__name__}.{name}")


def accepted(function: Callable, options: Mapping[str, Any]) -> dict[str, Any]:
    """Those options that a function takes; causal where there is a choice, as in language models.

    Not every function takes every option: the pattern of a mechanism has no use for a scale.
    """
    values = _wanted(function, options).items()
    return {name: value() if isinstance(value, partial) else value for name, value in values}


def call(name: str, function: Callable, options: Mapping[str, Any]) -> str:
    """What one types to get that: ``sliding_window.attend(q, k, v, window=8, causal=True)``."""
    given = [f"{option}={_typed(value)}" for option, value in _wanted(function, options).items()]
    return f"{name}.{function.__name__}({', '.join([*_tensors(function), *given])})"


def prepared(name: str, **options: object) -> tuple[Callable, torch.Tensor]:
    """A mechanism as a function of its values alone, or a baseline of its inputs.

    Args:
        name: of a mechanism or a baseline.
        options: in place of those that its page shows.

    Returns:
        The function, everything else being filled in with random numbers, and something of the
        right shape to put in: the identity for values, random inputs for a baseline.
    """
    draws = torch.Generator().manual_seed(0)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=draws, dtype=torch.float64)

    function = function_of(name)
    q, k = normal(N, D), normal(N, D)  # the same for all of them
    further = {name: FURTHER[name](normal) for name in _tensors(function) if name in FURTHER}
    options = further | accepted(function, {**EXAMPLES[name].drawn, **options})
    if name in BASELINES:
        return lambda x: function(x, **options), q
    return lambda v: function(q, k, v, **options), torch.eye(N, dtype=q.dtype)


def matrix(name: str, **options: object) -> np.ndarray:
    """What output i, in rows, owes to token j, in columns, of N random tokens: (N, N).

    Of a mechanism it is W in o = W v.  A baseline need not be linear in its inputs x; there it is
    the norm of the derivative ∂o_i/∂x_j.
    """
    compute, given = prepared(name, **options)
    if name in BASELINES:
        return torch.linalg.vector_norm(torch.func.jacrev(compute)(given), dim=(1, 3)).numpy()
    return compute(given).numpy()


def receptive_field(name: str, **options: object) -> tuple[int, int]:
    """How far back the last of N outputs reaches within one layer.

    Returns:
        The distance of the oldest token that it owes anything to, and how many of the latest
        tokens, its own included, it owes half of everything to.
    """
    newest_first = np.abs(matrix(name, **options)[-1, ::-1])
    share = newest_first.cumsum() / newest_first.sum()
    return int(np.flatnonzero(newest_first)[-1]), int(np.argmax(share >= 0.5)) + 1


def picture(name: str = "dense", **options: object) -> style.Figure:
    """The matrix of a mechanism, beside its pattern where it has one.

    Args:
        name: of a mechanism or a baseline.
        options: in place of those that its page shows.
    """
    options = {**EXAMPLES[name].drawn, **options}
    W, visible = matrix(name, **options), getattr(module_of(name), "visible", None)
    canvas = Canvas(figsize=(4.4, 2.6 if visible else 3.2))
    *left, right = canvas.subplots(1, 2 if visible else 1, squeeze=False)[0]
    if visible:
        _show(left[0], visible(N, **accepted(visible, options)) / 2, style.GREY)
        left[0].set_title("who sees whom", size=11)
    # Of few keys each has more of the weight, so early rows would outshine all others.
    largest = np.abs(W).max(-1, keepdims=True)
    _show(right, W / np.where(largest == 0, 1, largest), style.BLUE)
    right.set_title("size of ∂o/∂x" if name in BASELINES else "W, where o = W v", size=11)
    if name in BASELINES:
        right.set(xlabel="input j", ylabel="output i")
    squares = "Two squares, a pattern and within it a matrix" if visible else "A matrix"
    return style.Figure(
        canvas,
        alt=f"{squares}, with a row for each output. {EXAMPLES[name].sight}",
        caption=_caption(name, W, options),
    )


def _tensors(function: Callable) -> list[str]:
    """The names of what a function cannot do without, its options aside."""
    parameters = inspect.signature(function).parameters.values()
    needed = [p for p in parameters if p.kind is not p.KEYWORD_ONLY and p.default is p.empty]
    return [parameter.name for parameter in needed]


def _wanted(function: Callable, options: Mapping[str, Any]) -> dict[str, Any]:
    takes = inspect.signature(function).parameters
    wanted = {**options, "causal": options.get("causal", True)}
    return {name: value for name, value in wanted.items() if name in takes}


def _typed(value: object) -> str:
    if not isinstance(value, partial):
        return repr(value)
    given = [*map(repr, value.args), *(f"{k}={v!r}" for k, v in value.keywords.items())]
    return f"{value.func.__name__}({', '.join(given)})"


def function_of(name: str) -> Callable[..., torch.Tensor]:
    """The function that computes."""
    module = module_of(name)
    return module.apply if name in BASELINES else module.attend


def _show(axes: Axes, strength: np.ndarray, colour: str) -> None:
    """A square of shades, see-through where there is nothing: the page may be light or dark."""
    shades = np.zeros((N, N, 4))
    shades[..., :3] = np.where((strength < 0)[..., None], to_rgb(style.VERMILLION), to_rgb(colour))
    shades[..., 3] = np.abs(strength)
    axes.imshow(shades, interpolation="none")
    axes.grid(visible=False)
    axes.set(xlabel="key j", ylabel="query i", xticks=range(0, N, 16), yticks=range(0, N, 16))


def _caption(name: str, W: np.ndarray, options: Mapping[str, Any]) -> str:
    """What was drawn, in numbers."""
    sign = ", and vermillion is negative" if (W < 0).any() else ""
    oldest, half = receptive_field(name, **options)
    return (
        f"{call(name, function_of(name), options)}, on {N} random tokens of width {D}. The "
        f"strongest colour of a row is its largest entry{sign}. The last row reaches {oldest} "
        f"tokens back, and half of its sum lies within the latest {half}."
    )
