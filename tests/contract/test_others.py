"""Mechanisms of other authors, written from their papers, and broken ones: what is said of each."""

from pathlib import Path

import pytest
from helpers.tables import assert_rows_for

from attention_limits import contract

HERE = Path(__file__).parent

# What is not as our contract has it, and why that is true of the paper's mechanism.
OTHERS = {
    "cosformer": "",
    "hyena": "",
    "linformer": "",
    "nystromformer": "equality",  # an approximation of dense attention is not equal to it
    "rwkv4": "",
    "sparsemax": "",
    "talking_heads": "",
}
# The one check that fails, and what its sentence names.
BROKEN = {
    "detached": ("gradients", "the gradient of `k`", "the output is detached from it"),
    "half_sums": ("precision", "bfloat16", "compute in float32 what is summed up"),
    "in_place": ("in place", "`q` is another after the call"),
    "last_tile": ("causality", "query 38 of 40 sees key 39", "shorter sequences do not"),
    "no_max": ("overflow", "NaN in the output, where float64 has numbers"),
    "no_rescale": ("stream", "first in token 1", "the state after 1 token is wrong"),
    "noise": ("determinism", "two calls differ"),
    "normaliser": ("causality", "through k,", "The values do not leak, but the keys do"),
    "one_ahead": ("causality", "one token too far ahead", "an index or a mask is one off"),
    "one_device": ("devices", "in line 9 of one_device.py", "a missing device="),
    "square": ("memory", "growing as n^1.7", "the work, n^1.00", "each pair of tokens"),
    "rows_mix": ("rows", "one sequence sees another"),
    "state_in_place": ("state", "`step` writes into the state", "two continuations"),
    "top_left": ("alignment", "2 queries are taken for the first of 5 tokens", "top-left"),
    "whole_blocks": ("shapes", "one token", "in line 9 of whole_blocks.py"),
    "window_too_wide": ("causality", "3 positions back where `visible` has 2"),
}


def checked(folder, name):
    return contract.check(contract.load(HERE / folder / f"{name}.py"), size="quick")


@pytest.mark.parametrize(("folder", "rows"), [("others", OTHERS), ("broken", BROKEN)])
def test_every_file_is_looked_at(folder, rows):
    names = {path.stem for path in (HERE / folder).glob("*.py")}
    assert_rows_for(names, {f"{folder.upper()} in tests/contract/test_others.py": rows})


@pytest.mark.parametrize("name", OTHERS)
def test_mechanisms_of_others_pass_or_fail_for_a_true_reason(name):
    """The contract is of our own making, and fits our own mechanisms only."""
    report = checked("others", name)
    assert " ".join(report.failed) == OTHERS[name], str(report)
    assert len([f for f in report.findings if f.status == "passed"]) >= 9


def test_an_approximation_is_told_from_what_it_approximates():
    """Nyström attention is dense attention where there are no more tokens than landmarks."""
    [finding] = [f for f in checked("others", "nystromformer").findings if f.status == "failed"]
    assert finding.expected == "what dense attention under `visible` gives"
    assert finding.smallest.startswith("q (7, 5)")
    assert "write it down as `define`" in finding.found


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_broken_is_named(name):
    """One fault, one check that fails, and a sentence that says what to mend."""
    report = checked("broken", name)
    check, *words = BROKEN[name]
    assert report.failed == (check,), str(report)
    [finding] = [f for f in report.findings if f.status == "failed"]
    for word in words:
        assert word in finding.sentence
    assert finding.smallest
