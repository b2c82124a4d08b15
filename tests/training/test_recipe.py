"""How to train: the schedule, the lengths, and what is refused."""

import numpy as np
import pytest
from helpers.small_trainings import TASK

from attention_limits import training
from attention_limits.training import Recipe


def test_rates_rise_stay_and_fall():
    recipe = Recipe(steps=100, warm_up=9, cool_down=0.2)
    rates = [recipe.rate(step) for step in range(100)]
    assert rates[:10] == pytest.approx(np.arange(1, 11) / 10)
    assert set(rates[10:80]) == {1.0}
    assert rates[80:] == pytest.approx(np.arange(20, 0, -1) / 21)
    assert min(Recipe(steps=5, warm_up=0, cool_down=0).rate(step) for step in range(5)) == 1


def test_lengths_are_drawn_from_all_that_are_allowed_and_shared_by_seeds():
    recipe = Recipe(lengths=(4, 9))
    lengths = [recipe.length(step) for step in range(300)]
    assert set(lengths) == set(range(4, 10))
    batch = training.draw(TASK, recipe, (5, 6, 5), step=17)
    assert batch.inputs.shape == (3, 32, lengths[17])
    assert (batch.inputs[0] == batch.inputs[2]).all()
    assert (batch.inputs[0] != batch.inputs[1]).any()
    assert (batch.inputs[0] == TASK.sample((5, 17), 32, lengths[17]).inputs).all()


def test_ranges_of_positions_vary_from_the_tokens_to_the_largest():
    """Neighbours stood as far apart in all of training, and closer in what was asked."""
    fixed = Recipe(lengths=(8, 8), max_position=64)
    assert {fixed.range_of_positions(step) for step in range(9)} == {64}
    assert Recipe().range_of_positions(3) is None
    varied = Recipe(lengths=(8, 8), max_position=64, vary_gaps=True)
    ends = np.array([varied.range_of_positions(step) for step in range(500)])
    assert (ends.min(), ends.max()) == (8, 64)
    assert np.median(ends) == pytest.approx(8**1.5, rel=0.1)
    batch = training.draw(TASK, varied, (5,), step=17)
    assert batch.positions.max() < ends[17]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"steps": 0}, "steps must be an integer of at least 1"),
        ({"batch": 0}, "batch must be"),
        ({"lengths": (9, 8)}, "lengths must be from and to"),
        ({"lengths": (0, 8)}, "lengths must be from and to"),
        ({"lengths": (8,)}, "lengths must be from and to"),
        ({"vary_gaps": True}, "max_position must be given"),
        ({"warm_up": -1}, "warm_up must be"),
        ({"cool_down": 1.5}, "cool_down must be a share"),
        ({"clip": 0}, "clip must be positive, or None"),
        ({"target": 0.0}, "target must be positive, or None"),
        ({"precision": "float8"}, "precision must be one of 'float32', 'bfloat16'"),
    ],
)
def test_a_recipe_that_cannot_be_followed_is_refused(change, words):
    with pytest.raises(ValueError, match=words):
        Recipe(**change)
