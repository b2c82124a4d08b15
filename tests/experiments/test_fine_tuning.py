"""A few more steps on longer sequences: what they begin at, and that the control begins anew."""

import pytest

from attention_limits import training
from attention_limits.experiments import fine_tuning
from attention_limits.experiments.conditions import LONGEST
from attention_limits.experiments.cures import NOTHING
from attention_limits.experiments.fine_tuning import PRESETS, SCRATCH, Cell
from attention_limits.runs import records
from attention_limits.training import Recipe

SMOKE = PRESETS["smoke"]


def tell_nobody(*_):
    pass


def test_a_step_has_as_many_tokens_as_before():
    long = fine_tuning.long_recipe(Recipe(batch=32, lengths=(8, 32)), 50)
    assert long.batch * LONGEST == 32 * 32
    assert (long.steps, long.lengths) == (50, (LONGEST, LONGEST))


@pytest.mark.slow
def test_a_cell_has_a_row_for_each_number_of_steps_length_and_seed(monkeypatch):
    """Models that had been trained began anew, or those that choose a rate were tested."""
    started = []
    train = training.train

    def watched(*given, seeds, start=None, **options):
        started.append((tuple(seeds), start is None))
        return train(*given, seeds=seeds, start=start, **options)

    monkeypatch.setattr(training, "train", watched)
    rows = []
    for cure in (NOTHING, SCRATCH):
        rows += fine_tuning.run_cell(Cell("first token", cure), SMOKE, None, tell_nobody)
    assert {tuple(row) for row in rows} == {fine_tuning.COLUMNS}
    assert [(r["cure"], r["more"], r["n"], r["seed"]) for r in rows] == [
        (cure, more, n, seed)
        for cure in (NOTHING, SCRATCH)
        for more in (2, 3)
        for n in (32, 256)
        for seed in (0, 1)
    ]
    goes_on, anew = ({seeds for seeds, is_anew in started if is_anew == x} for x in (False, True))
    assert goes_on == anew == {(1000,), (0, 1)}
    shown = fine_tuning.table(records.new(fine_tuning, SMOKE, rows, complete=True))
    assert [row[:2] for row in shown.rows] == [
        [cure, more] for cure in (NOTHING, SCRATCH) for more in ("2", "3")
    ]
