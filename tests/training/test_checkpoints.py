"""What a kill leaves behind, and what goes on from it."""

import dataclasses
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import torch
from helpers.small_trainings import KINDS, SHORT, SMALL, TASK, same

from attention_limits import tasks
from attention_limits.training import Recipe, checkpoints, loop, train, train_ensemble


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
    training.train(
        Architecture(d_model=16, heads=2, position="rotary"),
        tasks.make("token_back", k=2, symbols=4),
        training.Recipe(steps=100_000, batch=8, lengths=(4, 12), warm_up=5),
        seeds=(0, 1), every=1, checkpoint=Path({path!r}),
        progress=lambda *_: print("on", flush=True),
    )
"""


@pytest.mark.slow
def test_a_kill_at_any_moment_leaves_checkpoints_that_can_be_read(tmp_path):
    """Written in place, a file that a kill cuts short would end the run for good."""
    path, script = tmp_path / "models", tmp_path / "script.py"
    script.write_text(textwrap.dedent(KILLED.format(path=str(path))))
    recipe = Recipe(steps=100_000, batch=8, lengths=(4, 12), warm_up=5)
    made = loop.made_of(SMALL, TASK, recipe, seeds=(0, 1), rates=(1e-3, 1e-3))
    reached = 0
    for reports in (1, 6):  # after that many more, in the middle of whatever it is at
        killed_while_it_writes(script, path, reports)
        step = checkpoints.read(path, made, torch.device("cpu"))["step"]
        assert step > reached
        reached = step


def killed_while_it_writes(script, path, reports):
    """Run a script until it has written a file anew and told so much more, and kill it."""
    old, process = written(path), None
    try:
        process = subprocess.Popen(
            [sys.executable, str(script)], start_new_session=True, stdout=subprocess.PIPE, text=True
        )
        for _ in process.stdout:
            reports -= written(path) != old
            if not reports:
                return
        pytest.fail("the script ended by itself")
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def written(path):
    """When a file was written last; None if never."""
    return path.stat().st_mtime_ns if path.exists() else None


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
    words = rf"checkpoint models must be of this training, got one of another {other}; delete"
    with pytest.raises(ValueError, match=words):
        train(**given | change, checkpoint=path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("content", [b"", b"no checkpoint", None], ids=["empty", "text", "torn"])
def test_a_corrupted_checkpoint_is_refused_by_name(tmp_path, content):
    path = tmp_path / "models"
    train(SMALL, TASK, SHORT, checkpoint=path, every=5)
    path.write_bytes(path.read_bytes()[:2000] if content is None else content)
    with pytest.raises(
        ValueError, match="checkpoint models must be whole, got a corrupted one; delete it"
    ):
        train(SMALL, TASK, SHORT, checkpoint=path)


@pytest.mark.parametrize("door", [train, train_ensemble])
@pytest.mark.parametrize(
    "checkpoint", ["nowhere/models", ".", b"models", 3], ids=["no folder", "a folder", "bytes", "3"]
)
def test_where_no_checkpoint_can_be_is_told_before_training(
    tmp_path, monkeypatch, door, checkpoint
):
    """After ``every`` steps it was lost, with what they had learned."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(loop._Trainer, "take_step", lambda self: pytest.fail("it trains"))
    with pytest.raises(ValueError, match=r"^checkpoint must be"):
        door(SMALL, TASK, SHORT, checkpoint=checkpoint)


@pytest.mark.parametrize("door", [train, train_ensemble])
def test_a_path_may_be_a_string(tmp_path, monkeypatch, door):
    """And it is meant from here: the processes that train stay where they were begun."""
    monkeypatch.chdir(tmp_path)
    once = door(SMALL, TASK, SHORT, seeds=(0, 1), checkpoint="models", every=5)
    assert list(tmp_path.iterdir())
    assert same(once, door(SMALL, TASK, SHORT, seeds=(0, 1), checkpoint="models", every=5))
