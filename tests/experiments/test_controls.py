"""Controls: what is kept is kept, and only what is named differs."""

import dataclasses

import pytest
import torch
from helpers.task_runs import entries_of

from attention_limits import models
from attention_limits.experiments import (
    conditions,
    controls,
    extrapolation,
    most_recent,
    three_back,
)
from attention_limits.experiments.conditions import ENCODINGS, LONGEST, SETTINGS, TRAINED
from attention_limits.experiments.controls import (
    MARKS,
    OFFSET,
    PLAIN,
    PRESETS,
    RANDOM,
    RATES,
    RECENCY,
    TIMES,
    Cell,
    Config,
)
from attention_limits.runs import records

OF = {RECENCY: most_recent, OFFSET: three_back}


def tell_nobody(*_):
    pass


@pytest.mark.parametrize(("task", "condition"), sorted(RATES))
def test_rates_are_those_that_the_search_chose_and_steps_are_more(task, condition):
    """Patience was a control for another rate than the one that had failed."""
    run = records.load(OF[task])
    for encoding, rate in RATES[task, condition].items():
        found, steps, _ = extrapolation.chosen(run, encoding, condition)
        assert rate == found
        more = SETTINGS[task].steps * TIMES[task, condition]
        assert more == steps if condition == PLAIN else more > steps


def two_apart(model, distance):
    """What two models say of two tokens so far apart."""
    tokens = torch.tensor([1, 2]).expand(2, 1, 2)
    return model(tokens, positions=torch.tensor([0, distance]).expand(2, 1, 2))


@pytest.mark.parametrize("encoding", ["shaw 48", "relative_bias 128"])
@pytest.mark.parametrize("distance", controls.COPIED)
def test_what_was_trained_stays_and_all_beyond_is_as_at_one_distance(encoding, distance):
    """An entry too many, or too few, was overwritten, or another was copied."""
    model = models.build(ENCODINGS[encoding], vocabulary=4, classes=4, seeds=(0, 1))
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for entries in model.encoding.parameters():
            entries.add_(torch.randn(entries.shape, generator=generator))
    before = {name: x.clone() for name, x in model.named_parameters()}
    other = controls.overwritten(model, distance)
    tokens = torch.randint(4, (2, 2, TRAINED[1]), generator=generator)
    torch.testing.assert_close(other(tokens), model(tokens), rtol=0, atol=0)
    copied, far, farther = (two_apart(other, d) for d in (distance, 60, 200))
    torch.testing.assert_close(far, copied)
    torch.testing.assert_close(farther, copied)
    assert (two_apart(other, 5) - copied).abs().max() > 1e-3
    assert (two_apart(model, 200) - copied).abs().max() > 1e-3
    torch.testing.assert_close(dict(model.named_parameters()), before, rtol=0, atol=0)


def test_a_model_without_entries_is_refused():
    with pytest.raises(ValueError, match=r"vectors or buckets of distances, got Alibi"):
        controls.overwritten(
            models.build(ENCODINGS["alibi"], vocabulary=4, classes=4, seeds=(0,)), 20
        )


def test_marks_are_all_that_differs_from_another_question():
    """With fewer marks came other gaps, or other tokens."""
    asked = list(controls.questions(Cell(RECENCY, RANDOM, "rotary"), PRESETS["full"]))
    with_marks = {question: marks for marks, question in asked if marks is not None}
    plain = {question for marks, question in asked if marks is None}
    assert plain >= set(with_marks)
    assert [(question.n, marks) for question, marks in with_marks.items()] == list(MARKS)
    usual = SETTINGS[RECENCY].make()
    assert [usual._marked(n) for n, _ in MARKS] == [LONGEST // 4, TRAINED[1] // 4]


@pytest.mark.slow
def test_models_are_asked_with_the_marks_that_a_row_names(monkeypatch):
    """The marks stood in the record, and the sequences had a quarter."""
    asked = []

    def rows(columns, trained, task, lengths, count, same, **more):
        asked.append((lengths[0], same["marks"], task.marks))
        return []

    monkeypatch.setattr(controls.grid, "rows", rows)
    config = PRESETS["smoke"]
    controls.run_cell(Cell(RECENCY, RANDOM, "shaw 48"), config, None, tell_nobody)
    assert (32, 31, 31) in asked
    usual = SETTINGS[RECENCY].make().marks
    assert all(used == (usual if named is None else named) for _, named, used in asked)


def test_only_recency_has_marks_and_only_plain_models_are_overwritten():
    full = PRESETS["full"]
    for cell in controls.cells(full):
        marks = {marks for marks, _ in controls.questions(cell, full)}
        assert marks == {None} | (
            {8, 31} if cell.task == RECENCY and cell.condition == RANDOM else set()
        )
    assert {cell.encoding for cell in controls.cells(full) if cell.condition == PLAIN} == {
        "shaw 48",
        "relative_bias 128",
    }


@pytest.fixture(scope="module")
def smoke():
    config = PRESETS["smoke"]
    rows = [
        row
        for cell in controls.cells(config)
        for row in controls.run_cell(cell, config, None, tell_nobody)
    ]
    return config, records.new(controls, config, rows, complete=True)


@pytest.mark.slow
def test_a_row_for_all_that_is_asked(smoke):
    config, run = smoke
    assert {tuple(row) for row in run.records} == {controls.COLUMNS}
    for cell in controls.cells(config):
        for each in entries_of(cell):
            for marks, question in controls.questions(cell, config):
                found = controls.accuracies(
                    run,
                    cell.task,
                    cell.encoding,
                    question,
                    cell.condition,
                    entries=each,
                    marks=marks,
                )
                assert len(found) == len(config.seeds)
    assert len(run.records) == 2 * (5 + 5 * 4)  # seeds, and what is asked of whom


@pytest.mark.slow
def test_a_table_says_what_differs(smoke):
    _, run = smoke
    shown = controls.table(run, RECENCY)
    assert shown.head[-1] == "32 tokens, 31 marks"
    assert [row[0] for row in shown.rows] == ["shaw 48"]
    assert controls.table(run, RECENCY, PLAIN).head[-1] == "32 from 224, overwritten by 16"


def test_an_unknown_encoding_is_refused():
    with pytest.raises(ValueError, match="encodings must be among"):
        Config(encodings=("telepathy",))


def test_patience_changes_the_number_of_steps_alone():
    for task, condition in RATES:
        usual = conditions.recipe(task, condition)
        more = conditions.recipe(task, condition, usual.steps * TIMES[task, condition])
        assert dataclasses.replace(more, steps=usual.steps) == usual
