"""How far beyond its training a model carries one task: each encoding, condition and way to ask.

``conditions`` says what differs between them, and ``search`` how each finds its rate and its steps.
Every task is an experiment of its own (``most_recent``, ``three_back``, ``first_token``), which
gives its name to what is here. A cell is an encoding under a condition. Its rows are of

- "trial" models, at all rates and steps of the search: at the trained length, and at the longest;
- "test" models, on seeds of their own, at what was chosen: everything that can be asked.
"""

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import ClassVar

from attention_limits.experiments import conditions, grid, search
from attention_limits.experiments.conditions import ENCODINGS, LONGEST, SETTINGS, TRAINED, Question
from attention_limits.experiments.search import Budget
from attention_limits.progress import Progress
from attention_limits.runs.records import Run
from attention_limits.runs.table import Table, spread
from attention_limits.training import Trained

COLUMNS = (
    "encoding",
    "condition",
    "role",
    "seed",
    "rate",
    "steps",
    "ended",
    "at_edge",
    "loss",
    "asked",
    "n",
    "end",
    "gap",
    "accuracy",
)
# Reach and first weights are swept under two conditions; the others are for one of each kind.
ONCE = ("learned 1", "relative_bias 128", "shaw 16")


@dataclass(frozen=True, kw_only=True)
class Config(search.Config):
    """What a run depends on, the machine aside: as ``search.Config``, with one setting, and

    Args:
        encodings: names of ``conditions.ENCODINGS``.
        conditions: of ``conditions.CONDITIONS``; an encoding trains under those that it hears.
        budget: of the search.
        lengths: of the sequences that are asked.
        gaps: between positions that are asked evenly.
    """

    CHOICES: ClassVar = {
        "settings": SETTINGS,
        "encodings": ENCODINGS,
        "conditions": conditions.CONDITIONS,
    }

    encodings: tuple[str, ...] = tuple(ENCODINGS)
    conditions: tuple[str, ...] = conditions.CONDITIONS
    budget: Budget = field(default_factory=Budget)
    lengths: tuple[int, ...] = (32, 64, 128, 256)
    gaps: tuple[int, ...] = (8, 4, 2, 1)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not all(TRAINED[0] <= n <= LONGEST for n in self.lengths):
            raise ValueError(f"lengths must be {TRAINED[0]} to {LONGEST}, got {self.lengths}")
        if not all(1 <= gap <= (LONGEST - 1) // (TRAINED[1] - 1) for gap in self.gaps):
            raise ValueError(f"gaps must leave room for {TRAINED[1]} tokens, got {self.gaps}")


def presets(setting: str, under: tuple[str, ...] = conditions.CONDITIONS) -> dict[str, Config]:
    """Those of an experiment on one task, under these conditions."""
    return {
        "smoke": Config(
            settings=(setting,),
            encodings=("none", "rotary"),
            conditions=("random positions", "plain"),
            seeds=(0, 1),
            budget=Budget(rates=(1e-3, 3e-3), patience=(1,), seeds=(1000,), count=20),
            steps=10,
            lengths=(32, 64),
            gaps=(8, 1),
            count=20,
        ),
        "book": Config(
            settings=(setting,),
            encodings=("none", "rotary"),
            conditions=("plain",),
            seeds=(0, 1),
            budget=Budget(rates=(3e-3,), patience=(1,)),
            count=200,
        ),
        "full": Config(settings=(setting,), conditions=under),
    }


@dataclass(frozen=True)
class Cell(grid.Cell):
    """One encoding under one condition."""

    encoding: str
    condition: str


def cells(config: Config) -> Iterator[Cell]:
    """Condition by condition, every encoding that hears it."""
    [setting] = config.settings
    for condition in config.conditions:
        for encoding in config.encodings:
            hears = condition in conditions.mean_something(setting, encoding)
            if hears and (encoding not in ONCE or condition in ("plain", "random positions")):
                yield Cell(encoding, condition)


def run_cell(
    cell: Cell, config: Config, checkpoints: Path | None, progress: Progress
) -> list[dict]:
    """Rows of the trials, and then of the models that are tested."""
    [setting] = config.settings
    recipe = conditions.recipe(setting, cell.condition, config.steps)
    rows: list[dict] = []

    def look(trained: Trained) -> None:
        lengths = (TRAINED[1], max(config.lengths))
        questions = conditions.questions(cell.condition, cell.encoding, lengths, ())
        longer = (question for question in questions if question.asked == "longer")
        rows.extend(ask(cell, config, trained, longer, role="trial", at_edge=None))

    task = SETTINGS[setting].under(cell.condition, cell.encoding)
    choice, trained = search.train(
        ENCODINGS[cell.encoding], task, recipe, config, checkpoints, progress, look
    )
    asked = conditions.questions(cell.condition, cell.encoding, config.lengths, config.gaps)
    return rows + ask(cell, config, trained, asked, role="test", at_edge=choice.at_edge)


def ask(
    cell: Cell, config: Config, trained: Trained, questions: Iterable[Question], **same: object
) -> list[dict]:
    """A row for each question and model of a cell; ``same`` is the same in all of them."""
    [setting] = config.settings
    task = SETTINGS[setting].under(cell.condition, cell.encoding)
    recipe = conditions.recipe(setting, cell.condition, config.steps)
    losses = search.losses(trained, task, recipe, config.budget.count)
    rows = []
    for question in questions:
        rows += grid.rows(
            COLUMNS,
            trained,
            task,
            [question.n],
            config.count,
            {**asdict(cell), **asdict(question), **same},
            max_position=question.max_position,
            positions=question.positions(config.count),
            loss=losses,
        )
    return rows


# --- what was found -----------------------------------------------------------------------------


def accuracies(run: Run, encoding: str, condition: str, question: Question) -> list[float]:
    """How often the last answer of a sequence is right, one number a tested seed."""
    return run.values(
        "accuracy",
        encoding=encoding,
        condition=condition,
        role="test",
        asked=question.asked,
        n=question.n,
        end=question.end,
        gap=question.gap,
    )


def chosen(run: Run, encoding: str, condition: str) -> tuple[float, int, bool]:
    """The rate and the steps that an encoding found under a condition; whether at the edge."""
    [found] = {
        (row["rate"], row["steps"], row["at_edge"])
        for row in run.records
        if (row["encoding"], row["condition"], row["role"]) == (encoding, condition, "test")
    }
    return found


def tried(run: Run, encoding: str, condition: str, n: int) -> dict[tuple[int, float], list[float]]:
    """By steps and rate, the accuracies of the models of the search on sequences of a length."""
    found: dict[tuple[int, float], list[float]] = {}
    for row in run.records:
        if (row["encoding"], row["condition"], row["role"]) == (encoding, condition, "trial"):
            each = found.setdefault((row["steps"], row["rate"]), [])
            if row["n"] == n:
                each.append(row["accuracy"])
    return {key: found[key] for key in sorted(found)}


def trials(run: Run, encoding: str, condition: str) -> Table:
    """What each rate of the search came to, at the trained length and at the longest."""
    lengths = (TRAINED[1], max(run.config["lengths"]))
    found = [tried(run, encoding, condition, n) for n in lengths]
    rows = [
        [f"{rate:g}", str(steps), *(spread(each[steps, rate]) for each in found)]
        for steps, rate in found[0]
    ]
    return Table(["rate", "steps", *(f"{n} tokens" for n in lengths)], rows)


def table(run: Run, condition: str) -> Table:
    """Means over seeds, and the least and most, of everything that was asked."""
    lengths, gaps = tuple(run.config["lengths"]), tuple(run.config["gaps"])
    told = next(name for name in ENCODINGS if name not in conditions.NOT_TOLD)
    asked = list(conditions.questions(condition, told, lengths, gaps))
    rows = []
    for encoding in run.config["encodings"]:
        found = [accuracies(run, encoding, condition, question) for question in asked]
        if not any(found):
            continue
        rate, steps, at_edge = chosen(run, encoding, condition)
        how = [f"{rate:g}{' (edge)' if at_edge else ''}", str(steps)]
        rows.append([encoding, *how, *(spread(x) if x else "–" for x in found)])
    return Table(["encoding", "rate", "steps", *(question.words for question in asked)], rows)
