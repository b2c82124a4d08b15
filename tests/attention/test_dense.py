"""What is dense attention's own; what it shares with the others is in test_contract.py."""

import numpy as np
import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention

from attention_limits.attention import dense


def draw(*shapes, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(shape, generator=generator, dtype=torch.float64) for shape in shapes]


def test_fewer_queries_are_the_last_ones():
    """PyTorch's is_causal would let the first of two queries see the first key only."""
    assert dense.visible(2, n_k=4, causal=True).tolist() == [
        [True, True, True, False],
        [True, True, True, True],
    ]


def test_more_queries_come_before_all_keys():
    assert dense.visible(3, n_k=1, causal=True).tolist() == [[False], [False], [True]]


@pytest.mark.parametrize("n", [1, 2, 97])
def test_a_causal_row_sees_its_own_key_and_all_before(n):
    """Peers disagree by one: query i, counted from 0, sees i + 1 keys."""
    assert (dense.visible(n, causal=True).sum(axis=1) == np.arange(n) + 1).all()
    assert (dense.visible(n).sum(axis=1) == n).all()


def test_an_example_by_hand():
    """Scores ln 3 and 0 give weights 3/4 and 1/4; alone, the first query copies its value."""
    q, k = np.array([[1.0], [1.0]]), np.array([[np.log(3)], [0.0]])
    v = np.array([[4.0], [8.0]])
    assert dense.define(q, k, v) == pytest.approx(np.array([[5.0], [5.0]]))
    assert dense.define(q, k, v, causal=True) == pytest.approx(np.array([[4.0], [5.0]]))
    assert dense.define(q, k, v, scale=0.0) == pytest.approx(np.array([[6.0], [6.0]]))


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("scale", [None, 0.3])
def test_is_what_pytorch_calls_attention(causal, scale):
    q, k, v = draw(*[(2, 3, 33, 8)] * 3)
    ours = dense.attend(q, k, v, causal=causal, scale=scale)
    theirs = scaled_dot_product_attention(q, k, v, is_causal=causal, scale=scale)
    assert torch.equal(ours, theirs)


def test_definition_survives_scores_that_overflow():
    """exp(1000) is inf, and inf/inf NaN; the softmax itself is a plain 1 and 0."""
    q, k, v = np.array([[1000.0]]), np.array([[1.0], [-1.0]]), np.array([[2.0], [3.0]])
    assert dense.define(q, k, v) == pytest.approx(np.array([[2.0]]))


@pytest.mark.parametrize("causal", [False, True])
def test_grouped_heads_equal_repeated_heads(causal):
    """Three query heads to a key head: its gradient is the sum over the three."""
    q, k, v = draw((4, 3, 17, 8), (4, 1, 17, 8), (4, 1, 17, 8))
    grouped = [k.clone().requires_grad_(), v.clone().requires_grad_()]
    repeated = [x.repeat_interleave(3, dim=1).requires_grad_() for x in (k, v)]
    out = dense.attend(q, *grouped, causal=causal)
    expected = dense.attend(q, *repeated, causal=causal)
    torch.testing.assert_close(out, expected)
    for few, many in zip(
        torch.autograd.grad(out.sin().sum(), grouped),
        torch.autograd.grad(expected.sin().sum(), repeated),
        strict=True,
    ):
        torch.testing.assert_close(few, many.sum(dim=1, keepdim=True))


def test_grouped_heads_hold_no_copy_of_their_keys():
    """One head of values for 64 queries: copies would take 64 times the saved memory."""
    saved = {}

    def note(x):
        saved[x.untyped_storage().data_ptr()] = x.untyped_storage().nbytes()
        return x

    q, k, v = (x.requires_grad_() for x in draw((2, 64, 1, 8), (2, 1, 100, 8), (2, 1, 100, 8)))
    with torch.autograd.graph.saved_tensors_hooks(note, lambda x: x):
        dense.attend(q, k, v)
    assert sum(saved.values()) <= k.nbytes + v.nbytes + 3 * q.nbytes


@pytest.mark.parametrize(("n_q", "n_k"), [(6, 6), (3, 6), (6, 3)])
def test_mask_and_causal_are_joined_with_and(n_q, n_k):
    """Libraries join them with OR, or drop one."""
    q, k, v = draw((n_q, 8), (n_k, 8), (n_k, 8))
    mask = torch.rand(n_q, n_k, generator=torch.Generator().manual_seed(0)) < 0.5
    both = mask & torch.from_numpy(dense.visible(n_q, n_k=n_k, causal=True))
    assert not torch.equal(both, mask)
    expected = dense.attend(q, k, v, mask=both)
    torch.testing.assert_close(dense.attend(q, k, v, mask=mask, causal=True), expected)


def test_a_mask_of_one_axis_is_a_padding_of_keys():
    q, k, v = draw((2, 5, 8), (2, 7, 8), (2, 7, 8))
    mask = torch.arange(7) < 4
    expected = dense.attend(q, k[:, :4], v[:, :4])
    torch.testing.assert_close(dense.attend(q, k, v, mask=mask), expected)


def test_nan_that_some_row_sees_reaches_those_that_do_not():
    """The documented limit, 0 · NaN = NaN; the definition sums over what is seen and no more."""
    q, k, v = draw(*[(4, 8)] * 3)
    v[-1] = torch.nan
    assert dense.attend(q, k, v, causal=True).isnan().all()
    expected = np.array([False, False, False, True])
    defined = dense.define(q.numpy(), k.numpy(), v.numpy(), causal=True)
    assert (np.isnan(defined).all(axis=-1) == expected).all()
    assert (np.isnan(defined).any(axis=-1) == expected).all()


def test_blind_queries_do_not_hang_on_the_kernel(monkeypatch):
    """PyTorch's kernels, by version and device, give NaN, 0 or a mean where a row is all masked."""

    def plain(q, k, v, attn_mask, scale):
        scores = (q @ k.mT).masked_fill(~attn_mask, -torch.inf)
        return scores.softmax(dim=-1) @ v

    monkeypatch.setattr(dense, "scaled_dot_product_attention", plain)
    inputs = [x.requires_grad_() for x in draw(*[(4, 8)] * 3)]
    mask = torch.tensor([False, True, True, False])[:, None]
    out = dense.attend(*inputs, mask=mask)
    assert not out[[0, 3]].any()
    assert out[1:3].all()
    for gradient in torch.autograd.grad(out.sum(), inputs):
        assert gradient.isfinite().all()


def test_the_rows_of_weights_sum_to_one():
    """With values all 1, attention gives 1 wherever a query sees a key."""
    q, k, _ = draw((2, 9, 8), (2, 5, 8), (1,))
    out = dense.attend(q, k, torch.ones(5, 3, dtype=q.dtype), causal=True)
    torch.testing.assert_close(out[:, 4:], torch.ones(2, 5, 3, dtype=q.dtype))
    assert not out[:, :4].any()
