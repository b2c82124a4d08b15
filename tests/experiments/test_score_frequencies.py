"""Which frequencies carry scores of positions: parts that sum to what the model computes."""

import math

import numpy as np
import pytest
import torch

from attention_limits import models
from attention_limits.experiments import score_frequencies
from attention_limits.experiments.commutant import between_positions
from attention_limits.experiments.conditions import ENCODINGS
from attention_limits.experiments.score_frequencies import (
    BANDS,
    PRESETS,
    Cell,
    of_rotary,
    of_sinusoids,
    shares,
)
from attention_limits.positions import sinusoidal
from attention_limits.runs import records

N = 24


def built(encoding):
    return models.build(ENCODINGS[encoding], vocabulary=34, classes=16, seeds=(0, 1))


def test_parts_of_sinusoids_sum_to_the_scores_of_positions():
    model = built("sinusoidal")
    periods, parts = of_sinusoids(model, N)
    PE = sinusoidal.encoding(torch.arange(N), 64).double().numpy()
    np.testing.assert_allclose(parts.sum(-3), PE @ between_positions(model) @ PE.T)
    assert (periods[0], parts.shape) == (pytest.approx(2 * math.pi), (2, 4, 32, N, N))
    assert (np.diff(periods) > 0).all()


def test_a_key_that_does_not_turn_with_a_frequency_has_no_part_of_it():
    model = built("sinusoidal")
    M = between_positions(model)
    PE = sinusoidal.encoding(torch.arange(N), 64).double().numpy()
    slowest = PE[:, -2:]
    expected = (PE @ M)[..., -2:] @ slowest.T
    np.testing.assert_allclose(of_sinusoids(model, N)[1][..., -1, :, :], expected)


def test_parts_of_rotary_sum_to_what_the_model_scores():
    """The turn went the wrong way, or halves were taken for neighbours."""
    model = built("rotary")
    layer, asks, answer = model.layers[0], 33, 20
    _, parts = of_rotary(model, N, range(asks, asks + 1), range(answer, answer + 1))
    tokens = torch.full((2, 1, N), answer)
    tokens[..., -1] = asks
    x = layer.norms[0](model.embedding(tokens))
    q, k, _ = (layer.attention._split(part) for part in layer.attention.project(x).chunk(3, -1))
    where = models.transformer.Where(N)
    q, k = model.encoding.turned(q, where), model.encoding.turned(k, where)
    scores = (q[..., -1:, :] @ k.mT / 4).squeeze(-2)[:, 0, :, :-1].detach().numpy()
    np.testing.assert_allclose(parts.sum(-3)[..., -1, :-1], scores, atol=1e-5)


def test_shares_sum_to_one_and_what_is_the_same_for_all_keys_of_a_query_has_none():
    rng = np.random.default_rng(0)
    parts = rng.normal(size=(2, 3, N, N))
    parts[:, 1] = rng.normal(size=(2, N, 1))
    variance, each = shares(parts)
    np.testing.assert_allclose(each.sum(-1), 1)
    np.testing.assert_allclose(each[:, 1], 0, atol=1e-12)
    own = [parts[0].sum(0)[p, : p + 1].var() for p in range(1, N)]
    assert variance[0] == pytest.approx(np.mean(own))
    later = parts.copy()
    later[..., np.triu_indices(N, 1)[0], np.triu_indices(N, 1)[1]] = 99  # keys that are not seen
    np.testing.assert_allclose(shares(later)[1], each)


@pytest.mark.slow
def test_bands_are_of_the_head_that_varies_most():
    config = PRESETS["smoke"]
    cell = Cell("most recent", "rotary")
    rows = score_frequencies.run_cell(cell, config, None, lambda *_: None)
    assert {tuple(row) for row in rows} == {score_frequencies.COLUMNS}
    assert len(rows) == 2 * 4 * 8
    run = records.new(score_frequencies, config, rows, complete=True)
    found = score_frequencies.by_band(run, *("most recent", "rotary"))
    assert list(found) == list(BANDS)
    assert np.sum(list(found.values()), axis=0) == pytest.approx([1, 1])
    of_first = [row for row in rows if row["seed"] == 0]
    strongest = max(of_first, key=lambda row: row["variance"])["head"]
    within = [r["share"] for r in of_first if r["head"] == strongest and r["period"] < 32]
    assert found[0, 32][0] == pytest.approx(sum(within))
    assert len(score_frequencies.table(run).rows) == 1
