"""Every still figure, found by itself."""

import functools

import pytest
from helpers.chapter_parts import functions, functions_of

from attention_limits import gallery
from attention_limits.style import Figure

FUNCTIONS = [
    pytest.param(function, id=name)
    for name, function in (functions("figures", Figure) | functions_of(gallery, Figure)).items()
]


@functools.cache
def drawn(function):
    """A figure, drawn once for all that is asked of it."""
    return function()


def test_there_are_figures_to_look_at():
    """Should discovery break, the tests below would pass on nothing."""
    assert len(FUNCTIONS) >= 15


@pytest.mark.slow
@pytest.mark.parametrize("function", FUNCTIONS)
def test_drawn_twice_it_is_the_same(function):
    """A figure that depends on chance or on the clock makes every build a new book."""
    assert drawn(function)._repr_html_() == function()._repr_html_()


@pytest.mark.parametrize("function", FUNCTIONS)
def test_its_words_say_what_there_is_to_see(function):
    """A name is no description: sentences are."""
    figure = drawn(function)
    for words in (figure.alt, figure.caption):
        assert words.endswith(".")
        assert len(words.split()) >= 10
