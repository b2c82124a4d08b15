"""Every mechanism, held to the contract of attention_limits/attention/__init__.py.

A new mechanism joins by its name in MECHANISMS and its rows in CASES and WASTE.
"""

import functools
import importlib
import inspect
import pkgutil

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from attention_limits import attention
from attention_limits.attention import MECHANISMS, dense
from attention_limits.meters import PeakMemory

# The options that each mechanism is tested under, but for `mask`, which has tests of its own.
CASES = {
    "dense": [{}, {"causal": True}, {"scale": 0.3}, {"causal": True, "scale": 2.0}],
    "online_softmax": [
        {},
        {"causal": True},
        {"causal": True, "scale": 2.0, "block": 24},
        {"block": 50},
        {"causal": True, "block": 64},
    ],
    "linear": [
        {},
        {"causal": True},
        {"feature_map": "relu"},
        {"causal": True, "feature_map": "relu"},
    ],
}
# At most how many times the needed FLOPs a mechanism may execute, from n = 64 on.
WASTE = {"dense": 2, "online_softmax": 2, "linear": 2}
NO_MECHANISM = {"inputs", "cost"}

MODULES = {name: importlib.import_module(f"{attention.__name__}.{name}") for name in MECHANISMS}


def accepted(door, options):
    """Those of the options that this door takes: `cost` knows no scale, `define` no block."""
    return {name: x for name, x in options.items() if name in inspect.signature(door).parameters}


def pattern(module, options, n, n_k=None):
    return module.visible(n, n_k=n_k, **accepted(module.visible, options))


def is_causal(module, options):
    """By its pattern, where it has one."""
    if hasattr(module, "visible"):
        return not np.triu(pattern(module, options, 9), 1).any()
    choice = "causal" in inspect.signature(module.attend).parameters
    return options.get("causal", not choice)


def cases(*needs):
    """All cases; one whose mechanism lacks a door or an option that is needed skips, by name."""
    params = []
    for name, rows in CASES.items():
        module = MODULES[name]
        has = {*vars(module), *inspect.signature(module.attend).parameters}
        for options in rows:
            lacks = [need for need in needs if need != "causality" and need not in has]
            if "causality" in needs and not lacks and not is_causal(module, options):
                continue  # nothing to hold: this case may look ahead
            reason = f"{name} has no {', '.join(lacks)}"
            words = "-".join([name, *(f"{key}={value}" for key, value in options.items())])
            marks = [pytest.mark.skip(reason=reason)] if lacks else []
            params.append(pytest.param(module, options, id=words, marks=marks))
    return pytest.mark.parametrize(("module", "options"), params)


on_devices = pytest.mark.parametrize(
    "device",
    [
        "cpu",
        pytest.param(
            "cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
        ),
    ],
)


def draw(q_shape, k_shape, width=None, *, seed=0, dtype=torch.float64, device="cpu"):
    """Standard normal q, k, v; values as wide as keys unless told."""
    generator = torch.Generator().manual_seed(seed)
    shapes = q_shape, k_shape, (*k_shape[:-1], width or k_shape[-1])
    return [torch.randn(s, generator=generator, dtype=dtype).to(device) for s in shapes]


def draw_mask(*shape, share=0.6, seed=0):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed)) < share


def defined(module, q, k, v, **options):
    arrays = (x.detach().cpu().double().numpy() for x in (q, k, v))
    if options.get("mask") is not None:
        options["mask"] = options["mask"].cpu().numpy()
    return torch.from_numpy(module.define(*arrays, **accepted(module.define, options)))


def assert_close(actual, expected, *, within=1e-12):
    torch.testing.assert_close(actual.detach().cpu(), expected, atol=within, rtol=within)


def gradients(module, inputs, **options):
    """Output, and gradients of a sum with unequal weights (equal ones would hide exchanges)."""
    inputs = [x.detach().requires_grad_() for x in inputs]
    out = module.attend(*inputs, **options)
    upstream = torch.linspace(-1, 1, out.numel(), dtype=out.dtype, device=out.device)
    return out.detach(), torch.autograd.grad(out, inputs, upstream.view_as(out))


def test_registry_is_the_list_of_modules():
    """A mechanism that is in the folder but in no test would be trusted for nothing."""
    modules = {module.name for module in pkgutil.iter_modules(attention.__path__)}
    assert set(MECHANISMS) == modules - NO_MECHANISM == CASES.keys() == WASTE.keys()


# Equal to the definition

SHAPES = {
    "one token": ((1, 8), (1, 8)),
    "no batch axes, odd n, odd d": ((97, 60), (97, 60)),
    "one head, no multiple of a tile": ((1, 257, 16), (1, 257, 16)),
    "one leading axis": ((3, 33, 8), (3, 33, 8)),
    "batch and heads": ((2, 3, 33, 8), (2, 3, 33, 8)),
    "five axes": ((2, 1, 3, 5, 8), (2, 1, 3, 5, 8)),
    "grouped heads": ((2, 3, 17, 8), (2, 1, 17, 8)),
    "keys shared by a batch": ((4, 17, 8), (17, 8)),
    "queries shared by a batch": ((17, 8), (4, 17, 8)),
    "one query against a cache": ((2, 1, 8), (2, 40, 8)),
    "fewer queries than keys": ((2, 5, 8), (2, 131, 8)),
    "more queries than keys": ((2, 131, 8), (2, 5, 8)),
    "no keys": ((3, 8), (0, 8)),
    "no queries": ((0, 8), (3, 8)),
    "an empty batch": ((0, 4, 8), (0, 4, 8)),
}


@on_devices
@pytest.mark.parametrize("width", [None, 5], ids=["square", "values narrower"])
@pytest.mark.parametrize("shapes", SHAPES.values(), ids=SHAPES)
@cases()
def test_equals_its_definition(module, options, shapes, width, device):
    inputs = draw(*shapes, width, device=device)
    assert_close(module.attend(*inputs, **options), defined(module, *inputs, **options))


@st.composite
def problems(draw_one):
    """Leading axes that broadcast, any lengths, any widths, a mask or none."""
    size = st.integers(1, 20)
    lead = draw_one(st.lists(st.integers(1, 3), max_size=3))

    def part_of(axes):
        kept = [draw_one(st.sampled_from([1, axis])) for axis in axes]
        return kept[draw_one(st.integers(0, len(kept))) :]

    n_q, n_k, d = draw_one(size), draw_one(size), draw_one(size)
    inputs = draw((*part_of(lead), n_q, d), (*part_of(lead), n_k, d), draw_one(size))
    joined = torch.broadcast_shapes(*(x.shape[:-2] for x in inputs))
    share = draw_one(st.sampled_from([None, 0.05, 0.5, 0.9]))
    mask = None if share is None else draw_mask(*part_of(joined), n_q, n_k, share=share)
    return inputs, mask


@settings(max_examples=80, deadline=None, derandomize=True, database=None)
@given(problem=problems())
@cases()
def test_equals_its_definition_whatever_the_shapes(module, options, problem):
    inputs, mask = problem
    if mask is not None and "mask" in inspect.signature(module.attend).parameters:
        options = {**options, "mask": mask}
    assert_close(module.attend(*inputs, **options), defined(module, *inputs, **options))


@pytest.mark.parametrize(("n", "n_k"), [(1, 1), (97, 97), (5, 131), (131, 5)])
@cases("visible")
def test_equals_dense_attention_under_its_pattern(module, options, n, n_k):
    inputs = draw((2, n, 8), (2, n_k, 8))
    mask = torch.from_numpy(pattern(module, options, n, n_k))
    expected = dense.attend(*inputs, mask=mask, scale=options.get("scale"))
    assert_close(module.attend(*inputs, **options), expected)


@cases("visible")
def test_pattern_has_a_row_a_query_and_a_column_a_key(module, options):
    for n, n_k in [(0, 0), (1, 1), (7, 3), (3, 7)]:
        sees = pattern(module, options, n, n_k)
        assert sees.dtype == bool
        assert sees.shape == (n, n_k)
    assert (pattern(module, options, 6) == pattern(module, options, 6, 6)).all()


@cases("visible")
def test_pattern_is_aligned_bottom_right(module, options):
    """The last queries of a sequence see what they see in the whole of it."""
    assert (pattern(module, options, 4, 9) == pattern(module, options, 9)[-4:]).all()


@cases()
def test_numpy_and_torch_keep_apart(module, options, monkeypatch):
    """`define` never touches torch, `attend` never touches NumPy: neither can copy the other."""
    inputs = draw((4, 8), (4, 8))
    with monkeypatch.context() as patch:
        patch.setattr(module, "torch", None)
        expected = defined(module, *inputs, **options)
    monkeypatch.setattr(module, "np", None)
    assert_close(module.attend(*inputs, **options), expected)


# The future does not reach the past


@pytest.mark.parametrize("size", [1.0, 1e30], ids=["noise", "huge noise"])
@pytest.mark.parametrize("cut", [1, 48, 96])
@cases("causality")
def test_the_future_does_not_change_the_past(module, options, cut, size):
    inputs = draw((2, 97, 8), (2, 97, 8))
    noise = draw((2, 97, 8), (2, 97, 8), seed=1)
    changed = [
        torch.cat([x[:, :cut], size * e[:, cut:]], 1) for x, e in zip(inputs, noise, strict=True)
    ]
    before, after = (module.attend(*x, **options)[:, :cut] for x in (inputs, changed))
    assert_close(after, before)


@cases("causality")
def test_the_past_sends_no_gradient_to_the_future(module, options):
    inputs = [x.requires_grad_() for x in draw((2, 33, 8), (2, 33, 8))]
    for gradient in torch.autograd.grad(module.attend(*inputs, **options)[:, :20].sum(), inputs):
        assert not gradient[:, 20:].any()


# Gradients


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize(
    "shapes", [((2, 4, 3), (2, 4, 3)), ((2, 1, 3), (1, 5, 3)), ((4, 3), (2, 3))], ids=str
)
@cases()
def test_gradients_are_those_of_the_output(module, options, shapes, masked):
    if masked:
        if "mask" not in inspect.signature(module.attend).parameters:
            pytest.skip(f"{module.__name__} has no mask")
        mask = torch.ones(shapes[0][-2], shapes[1][-2], dtype=torch.bool)
        mask[0], mask[:, -1] = False, False  # one query sees nothing, one key is seen by none
        options = {**options, "mask": mask}
    inputs = [x.requires_grad_() for x in draw(*shapes, 2)]
    assert torch.autograd.gradcheck(functools.partial(module.attend, **options), inputs)


@cases()
def test_strides_do_not_matter(module, options):
    """Heads are transposed out of the model's width in practice, so no input is contiguous."""
    inputs = draw((2, 3, 33, 8), (2, 3, 33, 8))
    strided = [x.transpose(1, 2).contiguous().transpose(1, 2) for x in inputs]
    strided[2] = inputs[2].mT.contiguous().mT
    assert not any(x.is_contiguous() for x in strided)
    expected, wanted = gradients(module, inputs, **options)
    out, grads = gradients(module, strided, **options)
    assert_close(out, expected)
    for grad, want in zip(grads, wanted, strict=True):
        assert_close(grad, want)


# Low precision


@on_devices
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("n_q", [257, 40])
@cases()
def test_error_is_at_most_twice_that_of_a_plain_softmax(module, options, dtype, n_q, device):
    """The yardstick is three lines of PyTorch in the same precision, against float64."""
    q, k, v = draw((2, n_q, 60), (2, 257, 60), dtype=dtype, device=device)
    by = module if hasattr(module, "visible") else dense
    sees = torch.from_numpy(pattern(by, options, n_q, 257)).to(device)
    scores = q @ k.mT * options.get("scale", 60**-0.5)
    plain = scores.masked_fill(~sees, -torch.inf).softmax(-1) @ v
    exact_plain = defined(dense, q, k, v, mask=sees, scale=options.get("scale"))
    out = module.attend(q, k, v, **options)
    assert out.dtype == dtype
    error = (out.cpu().double() - defined(module, q, k, v, **options)).abs()
    yardstick = (plain.cpu().double() - exact_plain).abs()
    floor = torch.finfo(dtype).eps / 8
    assert error.max() <= 2 * yardstick.max() + floor
    assert error.square().mean().sqrt() <= 2 * yardstick.square().mean().sqrt() + floor


# Masks: who sees nothing, and what nobody sees


@on_devices
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16], ids=str)
@cases("mask")
def test_a_query_that_sees_nothing_gives_zero_and_zero_gradients(module, options, dtype, device):
    """0/0 in one row of a softmax is NaN in every gradient."""
    inputs = draw((2, 9, 8), (2, 9, 8), dtype=dtype, device=device)
    mask = torch.ones(9, 9, dtype=torch.bool, device=device)
    mask[2], mask[5] = False, False
    out, grads = gradients(module, inputs, mask=mask, **options)
    assert not out[:, [2, 5]].any()
    assert not grads[0][:, [2, 5]].any()
    assert all(grad.isfinite().all() for grad in grads)
    assert not defined(module, *inputs, mask=mask, **options)[:, [2, 5]].any()


@on_devices
@cases("mask")
def test_nobody_sees_anything(module, options, device):
    """A window wholly inside the padding, or a sample that is all padding."""
    inputs = draw((2, 9, 8), (2, 9, 8), device=device)
    mask = torch.zeros(9, 9, dtype=torch.bool, device=device)
    out, grads = gradients(module, inputs, mask=mask, **options)
    assert not out.any()
    assert not any(grad.any() for grad in grads)
    assert not defined(module, *inputs, mask=mask, **options).any()


@on_devices
@cases("causality")
def test_queries_before_the_first_key_give_zero_and_zero_gradients(module, options, device):
    """Bottom-right alignment: of nine queries on four keys, five come before all keys."""
    inputs = draw((2, 9, 8), (2, 4, 8), device=device)
    out, grads = gradients(module, inputs, **options)
    assert not out[:, :5].any()
    assert out[:, 5:].all()
    assert not grads[0][:, :5].any()
    assert all(grad.isfinite().all() for grad in grads)


@on_devices
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize("garbage", [torch.nan, torch.inf, -torch.inf, 3e38])
@cases("mask")
def test_padding_does_not_leak(module, options, garbage, dtype, device):
    """0 · NaN is NaN: a weight of zero does not silence what nobody may see."""
    inputs = draw((2, 9, 8), (2, 9, 8), dtype=dtype, device=device)
    rows = torch.arange(9, device=device)
    real = rows < 6
    mask = real[:, None] & real  # padded as queries and as keys
    expected, wanted = gradients(module, inputs, mask=mask, **options)
    padded = [torch.where(real[:, None], x, garbage) for x in inputs]
    out, grads = gradients(module, padded, mask=mask, **options)
    assert torch.equal(out, expected)
    assert all(map(torch.equal, grads, wanted))
    assert not any(grad[:, 6:].any() for grad in grads)
    definition = defined(module, *padded, mask=mask, **options)
    assert_close(expected.double(), definition, within=1e-5)


@cases("mask")
def test_a_sample_s_padding_is_its_own(module, options):
    """One mask a sample, its keys shared: what one may not see, the other may."""
    q, k, v = draw((2, 9, 8), (9, 8))
    mask = draw_mask(2, 1, 9)
    together = module.attend(q, k, v, mask=mask, **options)
    for sample in range(2):
        alone = module.attend(q[sample], k, v, mask=mask[sample], **options)
        assert_close(together[sample], alone)


# What it costs


@pytest.mark.parametrize("device", ["cpu", "meta"])
@pytest.mark.parametrize("n", [1, 64, 97, 257])
@cases()
def test_executed_flops_are_counted_to_the_last_one(module, options, n, device):
    """PyTorch counts what the matrix products run; the formula must say exactly that."""
    inputs = [torch.zeros(2, 3, n, 12, device=device) for _ in range(3)]
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        module.attend(*inputs, **options)
    executed = module.cost(**accepted(module.cost, options)).executed
    assert counter.get_total_flops() == 2 * 3 * executed(n=n, d=12)
    assert executed.unit == "FLOPs"


@pytest.mark.parametrize("n", [64, 97, 1000, 2**20])
@cases()
def test_executes_no_less_than_needed_and_not_much_more(module, options, n):
    name = module.__name__.rpartition(".")[-1]
    cost = module.cost(**accepted(module.cost, options))
    ratio = cost.executed(n=n, d=64) / cost.needed(n=n, d=64)
    assert 1 <= ratio <= WASTE[name]


@pytest.mark.parametrize("n", [1, 2, 97])
@cases("visible")
def test_needs_4d_flops_for_each_visible_pair(module, options, n):
    """The formula and the pattern must not drift apart."""
    needed = module.cost(**accepted(module.cost, options)).needed
    assert needed(n=n, d=12) == 4 * 12 * pattern(module, options, n).sum()
    assert needed.unit == "FLOPs"


@pytest.mark.parametrize("backward", [False, True], ids=["forward", "forward and backward"])
@cases()
def test_memory_is_linear_in_n(module, options, backward):
    """Equal steps in n cost equal bytes, but for what a tile that is not full may add.

    One square of booleans would be a second difference of 2 · 256² bytes, ten times what may pass.
    """
    peaks = []
    for n in (512, 768, 1024, 1280):
        inputs = [x.requires_grad_(backward) for x in draw((2, n, 8), (2, n, 8))]
        with PeakMemory() as memory:
            out = module.attend(*inputs, **options)
            if backward:
                out.sum().backward()
        peaks.append(memory.peak)
    assert peaks[0] >= 2 * 512 * 8 * 8  # the output at least
    assert np.abs(np.diff(peaks, 2)).max() <= 2 * 256**2 / 10, peaks


# Streams

CHUNKS = {
    "token by token": [1] * 33,
    "uneven chunks": [7, 1, 1, 16, 3, 5],
    "at once": [33],
}


def stream(module, inputs, chunks, **options):
    state, outputs = None, []
    for q, k, v in zip(*(x.split(chunks, dim=-2) for x in inputs), strict=True):
        out, state = module.step(state, q, k, v, **options)
        outputs.append(out)
    return torch.cat(outputs, dim=-2), state


@pytest.mark.parametrize("chunks", CHUNKS.values(), ids=CHUNKS)
@pytest.mark.parametrize("shapes", [((33, 8), (33, 8)), ((2, 3, 33, 8), (2, 1, 33, 8))], ids=str)
@cases("step", "causality")
def test_stream_equals_the_parallel_form(module, options, shapes, chunks):
    inputs = draw(*shapes)
    out, _ = stream(module, inputs, chunks, **accepted(module.step, options))
    assert_close(out, module.attend(*inputs, **options))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("chunks", CHUNKS.values(), ids=CHUNKS)
@cases("step", "causality")
def test_stream_holds_the_bytes_it_says(module, options, chunks, dtype):
    """A key-value head is counted once, however many query heads share it."""
    inputs = draw((2, 3, 33, 8), (2, 1, 33, 8), dtype=dtype)
    _, state = stream(module, inputs, chunks, **accepted(module.step, options))
    held = module.cost(**accepted(module.cost, options)).held
    size = {"n": 33, "d": 8, "b": dtype.itemsize}
    values = {symbol.name: size[symbol.name] for symbol in held.symbols}
    assert sum(x.nbytes for x in tree_leaves(state)) == 2 * held(**values)
    assert held.unit == "bytes"


@cases("step", "causality")
def test_step_leaves_its_state_as_it_was(module, options):
    """Two continuations of one prefix, as beam search wants them, must not meet."""
    inputs = draw((6, 8), (6, 8))
    options = accepted(module.step, options)
    _, state = stream(module, [x[:4] for x in inputs], [4], **options)
    before = [x.clone() for x in tree_leaves(state)]
    first, _ = module.step(state, *(x[4:5] for x in inputs), **options)
    module.step(state, *(x[5:] for x in inputs), **options)
    again, _ = module.step(state, *(x[4:5] for x in inputs), **options)
    assert all(map(torch.equal, tree_leaves(state), before))
    assert torch.equal(first, again)


# Devices


@pytest.mark.parametrize("shapes", [s for s in SHAPES.values() if 0 not in s[0]], ids=str)
@cases()
def test_meta_device_gives_the_shape(module, options, shapes):
    """A forgotten device=, or a look at a value, fails here with no GPU at hand."""
    inputs = draw(*shapes, 5, dtype=torch.float32)
    expected = module.attend(*inputs, **options)
    inputs = [x.to("meta").requires_grad_() for x in inputs]
    outputs = [module.attend(*inputs, **options)]
    if "mask" in inspect.signature(module.attend).parameters:
        mask = torch.ones(shapes[0][-2], shapes[1][-2], dtype=torch.bool, device="meta")
        outputs.append(module.attend(*inputs, mask=mask, **options))
    for out in outputs:
        out.sum().backward()
        assert (out.device.type, out.dtype, out.shape) == ("meta", torch.float32, expected.shape)


@cases("step", "causality")
def test_meta_device_streams(module, options):
    inputs = [x.to("meta") for x in draw((2, 3, 33, 8), (2, 1, 33, 8))]
    out, _ = stream(module, inputs, [7, 1, 25], **accepted(module.step, options))
    assert (out.device.type, out.shape) == ("meta", (2, 3, 33, 8))


# Bad inputs

BAD = {
    "an array": ("q", {"q": np.zeros((2, 5, 8))}),
    "one axis": ("q", {"q": torch.zeros(8)}),
    "one axis of keys": ("k", {"k": torch.zeros(8)}),
    "one axis of values": ("v", {"v": torch.zeros(8)}),
    "integers": ("q", {"q": torch.zeros(2, 5, 8, dtype=torch.long)}),
    "integer keys": ("k", {"k": torch.zeros(2, 5, 8, dtype=torch.long)}),
    "complex values": ("v", {"v": torch.zeros(2, 5, 8, dtype=torch.complex64)}),
    "keys of another width": ("k", {"k": torch.zeros(2, 5, 6)}),
    "keys of width one, which would broadcast": ("k", {"k": torch.zeros(2, 5, 1)}),
    "fewer values than keys": ("v", {"v": torch.zeros(2, 4, 8)}),
    "one value for all keys, which would broadcast": ("v", {"v": torch.zeros(2, 1, 8)}),
    "leading axes of keys": ("k", {"k": torch.zeros(3, 5, 8)}),
    "leading axes of values": ("v", {"v": torch.zeros(3, 5, 8)}),
    "dtype of keys": ("k", {"k": torch.zeros(2, 5, 8, dtype=torch.float64)}),
    "dtype of values": ("v", {"v": torch.zeros(2, 5, 8, dtype=torch.float16)}),
    "device of keys": ("k", {"k": torch.zeros(2, 5, 8, device="meta")}),
    "device of values": ("v", {"v": torch.zeros(2, 5, 8, device="meta")}),
}
BAD_MASKS = {
    "an additive mask": torch.zeros(5, 5),
    "an integer mask": torch.ones(5, 5, dtype=torch.long),
    "an array": np.ones((5, 5), dtype=bool),
    "another length": torch.ones(5, 4, dtype=torch.bool),
    "other leading axes": torch.ones(3, 5, 5, dtype=torch.bool),
    "more leading axes than the scores": torch.ones(7, 2, 5, 5, dtype=torch.bool),
    "another device": torch.ones(5, 5, dtype=torch.bool, device="meta"),
}


@pytest.mark.parametrize(("name", "change"), BAD.values(), ids=BAD)
@cases()
def test_bad_input_is_refused_by_name(module, options, name, change):
    inputs = {argument: torch.zeros(2, 5, 8) for argument in "qkv"} | change
    with pytest.raises(ValueError, match=rf"^{name} must "):
        module.attend(**inputs, **options)


@pytest.mark.parametrize("mask", BAD_MASKS.values(), ids=BAD_MASKS)
@cases("mask")
def test_bad_mask_is_refused_by_name(module, options, mask):
    inputs = [torch.zeros(2, 5, 8)] * 3
    with pytest.raises(ValueError, match=r"^mask must "):
        module.attend(*inputs, mask=mask, **options)


@pytest.mark.parametrize(("name", "change"), BAD.values(), ids=BAD)
@pytest.mark.parametrize("tokens", [0, 3], ids=["at the start", "in the middle"])
@cases("step", "causality")
def test_bad_step_is_refused_by_name(module, options, name, change, tokens):
    options, state = accepted(module.step, options), None
    if tokens:
        _, state = module.step(None, *[torch.zeros(2, tokens, 8)] * 3, **options)
    inputs = {argument: torch.zeros(2, 5, 8) for argument in "qkv"} | change
    with pytest.raises(ValueError, match=rf"^{name} must "):
        module.step(state, **inputs, **options)


@pytest.mark.parametrize(("n", "n_k", "name"), [(-1, 3, "n"), (3, -1, "n_k"), (2.0, 3, "n")])
@cases("visible")
def test_bad_length_is_refused_by_name(module, options, n, n_k, name):
    with pytest.raises(ValueError, match=rf"^{name} must "):
        pattern(module, options, n, n_k)
