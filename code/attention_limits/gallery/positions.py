"""The pictures of the encodings' pages: what each of them does, and what a query makes of it.

What attention makes of the identity is its matrix of weights, as in ``figures.library``.  Its last
row, read from the end, says what a query gives to a key by how far back that stands.

    from attention_limits.gallery import positions

    positions.picture("alibi")
"""

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure as Canvas

from attention_limits import positions, style
from attention_limits.attention import dense
from attention_limits.positions import (
    alibi,
    learned,
    lstm_generated,
    none,
    relative_bias,
    rotary,
    shaw,
    sinusoidal,
    time_aware,
)

N, D = 64, 32  # tokens, and their width
COUNT = 400  # with random contents
NEAR = 8  # keys that captions call the nearest
LEAST = 1e-3  # where the axis of weights begins, on all pages


@dataclass(frozen=True)
class Example:
    """An encoding at work.

    Attributes:
        encode: from tokens (..., n, d) to what the encoding makes of them, or, if it acts on the
            scores, from queries to the bias (..., n, n).
        depends_on: what a score depends on beside the contents of query and key.
        drawn: which of its kind is drawn, in words.
        sight: what there is to see, for readers who don't see it.
        quoted: the options at which its page quotes a price.
    """

    encode: Callable[[torch.Tensor], torch.Tensor]
    depends_on: str
    drawn: str
    sight: str
    quoted: Mapping[str, Any] = field(default_factory=dict)


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    """Random numbers of variance 1, always the same."""
    draws = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=draws, dtype=torch.float64)


def _slope() -> torch.Tensor:
    return alibi.slopes(8, dtype=torch.float64)[3:4]


def _in_buckets(q: torch.Tensor) -> torch.Tensor:
    table = normal(1, 16, seed=3)
    return relative_bias.bias(N, N, table, causal=True, buckets=16, max_distance=N)[0]


def _in_time(q: torch.Tensor) -> torch.Tensor:
    gaps = np.random.default_rng(0).exponential(size=N) ** 2 / 2  # in bursts, and 1 on average
    times = torch.from_numpy(gaps.cumsum())
    return time_aware.bias(times, times, _slope())[0]


def _generated(x: torch.Tensor) -> torch.Tensor:
    shapes = ((4 * D, D), (4 * D, D), (4 * D,), (D, D))
    return lstm_generated.apply(x, *(normal(*shape) / D**0.5 for shape in shapes))


EXAMPLES = {
    "none": Example(
        none.apply,
        depends_on="nothing",
        drawn="nothing is added",
        sight="The map is empty, and both lines lie level at one weight for all.",
    ),
    "sinusoidal": Example(
        sinusoidal.apply,
        depends_on="places",
        drawn="PE(p)",
        sight="Waves along each row of the map, short at the top and so long at the bottom that a "
        "row has one shade. The lines fall over the first few keys and then go up and down.",
    ),
    "learned": Example(
        lambda x: learned.apply(x, normal(N, D)),
        depends_on="places",
        drawn="a table E as it is before training, all of its entries drawn at random",
        sight="The map is noise. Only the query's own position stands out; the lines are noise "
        "from the first key on.",
    ),
    "rotary": Example(
        rotary.apply,
        depends_on="distance",
        drawn="what becomes of the pairs (1, 0)",
        sight="Waves along each row of the map, short at the top and long at the bottom. The line "
        "of equal contents falls in waves; that of random contents is level.",
    ),
    "alibi": Example(
        lambda q: alibi.bias(N, N, _slope())[0],
        depends_on="distance",
        drawn="the bias of head 4 of 8, whose slope is 1/16",
        sight="Below its diagonal the map darkens evenly with distance, all of it negative. Both "
        "lines fall together, straight on the logarithmic axis.",
    ),
    "relative_bias": Example(
        _in_buckets,
        depends_on="distance",
        drawn="the bias of 16 buckets up to the distance 64, with numbers drawn at random",
        sight="Stripes along the diagonal of the map, one key wide near it and wider further away. "
        "Both lines go up and down in steps as wide as the stripes.",
    ),
    "shaw": Example(
        lambda q: shaw.bias(q, normal(2 * 8 + 1, D), N),
        depends_on="distance",
        drawn="the bias for random queries, with vectors for 8 positions drawn at random",
        sight="Near the diagonal of the map, noise; further away, each row has one shade of its "
        "own. Both lines are uneven over the first eight keys and level beyond.",
        quoted={"max_distance": 16},
    ),
    "time_aware": Example(
        _in_time,
        depends_on="time",
        drawn="the bias with a slope of 1/16 and no knots, for events that come in bursts",
        sight="The map darkens towards its lower left corner in blocks: keys of one burst share a "
        "shade. Both lines fall in steps, level within a burst.",
    ),
    "lstm_generated": Example(
        _generated,
        depends_on="earlier tokens",
        drawn="what an LSTM says about a random sequence before training",
        sight="The map is noise with streaks along its rows. Both lines are all but level.",
        quoted={"hidden": 64},
    ),
}

DOES = {  # by place: the title of the map, and what is in its columns and rows
    "inputs": ("added to the inputs", "position p", "entry"),
    "queries and keys": ("queries and keys, turned", "position p", "entry"),
    "scores": ("bias on the scores", "key j", "query i"),
}


def module_of(name: str) -> ModuleType:
    """The encoding of that name."""
    return importlib.import_module(f"{positions.__name__}.{name}")


def effect(name: str) -> torch.Tensor:
    """What the encoding does, as a map.

    Returns:
        What it adds to the inputs (d, n), or makes of pairs (1, 0), likewise; or the bias (n, n) of
        the pairs that a causal mask lets through, 0 elsewhere.
    """
    encode = EXAMPLES[name].encode
    match module_of(name).PLACE:
        case "inputs":
            x = normal(N, D, seed=1)
            return (encode(x) - x).mT
        case "queries and keys":
            return encode(torch.eye(2, dtype=torch.float64)[0].repeat(N, D // 2)).mT
        case _:
            return encode(normal(N, D, seed=1)).tril()


def meet(
    name: str, x_q: torch.Tensor, x_k: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]:
    """Queries, keys and bias as attention gets them, of contents (..., n, d) for both.

    An encoding of the inputs reads the contents of the keys. What it adds is added to both, as if
    projections told contents apart and left positions as they are.
    """
    encode = EXAMPLES[name].encode
    match module_of(name).PLACE:
        case "inputs":
            added = encode(x_k) - x_k
            return x_q + added, x_k + added, None
        case "queries and keys":
            return encode(x_q), encode(x_k), None
        case _:
            return x_q, x_k, encode(x_q)


def weights(name: str, x_q: torch.Tensor, x_k: torch.Tensor) -> np.ndarray:
    """What the last query gives to each key, the nearest first: (..., n)."""
    q, k, bias = meet(name, x_q, x_k)
    last = None if bias is None else bias[..., -1:, :]
    eye = torch.eye(N, dtype=q.dtype)
    o = dense.attend(q[..., -1:, :], k, eye, causal=True, bias=last)
    return o[..., 0, :].flip(-1).numpy()


def of_random_contents(name: str) -> np.ndarray:
    """The weights in COUNT sequences, in which all contents are different: (COUNT, n)."""
    return weights(name, normal(COUNT, N, D, seed=2), normal(COUNT, N, D, seed=4))


def of_equal_contents(name: str) -> np.ndarray:
    """The weights where all queries and keys have the content (1, …, 1): (n,)."""
    ones = torch.ones(N, D, dtype=torch.float64)
    return weights(name, ones, ones)


def picture(name: str = "rotary") -> style.Figure:
    """What an encoding does, beside what the last query gives to keys by their distance."""
    example, does, drawn = EXAMPLES[name], DOES[module_of(name).PLACE], effect(name).numpy()
    canvas = Canvas(figsize=(4.2, 2.9))
    left, right = canvas.subplots(1, 2)
    _map(left, drawn, does)
    found = _lines(right, name)
    return style.Figure(
        canvas,
        alt=f"A map of what the encoding does, and a plot of weights against distance. "
        f"{example.sight}",
        caption=f"Left: {example.drawn}{', vermillion where negative' * bool((drawn < 0).any())}. "
        f"Right: what the last of {N} queries gives to the key Δ positions back. Random contents: "
        f"mean of {COUNT} sequences, and where 80% of them lie; equal contents: exact. The nearest "
        f"{NEAR} keys get {found[0]:.0%} and {found[1]:.0%}; the dotted line is an equal share.",
    )


def _map(axes: Axes, strength: np.ndarray, does: tuple[str, str, str]) -> None:
    """Shades, see-through where there is nothing: the page may be light or dark."""
    shades = np.zeros((*strength.shape, 4))
    shades[..., :3] = to_rgb(style.BLUE)
    shades[strength < 0, :3] = to_rgb(style.VERMILLION)
    shades[..., 3] = np.abs(strength) / (np.abs(strength).max() or 1)
    axes.imshow(shades, interpolation="none", aspect="auto")
    axes.grid(visible=False)
    title, columns, rows = does
    axes.set_title(title, size=11)
    axes.set(xlabel=columns, ylabel=rows, xticks=range(0, N, 16))
    axes.set_yticks(range(0, len(strength), len(strength) // 4))


def _lines(axes: Axes, name: str) -> list[float]:
    """Draw both lines; the shares of the nearest keys in them."""
    random, equal = of_random_contents(name), of_equal_contents(name)
    distance = np.arange(N)
    axes.axhline(1 / N, color=style.GREY, lw=1, ls=":")
    axes.fill_between(
        distance, *np.quantile(random, (0.1, 0.9), axis=0), color=style.BLUE, alpha=0.2, lw=0
    )
    lines = {"random contents": random.mean(0), "equal contents": equal}
    for number, (label, line) in enumerate(lines.items()):
        look: dict[str, Any] = {"color": style.PALETTE[number], "dashes": style.DASHES[number]}
        axes.plot(distance, line, **look, lw=1.8, label=label)
    axes.set_title("weight of a key", size=11)
    axes.set(xlabel="distance Δ", xticks=range(0, N, 16), yscale="log", ylim=(LEAST, 1))
    axes.legend(loc="upper right", fontsize=10, borderaxespad=0.1)
    return [line[:NEAR].sum() for line in lines.values()]
