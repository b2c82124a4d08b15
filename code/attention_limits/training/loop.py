"""The loop, and the state that it moves."""

import contextlib
import math
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import nn
from torch.profiler import record_function

from attention_limits import devices, models
from attention_limits.checks import check_count, check_counts, is_number, plain
from attention_limits.models import Architecture
from attention_limits.progress import Progress
from attention_limits.tasks import Task
from attention_limits.tensors import without_autocast
from attention_limits.training import checkpoints, updates
from attention_limits.training.data import draw, score, to_tensors
from attention_limits.training.recipe import INTERVAL, Recipe
from attention_limits.training.trained import Trained


def train(
    architecture: Architecture,
    task: Task,
    recipe: Recipe = Recipe(),
    *,
    seeds: Sequence[int] = (0,),
    rates: float | Sequence[float] = 1e-3,
    device: str | torch.device = "cpu",
    checkpoint: str | Path | None = None,
    every: int = 100,
    progress: Progress | None = None,
    on_eval: Callable[[Trained], None] | None = None,
    start: nn.Module | None = None,
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
        on_eval: called with the models as they are, every ``INTERVAL`` steps and after the last.
            They are those that train on, no copies: to be evaluated at once, and left as they are.
        start: models of as many seeds, whose weights are the first ones; None draws these from the
            seeds. They stay as they are.

    Raises:
        ValueError: naming the argument, if one has no sensible value, ``checkpoint`` is in no
            folder that exists, or holds something else.
    """
    every = check_count("every", every, least=1)
    device, kept = devices.choose(str(device)), checkpoints.place(checkpoint)
    seeds = check_counts("seeds", seeds)
    rates = one_each(rates, seeds)
    # What the caller has switched off or on around this call would train other models, or none.
    with torch.inference_mode(False), torch.enable_grad(), without_autocast(device):
        trainer = _Trainer(architecture, task, recipe, seeds, rates, device)
        if start is not None:
            trainer.begin_at(start)
        _run(trainer, kept, every, progress, on_eval)
    return trainer.trained()


def _run(
    trainer: "_Trainer",
    checkpoint: Path | None,
    every: int,
    progress: Progress | None,
    on_eval: Callable[[Trained], None] | None,
) -> None:
    """All steps that are left, told and kept on the way."""
    recipe = trainer.recipe
    if checkpoint is not None and checkpoint.exists():
        trainer.load(checkpoint)
    while trainer.step < recipe.steps and trainer.active.any():
        trainer.take_step()
        if trainer.step % INTERVAL == 0 or trainer.step == recipe.steps:
            trainer.note()
            if progress is not None:
                progress(trainer.step / recipe.steps, trainer.report())
            if on_eval is not None:
                on_eval(trainer.trained())
        if checkpoint is not None and trainer.step % every == 0:
            trainer.save(checkpoint)


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
        self.made = made_of(architecture, task, recipe, seeds, rates)

    def begin_at(self, start: nn.Module) -> None:
        """Take over the weights of other models; a checkpoint is then one of theirs alone."""
        weights = start.state_dict()
        self.model.load_state_dict(weights)
        sums = [float(w.double().sum()) for w in weights.values()]
        self.made["start"] = repr(sums)

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

    def _move(self) -> None:
        """A step of AdamW, of which each model goes its rate; those that have ended stay."""
        if self.recipe.clip is not None:
            updates.clip(self.weights, self.recipe.clip)
        rates = torch.tensor(self.rates, device=self.device) * self.recipe.rate(self.step)
        updates.move(self.weights, self.optimizer, rates, self.active.to(self.device))

    def note(self) -> None:
        """Note how the models did since the last time, and end those that need no more."""
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
        """Write the state."""
        state = {name: getattr(self, name) for name in self.KEPT}
        state |= {"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict()}
        checkpoints.write(path, state)

    def load(self, path: Path) -> None:
        """Go on from a checkpoint.

        Raises:
            ValueError: if it is none, or one of another training.
        """
        state = checkpoints.read(path, self.made, self.device)
        self.model.load_state_dict(state.pop("model"))
        self.optimizer.load_state_dict(state.pop("optimizer"))
        for name, value in state.items():
            setattr(self, name, value)
        self.active = self.active.cpu()


def made_of(
    architecture: Architecture,
    task: Task,
    recipe: Recipe,
    seeds: Sequence[int],
    rates: Sequence[float],
) -> dict[str, str]:
    """What a checkpoint must have been made with, to be gone on from."""
    made: dict[str, object] = {"architecture": architecture, "task": task, "recipe": recipe}
    made |= {"seeds": seeds, "rates": rates, "version of PyTorch": torch.__version__}
    return {name: repr(value) for name, value in made.items()}


def one_each(rates: float | Sequence[float], seeds: Sequence[int]) -> tuple[float, ...]:
    """A learning rate for each model."""
    given = plain(rates)
    each = given if isinstance(given, tuple) else (given,) * len(seeds)
    fit = all(is_number(rate) and 0 < rate < math.inf for rate in each)
    if len(each) != len(seeds) or not fit:
        raise ValueError(
            f"rates must be positive, one for all or one for each of {len(seeds)} seeds, "
            f"got {rates}"
        )
    return each


def _precision(name: str, device: torch.device) -> contextlib.AbstractContextManager:
    if name == "float32":
        return contextlib.nullcontext()
    # Within another autocast, a cache of rounded weights would outlive the step that moves them.
    return torch.autocast(device.type, dtype=getattr(torch, name), cache_enabled=False)
