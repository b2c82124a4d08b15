"""Models shared out among processes."""

import dataclasses
import math
import os
import signal
import subprocess
import sys
import textwrap

import pytest
import torch
from helpers.small_trainings import SHORT, SMALL, TASK, noted, weights

from attention_limits.training import train, train_ensemble

pytestmark = pytest.mark.slow  # each trains, or starts processes


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


def test_processes_end_with_who_trains_also_if_it_is_killed(tmp_path):
    """A notebook's kernel was killed, and each time three processes stayed for ever."""
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(IDLE))
    process = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n"
    process.kill()
    process.communicate(timeout=300)  # the output ends when the last of them has ended


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
@pytest.mark.parametrize("call", [train, train_ensemble])
def test_what_cannot_be_trained_is_refused(call, change, words):
    with pytest.raises(ValueError, match=words):
        call(SMALL, TASK, SHORT, **change)


@pytest.mark.parametrize("surroundings", [torch.no_grad, torch.inference_mode])
@pytest.mark.parametrize("workers", [1, 2])
def test_what_is_around_the_call_spoils_no_weights(surroundings, workers):
    """Made within, they could be evaluated once, and never trained on."""
    with surroundings():
        trained = train_ensemble(SMALL, TASK, SHORT, seeds=(0, 1), workers=workers)
    assert all(w.requires_grad and not w.is_inference() for w in trained.model.parameters())
