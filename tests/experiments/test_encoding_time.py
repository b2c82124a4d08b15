"""The time that encodings take: what is timed, and that ratios are within a repeat."""

import pytest

from attention_limits.experiments import encoding_time
from attention_limits.experiments.encoding_time import PASSES, PRESETS
from attention_limits.runs import records


@pytest.mark.slow
def test_every_encoding_is_timed_once_a_repeat_forward_and_back():
    config = PRESETS["smoke"]
    rows = list(encoding_time.measure(config))
    assert {tuple(row) for row in rows} == {encoding_time.COLUMNS}
    assert len(rows) == len(config.encodings) * len(PASSES) * config.repeats
    assert min(row["value"] for row in rows) > 0
    run = records.new(encoding_time, config, rows, complete=True)
    assert len(encoding_time.table(run).rows) == len(config.encodings)


def test_ratios_are_of_what_was_timed_in_the_same_repeat():
    config = PRESETS["smoke"]
    rows = [
        dict(
            zip(encoding_time.COLUMNS, (name, which, 32, 1, repeat, "seconds", value), strict=True)
        )
        for repeat in (0, 1)
        for name, which, value in [
            ("none", "forward", 2.0 + repeat),
            ("rotary", "forward", 3.0 * (2.0 + repeat)),
            ("rotary", PASSES[1], 1.0),
        ]
    ]
    run = records.new(encoding_time, config, rows, complete=True)
    assert encoding_time.ratios(run, "rotary", "forward", 32) == [3, 3]
