"""What a reader types from README.md and the library's pages, typed."""

import functools
import re
import shlex
import tomllib

import pytest
from helpers.sources import ROOT, pages

from attention_limits import cli, training
from attention_limits.training import Recipe

FILES = {"README": ROOT / "README.md", **pages("library")}
BLOCK = re.compile(r"^```(?P<language>python|sh)\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(language):
    """Each block of a language, with the page that it stands on."""
    found = []
    for name, path in FILES.items():
        for number, match in enumerate(BLOCK.finditer(path.read_text(encoding="utf-8"))):
            if match["language"] == language:
                found.append(pytest.param(match["code"], id=f"{name}, block {number}"))
    return found


@pytest.mark.parametrize("code", blocks("python"))
def test_a_sample_runs_as_typed(code, monkeypatch):
    """It named tensors that were nowhere made, and was a NameError for whoever typed it."""
    briefly = {"recipe": Recipe(steps=2, batch=2), "workers": 1}
    train = functools.partial(training.train_ensemble, **briefly)
    monkeypatch.setattr(training, "train_ensemble", train)
    monkeypatch.setattr(training, "evaluate", functools.partial(training.evaluate, count=2))
    exec(compile(code, "sample", "exec"), {"__name__": "__main__"})


def test_there_are_samples():
    assert len(blocks("python")) >= 6


@pytest.mark.parametrize("code", blocks("sh"))
def test_a_command_is_one(code):
    """What is to be installed is announced, and the console knows its words."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = extras["optional-dependencies"]
    for line in code.splitlines():
        words = shlex.split(line, comments=True)
        if words[:1] == ["attention-limits"]:
            assert cli._parser().parse_args(words[1:])
        else:
            assert words[0] in ("pip", "make"), line  # targets are looked up elsewhere
        for extra in re.findall(r"\.\[(\w+)\]", line):
            assert extra in extras
