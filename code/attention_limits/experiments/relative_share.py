"""Whether what training finds of the commutant carries a task to longer sequences.

Models with sinusoids learn to find the token three back, slowly, at a small rate, or fast. How much
of the matrix between two positions is then relative, depends on the speed (``commutant``). What is
asked here is what that buys: accuracy at lengths beyond training, beside the share of each model.
The speed is what is varied; so no rate is searched.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from attention_limits import training
from attention_limits.experiments import conditions, grid
from attention_limits.experiments.commutant import between_positions, explained_by_distance, share
from attention_limits.experiments.conditions import ENCODINGS, SETTINGS, TRAINED
from attention_limits.progress import Progress
from attention_limits.runs.records import Run
from attention_limits.runs.table import Table, spread

COLUMNS = ("speed", "seed", "rate", "steps", "ended", "share", "seen", "n", "accuracy")
SETTING = "token 3 back"
SPEEDS: Mapping[str, tuple[float, int]] = {  # the rate, and how many times the task's steps
    "slow": (1e-3, 4),
    "middle": (3e-3, 2),
    "fast": (1e-2, 1),
}


@dataclass(frozen=True, kw_only=True)
class Config(grid.Config):
    """What a run depends on, the machine aside: as ``grid.Config``, and

    Args:
        speeds: names of ``SPEEDS``.
        lengths: of the sequences that are asked.
    """

    CHOICES: ClassVar = {"settings": SETTINGS, "speeds": SPEEDS}

    settings: tuple[str, ...] = (SETTING,)
    seeds: tuple[int, ...] = tuple(range(8))
    speeds: tuple[str, ...] = tuple(SPEEDS)
    lengths: tuple[int, ...] = (32, 40, 48, 64, 128)


PRESETS = {
    "smoke": Config(seeds=(0, 1), speeds=("fast",), steps=10, lengths=(32, 64), count=20),
    "book": Config(seeds=(0, 1), speeds=("fast",), count=100),
    "full": Config(),
}
DURATIONS = {"smoke": "a few seconds", "book": "half a minute", "full": "about four minutes"}


@dataclass(frozen=True)
class Cell(grid.Cell):
    """How fast models learn."""

    speed: str


def cells(config: Config) -> Iterator[Cell]:
    """Every speed."""
    return map(Cell, config.speeds)


def run_cell(
    cell: Cell, config: Config, checkpoints: Path | None, progress: Progress
) -> list[dict]:
    """A row for each length and seed; of the heads, the one that has most."""
    rate, longer = SPEEDS[cell.speed]
    task, steps = SETTINGS[SETTING].make(), config.steps or SETTINGS[SETTING].steps
    trained = training.train_ensemble(
        ENCODINGS["sinusoidal"],
        task,
        conditions.recipe(SETTING, "plain", steps * longer),
        seeds=config.seeds,
        rates=rate,
        device=config.device,
        checkpoint=checkpoints and checkpoints / "models",
        progress=progress,
    )
    M, same = between_positions(trained.model), {"speed": cell.speed}
    heads = {"share": share(M), "seen": explained_by_distance(M, TRAINED[1], seen=True)}
    most = {name: of.max(-1).tolist() for name, of in heads.items()}
    return grid.rows(COLUMNS, trained, task, config.lengths, config.count, same, **most)


# --- what was found -----------------------------------------------------------------------------


def pairs(run: Run, n: int, speed: str | None = None) -> list[tuple[float, float]]:
    """Share and accuracy at a length, of each model; of one speed, or of each."""
    speeds = (speed,) if speed else run.config["speeds"]
    return [
        (row["share"], row["accuracy"])
        for row in run.records
        if row["n"] == n and row["speed"] in speeds
    ]


def correlation(run: Run, n: int, speed: str | None = None) -> float:
    """Pearson's, of share and accuracy over all models, or those of one speed."""
    return float(np.corrcoef(np.array(pairs(run, n, speed)).T)[0, 1])


def table(run: Run) -> Table:
    """Means over seeds, and the least and the most."""
    lengths = run.config["lengths"]
    rows = []
    for speed in run.config["speeds"]:
        own = run.values("share", speed=speed, n=lengths[0])
        if own:
            found = (run.values("accuracy", speed=speed, n=n) for n in lengths)
            rows.append([speed, spread(own, digits=3), *(spread(x) for x in found)])
    return Table(["speed", "share", *(f"{n} tokens" for n in lengths)], rows)
