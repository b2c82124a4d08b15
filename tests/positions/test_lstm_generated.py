"""The LSTM that generates an encoding, held to torch.nn.LSTM and to itself in a stream."""

import pytest
import torch
from helpers.tensors import assert_close
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from attention_limits.positions import lstm_generated
from attention_limits.positions.lstm_generated import State

D, M = 5, 3


def draw_lstm(*lead_and_n, lead=(), d=D, m=M, seed=0, dtype=torch.float64):
    """Inputs (…, n, d), and weights with leading axes of their own."""
    generator = torch.Generator().manual_seed(seed)
    weights = (4 * m, d), (4 * m, m), (4 * m,), (d, m)
    shapes = (*lead_and_n, d), *((*lead, *shape) for shape in weights)
    return [
        torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype) for shape in shapes
    ]


def drawn_state(*lead, seed=9):
    generator = torch.Generator().manual_seed(seed)
    return State(*(torch.randn(*lead, M, generator=generator, dtype=torch.float64) for _ in "hc"))


def defined(*inputs, state=None):
    state = None if state is None else tuple(part.numpy() for part in state)
    return torch.from_numpy(lstm_generated.define(*(x.numpy() for x in inputs), state=state))


def pytorch(x, w_x, w_h, bias, w_out, state=None):
    """By torch.nn.LSTM, whose second bias is 0."""
    theirs = torch.nn.LSTM(w_x.shape[-1], w_h.shape[-1], batch_first=True, dtype=torch.float64)
    names = {"weight_ih_l0": w_x, "weight_hh_l0": w_h, "bias_ih_l0": bias}
    names["bias_hh_l0"] = torch.zeros_like(bias)
    state = None if state is None else tuple(part[None] for part in state)
    hidden, (h, c) = torch.func.functional_call(theirs, names, (x, state))
    return x + hidden @ w_out.mT, State(h[0], c[0])


# Equal to PyTorch's, and to the definition


@pytest.mark.parametrize("n", [1, 2, 40])
@pytest.mark.parametrize("with_state", [False, True], ids=["from 0", "from a state"])
def test_is_what_pytorch_calls_an_lstm(n, with_state):
    """Outputs, the state after them, and the gradients of everything that goes in."""
    inputs = [x.requires_grad_() for x in draw_lstm(4, n)]
    state = drawn_state(4) if with_state else None
    leaves = inputs + [part.requires_grad_() for part in state or ()]
    ours = lstm_generated.step(state, *inputs)
    theirs = pytorch(*inputs, state=state)
    results = []
    for out, after in (ours, theirs):
        total = sum((x * torch.linspace(-1, 1, x.numel()).view_as(x)).sum() for x in (out, *after))
        results.append([out, *after, *torch.autograd.grad(total, leaves)])
    for actual, expected in zip(*results, strict=True):
        assert_close(actual, expected)
    assert (lstm_generated.apply(*inputs, state=state) == ours[0]).all()


@pytest.mark.parametrize(
    ("x", "weights", "state"),
    [
        ((1,), (), None),
        ((9,), (), ()),
        ((2, 9), (), (2,)),
        ((2, 9), (), ()),
        ((2, 3, 4), (), (2, 1)),
        ((5, 2, 4), (5, 1), (5, 1)),
        ((5, 2, 4), (5, 2), None),
        ((4,), (5,), None),
        ((2, 0), (), None),
        ((0, 4), (), None),
        ((0,), (5,), None),
    ],
    ids=str,
)
def test_equals_its_definition(x, weights, state):
    inputs = draw_lstm(*x, lead=weights)
    state = None if state is None else drawn_state(*state)
    out = lstm_generated.apply(*inputs, state=state)
    expected = defined(*inputs, state=state)
    assert out.shape == expected.shape
    assert_close(out, expected)


def test_an_example_by_hand():
    """A gate open at +50 and shut at −50: the cell adds up tanh of the inputs, and shows it."""
    w_x = torch.tensor([[0.0], [0.0], [1.0], [0.0]])
    bias = torch.tensor([50.0, 50.0, 0.0, 50.0])
    w_h, w_out, x = torch.zeros(4, 1), torch.ones(1, 1), torch.tensor([[1.0], [2.0]])
    cell = torch.tensor([1.0, 2.0]).tanh().cumsum(0)
    y = lstm_generated.apply(x, w_x, w_h, bias, w_out)[:, 0]
    assert_close(y, torch.tensor([1.0, 2.0]) + cell.tanh(), within=1e-6)
    for shut, expected in {0: torch.zeros(2), 1: torch.tensor([1.0, 2.0]).tanh()}.items():
        closed = bias.clone()
        closed[shut] = -50
        y = lstm_generated.apply(x, w_x, w_h, closed, w_out)[:, 0]
        assert_close(y, torch.tensor([1.0, 2.0]) + expected.tanh(), within=1e-6)


def test_models_side_by_side_are_each_alone():
    x, *weights = draw_lstm(5, 2, 9, lead=(5, 1))
    together = lstm_generated.apply(x, *weights)
    for s in range(5):
        alone = lstm_generated.apply(x[s], *(w[s, 0] for w in weights))
        assert_close(together[s], alone)


def test_gradients_of_models_side_by_side_are_each_alone():
    x, *weights = draw_lstm(3, 2, 9, lead=(3, 1))
    upstream = torch.linspace(-1, 1, x.numel(), dtype=x.dtype).view_as(x)
    leaves = [w.requires_grad_() for w in weights]
    together = torch.autograd.grad(lstm_generated.apply(x, *leaves), leaves, upstream)
    for s in range(3):
        leaves = [w[s, 0].detach().requires_grad_() for w in weights]
        alone = torch.autograd.grad(lstm_generated.apply(x[s], *leaves), leaves, upstream[s])
        for actual, expected in zip(together, alone, strict=True):
            assert_close(actual[s, 0], expected)


class Sizes(TorchDispatchMode):
    """How many numbers the largest tensor holds that an operation makes."""

    largest = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        if isinstance(result, torch.Tensor):
            size = result.untyped_storage().nbytes() // result.element_size()
            self.largest = max(self.largest, size)
        return result


def test_weights_that_are_shared_are_not_copied_for_each_sequence():
    """A matrix for each of 3 · 64 sequences would be larger than the gates of all steps."""
    x, *weights = draw_lstm(3, 64, 2, lead=(3, 1))
    with Sizes() as sizes:
        lstm_generated.apply(x, *weights)
    assert sizes.largest == 3 * 64 * 2 * 4 * M < 3 * 64 * 4 * M * M


# Streams


@pytest.mark.parametrize("lengths", [[1] * 9, [4, 5], [0, 3, 0, 6]], ids=str)
@pytest.mark.parametrize("lead", [(), (5, 1)], ids=str)
def test_a_stream_gives_what_the_whole_gives(lead, lengths):
    x, *weights = draw_lstm(*(5, 2)[: 2 * bool(lead)], 9, lead=lead)
    state, chunks = None, []
    for chunk in x.split(lengths, dim=-2):
        y, state = lstm_generated.step(state, chunk, *weights)
        chunks.append(y)
    assert_close(torch.cat(chunks, dim=-2), lstm_generated.apply(x, *weights))
    assert state.hidden.shape == state.cell.shape == (*x.shape[:-2], M)


def test_the_future_does_not_change_the_past():
    x, *weights = draw_lstm(2, 9)
    changed = x.clone()
    changed[:, 5:] += 1
    before, after = (lstm_generated.apply(inputs, *weights) for inputs in (x, changed))
    assert (before[:, :5] == after[:, :5]).all()
    assert (before[:, 5:] != after[:, 5:]).any()


def test_it_tells_equal_tokens_apart():
    """Which attention alone cannot: each of a row of equal inputs gets a vector of its own."""
    x, *weights = draw_lstm(1)
    y = lstm_generated.apply(x.expand(6, D), *weights)
    assert torch.cdist(y, y)[~torch.eye(6, dtype=torch.bool)].min() > 1e-3


# EncodingCost, gradients, dtypes, devices


@pytest.mark.parametrize(("d", "m", "n"), [(5, 3, 7), (8, 16, 4)])
def test_the_price_counts_the_numbers_that_are_learned_and_the_products_that_run(d, m, n):
    x, *weights = draw_lstm(n, d=d, m=m)
    price = lstm_generated.cost(hidden=m)
    assert price.parameters(d=d) == sum(w.numel() for w in weights)
    with FlopCounterMode(display=False) as counter:
        lstm_generated.apply(x, *weights)
    assert price.flops(n=n, d=d) - n * (12 * m + d) == counter.get_total_flops()


@pytest.mark.parametrize("lead", [(), (2, 1)], ids=str)
def test_gradients_are_those_of_the_output(lead):
    inputs = [x.requires_grad_() for x in draw_lstm(2, 2, 3, lead=lead, d=2, m=2)]
    assert torch.autograd.gradcheck(lstm_generated.apply, inputs)


@pytest.mark.parametrize(
    ("dtype", "within"), [(torch.float32, 1e-5), (torch.bfloat16, 5e-2), (torch.float16, 5e-3)]
)
def test_narrow_dtypes_stay_near(dtype, within):
    inputs = [x.to(dtype) for x in draw_lstm(4, 30)]
    out = lstm_generated.apply(*inputs)
    assert out.dtype == dtype
    expected = defined(*(x.double() for x in inputs))
    assert (out.double() - expected).square().mean().sqrt() < within


def test_large_inputs_stay_finite():
    """A sigmoid of 1 / (1 + e^−z) overflows."""
    x, *weights = draw_lstm(9)
    out, expected = lstm_generated.apply(1e6 * x, *weights), defined(1e6 * x, *weights)
    assert out.isfinite().all()
    assert_close(out, expected)


def test_runs_on_meta():
    inputs = [x.to("meta") for x in draw_lstm(2, 9)]
    y, state = lstm_generated.step(None, *inputs)
    assert y.shape == (2, 9, D)
    assert lstm_generated.step(state, *inputs)[1].cell.is_meta


# Bad input

X, W_X, W_H, BIAS, W_OUT = FITTING = draw_lstm(2, 4)
REFUSED = {
    "inputs no tensor": ("x", {0: [[1.0]]}),
    "inputs without tokens": ("x", {0: X[0, 0]}),
    "inputs of integers": ("x", {0: X.long()}),
    "weights of other inputs": ("w_x", {1: W_X[:, 1:]}),
    "weights of other gates": ("w_x", {1: W_X[1:]}),
    "weights of other states": ("w_h", {2: W_H[1:]}),
    "one row of weights": ("w_h", {2: W_H[0]}),
    "another bias": ("bias", {3: BIAS[1:]}),
    "encodings of another width": ("w_out", {4: W_OUT[1:]}),
    "encodings of other states": ("w_out", {4: W_OUT[:, 1:]}),
    "weights in another dtype": ("w_h", {2: W_H.float()}),
    "weights elsewhere": ("w_out", {4: W_OUT.to("meta")}),
    "weights of another batch": ("w_x", {1: W_X.expand(3, *W_X.shape)}),
}
STATES = {
    "of another width": ("hidden", State(torch.zeros(2, 4), torch.zeros(2, 4))),
    "in another dtype": ("cell", State(torch.zeros(2, M).double(), torch.zeros(2, M))),
    "of another batch": ("hidden", State(torch.zeros(3, M), torch.zeros(3, M))),
}


@pytest.mark.parametrize(("name", "wrong"), REFUSED.values(), ids=REFUSED)
def test_bad_input_is_refused_by_name(name, wrong):
    given = [wrong.get(place, x) for place, x in enumerate(FITTING)]
    for call in (lambda: lstm_generated.apply(*given), lambda: lstm_generated.step(None, *given)):
        with pytest.raises(ValueError, match=rf"^{name} must "):
            call()


@pytest.mark.parametrize(("name", "state"), STATES.values(), ids=STATES)
def test_a_wrong_state_is_refused_by_name(name, state):
    if name == "hidden":
        state = State(*(part.double() for part in state))
    for call in (
        lambda: lstm_generated.apply(*FITTING, state=state),
        lambda: lstm_generated.step(state, *FITTING),
    ):
        with pytest.raises(ValueError, match=rf"^{name} must "):
            call()


@pytest.mark.parametrize("lead", [(), (1,), (7, 2)], ids=str)
def test_a_stream_of_other_leading_axes_is_refused(lead):
    """It would broadcast, and go on for all sequences from the state of one."""
    state = drawn_state(*lead)
    assert lstm_generated.apply(*FITTING, state=state).shape == (*lead[:-1], *X.shape)
    with pytest.raises(ValueError, match=r"^x must continue its stream"):
        lstm_generated.step(state, *FITTING)


def test_the_price_wants_a_width():
    with pytest.raises(ValueError, match=r"^hidden must "):
        lstm_generated.cost(hidden=0)
