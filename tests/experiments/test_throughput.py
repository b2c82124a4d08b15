"""Steps a second: what is timed, what is counted, and what is made of both."""

import dataclasses

import pytest

from attention_limits.experiments import throughput
from attention_limits.experiments.throughput import PARTS, PRESETS, WAYS
from attention_limits.runs import records
from attention_limits.runs.records import Run


@pytest.fixture(scope="module")
def smoke():
    return list(throughput.measure(PRESETS["smoke"]))


def test_every_way_and_every_part_is_timed(smoke):
    assert all(tuple(row) == throughput.COLUMNS for row in smoke)
    timed = [row["way"] for row in smoke if row["quantity"] == "seconds"]
    assert sorted(timed) == sorted([*WAYS, "product", *PARTS])
    assert all(row["value"] > 0 for row in smoke)


def test_a_book_counts_and_leaves_the_clock_alone():
    rows = list(throughput.measure(PRESETS["book"]))
    assert {row["quantity"] for row in rows} == {"flops"}
    assert {row["model"] for row in rows} == set(throughput.MODELS)


@pytest.mark.parametrize("n", [8, 32])
def test_flops_of_attention_are_those_of_the_book(n):
    """24nd² + 4n²d a layer and the head, twice as many in the backward pass; a fused kernel
    hides its own from the counter."""
    config = dataclasses.replace(PRESETS["book"], models=("attention",), n=n)
    [row] = throughput.measure(config)
    batch, layers, d, classes = 32, 2, 64, 16
    forward = batch * (layers * (24 * n * d**2 + 4 * n**2 * d) + 2 * n * d * classes)
    assert row["value"] == 3 * forward


def test_rates_and_shares_are_what_they_say():
    config = dataclasses.asdict(dataclasses.replace(PRESETS["full"], product=10))
    values = {"alone": [30.0, 10.0, 20.0], "together": [5.0], "product": [1e-3, 1e-4]}
    values |= {"data": [1.0], "forward": [2.0], "backward": [4.0], "update": [1.0]}
    rows = [
        throughput._row("gru", way, "seconds", repeat, value)
        for way, repeats in values.items()
        for repeat, value in enumerate(repeats)
    ]
    rows.append(throughput._row("gru", "together", "flops", 0, 4e3))
    run = Run("throughput", config, {}, rows)
    assert throughput.rate(run, "gru", "alone") == 60 * 5 / 20
    assert throughput.rate(run, "gru", "together") == 60
    # 60 steps a second of 4000 FLOPs, against 2000 FLOPs in a ten-thousandth of a second.
    assert throughput.share_of_peak(run, "gru") == pytest.approx(60 * 4e3 / 2e7)
    assert throughput.shares_of_a_step(run, "gru") == {
        "data": 1 / 8,
        "forward": 2 / 8,
        "backward": 4 / 8,
        "update": 1 / 8,
    }


def test_a_table_has_a_line_for_each_model_and_says_the_best_gain():
    config = dataclasses.asdict(dataclasses.replace(PRESETS["full"], models=("gru",), product=10))
    seconds = dict(zip(WAYS, (30.0, 40.0, 15.0, 20.0, 10.0), strict=True)) | {"product": 1e-4}
    rows = [throughput._row("gru", way, "seconds", 0, value) for way, value in seconds.items()]
    rows.append(throughput._row("gru", "together", "flops", 0, 4e3))
    [row] = throughput.table(Run("throughput", config, {}, rows)).rows
    assert row == ["gru", "10", "8", "20", "15", "30", "3.0 ×", "0%"]


# Two recordings gave 1.3 and 1.8 for attention, which alone keeps the products of a core busy, 2.9
# and 2.8 for the GRU, 1.9 and 1.8 for the convolution: what two cores do together varies by day.
@pytest.mark.parametrize(
    ("model", "gain"), [("attention", 1.2), ("gru", 2.2), ("convolution", 1.5)]
)
def test_side_by_side_is_worth_it_where_it_was_recorded(model, gain):
    """One seed after another would be as good: then the book should do that."""
    run = records.load(throughput)
    assert run.complete
    found = throughput.rate(run, model, "processes") / throughput.rate(run, model, "alone")
    assert found >= gain, f"{found:.2f}"
