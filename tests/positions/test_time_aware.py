"""The time-aware encoding: ALiBi and rotation by the clock."""

import math

import numpy as np
import pytest
import torch
from helpers.tensors import assert_close, normal

from attention_limits.positions import alibi, rotary, time_aware


def events(*shape, seed=0):
    """Times at irregular distances of 1 on average, some of them 0."""
    steps = torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return (-steps.log() * (steps < 0.9)).cumsum(-1)


def learned(*lead, knots, seed=0):
    """Slopes (…, h), knots (k,) that lie between events, changes (…, h, k)."""
    slopes, changes = normal(*lead, seed=seed).exp(), normal(*lead, knots, seed=seed + 1)
    return slopes, {"knots": torch.linspace(0, 5, knots).double(), "changes": changes}


def defined(*inputs, **options):
    options = {name: x.numpy() for name, x in options.items()}
    return torch.from_numpy(time_aware.define(*(x.numpy() for x in inputs), **options))


# Equal to the definition


@pytest.mark.parametrize("knots", [None, 0, 1, 3])
@pytest.mark.parametrize(
    ("times", "heads"),
    [
        (((1,), (1,)), (3,)),
        (((7,), (7,)), (3,)),
        (((4,), (9,)), (3,)),
        (((9,), (4,)), (3,)),
        (((2, 4), (2, 9)), (3,)),
        (((2, 4), (9,)), (3,)),
        (((2, 4), (2, 9)), (5, 1, 3)),
        (((0,), (4,)), (3,)),
        (((4,), (0,)), (3,)),
    ],
    ids=str,
)
def test_equals_its_definition(times, heads, knots):
    times_q, times_k = events(*times[0]), events(*times[1], seed=1)
    lead = torch.broadcast_shapes(times_q.shape[:-1], times_k.shape[:-1], heads[:-1])
    scores = normal(*lead, heads[-1], times_q.shape[-1], times_k.shape[-1])
    slopes, options = learned(*heads, knots=knots or 0)
    options = {} if knots is None else options
    inputs = scores, times_q, times_k, slopes
    assert_close(time_aware.apply(*inputs, **options), defined(*inputs, **options))


def test_heads_may_have_knots_of_their_own():
    slopes, options = learned(3, knots=2)
    options["knots"] = normal(3, 2, seed=2).exp()
    inputs = normal(2, 3, 4, 9), events(2, 4), events(2, 9, seed=1), slopes
    assert_close(time_aware.apply(*inputs, **options), defined(*inputs, **options))
    alone = {"knots": options["knots"][1], "changes": options["changes"][1:2]}
    bias = time_aware.bias(*inputs[1:], **options)
    assert_close(bias[:, 1:2], time_aware.bias(*inputs[1:3], slopes[1:2], **alone))


# ALiBi, by the clock


@pytest.mark.parametrize("spacing", [1, 0.25, 3.7, 86400])
@pytest.mark.parametrize(("n_q", "n_k"), [(9, 9), (3, 9), (9, 3)])
def test_evenly_spaced_it_is_alibi_with_the_slope_times_the_spacing(n_q, n_k, spacing):
    slopes = alibi.slopes(6, dtype=torch.float64)
    times = spacing * torch.arange(-9, n_k, dtype=torch.float64)
    bias = time_aware.bias(times[-n_q:], times[-n_k:], slopes)
    assert_close(bias, alibi.bias(n_q, n_k, spacing * slopes), within=1e-10)


def test_rank_does_not_matter():
    """An event in between changes nothing of what the others are to each other."""
    times, slopes = events(9), alibi.slopes(4).double()
    kept = [0, 1, 2, 3, 5, 6, 7, 8]
    bias = time_aware.bias(times, times, slopes)
    assert (time_aware.bias(times[kept], times[kept], slopes) == bias[:, kept][..., kept]).all()


def test_events_at_one_time_are_at_no_distance():
    bias = time_aware.bias(torch.zeros(3), torch.zeros(3), torch.ones(2))
    assert (bias == 0).all()


# Knots


def curve(times, slopes, **options):
    """What an event adds to its score, by its age."""
    now = torch.zeros(1, dtype=torch.float64)
    return time_aware.bias(now, -times.flip(0), slopes, **options)[:, 0].flip(-1)


def test_a_knot_changes_the_slope_there_and_only_there():
    """Falls by 1 up to an age of 2, rises by 0.5 up to 4, and stays."""
    age = torch.linspace(0, 8, 81, dtype=torch.float64)
    knots, changes = torch.tensor([2.0, 4.0]), torch.tensor([[1.5, -0.5]])
    bias = curve(age, torch.ones(1).double(), knots=knots, changes=changes)[0]
    steps = bias.diff() * 10
    assert_close(steps[:20], torch.full((20,), -1.0).double())
    assert_close(steps[20:40], torch.full((20,), 0.5).double())
    assert_close(steps[40:], torch.zeros(40).double())


def test_any_continuous_polygon_is_reached():
    """By the changes of its slope; checked against NumPy's interpolation."""
    corners, heights = np.array([0.0, 1, 3, 4, 9]), np.array([0.0, 2, -1, -1, 5])
    slopes = np.diff(heights) / np.diff(corners)
    age = torch.linspace(0, 9, 200).double()
    options = {"knots": torch.from_numpy(corners[1:-1])}
    options["changes"] = torch.from_numpy(np.diff(slopes))[None]
    bias = curve(age, torch.tensor([-slopes[0]]), **options)[0]
    assert_close(bias, torch.from_numpy(np.interp(age.numpy(), corners, heights)))


# When time is counted from


@pytest.mark.parametrize("shift", [1e3, 1e4, 1e5, 1e6])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_shift_of_all_times_changes_nothing(dtype, shift):
    """Of scores and bias, in float32 and below, where the times themselves are float64."""
    times = events(40)
    slopes, options = learned(3, knots=3)
    learnable = {name: x.to(dtype) for name, x in {"slopes": slopes, **options}.items()}
    bias, moved = (time_aware.bias(t, t, **learnable) for t in (times, times + shift))
    assert bias.dtype == torch.float32
    torch.testing.assert_close(moved, bias, atol=1e-6, rtol=1e-6)

    q, k = normal(2, 40, 16).to(dtype), normal(2, 40, 16, seed=1).to(dtype)
    periods = time_aware.geometric(16, 0.5, 100)
    scores, shifted = (
        time_aware.rotate(q, t, periods=periods) @ time_aware.rotate(k, t, periods=periods).mT
        for t in (times, times + shift)
    )
    # In bfloat16 queries and keys are rounded after they are turned, by 2^-9 each.
    within = 1e-5 if dtype == torch.float32 else 3e-2
    assert (shifted - scores).float().square().mean().sqrt() / 4 < within


def test_in_float32_times_since_1970_are_a_minute_wrong():
    """Which is what the docstring warns of."""
    seconds = 1.7e9 + torch.arange(100, dtype=torch.float64)
    bias, rounded = (time_aware.bias(t, t, torch.ones(1)) for t in (seconds, seconds.float()))
    assert (bias[0, -1] == -torch.arange(99.0, -1, -1)).all()
    assert 20 < (rounded - bias).abs().max() <= 128


def test_integers_are_exact():
    """Nanoseconds since 1970 do not fit into float64; uint8 does not go below 0."""
    start = 1_700_000_000_000_000_001
    nanoseconds = start + torch.tensor([0, 1, 5])
    assert time_aware.bias(nanoseconds[-1:], nanoseconds, torch.ones(1)).tolist() == [[[-5, -4, 0]]]
    early, late = torch.tensor([1], dtype=torch.uint8), torch.tensor([2], dtype=torch.uint8)
    assert time_aware.bias(early, late, torch.ones(1)).item() == -1
    assert time_aware.bias(torch.cat([early, late]), late, torch.ones(1)).tolist() == [[[-1], [0]]]


# The rotation


def test_rotation_is_the_rotary_encoding_at_times():
    x, times = normal(2, 3, 9, 8), events(2, 1, 9)
    periods = time_aware.geometric(8, 0.5, 50)
    expected = rotary.define(
        x.numpy(), positions=times.numpy(), frequencies=2 * np.pi / periods.numpy()
    )
    assert_close(time_aware.rotate(x, times, periods=periods), torch.from_numpy(expected))


def test_a_pair_has_turned_once_after_its_period():
    """Pair 0 after 2, pair 1 after 5: back where it was then, and at −x halfway."""
    x = normal(1, 4).expand(4, 4)
    periods = torch.tensor([2.0, 5.0], dtype=torch.float64)
    times = torch.tensor([0, 1, 2, 5], dtype=torch.float64)
    y = time_aware.rotate(x, times, periods=periods)
    assert_close(y[0], x[0])
    assert_close(y[1, :2], -x[1, :2])
    assert_close(y[2, :2], x[2, :2])
    assert_close(y[3, 2:], x[3, 2:])


def test_at_whole_times_it_is_the_rotary_encoding():
    x, theta = normal(9, 8), rotary.frequencies(8)
    turned = time_aware.rotate(x, torch.arange(9), periods=2 * math.pi / theta)
    assert_close(turned, rotary.apply(x))


def test_geometric_periods_are_in_equal_ratios_between_their_ends():
    periods = time_aware.geometric(10, 0.1, 1000)
    assert_close(periods, torch.tensor([0.1, 1, 10, 100, 1000], dtype=torch.float64))
    assert time_aware.geometric(2, 3, 7).tolist() == pytest.approx([3])


# Times never go back

BACK = {
    "at once": [0.0, 2.0, 1.0],
    "by little": [0.0, 1.0, 1.0 - 1e-7],
    "NaN": [0.0, math.nan, 1.0],
}


@pytest.mark.parametrize("times", BACK.values(), ids=BACK)
@pytest.mark.parametrize("name", ["times_q", "times_k", "times"])
def test_times_that_go_back_are_refused(name, times):
    times, good = torch.tensor(times, dtype=torch.float64), torch.arange(3.0).double()
    calls = {
        "times_q": lambda: time_aware.bias(times, good, torch.ones(1)),
        "times_k": lambda: time_aware.bias(good, times, torch.ones(1)),
        "times": lambda: time_aware.rotate(normal(3, 2), times, periods=torch.ones(1)),
    }
    with pytest.raises(ValueError, match=rf"^{name} must never go back"):
        calls[name]()


def test_each_sequence_of_a_batch_is_looked_at():
    times = torch.tensor([[0, 1, 2], [5, 6, 7], [1, 0, 2]])
    assert time_aware.bias(times[:2], times[:2], torch.ones(1)).shape == (2, 1, 3, 3)
    with pytest.raises(ValueError, match=r"^times_q must never go back.* -1"):
        time_aware.bias(times, times, torch.ones(1))
    unsigned = torch.tensor([2, 1], dtype=torch.uint8)
    with pytest.raises(ValueError, match="must never go back"):
        time_aware.bias(unsigned, unsigned, torch.ones(1))


# Gradients, dtypes, devices, bad input


def test_gradients_are_those_of_the_output():
    """Of the scores, the slopes, the knots and the changes."""
    times_q, times_k = events(2, 3), events(2, 4, seed=1)
    slopes, options = learned(2, knots=2)
    inputs = [normal(2, 2, 3, 4), slopes, options["knots"] + 0.1, options["changes"]]

    def apply(scores, slopes, knots, changes):
        return time_aware.apply(scores, times_q, times_k, slopes, knots=knots, changes=changes)

    assert torch.autograd.gradcheck(apply, [x.requires_grad_() for x in inputs])


def test_the_gradient_of_a_change_is_the_time_beyond_its_knot():
    slopes, options = learned(2, knots=3)
    options["changes"].requires_grad_()
    times = events(9)
    bias = time_aware.bias(times, times, slopes, **options)
    [gradient] = torch.autograd.grad(bias.sum(), [options["changes"]])
    age = np.abs(np.subtract.outer(times.numpy(), times.numpy()))
    expected = [np.maximum(0, age - knot).sum() for knot in options["knots"].tolist()]
    assert_close(gradient, torch.tensor([expected] * 2, dtype=torch.float64))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_output_has_the_dtype_of_the_scores(dtype):
    scores, times = normal(3, 9, 9).to(dtype), events(9)
    slopes, options = learned(3, knots=2)
    out = time_aware.apply(scores, times, times, slopes, **options)
    assert out.dtype == dtype
    expected = defined(scores.double(), times, times, slopes, **options)
    torch.testing.assert_close(out, expected.to(dtype), atol=0, rtol=torch.finfo(dtype).eps)


def test_runs_on_meta():
    """Where times cannot be looked at."""
    times = torch.empty(2, 9, device="meta")
    slopes, options = learned(3, knots=2)
    options = {name: x.to("meta") for name, x in options.items()}
    scores = torch.empty(2, 3, 4, 9, device="meta")
    out = time_aware.apply(scores, times[:, -4:], times, slopes.to("meta"), **options)
    assert out.shape == scores.shape
    periods = time_aware.geometric(8, 1, 10, device="meta")
    x = torch.empty(2, 9, 8, device="meta")
    assert time_aware.rotate(x, times, periods=periods).shape == x.shape


def test_the_price_counts_what_is_learned():
    slopes, options = learned(4, knots=3)
    count = slopes.numel() + sum(x.numel() for x in options.values())
    assert time_aware.cost(knots=3).parameters(h=4) == count
    assert time_aware.cost().parameters(h=4) == 4


T, M, X = torch.arange(3.0), torch.ones(2), torch.ones(3, 4)
K, C = torch.ones(1), torch.ones(2, 1)
REFUSED = {
    "times no tensor": ("times_q", lambda: time_aware.bias([0.0], T, M)),
    "times in half precision": ("times_k", lambda: time_aware.bias(T, T.bfloat16(), M)),
    "one time": ("times_q", lambda: time_aware.bias(T[0], T, M)),
    "times elsewhere": ("times_k", lambda: time_aware.bias(T, T.to("meta"), M)),
    "times of another batch": (
        "times_k",
        lambda: time_aware.bias(T.expand(2, 3), T.expand(4, 3), M),
    ),
    "slopes of integers": ("slopes", lambda: time_aware.bias(T, T, M.int())),
    "one slope": ("slopes", lambda: time_aware.bias(T, T, M[0])),
    "knots without changes": ("knots", lambda: time_aware.bias(T, T, M, knots=K)),
    "changes without knots": ("knots", lambda: time_aware.bias(T, T, M, changes=C)),
    "knots elsewhere": ("knots", lambda: time_aware.bias(T, T, M, knots=K.to("meta"), changes=C)),
    "knots of other heads": (
        "knots",
        lambda: time_aware.bias(T, T, M, knots=torch.ones(3, 1), changes=C),
    ),
    "changes of other heads": ("changes", lambda: time_aware.bias(T, T, M, knots=K, changes=C[:1])),
    "changes of other knots": (
        "changes",
        lambda: time_aware.bias(T, T, M, knots=torch.ones(2), changes=C),
    ),
    "changes of another batch": (
        "changes",
        lambda: time_aware.bias(T.expand(3, 3), T, M, knots=K, changes=C.expand(4, 2, 1)),
    ),
    "scores of other heads": ("scores", lambda: time_aware.apply(torch.ones(1, 3, 3), T, T, M)),
    "scores of other events": ("scores", lambda: time_aware.apply(torch.ones(2, 3, 4), T, T, M)),
    "tokens of odd width": ("x", lambda: time_aware.rotate(X[:, :3], T, periods=torch.ones(1))),
    "tokens no tensor": ("x", lambda: time_aware.rotate([[1.0, 2.0]], T, periods=torch.ones(1))),
    "times of other tokens": (
        "times",
        lambda: time_aware.rotate(X, torch.arange(4), periods=torch.ones(2)),
    ),
    "periods of other pairs": ("periods", lambda: time_aware.rotate(X, T, periods=torch.ones(3))),
    "periods of integers": ("periods", lambda: time_aware.rotate(X, T, periods=M.int())),
    "periods elsewhere": ("periods", lambda: time_aware.rotate(X, T, periods=M.to("meta"))),
    "d": ("d", lambda: time_aware.geometric(3, 1, 10)),
    "no pair": ("d", lambda: time_aware.geometric(0, 1, 10)),
    "shortest": ("shortest", lambda: time_aware.geometric(4, 0, 10)),
    "knots of a cost": ("knots", lambda: time_aware.cost(knots=-1)),
}


@pytest.mark.parametrize(("name", "call"), REFUSED.values(), ids=REFUSED)
def test_bad_input_is_refused_by_name(name, call):
    with pytest.raises(ValueError, match=rf"^{name} must .*, got "):
        call()
