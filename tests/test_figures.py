"""Every still figure, found by itself."""

import functools
import re

import pytest
from helpers.built import check_built, pages, written
from helpers.chapter_parts import functions, functions_of

from attention_limits import gallery
from attention_limits.style import Figure

FIGURE = re.compile(r'<figure class="plot" .*?</figure>', re.DOTALL)
OF_ITS_PAGE = re.compile(r'(?<=<figure class="plot") id="[^"]*"|<a class="headerlink".*?</a>')
FUNCTIONS = [
    pytest.param(function, id=name)
    for name, function in (functions("figures", Figure) | functions_of(gallery, Figure)).items()
]
ELSEWHERE = {gallery.training.curves}  # its page shows models of its own


@functools.cache
def drawn(function):
    """A figure, drawn once for all that is asked of it."""
    return function()


def test_there_are_figures_to_look_at():
    """Should discovery break, the tests below would pass on nothing."""
    assert len(FUNCTIONS) >= 15


@functools.cache
def in_the_book():
    """The figures on the pages of the built book, which other processes drew."""
    check_built()
    found = {one for page in pages() for one in FIGURE.findall(written(page))}
    return {OF_ITS_PAGE.sub("", one) for one in found}


@pytest.mark.slow
@pytest.mark.parametrize("function", FUNCTIONS)
def test_drawn_again_it_is_the_same(function):
    """A figure that depends on chance or on the clock makes every build a new book."""
    html = drawn(function)._repr_html_()
    if function in ELSEWHERE:
        assert html == function()._repr_html_()
    else:
        assert html in in_the_book(), "no page shows it, or it is another each time"


@pytest.mark.parametrize("function", FUNCTIONS)
def test_its_words_say_what_there_is_to_see(function):
    """A name is no description: sentences are."""
    figure = drawn(function)
    for words in (figure.alt, figure.caption):
        assert words.endswith(".")
        assert len(words.split()) >= 10


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_phone_shows_most_of_it_at_a_readable_size(function):
    """Labels were 9 pixels high on a phone; or half of the figure had to be scrolled to."""
    html = drawn(function)._repr_html_()
    [least] = re.findall(r"--least: (\d+)px", html)
    [width] = re.findall(r'viewBox="0 0 ([0-9.]+) ', html)
    sizes = [float(size) for size in re.findall(r"<text[^>]*font(?:-size)?: ([0-9.]+)px", html)]
    assert sizes, "its words are outlines"
    assert min(sizes) * int(least) / float(width) >= 11
    assert int(least) <= 500
