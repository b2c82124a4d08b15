"""The evidence on positions: that it holds, and that it goes red where something is broken."""

import inspect

import pytest
import torch
from helpers.chapter_parts import evidence_of

from attention_limits.attention import dense
from attention_limits.chapters.positional_encodings.evidence import positions
from attention_limits.evidence import Evidence
from attention_limits.positions import alibi, learned, rotary, sinusoidal

PIECES = [
    piece
    for name, piece in inspect.getmembers(positions, inspect.isfunction)
    if inspect.signature(piece).return_annotation is Evidence and not name.startswith("_")
]
encoding, angles, attend = sinusoidal.encoding, sinusoidal.angles, dense.attend


def test_all_pieces_are_found():
    """One that a claim names was not among those that are tried below."""
    assert {piece.__name__ for piece in PIECES} >= evidence_of("positions")


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


def in_a_hundred(p, d, **options):
    """A clock hand that is back after a whole number of tokens."""
    turns = angles(p, torch.tensor([2 * torch.pi / 100], dtype=torch.float64))
    return torch.cat([turns.sin(), turns.cos()], -1)


def faster(p, d, *, base=10000.0):
    return encoding(p, d, base=base / 100)


@pytest.mark.parametrize(
    ("piece", "broken"),
    [
        (positions.a_shift_is_a_rotation, warped),
        (positions.a_shift_is_a_rotation, faster),
        (positions.inner_products_depend_on_the_distance, warped),
        (positions.inner_products_depend_on_the_distance, faster),
        (positions.the_kernel_rises_again, decaying),
        (positions.the_kernel_first_rises_where_the_formula_does, faster),
        (positions.the_kernel_first_rises_where_the_formula_does, decaying),
        (positions.one_frequency_comes_near_but_not_back, in_a_hundred),
    ],
)
def test_another_sinusoid_fails(piece, broken, monkeypatch):
    monkeypatch.setattr(sinusoidal, "encoding", broken)
    assert not piece().holds


def test_rises_are_counted_and_not_falls():
    """Either count is above 0; the one that the book speaks of is 39."""
    assert positions.the_kernel_rises_again().value == 39
    assert positions.the_kernel_first_rises_where_the_formula_does().value == 6


@pytest.mark.parametrize(
    "piece",
    [positions.without_a_mask_a_sequence_is_a_set, positions.one_causal_layer_ignores_order],
)
def test_with_positions_order_matters(piece):
    """Evidence on what lacks positions would hold of what has them."""
    assert not piece(encode=sinusoidal.apply).holds


def test_with_a_mask_a_sequence_is_no_set(monkeypatch):
    monkeypatch.setattr(dense, "attend", lambda q, k, v, causal: attend(q, k, v, causal=True))
    assert not positions.without_a_mask_a_sequence_is_a_set().holds


def test_it_is_the_mask_that_two_layers_see(monkeypatch):
    """Without one, no number of layers tells order, and the change is nothing but rounding."""
    monkeypatch.setattr(dense, "attend", lambda q, k, v, causal: attend(q, k, v))
    assert not positions.two_causal_layers_see_order().holds
    assert max(positions.changes_of_the_last_output(2)) < 1e-12


def test_only_what_comes_before_is_shuffled():
    """Had the last token moved as well, one layer would have seen it, and shown nothing."""
    one, two = (positions.changes_of_the_last_output(depth) for depth in (1, 2))
    assert len(one) == len(two) == len(positions.SEEDS)
    assert max(one) < 1e-12 < 0.1 < min(two)


@pytest.mark.parametrize("turn", [positions.coarse, sinusoidal.apply, lambda x, start=0: x + start])
def test_another_rotation_is_not_relative(turn, monkeypatch):
    monkeypatch.setattr(rotary, "apply", turn)
    assert not positions.rotary_scores_depend_on_the_distance().holds


def test_exact_angles_keep_relativity(monkeypatch):
    monkeypatch.setattr(positions, "coarse", rotary.apply)
    assert not positions.angles_in_bfloat16_break_relativity().holds


def test_coarse_angles_do_not_tell_neighbours_apart():
    """At 1024, bfloat16 counts in steps of 8."""
    turned = positions.coarse(torch.ones(16, 8, dtype=torch.float64), start=1024)
    assert len(turned.unique(dim=0)) == 3


def test_coarse_angles_are_wrong_in_their_rounding_alone():
    """A rotation in the wrong direction would break relativity as well; so would rounded sines."""
    x = positions.draw(0, 9, 8)
    few_bits = positions.coarse(x) - rotary.apply(x)
    assert 1e-4 < few_bits.abs().max() < 0.1
    errors = [positions.score_errors(positions.coarse, p) for p in (64, 256, 1024)]
    assert max(errors[0]) < min(errors[1]) < max(errors[1]) < min(errors[2])


@pytest.mark.parametrize("factor", [0, 1.000001, 2])
def test_another_slope_leaves_another_weight(factor, monkeypatch):
    bias = alibi.bias
    monkeypatch.setattr(alibi, "bias", lambda *sizes: factor * bias(*sizes))
    assert not positions.the_nearest_key_keeps_its_weight().holds


def test_it_is_the_nearest_key_that_is_weighed():
    slopes = alibi.slopes(8, dtype=torch.float64)
    weights = positions.weight_of_the_nearest(5, slopes)
    expected = torch.softmax(-slopes[:, None] * torch.arange(5), -1)[:, 0]
    torch.testing.assert_close(weights, expected)


def test_a_table_that_wraps_has_no_end(monkeypatch):
    original = learned.apply
    monkeypatch.setattr(
        learned, "apply", lambda x, table, start: original(x, table, start=start % len(table))
    )
    assert not positions.a_table_ends().holds


def test_a_table_has_its_own_rows():
    """Evidence that nothing is encoded at all would hold as well."""
    x, table = torch.zeros(1, 2), torch.zeros(4, 2)
    assert [positions._is_encoded(x, table, p) for p in range(6)] == [True] * 4 + [False] * 2


def test_a_table_that_computes_is_found_out(monkeypatch):
    """Looking up is free of arithmetic; a product with the table is not."""

    def by_product(x, table, **_):
        return x + torch.eye(len(x), len(table)) @ table

    monkeypatch.setattr(learned, "apply", by_product)
    assert not positions.a_table_is_looked_up_and_added().holds


def test_an_optimiser_without_moments_is_found_out(monkeypatch):
    monkeypatch.setattr(torch.optim, "AdamW", torch.optim.SGD)
    assert not positions.a_table_is_kept_threefold().holds
