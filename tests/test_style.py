import functools
import itertools
import re

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure as MatplotlibFigure

from attention_limits import style

BACKGROUNDS = {"white": "#ffffff", "the theme's dark": "#14181e", "its surfaces": "#121212"}
COLOURS = {"blue": 0, "vermillion": 1, "green": 2, "purple": 3, "violet": 4}
COLOURS = {name: style.PALETTE[number] for name, number in COLOURS.items()} | {"grey": style.GREY}

# Machado, Oliveira & Fernandes 2009, severity 1: what is left of linear red, green and blue.
EYES = {
    "all three cones": np.eye(3),
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}
TO_XYZ = [
    [0.4124564, 0.3575761, 0.1804375],
    [0.2126729, 0.7151522, 0.0721750],
    [0.0193339, 0.1191920, 0.9503041],
]


def linear(colour):
    encoded = np.array(mpl.colors.to_rgb(colour))
    return np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)


def contrast(one, other):
    """WCAG's contrast ratio."""
    low, high = sorted(linear(colour) @ TO_XYZ[1] + 0.05 for colour in (one, other))
    return high / low


def lab(rgb):
    """CIELAB of linear RGB, under the white that sRGB has."""
    x, y, z = np.cbrt(np.array(TO_XYZ) @ np.clip(rgb, 0, 1) / (np.array(TO_XYZ) @ np.ones(3)))
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


# --- colours ----------------------------------------------------------------------------


@pytest.mark.parametrize("background", BACKGROUNDS.values(), ids=BACKGROUNDS)
@pytest.mark.parametrize("colour", COLOURS.values(), ids=COLOURS)
def test_colours_stand_out_on_light_and_dark_pages(colour, background):
    """A line was hard to see in one of the two modes; WCAG asks for 3:1."""
    assert contrast(colour, background) >= 3


@pytest.mark.parametrize("eye", EYES.values(), ids=EYES)
def test_colours_are_told_apart_by_every_eye(eye):
    """Two lines looked alike to one man in twelve; ΔE of 10 is seen at a glance."""
    for one, other in itertools.combinations(style.PALETTE, 2):
        seen = [lab(np.array(eye) @ linear(colour)) for colour in (one, other)]
        assert np.linalg.norm(seen[0] - seen[1]) > 10, (one, other)


@pytest.mark.parametrize("cues", [style.DASHES, style.MARKERS], ids=["dashes", "markers"])
def test_every_colour_has_another_cue_of_its_own(cues):
    """Lines differed in nothing but their colour."""
    assert len(set(cues)) == len(set(style.PALETTE)) == len(style.PALETTE)


def test_both_libraries_draw_in_the_same_colours():
    """The sliders' chart and the plot below it disagreed about blue."""
    cycle = mpl.rcParams["axes.prop_cycle"].by_key()["color"]
    assert style.ALTAIR["range"]["category"] == list(cycle) == list(style.PALETTE)


# --- figures ----------------------------------------------------------------------------

DRAWINGS = {
    "lines": lambda figure, axes: axes.plot([3, 1, 2], "o-", label="a"),
    "area": lambda figure, axes: axes.fill_between([0, 1], [2, 3], label="b"),
    "bars": lambda figure, axes: axes.bar([1, 2], [3, 1], hatch="/", label="c"),
    "errors": lambda figure, axes: axes.errorbar([1, 2], [3, 1], [1, 1], capsize=2, label="d"),
    "boxes": lambda figure, axes: axes.boxplot([1, 2, 9]),
    "image": lambda figure, axes: figure.colorbar(axes.imshow([[1, 2], [3, 4]])),
    "arrow": lambda figure, axes: axes.annotate("t", (0, 0), (1, 1), arrowprops={"width": 1}),
    "words": lambda figure, axes: axes.set(title="$x^2$", xlabel="length", ylabel="cost"),
}


def make(name):
    figure = MatplotlibFigure()
    axes = figure.add_subplot()
    DRAWINGS[name](figure, axes)
    if axes.get_legend_handles_labels()[0]:
        axes.legend()
    return style.Figure(figure, "what to see", "what it says")


drawn = functools.cache(make)


def ids(html):
    return re.findall(r'\bid="([^"]+)"', html)


drawings = pytest.mark.parametrize("name", DRAWINGS)


@pytest.mark.parametrize("missing", ["", " \n"])
@pytest.mark.parametrize("name", ["alt", "caption"])
def test_figures_need_words(name, missing):
    """A figure went on the page without words for whoever cannot see it."""
    words = {"alt": "what to see", "caption": "what it says", name: missing}
    with pytest.raises(ValueError, match=f"{name} must say"):
        style.Figure(MatplotlibFigure(), **words)


def test_a_legend_that_is_cut_off_is_refused():
    """One that was wider than its figure lost its last word, and nobody was told."""
    for words, fits in (("short", True), ("of three columns, this one is too long", False)):
        canvas = MatplotlibFigure(figsize=style.NARROW)
        marks = [mpl.lines.Line2D([], [], label=words) for _ in range(3)]
        canvas.legend(handles=marks, loc="outside lower center", ncols=3)
        figure = style.Figure(canvas, alt="Three words.", caption="Words.")
        if fits:
            assert "<svg" in figure._repr_html_()
        else:
            with pytest.raises(ValueError, match="figure must have room for its legend"):
                figure._repr_html_()


def test_words_are_on_the_page_as_they_were_written():
    """A quotation mark ended the alt text, or a `<` the caption."""
    html = style.Figure(MatplotlibFigure(), 'n < 2 "here"', "a & b < c")._repr_html_()
    assert 'role="img" aria-label="n &lt; 2 &quot;here&quot;"' in html
    assert "<figcaption>a &amp; b &lt; c</figcaption>" in html


@drawings
def test_the_same_figure_gives_the_same_page(name):
    """Two builds of one book differed in an id, a date or a hash."""
    assert drawn(name)._repr_html_() == make(name)._repr_html_()


def test_the_last_digit_of_a_layout_is_not_seen():
    """Panels of a constrained layout wander by 1e-16 from run to run, and their ids with them."""
    pages = []
    for wandered in (0, 1e-15):
        figure = MatplotlibFigure(layout="none")
        figure.add_axes((0.1, 0.1, 0.8 + wandered, 0.8)).plot([0, 1])
        pages.append(style.Figure(figure, "what to see", "what it says")._repr_html_())
    assert pages[0] == pages[1]


@drawings
def test_figures_take_the_colours_of_the_page(name):
    """Something stayed black, or white, and was gone in one of the two modes."""
    html = drawn(name)._repr_html_()
    assert "currentColor" in html
    coloured = set(re.findall(r"(?:fill|stroke): (#\w+|black|white|rgb[^;\"]*)", html))
    assert coloured <= {*style.PALETTE, style.GREY}


@pytest.mark.parametrize(("one", "other"), [*itertools.combinations(DRAWINGS, 2)])
def test_figures_share_no_id(one, other):
    """One figure was clipped by the other's frame."""
    html = [drawn(name)._repr_html_() for name in (one, other)]
    assert not set(ids(html[0])) & set(ids(html[1]))


@drawings
def test_ids_are_unique_and_what_is_referred_to_is_there(name):
    """Marks vanished, because their definition had gone by another name."""
    html = drawn(name)._repr_html_()
    assert len(ids(html)) == len(set(ids(html)))
    assert set(re.findall(r'(?:url\(|href=")#([^")]+)', html)) <= set(ids(html))


@drawings
def test_figures_ask_the_network_for_nothing(name):
    """A figure named a foreign address other than the names of SVG and of its links."""
    html = drawn(name)._repr_html_()
    namespaces = {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}
    assert set(re.findall(r"""[a-z]+://[^"'\s<)]+""", html)) <= namespaces
    assert "<!DOCTYPE" not in html
    assert "<metadata" not in html
