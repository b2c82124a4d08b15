"""What is dense attention's own; what it shares with the others is in test_contract.py."""

import numpy as np
import pytest
import torch
from helpers.tensors import draw
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import pad, rms_norm, scaled_dot_product_attention
from torch.utils.flop_counter import FlopCounterMode

from attention_limits.attention import dense
from attention_limits.meters import PeakMemory


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


def test_blind_queries_do_not_depend_on_the_kernel(monkeypatch):
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


def test_without_a_width_all_keys_weigh_the_same():
    q, k, v = draw((3, 0), (2, 0), (2, 5))
    torch.testing.assert_close(dense.attend(q, k, v), v.mean(0, keepdim=True).expand(3, 5))


def test_a_step_copies_no_cache():
    """One query, the last, sees all keys: masking them would write both out anew."""
    q, k, v = draw((2, 1, 8), (2, 999, 8), (2, 999, 8))
    with PeakMemory() as memory:
        dense.attend(q, k, v, causal=True)
    assert memory.peak < k.nbytes / 10


def test_padding_costs_no_square():
    """A mask that is the same for all queries is not written out for each of them."""
    q, k, v = draw((2, 1, 1024, 16), (2, 1, 1024, 16), (2, 1, 1024, 16))
    mask = torch.arange(1024) < torch.tensor([700, 1000]).view(2, 1, 1, 1)
    with PeakMemory() as memory:
        dense.attend(q, k, v, mask=mask)
    assert memory.peak < 2 * 1024**2  # a byte for each pair of both sequences


@pytest.mark.parametrize("shape", [(7,), (1, 7), (5, 1), (1, 1), (3, 1, 7), (3, 5, 1)])
def test_a_mask_may_have_any_shape_that_broadcasts(shape):
    q, k, v = draw((3, 5, 8), (3, 7, 8), (3, 7, 8))
    mask = torch.rand(shape, generator=torch.Generator().manual_seed(1)) > 0.4
    options = {"log_n": 0.3, "sink": 0.1}
    out = dense.attend(q, k, v, mask=mask, **options)
    whole = mask.expand(3, 5, 7).contiguous()
    torch.testing.assert_close(out, dense.attend(q, k, v, mask=whole, **options))


def test_the_rows_of_weights_sum_to_one():
    """With values all 1, attention gives 1 wherever a query sees a key."""
    q, k, _ = draw((2, 9, 8), (2, 5, 8), (1,))
    out = dense.attend(q, k, torch.ones(5, 3, dtype=q.dtype), causal=True)
    torch.testing.assert_close(out[:, 4:], torch.ones(2, 5, 3, dtype=q.dtype))
    assert not out[:, :4].any()


# scale, log_n, qk_norm, sink and bias


def written_out(q, k, v, sees, *, scale=None, log_n=None, qk_norm=False, sink=None, bias=0):
    """All scores, one masked softmax over them and the sink's, and a product; no row is blind."""
    if qk_norm:
        q, k = q / q.norm(dim=-1, keepdim=True), k / k.norm(dim=-1, keepdim=True)
    root = q.shape[-1] ** 0.5
    scores = q @ k.mT * (scale if scale is not None else root if qk_norm else 1 / root)
    if log_n is not None:
        scores = (log_n * sees.sum(-1, keepdim=True).double().log()).to(scores.dtype) * scores
    scores = (scores + bias).masked_fill(~sees, -torch.inf)
    if sink is not None:
        sink = torch.as_tensor(sink, dtype=scores.dtype).expand(*scores.shape[:-1], 1)
        scores = torch.cat([scores, sink], dim=-1)
    return scores.softmax(-1)[..., : k.shape[-2]] @ v


def learned(*names, heads=3, seed=1):
    """Each of the numbers as a tensor, one a head, around 1."""
    draws = draw(*[(heads, 1, 1)] * len(names), seed=seed)
    return {name: 1 + 0.3 * x for name, x in zip(names, draws, strict=True)}


OPTIONS = {
    "scale a head": learned("scale"),
    "log_n": {"log_n": 0.4},
    "log_n a head": learned("log_n"),
    "qk_norm": {"qk_norm": True},
    "qk_norm with a scale": {"qk_norm": True, "scale": 3.0},
    "sink": {"sink": 0.5},
    "sink a head": learned("sink"),
    "sink and scale": {"sink": -1, "scale": 2.0},
    "sink and scale 0": {"sink": -1.0, "scale": 0.0},
    "all": {"qk_norm": True, **learned("scale", "log_n", "sink")},
}
SIZES = [(7, 7), (4, 7), (1, 7), (1, 1)]


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize("masked", [False, True], ids=["", "masked"])
@pytest.mark.parametrize("causal", [False, True], ids=["", "causal"])
@pytest.mark.parametrize(("n_q", "n_k"), SIZES)
def test_options_are_those_of_the_softmax_written_out(n_q, n_k, causal, masked, options):
    """Outputs, and the gradients of all that can be learned."""
    sees = torch.from_numpy(dense.visible(n_q, n_k=n_k, causal=causal))
    mask = None
    if masked:
        mask = torch.rand(n_q, n_k, generator=torch.Generator().manual_seed(0)) < 0.5
        mask[:, 0] = True
        sees = sees & mask
    inputs = [x.requires_grad_() for x in draw((3, n_q, 8), (3, n_k, 8), (3, n_k, 5))]
    options = {
        name: x.clone().requires_grad_() if isinstance(x, torch.Tensor) else x
        for name, x in options.items()
    }
    inputs += [x for x in options.values() if isinstance(x, torch.Tensor)]
    out = dense.attend(*inputs[:3], causal=causal, mask=mask, **options)
    expected = written_out(*inputs[:3], sees, **options)
    torch.testing.assert_close(out, expected)
    upstream = torch.linspace(-1, 1, out.numel(), dtype=out.dtype).view_as(out)
    grads, wanted = (
        torch.autograd.grad(x, inputs, upstream, allow_unused=True, materialize_grads=True)
        for x in (out, expected)
    )
    torch.testing.assert_close(grads, wanted)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("n_q", [257, 40])
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_error_is_at_most_twice_that_of_the_softmax_written_out(options, n_q, dtype):
    """In the same precision; scores are larger under log_n and so are their errors, in both."""
    q, k, v = (x.to(dtype) for x in draw((3, n_q, 60), (3, 257, 60), (3, 257, 60)))
    sees = torch.from_numpy(dense.visible(n_q, n_k=257, causal=True))
    exact = written_out(q.double(), k.double(), v.double(), sees, **options)
    single = {
        name: x.to(dtype) if isinstance(x, torch.Tensor) else x for name, x in options.items()
    }
    yardstick = (written_out(q, k, v, sees, **single).double() - exact).abs()
    out = dense.attend(q, k, v, causal=True, **options)
    assert out.dtype == dtype
    error = (out.double() - exact).abs()
    floor = torch.finfo(dtype).eps / 8
    assert error.max() <= 2 * yardstick.max() + floor
    assert error.square().mean() ** 0.5 <= 2 * yardstick.square().mean() ** 0.5 + floor


@st.composite
def problems(draw_one):
    """Leading axes and numbers that broadcast, any lengths, any widths, a mask or none."""
    size = st.integers(1, 9)
    lead = draw_one(st.lists(st.integers(1, 3), max_size=2))

    def part_of(axes):
        kept = [draw_one(st.sampled_from([1, axis])) for axis in axes]
        return kept[draw_one(st.integers(0, len(kept))) :]

    n_q, n_k, d, d_v = (draw_one(size) for _ in range(4))
    shapes = (*part_of(lead), n_q, d), (*part_of(lead), n_k, d), (*part_of(lead), n_k, d_v)
    inputs = draw(*shapes)
    joined = torch.broadcast_shapes(*(x.shape[:-2] for x in inputs))
    options = {"causal": draw_one(st.booleans()), "qk_norm": draw_one(st.booleans())}
    for seed, name in enumerate(["scale", "log_n", "sink"]):
        [tensor] = draw(part_of([*joined, n_q, 1]), seed=seed)
        options[name] = draw_one(st.sampled_from([None, 0.7, tensor]))
    [bias] = draw(part_of([*joined, n_q, n_k]), seed=4)
    options["bias"] = draw_one(st.sampled_from([None, bias]))
    if draw_one(st.booleans()):
        mask = torch.rand(part_of([*joined, n_q, n_k]), generator=torch.Generator().manual_seed(0))
        options["mask"] = mask < draw_one(st.sampled_from([0.1, 0.7]))
    return inputs, options


@given(problem=problems())
def test_options_equal_their_definition_whatever_the_shapes(problem):
    inputs, options = problem
    arrays = [x.numpy() for x in inputs]
    as_arrays = {
        name: x.numpy() if isinstance(x, torch.Tensor) else x for name, x in options.items()
    }
    expected = torch.from_numpy(dense.define(*arrays, **as_arrays))
    out = dense.attend(*inputs, **options)
    torch.testing.assert_close(out, expected, atol=1e-12, rtol=1e-12)


def test_options_by_hand():
    """Cosines 1 and 0; weights 4, 1 and the sink's 3; scores that double as keys go from 2 to 4."""
    q, k = np.array([[2.0, 0.0]]), np.array([[5.0, 0.0], [0.0, 9.0]])
    v = np.array([[8.0], [16.0]])
    out = dense.define(q, k, v, qk_norm=True, scale=np.log(4), sink=np.log(3))
    assert out == pytest.approx(np.array([[(4 * 8 + 1 * 16) / 8]]))
    out = dense.define(q, k, v, qk_norm=True, scale=1.0, log_n=2.0)  # 2 ln 2 = ln 4
    assert out == pytest.approx(np.array([[(4 * 8 + 1 * 16) / 5]]))
    twice = [np.concatenate([x, x]) for x in (k, v)]
    out = dense.define(q, *twice, qk_norm=True, scale=1.0, log_n=2.0)  # 2 ln 4 = ln 16
    assert out == pytest.approx(np.array([[(16 * 8 + 1 * 16) / 17]]))


def test_gradients_of_learned_numbers_are_those_of_the_output():
    """Per head and per query; the first of three queries comes before both keys."""
    q, k, v = draw((2, 3, 3), (2, 2, 3), (2, 2, 2))
    numbers = draw((2, 1, 1), (2, 1, 1), (3, 1), seed=1)

    def attend(q, k, v, scale, log_n, sink):
        options = {"scale": scale, "log_n": log_n, "sink": sink}
        return dense.attend(q, k, v, causal=True, qk_norm=True, **options)

    assert torch.autograd.gradcheck(attend, [x.requires_grad_() for x in (q, k, v, *numbers)])


@pytest.mark.parametrize("options", [{}, *OPTIONS.values()], ids=["alone", *OPTIONS])
@pytest.mark.parametrize("shape", [(3, 5, 7), (5, 7), (3, 1, 7), (1, 7), (5, 1)], ids=str)
@pytest.mark.parametrize("causal", [False, True], ids=["", "causal"])
def test_a_bias_is_added_to_the_scores_after_all_else(causal, shape, options):
    """Scaled with them, or multiplied by log n, or lost beside a mask; outputs and gradients."""
    sees = torch.from_numpy(dense.visible(5, n_k=7, causal=causal))
    [bias] = draw(shape, seed=3)
    inputs = [x.requires_grad_() for x in [*draw((3, 5, 8), (3, 7, 8), (3, 7, 4)), bias]]
    out = dense.attend(*inputs[:3], causal=causal, bias=bias, **options)
    expected = written_out(*inputs[:3], sees, bias=bias, **options)
    torch.testing.assert_close(out, expected)
    upstream = torch.linspace(-1, 1, out.numel(), dtype=out.dtype).view_as(out)
    grads, wanted = (torch.autograd.grad(x, inputs, upstream) for x in (out, expected))
    torch.testing.assert_close(grads, wanted)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("causal", [False, True], ids=["", "causal"])
@pytest.mark.parametrize("sink", [None, 0.5])
def test_a_bias_far_from_zero_keeps_its_digits(dtype, causal, sink):
    """Rounded as it came, −500.5, −500 and −499.5 are one number, and its softmax is flat."""
    q, k, v = (x.to(dtype) for x in draw(*[(2, 9, 8)] * 3))
    bias = (draw((2, 9, 9), seed=1)[0] * 64).round() / 64  # of few digits: the shift is exact
    far = -torch.arange(1, 10, dtype=bias.dtype)[:, None] * 500
    shifted = {"bias": bias + far, "sink": None if sink is None else sink + far}
    options = {"causal": causal, "bias": bias, "sink": sink}
    out = dense.attend(q, k, v, **options)
    assert out.dtype == dtype
    assert torch.equal(dense.attend(q, k, v, **{**options, **shifted}), out)
    exact = dense.attend(q.double(), k.double(), v.double(), **options)
    assert (out - exact).abs().max() < 8 * torch.finfo(dtype).eps


def test_the_gradient_of_a_bias_is_that_of_the_softmax_though_it_is_shifted():
    """Through the shift it would be taken off twice."""
    q, k, v = draw(*[(2, 9, 8)] * 3)
    [bias] = draw((2, 9, 9), seed=1)
    upstream = torch.linspace(-1, 1, q.numel()).view_as(q)
    grads = []
    for dtype in (torch.float32, torch.float64):
        far = (bias - 300).requires_grad_()
        out = dense.attend(*(x.to(dtype) for x in (q, k, v)), causal=True, bias=far, sink=-300.0)
        grads += torch.autograd.grad(out, far, upstream.to(dtype))
    torch.testing.assert_close(*grads, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("sink", [None, 0.3])
def test_a_query_that_sees_nothing_sends_nothing_to_its_bias(sink):
    """What is hidden may hold anything; the sum of −∞ and a bias is no reason for a NaN."""
    q, k, v = draw((2, 4, 8), (2, 2, 8), (2, 2, 8))  # causal: two queries come before both keys
    [bias] = draw((4, 2), seed=1)
    out = dense.attend(q, k, v, causal=True, bias=bias.requires_grad_(), sink=sink)
    [gradient] = torch.autograd.grad(out.sin().sum(), bias)
    assert not out[:, :2].any()
    assert not gradient[:2].any()
    assert gradient[2, 1] == 0  # the third query sees the first key alone
    assert gradient[3].all()


def test_a_stream_takes_its_bias_step_by_step():
    q, k, v = draw(*[(2, 9, 8)] * 3)
    [bias] = draw((9, 9), seed=1)
    whole = dense.attend(q, k, v, causal=True, bias=bias)
    state, outs = None, []
    for first, last in [(0, 1), (1, 5), (5, 9)]:
        new = (x[:, first:last] for x in (q, k, v))
        out, state = dense.step(state, *new, bias=bias[first:last, :last])
        outs.append(out)
    torch.testing.assert_close(torch.cat(outs, 1), whole)


@pytest.mark.parametrize(
    ("bias", "words"),
    [
        (0.5, "bias must be a dense tensor of .*float64, got <class 'float'>"),
        (torch.ones(5, 7, dtype=torch.bool), "bias must be a dense tensor of .*, got torch.bool"),
        (torch.ones(7, 5), r"bias must broadcast to one number a score, \(3, 5, 7\), got \(7, 5\)"),
        (torch.ones(2, 3, 5, 7), "bias must broadcast to one number a score"),
        (torch.ones(5, 7, device="meta"), "bias must be on the device of q, cpu, got meta"),
    ],
)
def test_a_bias_that_does_not_fit_is_refused(bias, words):
    with pytest.raises(ValueError, match=words):
        dense.attend(*draw((3, 5, 8), (3, 7, 8), (3, 7, 8)), bias=bias)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
def test_a_sink_far_down_is_none_and_one_far_up_takes_all(causal, dtype):
    """−∞ · 0 is NaN, and so are numbers that are −∞ in half precision."""
    q, k, v = (x.to(dtype) for x in draw(*[(2, 9, 8)] * 3))
    plain = dense.attend(q, k, v, causal=causal)
    close = {"atol": 2 * torch.finfo(dtype).eps, "rtol": 2 * torch.finfo(dtype).eps}
    for far in (1e3, 1e6, 1e300, torch.inf):
        for sink in (-far, torch.tensor(-far, dtype=torch.float64)):
            torch.testing.assert_close(
                dense.attend(q, k, v, causal=causal, sink=sink), plain, **close
            )
        assert not dense.attend(q, k, v, causal=causal, sink=far).any()
    arrays = [x.double().numpy() for x in (q, k, v)]
    assert dense.define(*arrays, sink=-1e3) == pytest.approx(dense.define(*arrays))
    assert not dense.define(*arrays, sink=1e3).any()


def test_a_sink_of_zero_is_a_zero_key_with_a_zero_value():
    """The softmax "off by one": exp(s) over 1 plus the sum of exp(s)."""
    q, k, v = draw((2, 9, 8), (2, 5, 8), (2, 5, 8))
    expected = dense.attend(q, pad(k, (0, 0, 0, 1)), pad(v, (0, 0, 0, 1)))
    torch.testing.assert_close(dense.attend(q, k, v, sink=0), expected)


def test_a_sink_takes_its_share_of_the_mean():
    """All of an output shrinks alike, to Z / (exp(sink) + Z) of what it was."""
    q, k, v = draw(*[(2, 9, 8)] * 3)
    scores = (q @ k.mT / 8**0.5).masked_fill(torch.ones(9, 9).triu(1) > 0, -torch.inf)
    share = (scores.logsumexp(-1, keepdim=True) - 0.7).sigmoid()
    expected = share * dense.attend(q, k, v, causal=True)
    torch.testing.assert_close(dense.attend(q, k, v, causal=True, sink=0.7), expected)


def test_a_query_that_sees_nothing_sends_nothing_to_its_sink():
    q, k, v = draw(*[(4, 8)] * 3)
    [sink] = draw((4, 1), seed=1)
    mask = torch.tensor([True, False, True, True])[:, None]
    out = dense.attend(q, k, v, mask=mask, sink=sink.requires_grad_())
    [gradient] = torch.autograd.grad(out.sin().sum(), sink)
    assert not out[1].any()
    assert (gradient[:, 0] != 0).tolist() == [True, False, True, True]


@pytest.mark.parametrize("causal", [False, True])
def test_a_learned_sink_leaves_the_work_to_a_fused_kernel(causal):
    """A square of scores would do, too, but for its memory; PyTorch raises if it must fall back."""
    inputs = [x.requires_grad_() for x in draw((3, 65, 8), (3, 65, 8), (3, 65, 8), (3, 1, 1))]
    with sdpa_kernel(SDPBackend.FLASH_ATTENTION):
        out = dense.attend(*inputs[:3], causal=causal, sink=inputs[3], log_n=0.4, qk_norm=True)
    assert all(gradient.any() for gradient in torch.autograd.grad(out.sin().sum(), inputs))


def test_a_sink_copies_no_keys_for_grouped_heads():
    """One head of keys for 64 queries, each with a sink of its own: copies would take 64 times."""
    saved = {}

    def note(x):
        saved[x.untyped_storage().data_ptr()] = x.untyped_storage().nbytes()
        return x

    q, k, v = (x.requires_grad_() for x in draw((2, 64, 1, 8), (2, 1, 100, 8), (2, 1, 100, 8)))
    with torch.autograd.graph.saved_tensors_hooks(note, lambda x: x):
        dense.attend(q, k, v, sink=learned("sink", heads=64)["sink"])
    assert 0 < sum(saved.values()) <= 2.1 * (k.nbytes + v.nbytes) + 8 * q.nbytes


@pytest.mark.parametrize("d", [7, 8, 15])
@pytest.mark.parametrize("causal", [False, True])
def test_a_sink_costs_what_its_formula_says_around_the_alignment(d, causal):
    """Seven leaves a column for the sink, eight does not."""
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        dense.attend(*[torch.zeros(1, 9, d)] * 3, causal=causal, sink=0.0)
    executed = dense.cost(causal=causal, sink=0.0).executed
    assert counter.get_total_flops() == executed(n=9, d=d)
    assert executed(n=9, d=d) == 4 * (8 if d < 8 else 16) * (100 if causal else 90)


def test_a_sink_is_no_visible_pair():
    """It costs no inner product, so that what is needed stays what it was."""
    assert dense.cost(sink=0.0).needed == dense.cost().needed
    assert dense.cost(causal=True, sink=0.0).held == dense.cost(causal=True).held


def test_log_n_counts_the_keys_that_each_query_sees():
    """Causal row i is row i of attention on the first i + 1 keys, and of no other count."""
    q, k, v = draw(*[(9, 8)] * 3)
    out = dense.attend(q, k, v, causal=True, log_n=0.8)
    for i in range(9):
        expected = dense.attend(q[i : i + 1], k[: i + 1], v[: i + 1], log_n=0.8)
        torch.testing.assert_close(out[i : i + 1], expected)
    padding = torch.arange(9) < 5
    expected = dense.attend(q, k[:5], v[:5], log_n=0.8)
    torch.testing.assert_close(dense.attend(q, k, v, mask=padding, log_n=0.8), expected)


@pytest.mark.parametrize("n", [2, 33])
def test_log_n_of_one_over_ln_n_is_plain(n):
    q, k, v = draw((2, 5, 8), (2, n, 8), (2, n, 8))
    expected = dense.attend(q, k, v)
    torch.testing.assert_close(dense.attend(q, k, v, log_n=1 / np.log(n)), expected)


def test_log_n_gives_a_single_key_the_score_zero():
    """ln 1 = 0: alone it has all the weight as ever, and against a sink of 0 one half."""
    q, k, v = draw(*[(3, 8)] * 3)
    torch.testing.assert_close(dense.attend(q, k, v, causal=True, log_n=9.0)[0], v[0])
    out = dense.attend(q, k, v, causal=True, log_n=9.0, sink=0.0)
    torch.testing.assert_close(out[0], v[0] / 2)


@pytest.mark.parametrize("n", [4, 64, 1024])
def test_log_n_keeps_the_weight_of_the_best_key(n):
    """Score 1 against n − 1 zeros: with e for n^c, c > 1, its weight would fall like e / n."""
    q, k = torch.ones(1, 1, dtype=torch.float64), torch.zeros(n, 1, dtype=torch.float64)
    k[0] = 1
    v = k.clone()
    assert dense.attend(q, k, v, log_n=1.5).item() == pytest.approx(1 / (1 + (n - 1) / n**1.5))
    assert dense.attend(q, k, v).item() == pytest.approx(1 / (1 + (n - 1) / np.e))


def test_qk_norm_does_not_see_lengths():
    q, k, v = draw(*[(2, 9, 8)] * 3)
    lengths = torch.linspace(1e-6, 1e6, 9, dtype=q.dtype)[:, None]
    expected = dense.attend(q, k, v, qk_norm=True)
    torch.testing.assert_close(dense.attend(lengths * q, k / lengths, v, qk_norm=True), expected)


def test_qk_norm_scales_like_a_root_mean_square_norm():
    """The default √d is what a norm to length √d and the usual 1/√d give."""
    q, k, v = draw(*[(2, 9, 8)] * 3)
    expected = dense.attend(*(rms_norm(x, [8], eps=0.0) for x in (q, k)), v)
    torch.testing.assert_close(dense.attend(q, k, v, qk_norm=True), expected)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16], ids=str)
def test_qk_norm_leaves_a_zero_vector_at_zero(dtype):
    """0/0, in the forward and in the backward pass."""
    q, k, v = (x.to(dtype) for x in draw(*[(4, 8)] * 3))
    q[1], k[2] = 0, 0
    inputs = [x.requires_grad_() for x in (q, k, v)]
    out = dense.attend(*inputs, qk_norm=True)
    torch.testing.assert_close(out[1], v.mean(dim=0))
    for gradient in torch.autograd.grad(out.sum(), inputs):
        assert gradient.isfinite().all()
        assert gradient.abs().max() < 100
    arrays = [x.detach().double().numpy() for x in inputs]
    expected = torch.from_numpy(dense.define(*arrays, qk_norm=True))
    torch.testing.assert_close(out.double(), expected, atol=2e-3, rtol=2e-3)


def test_qk_norm_measures_half_precision_in_single():
    """A length may be beyond float16 where no entry is; and of entries of 1e-4 it is not 0."""
    q, k, v = draw(*[(2, 9, 8)] * 3)
    q = 6e4 * q / q.abs().amax(-1, keepdim=True)
    assert (q.norm(dim=-1) > torch.finfo(torch.float16).max).any()
    expected = dense.attend(q, k, v, qk_norm=True)
    out = dense.attend(q.half(), (1e-4 * k).half(), v.half(), qk_norm=True)
    torch.testing.assert_close(out.double(), expected, atol=1e-2, rtol=1e-2)


def test_a_learned_number_may_be_of_another_dtype():
    """Parameters are kept in float32 while a model computes in bfloat16; the result is of q's."""
    inputs = [x.bfloat16() for x in draw(*[(3, 9, 8)] * 3)]
    numbers = learned("scale", "log_n", "sink")
    single = {name: x.float().requires_grad_() for name, x in numbers.items()}
    out = dense.attend(*inputs, causal=True, **single)
    assert out.dtype == torch.bfloat16
    expected = dense.attend(*(x.double() for x in inputs), causal=True, **numbers)
    torch.testing.assert_close(out.double(), expected, atol=2e-2, rtol=2e-2)
    for gradient in torch.autograd.grad(out.float().sum(), single.values()):
        assert gradient.dtype == torch.float32


@pytest.mark.parametrize("chunks", [[1] * 9, [4, 1, 4]], ids=str)
def test_a_stream_takes_one_number_a_head(chunks):
    """Grouped heads: three numbers for three query heads over one of keys."""
    inputs = draw((2, 3, 9, 8), (2, 1, 9, 8), (2, 1, 9, 8))
    options = {"qk_norm": True, **learned("scale", "log_n", "sink")}
    state, outputs = None, []
    for tokens in zip(*(x.split(chunks, dim=-2) for x in inputs), strict=True):
        out, state = dense.step(state, *tokens, **options)
        outputs.append(out)
    expected = dense.attend(*inputs, causal=True, **options)
    torch.testing.assert_close(torch.cat(outputs, dim=-2), expected)


NO_NUMBERS = {
    "a word": "off",
    "a boolean, which would count as 1": True,
    "a list": [0.5],
    "an array": np.zeros(()),
    "integers": torch.zeros(2, 1, 1, dtype=torch.long),
    "one number a head along the last axis": torch.zeros(2),
    "one number a head along the queries": torch.zeros(2, 1),
    "one number a pair": torch.zeros(5, 5),
    "more leading axes than the scores": torch.zeros(7, 2, 1, 1),
    "another device": torch.zeros(2, 1, 1, device="meta"),
}


@pytest.mark.parametrize("name", ["scale", "log_n", "sink"])
@pytest.mark.parametrize("number", NO_NUMBERS.values(), ids=NO_NUMBERS)
def test_what_is_no_number_a_query_is_refused_by_name(name, number):
    inputs = [torch.zeros(2, 5, 8)] * 3
    with pytest.raises(ValueError, match=rf"^{name} must "):
        dense.attend(*inputs, **{name: number})
    with pytest.raises(ValueError, match=rf"^{name} must "):
        dense.step(None, *inputs, **{name: number})


@pytest.mark.parametrize(
    "number", [2, 0.5, np.float64(0.5), np.float32(0.5), np.int64(1)], ids=repr
)
@pytest.mark.parametrize("name", ["scale", "log_n", "sink"])
def test_any_kind_of_number_will_do(name, number):
    q, k, v = draw(*[(2, 5, 8)] * 3)
    expected = dense.attend(q, k, v, **{name: torch.tensor(float(number), dtype=q.dtype)})
    torch.testing.assert_close(dense.attend(q, k, v, **{name: number}), expected)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("options", [learned("scale", "log_n", "sink"), {"sink": 0.5, "log_n": 1}])
def test_options_run_where_there_is_no_memory(options, causal):
    """A look at a value, or a tensor made on the CPU, fails on the meta device."""
    inputs = [x.to("meta").requires_grad_() for x in draw((2, 3, 9, 8), (2, 1, 9, 8), (2, 1, 9, 8))]
    options = {n: x.to("meta") if isinstance(x, torch.Tensor) else x for n, x in options.items()}
    out = dense.attend(*inputs, causal=causal, qk_norm=True, **options)
    out.sum().backward()
    assert (out.device.type, out.shape) == ("meta", (2, 3, 9, 8))


def test_no_keys_and_a_sink_give_zero():
    q, k, v = draw((2, 3, 8), (2, 0, 8), (2, 0, 8))
    for options in ({"sink": 0.0}, {"sink": 0.0, "log_n": 1.0, "causal": True, "qk_norm": True}):
        assert not dense.attend(q, k, v, **options).any()
        assert not dense.define(q.numpy(), k.numpy(), v.numpy(), **options).any()
