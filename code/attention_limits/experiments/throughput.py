"""How many steps a second small models train, one after another and side by side.

Five ways to train the same models on the same data, in turn:

- ``alone``: one after another, on one thread;
- ``alone, all cores``: one after another, each product shared out among threads;
- ``together``: side by side as one model, on one thread;
- ``together, all cores``: the same, each product shared out among threads;
- ``processes``: side by side, shared out among processes of one thread, one a core.  This is what
  ``training.train_ensemble`` does, whose processes stay from one training to the next.

Time is that of the clock on the wall, since to use two cores is the point: leave the machine alone.
What a step consists of is measured on one thread, for models side by side, and its FLOPs (matrix
products, the backward pass included) are counted by PyTorch and compared with a large product.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import median
from typing import Any

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from attention_limits import tasks, training
from attention_limits.checks import Plain
from attention_limits.models import Architecture
from attention_limits.progress import Progress, silent
from attention_limits.runs import timing
from attention_limits.runs.records import Run
from attention_limits.runs.table import Table

COLUMNS = ("model", "way", "quantity", "repeat", "value")
TIMED = True
WAYS = ("alone", "alone, all cores", "together", "together, all cores", "processes")
PARTS = ("data", "forward", "backward", "update")
MODELS = {
    "attention": Architecture(position="rotary"),
    "gru": Architecture(kind="gru"),
    "convolution": Architecture(kind="convolution"),
}


@dataclass(frozen=True)
class Config(Plain):
    """What a run depends on, the machine aside.

    Args:
        models: names of ``MODELS``.
        seeds: of the models that train side by side.
        steps: how many each of them takes.
        n: tokens of a sequence.
        repeats: how often each way is timed.
        product: rows of the square matrices whose product shows what the machine can do.
        device: what computes; other than on a CPU there are no threads, and no processes.
        threads: of all that does not say otherwise.
    """

    models: tuple[str, ...] = tuple(MODELS)
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    steps: int = 60
    n: int = 32
    repeats: int = 5
    product: int = 1024
    device: str = "cpu"
    threads: int = 1


PRESETS = {
    "smoke": Config(models=("gru",), seeds=(0, 1), steps=3, n=8, repeats=1, product=64),
    "book": Config(repeats=0),
    "full": Config(),
}
DURATIONS = {"smoke": "a few seconds", "book": "a few seconds", "full": "about eight minutes"}


def measure(config: Config, progress: Progress | None = None) -> Iterator[dict]:
    """Count the FLOPs of each model, and time each way to train it, all ways in turn."""
    progress = progress or silent
    for number, name in enumerate(config.models):
        progress(number / len(config.models), name)
        yield _row(name, "together", "flops", 0, _flops(name, config))
        yield from _in_turn(name, config)


def rate(run: Run, model: str, way: str) -> float:
    """Steps a second, of all models together: the median of the repeats."""
    taken = run.config["steps"] * len(run.config["seeds"])
    return taken / median(run.values(model=model, way=way, quantity="seconds"))


def share_of_peak(run: Run, model: str, way: str = "together") -> float:
    """FLOPs a second of one model's steps, over those of a large product in the same run."""
    [flops] = run.values(model=model, quantity="flops")
    best = 1 / min(run.values(model=model, way="product", quantity="seconds"))
    return rate(run, model, way) * flops / (2 * run.config["product"] ** 3 * best)


def shares_of_a_step(run: Run, model: str) -> dict[str, float]:
    """What each part of a step takes of its time."""
    parts = {part: median(run.values(model=model, way=part)) for part in PARTS}
    return {part: seconds / sum(parts.values()) for part, seconds in parts.items()}


def table(run: Run) -> Table:
    """Steps a second of all models together, by how they were trained, and what that gains."""
    rows = []
    for model in run.config["models"]:
        rates = {way: rate(run, model, way) for way in WAYS if run.values(model=model, way=way)}
        gain = max(rates.values()) / rates["alone"]
        numbers = [f"{rates[way]:.0f}" if way in rates else "–" for way in WAYS]
        rows.append([model, *numbers, f"{gain:.1f} ×", f"{share_of_peak(run, model):.0%}"])
    return Table(["steps a second", *WAYS, "best / alone", "of the peak, together"], rows)


def _in_turn(name: str, config: Config) -> Iterator[dict]:
    ways = _ways(name, config)
    if config.repeats and "processes" in ways:
        ways["processes"]()  # which are there from now on
    a = torch.ones(config.product, config.product, device=config.device)
    for repeat in range(config.repeats):
        for way, train in ways.items():
            start = time.perf_counter()
            train()
            yield _row(name, way, "seconds", repeat, time.perf_counter() - start)
        yield _row(
            name, "product", "seconds", repeat, timing.seconds(lambda: a @ a, config.device, 1)
        )
        for part, seconds in _parts_of_a_step(name, config).items():
            yield _row(name, part, "seconds", repeat, seconds)


def _ways(name: str, config: Config) -> dict[str, Callable[[], object]]:
    """The ways to train by their names; on an accelerator those that differ there."""
    recipe = training.Recipe(steps=config.steps, lengths=(config.n, config.n))
    given: dict[str, Any] = {"architecture": MODELS[name], "task": tasks.make("token_back")}
    given |= {"recipe": recipe, "device": config.device}

    def alone(threads: int) -> None:
        with timing.on_threads(threads):
            for seed in config.seeds:
                training.train(**given, seeds=(seed,))

    def together(threads: int) -> None:
        with timing.on_threads(threads):
            training.train(**given, seeds=config.seeds)

    on_one: dict[str, Callable[[], object]] = {
        "alone": lambda: alone(1),
        "together": lambda: together(1),
    }
    if torch.device(config.device).type != "cpu":
        return on_one
    cores = training.cores()
    return {
        "alone": on_one["alone"],
        "alone, all cores": lambda: alone(cores),
        "together": on_one["together"],
        "together, all cores": lambda: together(cores),
        "processes": lambda: training.train_ensemble(**given, seeds=config.seeds),
    }


def _parts_of_a_step(name: str, config: Config) -> dict[str, float]:
    """Seconds that a step of models side by side spends on each of its parts, by the profiler."""
    with timing.on_threads(1), profile(activities=[ProfilerActivity.CPU]) as profiler:
        _ways(name, config)["together"]()
    totals = {event.key: event.cpu_time_total for event in profiler.key_averages()}
    return {part: totals[part] / config.steps / 1e6 for part in PARTS}


def _flops(name: str, config: Config) -> int:
    """FLOPs of the products in one step of one model, both ways."""
    recipe = training.Recipe(steps=1, lengths=(config.n, config.n))
    counter = FlopCounterMode(display=False)
    with sdpa_kernel(SDPBackend.MATH), counter:  # it does not see into fused kernels
        training.train(MODELS[name], tasks.make("token_back"), recipe)
    return counter.get_total_flops()


def _row(model: str, way: str, quantity: str, repeat: int, value: float) -> dict:
    return dict(zip(COLUMNS, (model, way, quantity, repeat, value), strict=True))
