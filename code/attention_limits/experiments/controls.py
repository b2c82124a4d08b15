"""Three controls of what models lose on longer sequences: patience, marks, entries nobody trained.

A cause that was named is not the whole cause if the loss goes while it stays. So here it stays:

- patience: models that train at random positions, for many times the steps with which the search of
  ``extrapolation`` is content. It stops where the trained length is solved, not where what training
  rarely shows is learned. The conditions are the same, and so are the rates, those that it chose.
- marks: the same models, asked for the most recent mark where all tokens and gaps are as in another
  question and only the number of marks is not.
- entries: vectors and buckets of plain models for distances that training did not have, overwritten
  by one that it had. Nothing that was trained is changed. That for the largest distance was itself
  trained on few pairs of tokens, so others are copied as well.
"""

import copy
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import ClassVar

import torch

from attention_limits import training
from attention_limits.experiments import conditions, grid, search
from attention_limits.experiments.conditions import ENCODINGS, LONGEST, SETTINGS, TRAINED, Question
from attention_limits.models.encodings.scores import RelativeBias, Shaw
from attention_limits.positions import relative_bias
from attention_limits.progress import Progress
from attention_limits.runs.records import Run
from attention_limits.runs.table import Table, spread
from attention_limits.training import Trained

COLUMNS = (
    "task",
    "encoding",
    "condition",
    "seed",
    "rate",
    "steps",
    "ended",
    "loss",
    "entries",
    "marks",
    "asked",
    "n",
    "end",
    "gap",
    "accuracy",
)
RECENCY, OFFSET = "most recent", "token 3 back"
RANDOM, PLAIN = "random positions", "plain"
# By task, condition and encoding: the rates that the search of the task's own experiment chose.
RATES = {
    (RECENCY, RANDOM): {
        "rotary": 3e-3,
        "alibi": 3e-3,
        "sinusoidal": 3e-3,
        "learned .02": 1e-3,
        "relative_bias 24": 3e-3,
        "shaw 48": 1e-2,
    },
    (OFFSET, RANDOM): {"rotary": 1e-2},
    (RECENCY, PLAIN): {"relative_bias 128": 3e-3, "shaw 48": 1e-2},
}
# How many times a task's steps; of plain models as many as they were given before.
TIMES = {(RECENCY, RANDOM): 10, (OFFSET, RANDOM): 16, (RECENCY, PLAIN): 4}
# Tokens, and how many of them are marked instead of a quarter.
MARKS = ((LONGEST, TRAINED[1] // 4), (TRAINED[1], TRAINED[1] - 1))
AS_TRAINED = "as trained"
COPIED = (TRAINED[1] - 1, 24, 20, 16)  # the distances whose entries are copied


@dataclass(frozen=True, kw_only=True)
class Config(grid.Config):
    """What a run depends on, the machine aside: as ``grid.Config``, and

    Args:
        encodings: names of ``conditions.ENCODINGS``; each meets the conditions that have its rate.
        lengths: of the sequences that are asked.
        gaps: between positions that are asked evenly.
        held_out: new sequences, as in training, of which the loss is taken.
    """

    CHOICES: ClassVar = {"settings": SETTINGS, "encodings": ENCODINGS}

    settings: tuple[str, ...] = (RECENCY, OFFSET)
    encodings: tuple[str, ...] = (*RATES[RECENCY, RANDOM], "relative_bias 128")
    lengths: tuple[int, ...] = (32, 64, 128, 256)
    gaps: tuple[int, ...] = (8, 4, 2, 1)
    held_out: int = 400


PRESETS = {
    "smoke": Config(
        settings=(RECENCY,),
        encodings=("shaw 48",),
        seeds=(0, 1),
        steps=10,
        lengths=(32, 64),
        gaps=(8, 1),
        count=20,
        held_out=20,
    ),
    "book": Config(
        settings=(RECENCY,), encodings=("relative_bias 128",), seeds=(0, 1), steps=400, count=200
    ),
    "full": Config(),
}
DURATIONS = {"smoke": "a few seconds", "book": "half a minute", "full": "about an hour and a half"}


@dataclass(frozen=True)
class Cell(grid.Cell):
    """One encoding on one task under one condition."""

    task: str
    condition: str
    encoding: str


def cells(config: Config) -> Iterator[Cell]:
    """All that have a rate."""
    for (task, condition), rates in RATES.items():
        for encoding in rates:
            if task in config.settings and encoding in config.encodings:
                yield Cell(task, condition, encoding)


def run_cell(
    cell: Cell, config: Config, checkpoints: Path | None, progress: Progress
) -> list[dict]:
    """A row for each question and seed."""
    key = cell.task, cell.condition
    steps = config.steps or SETTINGS[cell.task].steps * TIMES[key]
    recipe = conditions.recipe(cell.task, cell.condition, steps)
    task = SETTINGS[cell.task].under(cell.condition)
    trained = training.train_ensemble(
        ENCODINGS[cell.encoding],
        task,
        recipe,
        seeds=config.seeds,
        rates=RATES[key][cell.encoding],
        device=config.device,
        checkpoint=checkpoints and checkpoints / "models",
        progress=progress,
    )
    losses = search.losses(trained, task, recipe, config.held_out)
    rows = []
    for entries, models in _controlled(cell, trained):
        for marks, question in questions(cell, config):
            same = {**asdict(cell), **asdict(question), "entries": entries, "marks": marks}
            rows += grid.rows(
                COLUMNS,
                models,
                SETTINGS[cell.task].under(cell.condition, marks=marks),
                [question.n],
                config.count,
                same,
                max_position=question.max_position,
                positions=question.positions(config.count),
                loss=losses,
            )
    return rows


def _controlled(cell: Cell, trained: Trained) -> Iterator[tuple[str, Trained]]:
    """The models and, of plain ones, the models with entries overwritten."""
    yield AS_TRAINED, trained
    if cell.condition == PLAIN:
        for distance in COPIED:
            yield (
                overwritten_by(distance),
                replace(trained, model=overwritten(trained.model, distance)),
            )


def overwritten_by(distance: int) -> str:
    """What a record calls models whose untrained entries are copies of that for a distance."""
    return f"overwritten by {distance}"


def questions(cell: Cell, config: Config) -> Iterator[tuple[int | None, Question]]:
    """How many marks, if not a quarter, and the question."""
    every = conditions.questions(cell.condition, cell.encoding, config.lengths, config.gaps)
    for question in every:
        yield None, question
    if (cell.task, cell.condition) == (RECENCY, RANDOM):
        for n, marks in MARKS:
            if n in config.lengths:
                yield marks, Question("longer", n, LONGEST, LONGEST / n)


@torch.no_grad()
def overwritten(
    model: torch.nn.Module, distance: int, largest: int = TRAINED[1] - 1
) -> torch.nn.Module:
    """A copy whose vectors or buckets beyond the trained distances are all like another.

    Args:
        model: of Shaw's vectors or T5's buckets, causal.
        distance: whose entry is copied.
        largest: the largest distance in training; its entry stays.

    Raises:
        ValueError: if the model has neither.
    """
    model = copy.deepcopy(model)
    match model.encoding:
        case Shaw(tables=tables):
            for table in tables:  # an entry for each signed distance, 0 in the middle
                middle = table.shape[-2] // 2
                own = table[..., [middle - distance], :]
                table[..., : middle - largest, :] = own
        case RelativeBias(table=table, max_distance=end):
            copied, last = relative_bias.bucket(
                torch.tensor([distance, largest]),
                causal=True,
                buckets=table.shape[-1],
                max_distance=end,
            )
            table[..., last + 1 :] = table[..., [copied]]
        case other:
            name = type(other).__name__
            raise ValueError(f"model must have vectors or buckets of distances, got {name}")
    return model


# --- what was found -----------------------------------------------------------------------------


def accuracies(
    run: Run,
    task: str,
    encoding: str,
    question: Question,
    condition: str = RANDOM,
    *,
    entries: str = AS_TRAINED,
    marks: int | None = None,
) -> list[float]:
    """How often the last answer of a sequence is right, one number a seed."""
    return run.values(
        "accuracy",
        task=task,
        encoding=encoding,
        condition=condition,
        entries=entries,
        marks=marks,
        **asdict(question),
    )


def table(run: Run, task: str, condition: str = RANDOM) -> Table:
    """Means over seeds, and the least and the most, of everything that was asked."""
    asked = {
        (row["entries"], row["marks"], row["asked"], row["n"], row["end"], row["gap"]): None
        for row in run.records
        if (row["task"], row["condition"]) == (task, condition)
    }
    heads, rows = [], []
    for entries, marks, *how in asked:
        words = Question(*how).words
        words += f", {marks} marks" if marks is not None else ""
        heads.append(words + (f", {entries}" if entries != AS_TRAINED else ""))
    for encoding in RATES[task, condition]:
        found = [
            accuracies(run, task, encoding, Question(*how), condition, entries=entries, marks=marks)
            for entries, marks, *how in asked
        ]
        if any(found):
            rows.append([encoding, *(spread(values) for values in found)])
    return Table(["encoding", *heads], rows)
