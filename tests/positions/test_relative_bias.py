"""T5's relative bias: every distance in its bucket, without a logarithm."""

import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from helpers.tensors import normal

from attention_limits.positions import relative_bias

FAR = 10**5
# causal, buckets, max_distance
LAYOUTS = [
    (True, 32, 128),
    (False, 32, 128),
    (True, 16, 64),
    (False, 16, 64),
    (True, 64, 512),
    (False, 128, 1000),
    (True, 32, FAR),
    (True, 7, 50),
    (True, 3, 2),
    (True, 2, 2),
    (False, 4, 3),
    (False, 8, 20),
]
layouts = pytest.mark.parametrize(
    "layout", [dict(zip(("causal", "buckets", "max_distance"), x, strict=True)) for x in LAYOUTS]
)
by_default = {"causal": True, "buckets": 32, "max_distance": 128}


def on_one_side(causal, buckets, max_distance):
    """B, E, L and D of the docstring."""
    side = buckets if causal else buckets // 2
    return side, side // 2, side - side // 2, max_distance


def reference(distances, causal, buckets, max_distance):
    """The bucket of 0, 1, 2, … by fractions, walking outwards; then of each distance."""
    side, exact, far, end = on_one_side(causal, buckets, max_distance)
    behind, k = list(range(exact)), 0
    for t in range(exact, max(abs(t) for t in distances) + 1):
        while k + 1 < far and Fraction(t, exact) ** far >= Fraction(end, exact) ** (k + 1):
            k += 1
        behind.append(exact + k)
    if causal:
        return [behind[max(t, 0)] for t in distances]
    return [behind[t] if t >= 0 else side + behind[-t] for t in distances]


def everywhere():
    return torch.arange(-FAR, FAR + 1)


def published(t, causal, buckets, max_distance, dtype=torch.float32):
    """The formula of the paper's code, with its logarithm, for distances t ≥ E behind."""
    _, exact, far, end = on_one_side(causal, buckets, max_distance)
    bucket = (t.to(dtype) / exact).log() / math.log(end / exact) * far
    return exact + bucket.long().clamp(max=far - 1), bucket


# Buckets


@layouts
def test_every_distance_is_in_its_bucket(layout):
    """Against fractions, which do not round, for all distances to 10^5 on both sides."""
    expected = torch.tensor(reference(range(-FAR, FAR + 1), **layout))
    assert (relative_bias.bucket(everywhere(), **layout) == expected).all()


@layouts
def test_the_definition_says_the_same(layout):
    """Both ways, 0 to n keys behind one query, and ahead of the first of n queries."""
    n, table = 3000, np.arange(layout["buckets"])[None]
    behind = relative_bias.define(np.zeros((1, 1, n)), table, **layout)[0, 0, ::-1]
    ahead = relative_bias.define(np.zeros((1, n, 1)), table, **layout)[0, ::-1, 0]
    distances = range(n)
    assert behind.tolist() == reference(distances, **layout)
    assert ahead.tolist() == reference([-t for t in distances], **layout)


@layouts
def test_equals_the_published_formula_where_that_is_certain(layout):
    """Where its logarithm, times L, is not within rounding of an integer, in float32."""
    _, exact, _, end = on_one_side(**layout)
    t = torch.arange(exact, FAR)
    expected, real = published(t, **layout)
    certain = ((real - real.round()).abs() > 1e-4) | (t > end)
    assert certain.float().mean() > 0.99
    assert (relative_bias.bucket(t, **layout) == expected)[certain].all()


def test_a_logarithm_puts_distances_on_a_border_on_the_wrong_side():
    """Which is why there is none: 10, 20, 40 and 80 are E = 5 times a power of 32^(1/5)."""
    t = torch.tensor([10, 20, 40, 80])
    buckets = relative_bias.bucket(t, causal=True, buckets=10, max_distance=160)
    assert buckets.tolist() == [6, 7, 8, 9]
    assert [5 + int(math.log(x / 5) / math.log(160 / 5) * 5) for x in t.tolist()] != [6, 7, 8, 9]


@layouts
def test_every_bucket_is_used_and_they_follow_one_another(layout):
    """But for the one of keys ahead at the distance 0, as in the paper's code."""
    behind = relative_bias.bucket(torch.arange(FAR + 1), **layout)
    assert behind[0] == 0
    assert set(behind.diff().tolist()) <= {0, 1}
    side = on_one_side(**layout)[0]
    assert behind[layout["max_distance"]] == behind[-1] == side - 1
    ahead = relative_bias.bucket(-torch.arange(1, FAR + 1), **layout)
    if layout["causal"]:
        assert not ahead.any()
    else:
        assert (ahead == behind[1:] + side).all()
        assert set(ahead.tolist()) == set(range(side + 1, 2 * side))


def test_buckets_by_hand():
    """E = 2 exact ones; then from 2 to 16, in 2 steps of √8 = 2.8: from 2 and from 5.7."""
    t = torch.tensor([-3, 0, 1, 2, 3, 4, 5, 6, 7, 16, 99])
    assert relative_bias.bucket(t, causal=True, buckets=4, max_distance=16).tolist() == [
        *(0, 0, 1, 2, 2, 2, 2, 3, 3, 3, 3)
    ]
    assert relative_bias.bucket(t, causal=False, buckets=8, max_distance=16).tolist() == [
        *(6, 0, 1, 2, 2, 2, 2, 3, 3, 3, 3)
    ]


def test_the_least_of_narrow_integers_has_a_distance():
    """|−128| is −128 in int8."""
    options = {"causal": False, "buckets": 32, "max_distance": 128}
    for dtype in (torch.int8, torch.int16, torch.int32):
        t = torch.tensor([-128, 127], dtype=dtype)
        assert relative_bias.bucket(t, **options).tolist() == [31, 15]


# The bias


@layouts
@pytest.mark.parametrize(
    ("n_q", "n_k"), [(1, 1), (9, 9), (1, 40), (5, 60), (60, 5), (0, 4), (4, 0)]
)
def test_equals_its_definition(n_q, n_k, layout):
    scores, table = normal(2, 3, n_q, n_k), normal(3, layout["buckets"], seed=1)
    expected = relative_bias.define(scores.numpy(), table.numpy(), **layout)
    out = relative_bias.apply(scores, table, **layout)
    torch.testing.assert_close(out, torch.from_numpy(expected), atol=1e-12, rtol=0)


def test_equals_its_definition_at_positions():
    """Of each sequence its own, in no order, with gaps as wide as one likes."""
    scores, table = normal(5, 2, 3, 4, 6), normal(5, 1, 3, 32, seed=1)
    where = {
        "positions_q": torch.tensor([[5, 0, 300, 3], [9, 1, 0, 2]]),
        "positions_k": torch.tensor([7, 0, 1, 2, 2, 10**9]),
    }
    for names in (["positions_q"], ["positions_k"], ["positions_q", "positions_k"]):
        given = {name: where[name] for name in names}
        arrays = {name: x.numpy() for name, x in given.items()}
        out = relative_bias.apply(scores, table, causal=False, **given)
        expected = relative_bias.define(
            scores.numpy(), table.numpy(), causal=False, buckets=32, max_distance=128, **arrays
        )
        torch.testing.assert_close(out, torch.from_numpy(expected), atol=1e-12, rtol=0)


def test_models_side_by_side_are_each_alone():
    scores, table = normal(5, 2, 3, 6, 9), normal(5, 1, 3, 32, seed=1)
    together = relative_bias.apply(scores, table, **by_default)
    for s in range(5):
        alone = relative_bias.apply(scores[s], table[s, 0], **by_default)
        assert (together[s] == alone).all()


def test_far_keys_are_one():
    bias = relative_bias.bias(1, 1000, normal(2, 32), **by_default)
    assert (bias[..., :-113] == bias[..., :1]).all()  # 16 · 8^(15/16) = 112.4
    assert (bias[..., -113] != bias[..., 0]).all()


# Gradients


@pytest.mark.parametrize("causal", [True, False])
def test_the_gradient_of_a_bucket_is_a_sum_over_its_pairs(causal):
    options = {"causal": causal, "buckets": 16, "max_distance": 40}
    table, upstream = normal(2, 16).requires_grad_(), normal(2, 50, 70, seed=1)
    [gradient] = torch.autograd.grad(
        relative_bias.bias(50, 70, table, **options), [table], upstream
    )
    expected = torch.zeros(2, 16, dtype=torch.float64)
    for i in range(50):
        for j, b in enumerate(reference([20 + i - j for j in range(70)], **options)):
            expected[:, b] += upstream[:, i, j]
    torch.testing.assert_close(gradient, expected)


def test_half_precision_loses_no_pair_of_a_bucket():
    """One by one, bfloat16 counts to 256 and stays there."""
    table = torch.zeros(1, 32, dtype=torch.bfloat16, requires_grad=True)
    bias = relative_bias.bias(600, 600, table, **by_default)
    assert bias.dtype == torch.float32
    [gradient] = torch.autograd.grad(bias.sum(), [table])
    pairs = relative_bias.bucket(torch.arange(600)[:, None] - torch.arange(600), **by_default)
    expected = pairs.flatten().bincount(minlength=32).bfloat16()
    assert (gradient[0] == expected).all()


def test_gradients_are_those_of_the_output():
    inputs = [normal(2, 2, 3, 5).requires_grad_(), normal(2, 4, seed=1).requires_grad_()]
    options = {"causal": False, "buckets": 4, "max_distance": 3}
    assert torch.autograd.gradcheck(lambda *x: relative_bias.apply(*x, **options), inputs)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_output_has_the_dtype_of_the_scores(dtype):
    scores, table = normal(3, 5, 9).to(dtype), normal(3, 32, seed=1).float()
    out = relative_bias.apply(scores, table, **by_default)
    assert out.dtype == dtype
    exact = relative_bias.apply(scores.double(), table.double(), **by_default)
    torch.testing.assert_close(out, exact.to(dtype), atol=0, rtol=torch.finfo(dtype).eps)


# Devices and bad input


def test_runs_on_meta():
    table = torch.empty(3, 32, device="meta")
    scores = torch.empty(2, 3, 4, 9, device="meta")
    for causal in (True, False):
        assert relative_bias.apply(scores, table, causal=causal).shape == (2, 3, 4, 9)
        assert relative_bias.bucket(torch.arange(9, device="meta"), causal=causal).is_meta


def biased(table=None, n_q=2, n_k=2, **options):
    table = torch.ones(1, options.get("buckets", 32)) if table is None else table
    return relative_bias.bias(n_q, n_k, table, **{"causal": True, **options})


REFUSED = {
    "table no tensor": ("table", lambda: biased([[1.0] * 32])),
    "table of integers": ("table", lambda: biased(torch.ones(1, 32).int())),
    "table without heads": ("table", lambda: biased(torch.ones(32))),
    "table too short": ("table", lambda: biased(torch.ones(1, 31))),
    "n_q": ("n_q", lambda: biased(n_q=-1)),
    "n_k": ("n_k", lambda: biased(n_k=2.0)),
    "one bucket": ("buckets", lambda: biased(buckets=1)),
    "one bucket a side": ("buckets", lambda: biased(buckets=2, causal=False)),
    "odd buckets for two sides": ("buckets", lambda: biased(buckets=31, causal=False)),
    "an end before the exact ones'": ("max_distance", lambda: biased(max_distance=16)),
    "real distances": ("distance", lambda: relative_bias.bucket(torch.ones(2), causal=True)),
    "too few positions": ("positions_q", lambda: biased(positions_q=torch.arange(1))),
    "positions of another batch": (
        "positions",
        lambda: biased(torch.ones(3, 1, 32), positions_k=torch.zeros(4, 2).int()),
    ),
    "scores of other heads": (
        "scores",
        lambda: relative_bias.apply(torch.ones(1, 2, 2), torch.ones(4, 32), causal=True),
    ),
    "scores elsewhere": (
        "scores",
        lambda: relative_bias.apply(
            torch.ones(1, 2, 2, device="meta"), torch.ones(1, 32), causal=True
        ),
    ),
    "buckets of a cost": ("buckets", lambda: relative_bias.cost(buckets=0)),
}


@pytest.mark.parametrize(("name", "call"), REFUSED.values(), ids=REFUSED)
def test_bad_input_is_refused_by_name(name, call):
    with pytest.raises(ValueError, match=rf"^{name} must "):
        call()
