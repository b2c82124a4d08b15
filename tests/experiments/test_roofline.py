"""The roofline: counts by hand, a roof that is the best, and kernels that compute what they say."""

from dataclasses import replace

import pytest
import torch

from attention_limits.attention import dense
from attention_limits.experiments import roofline
from attention_limits.runs import records, timing

SMOKE = roofline.PRESETS["smoke"]


def run_of(config, rows=None):
    rows = list(roofline.measure(config)) if rows is None else rows
    return records.new(roofline, config, rows, complete=True)


@pytest.fixture
def run():
    return run_of(SMOKE)


def test_counts_are_those_of_a_sheet_of_paper():
    """n = 128, d = 16: a product has 2·128²·16 FLOPs, and a square of scores 4·128² bytes."""
    kernels = roofline.kernels(SMOKE)
    counts = {name: (kernel.flops, kernel.moved) for name, kernel in kernels.items()}
    assert counts == {
        "square product": (2 * 64**3, 3 * 4 * 64**2),
        "copy": (0, 2 * 4 * 2**12),
        "scores": (524288, 16384 + 65536),
        "softmax": (5 * 16384, 2 * 65536),
        "mixing": (524288, 16384 + 65536),
        "written out": (2 * 524288 + 5 * 16384, 4 * 8192 + 4 * 65536),
        "fused": (2 * 524288 + 5 * 16384, 4 * 8192),
    }


def test_the_whole_is_the_sum_of_its_steps():
    """Written out, attention does no more and moves no more than its three steps."""
    kernels = roofline.kernels(roofline.PRESETS["book"])
    for count in ("flops", "moved"):
        steps = sum(getattr(kernels[name], count) for name in ("scores", "softmax", "mixing"))
        assert getattr(kernels["written out"], count) == steps


def test_kernels_compute_attention():
    """What was timed was something else than what was counted."""
    kernels = roofline.kernels(SMOKE)
    # Each step on its own: mixing takes the weights that the softmax is about to make again.
    steps = [kernels[name].compute() for name in ("scores", "softmax", "mixing")]
    torch.testing.assert_close(steps[1], torch.softmax(steps[0], -1))
    q, k, v = kernels["fused"].compute.args
    torch.testing.assert_close(steps[0], q @ k.mT)
    torch.testing.assert_close(steps[2], steps[1] @ v)
    expected = dense.attend(q, k, v)
    for name in ("written out", "fused"):
        torch.testing.assert_close(kernels[name].compute(), expected)


def test_there_is_one_row_a_measurement(run):
    """A row was lost, given twice, or held two measurements."""
    kernels = roofline.kernels(SMOKE)
    found = sorted(tuple(row.values())[:3] for row in run.records)
    counts = [(name, quantity, 0) for name in kernels for quantity in ("flops", "bytes")]
    times = [(name, "seconds", repeat) for name in kernels for repeat in range(2)]
    assert found == sorted(counts + times)
    assert all(tuple(row) == roofline.COLUMNS for row in run.records)


def test_the_book_s_preset_counts_and_leaves_the_clock_alone(monkeypatch):
    """A chapter that shows times of its own build is another chapter in each build."""
    monkeypatch.setattr(timing, "seconds", pytest.fail)
    run = run_of(roofline.PRESETS["book"])
    assert run.values(quantity="seconds") == []
    assert roofline.intensity(run, "softmax") == 5 / 8
    assert roofline.intensity(run, "fused") > 1000


def test_the_roof_is_the_best_and_a_speed_is_typical(run):
    """A disturbed repeat lowered the roof, and a kernel stood above it."""
    seconds = {"square product": [4.0, 2.0, 9.0], "copy": [1.0, 3.0, 2.0], "fused": [5.0, 1.0, 2.0]}
    rows = [row for row in run.records if row["quantity"] != "seconds"]
    for name, times in seconds.items():
        rows += [roofline._row(name, "seconds", r, time) for r, time in enumerate(times)]
    run = run_of(SMOKE, rows)
    assert roofline.roof(run) == (2 * 64**3 / 2.0, 2 * 4 * 2**12 / 1.0)
    assert roofline.speed(run, "fused") == (2 * 524288 + 5 * 16384) / 2.0
    assert roofline.speed(run, "copy", "bytes") == 2 * 4 * 2**12 / 2.0


def test_progress_is_told():
    """Someone waits half a minute and sees nothing move."""
    heard = []
    list(roofline.measure(replace(SMOKE, repeats=2), lambda *said: heard.append(said)))
    assert heard == [(0, "repeat 1 of 2"), (0.5, "repeat 2 of 2")]
