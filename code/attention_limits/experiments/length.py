"""How far beyond its training a model carries what it learned, by how it knows positions.

Models train on 8 to 32 tokens and are asked on sequences up to eight times as long.  Then
three things are new at once: there are more tokens, they stand at positions that were never seen,
and more of them distract.  So each encoding also trains under conditions that take some away:

- "plain": none of them;
- "blanks": the number of symbols stays, and blanks, known from training, fill a longer sequence;
- "random positions": from training on, the positions of a sequence are drawn in order from as
  many as the longest has (:cite:t:`ruoss2023randomized`), so that none is new;
- "blanks, random positions": both, so that the number of tokens alone is new;
- "log n": scores are multiplied by ln n / ln 32, n being how many keys a query sees, against what
  more distractors do to a softmax.

And one that adds nothing but positions: plain models are also asked on 32 tokens whose
positions are "stretched", drawn from as many as the longer sequences have.

Each encoding chooses its learning rate on each task under the plain condition (``tuning``), and
keeps it under the others.
"""

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import product, starmap
from pathlib import Path
from typing import ClassVar

import numpy as np

from attention_limits.experiments import grid, tuning
from attention_limits.models import Architecture
from attention_limits.progress import Progress, part
from attention_limits.runs.records import Run
from attention_limits.runs.table import Table, spread
from attention_limits.tasks import Task
from attention_limits.training import Trained

COLUMNS = (
    "task",
    "encoding",
    "condition",
    "seed",
    "rate",
    "ended",
    "asked",
    "n",
    "reach",
    "accuracy",
)
TRAINED = (8, 32)  # tokens, from and to
LONGEST = 256

ENCODINGS = {
    "none": Architecture(),
    "sinusoidal": Architecture(position="sinusoidal"),
    "learned": Architecture(position="learned", position_options={"n_max": LONGEST}),
    "rotary": Architecture(position="rotary"),
    "alibi": Architecture(position="alibi"),
    "relative_bias": Architecture(position="relative_bias"),
    "shaw": Architecture(position="shaw"),
    "lstm_generated": Architecture(position="lstm_generated"),
    "lstm alone": Architecture(kind="lstm"),
}
TAKE_POSITIONS = ("sinusoidal", "learned", "rotary", "alibi", "relative_bias")
CONDITIONS = ("plain", "blanks", "random positions", "blanks, random positions", "log n")
LOG_N = {"log_n": float(1 / np.log(TRAINED[1]))}


@dataclass(frozen=True)
class Setting(grid.Setting):
    """A task, and the parameters that keep its number of symbols, if any do."""

    lengths: tuple[int, int] = TRAINED
    blanks: Mapping[str, int] = field(default_factory=dict)

    def under(self, condition: str) -> Task:
        """The task as a condition asks it."""
        return self.make(**(self.blanks if "blanks" in condition else {}))


SETTINGS = {
    "most recent": Setting("most_recent", steps=400, blanks={"marks": 2, "distractors": 3}),
    "token 3 back": Setting("token_back", steps=350),
    "first token": Setting("first_token", steps=200, blanks={"distractors": 5}),
}


@dataclass(frozen=True, kw_only=True)
class Config(grid.Config):
    """What a run depends on, the machine aside: as ``grid.Config``, and

    Args:
        encodings: names of ``ENCODINGS``.
        conditions: of ``CONDITIONS``; an encoding trains under those that mean something to it.
        rates: learning rates that each encoding may choose from.
        lengths: of the sequences that are asked.
    """

    CHOICES: ClassVar = {"settings": SETTINGS, "encodings": ENCODINGS, "conditions": CONDITIONS}

    settings: tuple[str, ...] = tuple(SETTINGS)
    encodings: tuple[str, ...] = tuple(ENCODINGS)
    conditions: tuple[str, ...] = CONDITIONS
    rates: tuple[float, ...] = tuning.RATES
    lengths: tuple[int, ...] = (32, 64, 128, 256)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not all(TRAINED[0] <= n <= LONGEST for n in self.lengths):
            raise ValueError(f"lengths must be {TRAINED[0]} to {LONGEST}, got {self.lengths}")


PRESETS = {
    "smoke": Config(
        settings=("first token",),
        encodings=("none", "rotary"),
        conditions=("plain", "blanks, random positions"),
        seeds=(0, 1),
        rates=(3e-3,),
        steps=20,
        lengths=(32, 64),
        count=20,
    ),
    "book": Config(
        settings=("first token",),
        encodings=("none", "rotary", "alibi"),
        conditions=("plain",),
        seeds=(0, 1),
        rates=(3e-3,),
        count=200,
    ),
    "full": Config(),
}
DURATIONS = {"smoke": "a few seconds", "book": "half a minute", "full": "about forty minutes"}


@dataclass(frozen=True)
class Cell(grid.Cell):
    """One encoding on one task, under all conditions that there are."""

    setting: str
    encoding: str


def cells(config: Config) -> Iterator[Cell]:
    """Every encoding on every task."""
    return starmap(Cell, product(config.settings, config.encodings))


def conditions(cell: Cell) -> list[str]:
    """The conditions that mean something to an encoding, and that its task has."""
    attention = ENCODINGS[cell.encoding].kind == "transformer"
    told = cell.encoding in TAKE_POSITIONS
    content = bool(SETTINGS[cell.setting].blanks)  # what is asked is found by what it is
    means = {
        "plain": True,
        "blanks": content and attention,
        "random positions": told,
        "blanks, random positions": content and told,
        "log n": content and attention,
    }
    return [condition for condition in CONDITIONS if means[condition]]


def run_cell(
    cell: Cell, config: Config, checkpoints: Path | None, progress: Progress
) -> list[dict]:
    """A row for each condition, seed, way to ask and length."""
    rows: list[dict] = []
    rates = config.rates
    under = [condition for condition in conditions(cell) if condition in config.conditions]
    for number, condition in enumerate(under):
        trained = _train(
            cell,
            condition,
            config,
            rates,
            checkpoints and checkpoints / f"{number}",
            part(progress, number, len(under), f"{condition}, "),
        )
        rates = trained.rates[:1]  # what was chosen first is kept
        rows += ask(cell, condition, config, trained)
    return rows


def _train(
    cell: Cell,
    condition: str,
    config: Config,
    rates: tuple[float, ...],
    checkpoints: Path | None,
    progress: Progress,
) -> Trained:
    setting, architecture = SETTINGS[cell.setting], ENCODINGS[cell.encoding]
    if condition == "log n":
        architecture = dataclasses.replace(architecture, options=LOG_N)
    if checkpoints is not None:
        checkpoints.mkdir(exist_ok=True)
    return grid.train(
        architecture,
        setting,
        config,
        rates=rates,
        task=setting.under(condition),
        max_position=LONGEST if "random" in condition else None,
        checkpoints=checkpoints,
        progress=progress,
    )


def ask(cell: Cell, condition: str, config: Config, trained: Trained) -> Iterator[dict]:
    """All lengths; of plain models that are told positions, stretched sequences as well."""
    task = SETTINGS[cell.setting].under(condition)
    same = {"task": cell.setting, "encoding": cell.encoding, "condition": condition}
    drawn = LONGEST if "random" in condition else None
    asked = [("longer", n, drawn) for n in config.lengths]
    if condition == "plain" and cell.encoding in TAKE_POSITIONS:
        asked += [("stretched", TRAINED[1], n) for n in config.lengths if n > TRAINED[1]]
    for how, n, reach in asked:
        for judged in grid.judge(trained, task, n, count=config.count, max_position=reach):
            found = {"asked": how, "reach": reach or n, "accuracy": judged["last"]}
            yield grid.row(COLUMNS, judged, **same, **found)


def accuracies(run: Run, n: int, *, asked: str = "longer", **where: str) -> list[float]:
    """How often the last answer of a sequence is right, one number a seed.

    Args:
        run: a run of this experiment.
        n: the length of the sequences; of stretched ones, how many positions they are drawn from.
        asked: "longer" or "stretched".
        where: ``task``, ``encoding`` and ``condition``.
    """
    size = "n" if asked == "longer" else "reach"
    return run.values("accuracy", **where, **{"asked": asked, size: n})


def table(run: Run, condition: str = "plain") -> Table:
    """Means over seeds at the longest trained length and at the longest, and the least and most."""
    lengths = (TRAINED[1], max(run.config["lengths"]))
    head = [f"{name}, {n}" for name in run.config["settings"] for n in lengths]
    rows = []
    for encoding in run.config["encodings"]:
        found = [
            accuracies(run, n, task=name, encoding=encoding, condition=condition)
            for name in run.config["settings"]
            for n in lengths
        ]
        rows.append([encoding, *(spread(values) if values else "–" for values in found)])
    return Table(["encoding", *head], rows)
