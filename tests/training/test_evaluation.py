"""What models are asked, and how answers are counted."""

import dataclasses
import json

import numpy as np
import torch
from helpers.small_trainings import SHORT, SMALL, TASK, same

from attention_limits import tasks, training
from attention_limits.tasks import IGNORE
from attention_limits.training import evaluate, evaluation, train


class Parrot(torch.nn.Module):
    """Says what it was told to say."""

    def __init__(self, answers):
        super().__init__()
        self.nothing = torch.nn.Parameter(torch.zeros(len(answers), 1))
        self.answers = answers

    def forward(self, tokens):
        logits = [torch.nn.functional.one_hot(answer(tokens[0]), 4) for answer in self.answers]
        return torch.stack(logits).float()


def two_back(tokens):
    return tokens.roll(2, dims=-1)


def right_at_the_end_alone(tokens):
    answers = (two_back(tokens) + 1) % 4
    answers[:, -1] = two_back(tokens)[:, -1]
    return answers


def test_accuracy_is_over_all_answers_and_over_the_last(monkeypatch):
    """What is not asked counted, or the last of a sequence was taken for its last token."""
    model = Parrot([two_back, right_at_the_end_alone])
    trained = training.Trained(model, (0, 1), (0.1, 0.1), [], ("trained",) * 2, (0, 0))
    wanted = [
        {"model": 0, "n": 12, "accuracy": 1.0, "last": 1.0},
        {"model": 1, "n": 12, "accuracy": 0.1, "last": 1.0},
    ]
    assert evaluate(trained, TASK, 12, count=50) == wanted
    monkeypatch.setattr(evaluation, "ROOM", 2 * 12 * 12 * 7)  # seven sequences at a time
    assert evaluate(trained, TASK, 12, count=50) == wanted


def test_numbers_may_be_those_of_any_library():
    """What a loop over np.arange, or np.geomspace, trains: and its record is Python's."""
    expected = train(SMALL, TASK, SHORT, seeds=(3, 4), rates=(0.5, 0.25))
    recipe = dataclasses.replace(SHORT, steps=np.int8(25), lengths=np.array([4, 12]))
    trained = train(SMALL, TASK, recipe, seeds=np.arange(3, 5), rates=np.float32([0.5, 0.25]))
    assert repr((trained.seeds, trained.rates)) == "((3, 4), (0.5, 0.25))"
    assert same(trained, expected)
    assert json.dumps(trained.of(0)) == json.dumps(expected.of(0))
    asked = evaluate(trained, TASK, np.int8(12), count=np.int8(20), seed=np.int64(7))
    assert asked == evaluate(expected, TASK, 12, count=20, seed=7)
    assert json.dumps(asked)


class Quiz:
    """Two sequences, of which the last token is not asked."""

    def sample(self, seed, count, n, *, max_position):
        targets = np.array([[IGNORE, 2, IGNORE], [3, 1, IGNORE]])
        return tasks.Batch(np.array([[0, 2, 0], [0, 1, 0]]), targets, np.zeros((2, 3)))


def test_the_last_answer_need_not_be_at_the_last_token():
    trained = training.Trained(Parrot([lambda x: x]), (0,), (0.1,), [], ("trained",), (0,))
    [row] = evaluate(trained, Quiz(), 3, count=2)
    assert (row["accuracy"], row["last"]) == (2 / 3, 1.0)


def test_sequences_that_test_are_none_that_trained():
    """Of a seed and a length, or of a seed and a step: the same two numbers, the same sequences."""
    seen = []

    def recorded(tokens):
        seen.append(tokens.numpy())
        return tokens

    trained = training.Trained(Parrot([recorded]), (0,), (0.1,), [], ("trained",), (0,))
    evaluate(trained, TASK, 12, count=500, seed=0)
    tested = {row.tobytes() for row in np.concatenate(seen)}
    same_length = dataclasses.replace(SHORT, lengths=(12, 12))
    for step in range(25):
        [batch] = training.draw(TASK, same_length, (0,), step).inputs
        assert not tested & {row.tobytes() for row in batch}


def test_other_seeds_are_other_sequences():
    trained = train(SMALL, TASK, SHORT, seeds=(0,))
    assert evaluate(trained, TASK, 12, seed=1) != evaluate(trained, TASK, 12, seed=2)
    assert evaluate(trained, TASK, 12, seed=1) == evaluate(trained, TASK, 12, seed=1)


def test_tokens_may_stand_where_the_caller_wants_them():
    """Positions were drawn, or given to a model that was not told."""
    trained = train(SMALL, TASK, SHORT, seeds=(0,))
    here, shifted, apart = (
        evaluate(trained, TASK, 12, count=50, positions=np.tile(p, (50, 1)))
        for p in (np.arange(12), 100 + np.arange(12), 3 * np.arange(12))
    )
    assert here == shifted == evaluate(trained, TASK, 12, count=50)
    assert apart != here
