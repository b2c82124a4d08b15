"""Length generalisation: that each condition changes what it says and nothing else."""

import dataclasses

import numpy as np
import pytest
from helpers.small_trainings import checkpoints_every

from attention_limits import models, training
from attention_limits.experiments import length, tuning
from attention_limits.experiments.length import (
    CONDITIONS,
    ENCODINGS,
    LONGEST,
    PRESETS,
    SETTINGS,
    TAKE_POSITIONS,
    TRAINED,
    Cell,
    Config,
)
from attention_limits.runs import records, runner
from attention_limits.training import ensemble

SMOKE = PRESETS["smoke"]


def tell_nobody(*_):
    pass


def row(**given):
    return dict.fromkeys(length.COLUMNS) | given


# --- conditions ---------------------------------------------------------------------------------


@pytest.mark.parametrize("setting", SETTINGS.values(), ids=SETTINGS)
@pytest.mark.parametrize("condition", ["plain", "blanks"])
def test_every_condition_has_room_in_the_shortest_text(setting, condition):
    assert setting.under(condition).shortest <= TRAINED[0]


@pytest.mark.parametrize("setting", [s for s in SETTINGS.values() if s.blanks], ids=str)
def test_blanks_and_nothing_else_fill_a_longer_text(setting):
    """The number of distractors grew along, and the control controlled nothing."""
    task = setting.under("blanks")
    symbols = {}
    for n in (TRAINED[0], TRAINED[1], LONGEST):
        inputs = task.sample(0, 50, n).inputs
        blank = task.vocabulary - 2  # the query is the last of the vocabulary
        counts = (inputs != blank).sum(1)
        assert len(set(counts)) == 1
        symbols[n] = counts[0]
    assert len(set(symbols.values())) == 1
    assert symbols[LONGEST] <= TRAINED[0]


@pytest.mark.parametrize("setting", [s for s in SETTINGS.values() if s.blanks], ids=str)
def test_without_blanks_a_longer_text_is_full_of_symbols(setting):
    """There is nothing to control for, if a plain sequence has blanks."""
    task = setting.make()
    assert not (task.sample(0, 50, LONGEST).inputs == task.vocabulary - 2).any()


def test_who_is_told_no_positions_cannot_be_told_others():
    for name, architecture in ENCODINGS.items():
        given = Cell("first token", name)
        told = {c for c in length.conditions(given) if "random" in c}
        assert bool(told) == (name in TAKE_POSITIONS)
        if architecture.kind != "transformer":
            assert length.conditions(given) == ["plain"]


def test_what_is_found_by_where_it_stands_has_no_blanks():
    """A blank between moves what stands three back."""
    assert length.conditions(Cell("token 3 back", "rotary")) == ["plain", "random positions"]
    assert length.conditions(Cell("most recent", "rotary")) == list(CONDITIONS)


def test_scores_grow_with_log_n_and_are_as_ever_at_the_trained_length():
    [(name, factor)] = length.LOG_N.items()
    assert name == "log_n"
    assert factor * np.log(TRAINED[1]) == pytest.approx(1, abs=1e-12)


# --- cells --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def smoke():
    cells = list(length.cells(SMOKE))
    return {cell: length.run_cell(cell, SMOKE, None, tell_nobody) for cell in cells}


@pytest.mark.slow
def test_a_cell_gives_the_same_rows_each_time(smoke):
    cell = Cell("first token", "rotary")
    assert length.run_cell(cell, SMOKE, None, tell_nobody) == smoke[cell]
    assert {tuple(row) for row in smoke[cell]} == {length.COLUMNS}


@pytest.mark.slow
def test_a_cell_has_a_row_for_all_that_is_asked(smoke):
    """A condition, a seed or a length was left out in silence."""
    asked = [
        (r["condition"], r["asked"], r["n"], r["reach"], r["seed"])
        for r in smoke[Cell("first token", "rotary")]
    ]
    wanted = [
        (condition, how, n, reach, seed)
        for condition, how, n, reach in [
            ("plain", "longer", 32, 32),
            ("plain", "longer", 64, 64),
            ("plain", "stretched", 32, 64),
            ("blanks, random positions", "longer", 32, LONGEST),
            ("blanks, random positions", "longer", 64, LONGEST),
        ]
        for seed in (0, 1)
    ]
    assert asked == wanted
    assert {r["condition"] for r in smoke[Cell("first token", "none")]} == {"plain"}


def test_each_condition_trains_and_asks_as_it_says(monkeypatch):
    """Positions were drawn in training and not when asked, or a scale went to the wrong model."""
    taught, questions = [], []

    def train(architecture, task, recipe, *, seeds, rates, **_):
        taught.append((architecture, task, recipe.max_position, tuple(rates)))
        model = models.build(architecture, vocabulary=1, classes=1, seeds=seeds)
        rest = {"history": [], "ended": ("trained",) * 2, "steps": (1,) * 2}
        return training.Trained(model, seeds, (7e-3,) * len(seeds), **rest)

    def evaluate(trained, task, n, *, count, max_position):
        questions.append((len(taught), task, n, max_position))
        return [{"model": number, "n": n, "last": 0.5} for number in range(2)]

    monkeypatch.setattr(tuning, "train", train)
    monkeypatch.setattr(training, "evaluate", evaluate)
    config = Config(seeds=(0, 1), lengths=(32, 256))
    length.run_cell(Cell("most recent", "rotary"), config, None, tell_nobody)
    full, blanks = (SETTINGS["most recent"].under(c) for c in ("plain", "blanks"))
    rotary = ENCODINGS["rotary"]
    assert taught == [
        (rotary, full, None, config.rates),  # the rate is chosen here, and kept
        (rotary, blanks, None, (7e-3,)),
        (rotary, full, LONGEST, (7e-3,)),
        (rotary, blanks, LONGEST, (7e-3,)),
        (dataclasses.replace(rotary, options=length.LOG_N), full, None, (7e-3,)),
    ]
    assert questions == [
        (1, full, 32, None),
        (1, full, 256, None),
        (1, full, 32, 256),
        (2, blanks, 32, None),
        (2, blanks, 256, None),
        (3, full, 32, LONGEST),
        (3, full, 256, LONGEST),
        (4, blanks, 32, LONGEST),
        (4, blanks, 256, LONGEST),
        (5, full, 32, None),
        (5, full, 256, None),
    ]


@pytest.mark.slow
def test_interrupted_in_the_second_condition_and_resumed_is_uninterrupted(tmp_path, monkeypatch):
    """The rate that the first had chosen was forgotten, or chosen anew by the second.

    In one process: test_learned.py has two of them stopped at different places.
    """
    monkeypatch.setattr(ensemble, "cores", lambda: 1)
    checkpoints_every(10, monkeypatch)
    config = dataclasses.replace(SMOKE, encodings=("rotary",), rates=(1e-3, 1e-2), steps=20)
    whole = runner.run(length, config, tmp_path / "whole")

    def interrupt(share, words):
        if "random positions, step 20" in words:
            raise KeyboardInterrupt

    assert not runner.run(length, config, tmp_path / "again", interrupt).complete
    steps = []
    resumed = runner.run(
        length, config, tmp_path / "again", lambda share, words: steps.append(words)
    )
    assert resumed.records == whole.records
    assert not any("random positions, step 10 of" in words for words in steps)


@pytest.mark.parametrize("name", ["settings", "encodings", "conditions"])
def test_an_unknown_name_is_refused(name):
    with pytest.raises(ValueError, match=f"{name} must be among"):
        Config(**{name: ("telepathy",)})


@pytest.mark.parametrize("n", [4, 512])
def test_a_length_that_no_condition_can_ask_is_refused(n):
    with pytest.raises(ValueError, match=r"lengths must be 8 to 256"):
        Config(lengths=(32, n))


# --- what is made of rows -----------------------------------------------------------------------


def made_run(rows, **config):
    config = dataclasses.asdict(
        Config(settings=("first token",), encodings=("none", "rotary"), **config)
    )
    return records.Run("length", config, {}, rows)


def test_accuracies_are_those_that_are_asked_for():
    """Stretched sequences have 32 tokens, and were taken for those of the trained length."""
    where = {"task": "first token", "encoding": "rotary", "condition": "plain"}
    rows = [
        row(**where, asked="longer", n=32, reach=32, accuracy=1.0),
        row(**where, asked="stretched", n=32, reach=64, accuracy=0.5),
        row(**where | {"encoding": "none"}, asked="longer", n=32, reach=32, accuracy=0.2),
        row(**where | {"condition": "blanks"}, asked="longer", n=32, reach=32, accuracy=0.1),
        row(**where, asked="longer", n=64, reach=64, accuracy=0.7),
    ]
    run = made_run(rows)
    assert length.accuracies(run, 32, **where) == [1.0]
    assert length.accuracies(run, 64, **where) == [0.7]
    assert length.accuracies(run, 64, asked="stretched", **where) == [0.5]


def test_a_table_shows_the_spread_of_the_seeds_and_what_is_missing():
    where = {"task": "first token", "encoding": "rotary", "condition": "plain", "asked": "longer"}
    rows = [
        row(**where, seed=seed, n=n, reach=n, accuracy=a)
        for seed in (0, 1)
        for n, a in ((32, 1.0), (256, 0.5 + 0.1 * seed))
    ]
    shown = length.table(made_run(rows, seeds=(0, 1)))
    assert shown.head == ["encoding", "first token, 32", "first token, 256"]
    assert shown.rows == [["none", "–", "–"], ["rotary", "1.00", "0.55 (0.50 … 0.60)"]]


# --- what was recorded is still so --------------------------------------------------------------


def trained_anew(setting, encoding):
    """Rows of today's code for two of the recorded seeds, at the rate that the record chose."""
    recorded = records.load(length).records
    [rate] = {r["rate"] for r in recorded if (r["task"], r["encoding"]) == (setting, encoding)}
    config = Config(
        settings=(setting,),
        encodings=(encoding,),
        conditions=("plain",),
        seeds=(0, 1),
        rates=(rate,),
        lengths=(32, 256),
    )
    rows = length.run_cell(Cell(setting, encoding), config, None, tell_nobody)
    return records.Run("length", dataclasses.asdict(config), {}, rows)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("setting", "encoding"),
    [
        ("first token", "none"),
        pytest.param("token 3 back", "shaw", marks=pytest.mark.deep),
        pytest.param("most recent", "alibi", marks=pytest.mark.deep),
    ],
)
def test_what_was_carried_eight_times_as_far_still_is(setting, encoding):
    """The record says so of a code that has changed since."""
    run = trained_anew(setting, encoding)
    assert min(length.accuracies(run, 256, task=setting, encoding=encoding)) > 0.9


@pytest.mark.deep
def test_rotary_still_fails_at_new_positions_alone():
    run = trained_anew("most recent", "rotary")
    assert min(length.accuracies(run, 32)) > 0.95
    assert max(length.accuracies(run, 256, asked="stretched")) < 0.5
