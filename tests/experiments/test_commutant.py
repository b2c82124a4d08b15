"""What training finds of the commutant: that it is measured right, of the right matrix."""

import dataclasses

import numpy as np
import pytest
import torch

from attention_limits import models
from attention_limits.experiments import commutant
from attention_limits.experiments.commutant import (
    ARCHITECTURE,
    PRESETS,
    Cell,
    Config,
    explained_by_distance,
    projection,
    share,
)
from attention_limits.positions import sinusoidal
from attention_limits.runs import records
from attention_limits.runs.statistics import interval, paired

SMOKE = PRESETS["smoke"]
D, N = 64, 32
EYE = np.eye(D)


def tell_nobody(*_):
    pass


def drawn(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def relative(seed=0):
    """A matrix in the commutant, put together block by block."""
    M = np.zeros((D, D))
    for i, (a, b) in enumerate(drawn(D // 2, 2, seed=seed)):
        M[2 * i : 2 * i + 2, 2 * i : 2 * i + 2] = [[a, b], [-b, a]]
    return M


# --- the commutant ------------------------------------------------------------------------------


def test_a_matrix_in_the_commutant_is_all_there():
    """A sign of the quarter turn is wrong: rotations the other way count as nothing."""
    M = relative()
    np.testing.assert_allclose(projection(M), M)
    assert share(M) == pytest.approx(1)
    assert explained_by_distance(M, N) == pytest.approx(1)
    assert explained_by_distance(M, N, seen=True) == pytest.approx(1)


@pytest.mark.parametrize("block", [[[-1, 0], [0, 1]], [[0, 1], [1, 0]]])
def test_reflections_are_not_there(block):
    """Scores that depend on the sum of both positions are taken for relative ones."""
    M = np.kron(np.diag(drawn(D // 2)), block)
    assert share(M) == pytest.approx(0, abs=1e-15)
    assert explained_by_distance(M, N) < 0.5


def test_what_stands_between_two_frequencies_is_not_there():
    M = relative()
    assert share(np.roll(M, 2, axis=0)) == pytest.approx(0, abs=1e-15)


def test_of_random_matrices_a_share_of_one_in_d_is_there():
    """What is called chance is another number; M of a head has rank d/4, which does not matter."""
    found = share(np.swapaxes(drawn(400, 16, D), -1, -2) @ drawn(400, 16, D, seed=1))
    error = found.std() / 400**0.5
    assert abs(found.mean() - 1 / D) < 4 * error
    assert error < 0.1 / D


def test_the_projection_is_the_mean_over_all_shifts():
    """The commutant of the rotations is what they leave alone; here nobody wrote its blocks."""
    M, hands = drawn(4, 4), torch.tensor([1.0, 0.31])
    angles = hands * torch.arange(200_000)[:, None]
    zero = torch.zeros_like(angles)
    cos, sin = angles.cos().double(), angles.sin().double()
    rows = [torch.stack(row, -1) for row in ([cos, -sin], [sin, cos])]
    blocks = torch.stack(rows, -2)
    turns = torch.zeros(len(zero), 4, 4).double()
    turns[:, :2, :2], turns[:, 2:, 2:] = blocks[:, 0], blocks[:, 1]
    mean = (turns.mT @ torch.from_numpy(M) @ turns).mean(0)
    np.testing.assert_allclose(projection(M), mean, atol=1e-4)


def test_the_commutant_has_d_dimensions():
    units = np.eye(36).reshape(36, 6, 6)
    assert np.linalg.matrix_rank(projection(units).reshape(36, 36)) == 6
    M = drawn(6, 6)
    assert np.sum(projection(M) * (M - projection(M))) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("shape", [(3, 3), (4, 2), (4,)])
def test_what_has_no_blocks_is_refused(shape):
    with pytest.raises(ValueError, match="M must be square"):
        projection(np.zeros(shape))


# --- what distance explains ---------------------------------------------------------------------


def scores_of(M):
    PE = sinusoidal.encoding(torch.arange(N), D).numpy()
    return PE @ M @ PE.T


def test_explained_is_the_variance_between_distances():
    """Pairs ahead of the query were counted, or each distance as much as any other."""
    M = drawn(D, D)
    groups = [np.diagonal(scores_of(M), -distance) for distance in range(N)]
    everything = np.concatenate(groups)
    within = sum(((group - group.mean()) ** 2).sum() for group in groups)
    total = ((everything - everything.mean()) ** 2).sum()
    assert explained_by_distance(M, N) == pytest.approx(1 - within / total)


def test_seen_is_what_distances_explain_beside_a_number_for_each_query():
    M = drawn(D, D)
    p, q = np.tril_indices(N)
    y, eye = scores_of(M)[p, q], np.eye(N)
    queries, both = eye[p], np.hstack([eye[p], eye[p - q]])
    left = [y - x @ np.linalg.lstsq(x, y, rcond=None)[0] for x in (queries, both)]
    expected = 1 - left[1] @ left[1] / (left[0] @ left[0])
    assert explained_by_distance(M, N, seen=True) == pytest.approx(expected)


def test_what_all_keys_have_in_common_is_not_seen():
    """The last cosine is 1 at all positions in sight: PE(p)ᵀ u is added to all of a query."""
    M = relative()
    M[:, -1] += 100 * drawn(D)
    assert explained_by_distance(M, N) < 0.5
    assert explained_by_distance(M, N, seen=True) > 0.99


def test_a_score_that_grows_evenly_with_the_key_is_seen_as_relative():
    """And is nowhere near the commutant: the slowest sine of the key, a straight line here."""
    M = np.outer(EYE[-3], EYE[-2])  # times a cosine of another frequency, 1 at all these positions
    assert share(M) == 0
    assert explained_by_distance(M, N, seen=True) > 0.999
    # In a triangle of pairs, q and p − q have a correlation of −1/2.
    assert explained_by_distance(M, N) == pytest.approx(0.25, abs=1e-3)


def test_a_score_that_finds_one_key_is_not_relative():
    """Position 0, wherever the query stands: what the first token's task asks for."""
    PE = sinusoidal.encoding(torch.arange(N), D).numpy()
    M = np.outer(EYE[-1], np.linalg.pinv(PE)[:, 0])
    np.testing.assert_allclose(scores_of(M)[:, 0], 1, rtol=1e-4)
    assert explained_by_distance(M, N, seen=True) < 0.5


def test_many_at_once_are_what_each_is_alone():
    M = drawn(2, 3, D, D)
    for measure in (share, lambda M: explained_by_distance(M, N, seen=True)):
        np.testing.assert_allclose(measure(M)[1, 2], measure(M[1, 2]))


# --- the matrix of a model ----------------------------------------------------------------------


def test_between_positions_is_what_the_model_multiplies():
    """Seeds, heads, queries and keys were mixed up, or the gain stands on the wrong side."""
    model = models.build(ARCHITECTURE, vocabulary=3, classes=3, seeds=(0, 1))
    norm, attention = model.layers[0].norms[0], model.layers[0].attention
    with torch.no_grad():
        norm.gain.copy_(torch.from_numpy(drawn(*norm.gain.shape)))
        PE = sinusoidal.encoding(torch.arange(N), D).float()
        q, k, _ = attention.project(norm(PE.expand(2, 1, N, D))).chunk(3, dim=-1)
        divided = (PE.var(-1, correction=0) + 1e-5).sqrt()
        q, k = (attention._split(divided[:, None] * x)[:, 0] for x in (q, k))
    expected = (q @ k.mT).numpy()
    found = scores_of(commutant.between_positions(model))
    assert found.shape == (2, ARCHITECTURE.heads, N, N)
    np.testing.assert_allclose(found, expected, atol=1e-4 * np.abs(expected).max())


def test_because_of_the_mean_the_share_is_never_one():
    C = EYE - 1 / D
    assert share(C) == pytest.approx(1 - 1 / D)
    assert share(C @ relative() @ C) < 1 - 0.9 / D


# --- cells --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def smoke():
    [cell] = commutant.cells(SMOKE)
    return commutant.run_cell(cell, SMOKE, None, tell_nobody)


@pytest.mark.slow
def test_a_cell_has_a_row_for_each_head_before_and_after(smoke):
    assert {tuple(row) for row in smoke} == {commutant.COLUMNS}
    assert [(row["when"], row["seed"], row["head"]) for row in smoke] == [
        (when, seed, head) for when in ("before", "after") for seed in (0, 1) for head in range(4)
    ]
    assert commutant.run_cell(Cell("first token"), SMOKE, None, tell_nobody) == smoke


@pytest.mark.slow
def test_before_is_before(smoke):
    """The weights that training had changed were taken for the first, and nothing was learned."""
    task = commutant.SETTINGS["first token"].make()
    made = {"vocabulary": task.vocabulary, "classes": task.classes, "seeds": (0, 1)}
    M = commutant.between_positions(models.build(ARCHITECTURE, **made))
    assert [row["share"] for row in smoke[:8]] == share(M).flatten().tolist()
    for name in ("share", "explained", "seen"):
        values = [row[name] for row in smoke]
        assert len(set(values)) == 16, f"{name} of two heads, or before and after, is the same"


def test_of_what_diverged_there_are_no_numbers():
    """JSON has no NaN, and the run could not be saved."""
    config = dataclasses.replace(SMOKE, rates=(1e30,), seeds=(0,))
    rows = commutant.run_cell(Cell("first token"), config, None, tell_nobody)
    assert {row["share"] for row in rows if row["when"] == "after"} == {None}
    assert None not in {row["share"] for row in rows if row["when"] == "before"}


def test_an_unknown_task_is_refused():
    with pytest.raises(ValueError, match="settings must be among"):
        Config(settings=("telepathy",))


# --- what is said of a run ----------------------------------------------------------------------


def made_run():
    """Two seeds with two heads each."""
    found = {"before": ((0.1, 0.2), (0.3, 0.1)), "after": ((0.9, 0.2), (0.6, 0.7))}
    rows = [
        dict.fromkeys(commutant.COLUMNS, value)
        | {"task": "first token", "when": when, "seed": seed, "head": head}
        for when, seeds in found.items()
        for seed, heads in enumerate(seeds)
        for head, value in enumerate(heads)
    ]
    config = dataclasses.asdict(dataclasses.replace(SMOKE, seeds=(0, 1)))
    return records.Run("commutant", config, {}, rows)


def test_of_each_seed_the_largest_head_counts():
    """The largest of all seeds, or a head of another training."""
    assert commutant.largest(made_run(), "first token", "before") == [0.2, 0.3]
    assert commutant.largest(made_run(), "first token", "after", "share") == [0.9, 0.7]


def test_a_table_shows_the_spread_of_the_seeds():
    shown = commutant.table(made_run())
    assert shown.head == ["task", "training", "explained", "seen", "share"]
    assert shown.rows[1] == ["first token", "after", *["0.800 (0.700 … 0.900)"] * 3]
    assert len(shown.rows) == 2


# --- what was recorded --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def recorded():
    return records.load(commutant)


def test_every_model_learned_its_task(recorded):
    """What a model has not learned says nothing of what learning makes."""
    assert recorded.complete
    assert len(recorded.config["seeds"]) >= 5
    after = [row for row in recorded.records if row["when"] == "after"]
    assert {row["ended"] for row in after} == {"trained"}
    assert min(row["accuracy"] for row in after) > 0.8  # by chance 1/16


def test_before_training_the_share_is_that_of_chance(recorded):
    values = [row["share"] for row in recorded.records if row["when"] == "before"]
    assert np.mean(values) == pytest.approx(1 / D, rel=0.1)


@pytest.mark.parametrize(
    ("task", "of", "grows"),
    [
        ("token 3 back", "share", True),
        ("token 3 back", "seen", True),
        ("most recent", "share", False),
        ("most recent", "seen", True),
        ("first token", "share", False),
    ],
)
def test_training_finds_what_its_task_needs(recorded, task, of, grows):
    """A fixed distance is found in the commutant, recency outside of it, and the start nowhere."""
    before, after = (commutant.largest(recorded, task, when, of) for when in ("before", "after"))
    if grows:
        assert paired(after, before).losses == 0
        assert interval(after).low > 2 * np.mean(before)
    else:
        assert np.mean(after) < 3 * np.mean(before)
