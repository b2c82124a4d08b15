"""The comparison with peers: of the same things, in turn, and told as it was."""

import importlib.machinery
import json
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from functools import partial
from types import ModuleType

import numpy as np
import pytest
import sympy
import torch

from attention_limits.attention import linear, sliding_window
from attention_limits.cli import main
from attention_limits.experiments import speed
from attention_limits.experiments.speed import contests, peers, readings, resident, tables
from attention_limits.experiments.speed.contests import GROUPS, Contestant, Group
from attention_limits.experiments.speed.peers import COMPILER
from attention_limits.experiments.speed.targets import TARGETS, Target
from attention_limits.runs import provenance, records, timing

SMOKE = speed.PRESETS["smoke"]
TINY = replace(SMOKE, groups=("linear",), lengths=(16, 32))
FORWARD, BOTH = speed.WORKS


@pytest.fixture
def fake_clock(monkeypatch):
    """A call takes 1 ms, but what is listed here; and who was timed, in order."""
    timed, slow = [], {}

    def seconds(compute, device, threads, calls=1):
        if compute.func is torch.matmul:
            timed.append(speed.PRODUCT)
            return 0.001
        attend, (q, *_) = compute.args
        name = getattr(attend, "__qualname__", "of the library")
        timed.append((compute.func, name))
        return slow.get((name, q.shape[-2]), 0.001)

    monkeypatch.setattr(timing, "seconds", seconds)
    return timed, slow


@pytest.fixture
def pair(monkeypatch):
    """A group of two: one of ours, and a peer that does the same."""
    group = Group("A pair", (), (_member("ours", cost=True), _member("peer", against=("ours",))))
    monkeypatch.setitem(GROUPS, "pair", group)
    return replace(TINY, groups=("pair",))


def _member(name, *, cost=False, add=0.0, **more):
    def attend(q, k, v):
        return linear.attend(q, k, v, causal=True) + add

    attend.__qualname__ = name
    more |= {"cost": lambda sizes, n: linear.cost(causal=True)} if cost else {}
    same = None if cost else lambda sizes, n, device: partial(linear.attend, causal=True)
    return Contestant(name, lambda sizes, n, device: attend, same=same, **more)


def measured(config, progress=None):
    rows = list(speed.measure(config, progress))
    return records.new(speed, config, rows, complete=True)


def run_of(*rows, **changes):
    """A run of hand-made rows: group, contestant, work, n, quantity, value."""
    config = replace(speed.PRESETS["full"], **changes)
    rows = [speed._row(*row[:5], 0, row[5]) for row in rows]
    run = records.new(speed, config, rows, complete=True)
    return replace(run, config=json.loads(json.dumps(run.config)))


# --- everyone computes the same -----------------------------------------------------------------


@pytest.fixture(scope="module")
def whole():
    """The smoke preset, whatever is installed here, without its clock."""
    heard = []
    run = measured(replace(SMOKE, repeats=0), lambda *said: heard.append(said))
    return run, heard


@pytest.mark.slow
def test_everyone_here_equals_what_it_is_compared_with(whole):
    """A ratio compared two different computations."""
    run, _ = whole
    absent = {row["contestant"] for row in run.records if row["quantity"] == "missing"}
    for name in SMOKE.groups:
        for contestant in GROUPS[name].contestants:
            if contestant.same and contestant.name not in absent:
                (found,) = run.values(group=name, contestant=contestant.name, quantity="difference")
                assert found <= speed.TOLERANCE


def test_every_peer_is_held_to_what_it_is_compared_with_or_is_dense():
    """A peer entered that nobody checks."""
    unchecked = {
        contestant.name
        for group in GROUPS.values()
        for contestant in group.contestants
        if contestant.against and not contestant.same
    }
    # What online_softmax is held to, and what sees more than windows do.
    assert unchecked == {"SDPA", "SDPA, all pixels"}


def test_everyone_is_metered_at_every_length(whole):
    """A mechanism or a peer dropped out without a word."""
    run, _ = whole
    absent = {row["contestant"] for row in run.records if row["quantity"] == "missing"}
    for name in SMOKE.groups:
        for contestant in GROUPS[name].contestants:
            for work in speed.WORKS[: 1 + contestant.trains]:
                if contestant.metered and contestant.name not in absent:
                    what = dict(group=name, contestant=contestant.name, work=work)
                    assert len(run.values(**what, quantity="bytes")) == len(SMOKE.lengths)


@pytest.mark.parametrize("off", [1e-3, float("nan")])
def test_what_computes_something_else_is_refused_before_anything_is_timed(
    monkeypatch, fake_clock, pair, off
):
    """The benchmark was won by a kernel that does less."""
    wrong = _member("peer", add=off, against=("ours",))
    monkeypatch.setitem(GROUPS, "pair", Group("A pair", (), (_member("ours", cost=True), wrong)))
    with pytest.raises(speed.DisagreementError, match=r"^peer must compute .* off by"):
        measured(pair)
    assert fake_clock[0] == []


def test_gates_are_those_that_the_group_takes():
    """The delta rule was given a decay for its beta."""
    q, k, v, log_decay, beta = contests.draw(
        GROUPS["gated_delta_rule"], SMOKE.sizes, 32, seed=0, device="cpu"
    )
    assert q.shape == k.shape == v.shape == (1, 2, 32, 16)
    assert log_decay.shape == beta.shape == (1, 2, 32, 1)
    assert (log_decay < 0).all()
    assert ((beta > 0) & (beta < 1)).all()


def test_each_row_of_the_layout_has_as_many_blocks_as_the_sizes_say():
    """Random blocks fell into the future, where the causal mask took them away."""
    layout = speed.Config().sizes.layout(4096)
    assert layout.sum(-1).tolist() == [min(row + 1, 8) for row in range(64)]
    assert not np.triu(layout, 1).any()


# --- who is not here ----------------------------------------------------------------------------


def test_who_is_not_installed_is_named_and_no_error(monkeypatch, fake_clock):
    """A missing library ended the run, or vanished from the table without a word."""
    monkeypatch.setattr(peers, "is_here", lambda need: not need)
    heard = []
    config = replace(SMOKE, groups=("window",), compiled=True)
    run = measured(config, lambda share, words: heard.append(words))
    assert readings.missing(run) == ["flex_attention", "local-attention", "Longformer"]
    assert "window: local-attention is not measured (there is no local-attention)" in heard
    assert f"window: flex_attention is not measured (there is no {COMPILER})" in heard
    assert "not measured: flex_attention, local-attention, Longformer" in tables.report(run)
    assert run.values(contestant="local-attention", quantity="seconds") == []
    assert run.values(contestant="SDPA, banded mask", quantity="seconds") != []


@pytest.fixture
def library(monkeypatch):
    """A package by the name of local-attention; its windows are as wide as the test says."""

    class LocalAttention(torch.nn.Module):
        extra = 1

        def __init__(self, window_size, *, causal, exact_windowsize, use_rotary_pos_emb):
            super().__init__()
            assert (causal, exact_windowsize, use_rotary_pos_emb) == (True, True, False)
            self.window = window_size + self.extra

        def forward(self, q, k, v):
            return sliding_window.attend(q, k, v, window=self.window, causal=True)

    module = ModuleType("local_attention")
    module.__spec__ = importlib.machinery.ModuleSpec("local_attention", None)
    module.LocalAttention = LocalAttention
    monkeypatch.setitem(sys.modules, "local_attention", module)
    return LocalAttention


def test_who_is_installed_takes_part(library, fake_clock):
    run = measured(replace(SMOKE, groups=("window",), lengths=(64,)))
    assert "local-attention" not in readings.missing(run)
    assert run.values(contestant="local-attention", quantity="difference") == [0]
    for work in speed.WORKS:
        assert readings.ratio(run, "window", "sliding_window", "local-attention", work, 64) == 1


def test_a_library_that_changes_its_window_is_noticed(library):
    """A new version saw one key less, and was beaten for it."""
    library.extra = 0
    with pytest.raises(speed.DisagreementError, match=r"^local-attention must compute"):
        measured(replace(SMOKE, groups=("window",), lengths=(64,)))


def test_versions_are_in_the_provenance(whole):
    """Nobody can tell which version of a peer was measured."""
    run, _ = whole
    assert set(run.provenance["packages"]) == {"local-attention", "transformers"}
    made = provenance.provenance(packages=("sympy", "no-such-package"))
    assert made["packages"] == {"sympy": sympy.__version__, "no-such-package": None}


# --- records and time ---------------------------------------------------------------------------


def test_there_is_one_row_a_measurement(pair, fake_clock):
    """A row was lost, given twice, or held two measurements."""
    run = measured(pair)
    found = sorted(tuple(row.values())[1:6] for row in run.records)
    expected = [("peer", FORWARD, 16, "difference", 0)]
    for n in (16, 32):
        expected.append((speed.PRODUCT, FORWARD, n, "flops", 0))
        expected += [(speed.PRODUCT, FORWARD, n, "seconds", r) for r in range(2)]
        for work in speed.WORKS:
            expected.append(("ours", work, n, "flops", 0))
            for name in ("ours", "peer"):
                expected.append((name, work, n, "bytes", 0))
                expected += [(name, work, n, "seconds", r) for r in range(2)]
    assert found == sorted(expected)
    assert all(tuple(row) == speed.COLUMNS for row in run.records)


def test_everyone_takes_turns(pair, fake_clock):
    """A busy minute of the machine fell on one contestant alone."""
    timed, _ = fake_clock
    measured(replace(pair, lengths=(16,), repeats=2))
    once = [speed.PRODUCT] + [
        (way, name)
        for name in ("ours", "peer")
        for way in (speed._forward, speed._forward_backward)
    ]
    assert timed[-2 * len(once) :] == 2 * once


@pytest.mark.parametrize(("seconds", "repeats"), [(0.001, 7), (2.0, 2), (5.0, 1)])
def test_the_slow_are_timed_less_often(pair, fake_clock, seconds, repeats):
    """One peer of seconds took the minutes of a whole run, or was not timed at all."""
    _, slow = fake_clock
    slow["peer", 16] = seconds
    run = measured(replace(pair, lengths=(16,), repeats=7, budget_seconds=3.0))
    what = dict(work=FORWARD, quantity="seconds")
    assert len(run.values(contestant="ours", **what)) == 7
    assert len(run.values(contestant="peer", **what)) == repeats


def test_who_is_warm_from_the_meter_is_not_warmed_again(pair, fake_clock):
    """Calls of ten seconds were made for nothing."""
    timed, slow = fake_clock
    slow["peer", 16] = slow["peer", 32] = 4.0
    measured(replace(pair, repeats=1, patience_seconds=99.0))
    assert timed.count((speed._forward, "peer")) == (2 + 1) + 1


def test_what_should_take_too_long_is_not_tried(pair, fake_clock):
    """Somebody waited half an hour for a mask of n² booleans."""
    _, slow = fake_clock
    slow["peer", 16] = 1.0
    heard = []
    run = measured(
        replace(pair, lengths=(16, 64), patience_seconds=10.0), lambda _, words: heard.append(words)
    )
    assert {row["n"] for row in run.records if row["contestant"] == "peer"} == {16}
    assert {row["n"] for row in run.records if row["contestant"] == "ours"} == {16, 64}
    assert "peer, forward, stops before n = 64, which should take 16 s" in heard


def test_growth_is_expected_to_go_on_as_it_did():
    """A linear peer was thought to be quadratic and never reached the lengths that matter."""
    assert speed._expected({}, 64) == 0
    assert speed._expected({16: 1.0}, 64) == 16
    assert speed._expected({16: 1.0, 64: 4.0}, 256) == pytest.approx(16)
    assert speed._expected({16: 1.0, 64: 16.0}, 256) == pytest.approx(256)
    assert speed._expected({16: 1.0, 64: 1.0}, 256) == pytest.approx(4)  # noise, or overhead
    assert speed._expected({16: 1.0, 64: 99.0}, 256) == pytest.approx(99 * 16)


def test_what_should_not_fit_is_not_tried(pair, fake_clock, monkeypatch):
    """The system killed the process, with all that it had measured."""
    monkeypatch.setattr(provenance, "free_bytes", lambda device: 2**13)
    heard = []
    run = measured(pair, lambda _, words: heard.append(words))
    assert {row["n"] for row in run.records if row["work"] == BOTH} == {16}
    assert "ours, forward+backward, stops before n = 32, which does not fit into memory" in heard


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (torch.OutOfMemoryError("CUDA out of memory."), "named"),
        (RuntimeError("expected a matrix"), "raised"),
    ],
)
def test_only_a_lack_of_memory_is_forgiven(pair, fake_clock, monkeypatch, error, outcome):
    """A full GPU took everyone's times with it, or a bug was reported as a full GPU."""

    def fail(compute):
        if compute.args[0].__qualname__ == "peer":
            raise error
        return 1.0

    monkeypatch.setattr(speed, "_peak_bytes", fail)
    if outcome == "raised":
        with pytest.raises(RuntimeError, match="expected a matrix"):
            measured(pair)
        return
    run = measured(pair)
    assert run.values(contestant="peer", quantity="seconds") == []
    assert len(run.values(contestant="ours", quantity="seconds")) == 8


def test_gradients_are_those_of_all_inputs_in_the_clock_s_own_mode():
    """In inference mode there are none, and the backward pass was timed as nothing."""
    q, k, v = contests.draw(GROUPS["linear"], SMOKE.sizes, 32, seed=0, device="cpu")
    attend = partial(linear.attend, causal=True)
    leaves = [x.clone().requires_grad_() for x in (q, k, v)]
    (attend(*leaves) * v).sum().backward()
    with torch.inference_mode():
        found = speed._forward_backward(attend, (q, k, v))
    for gradient, leaf in zip(found, leaves, strict=True):
        torch.testing.assert_close(gradient, leaf.grad)
    assert not any(x.requires_grad for x in (q, k, v))


def test_memory_is_that_of_one_call(pair):
    """The inputs were counted, or the gradients were not."""
    numbers = 4 * 2 * 16 * 16  # bytes of one of q, k, v
    run = measured(replace(pair, lengths=(16,), repeats=0))
    forward, both = (
        run.values(work=w, contestant="ours", quantity="bytes")[0] for w in speed.WORKS
    )
    assert numbers < forward < 20 * numbers
    assert both >= forward + 2 * numbers


def test_useful_flops_are_needed_ones_and_three_times_with_gradients():
    """Masked FLOPs were counted as useful, or the backward pass as free."""
    (ours,) = (c for c in GROUPS["window"].contestants if c.cost)
    pairs = sum(min(i + 1, 16) for i in range(128))
    found = [speed.useful_flops(ours, work, 128, SMOKE.sizes) for work in speed.WORKS]
    assert found == [2 * 4 * 16 * pairs, 3 * 2 * 4 * 16 * pairs]


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"groups": ()}, "groups"),
        ({"groups": ("windows",)}, "groups"),
        ({"lengths": ()}, "lengths"),
        ({"lengths": (16, 8)}, "lengths"),
    ],
)
def test_a_config_that_cannot_be_is_refused_by_name(change, named):
    """A misspelt group ended in a KeyError after minutes."""
    with pytest.raises(ValueError, match=f"^{named} must be"):
        speed.Config(**change)


# --- a very long sequence -----------------------------------------------------------------------


@pytest.mark.slow
def test_resident_memory_is_a_fresh_process_s_own():
    """A child of a large process inherits its parent's peak, as Linux counts it."""
    ballast = torch.ones(2**28)  # 1 GiB, touched
    tensors = 4 * 4 * 2**19 * 16  # q, k, v and the output, in bytes
    assert tensors + 2**26 < resident.peak_bytes("linear", 2**19, 16) < ballast.nbytes


def test_a_failing_process_is_an_error(monkeypatch):
    """A crash was recorded as a process that needed little."""
    monkeypatch.setattr(sys, "executable", shutil.which("false"))
    with pytest.raises(subprocess.CalledProcessError):
        resident.peak_bytes("linear", 16, 16)


def test_a_process_that_was_killed_is_named_and_ends_nothing(pair, monkeypatch, fake_clock):
    """On a small machine a sequence of a million tokens took the whole comparison with it."""
    killed = subprocess.CompletedProcess([], -signal.SIGKILL)
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: killed)
    with pytest.raises(MemoryError, match="linear was killed"):
        resident.peak_bytes("linear", 16, 16)
    monkeypatch.setattr(records, "provenance", lambda *_: {})  # which asks git, by such a process
    heard = []
    run = measured(replace(pair, million=64), lambda _, words: heard.append(words))
    assert "clock does not fit into memory at n = 64" in heard
    assert run.values(quantity="resident") == []
    assert run.values(contestant="ours", quantity="seconds") != []


def test_resident_memory_is_a_row_for_each_mechanism(pair, monkeypatch, fake_clock):
    monkeypatch.setattr(resident, "peak_bytes", lambda name, n, d: len(name) * n)
    run = measured(replace(pair, million=64))
    for name in resident.MECHANISMS:
        assert run.values(contestant=name, quantity="resident", n=64) == [64 * len(name)]


# --- what a run says ----------------------------------------------------------------------------

TIMES = [
    ("window", "sliding_window", FORWARD, 16384, "seconds", 2.0),
    ("window", "flex_attention", FORWARD, 16384, "seconds", 4.0),
    ("window", "sliding_window", FORWARD, 16384, "flops", 30.0),
    ("window", speed.PRODUCT, FORWARD, 16384, "flops", 100.0),
    ("window", speed.PRODUCT, FORWARD, 16384, "seconds", 4.0),
]


def test_a_ratio_is_ours_over_the_peer_s_by_medians():
    """A ratio was upside down, or one disturbed repeat decided it."""
    disturbed = [("window", "sliding_window", FORWARD, 16384, "seconds", x) for x in (1.0, 99.0)]
    run = run_of(*TIMES, *disturbed)
    pair = "window", "sliding_window", "flex_attention"
    assert readings.ratio(run, *pair, FORWARD, 16384) == 0.5
    assert readings.ratio(run, *pair, BOTH, 16384) is None
    assert readings.ratio(run, *pair, FORWARD, 1024) is None
    assert readings.ratio(run, *pair, FORWARD, 16384, "bytes") is None
    assert readings.share_of_peak(run, "window", "sliding_window", FORWARD, 16384) == 15 / 25
    assert readings.share_of_peak(run, "window", "sliding_window", BOTH, 16384) is None


@pytest.mark.parametrize(
    ("target", "met"),
    [
        (Target(*TIMES[0][:2], "flex_attention", FORWARD, "seconds", 16384, 0.51), True),
        (Target(*TIMES[0][:2], "flex_attention", FORWARD, "seconds", 16384, 0.49), False),
        (Target(*TIMES[0][:2], "flex_attention", BOTH, "seconds", 16384, 0.5), None),
        (Target(*TIMES[0][:2], speed.PRODUCT, FORWARD, "seconds", 16384, 0.59), True),
        (Target(*TIMES[0][:2], speed.PRODUCT, FORWARD, "seconds", 16384, 0.61), False),
        (Target("million", "clock", "", FORWARD, "resident", 2**20, 3.0), True),
        (Target("million", "clock", "", FORWARD, "resident", 2**20, 2.9), False),
        (Target("million", "linear", "", FORWARD, "resident", 2**20, 3.0), None),
    ],
)
def test_a_target_is_met_missed_or_not_measured(target, met):
    """A target that nobody measured was counted as reached, or a share as a ratio."""
    run = run_of(*TIMES, ("million", "clock", FORWARD, 2**20, "resident", 3.0))
    assert target.met(run) is met


def test_targets_are_about_what_is_measured():
    """A misspelt peer is never measured, so its target is never missed."""
    full = speed.PRESETS["full"]
    for target in TARGETS:
        if target.group == "million":
            assert target.ours in resident.MECHANISMS
            assert (target.quantity, target.n) == ("resident", full.million)
            continue
        names = {contestant.name for contestant in GROUPS[target.group].contestants}
        assert {target.ours, target.peer} <= names | {speed.PRODUCT}
        assert target.work in speed.WORKS
        assert target.quantity in speed.QUANTITIES
        assert target.n in full.lengths
    assert len(set(TARGETS)) == len(TARGETS) > 15


def test_every_way_to_the_targets_is_in_the_tables():
    """The page shows a target as met whose number it does not show."""
    run = run_of(*TIMES, groups=("window",))
    found = {row[0]: row[1:] for row in tables.targets(run).rows}
    assert found["sliding_window, forward, n = 16,384: seconds / flex_attention"] == [
        "≤ 1.10",
        "0.50",
        "✓ met",
    ]
    assert found["sliding_window, forward, n = 16,384: share of the peak"] == [
        "≥ 50%",
        "60.0%",
        "✓ met",
    ]
    assert found["clock, forward, n = 1,048,576: resident bytes"] == [
        "≤ 4.0 GB",
        "–",
        "not measured",
    ]
    assert tables.ratios(run, "window").rows == [
        ["sliding_window / flex_attention, forward", "–", "–", "0.50", "–"]
    ]


def test_a_table_reads_in_a_terminal_and_on_a_page():
    table = tables.Table(["ratio", "n = 16"], [["ours / peer", "0.50"], ["x", "12"]])
    assert str(table) == "ratio        n = 16\nours / peer    0.50\nx                12"
    assert table._repr_markdown_() == (
        "| ratio | n = 16 |\n| :-- | --: |\n| ours / peer | 0.50 |\n| x | 12 |"
    )
    words = table._replace(numbers=False)
    assert str(words) == "ratio        n = 16\nours / peer  0.50\nx            12"
    assert "| :-- | :-- |" in words._repr_markdown_()


@pytest.mark.parametrize(
    ("ratio", "words"),
    [(None, "–"), (0.0123, "0.012"), (0.345, "0.34"), (1.1, "1.10"), (37.2, "37")],
)
def test_a_ratio_has_two_digits_that_mean_something(ratio, words):
    assert tables._number(ratio) == words


# --- the command --------------------------------------------------------------------------------


def bench(folder, *options):
    return main(["bench", "--preset", "smoke", "--out", str(folder), *options])


def test_the_command_measures_saves_and_prints(tmp_path, capsys):
    """The table was printed and the run lost, or the other way round."""
    assert bench(tmp_path, "--only", "linear", "gated_linear", "linear") == 0
    run = records.load(speed, tmp_path)
    assert run.complete
    assert run.config["groups"] == ["linear", "gated_linear"]
    assert run.config["device"] == "cpu"
    out, err = capsys.readouterr()
    assert out.startswith(f"saved {tmp_path / 'speed.json'}\n")
    assert "linear / naive chunks, forward+backward" in out
    assert "share of the peak" in out
    assert "not measured" in out
    assert err.startswith("speed on cpu takes a few seconds")


@pytest.mark.parametrize(
    ("options", "answer"),
    [
        (["--only", "windows"], "attention-limits bench: groups must be one or more of dense"),
        (["--device", "gpu"], "attention-limits bench: device must be 'auto' or one"),
    ],
)
def test_the_command_refuses_what_it_cannot_do(tmp_path, capsys, monkeypatch, options, answer):
    monkeypatch.setattr(speed, "measure", pytest.fail)
    assert bench(tmp_path, *options) == 2
    assert capsys.readouterr().err.startswith(answer)
    assert list(tmp_path.iterdir()) == []


def test_the_command_refuses_to_compare_different_things(tmp_path, capsys, library):
    library.extra = 0
    assert bench(tmp_path, "--only", "window") == 2
    assert "local-attention must compute what the group window compares" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_comparison_keeps_what_it_has(tmp_path, monkeypatch, capsys):
    """Ctrl-C after seven minutes of eight threw the seven away, or passed them off as all."""

    def interrupted(config, progress):
        yield speed._row(*TIMES[0][:5], 0, 2.0)
        raise KeyboardInterrupt

    monkeypatch.setattr(speed, "measure", interrupted)
    assert bench(tmp_path) == 130
    run = records.load(speed, tmp_path)
    assert (len(run.records), run.complete) == (1, False)
    assert "incomplete: it was interrupted" in capsys.readouterr().out
