"""The convolution, held to what attention_limits/baselines/__init__.py promises."""

import numpy as np
import pytest
import sympy as sp
import torch
from helpers.integers import INTEGERS
from helpers.kinds import UNFIT
from helpers.tensors import assert_close, on_devices
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode

from attention_limits import symbols
from attention_limits.baselines import convolution
from attention_limits.meters import PeakMemory

CASES = {
    "plain": {"width": 5},
    "causal": {"width": 4, "causal": True},
    "of width one": {"width": 1},
    "dilated": {"width": 3, "dilation": 4},
    "causal and dilated": {"width": 3, "causal": True, "dilation": 7},
    "depthwise": {"width": 3, "depthwise": True},
    "depthwise, causal and dilated": {
        "width": 4,
        "causal": True,
        "dilation": 2,
        "depthwise": True,
    },
}
cases = pytest.mark.parametrize("case", CASES.values(), ids=CASES)
causal_cases = pytest.mark.parametrize(
    "case", [c for c in CASES.values() if "causal" in c], ids=[n for n in CASES if "causal" in n]
)


def options(case):
    """What the doors take of a case; the kernel says the rest."""
    return {name: case[name] for name in ("causal", "dilation") if name in case}


def stream_options(case):
    return {name: case[name] for name in ("dilation",) if name in case}


def draw_convolution(*lead_and_n, case, d=4, d_out=6, seed=0, dtype=torch.float64, device="cpu"):
    """Standard normal inputs, and weights that keep their size; depthwise, d_out is d."""
    generator = torch.Generator().manual_seed(seed)
    width = case["width"]
    d_out, kernel = (d, (width, d)) if case.get("depthwise") else (d_out, (width, d_out, d))
    shapes = (*lead_and_n, d), kernel, (d_out,)
    scales = 1, (kernel[0] * (d if len(kernel) == 3 else 1)) ** -0.5, 0.5
    return [
        (scale * torch.randn(shape, generator=generator, dtype=torch.float64)).to(device, dtype)
        for shape, scale in zip(shapes, scales, strict=True)
    ]


def defined(x, kernel, bias=None, **options):
    arrays = [None if a is None else a.detach().cpu().double().numpy() for a in (x, kernel, bias)]
    return torch.from_numpy(convolution.define(*arrays, **options))


# Equal to the definition

SHAPES = {
    "one input": (1,),
    "fewer inputs than the kernel is wide": (2,),
    "no batch axes, odd n": (97,),
    "one leading axis": (3, 33),
    "two leading axes": (2, 3, 16),
    "no inputs": (0,),
    "no inputs of a batch": (2, 0),
    "an empty batch": (0, 4),
}


@on_devices
@cases
@pytest.mark.parametrize("with_bias", [False, True], ids=["", "bias"])
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_equals_its_definition(shape, with_bias, case, device):
    inputs = draw_convolution(*shape, case=case, device=device)[: 3 if with_bias else 2]
    assert_close(convolution.apply(*inputs, **options(case)), defined(*inputs, **options(case)))


@st.composite
def problems(draw_one):
    """Any leading axes, lengths, widths and dilations."""
    size = st.integers(1, 6)
    causal = draw_one(st.booleans())
    width = draw_one(size if causal else st.sampled_from([1, 3, 5]))
    case = {"width": width, "causal": causal, "dilation": draw_one(size)}
    case["depthwise"] = draw_one(st.booleans())
    lead_and_n = (*draw_one(st.lists(st.integers(0, 3), max_size=3)), draw_one(st.integers(0, 20)))
    return draw_convolution(*lead_and_n, case=case, d=draw_one(size), d_out=draw_one(size)), case


@given(problem=problems())
def test_equals_its_definition_whatever_the_shapes(problem):
    inputs, case = problem
    assert_close(convolution.apply(*inputs, **options(case)), defined(*inputs, **options(case)))


def test_an_example_by_hand():
    """Weights 1, 10, 100 for three positions: digits of what is ahead, here and behind."""
    x, kernel = np.array([[1.0], [2.0], [3.0]]), np.array([1.0, 10.0, 100.0])[:, None, None]

    def y(x, kernel, **options):
        return convolution.define(x, kernel, **options)[:, 0].tolist()

    assert y(x, kernel) == [12, 123, 230]
    assert y(x, kernel, causal=True) == [1, 12, 123]
    assert y(x, kernel, dilation=2) == [13, 20, 130]
    assert y(x, kernel, causal=True, dilation=2) == [1, 2, 13]
    assert y(x, kernel[..., 0], causal=True) == [1, 12, 123]
    assert y(x, kernel, bias=np.array([0.5])) == [12.5, 123.5, 230.5]


def test_a_matrix_takes_its_inputs_along_its_last_axis():
    """d_out = d_in hides an exchange of the two, but for the numbers."""
    x, W = np.array([[1.0, 2.0]]), np.array([[[0.0, 1.0], [0.0, 0.0]]])
    assert convolution.define(x, W).tolist() == [[2.0, 0.0]]
    assert convolution.apply(*map(torch.from_numpy, (x, W))).tolist() == [[2.0, 0.0]]


def test_a_depthwise_kernel_is_one_of_diagonal_matrices():
    case = CASES["depthwise"]
    x, kernel, bias = draw_convolution(2, 9, case=case)
    expected = convolution.apply(x, kernel.diag_embed(), bias)
    assert_close(convolution.apply(x, kernel, bias), expected)


@pytest.mark.parametrize("dilation", [1, 3])
def test_is_what_pytorch_calls_a_convolution(dilation):
    """But for the order of the weights: PyTorch's first one weighs the position furthest behind."""
    x, kernel, bias = draw_convolution(3, 33, case=CASES["plain"])
    theirs = torch.nn.Conv1d(4, 6, 5, dilation=dilation, padding="same", dtype=torch.float64)
    theirs.load_state_dict({"weight": kernel.flip(0).permute(1, 2, 0), "bias": bias})
    expected = theirs(x.mT).mT.detach()
    assert_close(convolution.apply(x, kernel, bias, dilation=dilation), expected)


@cases
def test_a_shifted_input_gives_a_shifted_output(case):
    """Equivariance, which the ends break only where zeros are shifted in."""
    x, *weights = draw_convolution(2, 60, case=case)
    x[:, :25], x[:, 35:] = 0, 0
    weights = weights[:1]
    shifted = convolution.apply(x.roll(9, dims=1), *weights, **options(case))
    assert_close(shifted, convolution.apply(x, *weights, **options(case)).roll(9, dims=1))


@cases
def test_an_output_depends_on_the_inputs_of_its_positions_and_no_others(case):
    """By the gradient: which x_j reach y_i."""
    x, *weights = draw_convolution(33, case=case)
    out = convolution.apply(x.requires_grad_(), *weights, **options(case))
    [gradient] = torch.autograd.grad(out[16].sum(), [x])
    width, dilation = case["width"], case.get("dilation", 1)
    first = 0 if case.get("causal") else -(width - 1) // 2
    expected = {16 - dilation * (first + place) for place in range(width)} & set(range(33))
    assert set(gradient.any(-1).nonzero().flatten().tolist()) == expected


@causal_cases
@pytest.mark.parametrize("size", [1.0, 1e30], ids=["noise", "huge noise"])
@pytest.mark.parametrize("cut", [1, 48, 96])
def test_the_future_does_not_change_the_past(cut, size, case):
    x, *weights = draw_convolution(2, 97, case=case)
    noise, *_ = draw_convolution(2, 97, case=case, seed=1)
    changed = torch.cat([x[:, :cut], size * noise[:, cut:]], dim=1)
    before, after = (
        convolution.apply(inputs, *weights, **options(case)) for inputs in (x, changed)
    )
    assert_close(after[:, :cut], before[:, :cut])
    assert (after[:, cut] != before[:, cut]).any()


@cases
@pytest.mark.parametrize("shape", [(1,), (4,), (2, 3)], ids=str)
def test_gradients_are_those_of_the_output(shape, case):
    inputs = [x.requires_grad_() for x in draw_convolution(*shape, case=case, d=3, d_out=2)]
    assert torch.autograd.gradcheck(lambda *x: convolution.apply(*x, **options(case)), inputs)


@cases
def test_no_inputs_have_gradients_too(case):
    """A batch of which one sample is empty must not end in an error in the backward pass."""
    inputs = [x.requires_grad_() for x in draw_convolution(2, 0, case=case)]
    convolution.apply(*inputs, **options(case)).sum().backward()
    assert all(x.grad is not None and not x.grad.any() for x in inputs)


@cases
def test_strides_do_not_matter(case):
    inputs = draw_convolution(2, 3, 33, case=case)
    strided = [x.transpose(0, -1).contiguous().transpose(0, -1) for x in inputs[:2]]
    assert not strided[0].is_contiguous()
    assert_close(
        convolution.apply(*strided, inputs[2], **options(case)), defined(*inputs, **options(case))
    )


@on_devices
@cases
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
def test_error_is_a_few_roundings_of_the_dtype(dtype, case, device):
    """Half precision sums up to 160 products in more than itself, and rounds once, at the end."""
    inputs = draw_convolution(2, 65, case=case, d=32, d_out=16, dtype=dtype, device=device)
    out = convolution.apply(*inputs, **options(case))
    assert out.dtype == dtype
    expected = defined(*inputs, **options(case))
    error = (out.cpu().double() - expected).abs()
    roundings = 8 if dtype == torch.float32 else 0.75
    assert (error <= roundings * torch.finfo(dtype).eps * (1 + expected.abs())).all()


# What it costs


def priced(case):
    return convolution.cost(**case)


@cases
@pytest.mark.parametrize("device", ["cpu", "meta"])
@pytest.mark.parametrize("n", [1, 2, 64, 97])
def test_executed_flops_are_counted_to_the_last_one(n, device, case):
    inputs = [x.to(device) for x in draw_convolution(2, 3, n, case=case, d=12, d_out=12)]
    with FlopCounterMode(display=False) as counter:
        convolution.apply(*inputs, **options(case))
    executed = priced(case).executed
    assert counter.get_total_flops() == 2 * 3 * executed(n=n, d=12)
    assert executed.unit == "FLOPs"


@cases
@pytest.mark.parametrize("n", [1, 2, 3, 7, 8, 9, 33])
def test_needed_are_the_products_that_the_definition_forms(n, case):
    """Of ones, each output counts its inputs; what lies beyond the ends is not among them."""
    ones = np.ones((n, 1)), np.ones((case["width"], 1, 1))
    products = convolution.define(*ones, **options(case)).sum()
    channels = 12 if case.get("depthwise") else 12 * 12
    needed = priced(case).needed
    assert needed(n=n, d=12) == 2 * channels * products
    assert needed(n=n, d=12) <= priced(case).executed(n=n, d=12)
    assert needed.unit == "FLOPs"


@cases
def test_parameters_are_those_of_the_kernel(case):
    kernel = draw_convolution(1, case=case, d=12, d_out=12)[1]
    counted = convolution.parameters(width=case["width"], depthwise=case.get("depthwise", False))
    assert counted(d=12) == kernel.numel()
    assert symbols.n not in counted.symbols


def test_flops_are_two_a_parameter_and_output():
    """kd² parameters, 2nkd² FLOPs: the one does not grow with n, the other does."""
    executed = convolution.cost(width=9).executed.expr
    assert sp.simplify(executed / convolution.parameters(width=9).expr) == 2 * symbols.n


@cases
def test_memory_is_linear_in_n(case):
    """Equal steps in n cost equal bytes, forward and backward."""
    peaks = []
    for n in (2048, 4096, 6144, 8192):
        inputs = [x.to("meta").requires_grad_() for x in draw_convolution(2, n, case=case)]
        with PeakMemory() as memory:
            convolution.apply(*inputs, **options(case)).sum().backward()
        peaks.append(memory.peak)
    assert peaks[0] >= 2 * 2048 * 4 * 8  # the outputs at least
    assert not np.diff(peaks, 2).any(), peaks


# Reach


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("dilations", [[], [1], [1, 1, 1], [1, 2, 4], [5, 2]], ids=str)
def test_reach_is_as_far_as_a_gradient_comes(dilations, causal):
    x = torch.zeros(101, 1, dtype=torch.float64, requires_grad=True)
    y, kernel = x, torch.ones(3, 1, 1, dtype=torch.float64)
    for dilation in dilations:
        y = convolution.apply(y, kernel, causal=causal, dilation=dilation)
    [gradient] = torch.autograd.grad(y[50], [x])
    seen = gradient[:, 0].nonzero().flatten()
    assert seen.max() - seen.min() + 1 == convolution.receptive_field(3, dilations)
    assert seen.max() == 50 if causal else seen.max() + seen.min() == 100


def test_reach_doubles_with_dilations_that_do():
    """As the module says: linear in the layers, or exponential."""
    layers = 6
    assert convolution.receptive_field(3, [1] * layers) == 1 + 2 * layers
    assert convolution.receptive_field(2, (2**layer for layer in range(layers))) == 2**layers


# Streams

CHUNKS = {"input by input": [1] * 33, "uneven chunks": [7, 0, 1, 1, 16, 3, 5], "at once": [33]}


def stream(x, *weights, chunks, **options):
    state, outputs = None, []
    for chunk in x.split(chunks, dim=-2):
        out, state = convolution.step(state, chunk, *weights, **options)
        outputs.append(out)
    return torch.cat(outputs, dim=-2), state


@causal_cases
@pytest.mark.parametrize("chunks", CHUNKS.values(), ids=CHUNKS)
@pytest.mark.parametrize("shape", [(33,), (2, 3, 33)], ids=str)
def test_stream_equals_apply(shape, chunks, case):
    inputs = draw_convolution(*shape, case=case)
    out, state = stream(*inputs, chunks=chunks, **stream_options(case))
    assert_close(out, convolution.apply(*inputs, **options(case)))
    held = (case["width"] - 1) * case.get("dilation", 1)
    assert torch.equal(state, inputs[0][..., 33 - held :, :])


def test_stream_of_width_one_holds_nothing():
    """A slice from −0 on would be all of it."""
    out, state = stream(*draw_convolution(2, 33, case=CASES["of width one"]), chunks=[30, 3])
    assert_close(out, defined(*draw_convolution(2, 33, case=CASES["of width one"])))
    assert state.shape == (2, 0, 4)


@causal_cases
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("n", [0, 1, 33, 200])
def test_stream_holds_the_bytes_it_says(n, dtype, case):
    """Its storage counts: a view of the last inputs would keep the whole chunk alive."""
    inputs = draw_convolution(2, n, case=case, dtype=dtype)
    _, state = convolution.step(None, *inputs, **stream_options(case))
    held = priced(case).held
    assert state.untyped_storage().nbytes() == 2 * held(d=4, b=dtype.itemsize)
    assert held.unit == "bytes"


@causal_cases
def test_autocast_changes_nothing(case):
    """A step gave half precision, and refused to go on from its own state."""
    inputs = draw_convolution(2, 26, case=case, dtype=torch.float32)
    expected = convolution.apply(*inputs, **options(case))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = convolution.apply(*inputs, **options(case))
        streamed, _ = stream(*inputs, chunks=[20, 6], **stream_options(case))
    assert torch.equal(out, expected)
    torch.testing.assert_close(streamed, expected)


@causal_cases
def test_step_leaves_its_state_as_it_was(case):
    """Two continuations of one prefix must not meet."""
    x, *weights = draw_convolution(26, case=case)
    options = stream_options(case)
    _, state = convolution.step(None, x[:24], *weights, **options)
    before = state.clone()
    first, _ = convolution.step(state, x[24:25], *weights, **options)
    convolution.step(state, x[25:], *weights, **options)
    again, _ = convolution.step(state, x[24:25], *weights, **options)
    assert torch.equal(state, before)
    assert torch.equal(first, again)


# Devices


@cases
@pytest.mark.parametrize("shape", [(1,), (97,), (2, 3, 16)], ids=str)
def test_meta_device_gives_the_shape(shape, case):
    """A forgotten device=, or a look at a value, fails here with no GPU at hand."""
    inputs = draw_convolution(*shape, case=case, dtype=torch.float32)
    expected = convolution.apply(*inputs, **options(case)).shape
    inputs = [x.to("meta").requires_grad_() for x in inputs]
    outputs = [convolution.apply(*inputs, **options(case))]
    _, state = convolution.step(None, *inputs, **stream_options(case))
    outputs.append(convolution.step(state, *inputs, **stream_options(case))[0])
    for out in outputs:
        out.sum().backward()
        assert (out.device.type, out.dtype, out.shape) == ("meta", torch.float32, expected)


# Bad inputs


@pytest.mark.parametrize("kind", INTEGERS.values(), ids=INTEGERS)
def test_sizes_may_be_integers_of_any_library(kind):
    """In eight bits, 3 · 100 is 44, and the receptive field too small."""
    inputs = draw_convolution(2, 333, case={"width": 4})
    whole = convolution.apply(*inputs, causal=True, dilation=100)
    assert torch.equal(convolution.apply(*inputs, causal=True, dilation=kind(100)), whole)
    out, state = convolution.step(None, *inputs, dilation=kind(100))
    assert_close(out, whole)
    assert state.shape == (2, 300, 4)
    assert convolution.receptive_field(kind(4), [kind(100)] * 2) == 601
    sizes = {"width": 4, "dilation": 100, "causal": True}
    same = {name: x if x is True else kind(x) for name, x in sizes.items()}
    assert convolution.cost(**same) == convolution.cost(**sizes)


@pytest.mark.parametrize("n", [0, 1, 5])
@pytest.mark.parametrize("kernel", [(3, 0), (3, 0, 4), (3, 6, 0), (1, 0)], ids=str)
def test_of_no_width_it_is_empty_or_the_bias(kernel, n):
    """PyTorch's own wants one channel at the least."""
    weights = torch.zeros(kernel, requires_grad=True)
    x = torch.zeros(2, n, kernel[-1], requires_grad=True)
    bias = torch.rand(kernel[1])
    out = convolution.apply(x, weights, bias)
    assert out.shape == (2, n, kernel[1])
    assert torch.equal(out, bias.expand_as(out))
    out.sum().backward()
    assert x.grad.shape == x.shape
    stepped, _ = convolution.step(None, x.detach(), weights.detach(), bias)
    assert torch.equal(stepped, out)


BAD = {
    "an array": ("x", {"x": np.zeros((2, 5, 4))}),
    "integers": ("x", {"x": torch.zeros(2, 5, 4, dtype=torch.long)}),
    "one axis": ("x", {"x": torch.zeros(4)}),
    "a kernel that is none": ("kernel", {"kernel": [1.0]}),
    "an integer kernel": ("kernel", {"kernel": torch.zeros(3, 6, 4, dtype=torch.long)}),
    "a kernel of other inputs": ("kernel", {"kernel": torch.zeros(3, 6, 5)}),
    "a kernel of one input, which would broadcast": ("kernel", {"kernel": torch.zeros(3, 6, 1)}),
    "a depthwise kernel of other inputs": ("kernel", {"kernel": torch.zeros(3, 5)}),
    "a kernel of one axis": ("kernel", {"kernel": torch.zeros(4)}),
    "a kernel with a leading axis": ("kernel", {"kernel": torch.zeros(2, 3, 6, 4)}),
    "a kernel of width 0": ("kernel", {"kernel": torch.zeros(0, 6, 4)}),
    "dtype of the kernel": ("kernel", {"kernel": torch.zeros(3, 6, 4, dtype=torch.float64)}),
    "device of the kernel": ("kernel", {"kernel": torch.zeros(3, 6, 4, device="meta")}),
    "a bias of another width": ("bias", {"bias": torch.zeros(4)}),
    "a bias of one, which would broadcast": ("bias", {"bias": torch.zeros(1)}),
    "a bias as a row": ("bias", {"bias": torch.zeros(1, 6)}),
    "dtype of the bias": ("bias", {"bias": torch.zeros(6, dtype=torch.float64)}),
    "device of the bias": ("bias", {"bias": torch.zeros(6, device="meta")}),
    "a dilation of 0": ("dilation", {"dilation": 0}),
    "half a dilation": ("dilation", {"dilation": 0.5}),
}


@pytest.mark.parametrize(("name", "change"), BAD.values(), ids=BAD)
@pytest.mark.parametrize("door", ["apply", "step at the start", "step in the middle"])
def test_bad_input_is_refused_by_name(door, name, change):
    good = {"x": torch.zeros(2, 5, 4), "kernel": torch.zeros(3, 6, 4), "bias": torch.zeros(6)}
    if door == "apply":
        with pytest.raises(ValueError, match=rf"^{name} must .*, got "):
            convolution.apply(**{**good, **change}, causal=True)
        return
    state = convolution.step(None, **good)[1] if door == "step in the middle" else None
    with pytest.raises(ValueError, match=rf"^{name} must .*, got "):
        convolution.step(state, **{**good, **change})


@pytest.mark.parametrize("unfit", UNFIT.values(), ids=UNFIT)
def test_a_tensor_that_is_not_dense_or_has_no_such_numbers_is_refused_by_name(unfit):
    """Float8 and sparse ones died inside, in words about kernels."""
    good = {"x": torch.rand(2, 5, 4), "kernel": torch.rand(3, 6, 4), "bias": torch.rand(6)}
    _, state = convolution.step(None, **good)
    for name, x in {**good, "state": state}.items():
        given = {**good, name: unfit(x)}
        with pytest.raises(ValueError, match=rf"^{name} must be a dense tensor of .*, got "):
            convolution.step(**{"state": state, **given})
        if name != "state":
            with pytest.raises(ValueError, match=rf"^{name} must be a dense tensor of .*, got "):
                convolution.apply(**given, causal=True)


@pytest.mark.parametrize("width", [2, 4])
def test_an_even_width_without_a_centre_is_refused(width):
    with pytest.raises(ValueError, match=r"^kernel must span an odd number"):
        convolution.apply(torch.zeros(5, 4), torch.zeros(width, 6, 4))
    with pytest.raises(ValueError, match=r"^width must span an odd number"):
        convolution.cost(width=width)
    convolution.cost(width=width, causal=True)


CHANGES = {
    "another width of inputs": {"d": 5},
    "other leading axes": {"lead": (3,)},
    "a wider kernel": {"width": 4},
    "another dilation": {"dilation": 2},
    "another dtype": {"dtype": torch.float64},
    "another device": {"device": "meta"},
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_step_that_does_not_continue_its_stream_is_refused(change):
    """All arguments changed alike, so that they fit each other and not the stream."""

    def step(state, lead=(2,), d=4, width=3, dilation=1, dtype=torch.float32, device="cpu"):
        x = torch.zeros(*lead, 5, d, dtype=dtype, device=device)
        kernel = torch.zeros(width, 6, d, dtype=dtype, device=device)
        return convolution.step(state, x, kernel, dilation=dilation)

    _, state = step(None)
    step(state)
    with pytest.raises(ValueError, match=r"^x must continue its stream"):
        step(state, **change)


@pytest.mark.parametrize("bad", [0, -1, 2.0, True])
def test_bad_counts_are_refused_by_name(bad):
    for door in (convolution.cost, convolution.parameters):
        with pytest.raises(ValueError, match=r"^width must "):
            door(width=bad)
    with pytest.raises(ValueError, match=r"^dilation must "):
        convolution.cost(width=3, dilation=bad)
    with pytest.raises(ValueError, match=r"^width must "):
        convolution.receptive_field(bad, [1])
    with pytest.raises(ValueError, match=r"^dilations must "):
        convolution.receptive_field(3, [1, bad])
