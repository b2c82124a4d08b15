"""The experiment on growth: counts that equal the formulas, times that take turns, honest ends."""

import gc
import time
from dataclasses import replace

import numpy as np
import pytest
import torch

from attention_limits.attention import dense, linear, online_softmax
from attention_limits.baselines import recurrent
from attention_limits.experiments import scaling
from attention_limits.experiments.scaling import MECHANISMS, Config
from attention_limits.runs import provenance, records, timing

TINY = replace(scaling.PRESETS["smoke"], lengths=(8, 16), counted=16)
COSTS = {
    "dense": dense.cost,
    "fused": dense.cost,
    "online_softmax": online_softmax.cost,
    "linear": linear.cost,
}


def measured(config, progress=None):
    rows = list(scaling.measure(config, progress))
    return records.new(scaling, config, rows, complete=True)


# --- counts -------------------------------------------------------------------------------------


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("n", [64, 300])
@pytest.mark.parametrize("name", MECHANISMS)
def test_counted_flops_are_those_of_the_formulas(name, n, causal):
    """A fused kernel was counted as 0, or a loop in part."""
    config = Config(d=16, heads=2, causal=causal)
    cost = recurrent.cost() if name == "recurrent" else COSTS[name](causal=causal)
    assert scaling.counted_flops(name, n, config) == 2 * cost.executed(n=n, d=16)


@pytest.mark.parametrize("name", MECHANISMS)
def test_only_what_is_written_out_holds_a_square(name):
    """The meter was blind to a square, or saw one that the real kernel never makes."""
    peaks = [scaling.counted_bytes(name, n, Config(d=16)) for n in (256, 512, 768, 1024)]
    assert peaks[0] >= 4 * 256 * 16  # the output at least
    squares = np.diff(peaks, 2) / (2 * 4 * 256**2)
    assert squares.tolist() == ([2, 2] if name == "dense" else [0, 0])


def test_the_fused_kernel_is_metered_from_within():
    """In inference mode the meter sees one operation, and would miss a square inside it."""
    # The output, and the logarithm of each query's sum, kept for the backward pass.
    assert scaling.counted_bytes("fused", 512, Config(d=16)) == 4 * 512 * (16 + 1)


def test_written_out_is_dense_attention():
    """What the others are compared with computed something else."""
    q, k, v = torch.randn(3, 2, 33, 8, dtype=torch.float64)
    for causal in (False, True):
        expected = dense.attend(q, k, v, causal=causal)
        torch.testing.assert_close(scaling.written_out(q, k, v, causal=causal), expected)


# --- records ------------------------------------------------------------------------------------


def test_there_is_one_row_a_measurement():
    """A row was lost, given twice, or held two measurements."""
    run = measured(TINY)
    found = sorted(tuple(row.values())[:4] for row in run.records)
    counts = [(m, n, q, 0) for m in MECHANISMS for n in (8, 16) for q in ("flops", "peak_bytes")]
    times = [(m, n, "seconds", r) for m in MECHANISMS for n in (8, 16) for r in range(2)]
    assert found == sorted(counts + times)
    assert all(tuple(row) == scaling.COLUMNS and row["value"] > 0 for row in run.records)


def test_the_book_s_preset_leaves_the_clock_alone(monkeypatch):
    """A chapter that shows times of its own build is another chapter in each build."""
    monkeypatch.setattr(timing, "seconds", pytest.fail)
    config = replace(scaling.PRESETS["book"], lengths=(8, 16))
    assert list(scaling.measure(config)) == list(scaling.measure(config))


def test_counting_ends_where_it_is_told_to():
    """A count in Python of every step took longer than all the timing."""
    rows = scaling.measure(replace(TINY, counted=8))
    assert {row["n"] for row in rows if row["quantity"] == "flops"} == {8}


def test_an_exponent_is_that_of_the_longest_lengths():
    """Overhead at short lengths bent the exponent that a reader is told."""
    lengths = (4, 8, 16, 32, 64, 128)
    rows = [
        dict(zip(scaling.COLUMNS, ("dense", n, "seconds", r, max(n, 16) ** 2.0), strict=True))
        for n in lengths
        for r in range(2)
    ]
    run = records.new(scaling, Config(lengths=lengths), rows, complete=True)
    assert scaling.exponent(run, "dense").slope == pytest.approx(2)
    slope = scaling.exponent(run, "dense", longest=32).slope  # of 4, 8, 16 and 32
    assert 0 < slope < 1
    assert scaling.typical(run, "dense", "seconds", 128) == 128**2


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"mechanisms": ()}, "mechanisms"),
        ({"mechanisms": ("dens",)}, "mechanisms"),
        ({"lengths": ()}, "lengths"),
        ({"lengths": (16, 8)}, "lengths"),
        ({"lengths": (8, 8)}, "lengths"),
    ],
)
def test_a_config_that_cannot_be_is_refused_by_name(change, named):
    """A misspelt mechanism ended in a KeyError after minutes."""
    with pytest.raises(ValueError, match=f"^{named} must be"):
        Config(**change)


# --- time ---------------------------------------------------------------------------------------


@pytest.fixture
def slow(monkeypatch):
    """A clock of our own: what a call takes, by the mechanism's function; and who was called."""
    calls = []

    def seconds(compute, device, threads, count=1):
        compute()
        calls.append(compute.func)
        return 9.0 if compute.func is scaling.written_out else 0.001

    monkeypatch.setattr(timing, "seconds", seconds)
    return calls


def test_mechanisms_take_turns(slow):
    """A busy minute of the machine fell on one mechanism alone."""
    config = replace(TINY, mechanisms=("fused", "linear"), counted=0, repeats=3, lengths=(8,))
    list(scaling.measure(config))
    assert slow[4:] == [dense.attend, linear.attend] * 3  # after two calls each to warm up


def test_what_takes_longer_than_the_budget_grows_no_further(slow):
    """One slow mechanism kept a reader waiting for hours, or vanished without a word."""
    heard = []
    config = replace(TINY, lengths=(8, 16, 32), counted=0)
    run = measured(config, lambda share, words: heard.append((share, words)))
    assert set(scaling.series(run, "dense", "seconds")[0]) == {8}
    assert set(scaling.series(run, "fused", "seconds")[0]) == {8, 16, 32}
    assert (None, "dense stops at n = 8, where a call takes 9.0 s") in heard
    assert [share for share, _ in heard if share is not None] == [0, 1 / 3, 2 / 3]


def test_a_square_without_room_is_refused_before_the_system_kills_the_process(monkeypatch):
    """A reader's notebook died, with all that was in it."""
    room = scaling.counted_bytes("dense", 8, TINY) + 1
    monkeypatch.setattr(provenance, "free_bytes", lambda device: room)
    heard = []
    run = measured(TINY, lambda share, words: heard.append(words))
    assert set(scaling.series(run, "dense", "seconds")[0]) == {8}
    assert set(scaling.series(run, "linear", "seconds")[0]) == {8, 16}
    assert "dense stops before n = 16, which does not fit into memory" in heard


@pytest.mark.parametrize(
    "error",
    [torch.OutOfMemoryError("CUDA out of memory."), RuntimeError("can't allocate memory: …")],
)
def test_a_device_out_of_memory_does_not_end_the_run(monkeypatch, error):
    """A GPU that was full took the other mechanisms' times with it."""

    def full(*_, **__):
        raise error

    monkeypatch.setitem(scaling.ATTEND, "dense", full)
    run = measured(replace(TINY, counted=0))
    assert scaling.series(run, "dense", "seconds") == ([], [])
    assert set(scaling.series(run, "fused", "seconds")[0]) == {8, 16}


def test_any_other_error_is_raised(monkeypatch):
    """A bug of ours was reported as a lack of memory."""

    def broken(*_, **__):
        raise RuntimeError("expected a matrix")

    monkeypatch.setitem(scaling.ATTEND, "dense", broken)
    with pytest.raises(RuntimeError, match="expected a matrix"):
        list(scaling.measure(replace(TINY, counted=0)))


def test_the_clock_leaves_everything_as_it_was():
    """After a lab, a reader's notebook computed on one thread, or grew without bound."""
    threads = torch.get_num_threads()
    state = gc.isenabled(), torch.is_inference_mode_enabled()

    def interrupted():
        assert torch.get_num_threads() == 1
        assert torch.is_inference_mode_enabled()
        assert not gc.isenabled()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        timing.seconds(interrupted, "cpu", 1)
    assert (gc.isenabled(), torch.is_inference_mode_enabled()) == state
    assert torch.get_num_threads() == threads


@pytest.mark.alone
def test_the_clock_reads_what_one_call_takes():
    """The time of several calls was given as that of one, or a nap as work."""

    def work():
        end = time.process_time() + 0.02
        while time.process_time() < end:
            pass

    assert timing.seconds(work, "cpu", 1, calls=3) == pytest.approx(0.02, rel=0.3)
    assert timing.seconds(lambda: time.sleep(0.1), "cpu", 1) < 0.05
    assert timing.seconds(lambda: time.sleep(0.1), "cpu", 2) >= 0.1
    assert timing.warm_up(work, "cpu", 1) in (1, 2)
    assert timing.warm_up(lambda: None, "cpu", 1) > 1000


def test_every_device_but_the_cpu_is_waited_for(monkeypatch):
    """A GPU was timed while it had not even begun."""
    waited = []
    monkeypatch.setattr(torch.accelerator, "synchronize", lambda: waited.append("waited"))
    timing.seconds(lambda: waited.append("told"), "cuda", 1, calls=2)
    assert waited == ["waited", "told", "told", "waited"]
    waited.clear()
    timing.seconds(lambda: None, "cpu", 1)
    assert waited == []


# --- the machine --------------------------------------------------------------------------------


def test_free_memory_is_less_than_there_is():
    """A container's share, or a unit, was mistaken."""
    free = provenance.free_bytes("cpu")
    assert free is None or 2**20 < free < 2**50
    assert provenance.free_bytes("meta") is None


@pytest.mark.parametrize(("limit", "free"), [("1000", 400), ("max", None)])
def test_a_container_s_limit_counts(tmp_path, limit, free):
    """On Binder, which gives 2 GB of a large machine, a square killed the kernel."""
    (tmp_path / "memory.max").write_text(f"{limit}\n")
    (tmp_path / "memory.current").write_text("600\n")
    assert provenance._free_in_container(tmp_path) == free


def test_without_a_container_there_is_no_limit(tmp_path):
    assert provenance._free_in_container(tmp_path) is None
