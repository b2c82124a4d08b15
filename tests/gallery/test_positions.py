"""The pictures of the encodings: that they show what the encodings do."""

import inspect
import math

import numpy as np
import pytest
import torch
from helpers.tables import assert_rows_for

from attention_limits.gallery import positions as figures
from attention_limits.positions import POSITIONS, alibi, relative_bias, rotary, sinusoidal

HALF = figures.N // 2


def scores(name, x_q, x_k):
    q, k, bias = figures.meet(name, x_q, x_k)
    return q @ k.mT / figures.D**0.5 + (0 if bias is None else bias)


def depending_on(*what):
    return [name for name, example in figures.EXAMPLES.items() if example.depends_on in what]


def random_sequences():
    return (figures.normal(figures.N, figures.D, seed=seed) for seed in (5, 6))


def test_every_encoding_has_its_example_and_nothing_else_has():
    """An encoding joined and its page cannot be made, or one is gone and left its words behind."""
    table = "EXAMPLES in attention_limits/gallery/positions.py"
    assert_rows_for(POSITIONS, {table: figures.EXAMPLES})


@pytest.mark.parametrize("name", POSITIONS)
def test_a_score_depends_on_what_the_table_says(name):
    """The table calls an encoding relative, and the same sequence further on has other scores."""
    x_q, x_k = (x[:HALF].repeat(2, 1) for x in random_sequences())
    s = scores(name, x_q, x_k)
    moved = (s[:HALF, :HALF] - s[HALF:, HALF:]).tril().abs().max()
    if name in depending_on("nothing", "distance"):
        assert moved < 1e-12
    else:
        assert moved > 0.1


@pytest.mark.parametrize("name", POSITIONS)
def test_where_order_matters_equal_keys_differ(name):
    """An encoding that does nothing is said to tell places apart, or the other way round."""
    ones = torch.ones(figures.N, figures.D, dtype=torch.float64)
    s = scores(name, ones, ones)[-1]
    assert (s.max() - s.min() > 0.1) == (name not in depending_on("nothing"))


@pytest.mark.parametrize("name", depending_on("earlier tokens"))
def test_only_what_came_before_moves_a_score(name):
    """It is said to read earlier tokens, and reads ahead, or not at all."""
    x_q, x_k = random_sequences()
    before = scores(name, x_q, x_k)[:HALF, :HALF]
    later, earlier = x_k.clone(), x_k.clone()
    later[HALF] += 1
    earlier[0] += 1
    assert (scores(name, x_q, later)[:HALF, :HALF] == before).all()
    changed = scores(name, x_q, earlier)[1:HALF, 1:HALF] - before[1:, 1:]
    assert changed.abs().max() > 0.01


@pytest.mark.parametrize("name", POSITIONS)
def test_weights_are_those_of_the_last_query_nearest_first(name):
    """The plot runs from the far end, or shows another row."""
    x_q, x_k = random_sequences()
    expected = scores(name, x_q, x_k)[-1].softmax(-1).flip(-1)
    np.testing.assert_allclose(figures.weights(name, x_q, x_k), expected.numpy(), atol=1e-12)


def test_weights_of_equal_contents_are_what_theory_says():
    """A line that is called exact has another shape: a slope off by a factor, a wrong cosine."""
    delta, i = np.arange(figures.N), np.arange(figures.D // 2)
    no = figures.of_equal_contents("none")
    np.testing.assert_allclose(no, 1 / figures.N, rtol=1e-12)
    falls = np.diff(np.log(figures.of_equal_contents("alibi")))
    np.testing.assert_allclose(falls, -1 / 16, rtol=1e-9)
    cosines = np.cos(10000.0 ** (-2 * i / figures.D) * delta[:, None]).sum(-1) * 2 / figures.D**0.5
    turned = np.log(figures.of_equal_contents("rotary"))
    np.testing.assert_allclose(turned - turned[0], cosines - cosines[0], atol=1e-9)


def test_what_is_added_meets_itself():
    """An encoding was added to keys alone, or twice: the sum of cosines is missing."""
    nothing = torch.zeros(figures.N, figures.D, dtype=torch.float64)
    PE = sinusoidal.encoding(torch.arange(figures.N), figures.D)
    s = scores("sinusoidal", nothing, nothing)
    assert torch.allclose(s, PE @ PE.mT / figures.D**0.5)


def test_maps_show_what_the_modules_make():
    """The map is of something else: transposed, of another slope, of pairs that lie elsewhere."""
    p = torch.arange(figures.N)
    PE = sinusoidal.encoding(p, figures.D)
    assert torch.allclose(figures.effect("sinusoidal"), PE.mT)
    cos_then_sin = PE.unflatten(-1, (-1, 2)).flip(-1).flatten(-2)
    assert torch.allclose(figures.effect("rotary"), cos_then_sin.mT)
    distances = (p[:, None] - p).clamp(min=0)
    assert figures.effect("alibi").equal(-distances.double() / 16)
    assert not figures.effect("none").any()


def test_stripes_are_as_wide_as_buckets():
    """The picture of the relative bias has other buckets than those that its caption tells."""
    row = figures.effect("relative_bias")[-1].flip(-1)
    distance = torch.arange(figures.N)
    buckets = relative_bias.bucket(distance, causal=True, buckets=16, max_distance=figures.N)
    assert (row.diff() != 0).equal(buckets.diff() != 0)
    assert "16 buckets" in figures.EXAMPLES["relative_bias"].drawn


@pytest.mark.parametrize("name", POSITIONS)
def test_nothing_is_drawn_of_pairs_that_are_hidden(name):
    """The weights are causal, and the map shows a bias that no weight has felt."""
    if figures.module_of(name).PLACE == "scores":
        assert not figures.effect(name).triu(1).any()


def test_captions_tell_the_shares_of_the_nearest():
    """The numbers are those of another line, or of other keys."""
    said = figures.picture("alibi").caption
    m = 1 / 16
    share = (1 - math.exp(-8 * m)) / (1 - math.exp(-64 * m))
    mean = figures.of_random_contents("alibi").mean(0)[:8].sum()
    assert f"The nearest 8 keys get {mean:.0%} and {share:.0%};" in said


def test_what_is_negative_has_a_colour_of_its_own():
    """A caption explains a colour that is not there, or leaves one unexplained."""
    assert "vermillion where negative" in figures.picture("alibi").caption
    assert "vermillion" not in figures.picture("none").caption


def test_the_slope_is_that_of_the_caption():
    assert figures._slope().item() == alibi.slopes(8)[3].item() == 1 / 16


@pytest.mark.parametrize("name", POSITIONS)
def test_the_options_of_an_example_are_options(name):
    """A name was misspelt and dropped without a word; or an option that must be given is not."""
    takes = inspect.signature(figures.module_of(name).cost).parameters
    quoted = figures.EXAMPLES[name].quoted
    assert quoted.keys() <= takes.keys()
    needed = {option for option, p in takes.items() if p.default is p.empty}
    assert needed <= quoted.keys()


def test_the_look_of_rotary_is_the_default():
    """What the picture calls the rotary encoding has another layout than ``rotary.apply``."""
    assert figures.EXAMPLES["rotary"].encode is rotary.apply
