"""What is asked of whom: a row for each question, models of the search apart from the tested."""

import dataclasses

import pytest

from attention_limits.experiments import extrapolation, first_token, most_recent, three_back
from attention_limits.experiments.conditions import CONDITIONS, LONGEST, SETTINGS, Question
from attention_limits.experiments.extrapolation import ONCE, Cell, Config
from attention_limits.runs import records

EXPERIMENTS = (most_recent, three_back, first_token)


def tell_nobody(*_):
    pass


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_every_experiment_is_on_a_task_of_its_own(experiment):
    assert experiment.SETTING in SETTINGS
    assert {preset.settings for preset in experiment.PRESETS.values()} == {(experiment.SETTING,)}
    assert len({other.SETTING for other in EXPERIMENTS}) == len(EXPERIMENTS)


def test_every_encoding_meets_every_condition_that_it_hears():
    every = dataclasses.replace(most_recent.PRESETS["full"], conditions=CONDITIONS)
    found = list(extrapolation.cells(every))
    assert len(set(found)) == len(found) == 6 * 5 + 3 * 2 + 2 * 4
    for encoding in ONCE:
        conditions = [cell.condition for cell in found if cell.encoding == encoding]
        assert conditions == ["random positions", "plain"]


@pytest.fixture(scope="module")
def smoke():
    config = first_token.PRESETS["smoke"]
    cell = Cell("rotary", "random positions")
    return config, cell, first_token.run_cell(cell, config, None, tell_nobody)


@pytest.mark.slow
def test_a_cell_gives_the_same_rows_each_time(smoke):
    config, cell, rows = smoke
    assert first_token.run_cell(cell, config, None, tell_nobody) == rows
    assert {tuple(row) for row in rows} == {extrapolation.COLUMNS}


@pytest.mark.slow
def test_a_cell_has_a_row_for_all_that_is_asked(smoke):
    config, _, rows = smoke
    tested = [
        (r["seed"], r["asked"], r["n"], r["end"], r["gap"]) for r in rows if r["role"] == "test"
    ]
    assert tested == [
        (seed, *question)
        for question in [
            ("longer", 32, LONGEST, 8),
            ("longer", 64, LONGEST, 4),
            ("evenly", 32, LONGEST, 8),
            ("evenly", 32, LONGEST, 1),
        ]
        for seed in config.seeds
    ]
    tried = {(r["seed"], r["n"], r["asked"]) for r in rows if r["role"] == "trial"}
    assert tried == {(1000, 32, "longer"), (1000, 64, "longer")}
    assert {r["rate"] for r in rows if r["role"] == "trial"} >= set(config.budget.rates)


@pytest.mark.slow
def test_a_table_shows_what_was_chosen_and_found(smoke):
    config, cell, rows = smoke
    run = records.new(first_token, config, rows, complete=True)
    shown = extrapolation.table(run, cell.condition)
    rate, steps, at_edge = extrapolation.chosen(run, *dataclasses.astuple(cell))
    assert shown.rows[0][:3] == ["rotary", f"{rate:g}{' (edge)' if at_edge else ''}", str(steps)]
    assert shown.head[-1] == "32, gap 1"
    values = extrapolation.accuracies(run, "rotary", cell.condition, Question("evenly", 32, 256, 1))
    assert len(values) == len(config.seeds)


@pytest.mark.parametrize("name", ["encodings", "conditions"])
def test_an_unknown_name_is_refused(name):
    with pytest.raises(ValueError, match=f"{name} must be among"):
        Config(settings=("first token",), **{name: ("telepathy",)})


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"lengths": (4,)}, "lengths must be 8 to 256"),
        ({"gaps": (9,)}, "gaps must leave room for 32"),
        ({"seeds": (1000,)}, "seeds must be others"),
    ],
)
def test_what_cannot_be_asked_is_refused(change, words):
    with pytest.raises(ValueError, match=words):
        Config(settings=("first token",), **change)


@pytest.mark.slow
def test_trials_are_those_of_the_search_by_steps_and_rate(smoke):
    """A rate was shown with another's accuracy, or tested models were taken for trials."""
    config, cell, rows = smoke
    run = records.new(first_token, config, rows, complete=True)
    found = extrapolation.tried(run, cell.encoding, cell.condition, 32)
    trials = [row for row in rows if row["role"] == "trial" and row["n"] == 32]
    assert len(found) >= len(config.budget.rates)
    for (steps, rate), each in found.items():
        assert each == [r["accuracy"] for r in trials if (r["steps"], r["rate"]) == (steps, rate)]
    shown = extrapolation.trials(run, cell.encoding, cell.condition)
    assert shown.head == ["rate", "steps", "32 tokens", "64 tokens"]
    assert [row[0] for row in shown.rows] == [f"{rate:g}" for _, rate in found]
