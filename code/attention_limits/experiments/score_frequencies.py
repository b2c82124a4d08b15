r"""Which frequencies carry what a head makes of positions.

In the first layer, what positions add to a score is a sum over frequencies. Of a query, a softmax
sees how the scores of its keys vary. So each frequency f gets its share of that variance,

.. math::

    \frac{\sum_p \mathrm{cov}_{q \le p}\big( s_f(p, q), \, s(p, q) \big)}
         {\sum_p \mathrm{var}_{q \le p}\big( s(p, q) \big)}, \qquad s = \sum_f s_f

and the shares of a head sum to 1. Two encodings, at the positions of the longest trained sequence:

- sinusoids: :math:`s_f(p, q) = \mathrm{PE}(p)^\top M_{\cdot f} \, \mathrm{PE}_f(q)`, M as in
  ``commutant``: f is the frequency on the side of the key;
- rotary: :math:`s_f(p, q) = \bar q_f \cdot R_f(q - p) \, \bar k_f / \sqrt d`, where the mean query
  is that of the tokens that ask, and the mean key that of the tokens that may be the answer. In the
  first layer both depend on nothing but the token.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import product, starmap
from pathlib import Path
from statistics import mean
from typing import ClassVar

import numpy as np
import torch

from attention_limits.experiments import conditions, grid, search
from attention_limits.experiments.commutant import between_positions
from attention_limits.experiments.conditions import ENCODINGS, SETTINGS, TRAINED
from attention_limits.experiments.search import Budget
from attention_limits.models.transformer import Layer, Transformer
from attention_limits.positions import rotary, sinusoidal
from attention_limits.progress import Progress
from attention_limits.runs.records import Run
from attention_limits.runs.table import Table, spread

COLUMNS = (
    "task",
    "encoding",
    "seed",
    "rate",
    "steps",
    "ended",
    "at_edge",
    "accuracy",
    "head",
    "variance",
    "period",
    "share",
)
BANDS = ((0, 32), (32, 96), (96, 256), (256, math.inf))  # periods, in tokens


def band_name(low: float, high: float) -> str:
    """What a figure calls a band."""
    if math.isinf(high):
        return f"from {low:g}"
    return f"{low:g} to {high:g}" if low else f"under {high:g}"


@dataclass(frozen=True, kw_only=True)
class Config(search.Config):
    """What a run depends on, the machine aside: as ``search.Config``, of ``SETTINGS``, and

    Args:
        encodings: "sinusoidal", "rotary".
        budget: of the search.
    """

    CHOICES: ClassVar = {
        "settings": ("most recent", "token 3 back"),
        "encodings": ("sinusoidal", "rotary"),
    }

    settings: tuple[str, ...] = ("most recent", "token 3 back")
    encodings: tuple[str, ...] = ("sinusoidal", "rotary")
    budget: Budget = field(default_factory=lambda: Budget(rates=(1e-3, 3e-3, 1e-2), patience=(1,)))


PRESETS = {
    "smoke": Config(seeds=(0, 1), budget=Budget(rates=(3e-3,), patience=(1,)), steps=10, count=20),
    "book": Config(
        settings=("most recent",),
        encodings=("sinusoidal",),
        seeds=(0,),
        budget=Budget(rates=(3e-3,), patience=(1,)),
        count=100,
    ),
    "full": Config(),
}
DURATIONS = {"smoke": "a few seconds", "book": "half a minute", "full": "about four minutes"}


@dataclass(frozen=True)
class Cell(grid.Cell):
    """One encoding on one task."""

    setting: str
    encoding: str


def cells(config: Config) -> Iterator[Cell]:
    """Both encodings on both tasks."""
    return starmap(Cell, product(config.settings, config.encodings))


def run_cell(
    cell: Cell, config: Config, checkpoints: Path | None, progress: Progress
) -> list[dict]:
    """A row for each seed, head of the first layer, and frequency."""
    task = SETTINGS[cell.setting].make()
    recipe = conditions.recipe(cell.setting, "plain", config.steps)
    choice, trained = search.train(
        ENCODINGS[cell.encoding], task, recipe, config, checkpoints, progress
    )
    model, n = trained.model, TRAINED[1]
    assert isinstance(model, Transformer)
    if cell.encoding == "sinusoidal":
        periods, parts = of_sinusoids(model, n)
    else:
        asking, answering = _tokens(cell.setting)
        periods, parts = of_rotary(model, n, asking, answering)
    variance, each = shares(parts)
    same = {"task": cell.setting, "encoding": cell.encoding, "at_edge": choice.at_edge}
    rows = []
    for judged in grid.judge(trained, task, n, count=config.count):
        number, accuracy = judged["model"], judged["last"]
        for head, f in product(range(variance.shape[1]), range(len(periods))):
            found = {
                "head": head,
                "variance": float(variance[number, head]),
                "period": float(periods[f]),
                "share": float(each[number, head, f]),
            }
            rows.append(grid.row(COLUMNS, judged, **same, **found, accuracy=accuracy))
    return rows


def _tokens(setting: str) -> tuple[range, range]:
    """Who asks, and who may be the answer, as tokens."""
    symbols = SETTINGS[setting].make().classes
    if setting == "most recent":
        return range(2 * symbols + 1, 2 * symbols + 2), range(symbols, 2 * symbols)
    return range(symbols), range(symbols)  # in "token 3 back" every token asks, for any


# --- what is measured ---------------------------------------------------------------------------


def of_sinusoids(model: Transformer, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Periods (f,), and what each adds to the scores of positions, (s, h, f, n, n)."""
    M = between_positions(model)
    d = M.shape[-1]
    PE = sinusoidal.encoding(torch.arange(n), d).double().numpy()
    theta = sinusoidal.frequencies(d).double().numpy()
    keys = PE.reshape(n, d // 2, 2)  # sine and cosine of a frequency lie together
    left = (PE @ M).reshape(*M.shape[:-2], n, d // 2, 2)
    return 2 * math.pi / theta, np.einsum("...pfc,qfc->...fpq", left, keys)


def of_rotary(
    model: Transformer, n: int, asking: range, answering: range
) -> tuple[np.ndarray, np.ndarray]:
    """The same, of the mean query of some tokens and the mean key of others."""
    layer = model.layers[0]
    assert isinstance(layer, Layer)
    attention, heads = layer.attention, layer.attention.heads
    with torch.no_grad():
        tokens = torch.arange(model.embedding.table.shape[1])
        x = model.embedding(tokens.expand(len(model.embedding.table), 1, -1))
        q, k, _ = attention.project(layer.norms[0](x)).chunk(3, dim=-1)
        split = (part.unflatten(-1, (heads, -1))[:, 0].double() for part in (q, k))  # (s, v, h, d)
        q, k = (
            part[:, list(some)].mean(1)
            for part, some in zip(split, (asking, answering), strict=True)
        )
    width = q.shape[-1]
    theta = rotary.frequencies(width).double().numpy()
    q, k = (x.numpy().reshape(len(x), heads, 2, width // 2) for x in (q, k))  # in halves
    same = (q * k).sum(2) / math.sqrt(width)
    turn = (q[:, :, 1] * k[:, :, 0] - q[:, :, 0] * k[:, :, 1]) / math.sqrt(width)
    distance = np.subtract.outer(np.arange(n), np.arange(n))
    angle = theta[:, None, None] * distance  # R(q − p), a turn back by the distance
    cos, sin = np.cos(angle), np.sin(angle)
    return 2 * math.pi / theta, same[..., None, None] * cos - turn[..., None, None] * sin


def shares(parts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of scores in parts, (..., f, n, n): the variance within queries (...), and shares (..., f).

    The variance is a mean over queries that see two keys at least.
    """
    n = parts.shape[-1]
    total = parts.sum(-3)
    both = np.zeros(parts.shape[:-2])
    for p in range(1, n):
        own, every = parts[..., p, : p + 1], total[..., p, : p + 1]
        every = every - every.mean(-1, keepdims=True)
        both += (own * every[..., None, :]).mean(-1)
    both /= n - 1
    variance = both.sum(-1)
    return variance, both / variance[..., None]


# --- what was found -----------------------------------------------------------------------------


def by_band(run: Run, task: str, encoding: str) -> dict[tuple[float, float], list[float]]:
    """Of the head whose scores vary most by position: the share of each band of periods, a seed."""
    found: dict[int, dict[int, list[Mapping]]] = {}
    for row in run.records:
        if (row["task"], row["encoding"]) == (task, encoding):
            found.setdefault(row["seed"], {}).setdefault(row["head"], []).append(row)
    bands: dict[tuple[float, float], list[float]] = {band: [] for band in BANDS}
    for heads in found.values():
        strongest = max(heads.values(), key=lambda rows: rows[0]["variance"])
        for low, high in BANDS:
            within = [row["share"] for row in strongest if low <= row["period"] < high]
            bands[low, high].append(sum(within))
    return bands


def table(run: Run) -> Table:
    """Means over seeds, and the least and the most."""
    rows = []
    for task, encoding in product(run.config["settings"], run.config["encodings"]):
        found = by_band(run, task, encoding)
        accuracy = run.values("accuracy", task=task, encoding=encoding, head=0)
        if accuracy:
            shown = (spread(x, digits=3) if x else "–" for x in found.values())
            rows.append([task, encoding, f"{mean(accuracy):.2f}", *shown])
    named = [f"period {low:g} to {high:g}" for low, high in BANDS]
    return Table(["task", "encoding", "accuracy", *named], rows)
