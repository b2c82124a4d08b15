"""Experiments by their names."""

import importlib
import pkgutil

import pytest
from helpers.tables import assert_rows_for

from attention_limits import experiments
from attention_limits.experiments import registry
from attention_limits.runs import records


def test_every_module_with_presets_is_an_experiment():
    """One was written that `attention-limits run` does not know."""
    names = [info.name for info in pkgutil.iter_modules(experiments.__path__)]
    modules = {name: importlib.import_module(f"{experiments.__name__}.{name}") for name in names}
    found = [name for name, module in modules.items() if hasattr(module, "PRESETS")]
    assert_rows_for(found, {"EXPERIMENTS in experiments/registry.py": registry.EXPERIMENTS})


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
