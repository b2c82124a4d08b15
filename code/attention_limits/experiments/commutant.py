r"""How much of what training may find between two sinusoids is relative.

What two positions alone add to a score of the first layer is, but for a norm's division,

.. math::

    \mathrm{PE}(p)^\top M \, \mathrm{PE}(q), \qquad
    M = C \, G \, W_q^\top W_k \, G \, C

with W_q and W_k of one head, G the gain of the norm before them, and C = 1 − 𝟏𝟏ᵀ/d, by which that
norm takes the mean of a token's entries away.  At all positions it depends on p − q alone if, and
only if, M lies in the commutant: two numbers a frequency, d dimensions out of d².  Of each head, in
models before training and after, a row says

- ``share``: how much of M, in squared entries, lies in the commutant.  Of a matrix whose directions
  are random that is 1/d on average, and because of C it is never more than 1 − 1/d;
- ``explained``: how much of the variance of PE(p)ᵀ M PE(q), over all pairs q ≤ p of the longest
  text in training, the distance p − q explains;
- ``seen``: how much of the variance that a softmax sees: what all scores of a query have in common
  changes no weight, and no gradient asks for it.

They are different questions.  On few positions a score may be relative though M is far from the
commutant: slow frequencies hardly move, and if a score grows evenly with q, that is p less the
distance, of which a softmax sees the distance.

Left out is what stands between no two positions: what tokens say to positions and to each other,
the norm's shift, and its division by a number that depends on the token.
"""

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from torch import nn

from attention_limits import devices, models
from attention_limits.experiments import grid, tuning
from attention_limits.experiments.conditions import ENCODINGS, SETTINGS, TRAINED
from attention_limits.models.transformer import Layer, Transformer
from attention_limits.positions import sinusoidal
from attention_limits.progress import Progress
from attention_limits.runs.records import Run
from attention_limits.runs.table import Table, spread

COLUMNS = (
    "task",
    "seed",
    "rate",
    "ended",
    "when",
    "accuracy",
    "head",
    "share",
    "explained",
    "seen",
)
WHEN = ("before", "after")
ARCHITECTURE = ENCODINGS["sinusoidal"]


@dataclass(frozen=True, kw_only=True)
class Config(grid.Config):
    """What a run depends on, the machine aside: as ``grid.Config``, of ``conditions.SETTINGS``, and

    Args:
        rates: learning rates that the models of a task may choose from.
    """

    CHOICES: ClassVar = {"settings": SETTINGS}

    settings: tuple[str, ...] = tuple(SETTINGS)
    seeds: tuple[int, ...] = tuple(range(8))
    rates: tuple[float, ...] = tuning.RATES


PRESETS = {
    "smoke": Config(settings=("first token",), seeds=(0, 1), rates=(3e-3,), steps=20, count=20),
    "book": Config(settings=("token 3 back",), seeds=(0,), rates=(1e-2,), steps=200, count=200),
    "full": Config(),
}
DURATIONS = {"smoke": "a few seconds", "book": "a few seconds", "full": "about three minutes"}


@dataclass(frozen=True)
class Cell(grid.Cell):
    """One task."""

    setting: str


def cells(config: Config) -> Iterator[Cell]:
    """Every task."""
    return map(Cell, config.settings)


def run_cell(
    cell: Cell, config: Config, checkpoints: Path | None, progress: Progress
) -> list[dict]:
    """A row for each head of the first layer of each seed, before and after training."""
    setting = SETTINGS[cell.setting]
    task = setting.make()
    after = grid.train(
        ARCHITECTURE,
        setting,
        config,
        rates=config.rates,
        checkpoints=checkpoints,
        progress=progress,
    )
    first = models.build(
        ARCHITECTURE, vocabulary=task.vocabulary, classes=task.classes, seeds=config.seeds
    )
    before = dataclasses.replace(after, model=first.to(devices.choose(config.device)))
    rows = []
    for when, trained in zip(WHEN, (before, after), strict=True):
        M = between_positions(trained.model)
        measured = {
            "share": share(M),
            "explained": explained_by_distance(M, TRAINED[1]),
            "seen": explained_by_distance(M, TRAINED[1], seen=True),
        }
        for judged in grid.judge(trained, task, TRAINED[1], count=config.count):
            same = {"task": cell.setting, "when": when, "accuracy": judged["last"]}
            for head in range(ARCHITECTURE.heads):
                at_head = {
                    name: _finite(of[judged["model"], head]) for name, of in measured.items()
                }
                rows.append(grid.row(COLUMNS, judged, **same, head=head, **at_head))
    return rows


def _finite(value: np.floating) -> float | None:
    """A number as JSON takes it; None of a model that diverged."""
    return float(value) if np.isfinite(value) else None


# --- what is measured ---------------------------------------------------------------------------


def between_positions(model: nn.Module, number: int = 0) -> np.ndarray:
    """M of each head of a layer whose norm comes first, (s, h, d_model, d_model).

    Of a later layer than the first it is what positions add that came through to it unchanged.
    """
    assert isinstance(model, Transformer)
    layer = model.layers[number]
    assert isinstance(layer, Layer)
    weight, gain = (  # (s, 3 d_model, d_model), and (s, d_model)
        x.detach().cpu().double().numpy()
        for x in (layer.attention.project.weight, layer.get_parameter("norms.0.gain")[:, 0, 0])
    )
    seeds, _, d = weight.shape
    inputs = gain[:, :, None] * (np.eye(d) - 1 / d)  # G C
    parts = (weight @ inputs).reshape(seeds, 3, layer.attention.heads, -1, d)
    w_q, w_k = parts[:, 0], parts[:, 1]
    return np.swapaxes(w_q, -1, -2) @ w_k


def projection(M: np.ndarray) -> np.ndarray:
    """The nearest matrix in the commutant: of (..., d, d), the part aI + bJ of each 2 × 2 block.

    Raises:
        ValueError: if ``M`` is not square, of even width.
    """
    if M.ndim < 2 or M.shape[-1] != M.shape[-2] or M.shape[-1] % 2:
        raise ValueError(f"M must be square, two entries a frequency, got {M.shape}")
    projected = np.zeros_like(M)
    for sine in range(0, M.shape[-1], 2):
        cosine = sine + 1
        same = (M[..., sine, sine] + M[..., cosine, cosine]) / 2
        turn = (M[..., sine, cosine] - M[..., cosine, sine]) / 2
        projected[..., sine, sine] = projected[..., cosine, cosine] = same
        projected[..., sine, cosine], projected[..., cosine, sine] = turn, -turn
    return projected


def share(M: np.ndarray) -> np.ndarray:
    """Of the squared entries of M, (..., d, d), how much lies in the commutant: (...)."""
    return np.square(projection(M)).sum((-1, -2)) / np.square(M).sum((-1, -2))


def explained_by_distance(M: np.ndarray, n: int, *, seen: bool = False) -> np.ndarray:
    """How much of the variance of PE(p)ᵀ M PE(q), over pairs q ≤ p < n, p − q explains.

    Args:
        M: (..., d, d), not all zero.
        n: how many positions, at least 2.
        seen: whether only to ask of what a softmax sees: the variance within the scores of a query,
            explained by a number for each distance, next to one for each query.

    Returns:
        (...), from 0 to 1: the share of the best function of the distance.
    """
    PE = sinusoidal.encoding(torch.arange(n), M.shape[-1]).double().numpy()
    p, q = np.tril_indices(n)
    together = np.equal.outer(p, p) if seen else np.ones((len(p), len(p)))
    scores = (PE @ M @ PE.T)[..., p, q]
    distances = np.equal.outer(np.arange(n), p - q).astype(float)  # (n, pairs)
    scores, distances = (x - x @ together / together.sum(0) for x in (scores, distances))
    _, size, directions = np.linalg.svd(distances, full_matrices=False)
    directions = directions[size > 1e-9 * size.max()]  # one is lost: a pair has some distance
    return np.square(scores @ directions.T).sum(-1) / np.square(scores).sum(-1)


# --- what was found -----------------------------------------------------------------------------


def largest(run: Run, task: str, when: str, of: str = "explained") -> list[float]:
    """One a seed: what the head has that has most of it.

    Args:
        run: a run of this experiment.
        task: one of its settings.
        when: "before" or "after" training.
        of: "explained", "seen" or "share".
    """
    heads: dict[int, list[float]] = {}
    for row in run.records:
        if (row["task"], row["when"]) == (task, when):
            heads.setdefault(row["seed"], []).append(row[of])
    return [max(values) for values in heads.values()]


def table(run: Run) -> Table:
    """Of the head that has most: means over seeds, and the least and the most."""
    measures = ("explained", "seen", "share")
    rows = [
        [task, when, *(spread(largest(run, task, when, of), digits=3) for of in measures)]
        for task in run.config["settings"]
        for when in WHEN
    ]
    return Table(["task", "training", *measures], rows)
