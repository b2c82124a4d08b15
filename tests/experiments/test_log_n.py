"""Scores that grow with ln n: which part of them, and whether by a number that is learned."""

import math

import pytest
import torch

from attention_limits import models
from attention_limits.experiments import log_n
from attention_limits.experiments.conditions import ENCODINGS, TRAINED
from attention_limits.experiments.log_n import ADD_TO_SCORES, FIRST, PRESETS, VARIANTS, Cell
from attention_limits.runs import records


def test_at_the_trained_length_scores_are_as_ever():
    assert FIRST * math.log(TRAINED[1]) == pytest.approx(1)


def test_only_where_something_is_added_are_products_and_scores_two_things():
    found = list(log_n.cells(PRESETS["full"]))
    for encoding in PRESETS["full"].encodings:
        variants = [cell.variant for cell in found if cell.encoding == encoding]
        adds = ENCODINGS[encoding].position in ADD_TO_SCORES
        assert variants == list(VARIANTS if adds else VARIANTS[:3])


def logits(variant, encoding, tokens):
    model = models.build(
        log_n.architecture(Cell(encoding, variant)), vocabulary=4, classes=4, seeds=(0,)
    )
    return model, model(tokens)


def test_the_control_is_the_encoding_alone():
    """It grew along, and nobody gained."""
    for variant in VARIANTS:
        alone = log_n.architecture(Cell("alibi", variant)) == ENCODINGS["alibi"]
        assert alone == (variant == log_n.WITHOUT)


@pytest.mark.parametrize("encoding", ["alibi", "relative_bias 24", "shaw 48"])
def test_what_is_added_grows_or_stays(encoding):
    """ln n was said to repair a bias that it never multiplied."""
    tokens = torch.randint(4, (1, 2, 40), generator=torch.Generator().manual_seed(0))
    _, products = logits("fixed, products", encoding, tokens)
    if encoding.startswith("relative_bias"):  # which begins at 0
        _, scores = logits("fixed, scores", encoding, tokens)
        torch.testing.assert_close(products, scores)
        return
    _, scores = logits("fixed, scores", encoding, tokens)
    differ = (products - scores).abs().amax((0, 1, 3))
    assert differ[0] < 1e-5  # of a single key, every score is 0
    assert differ[2:].min() > 1e-6


def test_scores_with_their_bias_are_multiplied_as_one():
    """The query that sees n keys: as if all that is added had been made for ln n / ln 32."""
    n = 24
    tokens = torch.randint(4, (1, 2, n), generator=torch.Generator().manual_seed(0))
    model, _ = logits("fixed, scores", "alibi", tokens)
    plain = models.build(ENCODINGS["alibi"], vocabulary=4, classes=4, seeds=(0,))
    layer, attention = model.layers[0], plain.layers[0].attention
    x = layer.norms[0](model.embedding(tokens))
    where = models.transformer.Where(n)
    bias = model.encoding.bias(where)
    q, k, v = (attention._split(part) for part in layer.attention.project(x).chunk(3, dim=-1))
    s = q @ k.mT / math.sqrt(q.shape[-1]) + bias
    s = s * (torch.arange(1, n + 1).log() / math.log(32))[:, None]
    s = s.masked_fill(torch.ones(n, n).triu(1).bool(), -torch.inf)
    expected = layer.attention.merge((s.softmax(-1) @ v).transpose(-2, -3).flatten(-2))
    found = layer.attention(x, model.encoding, where, bias, 0)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


def test_what_is_learned_has_a_gradient_and_begins_where_the_fixed_one_stays():
    tokens = torch.randint(4, (1, 2, 12), generator=torch.Generator().manual_seed(0))
    for what in ("products", "scores"):
        fixed, before = logits(f"fixed, {what}", "alibi", tokens)
        learned, after = logits(f"learned, {what}", "alibi", tokens)
        torch.testing.assert_close(before, after)
        after.square().sum().backward()
        gradient = learned.layers[0].attention.log_n.grad
        assert gradient.shape == (1, 1, 4, 1, 1)
        assert gradient.abs().min() > 0
        assert models.parameters(learned) - models.parameters(fixed) == 2 * 4


@pytest.mark.slow
def test_a_cell_has_a_row_for_each_length_and_seed():
    config = PRESETS["smoke"]
    rows = []
    for cell in log_n.cells(config):
        rows += log_n.run_cell(cell, config, None, lambda *_: None)
    assert {tuple(row) for row in rows} == {log_n.COLUMNS}
    shown = log_n.table(records.new(log_n, config, rows, complete=True))
    assert [row[:2] for row in shown.rows] == [
        ["none", "learned, products"],
        ["alibi", "learned, products"],
        ["alibi", "learned, scores"],
    ]
