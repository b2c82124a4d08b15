"""Experiments by their names."""

import pytest

from attention_limits.experiments import registry
from attention_limits.runs import records


@pytest.mark.parametrize("name", registry.EXPERIMENTS)
def test_every_experiment_has_what_a_run_of_it_needs(name):
    """One was listed that `attention-limits run` could not start, or not say how long it takes."""
    experiment = registry.find(name)
    assert set(experiment.PRESETS) == set(experiment.DURATIONS) == {"smoke", "book", "full"}
    assert all(isinstance(preset, experiment.Config) for preset in experiment.PRESETS.values())
    assert experiment.COLUMNS
    assert hasattr(experiment, "measure") != hasattr(experiment, "cells")


@pytest.mark.parametrize("name", ["scalling", "../scaling", "registry"])
def test_an_unknown_experiment_is_refused(name):
    """A name led out of the folder, or to a module that is no experiment."""
    with pytest.raises(ValueError, match=r"^name must be one of 'scaling', 'roofline'"):
        registry.find(name)


@pytest.mark.parametrize("name", registry.EXPERIMENTS)
def test_what_is_timed_says_so(name):
    """Times of two machines could have stood in one record, since nobody had said what they are."""
    experiment = registry.find(name)
    quantities = {row.get("quantity") for row in records.load(experiment).records}
    assert getattr(experiment, "TIMED", False) == ("seconds" in quantities)
