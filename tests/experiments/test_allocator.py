"""The experiment on memory that is given back: both ways run, and differ in nothing else."""

import sys
from dataclasses import replace
from statistics import median

import pytest

from attention_limits.experiments import allocator
from attention_limits.experiments.allocator import MEMORY, PRESETS
from attention_limits.runs import records

TINY = PRESETS["smoke"]


@pytest.fixture(scope="module")
def rows():
    """All that two processes find, each of which takes seconds to start."""
    return list(allocator.measure(replace(TINY, lengths=(16, 32), longest_dense=16)))


def test_there_is_one_row_a_measurement(rows):
    """A process printed something else, or one way was timed twice."""
    keys = ("mechanism", "memory", "quantity", "repeat")
    found = [tuple(row[key] for key in keys) for row in rows if row["n"] == 16]
    assert sorted(found) == sorted(
        (mechanism, memory, quantity, repeat)
        for mechanism in TINY.mechanisms
        for memory in MEMORY
        for quantity in ("seconds", "faults")
        for repeat in range(TINY.repeats)
    )


def test_the_square_that_is_written_out_stops_in_time(rows):
    """It would take the whole memory of a small machine."""
    assert {row["n"] for row in rows} == {16, 32}
    assert {row["n"] for row in rows if row["mechanism"] == "dense"} == {16}


@pytest.mark.alone  # the system hands out memory as other programs let it
@pytest.mark.skipif(sys.platform != "linux", reason="these are glibc's settings")
def test_kept_memory_needs_no_new_pages():
    """The settings did not reach the process: both ways would have been the same."""
    config = replace(TINY, mechanisms=("dense",), lengths=(2048,), repeats=2)
    rows = [row for row in allocator.measure(config) if row["quantity"] == "faults"]
    of = {memory: min(r["value"] for r in rows if r["memory"] == memory) for memory in MEMORY}
    assert of["kept"] <= 8 < 1000 < of["given back"]


def test_the_record_explains_what_the_page_says_it_does():
    """Page faults were named as a cause without a record that shows it."""
    run = records.load(allocator)
    assert run.complete
    assert allocator.slower(run, 8192) > 1
    assert allocator.faults(run, 8192) > 1000
    dense = {
        memory: [
            median(run.values(memory=memory, mechanism="dense", n=n, quantity="faults"))
            for n in (2048, 4096, 8192)
        ]
        for memory in MEMORY
    }
    assert max(dense["kept"]) < 1000 < min(dense["given back"])
