r"""Whether what training finds of the commutant carries a task, and to which lengths.

Models with sinusoids, of two layers or of one, learn to find the token three back, slowly, at a
small rate, or fast. How much of the matrix M between two positions is then relative, depends on the
speed (``commutant``). What that is good for cannot be seen in a share, so parts of the scores of a
layer are taken away after training, and models are asked again:

- ``flat``: all of them, so that a query weighs its keys alike. Who loses nothing looks elsewhere;
- ``relative``: M but for its part P in the commutant;
- ``relative, as large``: the same, and P is multiplied to the size that M had;
- ``the rest``: only P is taken away;
- ``few directions``: a control that keeps as much of M as P is, in the largest singular values.

What is taken away is :math:`\mathrm{PE}(p)^\top (M - M') \, \mathrm{PE}(q) / \sqrt d`, times what
the norm before the layer multiplies either token by; what tokens add stays, and
so does what the norm's shift adds. The speed is what is varied; so no rate is searched.
"""

import copy
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from torch import nn

from attention_limits import training
from attention_limits.experiments import conditions, grid
from attention_limits.experiments.commutant import (
    between_positions,
    explained_by_distance,
    projection,
    share,
)
from attention_limits.experiments.conditions import ENCODINGS, SETTINGS, TRAINED
from attention_limits.models.transformer import Layer, Transformer
from attention_limits.positions import sinusoidal
from attention_limits.progress import Progress
from attention_limits.runs.records import Run
from attention_limits.runs.table import Table, spread

COLUMNS = (
    "speed",
    "layers",
    "seed",
    "rate",
    "steps",
    "ended",
    "layer",
    "share",
    "seen",
    "part",
    "n",
    "accuracy",
)
SETTING = "token 3 back"
SPEEDS: Mapping[str, tuple[float, int]] = {  # the rate, and how many times the task's steps
    "slow": (1e-3, 4),
    "middle": (3e-3, 2),
    "fast": (1e-2, 1),
}
AS_TRAINED, FLAT = "as trained", "flat"
RELATIVE, AS_LARGE, REST, FEW = "relative", "relative, as large", "the rest", "few directions"
NORM_EPSILON = 1e-5  # that ``layer_norm`` adds to a variance


def few_directions(M: np.ndarray) -> np.ndarray:
    """M in its largest singular values, up to the share that lies in the commutant."""
    U, size, V = np.linalg.svd(M)
    total = np.square(size).sum(-1, keepdims=True)
    before = (np.cumsum(np.square(size), -1) - np.square(size)) / total
    kept = size * (before < share(M)[..., None])
    return (U * kept[..., None, :]) @ V


# By part, M' of M.
PARTS: Mapping[str, Callable[[np.ndarray], np.ndarray]] = {
    RELATIVE: projection,
    AS_LARGE: lambda M: projection(M) / np.sqrt(share(M))[..., None, None],
    REST: lambda M: M - projection(M),
    FEW: few_directions,
}


@dataclass(frozen=True, kw_only=True)
class Config(grid.Config):
    """What a run depends on, the machine aside: as ``grid.Config``, and

    Args:
        speeds: names of ``SPEEDS``.
        layers: how many the models have.
        lengths: of the sequences that are asked.
    """

    CHOICES: ClassVar = {"settings": SETTINGS, "speeds": SPEEDS}

    settings: tuple[str, ...] = (SETTING,)
    seeds: tuple[int, ...] = tuple(range(8))
    speeds: tuple[str, ...] = tuple(SPEEDS)
    layers: tuple[int, ...] = (2, 1)
    lengths: tuple[int, ...] = (32, 48, 64, 128)


PRESETS = {
    "smoke": Config(seeds=(0, 1), speeds=("fast",), steps=10, lengths=(32, 64), count=20),
    "book": Config(seeds=(0, 1), speeds=("fast",), layers=(2,), count=100),
    "full": Config(),
}
DURATIONS = {"smoke": "a few seconds", "book": "half a minute", "full": "about ten minutes"}


@dataclass(frozen=True)
class Cell(grid.Cell):
    """How fast models learn, and how many layers they have."""

    speed: str
    layers: str


def cells(config: Config) -> Iterator[Cell]:
    """Every speed, with each number of layers."""
    for layers in config.layers:
        for speed in config.speeds:
            yield Cell(speed, f"{layers}")


def run_cell(
    cell: Cell, config: Config, checkpoints: Path | None, progress: Progress
) -> list[dict]:
    """A row for each layer, part, length and seed; of the shares of heads, the largest."""
    rate, longer = SPEEDS[cell.speed]
    task, steps = SETTINGS[SETTING].make(), config.steps or SETTINGS[SETTING].steps
    trained = training.train_ensemble(
        replace(ENCODINGS["sinusoidal"], layers=int(cell.layers)),
        task,
        conditions.recipe(SETTING, "plain", steps * longer),
        seeds=config.seeds,
        rates=rate,
        device=config.device,
        checkpoint=checkpoints and checkpoints / "models",
        progress=progress,
    )
    assert isinstance(trained.model, Transformer)
    rows = []
    for number in range(int(cell.layers)):
        M = between_positions(trained.model, number)
        same = {"speed": cell.speed, "layers": int(cell.layers), "layer": number + 1}
        heads = {"share": share(M), "seen": explained_by_distance(M, TRAINED[1], seen=True)}
        most = {name: of.max(-1).tolist() for name, of in heads.items()}
        for part in (AS_TRAINED, FLAT, *PARTS):
            asked = replace(trained, model=ablated(trained.model, number, part))
            found = {**same, "part": part}
            rows += grid.rows(COLUMNS, asked, task, config.lengths, config.count, found, **most)
    return rows


# --- what is taken away -------------------------------------------------------------------------


@torch.no_grad()
def ablated(model: Transformer, number: int, part: str) -> Transformer:
    """A copy of which a layer's scores keep only a part.

    Args:
        model: with sinusoids, whose norms come first.
        number: of the layer, from 0.
        part: "as trained", "flat" or one of ``PARTS``.
    """
    model = copy.deepcopy(model)
    layer = model.layers[number]
    assert isinstance(layer, Layer)
    if part == FLAT:
        weight = layer.attention.project.weight
        weight[:, : weight.shape[-1]] = 0  # of the queries
    elif part != AS_TRAINED:
        M = between_positions(model, number)
        model.layers[number] = Ablated(layer, torch.from_numpy(PARTS[part](M) - M))
    return model


class Ablated(nn.Module):
    r"""A layer to whose scores something between positions is added.

    Args:
        layer: whose norm comes first.
        change: M' − M, (s, h, d_model, d_model).
    """

    change: torch.Tensor

    def __init__(self, layer: Layer, change: torch.Tensor):
        super().__init__()
        self.layer = layer
        self.register_buffer("change", change.float())

    def forward(self, x, encoding, where, bias, number) -> torch.Tensor:
        """As the layer's own; positions are 0 … n − 1."""
        n, d = x.shape[-2:]
        PE = sinusoidal.encoding(torch.arange(n, device=x.device), d).to(x.dtype)
        between = PE @ self.change @ PE.T / (d / self.change.shape[1]) ** 0.5
        size = (
            torch.var_mean(x, -1, correction=0)[0] + NORM_EPSILON
        ).rsqrt()  # (s, batch, n), of the norm
        added = between.unsqueeze(1) * (size.unsqueeze(-1) * size.unsqueeze(-2)).unsqueeze(2)
        return self.layer(x, encoding, where, added if bias is None else bias + added, number)


# --- what was found -----------------------------------------------------------------------------


def accuracies(
    run: Run, speed: str, n: int, *, part: str = AS_TRAINED, layer: int = 1, layers: int = 2
) -> list[float]:
    """How often the last answer is right, one number a seed.

    Args:
        run: of this experiment.
        speed: of ``SPEEDS``.
        n: the length.
        part: of the scores of a layer, that is left.
        layer: which one, from 1.
        layers: how many the models have.
    """
    return run.values("accuracy", speed=speed, layers=layers, layer=layer, part=part, n=n)


def shares(run: Run, speed: str, *, layer: int = 1, layers: int = 2) -> list[float]:
    """The largest share of a head of a layer, one number a seed."""
    n = run.config["lengths"][0]
    return run.values("share", speed=speed, layers=layers, layer=layer, part=AS_TRAINED, n=n)


def most_without_need(run: Run, speed: str) -> float:
    """The largest share of a model that loses nothing without the scores of its first layer."""
    n = run.config["lengths"][0]
    flat = accuracies(run, speed, n, part=FLAT)
    whole = accuracies(run, speed, n)
    each = zip(shares(run, speed), whole, flat, strict=True)
    return max(share for share, before, after in each if after >= before)


def table(run: Run) -> Table:
    """Means over seeds, and the least and the most."""
    rows = []
    kinds = dict.fromkeys((r["speed"], r["layers"], r["layer"], r["part"]) for r in run.records)
    for speed, layers, layer, part in kinds:
        which = f"{layer} of {layers}"
        own = spread(shares(run, speed, layer=layer, layers=layers), digits=3)
        found = (
            accuracies(run, speed, n, part=part, layer=layer, layers=layers)
            for n in run.config["lengths"]
        )
        rows.append([speed, which, own, part, *(spread(x) for x in found)])
    lengths = (f"{n} tokens" for n in run.config["lengths"])
    return Table(["speed", "layer", "share", "what is left", *lengths], rows)
