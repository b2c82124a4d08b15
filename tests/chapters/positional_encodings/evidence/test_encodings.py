"""The evidence on positions: that it holds, and that it goes red where something is broken."""

import inspect

import pytest
import torch
from helpers.chapter_parts import evidence_of

from attention_limits.attention import dense
from attention_limits.chapters.positional_encodings.evidence import encodings
from attention_limits.evidence import Evidence
from attention_limits.positions import alibi, learned, sinusoidal

PIECES = [
    piece
    for name, piece in inspect.getmembers(encodings, inspect.isfunction)
    if inspect.signature(piece).return_annotation is Evidence and not name.startswith("_")
]
encoding, attend = sinusoidal.encoding, dense.attend


def test_all_pieces_are_found():
    """One that a claim names was not among those that are tried below."""
    assert {piece.__name__ for piece in PIECES} >= evidence_of("encodings")


@pytest.mark.parametrize("piece", PIECES, ids=lambda piece: piece.__name__)
def test_it_holds_and_is_no_accident(piece):
    """A second run found another number; or a bound is so wide that nothing would cross it."""
    found = piece()
    assert found.holds, str(found)
    assert found == piece()
    assert found.slack is None or found.slack > 0.1


def warped(p, d, **options):
    """Positions that are not evenly spaced on the dials."""
    return encoding(p + 1e-9 * p**2, d, **options)


def decaying(p, d, **options):
    """Encodings whose inner products fall without end, and are never negative."""
    rates = torch.linspace(0.01, 0.1, d).double()
    return torch.exp(-rates * p[..., None])


def faster(p, d, *, base=10000.0):
    return encoding(p, d, base=base / 100)


@pytest.mark.parametrize(
    ("piece", "broken"),
    [
        (encodings.a_shift_is_a_rotation, warped),
        (encodings.a_shift_is_a_rotation, faster),
        (encodings.inner_products_depend_on_the_distance, warped),
        (encodings.inner_products_depend_on_the_distance, faster),
        (encodings.the_kernel_rises_again, decaying),
        (encodings.the_kernel_first_rises_where_the_formula_does, faster),
        (encodings.the_kernel_first_rises_where_the_formula_does, decaying),
    ],
)
def test_another_sinusoid_fails(piece, broken, monkeypatch):
    monkeypatch.setattr(sinusoidal, "encoding", broken)
    assert not piece().holds


def test_rises_are_counted_and_not_falls():
    """Either count is above 0; the one that the book speaks of is 39."""
    assert encodings.the_kernel_rises_again().value == 39
    assert encodings.the_kernel_first_rises_where_the_formula_does().value == 6


@pytest.mark.parametrize(
    "piece",
    [encodings.without_a_mask_a_sequence_is_a_set, encodings.one_causal_layer_ignores_order],
)
def test_with_positions_order_matters(piece):
    """Evidence on what lacks positions would hold of what has them."""
    assert not piece(encode=sinusoidal.apply).holds


def test_with_a_mask_a_sequence_is_no_set(monkeypatch):
    monkeypatch.setattr(dense, "attend", lambda q, k, v, causal: attend(q, k, v, causal=True))
    assert not encodings.without_a_mask_a_sequence_is_a_set().holds


def test_it_is_the_mask_that_two_layers_see(monkeypatch):
    """Without one, no number of layers tells order, and the change is nothing but rounding."""
    monkeypatch.setattr(dense, "attend", lambda q, k, v, causal: attend(q, k, v))
    assert not encodings.two_causal_layers_see_order().holds
    assert max(encodings.changes_of_the_last_output(2)) < 1e-12


def test_only_what_comes_before_is_shuffled():
    """Had the last token moved as well, one layer would have seen it, and shown nothing."""
    one, two = (encodings.changes_of_the_last_output(depth) for depth in (1, 2))
    assert len(one) == len(two) == len(encodings.SEEDS)
    assert max(one) < 1e-12 < 0.1 < min(two)


@pytest.mark.parametrize("factor", [0, 1.000001, 2])
def test_another_slope_leaves_another_weight(factor, monkeypatch):
    bias = alibi.bias
    monkeypatch.setattr(alibi, "bias", lambda *sizes: factor * bias(*sizes))
    assert not encodings.the_nearest_key_keeps_its_weight().holds


def test_it_is_the_nearest_key_that_is_weighed():
    slopes = alibi.slopes(8, dtype=torch.float64)
    weights = encodings.weight_of_the_nearest(5, slopes)
    expected = torch.softmax(-slopes[:, None] * torch.arange(5), -1)[:, 0]
    torch.testing.assert_close(weights, expected)


def test_a_table_that_computes_is_found_out(monkeypatch):
    """Looking up is free of arithmetic; a product with the table is not."""

    def by_product(x, table, **_):
        return x + torch.eye(len(x), len(table)) @ table

    monkeypatch.setattr(learned, "apply", by_product)
    assert not encodings.a_table_is_looked_up_and_added().holds


def test_an_optimiser_without_moments_is_found_out(monkeypatch):
    monkeypatch.setattr(torch.optim, "AdamW", torch.optim.SGD)
    assert not encodings.a_table_is_kept_threefold().holds
