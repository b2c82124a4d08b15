"""The experiment on the crossover: the parts are a layer's, and take turns."""

from dataclasses import replace

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from attention_limits.experiments import crossover
from attention_limits.experiments.crossover import ATTEND, PRESETS, REST, Config
from attention_limits.runs import records, timing

TINY = PRESETS["smoke"]


def flops(part):
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        part()
    return counter.get_total_flops()


def test_every_part_has_half_of_the_layers_flops():
    """The length was not n*, or a projection had been left out: the shares would mean nothing."""
    config = Config(d_model=32, heads=2, device="meta")
    counted = {name: flops(part) for name, part in crossover._parts(config).items()}
    assert counted == dict.fromkeys([*ATTEND, REST], 24 * config.n * 32**2)


def test_what_is_called_causal_is():
    """Three times the same attention was timed."""
    parts = crossover._parts(TINY)
    everything, causal, written = (parts[name]() for name in ATTEND)
    torch.testing.assert_close(everything, written)
    assert not torch.allclose(everything[..., 0, :], causal[..., 0, :])
    torch.testing.assert_close(everything[..., -1, :], causal[..., -1, :])


def test_parts_take_turns(monkeypatch):
    """A busy minute of the machine fell on one part alone."""
    monkeypatch.setattr(timing, "warm_up", lambda *_: 1)
    monkeypatch.setattr(timing, "seconds", lambda *_: 1.0)
    rows = list(crossover.measure(replace(TINY, threads=1, repeats=3)))
    assert [row["part"] for row in rows] == [*ATTEND, REST] * 3


def test_shares_are_those_of_each_repeat():
    """Medians of two parts from different minutes were divided."""
    rows = [
        dict(zip(crossover.COLUMNS, (part, 1, repeat, "seconds", value), strict=True))
        for repeat, (fused, rest) in enumerate([(1, 3), (6, 2), (5, 5)])
        for part, value in (("fused", fused), (REST, rest))
    ]
    run = records.new(crossover, TINY, rows, complete=True)
    assert crossover.shares(run, "fused", 1) == [0.25, 0.75, 0.5]
    assert crossover.typical(run, "fused", 1) == 0.5


@pytest.mark.parametrize("threads", [1, 2])
def test_the_record_has_all_repeats(threads):
    """What the page quotes is of an interrupted run."""
    run = records.load(crossover)
    assert run.complete
    for name in ATTEND:
        assert len(crossover.shares(run, name, threads)) == PRESETS["full"].repeats
