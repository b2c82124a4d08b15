"""How many images small models need, and what they make of images that move or are finer.

The images are scikit-learn's digits, 1,797 of 8 by 8 pixels, each in the middle of a canvas of 12
by 12.  A thousand are there to learn from, 297 choose the learning rate, and 500 are asked in the
end.  They are dealt once, at random, so that the writers are the same everywhere.  Each model,
condition and number of images has a rate of its own, of least error by models of two seeds that are
used for nothing else; the search goes on while the best is at the edge of what was tried.

Three conditions:

- centred: as they are;
- shuffled: all pixels of the canvas are put into another order, the same for all images;
- moved: in each step, each image is moved by up to two pixels along both axes.

Models that were trained on centred or moved images are asked of images that they have not seen the
like of, too: moved, cut, and enlarged.
"""

import copy
import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from torch.func import functional_call, stack_module_state, vmap
from torch.nn.functional import cross_entropy, interpolate, pad

from attention_limits import devices
from attention_limits.experiments import grid, image_models, search
from attention_limits.experiments.image_models import CANVAS, FULL, MODELS, OF_TRANSFORMERS, PATCH
from attention_limits.experiments.search import Trial
from attention_limits.progress import Progress
from attention_limits.runs.records import Run
from attention_limits.runs.table import Table
from attention_limits.training import updates

CENTRED, SHUFFLED, MOVED = "centred", "shuffled", "moved"
CONDITIONS = (CENTRED, SHUFFLED, MOVED)
MARGIN, POOL, ASKED = 2, 1000, 500
BATCH = 32
LAST = {SHUFFLED: 1, MOVED: 2}  # so many of the numbers of images, the largest
RATES = (1e-3, 3e-3, 1e-2)  # with which a search begins
SEARCH_SEEDS = (1000, 1001)
PLAIN = "plain"

Images = torch.Tensor  # (…, rows, columns)
# What is made of an image, and where its patches are then said to be; None: where they stand.
Change = tuple[Callable[[Images], Images], torch.Tensor | None]


def moved(images: Images, down: int, right: int) -> Images:
    """Images so many pixels on; margins are empty, so that what leaves is nothing but ground."""
    return images.roll((down, right), (-2, -1))


def _cut(images: Images) -> Images:
    """Without the margins."""
    return images[..., MARGIN:-MARGIN, MARGIN:-MARGIN]


def _enlarged(images: Images) -> Images:
    """Twice as many pixels a side."""
    return interpolate(images[:, None], scale_factor=2, mode="bilinear")[:, 0]


def _changes() -> dict[str, list[Change]]:
    sides = ((1, 0), (-1, 0), (0, 1), (0, -1))
    inside = (CANVAS - 2 * MARGIN) // PATCH
    fine = image_models.places(CANVAS, CANVAS)  # of patches, twice as many a side
    return {
        PLAIN: [(lambda images: images, None)],
        **{
            f"moved by {by}": [
                (functools.partial(moved, down=by * y, right=by * x), None) for y, x in sides
            ]
            for by in range(1, MARGIN + 1)
        },
        "cut": [(_cut, image_models.places(inside, inside) + MARGIN / PATCH)],
        "cut, counted anew": [(_cut, None)],
        # Patches of half the size: their middles lie a quarter of a patch beside the old ones.
        "enlarged": [(_enlarged, (fine - 0.5) / 2)],
        "enlarged, counted on": [(_enlarged, None)],
    }


CHANGES = _changes()
OTHER_SIZES = ("cut", "enlarged")
NO_OTHER_SIZE = (FULL,)  # who takes images of the canvas only
COLUMNS = ("model", "condition", "examples", "seed", "rate", "at_edge", "loss", *CHANGES)


@dataclass(frozen=True, kw_only=True)
class Config(grid.Config):
    """What a run depends on, the machine aside: as ``grid.Config``, and

    Args:
        settings: the conditions.
        models: names of ``MODELS``.
        examples: how many images there are to learn from, in turn; see ``LAST``.
        steps: of all conditions.
        rates: with which a search begins, neighbours on ``search.GRID``; a single one is taken.
    """

    CHOICES: ClassVar = {"settings": CONDITIONS, "models": MODELS}

    settings: tuple[str, ...] = CONDITIONS
    models: tuple[str, ...] = MODELS
    examples: tuple[int, ...] = (50, 200, 1000)
    steps: int = 2000
    rates: tuple[float, ...] = RATES
    seeds: tuple[int, ...] = (0, 1, 2)
    count: int = ASKED

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.examples or max(self.examples) > POOL or min(self.examples) < 1:
            raise ValueError(f"examples must be from 1 to {POOL}, got {self.examples}")


PRESETS = {
    "smoke": Config(
        settings=(CENTRED, MOVED),
        models=(image_models.CONVOLUTION, image_models.ROTARY),
        examples=(20,),
        seeds=(0, 1),
        steps=10,
        rates=(3e-3,),
        count=50,
    ),
    "book": Config(
        settings=(CENTRED,), examples=(100,), seeds=(0, 1), steps=200, rates=(3e-3,), count=200
    ),
    "full": Config(),
}
DURATIONS = {"smoke": "a few seconds", "book": "a minute", "full": "about two hours"}


@dataclass(frozen=True)
class Cell(grid.Cell):
    """One model under one condition."""

    model: str
    condition: str


def cells(config: Config) -> Iterator[Cell]:
    """All models under each condition."""
    for condition in config.settings:
        for model in config.models:
            yield Cell(model, condition)


def run_cell(
    cell: Cell, config: Config, checkpoints: Path | None, progress: Progress
) -> list[dict]:
    """A row for each number of images and each seed."""
    rows: list[dict] = []
    examples = config.examples[-LAST.get(cell.condition, len(config.examples)) :]
    for place, count in enumerate(examples):
        progress(place / len(examples), f"{cell.name}: {count} images")
        rate, at_edge = best_rate(cell, config, count)
        found = learn(cell, config, count, [rate] * len(config.seeds), config.seeds)
        same = {"model": cell.model, "condition": cell.condition, "examples": count}
        same |= {"rate": rate, "at_edge": at_edge}
        asked = {change: found.accuracy(change) for change in CHANGES}
        for number, seed in enumerate(config.seeds):
            own: dict[str, Any] = {"loss": found.loss[number]}
            own |= {change: each and each[number] for change, each in asked.items()}
            rows.append(grid.row(COLUMNS, own, **same, seed=seed))
    return rows


# --- learning -----------------------------------------------------------------------------------


class Digits(NamedTuple):
    """Images on their canvas, and what they show."""

    x: torch.Tensor
    digit: torch.Tensor


@functools.cache
def load() -> Digits:
    """All images, as they were dealt.

    Raises:
        ImportError: saying what to install, if scikit-learn is not there.
    """
    try:
        from sklearn.datasets import load_digits  # type: ignore[import-untyped]
    except ImportError as error:
        raise ImportError(
            "the images come with scikit-learn: pip install 'attention-limits[images]'"
        ) from error
    found = load_digits()
    order = np.random.default_rng(0).permutation(len(found.target))
    pixels = torch.tensor(found.images[order] / 8, dtype=torch.float32)
    return Digits(pad(pixels, [MARGIN] * 4), torch.tensor(found.target[order]))


TO_CHOOSE, TO_ASK = slice(POOL, -ASKED), slice(-ASKED, None)


class Learned(NamedTuple):
    """Models side by side: their weights, how they are called on images, and what they came to."""

    cell: Cell
    weights: dict[str, torch.Tensor]
    call: Callable[..., torch.Tensor]  # of weights, images (s, b, …) and positions
    loss: list[float]
    asked: int

    @torch.no_grad()
    def accuracy(self, change: str = PLAIN, of: slice = TO_ASK) -> list[float] | None:
        """How often each is right on images that were changed; None if it cannot take them."""
        model, condition = self.cell.model, self.cell.condition
        fixed = model in NO_OTHER_SIZE and change.startswith(OTHER_SIZES)
        if fixed or (condition == SHUFFLED and change != PLAIN):
            return None
        found = []
        device = next(iter(self.weights.values())).device
        x, digit = (part[of][: self.asked].to(device) for part in load())
        for make, where in CHANGES[change]:
            images = _arranged(make(x), condition)
            said = self.call(self.weights, images, where).argmax(-1)
            found.append((said == digit).double().mean(-1))
        return torch.stack(found).mean(0).tolist()


def learn(
    cell: Cell, config: Config, examples: int, rates: Sequence[float], seeds: Sequence[int]
) -> Learned:
    """Models of one kind, side by side, each with a rate and the images of its own seed."""
    device = devices.choose(config.device)
    models = []
    with torch.random.fork_rng(devices=[]):
        for seed in seeds:
            torch.manual_seed(seed)
            models.append(image_models.build(cell.model).to(device))
    weights, _ = stack_module_state(models)
    x, digit = _dealt(examples, seeds, device)
    shared = copy.deepcopy(models[0]).to("meta")
    placed = cell.model in OF_TRANSFORMERS

    def alone(own: dict[str, torch.Tensor], images: torch.Tensor, where) -> torch.Tensor:
        return functional_call(shared, own, (images, where) if placed else (images,))

    def call(weights: dict[str, torch.Tensor], images: torch.Tensor, where=None) -> torch.Tensor:
        together = images.ndim == 3  # the same for all
        return vmap(alone, in_dims=(0, None if together else 0, None))(weights, images, where)

    each = list(weights.values())
    optimizer = torch.optim.Adam(each, lr=1.0)
    draws = torch.Generator().manual_seed(0)
    everybody = torch.ones(len(seeds), dtype=torch.bool, device=device)
    for step in range(config.steps):
        some = torch.randint(examples, (len(seeds), BATCH), generator=draws).to(device)
        every = torch.arange(examples, device=device).expand(len(seeds), -1)
        chosen = every if examples <= BATCH else some
        batch = x.gather(1, chosen[..., None, None].expand(-1, -1, CANVAS, CANVAS))
        if cell.condition == MOVED:
            batch = _at_random(batch, draws)
        losses = _losses(call(weights, _arranged(batch, cell.condition)), digit.gather(1, chosen))
        optimizer.zero_grad()
        losses.sum().backward()
        decay = min(1.0, (config.steps - step) / (0.3 * config.steps))
        updates.move(each, optimizer, decay * torch.tensor(rates, device=device), everybody)
    with torch.no_grad():
        final = _losses(call(weights, _arranged(x, cell.condition)), digit)
    return Learned(cell, weights, call, final.tolist(), config.count)


def best_rate(cell: Cell, config: Config, examples: int) -> tuple[float, bool]:
    """The rate of least error on images kept for it, and whether it is at the edge of the tried."""
    if len(config.rates) == 1:
        return config.rates[0], True

    def tried(rates: Sequence[float]) -> list[Trial]:
        each = [rate for rate in rates for _ in SEARCH_SEEDS]
        found = learn(cell, config, examples, each, SEARCH_SEEDS * len(rates))
        right = found.accuracy(of=TO_CHOOSE) or []
        errors = 1 - np.reshape(right, (len(rates), -1)).mean(1)
        pairs = zip(rates, errors.tolist(), strict=True)
        return [Trial(rate, config.steps, error, 1 - error) for rate, error in pairs]

    choice = search.chosen(search.bracketed(config.rates, tried))
    return choice.rate, choice.at_edge


def _dealt(
    examples: int, seeds: Sequence[int], device: torch.device
) -> tuple[torch.Tensor, torch.Tensor]:
    """To each seed its own images, (s, examples, …), and their digits."""
    draws = [np.random.default_rng((seed, examples)).permutation(POOL)[:examples] for seed in seeds]
    places = torch.from_numpy(np.stack(draws))
    x, digit = load()
    return x[places].to(device), digit[places].to(device)


def _arranged(x: torch.Tensor, condition: str) -> torch.Tensor:
    """Pixels in another order, if that is the condition."""
    if condition != SHUFFLED:
        return x
    order = np.random.default_rng(1).permutation(CANVAS**2)
    return x.flatten(-2)[..., order].unflatten(-1, (CANVAS, CANVAS))


def _at_random(x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Each image moved by up to ``MARGIN`` pixels along both axes."""
    place = torch.arange(CANVAS)
    by = torch.randint(-MARGIN, MARGIN + 1, (2, *x.shape[:-2], 1), generator=generator)
    rows, columns = ((place - by) % CANVAS).to(x.device)
    x = x.gather(-2, rows[..., None].expand(x.shape))
    return x.gather(-1, columns[..., None, :].expand(x.shape))


def _losses(logits: torch.Tensor, digit: torch.Tensor) -> torch.Tensor:
    """The mean of each model."""
    each = cross_entropy(logits.flatten(0, 1), digit.flatten(), reduction="none")
    return each.unflatten(0, digit.shape).mean(-1)


# --- what was found -----------------------------------------------------------------------------


def accuracies(
    run: Run, model: str, condition: str = CENTRED, examples: int = POOL, change: str = PLAIN
) -> list[float]:
    """How often models are right, one number a seed."""
    return run.values(change, model=model, condition=condition, examples=examples)


def table(run: Run, condition: str = CENTRED) -> Table:
    """How often each model is right, in per cent, by the images that it has learned from."""
    sizes = run.config["examples"]
    rows = [
        [model, *(_percent(accuracies(run, model, condition, size)) for size in sizes)]
        for model in run.config["models"]
    ]
    return Table(["model", *(f"{size:,} images" for size in sizes)], rows)


def changed(run: Run, condition: str = CENTRED) -> Table:
    """How often each model is right on images that were changed, of all images to learn from."""
    rows = [
        [
            model,
            *(_percent(accuracies(run, model, condition, change=change)) for change in CHANGES),
        ]
        for model in run.config["models"]
    ]
    return Table(["model", *CHANGES], rows)


def _percent(found: Sequence[float | None]) -> str:
    known = [value for value in found if value is not None]
    if not known:
        return "–"
    return f"{100 * mean(known):.1f} ± {100 * float(np.std(known, ddof=1)):.1f}"
