"""Formulas as they are set when the book is built."""

import re

import pytest
from bs4 import BeautifulSoup

from attention_limits_book.mathematics import TYPESETTER, in_lines, mathjax, style


@pytest.fixture(scope="module", autouse=True)
def engine():
    """It ends with these tests."""
    yield
    TYPESETTER.close()


def pieces(tex, **how):
    made = BeautifulSoup(TYPESETTER.set(tex, **how).html, "html.parser")
    return [len(piece.select("mjx-c")) for piece in made.select("mjx-piece")]


def test_a_formula_is_seen_and_read_aloud():
    """Nothing to see, or nothing for a screen reader, or both twice."""
    made = BeautifulSoup(TYPESETTER.set("x^2", display=True).html, "html.parser")
    assert made.select_one("mjx-container[display=true] > mjx-math[aria-hidden=true]")
    assert str(made.math.msup) == "<msup><mi>x</mi><mn>2</mn></msup>"
    assert made.math["class"] == ["spoken"]
    assert made.math.attrs.keys() == {"class", "display"}


@pytest.mark.parametrize("tex", [r"\foo", r"\frac{1}", "x^2^3", r"\begin{align} a", "{"])
def test_what_is_no_formula_is_refused_and_does_not_spoil_the_next(tex):
    """Red letters on a page, or a next formula that is refused with it."""
    assert TYPESETTER.set(tex).error
    assert TYPESETTER.set("y + 1").html


def test_a_definition_is_refused():
    """What a formula means would hang on which others were set before it."""
    assert TYPESETTER.set(r"\newcommand{\once}{z} \once").error
    assert TYPESETTER.set(r"\def\once{z} \once").error


def test_a_long_formula_in_a_line_may_be_broken_behind_its_operators():
    """On a phone it was cut off at the edge, or broken before its operator or at a minus sign."""
    assert pieces(r"n^* = d_{\text{model}} (1 + g / h) + c f / 2") == [3, 9, 5, 4]
    assert pieces(r"a = -bcdefgh, \quad ijk < lmn") == [2, 9, 4, 3]
    assert pieces("n = 1") == []
    assert pieces(r"n^* = d_{\text{model}} (1 + g / h) + c f / 2", display=True) == []


def test_no_line_begins_with_a_space():
    """The space behind an operator went to the next line with what follows it."""
    made = BeautifulSoup(TYPESETTER.set("abcdefgh = ijklmnop").html, "html.parser")
    first, second = made.select("mjx-piece")
    assert first["rspace"] == "4"
    assert not second.select("[space]")


def test_what_scrolls_is_reached_by_keyboard_and_nothing_else():
    """An equation whose end no key leads to, or a hundred stops on the way through a page."""
    assert "tabindex" not in TYPESETTER.set("x = y", display=True).html
    assert 'tabindex="0"' in TYPESETTER.set("x = y" * 12, display=True).html
    assert "tabindex" not in TYPESETTER.set("x = y" * 12).html


def test_equations_under_each_other():
    """Where an empty line parts them or a line ends: as Sphinx has it."""
    assert in_lines("a = b\n") == "a = b"
    assert in_lines(r"a \\ b") == r"\begin{split}a \\ b\end{split}"
    assert in_lines("a\n\nb") == r"\begin{aligned}a \\ b\end{aligned}"


def test_a_page_has_the_style_of_its_characters_alone():
    """A quarter of a megabyte of rules on each page, or a character without its own."""
    shown = style(TYPESETTER.set(r"\{ \sum_x ; \} \in \mathcal{B}", display=True).html)
    said = set(re.findall(r'content: "(.)"', shown))
    assert {"{", "}", ";", "x", "B"} <= said
    assert "y" not in said
    assert len(shown) < 6000
    assert "will-change" not in shown  # of a rule that no browser of today understands as a whole
    faces = re.findall(r'@font-face\{font-family: ([\w-]+); src: url\("%root%([^"]+)"\)', shown)
    assert {name for name, _ in faces} == {"MJXZERO", "MJXTEX", "MJXTEX-I", "MJXTEX-S2", "MJXTEX-C"}
    for _, font in faces:
        folder, _, name = font.rpartition("/")
        assert folder == "_static/mathematics"
        assert (mathjax() / "output/chtml/fonts/woff-v2" / name).is_file()
    assert all(
        rule.count("{") == rule.count("}") for rule in re.sub(r'"[^"]*"', "", shown).split("\n")
    )
