"""The evidence on learning from examples: that it holds, of records that say so."""

import pytest
from helpers.chapter_parts import assert_all_found, assert_holds_by_no_accident, pieces_in

from attention_limits.chapters.locality.derivations import learning as derivations
from attention_limits.chapters.locality.evidence import learning as evidence
from attention_limits.experiments import separation
from attention_limits.experiments.separation import CONVOLUTION, FULL, PLAIN, UNSHARED, WIDE
from attention_limits.models.layers import Initializer
from attention_limits.runs import records

PIECES = pieces_in(evidence)


def test_all_pieces_are_found():
    """One that a claim names was not among those that are tried below."""
    assert_all_found(PIECES, "learning")


@pytest.mark.parametrize("piece", PIECES, ids=lambda piece: piece.__name__)
def test_it_holds_and_is_no_accident(piece):
    """A second run found another number; or a bound is so wide that nothing would cross it."""
    assert_holds_by_no_accident(piece)


def test_no_rate_is_at_the_edge_of_what_was_tried():
    """A layer that does worse had a rate that was cut off."""
    run = records.load(separation)
    assert not any(row["at_edge"] for row in run.records)


def test_who_loses_has_learned_its_examples():
    """It was called a lack of examples where a layer had hardly been trained."""
    run = records.load(separation)
    for layer in (UNSHARED, FULL, separation.ABSOLUTE):
        losses = run.values("loss", layer=layer, condition=PLAIN, n=evidence.N, examples=256)
        assert max(losses) < 0.05


def test_the_record_is_of_the_settings_that_are_described():
    assert records.load(separation).config["examples"] == list(separation.PRESETS["full"].examples)


@pytest.mark.parametrize("name", [CONVOLUTION, WIDE, UNSHARED, FULL])
def test_weights_are_as_many_as_a_layer_has(name):
    """A formula that counted other weights than those that are learned."""
    n, taps = 24, separation.TAPS
    layer = separation.Look(Initializer((0,)), separation.PRIORS[name], n)
    each = layer.weight[0, 0].numel()
    sizes = {
        str(symbol): {"n": n, "taps": taps}[str(symbol)]
        for symbol in derivations.WEIGHTS[name].expr.free_symbols
    }
    assert derivations.WEIGHTS[name](**sizes) == each
