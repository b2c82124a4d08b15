"""The pictures of the library: that they show what the mechanisms do."""

import inspect

import numpy as np
import pytest
import torch
from helpers.tables import assert_rows_for

from attention_limits.attention import MECHANISMS
from attention_limits.gallery import library

ALL = (*MECHANISMS, *library.BASELINES)


def test_every_mechanism_has_its_example_and_nothing_else_has():
    """A mechanism joined and its page cannot be made, or one is gone and left its words behind."""
    table = "EXAMPLES in attention_limits/gallery/library.py"
    assert_rows_for(ALL, {table: library.EXAMPLES})


@pytest.mark.parametrize("name", MECHANISMS)
def test_the_matrix_gives_the_output_for_any_values(name):
    """The picture is called W in o = W v, and the mechanism is not linear in its values."""
    compute, _ = library.prepared(name)
    v = torch.randn(library.N, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    np.testing.assert_allclose(library.matrix(name) @ v.numpy(), compute(v).numpy(), atol=1e-12)


@pytest.mark.parametrize("name", ALL)
def test_nothing_is_drawn_above_the_diagonal(name):
    """The page says causal, and the picture shows a token that hears from a later one."""
    assert not np.triu(library.matrix(name), 1).any()


@pytest.mark.parametrize("name", MECHANISMS)
def test_the_pattern_is_that_of_the_matrix(name):
    """The two squares of a picture disagree."""
    module = library.module_of(name)
    if hasattr(module, "visible"):
        options = library.accepted(module.visible, library.EXAMPLES[name].drawn)
        seen = module.visible(library.N, **options)
        assert ((library.matrix(name) != 0) == seen).all()


@pytest.mark.parametrize(
    ("options", "expected"), [({"window": 1}, 0), ({"window": 7}, 6), ({"window": 99}, 47)]
)
def test_the_reach_is_counted_from_the_query(options, expected):
    """Off by one, or measured from the wrong end."""
    assert library.receptive_field("sliding_window", **options)[0] == expected


def test_half_lies_where_half_of_the_sum_is(monkeypatch):
    """The number in brackets counts the wrong tokens: the oldest, or those beyond half."""
    row = np.array([[0.0, 1.0, 4.0, -3.0, 2.0]])
    monkeypatch.setattr(library, "matrix", lambda name: row)
    assert library.receptive_field("dense") == (3, 2)


def test_options_of_the_caller_s_own_are_drawn():
    """Who draws another window sees that of the page."""
    own, page = (library.picture("sliding_window", **given) for given in ({"window": 3}, {}))
    assert "window=3" in own.caption
    assert own._repr_html_() != page._repr_html_()
    assert "causal=False" in library.picture("dense", causal=False).caption


def test_negative_weights_have_a_colour_of_their_own():
    """The reader takes what is subtracted for what is added."""
    assert (library.matrix("delta_rule") < 0).any()
    assert "vermillion is negative" in library.picture("delta_rule").caption
    assert "vermillion" not in library.picture("dense").caption


@pytest.mark.parametrize("name", ALL)
def test_the_options_of_an_example_are_options(name):
    """A name was misspelt and dropped without a word."""
    module, example = library.module_of(name), library.EXAMPLES[name]
    assert example.drawn.keys() <= inspect.signature(library.function_of(name)).parameters.keys()
    assert example.quoted.keys() <= inspect.signature(module.cost).parameters.keys()


@pytest.mark.parametrize(
    ("name", "distances"),
    [("sliding_window", range(8)), ("offsets", (0, 1, 2, 4, 8, 16)), ("convolution", range(5))],
)
def test_the_words_name_the_diagonals_that_are_drawn(name, distances):
    """An option of the example was changed, and the words under the picture were not."""
    matrix = library.matrix(name)
    drawn = [back for back in range(library.N) if matrix.diagonal(-back).any()]
    assert drawn == list(distances)


def test_the_words_count_the_squares_that_are_drawn():
    """Two along the diagonal, one at the left edge, one more between: and the picture has three."""
    squares = library.matrix("block_sparse").reshape(12, 4, 12, 4).any(axis=(1, 3))
    assert squares.diagonal().all()
    assert squares.diagonal(-1).all()
    assert squares[:, 0].all()
    assert (squares[3:].sum(axis=1) == 4).all()  # where they do not fall together


def test_the_words_count_the_steps_that_are_drawn():
    """Four rows alike, every fourth column: and the period is another."""
    held = library.matrix("clock") != 0
    assert held.any(axis=0).nonzero()[0].tolist() == list(range(0, library.N, 4))
    rows = held.reshape(-1, 4, library.N)
    assert (rows == rows[:, :1]).all()
    assert (rows[1:, 0] != rows[:-1, 0]).any(axis=1).all()
