"""Results that a build keeps: computed once, and again as soon as the code is another."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from attention_limits import store
from attention_limits.evidence import Evidence, evidence

MODULE = "attention_limits.symbols"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A store of this test's own."""
    monkeypatch.setenv(store.STORE, str(tmp_path))
    return tmp_path


@pytest.fixture
def compute():
    """Something to compute, and how often it was."""

    def compute():
        compute.calls += 1
        return {"found": compute.calls}

    compute.calls = 0
    return compute


def test_a_reader_always_computes(compute, monkeypatch):
    """A reader saw the book's numbers and took them for her own machine's."""
    monkeypatch.delenv(store.STORE, raising=False)
    assert [store.kept(MODULE, "x", compute) for _ in range(2)] == [{"found": 1}, {"found": 2}]


def test_a_build_computes_once(folder, compute):
    """Evidence ran for the cell that shows it, and again for the card that lists it."""
    assert [store.kept(MODULE, "x", compute) for _ in range(2)] == [{"found": 1}] * 2
    assert store.kept(MODULE, "y", compute) == {"found": 2}


def test_other_code_computes_again(folder, compute, monkeypatch):
    """A card showed what a function had found before it was mended."""
    store.kept(MODULE, "x", compute)
    monkeypatch.setattr(store, "digest", lambda module: "of other code")
    assert store.kept(MODULE, "x", compute) == {"found": 2}


def test_half_a_file_is_computed_again(folder, compute):
    """A build that was killed while it wrote could never be run again."""
    store.kept(MODULE, "x", compute)
    [path] = folder.glob("*.json")
    path.write_text(path.read_text()[:20])
    assert store.kept(MODULE, "x", compute) == {"found": 2}


def test_what_fails_is_not_kept(folder):
    """An interrupt was remembered as a result."""

    def fails():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.kept(MODULE, "x", fails)
    assert store.kept(MODULE, "x", lambda: 4) == 4


WORKER = """
import sys
from attention_limits import store

def compute():
    print("computes", flush=True)
    sys.stdin.readline()
    return 4

print("found", store.kept("attention_limits.symbols", "x", compute), flush=True)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="locks are POSIX's")
def test_two_processes_share_one_computation(folder):
    """The page's kernel and a worker computed the same piece side by side."""
    pipes = dict(stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ})
    workers = [subprocess.Popen([sys.executable, "-c", WORKER], **pipes) for _ in range(2)]
    with ThreadPoolExecutor(2) as pool:
        told = list(pool.map(lambda worker: worker.communicate("go\n")[0].split("\n"), workers))
    assert sorted(len(lines) for lines in told) == [2, 3], told
    assert all("found 4" in lines for lines in told)


def test_evidence_comes_back_as_it_was(folder):
    """A number had lost its digits, or a bound its relation, on the way through the file."""
    calls = []

    @evidence()
    def piece() -> Evidence:
        calls.append(1)
        return Evidence(1 / 3, float("nan"), 0, "×", "counted", relation="<")

    first, second = piece(), piece()
    assert len(calls) == 1
    assert (first.value, first.relation, str(first)) == (second.value, "<", str(second))


def test_evidence_with_arguments_is_always_gathered(folder):
    """A test that tried other arguments got the default's result."""

    @evidence()
    def piece(n: int = 1) -> Evidence:
        return Evidence(n, n, 0, "×", "counted")

    assert [piece(2).value, piece().value, piece(3).value] == [2, 1, 3]
