"""Every task, held to what attention_limits/tasks/__init__.py promises.

A new task joins by its name in TASKS and its parameters in CASES.
"""

import importlib
import pkgutil
import subprocess
import sys

import numpy as np
import pytest
from helpers.integers import INTEGERS
from helpers.tables import assert_rows_for

from attention_limits import tasks
from attention_limits.tasks import IGNORE, TASKS, Batch, Task

CASES = {
    "token_back": [{}, {"k": 1, "symbols": 3}, {"k": 7, "dense": False}],
    "most_recent": [
        {},
        {"marks": 1, "distractors": 0},
        {"marks": 0.5, "distractors": 3},
        {"symbols": 5, "distractors": 6},
    ],
    "first_token": [{}, {"distractors": 0}, {"symbols": 4, "distractors": 6}],
    "recall": [
        {},
        {"pairs": 3, "keys": 3, "values": 4, "queries": 2},
        {"pairs": 1, "queries": 1, "distractors": 0},
        {"pairs": 4, "keys": 9, "queries": 4, "distractors": 5},
    ],
    "copy": [{}, {"symbols": 2}],
    "prefix_majority": [{}],
    "motif": [{}, {"motif_seed": 7, "distractors": 3}, {"letters": 16, "length": 4}],
    "rule_110": [{}],
    "parity": [{}],
    "modular_counting": [{}, {"m": 2}, {"m": 11}],
    "permutations": [
        {},
        {"generators": True},
        {"group": "S5"},
        {"group": "A5", "generators": True},
    ],
    "agreement": [{}, {"attractors": 0}, {"attractors": 2}],
    "irregular_events": [{}, {"rate": 0.3}, {"values": 4, "rate": 5.0, "distractors": 6}],
}
BAD_PARAMETERS = [
    ("token_back", {"k": 0}),
    ("token_back", {"k": 2.0}),
    ("token_back", {"symbols": 1}),
    ("token_back", {"dense": "no"}),
    ("most_recent", {"symbols": 1}),
    ("most_recent", {"marks": 0}),
    ("most_recent", {"marks": 1.0}),
    ("most_recent", {"distractors": -1}),
    ("first_token", {"symbols": True}),
    ("first_token", {"distractors": 0.5}),
    ("recall", {"pairs": 0}),
    ("recall", {"pairs": 33}),
    ("recall", {"keys": 0}),
    ("recall", {"values": 1}),
    ("recall", {"queries": 0}),
    ("recall", {"queries": 9}),
    ("recall", {"distractors": -1}),
    ("copy", {"symbols": 1}),
    ("motif", {"letters": 9}),
    ("motif", {"length": 1}),
    ("motif", {"length": 9}),
    ("motif", {"motif_seed": -1}),
    ("motif", {"distractors": "many"}),
    ("modular_counting", {"m": 1}),
    ("permutations", {"group": "S4"}),
    ("permutations", {"generators": None}),
    ("agreement", {"attractors": -1}),
    ("irregular_events", {"values": 1}),
    ("irregular_events", {"rate": 0}),
    ("irregular_events", {"rate": float("inf")}),
    ("irregular_events", {"rate": float("nan")}),
    ("irregular_events", {"distractors": -1}),
]
BLANK = {  # where the alphabet has one
    "most_recent": lambda task: task.vocabulary - 2,
    "first_token": lambda task: task.vocabulary - 2,
    "recall": lambda task: task.vocabulary - 1,
    "motif": lambda task: task.vocabulary - 2,
    "irregular_events": lambda task: task.vocabulary - 2,
}
ALL = [tasks.make(name, **parameters) for name, cases in CASES.items() for parameters in cases]
all_tasks = pytest.mark.parametrize("task", ALL, ids=str)


def lengths(task):
    """The shortest, its neighbour, and some that no period divides."""
    return sorted({task.shortest, task.shortest + 1, 37 + task.shortest, 64 + task.shortest})


def asked(batch):
    return batch.targets != IGNORE


def same(one, other):
    return all(
        x is y if x is None or y is None else np.array_equal(x, y)
        for x, y in zip(one, other, strict=True)
    )


# --- all of them -------------------------------------------------------------------------------


def test_every_task_is_listed_and_tested():
    """A task was written that nobody finds, or one that nobody tests."""
    assert_rows_for(
        TASKS, {"CASES in tests/tasks/test_contract.py (parameters to test it with)": CASES}
    )
    for module in pkgutil.iter_modules(tasks.__path__, f"{tasks.__name__}."):
        importlib.import_module(module.name)
    written, waiting = set(), [Task]
    while waiting:
        found = waiting.pop().__subclasses__()
        written |= set(found)
        waiting += found
    ours = {task for task in written if task.__module__.startswith(tasks.__name__)}
    assert ours == {tasks.find(name) for name in TASKS}


def test_tasks_load_when_named_and_without_torch():
    """A list of tasks in a menu took seconds to show."""
    probe = (
        "import sys; from attention_limits import tasks;"
        "print('attention_limits.tasks.states' in sys.modules);"
        "[tasks.find(name) for name in tasks.TASKS];"
        "print('torch' in sys.modules, 'attention_limits.tasks.states' in sys.modules)"
    )
    told = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert told.stdout.split() == ["False", "False", "True"]


def test_an_unknown_name_is_refused_with_those_there_are():
    with pytest.raises(ValueError, match=r"^name must be one of token_back, .*'parrot'"):
        tasks.make("parrot")
    with pytest.raises(TypeError):
        tasks.make("parity", m=3)


# --- the answers -------------------------------------------------------------------------------


@all_tasks
def test_every_answer_is_found_again_by_reading(task):
    """The sampler and the reader, written apart, disagree about the rule."""
    for n in lengths(task):
        batch = task.sample((1, n), 400, n)
        unanswered = batch._replace(targets=np.full_like(batch.targets, -7))
        assert np.array_equal(task.oracle(unanswered), batch.targets)


@all_tasks
def test_answers_do_not_depend_on_later_tokens(task):
    """A causal model was asked for something that it cannot have seen."""
    batch, rng = task.sample(2, 60, task.shortest + 20), np.random.default_rng(3)
    for j in rng.integers(1, batch.inputs.shape[1], size=12):
        inputs = batch.inputs.copy()
        inputs[:, j:] = rng.integers(task.vocabulary, size=inputs[:, j:].shape)
        answers = task.oracle(batch._replace(inputs=inputs))
        assert np.array_equal(answers[:, :j], batch.targets[:, :j])


@all_tasks
def test_something_is_asked_of_every_text(task):
    """A loss over no targets is NaN."""
    for n in (task.shortest, task.shortest + 20):
        assert asked(task.sample(4, 50, n)).any(axis=1).all()


@all_tasks
def test_batches_are_what_they_say(task):
    """A token beyond the embedding, a class beyond the logits, or a dtype that torch refuses."""
    batch = task.sample(5, 300, task.shortest + 30)
    assert isinstance(batch, Batch)
    for x in batch[:3]:
        assert (x.shape, x.dtype) == ((300, task.shortest + 30), np.int64)
    assert batch.inputs.min() >= 0
    assert batch.inputs.max() < task.vocabulary
    answers = batch.targets[asked(batch)]
    assert answers.min() >= 0
    assert answers.max() < task.classes
    assert (np.diff(batch.positions) > 0).all()
    if batch.times is not None:
        assert (batch.times.shape, batch.times.dtype) == (batch.inputs.shape, np.float64)
        assert (np.diff(batch.times) >= 0).all()


@all_tasks
def test_every_token_and_every_answer_is_used(task):
    """An alphabet larger than the task: models pay for embeddings that nothing trains."""
    batch = task.sample(6, 2000, task.shortest + 31)
    assert set(batch.targets[asked(batch)]) == set(range(task.classes))
    unused = set(range(task.vocabulary)) - set(np.unique(batch.inputs))
    # Blanks, and what only distracts, stay in the alphabet where there are to be none.
    distractors = getattr(task, "distractors", getattr(task, "attractors", 1))
    if distractors is None:
        unused -= {task.vocabulary - 2, task.vocabulary - 1}
    assert not unused or distractors == 0


@all_tasks
def test_chance_is_the_frequency_of_the_best_constant_answer(task):
    """A model that knows nothing looked better, or worse, than "chance"."""
    rows = 4000
    batch = task.sample(7, rows, task.shortest + 9)
    # One answer of each sequence, at a random place among those asked: independent of each other.
    order = np.random.default_rng(8).random(batch.targets.shape) * asked(batch)
    answers = batch.targets[np.arange(rows), order.argmax(axis=1)]
    frequency = np.bincount(answers, minlength=task.classes) / rows
    noise = np.sqrt(task.chance * (1 - task.chance) / rows)
    assert abs(frequency.max() - task.chance) < 4 * noise


@pytest.mark.parametrize("task", [task for task in ALL if task.chance == 1 / task.classes], ids=str)
def test_answers_are_balanced_wherever_they_are_asked(task):
    """Early, or late, places have a favourite answer, and a model scores by knowing the place.

    A task that is unbalanced by its rule says so by its ``chance``.
    """
    batch = task.sample(9, 6000, task.shortest + 9)
    for i in np.flatnonzero(asked(batch).sum(axis=0) > 20 * task.classes):
        answers = batch.targets[asked(batch)[:, i], i]
        counts, expected = np.bincount(answers, minlength=task.classes), len(answers) / task.classes
        chi_squared, freedom = ((counts - expected) ** 2 / expected).sum(), task.classes - 1
        assert chi_squared < freedom + 6 * np.sqrt(2 * freedom), f"at token {i}"


# --- the seed ----------------------------------------------------------------------------------


@all_tasks
def test_a_seed_says_everything(task):
    n = task.shortest + 10
    once = task.sample((3, 4), 20, n, max_position=2 * n)
    assert same(once, task.sample((3, 4), 20, n, max_position=2 * n))
    assert same(once, task.sample([3, 4], 20, n, max_position=2 * n))
    for other in ((3, 5), (4, 4), (4, 3)):
        assert not np.array_equal(once.inputs, task.sample(other, 20, n).inputs)


@pytest.mark.parametrize("kind", INTEGERS.values(), ids=INTEGERS)
@all_tasks
def test_arguments_may_be_integers_of_any_library(task, kind):
    """A loop over np.arange has such seeds, and the shape of an array such lengths."""
    n = task.shortest + 8
    expected = task.sample((5, 300), 4, n, max_position=300)
    drawn = task.sample((kind(5), kind(300)), kind(4), kind(n), max_position=kind(300))
    assert same(drawn, expected)
    assert same(task.sample(kind(5), 4, n), task.sample(5, 4, n))
    assert same(task.sample(np.array([5, 300]), 4, n, max_position=300), expected)


def test_a_zero_more_is_another_seed():
    """NumPy's own seeds 5, (5,) and (5, 0) draw the same: step 0 trained on the test set."""
    draws = [tasks.make("parity").sample(seed, 4, 32).inputs for seed in (5, (5, 0), (5, 0, 0))]
    assert not any(np.array_equal(draws[i], draws[j]) for i, j in ((0, 1), (0, 2), (1, 2)))


# --- longer, without being harder in other ways ------------------------------------------------


@all_tasks
def test_reach_stretches_positions_and_nothing_else(task):
    """The sequences changed as well, so that a comparison compared two things."""
    n = task.shortest + 10
    plain = task.sample(10, 200, n)
    assert (plain.positions == np.arange(n)).all()
    for max_position in (n, n + 1, 5 * n):
        stretched = task.sample(10, 200, n, max_position=max_position)
        assert same(plain._replace(positions=None), stretched._replace(positions=None))
        assert (np.diff(stretched.positions) > 0).all()
        assert (stretched.positions.min(), stretched.positions.max()) == (0, max_position - 1)
    assert len({tuple(row) for row in stretched.positions}) > 150
    # Each of the positions is as likely as any other.
    share = np.bincount(stretched.positions.ravel(), minlength=5 * n) / 200
    assert abs(share - 1 / 5).max() < 6 * np.sqrt(0.16 / 200)


@pytest.mark.parametrize("name", BLANK)
@pytest.mark.parametrize("distractors", [0, 5])
def test_a_longer_text_has_no_more_distractors(name, distractors):
    """Length and difficulty grew together. Blanks must fill the room, at random places."""
    marks = {"marks": 4} if name == "most_recent" else {}  # a share of the sequence grows with it
    task = tasks.make(name, distractors=distractors, **marks)
    for n in (task.shortest, task.shortest + 20, task.shortest + 90):
        blank = task.sample(11, 200, n).inputs == BLANK[name](task)
        assert (blank.sum(axis=1) == n - task.shortest).all()
    if distractors and name != "recall":
        assert (blank[:, 1:-1].mean(axis=0) > 0.6).all()


@pytest.mark.parametrize("name", BLANK)
def test_without_a_number_every_place_is_taken(name):
    task = tasks.make(name)
    assert (task.sample(12, 200, task.shortest + 40).inputs != BLANK[name](task)).all()


# --- refusals ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "parameters"), BAD_PARAMETERS, ids=str)
def test_a_senseless_parameter_is_refused_by_its_name(name, parameters):
    (parameter,) = parameters
    with pytest.raises(ValueError, match=rf"^{parameter} must be"):
        tasks.make(name, **parameters)


@all_tasks
def test_too_short_a_text_is_refused(task):
    for n in (task.shortest - 1, -1, 8.0, None):
        with pytest.raises(ValueError, match=r"^n must be"):
            task.sample(0, 2, n)


@pytest.mark.parametrize(
    "wrong",
    [
        {"count": 0},
        {"count": 2.0},
        {"max_position": 15},
        {"max_position": 32.0},
        {"seed": -1},
        {"seed": None},
        {"seed": (0, None)},
        {"seed": (1, -2)},
        {"seed": 0.5},
    ],
    ids=str,
)
def test_a_senseless_argument_is_refused_by_its_name(wrong):
    (name,) = wrong
    with pytest.raises(ValueError, match=rf"^{name} must be"):
        tasks.make("parity").sample(**{"seed": 0, "count": 2, "n": 16} | wrong)
