"""What experiments have in common that train models of several kinds on several tasks."""

import dataclasses
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from attention_limits import tasks, training
from attention_limits.checks import Plain
from attention_limits.experiments import tuning
from attention_limits.models import Architecture
from attention_limits.progress import Progress
from attention_limits.tasks import Task
from attention_limits.training import Recipe, Trained


@dataclass(frozen=True)
class Setting:
    """A task with its parameters, how many steps it gets and at which lengths."""

    task: str
    parameters: Mapping[str, object] = field(default_factory=dict)
    steps: int = 400
    lengths: tuple[int, int] = (8, 32)

    def make(self, **changes: object) -> Task:
        """The task, with other parameters if so wished."""
        return tasks.make(self.task, **{**self.parameters, **changes})


@dataclass(frozen=True, kw_only=True)
class Config(Plain):
    """What a run depends on, the machine aside.

    Args:
        settings: names of the experiment's settings.
        seeds: of the models; those of ``tuning`` are not among them.
        steps: how many, whatever the settings say; None for as many as they say.
        count: sequences of each length by which a model is judged.
        device: what computes.
        threads: of what is not training; that takes one a core.

    Raises:
        ValueError: naming a field of ``CHOICES`` that holds a name which is not among them.
    """

    CHOICES: ClassVar[Mapping[str, Collection[str]]] = {}  # by field, the names that it may hold

    settings: tuple[str, ...]
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    steps: int | None = None
    count: int = 500
    device: str = "cpu"
    threads: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, known in self.CHOICES.items():
            if unknown := set(getattr(self, name)) - set(known):
                raise ValueError(f"{name} must be among {', '.join(known)}, got {unknown}")


@dataclass(frozen=True)
class Cell:
    """A choice on each axis of an experiment, which are its fields."""

    @property
    def name(self) -> str:
        """All of them, as a line of progress and a folder are called."""
        return ", ".join(getattr(self, axis.name) for axis in dataclasses.fields(self))


def train(
    architecture: Architecture,
    setting: Setting,
    config: Config,
    *,
    rates: Sequence[float],
    task: Task | None = None,
    max_position: int | None = None,
    checkpoints: Path | None = None,
    progress: Progress | None = None,
) -> Trained:
    """Models of one kind, one a seed, each at the rate that suits the kind (``tuning``).

    Args:
        architecture: which kind.
        setting: what they learn, and for how long.
        config: the seeds, what computes, and the steps if these are others.
        rates: that it may choose from.
        task: in place of the setting's own.
        max_position: as for ``training.Recipe``.
        checkpoints: a folder for them.
        progress: told how it goes.
    """
    return tuning.train(
        architecture,
        task or setting.make(),
        Recipe(
            steps=config.steps or setting.steps, lengths=setting.lengths, max_position=max_position
        ),
        seeds=config.seeds,
        device=config.device,
        rates=rates,
        checkpoints=checkpoints,
        progress=progress,
    )


def judge(
    trained: Trained,
    task: Task,
    n: int,
    *,
    count: int,
    max_position: int | None = None,
    positions: np.ndarray | None = None,
) -> Iterator[dict[str, Any]]:
    """What is to be said of each model on new sequences: which it is, how it trained, how it does.

    Yields:
        Rows of "model" (its number), "seed", "rate", "steps", "ended", "n", and how many answers
        are right of all ("accuracy") and of the last in each sequence ("last").
    """
    where: dict[str, Any] = {"max_position": max_position}
    if positions is not None:
        where["positions"] = positions
    found = training.evaluate(trained, task, n, count=count, **where)
    for number, row in enumerate(found):  # one a model, in their order
        yield {**row, **trained.of(number), "steps": trained.steps[number]}


def rows(
    columns: Sequence[str],
    trained: Trained,
    task: Task,
    lengths: Sequence[int],
    count: int,
    same: Mapping[str, object],
    *,
    max_position: int | None = None,
    positions: np.ndarray | None = None,
    **each: Sequence[object],
) -> list[dict[str, object]]:
    """Rows of models at each length, whose "accuracy" is that of the last answer in a sequence.

    Args:
        columns: of the record.
        trained, task, lengths, count, max_position, positions: as for ``judge``.
        same: what is the same in all rows.
        each: by column, what each model has of its own.
    """
    found = []
    for n in lengths:
        for judged in judge(
            trained, task, n, count=count, max_position=max_position, positions=positions
        ):
            own = {name: values[judged["model"]] for name, values in each.items()}
            found.append(row(columns, judged, **same, **own, accuracy=judged["last"]))
    return found


def row(columns: Sequence[str], judged: Mapping[str, object], **more: object) -> dict[str, object]:
    """The columns of a record, from what is said of a model and what its experiment adds."""
    every = {**judged, **more}
    return {column: every[column] for column in columns}
