"""The loop that all trained models of the book come from."""

import dataclasses
import math
import operator
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from attention_limits import models, tasks, training
from attention_limits.models import Architecture
from attention_limits.tasks import IGNORE
from attention_limits.training import Recipe, evaluate, train, train_ensemble

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


@pytest.fixture(autouse=True)
def one_thread():
    """More of them sum in another order."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def weights(trained, number=0):
    return [w[number].detach() for w in trained.model.parameters()]


def same(trained, other, number=0, number_of_other=0):
    pairs = zip(weights(trained, number), weights(other, number_of_other), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


def noted(trained, number):
    """What the history says of a model, in one list."""
    rows = [row for row in trained.history if row["model"] == number]
    return [row[what] for row in rows for what in ("step", "loss", "accuracy")]


# --- alone, side by side, shared out ------------------------------------------------------------


@pytest.mark.parametrize("architecture", KINDS.values(), ids=KINDS)
def test_side_by_side_is_alone(architecture):
    """A model felt its neighbours, by the gradient's norm, the learning rate or the data."""
    given = {"architecture": architecture, "task": TASK, "recipe": SHORT}
    three = train(**given, seeds=(3, 5, 3), rates=(1e-3, 1e-2, 3e-2))
    for number, (seed, rate) in enumerate([(3, 1e-3), (5, 1e-2), (3, 3e-2)]):
        alone = train(**given, seeds=(seed,), rates=rate)
        for a, b in zip(weights(three, number), weights(alone), strict=True):
            torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)
        assert noted(three, number) == pytest.approx(noted(alone, 0), rel=1e-4)
    moved = [(a - b).abs().max() for a, b in zip(weights(three, 0), weights(three, 2), strict=True)]
    assert min(moved) > 1e-4  # the rate was one model's own


def test_the_same_call_gives_the_same_models():
    assert same(train(SMALL, TASK, SHORT, seeds=(1,)), train(SMALL, TASK, SHORT, seeds=(1,)))
    assert not same(train(SMALL, TASK, SHORT, seeds=(1,)), train(SMALL, TASK, SHORT, seeds=(2,)))


@pytest.mark.parametrize("workers", [2, 3])
def test_processes_train_the_same_models(workers):
    """Seeds exchanged, or the history of one given to another."""
    given = {"seeds": (7, 8, 9), "rates": (1e-3, 3e-3, 1e-2)}
    together = train(SMALL, TASK, SHORT, **given)
    shared = train_ensemble(SMALL, TASK, SHORT, **given, workers=workers)
    for number in range(3):
        for a, b in zip(weights(together, number), weights(shared, number), strict=True):
            torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)
        assert noted(together, number) == pytest.approx(noted(shared, number), rel=1e-4)
    assert (shared.seeds, shared.rates) == (given["seeds"], given["rates"])
    assert shared.ended == together.ended
    assert shared.steps == together.steps


def test_processes_report_and_pass_errors_on():
    told = []
    train_ensemble(
        SMALL, TASK, SHORT, seeds=(0, 1), workers=2, progress=lambda *report: told.append(report)
    )
    assert {words for _, words in told if "25 of 25" in words}
    assert all(0 < share <= 1 for share, _ in told)
    too_short = dataclasses.replace(SHORT, lengths=(2, 2))  # the task wants three tokens
    with pytest.raises(ValueError, match="n must be"):
        train_ensemble(SMALL, TASK, too_short, seeds=(0, 1), workers=2)


# --- the step -----------------------------------------------------------------------------------


def test_a_step_is_that_of_adamw_with_a_clipped_gradient():
    """Against PyTorch's own, one model, its own rate and schedule, written out."""
    recipe = Recipe(steps=12, batch=8, lengths=(6, 6), warm_up=3, cool_down=0.5, weight_decay=0.1)
    trained = train(SMALL, TASK, recipe, seeds=(4,), rates=0.02)
    model = models.build(SMALL, vocabulary=4, classes=4, seeds=(4,))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1, betas=(0.9, 0.99), weight_decay=0.1)
    schedule = [1 / 4, 2 / 4, 3 / 4, 1, 1, 1, 6 / 7, 5 / 7, 4 / 7, 3 / 7, 2 / 7, 1 / 7]
    for step, share in enumerate(schedule):
        batch = TASK.sample((4, step), 8, 6)
        logits = model(torch.from_numpy(batch.inputs)[None])[0]
        asked = batch.targets != IGNORE
        loss = torch.nn.functional.cross_entropy(
            logits[asked], torch.from_numpy(batch.targets[asked])
        )
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.param_groups[0]["lr"] = 0.02 * share
        optimizer.step()
    for a, b in zip(weights(trained), model.parameters(), strict=True):
        torch.testing.assert_close(a, b[0], rtol=1e-4, atol=1e-5)


def test_rates_rise_stay_and_fall():
    recipe = Recipe(steps=100, warm_up=9, cool_down=0.2)
    rates = [recipe.rate(step) for step in range(100)]
    assert rates[:10] == pytest.approx(np.arange(1, 11) / 10)
    assert set(rates[10:80]) == {1.0}
    assert rates[80:] == pytest.approx(np.arange(20, 0, -1) / 21)
    assert min(Recipe(steps=5, warm_up=0, cool_down=0).rate(step) for step in range(5)) == 1


def test_lengths_are_drawn_from_all_that_are_allowed_and_shared_by_seeds():
    recipe = Recipe(lengths=(4, 9))
    lengths = [recipe.length(step) for step in range(300)]
    assert set(lengths) == set(range(4, 10))
    batch = training.draw(TASK, recipe, (5, 6, 5), step=17)
    assert batch.inputs.shape == (3, 32, lengths[17])
    assert (batch.inputs[0] == batch.inputs[2]).all()
    assert (batch.inputs[0] != batch.inputs[1]).any()
    assert (batch.inputs[0] == TASK.sample((5, 17), 32, lengths[17]).inputs).all()


def test_stretched_positions_and_times_reach_the_model():
    """A model that never sees them trains just as well as one without."""
    stretched = dataclasses.replace(SHORT, max_position=200)
    assert not same(train(SMALL, TASK, SHORT), train(SMALL, TASK, stretched))
    events = tasks.make("irregular_events", values=4)
    timed = Architecture(d_model=16, heads=2, position="time_aware")
    model = train(timed, events, dataclasses.replace(SHORT, lengths=(6, 6))).model
    tokens, _, where = training.to_tensors(events.sample(0, 3, 6), False, torch.device("cpu"))
    later = {"times": where["times"] * 2}
    with torch.no_grad():
        assert (model(tokens[None], **where) - model(tokens[None], **later)).abs().max() > 1e-4


@pytest.mark.parametrize("architecture", KINDS.values(), ids=KINDS)
def test_half_precision_trains(architecture):
    """Products in bfloat16; weights, losses and the optimiser's state stay in float32."""
    trained = train(architecture, TASK, dataclasses.replace(SHORT, precision="bfloat16"))
    assert {w.dtype for w in weights(trained)} == {torch.float32}
    full = train(architecture, TASK, SHORT)
    assert not same(trained, full)
    ours, theirs = (run.history[-1]["loss"] for run in (trained, full))
    assert ours == pytest.approx(theirs, rel=0.1)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("architecture", KINDS.values(), ids=KINDS)
def test_trains_on_cuda_as_on_a_cpu(architecture):
    there = train(architecture, TASK, SHORT, device="cuda", seeds=(0, 1))
    here = train(architecture, TASK, SHORT, seeds=(0, 1))
    assert there.history[0]["loss"] == pytest.approx(here.history[0]["loss"], rel=1e-2)
    assert evaluate(there, TASK, 12)[0]["accuracy"] > 0


def test_what_is_noted_is_a_mean_over_the_steps_since_the_last_look():
    """The last steps, fewer than an interval, were divided by as many as in one."""
    still = train(SMALL, TASK, dataclasses.replace(SHORT, steps=23, batch=64), rates=1e-9)
    assert [row["step"] for row in still.history] == [10, 20, 23]
    losses = [row["loss"] for row in still.history]
    assert losses == pytest.approx([losses[0]] * 3, rel=0.1)


def test_who_looks_at_models_in_training_sees_them_as_they_are_and_changes_nothing():
    """A lab's look on the way moved a draw or a weight, or was a look at the first models."""
    seen = []

    def look(trained):
        row = evaluate(trained, TASK, 12, count=20)[0]
        seen.append((trained.steps, row["accuracy"], weights(trained)[0].clone()))

    watched = train(SMALL, TASK, SHORT, seeds=(1, 2), look=look)
    assert same(watched, train(SMALL, TASK, SHORT, seeds=(1, 2)))
    assert [steps for steps, _, _ in seen] == [(10, 10), (20, 20), (25, 25)]
    half_way = train(SMALL, TASK, dataclasses.replace(SHORT, cool_down=0, steps=20), seeds=(1, 2))
    whole = train(SMALL, TASK, dataclasses.replace(SHORT, cool_down=0), seeds=(1, 2), look=look)
    assert torch.equal(seen[4][2], weights(half_way)[0])
    assert torch.equal(seen[5][2], weights(whole)[0])
    assert seen[5][1] == evaluate(whole, TASK, 12, count=20)[0]["accuracy"]


# --- stopping -----------------------------------------------------------------------------------


def test_a_model_stops_at_its_target_and_the_others_go_on():
    """The first answers are worth more than the last steps; but nobody else may stop with it."""
    recipe = Recipe(steps=300, batch=16, lengths=(8, 8), target=0.9)
    first = tasks.make("first_token", symbols=2)
    quick, slow = (train(SMALL, first, recipe, rates=rate) for rate in (1e-2, 1e-5))
    assert quick.ended == ("target",)
    assert quick.steps[0] < 300
    assert quick.history[-1]["accuracy"] >= 0.9
    assert quick.history[-1]["step"] == quick.steps[0]
    assert slow.ended == ("trained",)
    both = train(SMALL, first, recipe, seeds=(0, 0), rates=(1e-2, 1e-5))
    assert (both.ended, both.steps) == (("target", "trained"), (quick.steps[0], 300))
    for a, b in zip(weights(both, 0), weights(quick), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)


def test_a_model_that_diverges_is_given_up_and_takes_none_with_it():
    """One NaN in a norm that all share, and five seeds are lost."""
    recipe = dataclasses.replace(SHORT, steps=40, clip=None, diverged=20.0)
    both = train(SMALL, TASK, recipe, seeds=(1, 1), rates=(1e6, 1e-3))
    assert both.ended == ("diverged", "trained")
    assert both.steps == (10, 40)
    alone = train(SMALL, TASK, recipe, seeds=(1,), rates=1e-3)
    for a, b in zip(weights(both, 1), weights(alone), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)
    assert all(loss is None or math.isfinite(loss) for loss in [r["loss"] for r in both.history])


def test_all_stop_and_so_does_training():
    recipe = dataclasses.replace(SHORT, steps=10**6, target=1e-9)
    assert train(SMALL, TASK, recipe).steps == (training.INTERVAL,)


# --- checkpoints --------------------------------------------------------------------------------


def interrupted(path, at, **given):
    """Train until a step, and die of it."""

    def die(share, words):
        if words.startswith(f"step {at} "):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(**given, checkpoint=path, every=7, progress=die)


@pytest.mark.parametrize("architecture", KINDS.values(), ids=KINDS)
def test_killed_and_resumed_is_uninterrupted(tmp_path, architecture):
    """Bit for bit: weights, the optimiser's state, the data, what was noted on the way."""
    recipe = dataclasses.replace(SHORT, steps=45, target=0.99)
    given = {"architecture": architecture, "task": TASK, "recipe": recipe, "seeds": (0, 1)}
    whole = train(**given)
    path = tmp_path / "models"
    interrupted(path, 20, **given)
    interrupted(path, 40, **given)
    resumed = train(**given, checkpoint=path, every=7)
    assert same(whole, resumed, 0, 0)
    assert same(whole, resumed, 1, 1)
    assert resumed.history == whole.history
    assert (resumed.ended, resumed.steps) == (whole.ended, whole.steps)


def test_what_is_finished_is_not_trained_again(tmp_path):
    path, told = tmp_path / "models", []
    once = train(SMALL, TASK, SHORT, checkpoint=path, every=5)
    assert path.exists()
    again = train(
        SMALL, TASK, SHORT, checkpoint=path, every=5, progress=lambda *words: told.append(words)
    )
    assert not told
    assert same(once, again)


def test_a_kill_in_the_middle_of_a_file_leaves_the_one_before(tmp_path, monkeypatch):
    """Written in place, it would be the end of the run."""
    given, path = {"architecture": SMALL, "task": TASK, "recipe": SHORT}, tmp_path / "models"
    interrupted(path, 10, **given)
    before, write = path.read_bytes(), Path.write_bytes

    def torn(self, content):
        write(self, content[: len(content) // 2])
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Path, "write_bytes", torn)
        with pytest.raises(KeyboardInterrupt):
            train(**given, checkpoint=path, every=7)
    assert path.read_bytes() == before
    assert same(train(**given), train(**given, checkpoint=path, every=7))


KILLED = """
    from pathlib import Path
    from attention_limits import tasks, training
    from attention_limits.models import Architecture
    if __name__ == "__main__":
        training.train_ensemble(
            Architecture(d_model=16, heads=2, position="rotary"),
            tasks.make("token_back", k=2, symbols=4),
            training.Recipe(steps=100_000, batch=8, lengths=(4, 12), warm_up=5),
            seeds=(0, 1, 2), workers=2, every=1, checkpoint=Path({path!r}),
        )
"""


@pytest.mark.slow
def test_a_kill_at_any_moment_leaves_checkpoints_that_can_be_read(tmp_path):
    """Written in place, a file that a kill cuts short would end the run for good."""
    path, script = tmp_path / "models", tmp_path / "script.py"
    script.write_text(textwrap.dedent(KILLED.format(path=str(path))))
    recipe = Recipe(steps=100_000, batch=8, lengths=(4, 12), warm_up=5)
    reached = [0, 0]
    parts = [tmp_path / f"models.{number}-of-2" for number in range(2)]
    for delay in (0.05, 0.11, 0.23):
        old = written(parts)
        process = subprocess.Popen([sys.executable, str(script)], start_new_session=True)
        before = time.monotonic()
        while any(map(operator.eq, old, written(parts))) and time.monotonic() < before + 300:
            time.sleep(0.01)
        time.sleep(delay)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        for number, (part, seeds) in enumerate(zip(parts, [(0, 1), (2,)], strict=True)):
            trainer = training._Trainer(
                SMALL, TASK, recipe, seeds, (1e-3,) * len(seeds), torch.device("cpu")
            )
            trainer.load(part)
            assert trainer.step > reached[number]
            reached[number] = trainer.step


def written(parts):
    """When each part was written last; None if never."""
    return [part.stat().st_mtime_ns if part.exists() else None for part in parts]


IDLE = """
    import time
    from attention_limits import tasks, training
    from attention_limits.models import Architecture
    if __name__ == "__main__":
        training.train_ensemble(
            Architecture(kind="gru", d_model=4, layers=1),
            tasks.make("parity"),
            training.Recipe(steps=2, batch=2, lengths=(2, 4), warm_up=1),
            seeds=(0, 1), workers=2,
        )
        try:
            print("ready", flush=True)
            time.sleep(600)
        except KeyboardInterrupt:
            print("heard")
"""


def test_an_interrupt_is_heard_by_who_trains_and_not_by_its_processes(tmp_path):
    """Each of those that wait for work threw a page of traceback at the reader of a notebook."""
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(IDLE))
    process = subprocess.Popen(
        [sys.executable, str(script)],
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "ready\n"
    os.killpg(process.pid, signal.SIGINT)
    said, complained = process.communicate(timeout=300)
    assert (process.returncode, said) == (0, "heard\n")
    assert "Traceback" not in complained


@pytest.mark.parametrize(
    ("change", "other"),
    [
        ({"seeds": (0, 2)}, "seeds"),
        ({"rates": 2e-3}, "rates"),
        ({"recipe": dataclasses.replace(SHORT, batch=9)}, "recipe"),
        ({"task": tasks.make("token_back", k=1, symbols=4)}, "task"),
        ({"architecture": dataclasses.replace(SMALL, norm="post")}, "architecture"),
    ],
)
def test_a_checkpoint_of_another_training_is_refused_and_kept(tmp_path, change, other):
    """Half of one training and half of another is no training, and no error either."""
    path = tmp_path / "models"
    given = {"architecture": SMALL, "task": TASK, "recipe": SHORT, "seeds": (0, 1)}
    train(**given, checkpoint=path, every=5)
    before = path.read_bytes()
    words = rf"checkpoint models must be of this training, but has another {other}; delete"
    with pytest.raises(ValueError, match=words):
        train(**given | change, checkpoint=path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("content", [b"", b"no checkpoint", None], ids=["empty", "text", "torn"])
def test_a_corrupted_checkpoint_is_refused_by_name(tmp_path, content):
    path = tmp_path / "models"
    train(SMALL, TASK, SHORT, checkpoint=path, every=5)
    path.write_bytes(path.read_bytes()[:2000] if content is None else content)
    with pytest.raises(ValueError, match="checkpoint models is corrupted; delete it"):
        train(SMALL, TASK, SHORT, checkpoint=path)


# --- evaluation ---------------------------------------------------------------------------------


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
    """What is not asked counted, or the last of a text was taken for its last token."""
    model = Parrot([two_back, right_at_the_end_alone])
    trained = training.Trained(model, (0, 1), (0.1, 0.1), [], ("trained",) * 2, (0, 0))
    wanted = [
        {"model": 0, "n": 12, "accuracy": 1.0, "last": 1.0},
        {"model": 1, "n": 12, "accuracy": 0.1, "last": 1.0},
    ]
    assert evaluate(trained, TASK, 12, count=50) == wanted
    monkeypatch.setattr(training, "ROOM", 2 * 12 * 12 * 7)  # seven texts at a time
    assert evaluate(trained, TASK, 12, count=50) == wanted


class Quiz:
    """Two texts, of which the last token is not asked."""

    def sample(self, seed, count, n, *, max_position):
        targets = np.array([[IGNORE, 2, IGNORE], [3, 1, IGNORE]])
        return tasks.Batch(np.array([[0, 2, 0], [0, 1, 0]]), targets, np.zeros((2, 3)))


def test_the_last_answer_need_not_be_at_the_last_token():
    trained = training.Trained(Parrot([lambda x: x]), (0,), (0.1,), [], ("trained",), (0,))
    [row] = evaluate(trained, Quiz(), 3, count=2)
    assert (row["accuracy"], row["last"]) == (2 / 3, 1.0)


def test_texts_that_test_are_none_that_trained():
    """Of a seed and a length, or of a seed and a step: the same two numbers, the same texts."""
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


def test_other_seeds_are_other_texts():
    trained = train(SMALL, TASK, SHORT, seeds=(0,))
    assert evaluate(trained, TASK, 12, seed=1) != evaluate(trained, TASK, 12, seed=2)
    assert evaluate(trained, TASK, 12, seed=1) == evaluate(trained, TASK, 12, seed=1)


# --- what is refused ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"steps": 0}, "steps must be an integer of at least 1"),
        ({"batch": 0}, "batch must be"),
        ({"lengths": (9, 8)}, "lengths must be from and to"),
        ({"lengths": (0, 8)}, "lengths must be from and to"),
        ({"lengths": (8,)}, "lengths must be from and to"),
        ({"warm_up": -1}, "warm_up must be"),
        ({"cool_down": 1.5}, "cool_down must be a share"),
        ({"clip": 0}, "clip must be positive, or None"),
        ({"target": 0.0}, "target must be positive, or None"),
        ({"precision": "float8"}, "precision must be one of 'float32', 'bfloat16'"),
    ],
)
def test_a_recipe_that_cannot_be_followed_is_refused(change, words):
    with pytest.raises(ValueError, match=words):
        Recipe(**change)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"rates": (1e-3, 1e-3)}, "rates must be positive, one for all or one for each of 1 seeds"),
        ({"rates": 0}, "rates must be positive"),
        ({"rates": math.nan}, "rates must be positive"),
        ({"seeds": ()}, "seeds must be one or more"),
        ({"seeds": (-1,)}, "seeds must be"),
        ({"device": "abacus"}, "device must be"),
        ({"every": 0}, "every must be"),
    ],
)
@pytest.mark.parametrize("door", [train, train_ensemble])
def test_what_cannot_be_trained_is_refused(door, change, words):
    with pytest.raises(ValueError, match=words):
        door(SMALL, TASK, SHORT, **change)
