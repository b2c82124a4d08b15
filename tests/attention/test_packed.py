"""Packed sequences, beside the mechanisms' contract: positions, and what changes a softmax."""

import pytest
import torch
from helpers.tensors import assert_close, draw_qkv, normal

from attention_limits.attention import dense, packed
from attention_limits.positions import rotary


def test_positions_begin_anew_with_each_sequence():
    segments = torch.tensor([[0, 0, 0, 1, 1], [-1, -1, 5, 5, 0]])
    assert packed.positions(segments).tolist() == [[0, 1, 2, 0, 1], [0, 1, 0, 1, 0]]
    assert packed.positions(torch.zeros(0, dtype=torch.long)).shape == (0,)
    assert packed.positions([2, 0, 3]).tolist() == [0, 1, 0, 1, 2]


@pytest.mark.parametrize("bad", [torch.ones(3), torch.ones(3, dtype=torch.bool), [1, -2], "abc"])
def test_positions_of_no_integers_are_refused(bad):
    with pytest.raises(ValueError, match=r"^segments must .*, got "):
        packed.positions(bad)


def test_a_packed_sequence_is_encoded_as_it_is_alone():
    segments = torch.tensor([0] * 4 + [1] * 6)
    x = normal(10, 8)
    encoded = rotary.apply(x, positions=packed.positions(segments))
    assert_close(encoded, torch.cat([rotary.apply(x[:4]), rotary.apply(x[4:])]))


@pytest.mark.parametrize("number", [torch.tensor(0.5), torch.tensor([0.5])], ids=["none", "one"])
def test_a_bias_and_a_mask_of_no_axes_are_for_all_pairs(number):
    """The last of no axes was asked for its size."""
    inputs = draw_qkv((2, 9, 4), (2, 9, 4))
    options = {"bias": number.double(), "mask": number > 0, "segments": [4, 5]}
    assert_close(dense.attend(*inputs, **options), dense.attend(*inputs, segments=[4, 5]))


@pytest.mark.parametrize("causal", [False, True], ids=["both ways", "causal"])
def test_what_changes_a_softmax_is_cut_along_the_sequences(causal):
    """One number a query, a bias for each pair, and how many keys a query sees: of its own."""
    inputs = draw_qkv((2, 3, 9, 4), (2, 3, 9, 4))
    options = {
        "causal": causal,
        "scale": torch.linspace(0.2, 2, 9).double()[:, None],
        "log_n": torch.tensor([0.3, 0.5, 0.7]).double().reshape(3, 1, 1),
        "sink": torch.linspace(-1, 1, 27).double().reshape(3, 9, 1),
        "bias": normal(3, 9, 9),
        "qk_norm": True,
    }
    segments = torch.tensor([[0] * 4 + [1] * 5, [-1] * 2 + [0] * 7])[:, None]
    mask = (segments[..., None] == segments[..., None, :]) & (segments >= 0)[..., None]
    expected = dense.attend(*inputs, mask=mask, **options)
    assert_close(dense.attend(*inputs, segments=segments, **options), expected)
