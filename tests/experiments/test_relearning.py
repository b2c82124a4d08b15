"""Weights that begin anew before a second training: which these are, and what is kept."""

import pytest
import torch

from attention_limits import models, training
from attention_limits.experiments import cures, relearning
from attention_limits.experiments.relearning import (
    ALL,
    CHANGES,
    NOTHING,
    PRESETS,
    SHARPNESS,
    Cell,
    changed,
)
from attention_limits.runs import records

SEEDS = (0, 1)
PROJECTED = ["layers.0.attention.project.weight", "layers.1.attention.project.weight"]


@pytest.fixture
def model():
    """Weights that no seed draws."""
    built = models.build(
        cures.architecture(cures.FREQUENCIES[cures.CURED]), vocabulary=16, classes=16, seeds=SEEDS
    )
    with torch.no_grad():
        for number, weight in enumerate(built.parameters()):
            weight.copy_(torch.arange(weight.numel()).reshape(weight.shape) + number)
    return built


@pytest.mark.parametrize("change", CHANGES)
def test_queries_and_keys_of_one_layer_are_changed_and_nothing_else(model, change):
    """Values were renewed along, or the other layer."""
    number, factor = CHANGES[change]
    before, after = model.state_dict(), changed(model, change, SEEDS).state_dict()
    different = [name for name in before if not torch.equal(before[name], after[name])]
    assert different == [PROJECTED[number]]
    old, new = before[different[0]], after[different[0]]
    d = old.shape[-1]
    torch.testing.assert_close(new[:, 2 * d :], old[:, 2 * d :], atol=0, rtol=0)
    if factor is None:
        assert new[:, : 2 * d].abs().max() < 1  # as they are drawn
    else:
        scores, softer = (w[:, :d].double() @ w[:, d : 2 * d].double().mT for w in (old, new))
        torch.testing.assert_close(softer, SHARPNESS * scores, rtol=1e-5, atol=0)


def test_each_seed_gets_its_own_new_weights(model):
    weight = changed(model, "new queries and keys, layer 2", SEEDS).state_dict()[PROJECTED[1]]
    assert not torch.equal(weight[0], weight[1])
    alone = models.build(
        cures.architecture(cures.FREQUENCIES[cures.CURED]), vocabulary=16, classes=16, seeds=(1,)
    ).state_dict()[PROJECTED[1]]
    torch.testing.assert_close(weight[1, :128], alone[0, :128], atol=0, rtol=0)


@pytest.mark.slow
def test_models_go_on_from_where_they_were_or_begin_anew(monkeypatch):
    """The models that choose a rate began elsewhere, or new weights were not new.

    Or what had been changed was not what went on, or it went on with other frequencies.
    """
    config, started, rows, firsts = PRESETS["smoke"], [], [], []
    train, first, softer = training.train, training.train_ensemble, "softer scores, layer 2"
    turned = cures.architecture(cures.cured(cures.INTERPOLATED, 256))

    def watched(architecture, *given, seeds, start=None, **options):
        own = start and start.state_dict()[PROJECTED[1]][:, 0].norm().item()
        started.append((architecture == turned, tuple(seeds), own))
        return train(architecture, *given, seeds=seeds, start=start, **options)

    def watched_first(*given, seeds, rates, **options):
        trained = first(*given, seeds=seeds, rates=rates, **options)
        norm = trained.model.state_dict()[PROJECTED[1]][:, 0].norm().item()
        firsts.append((tuple(seeds), rates, norm))
        return trained

    monkeypatch.setattr(training, "train", watched)
    monkeypatch.setattr(training, "train_ensemble", watched_first)
    for cell in (Cell("0.03", NOTHING), Cell("0.03", softer), Cell("none", ALL)):
        rows += relearning.run_cell(cell, config, None, lambda *_: None)
    assert {tuple(row) for row in rows} == {relearning.COLUMNS}
    assert [(r["first"], r["changed"], r["n"], r["seed"]) for r in rows] == [
        *(("0.03", NOTHING, 256, seed) for seed in SEEDS),
        *(("0.03", softer, 256, seed) for seed in SEEDS),
        *(("none", ALL, 256, seed) for seed in SEEDS),
    ]
    assert [row["before"] is None for row in rows] == 4 * [False] + 2 * [True]
    kinds = (config.budget.seeds, SEEDS)  # those that choose a rate, and the tested
    assert {(seeds, rate) for seeds, rate, _ in firsts} == {(seeds, 0.03) for seeds in kinds}
    trained = {seeds: norm for seeds, _, norm in firsts}
    expected = [
        *((True, seeds, trained[seeds]) for seeds in kinds),
        *((True, seeds, pytest.approx(SHARPNESS**0.5 * trained[seeds])) for seeds in kinds),
        *((True, seeds, None) for seeds in kinds),
    ]
    assert [x for x in started if x[0]] == expected
    run = records.new(relearning, config, rows, complete=True)
    assert relearning.accuracies(run, NOTHING) == [row["accuracy"] for row in rows[:2]]
    assert relearning.accuracies(run, ALL) == [row["accuracy"] for row in rows[4:]]
    assert [row[0] for row in relearning.table(run).rows] == ["0.03", "0.03", "none"]
