"""Small trainings, and what is compared of them."""

import dataclasses
from functools import partial

import torch

from attention_limits import tasks, training
from attention_limits.models import Architecture
from attention_limits.training import Recipe

SMALL = Architecture(d_model=16, heads=2, position="rotary")
KINDS = {
    "rotary": SMALL,
    "T5": dataclasses.replace(SMALL, position="relative_bias"),
    "post-norm": dataclasses.replace(SMALL, norm="post", position="learned"),
    "delta rule": dataclasses.replace(SMALL, mechanism="delta_rule"),
    "gru": Architecture(kind="gru", d_model=16),
    "lstm": Architecture(kind="lstm", d_model=16),
    "convolution": Architecture(kind="convolution", d_model=16),
}
TASK = tasks.make("token_back", k=2, symbols=4)
SHORT = Recipe(steps=25, batch=8, lengths=(4, 12), warm_up=5)


def checkpoints_every(steps, monkeypatch):
    """Experiments write one so often: a short training can then be interrupted between two."""
    often = partial(training.train_ensemble, every=steps)
    monkeypatch.setattr(training, "train_ensemble", often)


def weights(trained, number=0):
    return [w[number].detach() for w in trained.model.parameters()]


def same(trained, other, number=0, number_of_other=0):
    pairs = zip(weights(trained, number), weights(other, number_of_other), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


def noted(trained, number):
    """What the history says of a model, in one list."""
    rows = [row for row in trained.history if row["model"] == number]
    return [row[what] for row in rows for what in ("step", "loss", "accuracy")]
