"""What it takes to find a token at a fixed offset: vectors that reach it.

Of Shaw's encoding with the reach 16, a layer tells the 15 tokens before from each other, and the
next goes on from there: two layers get to 30.  Each encoding trains to find the token 40 back, on
48 to 64 tokens, at its own best learning rate (``tuning``).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from attention_limits.experiments import grid, tuning
from attention_limits.models import Architecture
from attention_limits.progress import Progress
from attention_limits.runs.records import Run

COLUMNS = ("setting", "encoding", "seed", "rate", "ended", "n", "accuracy")


@dataclass(frozen=True, kw_only=True)
class Setting(grid.Setting):
    """How far back the token is, who looks for it, at which rates, and what lengths are asked."""

    encodings: Mapping[str, Architecture]
    rates: tuple[float, ...]
    asked: tuple[int, int]


SETTINGS = {
    "40 back": Setting(
        task="token_back",
        parameters={"k": 40},
        encodings={
            "rotary": Architecture(position="rotary"),
            "shaw": Architecture(position="shaw", position_options={"max_distance": 16}),
            "shaw, reach 48": Architecture(position="shaw", position_options={"max_distance": 48}),
        },
        lengths=(48, 64),
        rates=tuning.RATES,
        asked=(64, 128),
    ),
}


@dataclass(frozen=True, kw_only=True)
class Config(grid.Config):
    """What a run depends on, the machine aside: as ``grid.Config``."""

    CHOICES: ClassVar = {"settings": SETTINGS}

    settings: tuple[str, ...] = tuple(SETTINGS)


PRESETS = {
    "smoke": Config(seeds=(0, 1), steps=5, count=20),
    "book": Config(seeds=(0,), steps=100),
    "full": Config(),
}
DURATIONS = {"smoke": "a few seconds", "book": "half a minute", "full": "about five minutes"}


@dataclass(frozen=True)
class Cell(grid.Cell):
    """One encoding of one setting."""

    setting: str
    encoding: str


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
    trained = grid.train(
        setting.encodings[cell.encoding],
        setting,
        config,
        rates=setting.rates,
        checkpoints=checkpoints,
        progress=progress,
    )
    same = {"setting": cell.setting, "encoding": cell.encoding}
    return [
        grid.row(COLUMNS, judged, **same, accuracy=judged["last"])
        for n in setting.asked
        for judged in grid.judge(trained, setting.make(), n, count=config.count)
    ]


def accuracies(run: Run, setting: str, encoding: str, n: int) -> list[float]:
    """How often the last answer of a sequence is right, one number a seed."""
    return run.values("accuracy", setting=setting, encoding=encoding, n=n)
