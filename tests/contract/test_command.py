"""``attention-limits check`` and ``attention-limits new``."""

import json
import subprocess
import sys

import pytest

from attention_limits import contract
from attention_limits.cli import main

GOOD = """
print("a line of the reader's own")

def attend(q, k, v, *, power=2):
    weights = (1 + (q @ k.mT * q.shape[-1] ** -0.5).abs()) ** power
    return weights @ v / weights.sum(-1, keepdim=True).clamp_min(1e-12)
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_new_file_passes(here, capsys):
    """The first minute with the command ended in a failure."""
    assert main(["new", "my_mechanism"]) == 0
    assert (
        capsys.readouterr().out
        == "wrote my_mechanism.py; check it with: attention-limits check my_mechanism.py\n"
    )
    assert main(["check", "my_mechanism.py", "--quick", "--html"]) == 0
    out, err = capsys.readouterr()
    assert out.splitlines()[-1] == "my_mechanism: 20 checks: 19 passed, 1 measured"
    assert err.splitlines()[-1] == "wrote my_mechanism.html"
    assert (here / "my_mechanism.html").read_text("utf-8").startswith("<!doctype html>")


def test_what_is_there_is_not_written_over(here, capsys):
    """Her own work, gone."""
    (here / "mine.py").write_text("precious")
    assert main(["new", "mine.py"]) == 2
    assert (here / "mine.py").read_text() == "precious"
    assert "FILE must not be there yet, got 'mine.py'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "words"),
    [("my-mechanism", "Python can import"), ("nowhere/mine.py", "that can be written")],
)
def test_a_file_that_cannot_be_begun_is_refused(name, words, here, capsys):
    assert main(["new", name]) == 2
    assert words in capsys.readouterr().err
    assert not list(here.iterdir())


def test_a_failure_is_told_by_the_status(here, capsys):
    """A script that asks the status took a failure for success."""
    (here / "mine.py").write_text(GOOD)
    argv = ["check", "mine.py", "--quick", "--causal"]
    assert main(argv) == 1
    assert "✗ causality: expected no output that depends on a later" in capsys.readouterr().out


def test_options_come_from_the_command_line(here, capsys):
    """An option of the file stood in the way of the one that was typed; prints spoiled the JSON."""
    (here / "mine.py").write_text(GOOD)
    argv = ["check", "mine.py", "--quick", "--json", "--option", "power=4"]
    assert main(argv) == 0
    out, err = capsys.readouterr()
    report = json.loads(out)
    assert report["ok"] is True
    assert {finding["case"] for finding in report["findings"]} == {"power=4"}
    assert "a line of the reader's own" in err
    assert "[100%] done" in err


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["nowhere.py"], "file must be a Python file that is there"),
        (["mine.py", "--option", "window=3"], "options must be ones that attend takes"),
        (["mine.py", "--quick", "--html", "nowhere/page.html"], "--html must be a file"),
    ],
)
def test_what_cannot_be_checked_has_its_own_status(argv, words, here, capsys):
    (here / "mine.py").write_text(GOOD)
    assert main(["check", *argv]) == 2
    assert words in capsys.readouterr().err


def test_an_interrupt_ends_it(here, monkeypatch):
    """Ctrl-C ended in a traceback of PyTorch's."""

    def interrupted(*_, **__):
        raise KeyboardInterrupt

    (here / "mine.py").write_text(GOOD)
    monkeypatch.setattr(contract, "check", interrupted)
    assert main(["check", "mine.py"]) == 130


def test_an_option_without_a_value_is_refused(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["check", "mine.py", "--option", "window"])
    assert stop.value.code == 2
    assert "must be NAME=VALUE, got 'window'" in capsys.readouterr().err


def test_a_new_file_does_not_wait_for_torch(tmp_path):
    """To write sixty lines took seconds."""
    code = f"""
import sys
from attention_limits.cli import main
assert main(["new", {str(tmp_path / "mine")!r}]) == 0
assert "torch" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)
