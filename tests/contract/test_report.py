"""What the check refuses, and how it tells what it found."""

import json
import re
from pathlib import Path
from types import SimpleNamespace

import pytest
from helpers.brought import PLAIN, SOFTMAX, quick

from attention_limits import contract

# --- what cannot be checked -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("", "module must have a function attend(q, k, v), got none"),
        ("def attend(q, k): return q", "attend must take q, k and v, got q, k"),
        ("def attend(q, k, v, *, window): return v", "attend must be told its window"),
        ("def attend(q, k, v, gate): return v", "inputs(q, k, v, generator), which returns"),
        ("CASES = []\ndef attend(q, k, v): return v", "CASES must have at least one row"),
        ("CASES = [4]\ndef attend(q, k, v): return v", "CASES must have rows like"),
        ("CASES = [{'w': 4}]\ndef attend(q, k, v): return v", "q, k and v, got w"),
        ("def inputs(*_): return 4\ndef attend(q, k, v): return v", "tensors by name, got int"),
        ("def inputs(*_): 1 / 0\ndef attend(q, k, v): return v", "ZeroDivisionError in line 1 of"),
        (
            "from torch.nn.functional import scaled_dot_product_attention as attend",
            "attend must be a function written in Python",
        ),
        ("def attend(q, k, v) return v", "SyntaxError"),
        ("import nothing_of_this_name", "in line 1 of mine.py"),
    ],
)
def test_what_cannot_be_checked_is_refused_in_words(source, words, written):
    """A traceback of the checker's says nothing about her file."""
    with pytest.raises(contract.UnusableError) as refusal:
        contract.check(contract.load(written(source)))
    assert words in str(refusal.value)


@pytest.mark.parametrize("name", ["nowhere.py", "mine.txt", ""])
def test_a_file_that_is_not_there_is_refused(name, tmp_path):
    with pytest.raises(contract.UnusableError, match="file must be a Python file that is there"):
        contract.load(tmp_path / name)


def test_what_lies_beside_the_file_can_be_imported(written):
    """It works in `python mine.py`, and not here."""
    written("WIDTH = 3", "beside.py")
    source = "import beside\ndef attend(q, k, v): return v[..., -q.shape[-2]:, :] * beside.WIDTH"
    assert quick(contract.load(written(source))).name == "mine"


def test_sizes_have_names():
    with pytest.raises(ValueError, match="size must be one of 'full', 'quick', got 'huge'"):
        contract.check(SimpleNamespace(attend=lambda q, k, v: v), size="huge")


def test_what_goes_wrong_in_the_check_is_no_fault_of_the_reader_s(brought, monkeypatch):
    """A mistake of ours ended the report, or was laid at her door."""
    monkeypatch.setitem(contract.CHECKS, "devices", lambda case: 1 / 0)
    report = quick(brought(PLAIN))
    assert report.ok
    [finding] = report.of("devices")
    assert finding.sentence == (
        "not tried: the check itself went wrong: ZeroDivisionError: division by zero"
    )


# --- how it is told -------------------------------------------------------------------------------


def test_progress_goes_from_nothing_to_all(brought):
    told = []
    quick(brought(SOFTMAX), progress=lambda share, words: told.append((share, words)))
    assert [share for share, _ in told] == sorted(share for share, _ in told)
    assert told[0] == (0, "shapes causal=False")
    assert told[-1] == (1.0, "done")


def test_cases_that_are_alike_share_a_line(brought):
    """Forty lines, and the one that differs somewhere in between."""
    lines = list(quick(brought(SOFTMAX)).lines())
    [causal, other] = [line for line in lines if line.check == "causality"]
    assert (causal.cases, other.cases) == (("causal=False",), ("causal=True",))
    assert [line.cases for line in lines if line.check == "strides"] == [()]


def test_a_page_needs_nothing_but_itself(brought):
    """A font, a script or a picture from the network; a square that a screen reader passes over."""
    report = quick(brought(SOFTMAX.replace("1 + k.shape", "2 + k.shape")))
    page = contract.to_html(report)
    assert report.failed == ("causality",)
    links = set(re.findall(r"(?:src|href)=\"([^\"]*)\"", page))
    assert all(link.startswith(("#", "data:")) for link in links)
    assert "@import" not in page
    assert "<script" not in page
    assert "url(http" not in page
    assert 'lang="en"' in page
    assert "prefers-color-scheme: dark" in page
    assert page.count("<figure") == page.count('role="img" aria-label="') == 5
    assert "7 of these pairs must not be there" in page
    assert page.index("Each query sees one token too far ahead") < page.index("11 of 11 run")


@pytest.mark.parametrize("factor", ["1", "1e6"])
def test_what_machines_read_is_json(factor, brought):
    """An array is none, nor is the error of what float16 cannot hold."""
    report = quick(brought(SOFTMAX.replace("@ v", f"@ ({factor} * v)")))
    read = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert read["ok"] == (factor == "1"), str(report)
    if not report.ok:
        assert contract.to_html(report)  # with a point that no axis has
    assert {f["check"] for f in read["findings"]} >= set(contract.CHECKS)


def test_the_sample_of_the_library_s_page_prints_what_the_page_says(capsys):
    """The first thing that a reader copies raised a NameError."""
    page = (Path(__file__).parents[2] / "library" / "index.md").read_text("utf-8")
    section = page.partition("## Bring your own mechanism")[2].partition("\n## ")[0]
    [sample] = re.findall(r"```python\n(.*?)```", section, flags=re.DOTALL)
    [printed] = re.findall(r"```text\n(✗ .*?)…\n```", section, flags=re.DOTALL)
    exec(sample, {})
    assert printed in capsys.readouterr().out
