"""What experiments that train share: settings, cells, names that are checked, rows."""

from dataclasses import dataclass
from typing import ClassVar

import pytest

from attention_limits import tasks, training
from attention_limits.experiments import grid
from attention_limits.experiments.grid import Setting
from attention_limits.training import Recipe


@dataclass(frozen=True, kw_only=True)
class Config(grid.Config):
    CHOICES: ClassVar = {"settings": ("one", "two"), "models": ("gru",)}

    models: tuple[str, ...] = ("gru",)


@dataclass(frozen=True)
class Cell(grid.Cell):
    setting: str
    model: str


def test_a_setting_makes_its_task_and_changes_of_it():
    """A change fell on the setting's own parameters, or these were lost with it."""
    setting = Setting("recall", {"pairs": 4, "queries": 4})
    assert setting.make() == tasks.make("recall", pairs=4, queries=4)
    assert setting.make(queries=2) == tasks.make("recall", pairs=4, queries=2)
    assert setting.make() == tasks.make("recall", pairs=4, queries=4)


@pytest.mark.parametrize("name", ["settings", "models"])
def test_names_are_checked_field_by_field(name):
    """A misspelt name trained nothing, or failed after an hour of other cells."""
    known = ", ".join(Config.CHOICES[name])
    with pytest.raises(ValueError, match=f"{name} must be among {known}, got {{'telepathy'}}"):
        Config(**{"settings": ("one",), name: ("telepathy",)})
    assert Config(settings=("two", "one")).settings == ("two", "one")


def test_a_cell_is_called_by_its_choices():
    assert Cell("first token", "gru").name == "first token, gru"
    assert Cell("a", "b") == Cell("a", "b") != Cell("b", "a")


def test_a_row_has_the_columns_in_their_order_and_no_others():
    """The record was refused as outdated, since two columns had changed places."""
    made = grid.row(("seed", "task", "n"), {"n": 8, "seed": 3, "last": 0.5}, task="parity")
    assert list(made.items()) == [("seed", 3), ("task", "parity"), ("n", 8)]
    with pytest.raises(KeyError):
        grid.row(("seed", "rate"), {"seed": 3})


def test_each_model_is_judged_under_its_own_seed_and_rate():
    """Rows of two models were told apart by the order in which they came."""
    task = tasks.make("parity")
    config = Config(settings=("one",), seeds=(5, 7), steps=2)
    trained = grid.train(
        grid.Architecture(kind="gru", d_model=8),
        Setting("parity", lengths=(2, 4)),
        config,
        rates=(3e-3,),
    )
    judged = list(grid.judge(trained, task, 4, count=10))
    told = [(row["model"], row["seed"], row["rate"], row["steps"], row["ended"]) for row in judged]
    assert told == [(0, 5, 3e-3, 2, "trained"), (1, 7, 3e-3, 2, "trained")]
    answers = training.evaluate(trained, task, 4, count=10)
    assert [{key: row[key] for key in answers[0]} for row in judged] == answers


def test_rows_hold_what_each_model_has_of_its_own_at_every_length():
    """Six experiments wrote this loop, and each could have put a loss beside another model."""
    task = tasks.make("parity")
    trained = training.train(
        grid.Architecture(kind="gru", d_model=8),
        task,
        Recipe(steps=2, lengths=(2, 4)),
        seeds=(5, 7),
        rates=3e-3,
    )
    columns = ("task", "n", "seed", "loss", "accuracy")
    rows = grid.rows(columns, trained, task, (4, 8), 10, {"task": "parity"}, loss=(0.5, None))
    last = {
        n: [row["last"] for row in training.evaluate(trained, task, n, count=10)] for n in (4, 8)
    }
    assert [tuple(row.items()) for row in rows] == [
        tuple(zip(columns, ("parity", n, seed, loss, last[n][number]), strict=True))
        for n in (4, 8)
        for number, (seed, loss) in enumerate([(5, 0.5), (7, None)])
    ]


def test_a_config_may_shorten_what_a_setting_says(monkeypatch):
    """`--preset smoke` trained for as long as the book does."""
    recipes = []
    monkeypatch.setattr(grid.tuning, "train", lambda *given, **_: recipes.append(given[2]))
    for steps in (None, 7):
        config = Config(settings=("one",), steps=steps)
        grid.train(
            None, Setting("parity", steps=30, lengths=(2, 9)), config, rates=(1,), max_position=64
        )
    assert recipes == [Recipe(steps=s, lengths=(2, 9), max_position=64) for s in (30, 7)]
