"""Which small models learn which task at all, at the lengths that they are trained on.

Before one asks how far a model carries what it learned, or why it does not, it has to have learned
it. Each task meets the same models, each at its own best learning rate (``tuning``), and is asked
on new texts of the longest length in training. What is said of a model is said of so many steps.
Beside its accuracy stand its size and what it holds of a text of that length, at 4 bytes a number.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from attention_limits import models, tasks, training
from attention_limits.experiments import Progress, tuning
from attention_limits.models import Architecture
from attention_limits.runs.records import Run
from attention_limits.runs.table import Table
from attention_limits.training import Recipe

COLUMNS = (
    "task",
    "model",
    "seed",
    "rate",
    "steps",
    "ended",
    "n",
    "accuracy",
    "last",
    "parameters",
    "state_bytes",
)

MODELS = {
    "attention": Architecture(position="rotary"),
    "attention, no positions": Architecture(),
    "attention, window 8": Architecture(
        mechanism="sliding_window", options={"window": 8}, position="rotary"
    ),
    "convolution": Architecture(kind="convolution", layers=3),
    "gru": Architecture(kind="gru"),
}


@dataclass(frozen=True)
class Setting:
    """A task with its knobs, how many steps it gets and at which lengths."""

    task: str
    knobs: tuple[tuple[str, object], ...] = ()
    steps: int = 400
    lengths: tuple[int, int] = (8, 32)

    def make(self) -> tasks.Task:
        """The task."""
        return tasks.make(self.task, **dict(self.knobs))


SETTINGS = {
    "token 3 back": Setting("token_back"),
    "most recent": Setting("most_recent"),
    "first token": Setting("first_token"),
    "recall": Setting("recall", (("pairs", 4), ("queries", 4)), 600, (16, 32)),
    "copy": Setting("copy", (), 600),
    "prefix majority": Setting("prefix_majority"),
    "motif": Setting("motif"),
    "rule 110": Setting("rule_110"),
    "parity": Setting("parity", (), 400, (2, 20)),
    "counting mod 5": Setting("modular_counting", (), 400, (2, 20)),
    "S3": Setting("permutations", (("group", "S3"),), 400, (2, 20)),
    "A5": Setting("permutations", (("group", "A5"),), 600, (2, 20)),
    "agreement": Setting("agreement", (), 400, (16, 32)),
    "irregular events": Setting("irregular_events"),
}


@dataclass(frozen=True)
class Config:
    """What a run depends on, the machine aside.

    Args:
        settings: names of ``SETTINGS``.
        models: names of ``MODELS``.
        seeds: of the models; those of ``tuning`` are not among them.
        rates: learning rates that each model may choose from.
        steps: how many, whatever the settings say; None for as many as they say.
        count: texts by which a model is judged.
        device: what computes.
        threads: of what is not training; that takes one a core.
    """

    settings: tuple[str, ...] = tuple(SETTINGS)
    models: tuple[str, ...] = tuple(MODELS)
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    rates: tuple[float, ...] = tuning.RATES
    steps: int | None = None
    count: int = 500
    device: str = "cpu"
    threads: int = 1

    def __post_init__(self) -> None:
        for name, known in (("settings", SETTINGS), ("models", MODELS)):
            if unknown := set(getattr(self, name)) - known.keys():
                raise ValueError(f"{name} must be among {', '.join(known)}, got {unknown}")


PRESETS = {
    "smoke": Config(settings=("first token",), seeds=(0, 1), rates=(3e-3,), steps=20, count=20),
    "book": Config(
        settings=("first token", "parity"), models=("attention", "gru"), seeds=(0,), rates=(3e-3,)
    ),
    "full": Config(),
}
TAKES = {"smoke": "a few seconds", "book": "about half a minute", "full": "about forty minutes"}


@dataclass(frozen=True)
class Cell:
    """One kind of model on one task."""

    setting: str
    model: str

    @property
    def name(self) -> str:
        """Both, as a line of progress and a folder are called."""
        return f"{self.setting}, {self.model}"


def cells(config: Config) -> Iterator[Cell]:
    """Every model on every task."""
    for setting in config.settings:
        for model in config.models:
            yield Cell(setting, model)


def run_cell(
    cell: Cell, config: Config, checkpoints: Path | None, progress: Progress
) -> list[dict]:
    """A row for each seed."""
    setting = SETTINGS[cell.setting]
    task, steps = setting.make(), config.steps or setting.steps
    trained = tuning.train(
        MODELS[cell.model],
        task,
        Recipe(steps=steps, lengths=setting.lengths),
        seeds=config.seeds,
        device=config.device,
        rates=config.rates,
        checkpoints=checkpoints,
        progress=progress,
    )
    n = setting.lengths[1]
    size = {
        "parameters": models.parameters(trained.model),
        "state_bytes": models.state_bytes(MODELS[cell.model], n),
    }
    return [
        {
            "task": cell.setting,
            "model": cell.model,
            "seed": trained.seeds[row["model"]],
            "rate": trained.rates[row["model"]],
            "steps": trained.steps[row["model"]],
            "ended": trained.ended[row["model"]],
            "n": n,
            "accuracy": row["accuracy"],
            "last": row["last"],
            **size,
        }
        for row in training.evaluate(trained, task, n, count=config.count)
    ]


def accuracies(run: Run, setting: str, model: str, of: str = "last") -> list[float]:
    """One a seed, of the last answer in a text or (``of="accuracy"``) of all of them."""
    return [r[of] for r in run.records if (r["task"], r["model"]) == (setting, model)]


def table(run: Run) -> Table:
    """The last answer of a text, right how often: the least and the most of the seeds."""
    rows = []
    for setting in run.config["settings"]:
        found = (accuracies(run, setting, model) for model in run.config["models"])
        chance = SETTINGS[setting].make().chance
        rows.append([setting, f"{chance:.2f}", *map(_spread, found)])
    return Table(["task", "chance", *run.config["models"]], rows)


def _spread(values: list[float]) -> str:
    """One number where there is but one to two digits."""
    least, most = (f"{value:.2f}" for value in (min(values), max(values)))
    return least if least == most else f"{least} … {most}"
