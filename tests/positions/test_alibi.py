"""ALiBi: the slopes, the distances, and what the nearest key keeps."""

import math

import numpy as np
import pytest
import torch
from helpers.tensors import assert_close, normal

from attention_limits.positions import alibi


def rate(*shape, seed=0):
    """Slopes, positive."""
    return normal(*shape, seed=seed).exp()


def defined(scores, slopes, **positions):
    positions = {name: x.numpy() for name, x in positions.items()}
    return torch.from_numpy(alibi.define(scores.numpy(), slopes.numpy(), **positions))


# Slopes


def published(h):
    """As the authors' code finds them, by recursion."""
    if math.log2(h).is_integer():
        first = 2 ** (-(2 ** -(math.log2(h) - 3)))
        return [first * first**i for i in range(h)]
    power = 2 ** math.floor(math.log2(h))
    return published(power) + published(2 * power)[0::2][: h - power]


@pytest.mark.parametrize("h", [*range(1, 34), 40, 48, 71, 96, 128])
def test_slopes_are_the_published_ones(h):
    """Heads that are no power of two are where implementations part."""
    slopes = alibi.slopes(h, dtype=torch.float64)
    assert_close(slopes, torch.tensor(published(h), dtype=torch.float64))
    assert len(slopes.unique()) == h
    assert ((slopes > 0) & (slopes < 1)).all()


def test_slopes_by_hand():
    assert alibi.slopes(8).tolist() == [2.0**-i for i in range(1, 9)]
    assert alibi.slopes(4).tolist() == [2.0**-2, 2.0**-4, 2.0**-6, 2.0**-8]
    assert alibi.slopes(6, dtype=torch.float64).log2().tolist() == [-2, -4, -6, -8, -1, -3]


# Equal to the definition


@pytest.mark.parametrize(
    ("scores", "slopes"),
    [
        ((3, 1, 1), (3,)),
        ((3, 7, 7), (3,)),
        ((2, 3, 1, 9), (3,)),
        ((2, 3, 4, 9), (2, 3)),
        ((2, 3, 9, 4), (3,)),
        ((5, 2, 3, 4, 4), (5, 1, 3)),
        ((3, 0, 4), (3,)),
        ((3, 4, 0), (3,)),
    ],
    ids=str,
)
def test_equals_its_definition(scores, slopes):
    scores, slopes = normal(*scores), rate(*slopes)
    assert_close(alibi.apply(scores, slopes), defined(scores, slopes))


def test_equals_its_definition_at_positions():
    """Of each sequence its own, in no order; those of queries, of keys, and of both."""
    scores, slopes = normal(2, 3, 4, 6), rate(3)
    where = {
        "positions_q": torch.tensor([[5, 0, 3, 3], [9, 1, 0, 2]]),
        "positions_k": torch.tensor([7, 0, 1, 2, 2, 90]),
    }
    for names in (["positions_q"], ["positions_k"], ["positions_q", "positions_k"]):
        given = {name: where[name] for name in names}
        assert_close(alibi.apply(scores, slopes, **given), defined(scores, slopes, **given))


def test_an_example_by_hand():
    """Two queries, the last of four positions; keys ahead count as far as keys behind."""
    bias = alibi.bias(2, 4, torch.tensor([1.0, 0.5]))
    assert bias.tolist() == [
        [[-2, -1, 0, -1], [-3, -2, -1, 0]],
        [[-1, -0.5, 0, -0.5], [-1.5, -1, -0.5, 0]],
    ]


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int8])
def test_narrow_positions_do_not_wrap(dtype):
    """100 − (−100) is −56 in int8, and 1 − 2 is 255 in uint8."""
    i, j = (100, -100) if dtype == torch.int8 else (1, 2)
    where = {"positions_q": torch.tensor([i]), "positions_k": torch.tensor([j])}
    where = {name: x.to(dtype) for name, x in where.items()}
    assert alibi.bias(1, 1, torch.ones(1), **where).item() == -abs(i - j)


def test_a_shift_of_all_positions_changes_nothing():
    i, slopes = torch.arange(9), rate(4).float()
    for shift in (10**3, 10**6, 10**12):
        moved = {"positions_q": i + shift, "positions_k": i + shift}
        assert (alibi.bias(9, 9, slopes, **moved) == alibi.bias(9, 9, slopes)).all()


# Its promise


@pytest.mark.parametrize("n", [1, 2, 10, 1000, 100_000])
@pytest.mark.parametrize("slope", [2**-8, 2**-3, 0.5])
def test_the_nearest_of_equal_keys_keeps_its_share_at_any_length(n, slope):
    """(1 − e^−m) / (1 − e^−mn), never below 1 − e^−m; without the slope it keeps 1/n."""
    slopes = torch.tensor([slope, 0.0], dtype=torch.float64)
    kept, diluted = alibi.bias(1, n, slopes).softmax(-1)[:, 0, -1].tolist()
    assert kept == pytest.approx((1 - math.exp(-slope)) / (1 - math.exp(-slope * n)), rel=1e-11)
    assert kept >= (1 - math.exp(-slope)) * (1 - 1e-11)
    assert diluted == pytest.approx(1 / n, rel=1e-11)


def test_an_infinity_of_equal_keys_leaves_the_nearest_its_share_in_float32():
    kept = alibi.bias(1, 2**17, torch.tensor([0.25])).softmax(-1)[0, 0, -1].item()
    assert kept == pytest.approx(1 - math.exp(-0.25), rel=1e-5)


# Precision


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32, torch.float64])
def test_distances_are_told_apart_whatever_the_dtype(dtype):
    """bfloat16 has no odd integer above 256: a bias in it is the same for pairs of keys."""
    bias = alibi.bias(1, 5000, torch.tensor([0.5], dtype=dtype))
    assert bias.dtype == torch.promote_types(dtype, torch.float32)
    assert (bias.diff() == 0.5).all()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_output_has_the_dtype_of_the_scores(dtype):
    """And is rounded once: what half precision says of the exact sum."""
    scores, slopes = normal(4, 33, 300).to(dtype), alibi.slopes(4)
    out = alibi.apply(scores, slopes)
    assert out.dtype == dtype
    expected = defined(scores.double(), slopes.double())
    torch.testing.assert_close(out, expected.to(dtype), atol=0, rtol=torch.finfo(dtype).eps)


# Gradients


def test_the_gradient_of_a_slope_is_the_sum_of_distances():
    slopes = rate(3).requires_grad_()
    upstream = normal(3, 5, 8)
    [gradient] = torch.autograd.grad(alibi.bias(5, 8, slopes), [slopes], upstream)
    distance = np.abs(np.subtract.outer(np.arange(3, 8), np.arange(8)))
    assert_close(gradient, -(upstream * torch.from_numpy(distance)).sum((-1, -2)))


def test_gradients_are_those_of_the_output():
    inputs = [normal(2, 3, 2, 4).requires_grad_(), rate(3).requires_grad_()]
    assert torch.autograd.gradcheck(alibi.apply, inputs)


# Devices and bad input


def test_runs_on_meta():
    """A tensor made on the CPU by accident meets those of the device and raises."""
    slopes = alibi.slopes(6, device="meta")
    i = torch.arange(9, device="meta")
    assert alibi.bias(9, 9, slopes, positions_q=i, positions_k=i).is_meta
    assert alibi.apply(torch.empty(2, 6, 4, 9, device="meta"), slopes).shape == (2, 6, 4, 9)


ONE = torch.ones(1)
REFUSED = {
    "slopes no tensor": ("slopes", lambda: alibi.bias(2, 2, 0.5)),
    "slopes of integers": ("slopes", lambda: alibi.bias(2, 2, torch.ones(2, dtype=int))),
    "one slope": ("slopes", lambda: alibi.bias(2, 2, torch.tensor(0.5))),
    "n_q": ("n_q", lambda: alibi.bias(-1, 2, ONE)),
    "n_k": ("n_k", lambda: alibi.bias(1, 2.0, ONE)),
    "h": ("h", lambda: alibi.slopes(0)),
    "too few positions": (
        "positions_q",
        lambda: alibi.bias(2, 2, ONE, positions_q=torch.arange(1)),
    ),
    "real positions": ("positions_k", lambda: alibi.bias(2, 2, ONE, positions_k=torch.ones(2))),
    "positions elsewhere": (
        "positions_k",
        lambda: alibi.bias(2, 2, ONE, positions_k=torch.arange(2, device="meta")),
    ),
    "positions of other models": (
        "positions",
        lambda: alibi.bias(2, 2, torch.ones(4, 1), positions_k=torch.zeros(3, 2).int()),
    ),
    "positions of another batch": (
        "positions_k",
        lambda: alibi.bias(
            2, 2, ONE, positions_q=torch.zeros(3, 2).int(), positions_k=torch.zeros(4, 2).int()
        ),
    ),
    "scores of other heads": ("scores", lambda: alibi.apply(torch.ones(1, 2, 2), alibi.slopes(4))),
    "scores without heads": ("scores", lambda: alibi.apply(torch.ones(2, 2), ONE)),
    "scores elsewhere": ("scores", lambda: alibi.apply(torch.ones(1, 2, 2, device="meta"), ONE)),
    "scores of integers": ("scores", lambda: alibi.apply(torch.ones(1, 2, 2).int(), ONE)),
    "scores of another batch": (
        "scores",
        lambda: alibi.apply(torch.ones(3, 1, 2, 2), torch.ones(4, 1)),
    ),
}


@pytest.mark.parametrize(("name", "call"), REFUSED.values(), ids=REFUSED)
def test_bad_input_is_refused_by_name(name, call):
    with pytest.raises(ValueError, match=rf"^{name} must "):
        call()
