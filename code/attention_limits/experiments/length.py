"""How far beyond its training a model carries what it learned, by how it knows positions.

Models train on texts of 8 to 32 tokens and are asked on texts up to eight times as long.  Then
three things are new at once: there are more tokens, they stand at positions that were never seen,
and more of them distract.  So each encoding also trains under conditions that take some away:

- "plain": none of them;
- "blanks": the number of symbols stays, and blanks, which training has shown, fill a longer text;
- "random positions": from training on, a text's positions are drawn in order from as many as the
  longest text has (:cite:t:`ruoss2023randomized`), so that none is new;
- "blanks, random positions": both, so that the number of tokens alone is new;
- "log n": scores are multiplied by ln n / ln 32, n being how many keys a query sees, against what
  more distractors do to a softmax.

And one that adds nothing but positions: plain models are also asked on texts of 32 tokens whose
positions are "stretched", drawn from as many as the longer texts have.

Each encoding chooses its learning rate on each task under the plain condition (``tuning``), and
keeps it under the others.
"""

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from attention_limits import tasks, training
from attention_limits.experiments import Progress, tuning
from attention_limits.models import Architecture
from attention_limits.runs.records import Run
from attention_limits.runs.table import Table, spread
from attention_limits.training import Recipe, Trained

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
class Setting:
    """A task, how many steps it gets, and the knobs that keep its number of symbols, if any do."""

    task: str
    steps: int
    blanks: Mapping[str, int] = field(default_factory=dict)

    def make(self, condition: str) -> tasks.Task:
        """The task as a condition asks it."""
        return tasks.make(self.task, **(self.blanks if "blanks" in condition else {}))


SETTINGS = {
    "most recent": Setting("most_recent", 400, {"marks": 2, "distractors": 3}),
    "token 3 back": Setting("token_back", 350),
    "first token": Setting("first_token", 200, {"distractors": 5}),
}


@dataclass(frozen=True)
class Config:
    """What a run depends on, the machine aside.

    Args:
        settings: names of ``SETTINGS``.
        encodings: names of ``ENCODINGS``.
        conditions: of ``CONDITIONS``; an encoding trains under those that mean something to it.
        seeds: of the models; those of ``tuning`` are not among them.
        rates: learning rates that each encoding may choose from.
        steps: how many, whatever the settings say; None for as many as they say.
        lengths: of the texts that are asked.
        count: how many texts of each length.
        device: what computes.
        threads: of what is not training; that takes one a core.
    """

    settings: tuple[str, ...] = tuple(SETTINGS)
    encodings: tuple[str, ...] = tuple(ENCODINGS)
    conditions: tuple[str, ...] = CONDITIONS
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    rates: tuple[float, ...] = tuning.RATES
    steps: int | None = None
    lengths: tuple[int, ...] = (32, 64, 128, 256)
    count: int = 500
    device: str = "cpu"
    threads: int = 1

    def __post_init__(self) -> None:
        known = {"settings": SETTINGS, "encodings": ENCODINGS, "conditions": CONDITIONS}
        for name, names in known.items():
            if unknown := set(getattr(self, name)) - set(names):
                raise ValueError(f"{name} must be among {', '.join(names)}, got {unknown}")
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
TAKES = {"smoke": "a few seconds", "book": "half a minute", "full": "about forty minutes"}


@dataclass(frozen=True)
class Cell:
    """One encoding on one task, under all conditions that there are."""

    setting: str
    encoding: str

    @property
    def name(self) -> str:
        """Both, as a line of progress and a folder are called."""
        return f"{self.setting}, {self.encoding}"


def cells(config: Config) -> Iterator[Cell]:
    """Every encoding on every task."""
    for setting in config.settings:
        for encoding in config.encodings:
            yield Cell(setting, encoding)


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
    rows, rates = [], config.rates
    under = [condition for condition in conditions(cell) if condition in config.conditions]
    for number, condition in enumerate(under):
        trained = _train(
            cell,
            condition,
            config,
            rates,
            checkpoints and checkpoints / f"{number}",
            lambda share, words, number=number, condition=condition: progress(
                (number + share) / len(under), f"{condition}, {words}"
            ),
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
    return tuning.train(
        architecture,
        setting.make(condition),
        Recipe(
            steps=config.steps or setting.steps,
            lengths=TRAINED,
            max_position=LONGEST if "random" in condition else None,
        ),
        seeds=config.seeds,
        device=config.device,
        rates=rates,
        checkpoints=checkpoints,
        progress=progress,
    )


def ask(cell: Cell, condition: str, config: Config, trained: Trained) -> Iterator[dict]:
    """All lengths; of plain models that are told positions, stretched texts as well."""
    task = SETTINGS[cell.setting].make(condition)
    drawn = LONGEST if "random" in condition else None
    asked = [("longer", n, drawn) for n in config.lengths]
    if condition == "plain" and cell.encoding in TAKE_POSITIONS:
        asked += [("stretched", TRAINED[1], n) for n in config.lengths if n > TRAINED[1]]
    for how, n, reach in asked:
        for row in training.evaluate(trained, task, n, count=config.count, max_position=reach):
            yield {
                "task": cell.setting,
                "encoding": cell.encoding,
                "condition": condition,
                **trained.of(row["model"]),
                "asked": how,
                "n": n,
                "reach": reach or n,
                "accuracy": row["last"],
            }


def accuracies(run: Run, n: int, *, asked: str = "longer", **where: str) -> list[float]:
    """The last answer of a text, right how often, one a seed.

    Args:
        run: a run of this experiment.
        n: the length of the texts; of stretched ones, how many positions they are drawn from.
        asked: "longer" or "stretched".
        where: ``task``, ``encoding`` and ``condition``.
    """
    size = "n" if asked == "longer" else "reach"
    where |= {"asked": asked, size: n}
    return [
        row["accuracy"]
        for row in run.records
        if all(row[name] == value for name, value in where.items())
    ]


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
