"""What it takes to find a token at a fixed offset: vectors that reach it, or patience.

"40 back": of Shaw's encoding with the reach 16, a layer tells the 15 tokens before from each other,
and the next goes on from there: two layers get to 30.  Each encoding trains on texts of 48 to 64
tokens, at its own best learning rate (``tuning``).

"3 back, longer": the task of ``length``, at the rate that was chosen there, in nearly six times as
many steps, for those who had not learned it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from attention_limits import tasks, training
from attention_limits.experiments import Progress, tuning
from attention_limits.experiments.length import Cell
from attention_limits.models import Architecture
from attention_limits.runs.records import Run
from attention_limits.training import Recipe

COLUMNS = ("setting", "encoding", "seed", "rate", "ended", "n", "accuracy")


@dataclass(frozen=True)
class Setting:
    """How far back the token is, who looks for it, how they train, and what lengths are asked."""

    back: int
    encodings: Mapping[str, Architecture]
    trained: tuple[int, int]
    steps: int
    rates: tuple[float, ...]
    asked: tuple[int, int]


SETTINGS = {
    "40 back": Setting(
        back=40,
        encodings={
            "rotary": Architecture(position="rotary"),
            "shaw": Architecture(position="shaw", position_options={"max_distance": 16}),
            "shaw, reach 48": Architecture(position="shaw", position_options={"max_distance": 48}),
        },
        trained=(48, 64),
        steps=400,
        rates=tuning.RATES,
        asked=(64, 128),
    ),
    "3 back, longer": Setting(
        back=3,
        encodings={"none": Architecture(), "alibi": Architecture(position="alibi")},
        trained=(8, 32),
        steps=2000,
        rates=(1e-2,),
        asked=(32, 256),
    ),
}


@dataclass(frozen=True)
class Config:
    """What a run depends on, the machine aside.

    Args:
        settings: names of ``SETTINGS``.
        seeds: of the models; those of ``tuning`` are not among them.
        steps: how many, whatever the settings say; None for as many as they say.
        count: how many texts of each length are asked.
        device: what computes.
        threads: of what is not training; that takes one a core.
    """

    settings: tuple[str, ...] = tuple(SETTINGS)
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    steps: int | None = None
    count: int = 500
    device: str = "cpu"
    threads: int = 1

    def __post_init__(self) -> None:
        if unknown := set(self.settings) - SETTINGS.keys():
            raise ValueError(f"settings must be among {', '.join(SETTINGS)}, got {unknown}")


PRESETS = {
    "smoke": Config(("3 back, longer",), (0, 1), steps=5, count=20),
    "book": Config(("3 back, longer",), (0,), steps=350),
    "full": Config(),
}
TAKES = {"smoke": "a few seconds", "book": "half a minute", "full": "about eight minutes"}


def cells(config: Config) -> Iterator[Cell]:
    """Every encoding of every setting."""
    for setting in config.settings:
        for encoding in SETTINGS[setting].encodings:
            yield Cell(setting, encoding)


def run_cell(
    cell: Cell, config: Config, checkpoints: Path | None, progress: Progress
) -> list[dict]:
    """A row for each length and seed."""
    setting = SETTINGS[cell.setting]
    task = tasks.make("token_back", k=setting.back)
    trained = tuning.train(
        setting.encodings[cell.encoding],
        task,
        Recipe(steps=config.steps or setting.steps, lengths=setting.trained),
        seeds=config.seeds,
        device=config.device,
        rates=setting.rates,
        checkpoints=checkpoints,
        progress=progress,
    )
    return [
        {
            "setting": cell.setting,
            "encoding": cell.encoding,
            **trained.of(row["model"]),
            "n": n,
            "accuracy": row["last"],
        }
        for n in setting.asked
        for row in training.evaluate(trained, task, n, count=config.count)
    ]


def accuracies(run: Run, setting: str, encoding: str, n: int) -> list[float]:
    """The last answer of a text, right how often, one a seed."""
    where = (setting, encoding, n)
    return [r["accuracy"] for r in run.records if (r["setting"], r["encoding"], r["n"]) == where]
