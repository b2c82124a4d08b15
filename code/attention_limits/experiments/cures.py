r"""Rotary models beyond their training: cured afterwards, or trained with other frequencies.

Models train on 8 to 32 tokens, at 0, 1, 2, …, and are asked on up to eight times as many, without
another step of training. A model is one whose pairs turned, in training, by frequencies θ; when it
is asked, they turn by θ'.  What should come of it follows from θ and θ' alone (``expected``), with
no number that is fitted:

- A pair was *seen whole* if it completed a turn within the trained length. No angle is new to it,
  at any length. It tells an offset, but no order: it comes round again.
- Any other pair was seen up to some angle. If it is turned further than that, its angle is
  *strange*, and what the model makes of it was not trained. If none is strange, these pairs, which
  never come round, keep the order.
- An offset of k is kept if a query whose pairs have all learned to look k back still looks there
  first, with those that are not strange:

.. math::

    k = \arg\max_{0 \le \Delta < n} \sum_{i \text{ not strange}}
    \cos(k \theta_i - \Delta \theta_i')

So recency is carried if there is a pair that was not seen whole and none is strange; the first
token, which the causal mask shows to who knows no positions, also if some pairs do not turn at all
and none is strange; and an offset, if it is kept and none is strange.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from attention_limits import models
from attention_limits.experiments import conditions, grid, search
from attention_limits.experiments.conditions import SETTINGS, TRAINED
from attention_limits.experiments.search import Budget
from attention_limits.models import Architecture
from attention_limits.positions import rotary
from attention_limits.progress import Progress
from attention_limits.runs.records import Run
from attention_limits.runs.table import Table, spread
from attention_limits.tasks.lookup import TokenBack
from attention_limits.training import Trained

COLUMNS = (
    "task",
    "trained",
    "seed",
    "rate",
    "steps",
    "ended",
    "at_edge",
    "loss",
    "cure",
    "n",
    "whole",
    "strange",
    "peak",
    "accuracy",
)
WIDTH = Architecture().d_model // Architecture().heads
BASE = 10000.0
SHORT = TRAINED[1]


def _partial(share: float) -> tuple[float, ...]:
    """Only some of the pairs turn, and share the whole range of frequencies."""
    turning = round(share * WIDTH / 2)
    return (*_list(rotary.frequencies(2 * turning, base=BASE)), *[0.0] * (WIDTH // 2 - turning))


def _p_rope(share: float) -> tuple[float, ...]:
    """The fastest of the pairs turn, as ever; the slowest do not (:cite:t:`barbero2025round`)."""
    turning = round(share * WIDTH / 2)
    every = _list(rotary.frequencies(WIDTH, base=BASE))
    return (*every[:turning], *[0.0] * (WIDTH // 2 - turning))


def _list(theta: Any) -> tuple[float, ...]:
    return tuple(theta.double().tolist())


# What pairs turn by in training.
FREQUENCIES: dict[str, tuple[float, ...]] = {
    **{
        f"base {base:g}": _list(rotary.frequencies(WIDTH, base=base))
        for base in (BASE, 6.0, 16.0, 50.0, 1e6)
    },
    "p-RoPE 0.25": _p_rope(0.25),
    "p-RoPE 0.75": _p_rope(0.75),
    "partial 0.5": _partial(0.5),
}
RAMPS = ((0.25, 0.5), (0.75, 1.5), (1.0, 2.0), (1.0, 4.0), (2.0, 8.0), (1.0, 32.0))
NOTHING, INTERPOLATED, NTK, LARGER, SHARPENED = (
    "nothing",
    "interpolated",
    "NTK-aware",
    "larger base",
    "YaRN 1-4, sharpened",
)
YARN = tuple(f"YaRN {low:g}-{high:g}" for low, high in RAMPS)
CURES = (NOTHING, INTERPOLATED, NTK, LARGER, *YARN, SHARPENED)
CURED = "base 10000"  # the others are asked as they are


def cured(cure: str, n: int) -> tuple[float, ...]:
    """θ', what the pairs of ``CURED`` turn by, on n tokens."""
    theta, factor = rotary.frequencies(WIDTH, base=BASE), max(1.0, n / SHORT)
    if cure == NOTHING:
        return _list(theta)
    if cure == INTERPOLATED:
        return _list(rotary.interpolated(theta, factor))
    if cure == NTK:
        return _list(rotary.ntk_aware(WIDTH, BASE, factor))
    if cure == LARGER:
        return _list(rotary.frequencies(WIDTH, base=base_without_new_angles(factor)))
    low, high = map(float, cure.removeprefix("YaRN ").partition(",")[0].split("-"))
    return _list(rotary.yarn(WIDTH, BASE, factor, SHORT, low, high))


def base_without_new_angles(factor: float) -> float:
    """The base b s^(F/i), which divides by s the fastest pair i without a full turn.

    Slower pairs are divided by more, so none of them meets a new angle.

    Args:
        factor: s, how many times the trained length is asked.
    """
    theta = rotary.frequencies(WIDTH, base=BASE).tolist()
    first = next(i for i, each in enumerate(theta) if each * SHORT < 2 * math.pi)
    return BASE * factor ** (len(theta) / first)


# --- what theory expects ------------------------------------------------------------------------


@dataclass(frozen=True)
class Expected:
    """What follows from the frequencies in training and those when asked.

    Attributes:
        whole: how many pairs completed a turn within the trained length.
        slow: how many others there are that turn at all.
        still: how many pairs do not turn.
        strange: how many of these reach an angle that they had not in training.
        peak: how far back pairs that are not strange look that have learned to look ``k`` back.
        k: the offset of the task.
    """

    whole: int
    slow: int
    still: int
    strange: int
    peak: int
    k: int

    @property
    def carried(self) -> dict[str, bool]:
        """Whether each task of ``conditions.SETTINGS`` should be."""
        familiar = not self.strange
        return {
            "most recent": familiar and self.slow > 0,
            "token 3 back": familiar and self.whole > 0 and self.peak == self.k,
            "first token": familiar and self.slow + self.still > 0,
        }


def expected(
    before: Sequence[float], after: Sequence[float], n: int, k: int = TokenBack().k
) -> Expected:
    """What to expect of models whose pairs turned by ``before`` when they are asked on n tokens."""
    pairs = [(a, b) for a, b in zip(before, after, strict=True) if a]
    whole = [(a, b) for a, b in pairs if a * SHORT >= 2 * math.pi]
    slow = [pair for pair in pairs if pair not in whole]
    strange = [(a, b) for a, b in slow if b * n > a * SHORT * (1 + 1e-9)]
    known = [pair for pair in pairs if pair not in strange]

    def answer(distance: int) -> float:
        return sum(math.cos(k * a - distance * b) for a, b in known)

    still = len(before) - len(pairs)
    return Expected(len(whole), len(slow), still, len(strange), max(range(n), key=answer), k)


# --- cells --------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Config(search.Config):
    """What a run depends on, the machine aside: as ``search.Config``, of ``SETTINGS``, and

    Args:
        trained: names of ``FREQUENCIES``.
        cures: of ``CURES``.
        budget: of the search.
        lengths: of the sequences that are asked.
    """

    CHOICES: ClassVar = {"settings": SETTINGS, "trained": FREQUENCIES, "cures": CURES}

    settings: tuple[str, ...] = tuple(SETTINGS)
    trained: tuple[str, ...] = tuple(FREQUENCIES)
    cures: tuple[str, ...] = CURES
    budget: Budget = field(default_factory=lambda: Budget(rates=(1e-3, 3e-3, 1e-2)))
    lengths: tuple[int, ...] = (32, 64, 128, 256)
    count: int = 300


PRESETS = {
    "smoke": Config(
        settings=("first token",),
        trained=(CURED, "base 6"),
        cures=(NOTHING, INTERPOLATED),
        seeds=(0, 1),
        budget=Budget(rates=(3e-3,), patience=(1,)),
        steps=10,
        lengths=(32, 64),
        count=20,
    ),
    "book": Config(
        settings=("token 3 back",),
        trained=(CURED,),
        seeds=(0, 1),
        budget=Budget(rates=(3e-3,), patience=(1,)),
        count=100,
    ),
    "full": Config(),
}
DURATIONS = {"smoke": "a few seconds", "book": "half a minute", "full": "about an hour"}


@dataclass(frozen=True)
class Cell(grid.Cell):
    """One task, and what pairs turn by in training."""

    setting: str
    trained: str


def cells(config: Config) -> Iterator[Cell]:
    """All tasks with the frequencies of each kind, in turn."""
    for trained in config.trained:
        for setting in config.settings:
            yield Cell(setting, trained)


def architecture(frequencies: Sequence[float], *, sharper: float = 1.0) -> Architecture:
    """A rotary model of these frequencies, whose scores are multiplied by a number."""
    options = {} if sharper == 1 else {"scale": sharper / math.sqrt(WIDTH)}
    return Architecture(
        position="rotary",
        position_options={"frequencies": tuple(frequencies)},
        options=options,
    )


def turned_by(trained: Trained, changed: Architecture, setting: str) -> Trained:
    """The same weights in another architecture, which has as many."""
    task = SETTINGS[setting].make()
    model = models.build(
        changed, vocabulary=task.vocabulary, classes=task.classes, seeds=trained.seeds
    )
    model.load_state_dict(trained.model.state_dict())
    device = next(trained.model.parameters()).device
    return replace(trained, model=model.to(device))


def run_cell(
    cell: Cell, config: Config, checkpoints: Path | None, progress: Progress
) -> list[dict]:
    """A row for each cure, length and seed."""
    before, task = FREQUENCIES[cell.trained], SETTINGS[cell.setting].make()
    recipe = conditions.recipe(cell.setting, "plain", config.steps)
    choice, trained = search.train(
        architecture(before), task, recipe, config, checkpoints, progress
    )
    losses = search.losses(trained, task, recipe, config.budget.count)
    same = {"task": cell.setting, "trained": cell.trained, "at_edge": choice.at_edge}
    rows: list[dict] = []
    for cure in config.cures if cell.trained == CURED else (NOTHING,):
        for n in config.lengths:
            if n == SHORT and cure != NOTHING:
                continue
            after = cured(cure, n) if cell.trained == CURED else before
            sharper = rotary.yarn_temperature(n / SHORT) ** 2 if cure == SHARPENED else 1.0
            asked = turned_by(trained, architecture(after, sharper=sharper), cell.setting)
            theory = expected(before, after, n)
            found = {**same, **asdict(theory), "cure": cure}
            rows += grid.rows(COLUMNS, asked, task, [n], config.count, found, loss=losses)
    return rows


# --- what was found -----------------------------------------------------------------------------


def pairs(config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """All that a run trained, each with all that cures it."""
    for trained in config["trained"]:
        for cure in config["cures"] if trained == CURED else (NOTHING,):
            yield trained, cure


def turned(trained: str, cure: str, n: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """θ and θ', what pairs turned by in training and turn by on n tokens."""
    before = FREQUENCIES[trained]
    return before, cured(cure, n) if trained == CURED else before


def accuracies(run: Run, task: str, trained: str, cure: str, n: int) -> list[float]:
    """How often the last answer of a sequence is right, one number a seed."""
    return run.values("accuracy", task=task, trained=trained, cure=cure, n=n)


def carried(run: Run, task: str, trained: str, cure: str, n: int) -> bool:
    """Whether more than half is left on n tokens of what these models had learned, above a guess.

    That is on average over seeds.
    """
    return bool(np.mean(left(run, task, trained, cure, n)) > 0)


def left(run: Run, task: str, trained: str, cure: str, n: int) -> np.ndarray:
    """How far each seed's accuracy lies above half of what it was, of which a guess is no part."""
    before = np.array(accuracies(run, task, trained, NOTHING, SHORT))
    half = (before + SETTINGS[task].make().chance) / 2
    return np.array(accuracies(run, task, trained, cure, n)) - half


def table(run: Run, n: int | None = None) -> Table:
    """What theory expects, and what was found, at one length; the longest if none is given."""
    n = n or max(run.config["lengths"])
    rows = []
    for trained, cure in pairs(run.config):
        theory = expected(*turned(trained, cure, n), n)
        shown = [f"{trained}, {cure}", f"{theory.whole}", f"{theory.strange}"]
        for task in run.config["settings"]:
            found = accuracies(run, task, trained, cure, n)
            shown.append("yes" if theory.carried[task] else "no")
            shown.append(spread(found) if found else "–")
        rows.append(shown)
    tasks = [word for task in run.config["settings"] for word in ("expected", task)]
    return Table(["trained with, cured by", "seen whole", "strange", *tasks], rows)
