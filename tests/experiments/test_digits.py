"""Small models of digits: of one size, on images that are moved, cut and enlarged as is said."""

import pytest
import torch

from attention_limits.experiments import digits, image_models
from attention_limits.experiments.digits import (
    CANVAS,
    CENTRED,
    CHANGES,
    MARGIN,
    MOVED,
    PLAIN,
    POOL,
    PRESETS,
    SHUFFLED,
    Cell,
)
from attention_limits.experiments.image_models import (
    FULL,
    LEARNED,
    MODELS,
    NONE,
    PLACES,
    RELATIVE,
    ROTARY,
    between,
    places,
    turned,
)
from attention_limits.progress import silent


def image():
    """Something in the middle, within the margins and a patch more."""
    x = torch.zeros(1, CANVAS, CANVAS)
    x[0, 4:8, 4:8] = torch.rand(4, 4, generator=torch.Generator().manual_seed(0))
    return x


def built(name):
    torch.manual_seed(0)
    model = image_models.build(name)
    with torch.no_grad():
        for weights in model.parameters():  # a table that begins at zero hides what it does
            weights += 0.1 * torch.randn_like(weights)
    return model


def test_models_are_of_nearly_one_size():
    """The smaller one loses, and its prior is blamed."""
    sizes = [sum(w.numel() for w in image_models.build(name).parameters()) for name in MODELS]
    assert max(sizes) <= 1.25 * min(sizes)


@pytest.mark.parametrize("name", MODELS)
def test_a_model_answers_each_image_for_itself(name):
    """A mean over the batch in place of the pixels."""
    model, x = built(name), torch.rand(3, CANVAS, CANVAS)
    torch.testing.assert_close(model(x)[1:2], model(x[1:2]))
    assert model(x).shape == (3, 10)


def test_images_are_dealt_once():
    """What chose the rate was asked in the end, or some seeds were asked of others' images."""
    x, digit = digits.load()
    assert x.shape == (1797, CANVAS, CANVAS)
    assert digit.unique().tolist() == list(range(10))
    kept = [range(POOL), range(1797)[digits.TO_CHOOSE], range(1797)[digits.TO_ASK]]
    assert [len(each) for each in kept] == [1000, 297, 500]
    assert len(set().union(*kept)) == 1797
    assert not x[:, :MARGIN].any()
    assert not x[..., -MARGIN:].any()


def test_an_image_moves_as_is_said():
    x = image()
    (down, _), *_ = CHANGES["moved by 1"]
    assert torch.equal(down(x)[0, 5:9, 4:8], x[0, 4:8, 4:8])
    assert {len(CHANGES[f"moved by {by}"]) for by in (1, 2)} == {4}


def test_images_are_moved_each_by_its_own_and_nothing_leaves():
    """All moved alike, or along one axis, or what left at an edge came back at the other."""
    x, _ = digits.load()
    found = digits._at_random(x[None, :50], torch.Generator().manual_seed(0))[0]
    by = set()
    for before, after in zip(x[:50], found, strict=True):
        fits = [
            (y, z)
            for y in range(-MARGIN, MARGIN + 1)
            for z in range(-MARGIN, MARGIN + 1)
            if torch.equal(digits.moved(before, y, z), after)
        ]
        assert fits
        by.add(fits[0])
    assert len(by) > 15
    torch.testing.assert_close(found.sum((-2, -1)), x[:50].sum((-2, -1)))


def test_shuffled_is_one_order_for_all():
    x = torch.rand(2, 3, CANVAS, CANVAS)
    found = digits._arranged(x, SHUFFLED)
    assert not torch.equal(found, x)
    order = digits._arranged(torch.arange(144.0).view(CANVAS, CANVAS), SHUFFLED).long()
    assert torch.equal(found, x.flatten(-2)[..., order.flatten()].view_as(x))
    assert torch.equal(digits._arranged(x, CENTRED), x)


# Positions


def test_a_table_says_at_places_what_stands_there_and_a_mean_between():
    table = torch.rand(3, PLACES, PLACES)
    torch.testing.assert_close(between(table, places(PLACES, PLACES), PLACES - 1), table.flatten(1))
    half = between(table, torch.tensor([[1.5, 2.0]]), PLACES - 1)[:, 0]
    torch.testing.assert_close(half, (table[:, 1, 2] + table[:, 2, 2]) / 2)
    beyond = between(table, torch.tensor([[-3.0, 9.0]]), PLACES - 1)[:, 0]
    torch.testing.assert_close(beyond, table[:, 0, -1])


def test_what_is_cut_keeps_its_places_and_what_is_finer_lies_around_them():
    """Cut images were told to begin at 0; fine patches lay beside those that they are parts of."""
    [(_, kept)], [(_, fine)] = CHANGES["cut"], CHANGES["enlarged"]
    inside = places(PLACES, PLACES).unflatten(0, (PLACES, PLACES))[1:-1, 1:-1].flatten(0, 1)
    assert torch.equal(kept, inside)
    four = fine.view(PLACES, 2, PLACES, 2, 2).mean((1, 3)).flatten(0, 1)
    torch.testing.assert_close(four, places(PLACES, PLACES))


@pytest.mark.parametrize("name", image_models.OF_TRANSFORMERS)
def test_only_without_positions_a_patch_on_is_the_same(name):
    """On a canvas that ends, offsets to its ground change, too: relative scores notice."""
    model, x = built(name), image()
    unmoved = torch.allclose(model(x), model(digits.moved(x, 2, 0)), atol=1e-5)
    assert unmoved == (name == NONE)


def test_turned_scores_depend_on_offsets_alone():
    """Both axes in one half, or columns where rows should be."""
    q, k = torch.rand(2, 36, 16, generator=torch.Generator().manual_seed(0)).double()
    where = places(PLACES, PLACES)

    def scores(moved):
        return turned(q, where + moved) @ turned(k, where + moved).mT

    torch.testing.assert_close(scores(torch.zeros(2)), scores(torch.tensor([5.0, 1.5])))
    rows = turned(q, where * torch.tensor([1.0, 0.0]))
    assert torch.equal(rows[:, 8:], q[:, 8:])


def test_relative_scores_are_by_offset_on_a_grid():
    layer = built(RELATIVE).layers[0]
    where = places(PLACES, PLACES)
    apart = (where[7] - where[20]).int() + PLACES - 1
    found = between(layer.table, (where[7] - where[20])[None] + PLACES - 1, 2 * PLACES - 2)
    torch.testing.assert_close(found[:, 0], layer.table[:, apart[0], apart[1]])


# Runs


def test_a_cell_has_a_row_for_each_number_and_seed_and_says_what_it_cannot_take():
    config = PRESETS["smoke"]
    rows = digits.run_cell(Cell(FULL, MOVED), config, None, silent)
    assert [row["seed"] for row in rows] == [0, 1]
    assert rows[0]["cut"] is None
    assert 0 <= rows[0][PLAIN] <= 1
    assert rows[0].keys() == set(digits.COLUMNS)


def test_models_side_by_side_learn_what_they_learn_alone():
    """A rate, a seed or the images of another."""
    config, cell = PRESETS["smoke"], Cell(ROTARY, CENTRED)
    together = digits.learn(cell, config, 20, [1e-3, 1e-2], (0, 1))
    alone = digits.learn(cell, config, 20, [1e-2], (1,))
    assert together.loss[1] == pytest.approx(alone.loss[0], rel=1e-4)


def test_learning_learns():
    config = digits.Config(steps=60, rates=(1e-2,))
    found = digits.learn(Cell(LEARNED, CENTRED), config, 20, [1e-2], (0,))
    assert found.loss[0] < 0.1


def test_examples_come_from_the_pool():
    with pytest.raises(ValueError, match=r"^examples must be from 1 to 1000, got"):
        digits.Config(examples=(50, 1001))
