"""The recurrent network, held to what attention_limits/baselines/__init__.py promises."""

import itertools

import numpy as np
import pytest
import torch
from helpers.kinds import UNFIT
from helpers.tensors import assert_close, on_devices
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode

from attention_limits.baselines import recurrent


def draw_network(*lead_and_n, d=6, d_in=4, gain=0.9, seed=0, dtype=torch.float64, device="cpu"):
    """Standard normal inputs, and random weights under which the network contracts."""
    generator = torch.Generator().manual_seed(seed)
    shapes = (*lead_and_n, d_in), (d, d_in), (d, d), (d,)
    scales = 1, 1, gain / d**0.5, 0.5
    return [
        (scale * torch.randn(shape, generator=generator, dtype=torch.float64)).to(device, dtype)
        for shape, scale in zip(shapes, scales, strict=True)
    ]


def draw_start(*shape, seed=1, dtype=torch.float64, device="cpu"):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64).tanh().to(device, dtype)


def defined(*inputs, start=None):
    arrays = [x.detach().cpu().double().numpy() for x in inputs]
    start = None if start is None else start.detach().cpu().double().numpy()
    return torch.from_numpy(recurrent.define(*arrays, start=start))


# Equal to the definition

SHAPES = {
    "one step": (1,),
    "no batch axes, odd n": (97,),
    "one leading axis": (3, 33),
    "two leading axes": (2, 3, 16),
    "no steps": (0,),
    "no steps of a batch": (2, 0),
    "an empty batch": (0, 4),
}
STARTS = {
    "from 0": None,
    "one start for all": (),
    "more starts than inputs": (5, 1, 1),
}


@on_devices
@pytest.mark.parametrize("lead", STARTS.values(), ids=STARTS)
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_equals_its_definition(shape, lead, device):
    inputs = draw_network(*shape, device=device)
    start = None if lead is None else draw_start(*lead, 6, device=device)
    out = recurrent.apply(*inputs, start=start)
    assert_close(out, defined(*inputs, start=start))


@st.composite
def problems(draw_one):
    """Leading axes that broadcast, any length, any widths."""
    size = st.integers(1, 9)
    lead = draw_one(st.lists(st.integers(1, 3), max_size=3))

    def part_of(axes):
        kept = [draw_one(st.sampled_from([1, axis])) for axis in axes]
        return kept[draw_one(st.integers(0, len(kept))) :]

    n, d, d_in = draw_one(st.integers(0, 9)), draw_one(size), draw_one(size)
    inputs = draw_network(*part_of(lead), n, d=d, d_in=d_in, gain=2)
    return inputs, draw_one(st.sampled_from([None, draw_start(*part_of(lead), d)]))


@given(problem=problems())
def test_equals_its_definition_whatever_the_shapes(problem):
    inputs, start = problem
    assert_close(recurrent.apply(*inputs, start=start), defined(*inputs, start=start))


def test_an_example_by_hand():
    """One unit, two steps: tanh(2·0 + 3·1 − 1), then tanh(2·tanh 2 + 3·0 − 1)."""
    x, w_x, w_h, bias = np.array([[1.0], [0.0]]), np.array([[3.0]]), np.array([[2.0]]), [-1.0]
    expected = np.array([[np.tanh(2)], [np.tanh(2 * np.tanh(2) - 1)]])
    assert recurrent.define(x, w_x, w_h, bias) == pytest.approx(expected)


def test_is_what_pytorch_calls_a_recurrent_network():
    x, w_x, w_h, bias = draw_network(3, 33)
    start = draw_start(3, 6)
    network = torch.nn.RNN(4, 6, batch_first=True, dtype=torch.float64)
    weights = {"weight_ih_l0": w_x, "weight_hh_l0": w_h, "bias_ih_l0": bias}
    network.load_state_dict(weights | {"bias_hh_l0": torch.zeros_like(bias)})
    theirs, _ = network(x, start[None])
    assert_close(recurrent.apply(x, w_x, w_h, bias, start=start), theirs.detach())


@pytest.mark.parametrize("size", [1.0, 1e30], ids=["noise", "huge noise"])
@pytest.mark.parametrize("cut", [1, 48, 96])
def test_the_future_does_not_change_the_past(cut, size):
    x, *weights = draw_network(2, 97)
    changed = torch.cat([x[:, :cut], size * draw_network(2, 97, seed=1)[0][:, cut:]], dim=1)
    before, after = (recurrent.apply(inputs, *weights) for inputs in (x, changed))
    assert_close(after[:, :cut], before[:, :cut])
    assert (after[:, cut] != before[:, cut]).any()


def test_the_past_sends_no_gradient_to_the_future():
    x, *weights = draw_network(2, 33)
    out = recurrent.apply(x.requires_grad_(), *weights)
    [gradient] = torch.autograd.grad(out[:, :20].sum(), [x])
    assert gradient[:, 19].any()
    assert not gradient[:, 20:].any()


@pytest.mark.parametrize("shape", [(1,), (4,), (2, 3)], ids=str)
def test_gradients_are_those_of_the_output(shape):
    inputs = [x.requires_grad_() for x in (*draw_network(*shape, d=3, d_in=2), draw_start(3))]
    assert torch.autograd.gradcheck(lambda *x: recurrent.apply(*x[:4], start=x[4]), inputs)


def test_strides_do_not_matter():
    inputs = draw_network(2, 33)
    strided = [x.mT.contiguous().mT for x in inputs[:3]]
    assert not any(x.is_contiguous() for x in strided)
    assert_close(recurrent.apply(*strided, inputs[3]), defined(*inputs))


@on_devices
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
def test_error_is_a_few_roundings_of_the_dtype(dtype, device):
    """Where the network contracts, errors die out and cannot add up over 257 steps."""
    inputs = draw_network(2, 257, d=32, d_in=16, gain=0.5, dtype=dtype, device=device)
    out = recurrent.apply(*inputs)
    assert out.dtype == dtype
    error = (out.cpu().double() - defined(*inputs)).abs()
    assert error.max() <= 16 * torch.finfo(dtype).eps


# What it costs


@pytest.mark.parametrize("device", ["cpu", "meta"])
@pytest.mark.parametrize("n", [1, 64, 97])
def test_executed_flops_are_counted_to_the_last_one(n, device):
    inputs = [x.to(device) for x in draw_network(2, 3, n, d=12, d_in=12)]
    with FlopCounterMode(display=False) as counter:
        recurrent.apply(*inputs)
    cost = recurrent.cost()
    assert counter.get_total_flops() == 2 * 3 * cost.executed(n=n, d=12)
    assert cost.executed(n=n, d=12) == cost.needed(n=n, d=12)
    assert cost.executed.unit == cost.needed.unit == "FLOPs"


def test_a_step_in_the_middle_costs_what_the_first_does():
    """A sequence without batch axes is a vector a step, and PyTorch counts no such products."""
    inputs = draw_network(5, d=12, d_in=12)
    with FlopCounterMode(display=False) as counter:
        recurrent.apply(*inputs, start=draw_start(12))
    assert counter.get_total_flops() == recurrent.cost().executed(n=5, d=12)


def kept_for_backward(n):
    """Bytes in the storages that autograd keeps, each counted once."""
    kept = {}

    def keep(saved):
        storage = saved.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return saved

    inputs = [x.requires_grad_() for x in draw_network(2, n)]
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda saved: saved):
        out = recurrent.apply(*inputs)
    assert out.requires_grad
    return sum(kept.values())


def test_saved_memory_is_linear_in_n():
    """Equal steps in n cost equal bytes; any n² would show as a second difference."""
    kept = [kept_for_backward(n) for n in (64, 128, 192, 256)]
    assert kept[0] >= 2 * 64 * 6 * 8  # the states at least
    assert not np.diff(kept, 2).any(), kept


def test_the_way_back_writes_no_full_length_tensor_a_step():
    """An index inside the loop saves nothing and still costs n² in the backward pass."""
    sizes = {}
    for n in (64, 128, 256):
        inputs = [x.requires_grad_() for x in draw_network(n)]
        out = recurrent.apply(*inputs)
        with torch.profiler.profile(profile_memory=True) as profile:
            out.sum().backward()
        allocated = (event.self_cpu_memory_usage for event in profile.events())
        sizes[n] = sum(size for size in allocated if size > 0)
    assert sizes[256] - sizes[128] < 2.2 * (sizes[128] - sizes[64]), sizes


# Streams

CHUNKS = {"step by step": [1] * 33, "uneven chunks": [7, 0, 1, 1, 16, 3, 5], "at once": [33]}


def stream(x, *weights, chunks):
    state, outputs = None, []
    for chunk in x.split(chunks, dim=-2):
        out, state = recurrent.step(state, chunk, *weights)
        outputs.append(out)
    return torch.cat(outputs, dim=-2), state


@pytest.mark.parametrize("chunks", CHUNKS.values(), ids=CHUNKS)
@pytest.mark.parametrize("shape", [(33,), (2, 3, 33)], ids=str)
def test_stream_equals_apply(shape, chunks):
    inputs = draw_network(*shape)
    out, state = stream(*inputs, chunks=chunks)
    assert_close(out, recurrent.apply(*inputs))
    assert torch.equal(state, out[..., -1, :])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("n", [1, 33, 200])
def test_stream_holds_the_bytes_it_says(n, dtype):
    """Its storage counts: a view of the last state would keep all states of the chunk alive."""
    _, state = recurrent.step(None, *draw_network(2, n, dtype=dtype))
    held = recurrent.cost().held
    assert state.untyped_storage().nbytes() == 2 * held(d=6, b=dtype.itemsize)
    assert held.unit == "bytes"


def test_step_leaves_its_state_as_it_was():
    """Two continuations of one prefix must not meet."""
    x, *weights = draw_network(6)
    _, state = recurrent.step(None, x[:4], *weights)
    before = state.clone()
    first, _ = recurrent.step(state, x[4:5], *weights)
    recurrent.step(state, x[5:], *weights)
    again, _ = recurrent.step(state, x[4:5], *weights)
    assert torch.equal(state, before)
    assert torch.equal(first, again)


def test_autocast_changes_nothing():
    """A step gave half precision, and refused to go on from its own state."""
    x, *weights = draw_network(2, 6, dtype=torch.float32)
    expected = recurrent.apply(x, *weights)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(recurrent.apply(x, *weights), expected)
        streamed, _ = stream(x, *weights, chunks=[4, 1, 1])
        assert recurrent.jacobians(expected, weights[1]).dtype == torch.float32
    torch.testing.assert_close(streamed, expected)


def test_a_stream_of_nothing_starts_no_stream():
    x, *weights = draw_network(2, 3)
    out, state = recurrent.step(None, x[:, :0], *weights)
    assert out.shape == (2, 0, 6)
    assert state is None


# Devices


@pytest.mark.parametrize("shape", [(1,), (97,), (2, 3, 16)], ids=str)
def test_meta_device_gives_the_shape(shape):
    """A forgotten device=, or a look at a value, fails here with no GPU at hand."""
    inputs = [x.to("meta").requires_grad_() for x in draw_network(*shape, dtype=torch.float32)]
    out = recurrent.apply(*inputs)
    out.sum().backward()
    assert (out.device.type, out.dtype, out.shape) == ("meta", torch.float32, (*shape, 6))
    last = recurrent.step(out[..., -1, :], *inputs)[1]
    assert recurrent.lyapunov(out, inputs[2]).shape == shape[:-1]
    assert (last.device.type, last.shape) == ("meta", (*shape[:-1], 6))


# Jacobians and what comes of them


def test_jacobians_are_those_of_autograd():
    x, *weights = draw_network(9)
    states = recurrent.apply(x, *weights)
    before = torch.cat([torch.zeros(1, 6, dtype=x.dtype), states[:-1]])

    def one_step(h, x_t):
        return recurrent.apply(x_t[None], *weights, start=h)[0]

    found = recurrent.jacobians(states, weights[1])
    for t in range(9):
        expected = torch.autograd.functional.jacobian(lambda h, t=t: one_step(h, x[t]), before[t])
        assert_close(found[t], expected)


def test_log_gradients_are_those_of_autograd():
    """The product the other way round has another norm, and so has one that is a step short."""
    x, *weights = draw_network(9)
    states = recurrent.apply(x, *weights)
    found = recurrent.log_gradients(states, weights[1])
    assert found.shape == (10,)
    for distance in range(10):
        start = states[8 - distance] if distance < 9 else torch.zeros(6, dtype=x.dtype)

        def last(h, distance=distance):
            return recurrent.apply(x[9 - distance :], *weights, start=h)[-1] if distance else h

        jacobian = torch.autograd.functional.jacobian(last, start)
        assert found[distance].exp() == pytest.approx(jacobian.norm().item() / 6**0.5)


def test_lyapunov_of_a_linear_regime_is_the_logarithm_of_the_gain():
    """At h = 0 the network is W_h itself; a rotation by g grows by g in every direction."""
    rotation = torch.linalg.qr(draw_network(1, d=6)[2]).Q
    for gain in (0.5, 1.0, 3.0):
        found = recurrent.lyapunov(torch.zeros(2, 400, 6, dtype=torch.float64), gain * rotation)
        assert found == pytest.approx([np.log(gain)] * 2)


def test_lyapunov_survives_products_out_of_range():
    """e^2000 is no floating-point number, and neither is e^-2000."""
    states = torch.zeros(1000, 2, dtype=torch.float64)
    for exponent in (-2.0, 2.0):
        w_h = np.exp(exponent) * torch.eye(2, dtype=torch.float64)
        assert recurrent.lyapunov(states, w_h).item() == pytest.approx(exponent)


def test_what_is_forgotten_at_once_is_minus_infinity():
    states = torch.zeros(5, 3, dtype=torch.float64)
    w_h = torch.diag(torch.ones(2, dtype=torch.float64), 1)  # nilpotent: its third power is 0
    assert recurrent.log_gradients(states, w_h)[:3].isfinite().all()
    assert (recurrent.log_gradients(states, w_h)[3:] == -torch.inf).all()
    assert recurrent.lyapunov(states, w_h).item() == -torch.inf


# The scan


def draw_maps(*lead_and_n, d=3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    shapes = (*lead_and_n, d, d), (*lead_and_n, d)
    return [torch.randn(shape, generator=generator, dtype=torch.float64) / d for shape in shapes]


def test_composition_is_associative():
    """What allows a scan to bracket at will."""
    first, second, third = (tuple(draw_maps(7, seed=seed)) for seed in range(3))
    left = recurrent.compose(recurrent.compose(third, second), first)
    right = recurrent.compose(third, recurrent.compose(second, first))
    for one, other in zip(left, right, strict=True):
        torch.testing.assert_close(one, other)


def test_composition_does_the_earlier_map_first():
    """Affine maps do not commute: adding 1 and then doubling is not doubling and adding 1."""
    two, one = torch.full((1, 1), 2.0), torch.ones(1)
    double, add = (two, 0 * one), (two / 2, one)
    assert recurrent.compose(double, add) == (two, 2 * one)
    assert recurrent.compose(add, double) == (two, one)


@pytest.mark.parametrize("n", [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 31, 32, 33, 100])
@pytest.mark.parametrize("lead", [(), (2, 3)], ids=["no batch", "batch"])
def test_scan_equals_one_step_after_another(n, lead):
    A, b = draw_maps(*lead, n)
    h, expected = torch.zeros(*lead, 3, 1, dtype=A.dtype), []
    for t in range(n):
        h = A[..., t, :, :] @ h + b[..., t, :, None]
        expected.append(h[..., 0])
    found = recurrent.scan(A, b)
    assert_close(found, torch.stack(expected, dim=-2) if n else b)


def test_scan_takes_a_round_a_doubling_there_and_back():
    """Its depth, which is all that it is for: products in a row, each of many matrices at once."""

    def products(n):
        with torch.profiler.profile() as profile:
            recurrent.scan(*draw_maps(n))
        return sum(event.name == "aten::bmm" for event in profile.events())

    # A round composes by two products, and one fills in, in reverse, if something is between.
    assert [products(n) for n in (2, 4, 8, 1024)] == [3 * rounds for rounds in (1, 2, 3, 10)]


@pytest.mark.parametrize("garbage", [torch.inf, torch.nan])
def test_what_is_not_finite_spoils_no_earlier_state(garbage):
    for cut, place in itertools.product(range(9), range(2)):
        maps = draw_maps(9)
        expected = recurrent.scan(*maps)[:cut]
        maps[place][cut] = garbage
        assert_close(recurrent.scan(*maps)[:cut], expected)


def test_scan_passes_gradients():
    assert torch.autograd.gradcheck(
        recurrent.scan, [x.requires_grad_() for x in draw_maps(2, 7, d=2)]
    )


# All steps at once


@on_devices
@pytest.mark.parametrize("lead", STARTS.values(), ids=STARTS)
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_newton_equals_apply(shape, lead, device):
    inputs = draw_network(*shape, device=device)
    start = None if lead is None else draw_start(*lead, 6, device=device)
    states, iterations = recurrent.newton(*inputs, start=start)
    expected = recurrent.apply(*inputs, start=start)
    assert states.shape == expected.shape
    assert_close(states, expected.cpu(), within=1e-12)
    assert iterations <= min(shape[-1], 15)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_newton_stops_at_the_precision_of_the_dtype(dtype):
    """A tolerance below the rounding is never met: n iterations where six would do."""
    inputs = draw_network(2, 1000, d=16, d_in=1, gain=1.5, dtype=dtype)
    states, iterations = recurrent.newton(*inputs)
    assert iterations <= 20
    assert states.dtype == dtype
    expected = recurrent.apply(*inputs)
    assert_close(states, expected, within=64 * torch.finfo(dtype).eps)


def test_an_iteration_solves_the_linearised_network():
    """Jacobians taken elsewhere converge as well, only later, and nobody would see why."""
    inputs = draw_network(5, gain=0.3)
    guess = recurrent.newton(*inputs, most=1)[0]

    def one_step_each(before):
        x, *weights = inputs
        return recurrent.apply(x[:, None], *weights, start=before)[:, 0]

    before = torch.cat([torch.zeros(1, 6, dtype=guess.dtype), guess[:-1]])
    images, J = one_step_each(before), torch.autograd.functional.jacobian(one_step_each, before)
    expected, change = [], torch.zeros(6, dtype=guess.dtype)
    for t in range(5):
        expected.append(images[t] + J[t, :, t] @ change)
        change = expected[t] - guess[t]
    found = recurrent.newton(*inputs, most=2)[0]
    assert_close(found, torch.stack(expected))
    assert not torch.allclose(found, guess, atol=1e-6)


def test_no_guess_leaves_the_range_of_the_network():
    """In chaos a step of Newton's goes far astray; from there it takes longer to come back."""
    inputs = draw_network(2, 200, gain=4)
    for most in range(1, 30):
        assert recurrent.newton(*inputs, most=most)[0].abs().max() <= 1


@pytest.mark.parametrize("gain", [0.9, 4.0, 50.0], ids=["contracting", "chaotic", "wild"])
def test_iteration_k_makes_k_states_exact(gain):
    inputs = draw_network(2, 24, gain=gain)
    expected = recurrent.apply(*inputs)
    for most in (1, 2, 5, 23, 24, 100):
        states, iterations = recurrent.newton(*inputs, tolerance=0, most=most)
        assert iterations <= min(most, 24)
        # In chaos, a last digit that differs has grown within 24 steps.
        assert_close(states[:, : min(most, 8)], expected[:, : min(most, 8)], within=1e-6)


@pytest.mark.parametrize(
    ("gain", "dtype", "within"),
    [
        (4.0, torch.float32, 1e-5),
        (50.0, torch.float32, 1e-4),
        (4.0, torch.float64, 1e-12),
        (50.0, torch.float64, 1e-12),
        (1e6, torch.float64, 1e-8),
    ],
    ids=str,
)
def test_newton_keeps_its_promise_in_chaos(gain, dtype, within):
    """Products of Jacobians overflow, and still each state follows from the one before it."""
    x, w_x, w_h, bias = inputs = draw_network(2, 600, d=8, gain=gain, dtype=dtype)
    states, iterations = recurrent.newton(*inputs)
    assert 60 < iterations <= 600
    before = torch.cat([torch.zeros(2, 1, 8, dtype=dtype), states[:, :-1]], dim=1)
    assert_close(states, (x @ w_x.T + before @ w_h.T + bias).tanh(), within=within)


def test_states_that_are_exact_are_not_computed_again():
    """From the k-th iteration on, k states are done with: half the work of n iterations."""
    flops = {}
    for most in (1, 100):
        with FlopCounterMode(display=False) as counter:
            _, taken = recurrent.newton(*draw_network(100, gain=50), tolerance=0, most=most)
        flops[most] = counter.get_total_flops() / taken
    assert 0.4 < flops[100] / flops[1] < 0.6


def test_newton_needs_few_iterations_where_the_network_forgets():
    """And hardly more for longer sequences."""
    networks = (draw_network(n, d=16, d_in=16, gain=0.5) for n in (64, 512, 4096))
    taken = [recurrent.newton(*network)[1] for network in networks]
    assert max(taken) <= min(taken) + 1 <= 9


# Bad inputs

BAD = {
    "an array": ("x", np.zeros((2, 5, 4))),
    "one axis": ("x", torch.zeros(4)),
    "integers": ("x", torch.zeros(2, 5, 4, dtype=torch.long)),
    "complex weights": ("w_h", torch.zeros(6, 6, dtype=torch.complex64)),
    "integer weights": ("w_x", torch.zeros(6, 4, dtype=torch.long)),
    "weights of a batch": ("w_h", torch.zeros(2, 6, 6)),
    "weights that are not square": ("w_h", torch.zeros(6, 5)),
    "transposed weights": ("w_x", torch.zeros(4, 6)),
    "weights of width one, which would broadcast": ("w_x", torch.zeros(6, 1)),
    "one bias for all, which would broadcast": ("bias", torch.zeros(1)),
    "a bias of two axes": ("bias", torch.zeros(1, 6)),
    "a start of another width": ("start", torch.zeros(2, 5)),
    "a start of width one, which would broadcast": ("start", torch.zeros(2, 1)),
    "leading axes of the start": ("start", torch.zeros(3, 6)),
    "dtype of weights": ("w_x", torch.zeros(6, 4, dtype=torch.float64)),
    "dtype of the bias": ("bias", torch.zeros(6, dtype=torch.float16)),
    "device of weights": ("w_h", torch.zeros(6, 6, device="meta")),
    "device of the start": ("start", torch.zeros(2, 6, device="meta")),
}


def fitting():
    return {
        "x": torch.zeros(2, 5, 4),
        "w_x": torch.zeros(6, 4),
        "w_h": torch.zeros(6, 6),
        "bias": torch.zeros(6),
    }


@pytest.mark.parametrize("door", [recurrent.apply, recurrent.newton])
@pytest.mark.parametrize(("name", "value"), BAD.values(), ids=BAD)
def test_bad_input_is_refused_by_name(door, name, value):
    with pytest.raises(ValueError, match=rf"^{name} must .*, got "):
        door(**fitting() | {name: value})


@pytest.mark.parametrize("tokens", [0, 3], ids=["at the start", "in the middle"])
@pytest.mark.parametrize(("name", "value"), [case for case in BAD.values() if case[0] != "start"])
def test_bad_step_is_refused_by_name(name, value, tokens):
    _, state = recurrent.step(None, **fitting() | {"x": torch.zeros(2, tokens, 4)})
    with pytest.raises(ValueError, match=rf"^{name} must .*, got "):
        recurrent.step(state, **fitting() | {name: value})


@pytest.mark.parametrize("unfit", UNFIT.values(), ids=UNFIT)
def test_a_tensor_that_is_not_dense_or_has_no_such_numbers_is_refused_by_name(unfit):
    """Float8 and sparse ones died inside, in words about kernels."""
    good, state = fitting(), torch.rand(2, 6)
    for name, x in {**good, "start": state}.items():
        for door in (recurrent.apply, recurrent.newton):
            with pytest.raises(ValueError, match=rf"^{name} must be a dense tensor of .*, got "):
                door(**{**good, name: unfit(x)})
    for name, x in {**good, "state": state}.items():
        with pytest.raises(ValueError, match=rf"^{name} must be a dense tensor of .*, got "):
            recurrent.step(**{"state": state, **good, name: unfit(x)})
    for name in ("states", "w_h"):
        given = {"states": torch.rand(5, 6), "w_h": torch.rand(6, 6)}
        for door in (recurrent.jacobians, recurrent.log_gradients, recurrent.lyapunov):
            with pytest.raises(ValueError, match=rf"^{name} must be a dense tensor of .*, got "):
                door(**{**given, name: unfit(given[name])})
    for name in ("A", "b"):
        given = {"A": torch.rand(5, 3, 3), "b": torch.rand(5, 3)}
        with pytest.raises(ValueError, match=rf"^{name} must be a dense tensor of .*, got "):
            recurrent.scan(**{**given, name: unfit(given[name])})


@pytest.mark.parametrize("lead", [(3,), (), (1,), (1, 2)], ids=str)
def test_a_stream_keeps_its_leading_axes(lead):
    """A batch of one would broadcast, and one sequence would go on as two."""
    _, state = recurrent.step(None, **fitting())
    with pytest.raises(ValueError, match=r"^x must continue its stream"):
        recurrent.step(state, **fitting() | {"x": torch.zeros(*lead, 5, 4)})


@pytest.mark.parametrize("door", [recurrent.jacobians, recurrent.log_gradients, recurrent.lyapunov])
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("states", np.zeros((5, 6))),
        ("states", torch.zeros(6)),
        ("states", torch.zeros(5, 6, dtype=torch.long)),
        ("w_h", torch.zeros(6)),
        ("w_h", torch.zeros(5, 5)),
        ("w_h", torch.zeros(2, 6, 6)),
        ("w_h", torch.zeros(6, 6, dtype=torch.float64)),
        ("w_h", torch.zeros(6, 6, device="meta")),
    ],
)
def test_bad_trajectory_is_refused_by_name(door, name, value):
    with pytest.raises(ValueError, match=rf"^{name} must .*, got "):
        door(**{"states": torch.zeros(5, 6), "w_h": torch.zeros(6, 6)} | {name: value})


def test_no_steps_have_no_exponent():
    """0/0 would pass for a network that neither forgets nor is chaotic."""
    with pytest.raises(ValueError, match=r"^states must have at least one step"):
        recurrent.lyapunov(torch.zeros(0, 6), torch.zeros(6, 6))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("b", torch.zeros(3)),
        ("A", torch.zeros(5, 3)),
        ("A", torch.zeros(5, 3, 2)),
        ("A", torch.zeros(4, 3, 3)),
        ("A", torch.zeros(1, 3, 3)),
        ("A", torch.zeros(5, 3, 3, dtype=torch.float64)),
        ("b", torch.zeros(5, 3, dtype=torch.long)),
    ],
)
def test_bad_maps_are_refused_by_name(name, value):
    with pytest.raises(ValueError, match=rf"^{name} must .*, got "):
        recurrent.scan(**{"A": torch.zeros(5, 3, 3), "b": torch.zeros(5, 3)} | {name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [("tolerance", -1e-9), ("tolerance", torch.nan), ("most", 0), ("most", 2.0), ("most", True)],
)
def test_bad_options_are_refused_by_name(name, value):
    with pytest.raises(ValueError, match=rf"^{name} must .*, got "):
        recurrent.newton(**fitting(), **{name: value})
