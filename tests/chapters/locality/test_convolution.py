"""The page on convolution inside attention: that what is built is what the words say it is."""

import json
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
import vl_convert
from helpers.chapter_parts import assert_all_found, assert_holds_by_no_accident, pieces_in

from attention_limits import style
from attention_limits.chapters.locality.derivations import convolution as derived
from attention_limits.chapters.locality.evidence import convolution
from attention_limits.chapters.locality.explorables import convolution as charts
from attention_limits.chapters.locality.figures import convolution as figures

PIECES = pieces_in(convolution)


def test_all_pieces_are_found():
    """One that a claim names was not among those that are tried below."""
    assert_all_found(PIECES, "convolution")


@pytest.mark.parametrize("piece", PIECES, ids=lambda piece: piece.__name__)
def test_it_holds_and_is_no_accident(piece):
    """A second run found another number; or a bound is so wide that nothing would cross it."""
    assert_holds_by_no_accident(piece)


# --- heads --------------------------------------------------------------------------------------


@pytest.mark.parametrize("layer", [convolution.heads_in_windows, convolution.with_wide_keys])
def test_what_costs_otherwise_gives_the_same(layer):
    """A window or a key of another width was counted for a layer that computes something else."""
    assert convolution.off_by(layer) < 1e-12


@pytest.mark.parametrize("size", [1, 5])
def test_other_kernels_are_convolutions_too(size):
    """Offsets were those of 3 × 3; a head that aims two pixels outside reads the border, too."""
    image, _ = convolution.drawn()
    kernel = torch.randn(2, 6, size, size, dtype=torch.float64)
    found = convolution.heads(image, kernel)
    torch.testing.assert_close(found, convolution.replicated(image, kernel), atol=1e-12, rtol=0)


def test_heads_of_half_the_rank_are_as_good_as_they_can_be():
    """The rival would be refused whatever was wrong with it: of full rank it has to be right."""
    image, kernel = convolution.drawn()
    kernel[2:] = kernel[:1]  # matrices of rank two
    found = convolution.of_half_the_rank(image, kernel)
    torch.testing.assert_close(found, convolution.replicated(image, kernel))


def test_the_bound_holds_on_a_grid_of_any_dimensions():
    """A power too many, or an axis that was forgotten."""
    places = np.arange(-30, 31)
    for alpha in (0.1, 0.5, 2):
        axis = np.exp(-alpha * places**2).sum()
        kept = derived.KEPT.numpy(sharpness=alpha, axes=np.arange(1, 4))
        assert (kept <= 1 / axis ** np.arange(1, 4)).all()
        assert kept[1] == pytest.approx(np.tanh(alpha / 2) ** 2)


# --- what followed ------------------------------------------------------------------------------


def test_followers_of_a_word():
    """It was the first occurrence and not the last, or the token itself."""
    tokens = torch.tensor([[3, 5, 3, 4, 3, 3, 5, 3, 9]])
    followers = [-1, -1, 5, -1, 4, 3, 3, 5, -1]
    assert convolution.followers(tokens).tolist() == [followers]


@pytest.mark.parametrize("model", [convolution.two_layers, convolution.one_layer])
def test_no_answer_is_near_a_tie(model):
    """It was right by a hair, which another machine would round the other way."""
    tokens = convolution.texts()
    wanted = convolution.followers(tokens)
    weights = model(tokens).gather(-1, wanted.clamp(0)[..., None])[..., 0]
    assert weights[wanted >= 0].min() > 0.999


# --- charts -------------------------------------------------------------------------------------


def shades(**values):
    """How dark the pixels of the chart are, and which image it is of: (9, 9)."""
    spec = json.loads(json.dumps(charts.head().spec))
    for param in spec["params"]:
        param["value"] = values.get(param["name"], param.get("value"))
    svg = ElementTree.fromstring(vl_convert.vegalite_to_svg({**spec, "width": 480}))
    cells = [node for node in svg.iter() if node.get("fill") == style.BLUE]
    return np.reshape([float(node.get("opacity") or 1) for node in cells], (charts.SIDE,) * 2)


@pytest.mark.parametrize("at", [(0.3, 1, -1), (0.05, 6, -6)])
def test_pixels_are_as_dark_as_a_head_gives_them_weight(at):
    """Rows stood for columns, or an aim outside left the image pale."""
    sharpness, right, down = at
    points = convolution.grid(charts.SIDE, charts.SIDE)
    aim = torch.tensor([[charts.MIDDLE + down, charts.MIDDLE + right]]).double()
    scores = convolution.queries(aim, sharpness) @ convolution.keys(points).mT
    weights = scores.softmax(-1).view(charts.SIDE, charts.SIDE).numpy()
    found = shades(sharpness=sharpness, right=right, downwards=down)
    np.testing.assert_allclose(found, weights / weights.max(), atol=1e-6)
    largest = charts.LARGEST.numpy(sharpness=sharpness, right=right, downwards=down)
    assert largest == pytest.approx(weights.max())
    strip = charts.OF_COLUMN.numpy(
        sharpness=sharpness, right=right, key_column=np.arange(charts.SIDE)
    )
    np.testing.assert_allclose(strip, weights.sum(0))


def test_the_figure_draws_what_the_text_says():
    """The text sends the reader to lines that part where it says."""
    axes = figures.error_over_sharpness().figure.axes[0]
    bound, eight, double, single, brain, larger = (line.get_ydata() for line in axes.lines)
    assert (double[:35] < bound[:35]).all()
    assert double[-1] < 1e-13 < 1e-7 < single[-1] < 1e-5 < 1e-2 < brain[-1] < 0.1
    assert min(eight.min(), larger.min()) > 1
