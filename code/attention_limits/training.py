r"""One loop that trains every model of the book: several of them at once, and each as if alone.

Models of one architecture train side by side, each with a seed and a learning rate of its own, as
one model with a leading axis (``models``): a small model spends its time on calls rather than on
arithmetic, and calls are shared.  ``train_ensemble`` gives each core of a CPU its part of them.

The loss is a sum over models of means over answers, so that no model sees another's gradient.
What is left to share, the norm to which gradients are clipped and the rate at which weights move,
is kept apart by hand.  AdamW :cite:p:`loshchilov2019decoupled` moves by its rate times something
that does not depend on it,

.. math::

    \theta_{t+1} = \theta_t + \eta \, \Delta_t

so PyTorch's own, with η = 1, tells where each model would go, and the model goes η of the way.
"""

import contextlib
import functools
import io
import math
import multiprocessing
import os
import queue
import signal
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing.managers import SyncManager
from numbers import Real
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn.functional import cross_entropy
from torch.profiler import record_function

from attention_limits import devices, models
from attention_limits.checks import check_choice, check_count
from attention_limits.models import Architecture
from attention_limits.tasks import IGNORE, Batch, Task

ROOM = 2**22  # scores of a head, of all models and texts that are evaluated at once
INTERVAL = 10  # steps from one look at losses and accuracies to the next
PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}

# Told the share that is done and how it goes.
Progress = Callable[[float | None, str], None]


@dataclass(frozen=True)
class Recipe:
    """How to train, the models and the task aside.

    Args:
        steps: how many.
        batch: texts a step, for each model.
        lengths: of the texts, from and to; each step draws one for all models.
        max_position: where positions are drawn from; None leaves them at 0, 1, 2, …: see ``tasks``.
        warm_up: steps in which the learning rate grows to what it should be.
        cool_down: the share of the steps, at the end, in which it falls to 0.
        weight_decay: of AdamW.
        clip: to which norm a model's gradient is shortened; None leaves it as it is.
        precision: in which matrices are multiplied: "float32" or "bfloat16".
        target: the accuracy in training, over ``INTERVAL`` steps, at which a model stops; None
            trains to the end.
        diverged: the loss at which a model is given up.

    Raises:
        ValueError: naming the argument, if one has no sensible value.
    """

    steps: int = 400
    batch: int = 32
    lengths: tuple[int, int] = (8, 32)
    max_position: int | None = None
    warm_up: int = 20
    cool_down: float = 0.3
    weight_decay: float = 0.01
    clip: float | None = 1.0
    precision: str = "float32"
    target: float | None = None
    diverged: float = 1e3

    def __post_init__(self) -> None:
        check_count("steps", self.steps, least=1)
        check_count("batch", self.batch, least=1)
        check_count("warm_up", self.warm_up)
        check_choice("precision", self.precision, PRECISIONS)
        if len(self.lengths) != 2 or not 1 <= self.lengths[0] <= self.lengths[1]:
            raise ValueError(f"lengths must be from and to, ascending, got {self.lengths}")
        if not 0 <= self.cool_down <= 1:
            raise ValueError(f"cool_down must be a share from 0 to 1, got {self.cool_down}")
        for name in ("clip", "target"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise ValueError(f"{name} must be positive, or None, got {value}")

    def length(self, step: int) -> int:
        """How long the texts of a step are: the same for all seeds, which share a tensor."""
        low, high = self.lengths
        return int(np.random.default_rng([step]).integers(low, high + 1))

    def rate(self, step: int) -> float:
        """The share of its learning rate with which a model takes this step, the first being 0."""
        cooling = math.ceil(self.cool_down * self.steps)
        up = (step + 1) / (self.warm_up + 1)
        down = (self.steps - step) / (cooling + 1)
        return min(1.0, up, down)


@dataclass(frozen=True)
class Trained:
    """Models that were trained side by side.

    Attributes:
        model: all of them, as ``models.build`` makes them.
        seeds: one a model.
        rates: their learning rates.
        history: rows of step, model (its number), loss and accuracy, means over ``INTERVAL`` steps
            up to that one; nothing of a model after it stopped.
        ended: for each model "trained", at the last step; "target", when it reached that; or
            "diverged".
        steps: how many steps each model took.
    """

    model: nn.Module
    seeds: tuple[int, ...]
    rates: tuple[float, ...]
    history: list[dict[str, float]]
    ended: tuple[str, ...]
    steps: tuple[int, ...]

    def of(self, number: int) -> dict[str, object]:
        """The seed of a model, its rate and how it ended, as a record has them."""
        return {
            "seed": self.seeds[number],
            "rate": self.rates[number],
            "ended": self.ended[number],
        }


def train(
    architecture: Architecture,
    task: Task,
    recipe: Recipe = Recipe(),
    *,
    seeds: Sequence[int] = (0,),
    rates: float | Sequence[float] = 1e-3,
    device: str | torch.device = "cpu",
    checkpoint: Path | None = None,
    every: int = 100,
    progress: Progress | None = None,
    look: Callable[[Trained], None] | None = None,
) -> Trained:
    """Train models side by side, each on its own seed's data.

    On a CPU the same call with as many threads gives the same models, bit for bit; a model is, but
    for the order in which a product sums, the one that it would be alone.

    Args:
        architecture: of the models.
        task: what they learn.
        recipe: how.
        seeds: of first weights and data, one a model.
        rates: learning rates, one a model or one for all.
        device: what computes; "auto" for the fastest there is.
        checkpoint: a file to keep the state in.  If it is there, training goes on from it.
        every: how many steps from one writing of that file to the next.
        progress: told how it goes.
        look: shown the models as they are, every ``INTERVAL`` steps and after the last.  They are
            those that train on, no copies: to be evaluated at once, and left as they are.

    Raises:
        ValueError: naming the argument, if one has no sensible value or ``checkpoint`` holds
            something else.
    """
    check_count("every", every, least=1)
    device = devices.choose(str(device))
    trainer = _Trainer(architecture, task, recipe, tuple(seeds), _one_each(rates, seeds), device)
    if checkpoint is not None and checkpoint.exists():
        trainer.load(checkpoint)
    while trainer.step < recipe.steps and trainer.active.any():
        trainer.take_step()
        if trainer.step % INTERVAL == 0 or trainer.step == recipe.steps:
            trainer.look()
            if progress is not None:
                progress(trainer.step / recipe.steps, trainer.report())
            if look is not None:
                look(trainer.trained())
        if checkpoint is not None and trainer.step % every == 0:
            trainer.save(checkpoint)
    return trainer.trained()


class _Trainer:
    """The state of training: models, their optimiser, and how they did so far."""

    KEPT = ("made", "step", "history", "active", "ended", "steps", "sums")  # in a checkpoint

    def __init__(self, architecture, task, recipe, seeds, rates, device):
        self.task, self.recipe, self.device = task, recipe, device
        self.seeds, self.rates = seeds, rates
        model = models.build(
            architecture, vocabulary=task.vocabulary, classes=task.classes, seeds=seeds
        )
        self.model = model.to(device)
        self.weights = list(self.model.parameters())
        # The rate of each model is taken into account where the step is taken.
        self.optimizer = torch.optim.AdamW(
            self.weights, lr=1.0, betas=(0.9, 0.99), weight_decay=recipe.weight_decay
        )
        self.step, self.history = 0, []
        self.active = torch.ones(len(seeds), dtype=torch.bool)
        self.ended, self.steps = ["trained"] * len(seeds), [0] * len(seeds)
        self.sums = torch.zeros(2, len(seeds), device=device)  # of losses and accuracies
        # What a checkpoint must have been made with, to be gone on from.
        made = {"architecture": architecture, "task": task, "recipe": recipe}
        made |= {"seeds": seeds, "rates": rates, "version of PyTorch": torch.__version__}
        self.made = {name: repr(value) for name, value in made.items()}

    def take_step(self) -> None:
        with record_function("data"):
            batch = draw(self.task, self.recipe, self.seeds, self.step)
            tokens, targets, where = to_tensors(
                batch, self.recipe.max_position is not None, self.device
            )
        with record_function("forward"):
            with _precision(self.recipe.precision, self.device):
                logits = self.model(tokens, **where)
            losses, right = score(logits.float(), targets)
        with record_function("backward"):
            self.optimizer.zero_grad()
            losses.sum().backward()
        with record_function("update"):
            self._move()
            self.sums += torch.stack([losses.detach(), right])
        self.step += 1

    @torch.no_grad()
    def _move(self) -> None:
        """A step of AdamW, of which each model goes its rate; those that have ended stay."""
        if self.recipe.clip is not None:
            self._clip()
        before = [w.clone() for w in self.weights]
        self.optimizer.step()
        share = self.recipe.rate(self.step)
        rates = torch.tensor(self.rates, device=self.device) * share
        active = self.active.to(self.device)
        for old, w in zip(before, self.weights, strict=True):
            moved = old.lerp(w, _beside(rates, w))
            w.copy_(torch.where(_beside(active, w), moved, old))

    def _clip(self) -> None:
        """Shorten each model's gradient as ``torch.nn.utils.clip_grad_norm_`` would one alone."""
        gradients = [w.grad for w in self.weights]
        squares = sum(g.flatten(1).square().sum(1) for g in gradients)
        shrink = (self.recipe.clip / (squares.sqrt() + 1e-6)).clamp(max=1)
        for g in gradients:
            g.mul_(_beside(shrink, g))

    def look(self) -> None:
        """Note how the models did since the last look, and end those that need no more."""
        steps = (self.step - 1) % INTERVAL + 1
        losses, accuracies = (self.sums / steps).tolist()
        self.sums.zero_()
        for number in self.active.nonzero().flatten().tolist():
            loss, accuracy = losses[number], accuracies[number]
            self.steps[number] = self.step
            if not loss < self.recipe.diverged:  # a NaN is not, either
                self.ended[number] = "diverged"
            elif self.recipe.target is not None and accuracy >= self.recipe.target:
                self.ended[number] = "target"
            self.active[number] = self.ended[number] == "trained"
            finite = loss if math.isfinite(loss) else None  # JSON knows no NaN
            row = {"step": self.step, "model": number, "loss": finite, "accuracy": accuracy}
            self.history.append(row)

    def report(self) -> str:
        """In a line: the step, and the accuracies of the models, the least and the most."""
        last = {row["model"]: row["accuracy"] for row in self.history}
        low, high = min(last.values()), max(last.values())
        spread = f"{low:.2f}" if low == high else f"{low:.2f} to {high:.2f}"
        return f"step {self.step} of {self.recipe.steps}, accuracy {spread}"

    def trained(self) -> Trained:
        ended, steps = tuple(self.ended), tuple(self.steps)
        return Trained(self.model, self.seeds, self.rates, self.history, ended, steps)

    def save(self, path: Path) -> None:
        """Write the state; a kill leaves the file before or the file after, never half of one."""
        buffer = io.BytesIO()
        state = {name: getattr(self, name) for name in self.KEPT}
        state |= {"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict()}
        torch.save(state, buffer)
        partial = path.with_name(f".{path.name}.partial")
        partial.write_bytes(buffer.getvalue())
        partial.replace(path)

    def load(self, path: Path) -> None:
        """Go on from a checkpoint.

        Raises:
            ValueError: if it is none, or one of another training.
        """
        try:
            state = torch.load(path, map_location=self.device, weights_only=True)
            made = state["made"]
        except Exception as error:  # a torn file fails in as many ways as it has bytes
            kind = type(error).__name__
            raise ValueError(f"checkpoint {path.name} is corrupted; delete it ({kind})") from error
        if made != self.made:
            other = [name for name, value in self.made.items() if made.get(name) != value]
            raise ValueError(
                f"checkpoint {path.name} must be of this training, but has another "
                f"{' and another '.join(other)}; delete it to start anew"
            )
        self.model.load_state_dict(state.pop("model"))
        self.optimizer.load_state_dict(state.pop("optimizer"))
        for name, value in state.items():
            setattr(self, name, value)
        self.active = self.active.cpu()


# --- data ---------------------------------------------------------------------------------------


def draw(task: Task, recipe: Recipe, seeds: Sequence[int], step: int) -> Batch:
    """The texts of a step, (s, batch, n): those of a seed hang on the seed and the step alone."""
    n = recipe.length(step)
    own = {
        seed: task.sample((seed, step), recipe.batch, n, max_position=recipe.max_position)
        for seed in dict.fromkeys(seeds)
    }
    parts = zip(*(own[seed] for seed in seeds), strict=True)
    return Batch(*(None if part[0] is None else np.stack(part) for part in parts))


def to_tensors(
    batch: Batch, stretched: bool, device: torch.device
) -> tuple[torch.Tensor, torch.Tensor, dict[str, torch.Tensor]]:
    """Tokens, targets, and where they stand, as a model takes it: positions only if stretched."""
    where = {"positions": batch.positions if stretched else None, "times": batch.times}
    where = {name: torch.from_numpy(x).to(device) for name, x in where.items() if x is not None}
    tokens, targets = (torch.from_numpy(x).to(device) for x in batch[:2])
    return tokens, targets, where


def score(logits: torch.Tensor, targets: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Each model's loss and accuracy, means over what was asked: (s,) and (s,)."""
    asked = (targets != IGNORE).flatten(1)
    losses = cross_entropy(
        logits.flatten(0, -2), targets.flatten(), ignore_index=IGNORE, reduction="none"
    )
    count = asked.sum(1)
    right = (logits.argmax(-1) == targets).flatten(1) & asked
    return losses.view(asked.shape).sum(1) / count, right.sum(1) / count


@torch.no_grad()
def evaluate(
    trained: Trained,
    task: Task,
    n: int,
    *,
    count: int = 500,
    seed: int = 0,
    max_position: int | None = None,
) -> list[dict[str, float]]:
    """How models do on texts that they have not trained on, the same texts for all of them.

    Args:
        trained: the models.
        task: what to ask; its knobs may be others than those that were learned.
        n: how long the texts are.
        count: how many.
        seed: of the texts.
        max_position: where positions are drawn from: see ``tasks``.

    Returns:
        A row a model: its number, n, ``accuracy`` over all that is asked, and ``last``, over the
        last answer of each text, which alone has the whole text before it.
    """
    device = next(trained.model.parameters()).device
    batch = task.sample(
        (seed, n, 1), count, n, max_position=max_position
    )  # the seeds of training are pairs
    tokens, targets, where = to_tensors(batch, max_position is not None, device)
    side = len(trained.seeds)
    hits = []
    for rows in torch.arange(count).split(max(1, ROOM // (side * n * n))):
        given = {name: x[rows].expand(side, -1, -1) for name, x in where.items()}
        logits = trained.model(tokens[rows].expand(side, -1, -1), **given)
        hits.append(logits.argmax(-1) == targets[rows])
    right = torch.cat(hits, dim=1)
    asked = targets != IGNORE
    last = asked & (asked.cumsum(-1) == asked.sum(-1, keepdim=True))
    all_of_them, at_the_end = (
        [count / among.sum().item() for count in (right & among).sum((1, 2)).tolist()]
        for among in (asked, last)
    )
    return [
        {"model": number, "n": n, "accuracy": all_of_them[number], "last": at_the_end[number]}
        for number in range(side)
    ]


# --- all cores ----------------------------------------------------------------------------------


def train_ensemble(
    architecture: Architecture,
    task: Task,
    recipe: Recipe = Recipe(),
    *,
    seeds: Sequence[int] = (0,),
    rates: float | Sequence[float] = 1e-3,
    device: str | torch.device = "cpu",
    checkpoint: Path | None = None,
    every: int = 100,
    progress: Progress | None = None,
    workers: int | None = None,
) -> Trained:
    """``train``, with the models shared out among processes of one thread, one a core.

    Threads within a small product would wait for each other most of the time.  The processes stay
    for the next call.  An accelerator gets all models at once, and no processes.  How models are
    shared out changes nothing but the order in which a product sums.

    Each process imports the script that calls this: in a script, call it under
    ``if __name__ == "__main__":``.

    Args:
        architecture: as for ``train``, like all up to ``progress``; ``checkpoint`` names the first
            part of each process's file.
        workers: how many processes; None for one a core, as far as there are models.

    Raises:
        ValueError: as ``train``.
    """
    device = devices.choose(str(device))
    seeds, rates = tuple(seeds), _one_each(rates, seeds)
    check_count("every", every, least=1)
    if workers is None:
        workers = cores() if device.type == "cpu" else 1
    workers = min(workers, len(seeds) or 1)
    check_count("workers", workers, least=1)
    common = {"architecture": architecture, "task": task, "recipe": recipe, "every": every}
    shares = np.array_split(np.arange(len(seeds)), workers)
    jobs = [
        {
            **common,
            "seeds": [seeds[number] for number in share],
            "rates": [rates[number] for number in share],
            "device": str(device),
            "checkpoint": checkpoint
            and checkpoint.with_name(f"{checkpoint.name}.{number}-of-{workers}"),
        }
        for number, share in enumerate(shares)
    ]
    if workers == 1:
        return train(**jobs[0], progress=progress)
    return _joined(_in_processes(jobs, progress), architecture, task, seeds, rates)


def cores() -> int:
    """How many cores this process may use: a container has fewer than its machine."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _in_processes(jobs: list[dict], progress: Progress | None) -> list[tuple]:
    """What each job came to, each in a process of its own; reports of all of them as they come."""
    pool, manager = _pool(len(jobs))
    reports, stop = manager.Queue(), manager.Event()
    try:
        waiting = [pool.submit(_job, number, job, reports, stop) for number, job in enumerate(jobs)]
        _listen(waiting, reports, progress)
        return [future.result() for future in waiting]
    except BaseException:  # an interrupt, or an error in one of them, ends the others
        stop.set()
        _pool.cache_clear()  # who knows which processes are left
        pool.shutdown(cancel_futures=True)
        manager.shutdown()
        raise


@functools.cache
def _pool(workers: int) -> tuple[ProcessPoolExecutor, SyncManager]:
    """Processes that stay for the next training: to start them takes as long as a hundred steps."""
    with_server = "forkserver" in multiprocessing.get_all_start_methods()
    context = multiprocessing.get_context("forkserver" if with_server else "spawn")
    if with_server:  # it imports PyTorch once, and its forks are there at once
        context.set_forkserver_preload([__name__])
    # An interrupt goes to the whole group; this process hears it, and tells the others to stop.
    deaf = {"initializer": signal.signal, "initargs": (signal.SIGINT, signal.SIG_IGN)}
    return ProcessPoolExecutor(workers, context, **deaf), context.Manager()


def _listen(waiting: list[Future], reports: queue.Queue, progress: Progress | None) -> None:
    """Pass reports on until all jobs are done, or one has failed."""
    shares = [0.0] * len(waiting)
    while True:
        failed = any(job.done() and job.exception() for job in waiting)
        over = failed or all(job.done() for job in waiting)
        try:
            number, shares[number], words = reports.get(block=not over, timeout=0.1)
        except queue.Empty:
            if over:
                return
            continue
        if progress is not None:
            progress(sum(shares) / len(shares), words)


def _job(number: int, job: dict, reports: queue.Queue, stop: threading.Event) -> tuple:
    """Train, and return what can leave a process: weights as arrays."""
    torch.set_num_threads(1)

    def report(share: float, words: str) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        reports.put((number, share, words))

    trained = train(**job, progress=report)
    weights = {name: w.detach().numpy() for name, w in trained.model.named_parameters()}
    return weights, trained.history, trained.ended, trained.steps


def _joined(
    parts: list[tuple],
    architecture: Architecture,
    task: Task,
    seeds: tuple[int, ...],
    rates: tuple[float, ...],
) -> Trained:
    """All models as one, in the order of their seeds."""
    model = models.build(
        architecture, vocabulary=task.vocabulary, classes=task.classes, seeds=seeds
    )
    weights, histories, ended, steps = zip(*parts, strict=True)
    with torch.no_grad():
        for name, w in model.named_parameters():
            w.copy_(torch.from_numpy(np.concatenate([part[name] for part in weights])))
    history, first = [], 0
    for rows, ends in zip(histories, ended, strict=True):
        history += [{**row, "model": row["model"] + first} for row in rows]
        first += len(ends)
    history.sort(key=lambda row: (row["step"], row["model"]))
    return Trained(model, seeds, rates, history, sum(ended, ()), sum(steps, ()))


# --- small helpers ------------------------------------------------------------------------------


def _one_each(rates: float | Sequence[float], seeds: Sequence[int]) -> tuple[float, ...]:
    """A learning rate for each model."""
    each = (rates,) * len(seeds) if isinstance(rates, Real) else tuple(rates)
    if len(each) != len(seeds) or not all(0 < rate < math.inf for rate in each):
        raise ValueError(
            f"rates must be positive, one for all or one for each of {len(seeds)} seeds, "
            f"got {rates}"
        )
    return each


def _beside(x: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """One number a model, shaped to go with its weights."""
    return x.view(-1, *[1] * (weights.ndim - 1))


def _precision(name: str, device: torch.device) -> contextlib.AbstractContextManager:
    if name == "float32":
        return contextlib.nullcontext()
    return torch.autocast(device.type, dtype=PRECISIONS[name])
