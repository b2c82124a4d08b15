"""Who learns what: the rates that are chosen, the cells, and what was recorded."""

import dataclasses
import re

import pytest
from helpers.small_trainings import checkpoints_every

from attention_limits import models, tasks, training
from attention_limits.experiments import learned, tuning
from attention_limits.experiments.learned import MODELS, PRESETS, SETTINGS, Cell, Config
from attention_limits.models import Architecture
from attention_limits.runs import records, runner
from attention_limits.training import Recipe

TINY = Architecture(d_model=16, heads=2, position="rotary")
FIRST = tasks.make("first_token", symbols=2)
SHORT = Recipe(steps=60, batch=16, lengths=(4, 8), warm_up=5)


# --- learning rates -----------------------------------------------------------------------------


@pytest.mark.slow
def test_the_rate_that_learns_is_chosen():
    """A model was blamed for a rate at which nothing could have learned."""
    trained = tuning.train(TINY, FIRST, SHORT, seeds=(0, 1), rates=(1e-7, 1e-2, 1e4))
    assert trained.rates == (1e-2, 1e-2)
    assert trained.seeds == (0, 1)


def test_of_equals_the_smallest_rate_is_chosen(monkeypatch):
    """Whichever came first, or was luckier in the last digit."""
    trial = training.train(TINY, FIRST, SHORT, seeds=(0, 1) * 2, rates=(2e-3, 2e-3, 1e-3, 1e-3))
    rows = [{"model": number, "accuracy": a} for number, a in enumerate([0.9, 0.5, 0.6, 0.8])]
    monkeypatch.setattr(training, "evaluate", lambda *_, **__: rows)
    assert tuning.best_rate(trial, FIRST, SHORT) == 1e-3
    rows[1]["accuracy"] = 0.6
    assert tuning.best_rate(trial, FIRST, SHORT) == 2e-3


def test_a_single_rate_is_taken_as_it_is(monkeypatch):
    monkeypatch.setattr(tuning, "best_rate", None)  # nothing to choose
    assert tuning.train(TINY, FIRST, SHORT, seeds=(3,), rates=(5e-3,)).rates == (5e-3,)


def test_seeds_that_chose_the_rate_are_not_judged_by_it():
    """The best of six runs is better than a seventh, by luck."""
    with pytest.raises(ValueError, match="seeds must be others than"):
        tuning.train(TINY, FIRST, SHORT, seeds=(0, tuning.SEEDS[0]))


# --- cells --------------------------------------------------------------------------------------

SMALL = dataclasses.replace(PRESETS["smoke"], models=("gru",), rates=(1e-3, 1e-2))


@pytest.mark.parametrize("setting", SETTINGS.values(), ids=SETTINGS)
def test_every_setting_has_room_for_its_task_and_every_model_takes_it(setting):
    task = setting.make()
    assert task.shortest <= setting.lengths[0]
    for architecture in MODELS.values():
        models.build(architecture, vocabulary=task.vocabulary, classes=task.classes)


def test_every_task_has_a_setting():
    assert {setting.task for setting in SETTINGS.values()} == set(tasks.TASKS)


@pytest.mark.slow
def test_a_cell_is_a_row_a_seed_and_the_same_each_time():
    cell = Cell("first token", "gru")
    rows = [learned.run_cell(cell, SMALL, None, lambda *_: None) for _ in range(2)]
    assert rows[0] == rows[1]
    assert [row["seed"] for row in rows[0]] == [0, 1]
    assert {tuple(row) for row in rows[0]} == {learned.COLUMNS}


@pytest.mark.slow
def test_interrupted_in_the_middle_of_a_training_and_resumed_is_uninterrupted(
    tmp_path, monkeypatch
):
    """From the checkpoints that two processes left, at a moment when their parts were at odds."""
    checkpoints_every(20, monkeypatch)
    config = dataclasses.replace(SMALL, steps=60)
    whole = runner.run(learned, config, tmp_path / "whole")
    told = []

    def interrupt(share, words):
        step = re.search(r"step (\d+) of", words)
        if step is None or "rates" in words:
            return
        told.append(int(step[1]))
        if told.count(30) == min(training.cores(), len(config.seeds)) and 50 in told:
            raise KeyboardInterrupt

    stopped = runner.run(learned, config, tmp_path / "again", interrupt)
    assert not stopped.complete
    steps = []
    resumed = runner.run(
        learned, config, tmp_path / "again", lambda share, words: steps.append(words)
    )
    assert resumed.records == whole.records
    assert not any("step 20 of" in words for words in steps)


@pytest.mark.parametrize("name", ["settings", "models"])
def test_an_unknown_name_is_refused(name):
    with pytest.raises(ValueError, match=f"{name} must be among"):
        Config(**{name: ("telepathy",)})


def test_a_table_shows_the_spread_of_the_seeds():
    """A mean of 0.75 may be one seed at 1 and another at chance."""
    config = dataclasses.asdict(
        Config(settings=("parity",), models=("gru", "attention"), seeds=(0, 1))
    )
    found = {"gru": (1.0, 0.999), "attention": (0.5, 1.0)}
    rows = [
        dict.fromkeys(learned.COLUMNS) | {"task": "parity", "model": model, "last": last}
        for model, both in found.items()
        for last in both
    ]
    shown = learned.table(records.Run("learned", config, {}, rows))
    assert shown.head == ["task", "chance", "gru", "attention"]
    assert shown.rows == [["parity", "0.50", "1.00", "0.50 … 1.00"]]


# --- what was recorded, and what is still so ----------------------------------------------------

LEARNED = [  # who should learn what, at the lengths of training
    ("token 3 back", "attention"),
    ("most recent", "attention"),
    ("first token", "attention, no positions"),
    ("recall", "attention"),
    ("agreement", "attention, no positions"),
    ("rule 110", "convolution"),
    ("rule 110", "attention, window 8"),
    ("parity", "gru"),
    ("S3", "gru"),
    ("agreement", "gru"),
]


@pytest.mark.parametrize(("setting", "model"), LEARNED, ids=map(", ".join, LEARNED))
def test_what_should_be_learned_was(setting, model):
    """A task that nobody learns says nothing of anybody."""
    run = records.load(learned)
    assert run.complete
    assert len(run.config["seeds"]) >= 5
    assert min(learned.accuracies(run, setting, model)) >= 0.95


@pytest.mark.deep
@pytest.mark.parametrize(("setting", "model"), LEARNED[:3] + LEARNED[7:9])
def test_what_was_learned_still_is(setting, model):
    """The record says so of a code that has changed since; two seeds say so of today's."""
    run = records.load(learned)
    [rate] = {row["rate"] for row in run.records if (row["task"], row["model"]) == (setting, model)}
    config = Config(settings=(setting,), models=(model,), seeds=(0, 1), rates=(rate,))
    rows = learned.run_cell(Cell(setting, model), config, None, lambda *_: None)
    assert min(row["last"] for row in rows) >= 0.95
