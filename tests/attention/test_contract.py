"""Every mechanism, held to the contract of attention_limits/attention/__init__.py.

A new mechanism joins by its name in MECHANISMS and its rows in CASES and WASTE.
"""

import inspect
import pkgutil
import pydoc

import numpy as np
import pytest
import torch
from helpers.integers import INTEGERS, replaced
from helpers.kinds import LAYOUTS, UNFIT
from helpers.mechanisms import MODULES, gates_of
from helpers.mechanisms import gated as gated_inputs
from helpers.tables import assert_rows_for
from helpers.tensors import assert_close, check_gradients, draw_qkv, gradients, on_devices
from hypothesis import given, note
from hypothesis import strategies as st
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from attention_limits import attention
from attention_limits.attention import MECHANISMS, dense
from attention_limits.meters import PeakMemory
from attention_limits.tensors import folded as folded_in


def block(n_k):
    """Tiles of several sizes, and layouts that stay small."""
    return min(24, max(1, n_k)) if n_k < 2048 else max(64, n_k // 1024)


def leaf(n_k):
    return 8 if n_k < 2048 else 64


def bigbird(n_k, causal=False):
    blocks, chance = -(-n_k // block(n_k)), dict(per_row=1, seed=0, causal=causal)
    return MODULES["block_sparse"].bigbird(blocks, width=2, first=1, **chance)


def causal_bigbird(n_k):
    return bigbird(n_k, causal=True)


def sparse(n_k):
    """Some rows see nothing."""
    layout = MODULES["block_sparse"].random(-(-n_k // block(n_k)), per_row=2, seed=0)
    layout[1::3] = False
    return layout


def columns(n_k):
    """Grids whose sides grow with the number of tokens, and one column for each prime."""
    return max(side for side in range(1, 17) if n_k % side == 0)


# The options that each mechanism is tested under, but for `mask`, which has tests of its own. An
# option that is a function is called with the number of keys. `per_channel` widens a gate.
CASES = {
    "dense": [
        {},
        {"causal": True},
        {"scale": 0.3},
        {"causal": True, "scale": 2.0},
        {"causal": True, "log_n": 0.4},
        {"qk_norm": True},
        {"causal": True, "sink": 0.5},
        {"causal": True, "sink": -1.0, "qk_norm": True, "log_n": 0.4},
    ],
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
    "sliding_window": [
        {"window": 1},
        {"window": 40},
        {"window": 30, "causal": True},
        {"window": 200, "causal": True, "scale": 2.0},
    ],
    "offsets": [
        {"offsets": (0, 1, 2, 4, 8, 16, 32, 64)},
        {"offsets": (0, 3), "causal": True, "scale": 2.0},
        {"offsets": (-5, 0, 2)},
        {"offsets": (3,)},
    ],
    "block_sparse": [
        {"block": block, "layout": bigbird},
        {"block": block, "layout": causal_bigbird, "causal": True},
        {"block": block, "layout": sparse, "scale": 2.0},
    ],
    "window_2d": [
        {"width": columns, "window": 4},
        {"width": columns, "window": (7, 3), "shift": (3, 1)},
        {"width": columns, "window": 5, "shift": 2, "causal": True, "scale": 2.0},
    ],
    "gated_linear": [{}, {"scale": 2.0}, {"per_channel": True}],
    "delta_rule": [{}, {"scale": 2.0}],
    "gated_delta_rule": [{}, {"scale": 2.0}],
    "fractal": [{}, {"block": leaf, "scale": 2.0}, {"block": block, "covariance": True}],
    "clock": [{"period": 1}, {"period": 3}, {"period": 8, "scale": 2.0}],
}
# At most how many times the needed FLOPs a mechanism may execute, from n = 64 on.
WASTE = {
    "dense": 2.3,  # causal, with a sink
    "online_softmax": 2,
    "linear": 2,
    "sliding_window": lambda window, **_: 2 + 64 / window,  # 64 queries a tile
    "offsets": 1,
    "block_sparse": 2,
    "window_2d": 2,  # causal
    "gated_linear": 2,
    "delta_rule": 2,
    "gated_delta_rule": 2,
    "fractal": 2,
    "clock": 2,
}
NO_MECHANISM = {"options", "cost", "tiles", "flex", "recurrence", "transforms", "packed"}
N_LOG_N = {"fractal"}  # numbers that it may hold; the others hold some for each token
QUADRATIC_TIME = {"dense", "online_softmax", "clock"}


def name_of(module):
    return module.__name__.rpartition(".")[-1]


def fitting(door, options, n_k):
    """Those of the options that this door takes: `cost` knows no scale, `define` no block."""
    takes = inspect.signature(door).parameters
    given = {name: x for name, x in options.items() if name in takes}
    return {name: x(n_k) if callable(x) else x for name, x in given.items()}


def attended(module, inputs, **options):
    return module.attend(*inputs, **fitting(module.attend, options, inputs[1].shape[-2]))


def priced(module, options, n):
    return module.cost(**fitting(module.cost, options, n))


def pattern(module, options, n, n_k=None):
    return module.visible(n, n_k=n_k, **fitting(module.visible, options, n if n_k is None else n_k))


def is_causal(module, options):
    """By its pattern, where it has one."""
    if hasattr(module, "visible"):
        return not np.triu(pattern(module, options, 97), 1).any()
    choice = "causal" in inspect.signature(module.attend).parameters
    return options.get("causal", not choice)


def cases(*needs, one_each=False, but=lambda name, options: False):
    """All cases whose mechanism has the functions and options that are needed.

    Args:
        needs: names of functions or options; "causality": the case must not look ahead.
        one_each: the first case of each mechanism stands for the others.
        but: which cases to leave out.
    """
    params = []
    for name, rows in CASES.items():
        module = MODULES[name]
        has = {*vars(module), *inspect.signature(module.attend).parameters, "causality", "gates"}
        has -= set() if gates_of(module) else {"gates"}
        fit = [
            options
            for options in rows
            if has.issuperset(needs)
            and not but(name, options)
            and ("causality" not in needs or is_causal(module, options))
        ]
        for options in fit[:1] if one_each else fit:
            words = [f"{key}={getattr(x, '__name__', x)}" for key, x in options.items()]
            params.append(pytest.param(module, options, id="-".join([name, *words])))
    return pytest.mark.parametrize(("module", "options"), params)


def gated(module, options, inputs, *, seed=0):
    """The same q, k, v, followed by the gates that this mechanism wants."""
    return gated_inputs(module, inputs, per_channel=options.get("per_channel"), seed=seed)


def drawn(module, options, *shapes, seed=0, **choices):
    return gated(module, options, draw_qkv(*shapes, seed=seed, **choices), seed=seed)


def draw_mask(*shape, share=0.6, seed=0):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed)) < share


def defined(module, inputs, **options):
    arrays = [x.detach().cpu().double().numpy() for x in inputs]
    if options.get("mask") is not None:
        options["mask"] = options["mask"].cpu().numpy()
    options = fitting(module.define, options, arrays[1].shape[-2])
    return torch.from_numpy(module.define(*arrays, **options))


def equation(module):
    """Where a long sequence is defined: online softmax, key by key in Python, takes a minute."""
    return dense if name_of(module) == "online_softmax" else module


def rms(x):
    return x.square().mean().sqrt()


def differentiated(module, inputs, **options):
    """Output, and gradients of a sum with unequal weights."""
    return gradients(lambda *moved: attended(module, moved, **options), inputs)


def test_registry_is_the_list_of_modules():
    """A mechanism that is in the folder but in no test would be trusted for nothing."""
    modules = {module.name for module in pkgutil.iter_modules(attention.__path__)}
    assert_rows_for(
        modules - NO_MECHANISM,
        {
            "MECHANISMS in attention_limits/attention/__init__.py": MECHANISMS,
            "CASES in tests/attention/test_contract.py (the options to test it under)": CASES,
            "CASES in tests/attention/test_contract.py twice, at least": [
                name for name, rows in CASES.items() if len(rows) > 1
            ],
            "WASTE in tests/attention/test_contract.py (executed FLOPs by needed ones)": WASTE,
        },
    )


@cases()
def test_every_option_of_a_case_is_one_that_the_mechanism_takes(module, options):
    """A misspelt one would be left out of every call below, and nothing would be tested."""
    takes = {
        *inspect.signature(module.attend).parameters,
        *inspect.signature(module.cost).parameters,
    }
    assert options.keys() <= takes


def of_any_length(module, options):
    """Which of its inputs a mechanism divides by their lengths."""
    if options.get("qk_norm"):
        return "qk"
    return "k" if "beta" in gates_of(module) else ""


@pytest.mark.parametrize("size", [2.0**-83, 2.0**66, 2.0**100], ids=["1e-25", "1e20", "1e30"])
@cases(but=lambda name, options: not of_any_length(MODULES[name], options))
def test_what_is_divided_by_its_length_may_have_any(module, options, size):
    """Its square is no number that float32 has, and the output 0, or NaN."""
    inputs = drawn(module, options, (2, 9, 8), (2, 9, 8), dtype=torch.float32)
    sizes = [size if name in of_any_length(module, options) else 1 for name in "qkv"]
    sizes += [1] * len(gates_of(module))
    changed = [x * size for x, size in zip(inputs, sizes, strict=True)]
    out, grads = differentiated(module, inputs, **options)
    again, grads_again = differentiated(module, changed, **options)
    assert torch.equal(again, out)  # a power of two leaves all digits as they are
    for old, new, size in zip(grads, grads_again, sizes, strict=True):
        assert torch.equal(new * size, old)


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
    "no heads": ((2, 0, 4, 8), (2, 0, 4, 8)),
    "no tokens": ((2, 0, 8), (2, 0, 8)),
    "no width": ((2, 5, 0), (2, 5, 0)),
}
TYPICAL = ["one token", "five axes", "grouped heads", "queries shared by a batch", "no keys"]
TYPICAL += ["one query against a cache", "more queries than keys"]


@on_devices
@pytest.mark.parametrize("shapes", SHAPES.values(), ids=SHAPES)
@cases()
def test_equals_its_definition(module, options, shapes, device):
    # Every second shape has values that are narrower than keys.
    width = 5 if list(SHAPES.values()).index(shapes) % 2 else None
    inputs = drawn(module, options, *shapes, width, device=device)
    assert_close(attended(module, inputs, **options), defined(module, inputs, **options))


@cases()
def test_equals_its_definition_one_token_past_its_tiles(module, options):
    """Of 1024 tokens most tiles are full; with one more, a tile holds a single token."""
    inputs = drawn(module, options, (1025, 60), (1025, 60))
    assert_close(attended(module, inputs, **options), defined(equation(module), inputs, **options))


@pytest.mark.parametrize("shared", ["keys", "queries"])
@cases()
def test_what_heads_share_gets_the_sum_of_their_gradients(module, options, shared):
    """More tokens than a chunk holds: what one hands on was counted once for each head."""
    heads = (3, 131, 8), (1, 131, 8)
    inputs = drawn(module, options, *(heads if shared == "keys" else heads[::-1]))
    out, grads = differentiated(module, inputs, **options)
    apart = [x.expand(3, *x.shape[1:]).clone() for x in inputs]
    expected, grads_apart = differentiated(module, apart, **options)
    assert_close(out, expected)
    for one, three in zip(grads, grads_apart, strict=True):
        assert_close(one, three.sum_to_size(one.shape), within=1e-10)


@st.composite
def problems(draw_one):
    """Leading axes that broadcast, any lengths, any widths, a mask or none."""
    size = st.integers(1, 20)
    lead = draw_one(st.lists(st.integers(1, 3), max_size=3))

    def part_of(axes):
        kept = [draw_one(st.sampled_from([1, axis])) for axis in axes]
        return kept[draw_one(st.integers(0, len(kept))) :]

    n_q, n_k, d = draw_one(size), draw_one(size), draw_one(size)
    inputs = draw_qkv((*part_of(lead), n_q, d), (*part_of(lead), n_k, d), draw_one(size))
    joined = torch.broadcast_shapes(*(x.shape[:-2] for x in inputs))
    share = draw_one(st.sampled_from([None, 0.05, 0.5, 0.9]))
    mask = None if share is None else draw_mask(*part_of(joined), n_q, n_k, share=share)
    return inputs, mask


@pytest.mark.parametrize("name", CASES)
@given(problem=problems())
def test_equals_its_definition_whatever_the_shapes(name, problem):
    """Each problem under all options: to make one takes longer than to try it."""
    module, (qkv, mask) = MODULES[name], problem
    masks = mask is not None and "mask" in inspect.signature(module.attend).parameters
    masked = {"mask": mask} if masks else {}
    for options in CASES[name]:
        inputs = gated(module, options, qkv)
        actual = attended(module, inputs, **options, **masked)
        note(f"with {options}")
        assert_close(actual, defined(module, inputs, **options, **masked))


@pytest.mark.parametrize(("n", "n_k"), [(1, 1), (97, 97), (5, 131), (131, 5)])
@cases("visible")
def test_equals_dense_attention_under_its_pattern(module, options, n, n_k):
    inputs = draw_qkv((2, n, 8), (2, n_k, 8))
    mask = torch.from_numpy(pattern(module, options, n, n_k))
    alike = {name: x for name, x in options.items() if name != "causal"}
    expected = attended(dense, inputs, mask=mask, **alike)
    assert_close(attended(module, inputs, **options), expected)


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
    inputs = drawn(module, options, (4, 8), (4, 8))
    options = {**fitting(module.define, options, 4), **fitting(module.attend, options, 4)}
    with monkeypatch.context() as patch:
        patch.setattr(module, "torch", None)
        expected = defined(module, inputs, **options)
    monkeypatch.setattr(module, "np", None)
    assert_close(attended(module, inputs, **options), expected)


# Options are anybody's integers and numbers


def has_integers(name, options):
    return any(type(x) in (int, tuple) or callable(x) for x in options.values())


@pytest.mark.parametrize("kind", INTEGERS.values(), ids=INTEGERS)
@cases(but=lambda name, options: not has_integers(name, options))
def test_an_option_may_be_an_integer_of_any_library(module, options, kind):
    """Sizes are computed, and what computes them is seldom Python: NumPy's were refused."""
    n = 300  # in eight bits, less than many a sum of options
    same = replaced(options, kind)
    inputs = drawn(module, options, (n, 8), (n, 8))
    assert torch.equal(attended(module, inputs, **same), attended(module, inputs, **options))
    few = [x[:9] for x in inputs]
    assert torch.equal(defined(module, few, **same), defined(module, few, **options))
    if "per_channel" not in options:
        assert priced(module, same, n) == priced(module, options, n)
    if hasattr(module, "visible"):
        known = fitting(module.visible, same, n)
        expected = pattern(module, options, n)
        assert (module.visible(kind(n), n_k=kind(n), **known) == expected).all()


@pytest.mark.parametrize("kind", INTEGERS.values(), ids=INTEGERS)
@cases("step", "causality", but=lambda name, options: not has_integers(name, options))
def test_a_stream_takes_integers_of_any_library(module, options, kind):
    inputs = drawn(module, options, (2, 33, 8), (2, 33, 8))
    expected, _ = stream(module, inputs, [16, 1, 16], **options)
    out, _ = stream(module, inputs, [16, 1, 16], **replaced(options, kind))
    assert torch.equal(out, expected)


@pytest.mark.parametrize("number", [np.float32(0.25), np.float64(0.25), np.float16(0.25)], ids=repr)
@cases("scale", one_each=True)
def test_a_scale_may_be_a_number_of_any_library(module, options, number):
    inputs = drawn(module, options, (2, 9, 8), (2, 9, 8), dtype=torch.float32)
    options = {**options, "scale": 0.25}
    assert torch.equal(
        attended(module, inputs, **{**options, "scale": number}),
        attended(module, inputs, **options),
    )


# The future does not reach the past


@pytest.mark.parametrize("size", [1.0, 1e30], ids=["noise", "huge noise"])
@pytest.mark.parametrize("cut", [1, 48, 96])
@cases("causality")
def test_the_future_does_not_change_the_past(module, options, cut, size):
    inputs = drawn(module, options, (2, 97, 8), (2, 97, 8))
    noise = draw_qkv((2, 97, 8), (2, 97, 8), seed=1)
    noise = gated(module, options, [size * e for e in noise], seed=1)  # a gate keeps its range
    changed = [torch.cat([x[:, :cut], e[:, cut:]], 1) for x, e in zip(inputs, noise, strict=True)]
    before, after = (attended(module, x, **options)[:, :cut] for x in (inputs, changed))
    assert_close(after, before)


@cases("causality")
def test_the_past_sends_no_gradient_to_the_future(module, options):
    inputs = [x.requires_grad_() for x in drawn(module, options, (2, 33, 8), (2, 33, 8))]
    past = attended(module, inputs, **options)[:, :20].sum()
    for gradient in torch.autograd.grad(past, inputs):
        assert not gradient[:, 20:].any()


# Gradients

# What a scale may be but a number: one for each head, for each query, for both.
SCALES = {
    "a number": torch.tensor(0.3, dtype=torch.float64),
    "one a head": torch.tensor([0.3, 2.0, -1.0], dtype=torch.float64).reshape(3, 1, 1),
    "one a query": torch.linspace(0.2, 2, 9, dtype=torch.float64).reshape(9, 1),
    "one a query of each head": torch.linspace(0.2, 2, 27, dtype=torch.float64).reshape(3, 9, 1),
}


@pytest.mark.parametrize("scale", SCALES.values(), ids=SCALES)
@cases("scale")
def test_a_scale_may_be_a_tensor(module, options, scale):
    """It was taken for a number, the same for all heads."""
    inputs, options = (
        drawn(module, options, (2, 3, 9, 8), (2, 1, 9, 8)),
        {**options, "scale": scale},
    )
    expected = defined(module, inputs, **{**options, "scale": scale.numpy()})
    assert_close(attended(module, inputs, **options), expected)


@pytest.mark.parametrize("scale", SCALES.values(), ids=SCALES)
@cases("scale")
def test_a_learned_scale_gets_its_gradient(module, options, scale):
    """It was handed on as a constant, and stood still: also where nothing else is learned."""
    inputs = drawn(module, options, (3, 9, 4), (3, 9, 4))

    def attend(scale):
        return attended(module, inputs, **{**options, "scale": scale})

    check_gradients(attend, scale)


def test_a_scale_in_the_queries_is_differentiated_twice():
    """The mixed derivative was lost, in silence, where a mechanism has second derivatives."""
    q = draw_qkv((3, 9, 4), (3, 9, 4))[0].requires_grad_()
    scale = SCALES["one a head"].clone().requires_grad_()

    def fold(q, scale):
        folded, left = folded_in(q, scale, q.shape[:-2])
        return left * folded

    assert torch.autograd.gradgradcheck(fold, (q, scale))


@cases("scale", "causality")
def test_the_gradient_of_a_scale_does_not_hear_of_who_sees_nothing(module, options):
    """Their gradient is 0, and 0 · NaN is NaN."""
    inputs = drawn(module, options, (2, 9, 8), (2, 5, 8))
    inputs[0][:, :4] = torch.nan
    scale = torch.tensor(0.3, dtype=torch.float64, requires_grad=True)
    attended(module, inputs, **{**options, "scale": scale}).sum().backward()
    asked = [inputs[0][:, 4:], *inputs[1:]]
    alone = scale.detach().clone().requires_grad_()
    attended(module, asked, **{**options, "scale": alone}).sum().backward()
    assert_close(scale.grad, alone.grad)


small_shapes = pytest.mark.parametrize(
    "shapes", [((2, 4, 3), (2, 4, 3)), ((2, 1, 3), (1, 5, 3)), ((4, 3), (2, 3))], ids=str
)


@small_shapes
@cases("mask")
def test_gradients_under_a_mask_are_those_of_the_output(module, options, shapes):
    mask = torch.ones(shapes[0][-2], shapes[1][-2], dtype=torch.bool)
    mask[0], mask[:, -1] = False, False  # one query sees nothing, one key is seen by none
    test_gradients_are_those_of_the_output(module, {**options, "mask": mask}, shapes)


@small_shapes
@cases()
def test_gradients_are_those_of_the_output(module, options, shapes):

    def attend(*inputs):
        return attended(module, inputs, **options)

    check_gradients(attend, *drawn(module, options, *shapes, 2))


@pytest.mark.parametrize("n_q", [33, 5])
@cases()
def test_gradients_are_those_of_the_definition(module, options, n_q):
    """Central differences of NumPy's equation, each input moved in a direction of its own."""
    inputs = drawn(module, options, (2, n_q, 8), (2, 33, 8))
    out, grads = differentiated(module, inputs, **options)
    upstream = torch.linspace(-1, 1, out.numel(), dtype=out.dtype).view_as(out)
    for number, (x, gradient) in enumerate(zip(inputs, grads, strict=True)):
        step = 1e-6 * draw_qkv(x.shape, x.shape, seed=number)[0]
        ahead, behind = (
            defined(module, [*inputs[:number], moved, *inputs[number + 1 :]], **options)
            for moved in (x + step, x - step)
        )
        slope = (upstream * (ahead - behind)).sum() / 2
        torch.testing.assert_close((gradient * step).sum(), slope, rtol=1e-6, atol=1e-12)


@cases()
def test_strides_do_not_matter(module, options):
    """Heads are transposed out of the model's width in practice, so no input is contiguous."""
    inputs = drawn(module, options, (2, 3, 33, 8), (2, 3, 33, 8))
    strided = [x.transpose(1, 2).contiguous().transpose(1, 2) for x in inputs]
    strided[2] = inputs[2].mT.contiguous().mT
    assert not any(x.is_contiguous() for x in strided)
    expected, wanted = differentiated(module, inputs, **options)
    out, grads = differentiated(module, strided, **options)
    assert_close(out, expected)
    for grad, want in zip(grads, wanted, strict=True):
        assert_close(grad, want)


# Gates with and without an axis of their own

# Sizes that coincide: of heads and tokens, of tokens and channels, of batch and heads at one token.
COINCIDENCES = {
    "no two alike": (2, 3, 7, 4),
    "as many heads as tokens": (2, 5, 5, 4),
    "as many channels as tokens": (2, 3, 4, 4),
    "all alike": (4, 4, 4, 4),
    "one token": (2, 3, 1, 4),
    "one token, as many heads as sequences": (3, 3, 1, 4),
    "one head": (2, 1, 5, 4),
    "one head and one token": (3, 1, 1, 4),
    "nothing but a token": (1, 1),
    "no heads": (7, 4),
    "no tokens": (2, 3, 0, 4),
}


@pytest.mark.parametrize("shape", COINCIDENCES.values(), ids=COINCIDENCES)
@cases("gates", but=lambda name, options: "per_channel" in options)
def test_a_gate_needs_no_axis_of_its_own(module, options, shape):
    """Others have one number a token and head, (b, h, n): the same, whatever sizes coincide."""
    (*qkv,) = draw_qkv(shape, shape)
    columns = gated(module, options, qkv)[3:]
    assert columns[0].shape == (*shape[:-1], 1)
    rows = [gate.squeeze(-1) for gate in columns]
    out = attended(module, [*qkv, *columns], **options)
    assert torch.equal(attended(module, [*qkv, *rows], **options), out)
    if out.numel():
        _, grads = differentiated(module, [*qkv, *columns], **options)
        _, grads_again = differentiated(module, [*qkv, *rows], **options)
        for grad, expected in zip(grads_again, grads, strict=True):
            assert torch.equal(grad, expected.reshape(grad.shape))
    assert_close(out, defined(module, [*qkv, *rows], **options))
    options = fitting(module.step, options, shape[-2])
    stepped, _ = module.step(None, *qkv, *rows, **options)
    assert_close(stepped, out)


@cases("gates", one_each=True)
def test_one_gate_for_all_heads_has_a_single_axis(module, options):
    inputs = drawn(module, options, (2, 3, 7, 4), (2, 3, 7, 4))
    alone = [gate[0, 0, :, 0] for gate in inputs[3:]]
    everywhere = [gate.expand(2, 3, 7)[..., None] for gate in alone]
    expected = attended(module, [*inputs[:3], *everywhere], **options)
    assert torch.equal(attended(module, [*inputs[:3], *alone], **options), expected)
    assert_close(defined(module, [*inputs[:3], *alone], **options), expected)


@cases("gates", one_each=True)
def test_a_gate_of_each_query_head_needs_no_axis_of_its_own(module, options):
    """Grouped heads share their keys, and not always their gates."""
    qkv = draw_qkv((2, 3, 7, 4), (2, 1, 7, 4))
    columns = gated(module, options, draw_qkv((2, 3, 7, 4), (2, 3, 7, 4)))[3:]
    expected = attended(module, [*qkv, *columns], **options)
    rows = [gate.squeeze(-1) for gate in columns]
    assert torch.equal(attended(module, [*qkv, *rows], **options), expected)
    assert_close(defined(module, [*qkv, *rows], **options), expected)


@cases("gates", one_each=True)
def test_a_row_of_gates_does_not_broadcast(module, options):
    """At one token, (2, 1, 1) would be read as a column: of two heads, not of two sequences."""
    for tokens in (5, 2):
        for name in gates_of(module):
            given = {key: torch.zeros(2, 3, tokens, 8) for key in "qkv"}
            given |= {gate: torch.zeros(2, 3, tokens) for gate in gates_of(module)}
            for shape in ((2, 1, tokens), (3, tokens), (1, 3, tokens)):
                with pytest.raises(ValueError, match=rf"^{name} must have one row per key"):
                    module.attend(**given | {name: torch.zeros(shape)}, **options)


# Low precision

ANOTHER_SOFTMAX = {"log_n", "qk_norm", "sink"}


@on_devices
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("n_q", [257, 40])
@cases(but=lambda name, options: gates_of(MODULES[name]) or ANOTHER_SOFTMAX & options.keys())
def test_error_is_at_most_twice_that_of_a_plain_softmax(module, options, dtype, n_q, device):
    """The yardstick is three lines of PyTorch in the same precision, against float64.

    Recurrences have a rule of their own, and test_dense.py a yardstick for other softmaxes.
    """
    q, k, v = draw_qkv((2, n_q, 60), (2, 257, 60), dtype=dtype, device=device)
    by = module if hasattr(module, "visible") else dense
    sees = torch.from_numpy(pattern(by, options, n_q, 257)).to(device)
    scores = q @ k.mT * options.get("scale", 60**-0.5)
    plain = scores.masked_fill(~sees, -torch.inf).softmax(-1).nan_to_num() @ v
    exact_plain = defined(dense, [q, k, v], mask=sees, scale=options.get("scale"))
    out = attended(module, [q, k, v], **options)
    assert out.dtype == dtype
    error = (out.cpu().double() - defined(equation(module), [q, k, v], **options)).abs()
    yardstick = (plain.cpu().double() - exact_plain).abs()
    floor = torch.finfo(dtype).eps / 8
    assert error.max() <= 2 * yardstick.max() + floor
    assert rms(error) <= 2 * rms(yardstick) + floor


@on_devices
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("n_q", [257, 40])
@cases()
def test_outputs_and_gradients_keep_their_digits(module, options, dtype, n_q, device):
    """Relative to their own size: a gradient may be small, and wrong, beside the output."""
    inputs = drawn(module, options, (2, n_q, 60), (2, 257, 60), dtype=dtype, device=device)
    out, grads = differentiated(module, inputs, **options)
    exact, wanted = differentiated(module, [x.cpu().double() for x in inputs], **options)
    # A softmax in half precision errs by that much more than its outputs are rounded.
    digits = 8 * torch.finfo(dtype).eps if dtype != torch.float32 else 1e-5
    for x, y in zip((out, *grads), (exact, *wanted), strict=True):
        assert rms(x.cpu().double() - y) <= digits * rms(y)


# Masks: who sees nothing, and what nobody sees


@on_devices
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16], ids=str)
@cases("mask")
def test_a_query_that_sees_nothing_gives_zero_and_zero_gradients(module, options, dtype, device):
    """0/0 in one row of a softmax is NaN in every gradient."""
    inputs = draw_qkv((2, 9, 8), (2, 9, 8), dtype=dtype, device=device)
    mask = torch.ones(9, 9, dtype=torch.bool, device=device)
    mask[2], mask[5] = False, False
    out, grads = differentiated(module, inputs, mask=mask, **options)
    assert not out[:, [2, 5]].any()
    assert not grads[0][:, [2, 5]].any()
    assert all(grad.isfinite().all() for grad in grads)
    assert not defined(module, inputs, mask=mask, **options)[:, [2, 5]].any()


@on_devices
@cases("mask")
def test_nobody_sees_anything(module, options, device):
    """A window wholly inside the padding, or a sample that is all padding."""
    inputs = draw_qkv((2, 9, 8), (2, 9, 8), device=device)
    mask = torch.zeros(9, 9, dtype=torch.bool, device=device)
    out, grads = differentiated(module, inputs, mask=mask, **options)
    assert not out.any()
    assert not any(grad.any() for grad in grads)
    assert not defined(module, inputs, mask=mask, **options).any()


@on_devices
@cases("causality")
def test_queries_before_the_first_key_give_zero_and_zero_gradients(module, options, device):
    """Bottom-right alignment: of nine queries on four keys, five come before all keys."""
    inputs = drawn(module, options, (2, 9, 8), (2, 4, 8), device=device)
    out, grads = differentiated(module, inputs, **options)
    assert not out[:, :5].any()
    if not hasattr(module, "visible") or pattern(module, options, 9, 4)[5:].any(1).all():
        assert out[:, 5:].all()
    assert not grads[0][:, :5].any()
    assert all(grad.isfinite().all() for grad in grads)


@on_devices
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize("garbage", [torch.nan, torch.inf, -torch.inf, 3e38])
@cases("mask")
def test_padding_does_not_leak(module, options, garbage, dtype, device):
    """0 · NaN is NaN: a weight of zero does not silence what nobody may see."""
    inputs = draw_qkv((2, 9, 8), (2, 9, 8), dtype=dtype, device=device)
    rows = torch.arange(9, device=device)
    real = rows < 6
    mask = real[:, None] & real  # padded as queries and as keys
    expected, wanted = differentiated(module, inputs, mask=mask, **options)
    padded = [torch.where(real[:, None], x, garbage) for x in inputs]
    out, grads = differentiated(module, padded, mask=mask, **options)
    assert torch.equal(out, expected)
    assert all(map(torch.equal, grads, wanted))
    assert not any(grad[:, 6:].any() for grad in grads)
    definition = defined(module, padded, mask=mask, **options)
    assert_close(expected.double(), definition, within=1e-5)


@cases("mask")
def test_a_sample_s_padding_is_its_own(module, options):
    """One mask a sample, its keys shared: what one may not see, the other may."""
    q, k, v = draw_qkv((2, 9, 8), (9, 8))
    mask = draw_mask(2, 1, 9)
    together = attended(module, [q, k, v], mask=mask, **options)
    for sample in range(2):
        alone = attended(module, [q[sample], k, v], mask=mask[sample], **options)
        assert_close(together[sample], alone)


# Packed sequences

LENGTHS = [9, 1, 0, 17, 6]  # one of no tokens, one across tiles
PACKED = torch.tensor([number for number, n in enumerate(LENGTHS) for _ in range(n)])
# The second row of a batch: padding on the left, then two sequences of one number, and padding.
PADDED = torch.tensor([-1] * 5 + [0] * 10 + [1] * 6 + [0] * 9 + [-1] * 3)


def options_for_packed(module, options):
    """As for as many tokens as there are in all, whatever is then looked at."""
    return fitting(module.attend, options, len(PACKED))


def one_by_one(module, inputs, segments, options):
    """What each sequence gives by itself, joined; but layouts and grids are those of all tokens."""
    if {"layout", "width"} & options.keys():
        _, runs = torch.unique_consecutive(segments, return_inverse=True)
        mask = (runs[:, None] == runs) & (segments >= 0)
        return module.attend(*(torch.nan_to_num(x) for x in inputs), mask=mask, **options)
    numbers, lengths = torch.unique_consecutive(segments, return_counts=True)
    outputs = []
    for number, *parts in zip(
        numbers, *(x.split(lengths.tolist(), dim=-2) for x in inputs), strict=True
    ):
        out = module.attend(*(torch.nan_to_num(x) for x in parts), **options)
        outputs.append(out if number >= 0 else torch.zeros_like(out))
    return torch.cat(outputs, dim=-2)


@pytest.mark.parametrize(
    "segments", [LENGTHS, PACKED, PACKED.expand(2, 1, 33)], ids=["lengths", "numbers", "rows"]
)
@cases()
def test_packed_sequences_see_themselves_alone(module, options, segments):
    inputs = drawn(module, options, (2, 3, 33, 8), (2, 1, 33, 8))
    options = options_for_packed(module, options)
    out, grads = gradients(lambda *x: module.attend(*x, segments=segments, **options), inputs)
    expected, wanted = gradients(lambda *x: one_by_one(module, x, PACKED, options), inputs)
    assert_close(out, expected)
    for grad, want in zip(grads, wanted, strict=True):
        assert_close(grad, want)


@cases()
def test_rows_are_packed_each_in_its_own_way_and_padding_may_hold_anything(module, options):
    rows = torch.stack([PACKED, PADDED])[:, None]
    inputs = drawn(module, options, (2, 3, 33, 8), (2, 3, 33, 8))
    options = options_for_packed(module, options)
    inputs = [torch.where((rows < 0)[..., None], torch.nan, x) for x in inputs]
    out, grads = gradients(lambda *x: module.attend(*x, segments=rows, **options), inputs)

    def apart(*inputs):
        each = zip((PACKED, PADDED), zip(*inputs, strict=True), strict=True)
        return torch.stack([one_by_one(module, x, segments, options) for segments, x in each])

    expected, wanted = gradients(apart, inputs)
    assert_close(out, expected)
    for grad, want in zip(grads, wanted, strict=True):
        assert_close(grad, want)


@cases("causality", but=lambda name, options: name == "clock")
def test_the_last_queries_of_what_is_packed(module, options):
    """A clock's tick may be skipped with the queries before; the others have nothing of them."""
    inputs = drawn(module, options, (2, 33, 8), (2, 33, 8))
    options = options_for_packed(module, options) | {"segments": torch.stack([PACKED, PADDED])}
    whole = module.attend(*inputs, **options)
    assert_close(module.attend(inputs[0][:, -20:], *inputs[1:], **options), whole[:, -20:])
    more = torch.cat([inputs[0][:, :4], inputs[0]], dim=1)
    assert_close(module.attend(more, *inputs[1:], **options)[:, 4:], whole)


@cases("mask")
def test_packed_sequences_may_be_masked_too(module, options):
    inputs = draw_qkv((2, 33, 8), (2, 33, 8))
    options = options_for_packed(module, options)
    for mask in (draw_mask(2, 33, 33), draw_mask(1, 33), draw_mask(33, 1)):
        out = module.attend(*inputs, mask=mask, segments=PACKED, **options)
        both = mask & (PACKED[:, None] == PACKED)
        if not {"log_n", "bias"} & options.keys():
            assert_close(out, module.attend(*inputs, mask=both, **options))
        else:
            assert_close(out, defined(module, inputs, mask=both, **options))


@cases(one_each=True)
def test_no_number_is_held_for_each_pair_of_what_is_packed(module, options):
    """Of 64 sequences: a mask of all pairs would take as many bytes as there are pairs."""
    n = 2048
    inputs = drawn(module, options, (n, 8), (n, 8), dtype=torch.float32)
    inputs = [x.requires_grad_() for x in inputs]
    options = fitting(module.attend, options, n)
    with PeakMemory() as memory:
        module.attend(*inputs, segments=torch.arange(n) // 32, **options).sum().backward()
    assert memory.peak < n**2


@cases(one_each=True)
def test_nothing_is_packed(module, options):
    options = fitting(module.attend, options, 0)
    for lead, segments in (((2,), [0]), ((0,), torch.zeros(0, 0, dtype=torch.long))):
        inputs = drawn(module, options, (*lead, 0, 8), (*lead, 0, 8))
        assert module.attend(*inputs, segments=segments, **options).shape == (*lead, 0, 8)


@cases(one_each=True)
def test_a_row_of_padding_alone_has_gradients_of_0(module, options):
    """Nothing of it depended on the inputs: there was no backward pass, and training stopped."""
    n = 33
    inputs = drawn(module, options, (2, n, 8), (2, n, 8))
    options = options_for_packed(module, options)
    for segments in (torch.full((n,), -1), torch.tensor([0] * 9 + [-1] * 24)):
        given = [inputs[0][:, -20:], *inputs[1:]]  # of the only sequence, no query is left
        out, grads = gradients(
            lambda *x, segments=segments: module.attend(*x, segments=segments, **options), given
        )
        assert not any(x.any() for x in (out, *grads))


@cases(one_each=True)
def test_no_queries_and_no_keys_have_gradients_of_0(module, options):
    for n_q, n_k in ((0, 33), (3, 0), (0, 0)):
        inputs = drawn(module, options, (2, n_q, 8), (2, n_k, 8))
        _, grads = differentiated(module, inputs, **options)
        assert not any(x.any() for x in grads)


@cases(one_each=True)
def test_rows_of_segments_are_no_more_than_those_of_the_tokens(module, options):
    """If they were alike there came one row, if they were not, one for each."""
    inputs = drawn(module, options, (5, 8), (5, 8))
    for segments in (torch.zeros(3, 5).long(), torch.tensor([[0] * 5, [1, 1, 2, 2, 2]])):
        with pytest.raises(ValueError, match=r"^segments must have leading axes .*, got "):
            module.attend(*inputs, **fitting(module.attend, options, 5), segments=segments)


@cases(one_each=True)
def test_segments_are_nothing_that_vmap_runs_along(module, options):
    """PyTorch said something about a data pointer."""
    inputs = drawn(module, options, (5, 8), (5, 8))

    def attend(segments):
        return module.attend(*inputs, **fitting(module.attend, options, 5), segments=segments)

    with pytest.raises(ValueError, match=r"^segments must be the same .*, got "):
        torch.func.vmap(attend)(torch.zeros(2, 5).long())


BAD_SEGMENTS = {
    "a word": "ab",
    "one number": 5,
    "lengths that sum to less": [2, 2],
    "a negative length": [6, -1],
    "truths": torch.ones(5, dtype=torch.bool),
    "floats": torch.ones(5),
    "another length": torch.zeros(4, dtype=torch.long),
    "other leading axes": torch.zeros(3, 5, dtype=torch.long),
    "no values": torch.zeros(5, dtype=torch.long, device="meta"),
}


@pytest.mark.parametrize("segments", BAD_SEGMENTS.values(), ids=BAD_SEGMENTS)
@cases(one_each=True)
def test_bad_segments_are_refused_by_name(module, options, segments):
    with pytest.raises(ValueError, match=r"^segments must .*, got "):
        module.attend(**zeros(module, 5), **fitting(module.attend, options, 5), segments=segments)


# What it costs


def peak_memory(module, options, shape, backward, **choices):
    inputs = [x.requires_grad_(backward) for x in drawn(module, options, shape, shape, **choices)]
    with PeakMemory() as memory:
        out = attended(module, inputs, **options)
        if backward:
            out.sum().backward()
    return memory.peak


@pytest.mark.parametrize("device", ["cpu", "meta"])
@pytest.mark.parametrize("n", [1, 64, 97, 257])
@cases()
def test_executed_flops_are_counted_to_the_last_one(module, options, n, device):
    """PyTorch counts what the matrix products run; the formula must say exactly that."""
    inputs = drawn(module, options, *[(2, 3, n, 12)] * 2, dtype=torch.float32, device=device)
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        attended(module, inputs, **options)
    executed = priced(module, options, n).executed
    assert counter.get_total_flops() == 2 * 3 * executed(n=n, d=12)
    assert executed.unit == "FLOPs"


@pytest.mark.parametrize("n", [64, 97, 1000, 2**20])
@cases()
def test_executes_no_less_than_needed_and_not_much_more(module, options, n):
    cost = priced(module, options, n)
    ratio = cost.executed(n=n, d=64) / cost.needed(n=n, d=64)
    most = WASTE.get(name_of(module), 1)  # one that is not there yet is told so above
    assert 1 <= ratio <= (most(**options) if callable(most) else most)


@pytest.mark.parametrize("n", [1, 2, 97])
@cases("visible")
def test_needs_4d_flops_for_each_visible_pair(module, options, n):
    """The formula and the pattern must not drift apart."""
    needed = priced(module, options, n).needed
    assert needed(n=n, d=12) == 4 * 12 * pattern(module, options, n).sum()
    assert needed.unit == "FLOPs"


def takes_too_long(name, options):
    return name in QUADRATIC_TIME


def assert_equal_steps_cost_equal_bytes(module, options, backward):
    """But for what a tile that is not full may add.

    One square of booleans would be a second difference of 2 · 256² bytes, thrice what may pass.
    """
    lengths = np.array([512, 768, 1024])
    peaks = [peak_memory(module, options, (2, int(n), 8), backward) for n in lengths]
    assert peaks[0] >= 2 * 512 * 8 * 8  # the output at least
    allowed = 2 * 256**2 / 3
    if name_of(module) in N_LOG_N:
        curve = lengths * np.log2(lengths)
        allowed += 2 * np.diff(curve, 2).max() * peaks[-1] / curve[-1]
    assert np.abs(np.diff(peaks, 2)).max() <= allowed, peaks


@cases()
def test_memory_is_linear_in_n(module, options):
    assert_equal_steps_cost_equal_bytes(module, options, backward=False)


@cases(but=lambda *case: not takes_too_long(*case))
def test_memory_is_linear_in_n_with_the_backward_pass(module, options):
    """Of those whose time is quadratic. That of the others is followed further, below."""
    assert_equal_steps_cost_equal_bytes(module, options, backward=True)


@pytest.mark.deep  # the two tests below follow each of these further
@cases(but=takes_too_long)
def test_memory_is_linear_in_n_with_the_backward_pass_too(module, options):
    assert_equal_steps_cost_equal_bytes(module, options, backward=True)


def assert_grows_with_n(module, options, short, long):
    """Forward and backward memory: in proportion, or to n log n where a mechanism may hold that.

    On the CPU: its kernels need a fifth of the time that the meta device's Python does. Tokens are
    narrow, so that beside them a number for each pair, or for each token and tile, is seen early.
    """
    peaks = [
        peak_memory(module, options, (n, 16), True, dtype=torch.float32, device="cpu")
        for n in (short, long)
    ]
    assert peaks[0] >= short * 16 * 4
    growth = long / short
    if name_of(module) in N_LOG_N:
        growth *= np.log2(long / 64) / np.log2(short / 64)
    assert peaks[1] <= 1.1 * growth * peaks[0], (
        f"{name_of(module)} holds {peaks[0]:,} bytes at n = {short} and {peaks[1]:,} at {long}: "
        "more than linear. If its time is quadratic by design, QUADRATIC_TIME in this file says so."
    )


def not_its_second(name, options):
    """The second row of each mechanism is causal, or has a tile's worth of tokens in sight."""
    return takes_too_long(name, options) or options not in CASES[name][1:2]


@pytest.mark.slow
@cases(but=not_its_second)
def test_memory_stays_linear_as_far_as_32768_tokens(module, options):
    """A slice in a loop looks innocent, and its gradients are quadratic only from here on."""
    assert_grows_with_n(module, options, 4096, 32768)


@pytest.mark.slow
@cases(but=lambda *case: takes_too_long(*case) or not not_its_second(*case))
def test_memory_is_linear_in_n_whatever_the_options(module, options):
    """One option of a mechanism kept what the others let go. The second row was seen above."""
    assert_grows_with_n(module, options, 2048, 8192)


# Streams

CHUNKS = {
    "token by token": [1] * 33,
    "uneven chunks": [7, 1, 1, 16, 3, 5],
    "at once": [33],
}


def stream(module, inputs, chunks, **options):
    state, outputs = None, []
    for tokens in zip(*(x.split(chunks, dim=-2) for x in inputs), strict=True):
        out, state = module.step(state, *tokens, **fitting(module.step, options, 33))
        outputs.append(out)
    return torch.cat(outputs, dim=-2), state


def tensors(state):
    return [x for x in tree_leaves(state) if isinstance(x, torch.Tensor)]


@pytest.mark.parametrize("chunks", CHUNKS.values(), ids=CHUNKS)
@pytest.mark.parametrize("shapes", [((33, 8), (33, 8)), ((2, 3, 33, 8), (2, 1, 33, 8))], ids=str)
@cases("step", "causality")
def test_stream_equals_the_parallel_form(module, options, shapes, chunks):
    inputs = drawn(module, options, *shapes)
    out, _ = stream(module, inputs, chunks, **options)
    assert_close(out, attended(module, inputs, **options))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("chunks", CHUNKS.values(), ids=CHUNKS)
@cases("step", "causality")
def test_stream_holds_the_bytes_it_says(module, options, chunks, dtype):
    """A key-value head is counted once, however many query heads share it."""
    inputs = drawn(module, options, (2, 3, 33, 8), (2, 1, 33, 8), dtype=dtype)
    _, state = stream(module, inputs, chunks, **options)
    held = priced(module, options, 33).held
    size = {"n": 33, "d": 8, "b": dtype.itemsize, "r": 3}
    values = {symbol.name: size[symbol.name] for symbol in held.symbols}
    assert sum(x.nbytes for x in tensors(state)) == 2 * held(**values)
    assert held.unit == "bytes"


@cases("step", "causality")
def test_step_leaves_its_state_as_it_was(module, options):
    """Two continuations of one prefix, as beam search wants them, must not meet."""
    inputs = drawn(module, options, (6, 8), (6, 8))
    options = fitting(module.step, options, 6)
    _, state = stream(module, [x[:4] for x in inputs], [4], **options)
    before = [x.clone() for x in tensors(state)]
    first, _ = module.step(state, *(x[4:5] for x in inputs), **options)
    module.step(state, *(x[5:] for x in inputs), **options)
    again, _ = module.step(state, *(x[4:5] for x in inputs), **options)
    assert all(map(torch.equal, tensors(state), before))
    assert torch.equal(first, again)


@cases("step", "causality", one_each=True)
def test_a_state_owns_what_it_holds(module, options):
    """The caller filled her buffer with the next tokens, and what was held changed with it.

    And where keys are a part of one large product, holding a view of them holds all of it.
    """
    options = fitting(module.step, options, 6)
    whole = torch.cat(drawn(module, options, (2, 6, 8), (2, 6, 8)), dim=-1)
    widths = [x.shape[-1] for x in drawn(module, options, (2, 6, 8), (2, 6, 8))]
    state = None
    for start, stop in ((0, 0), (0, 4), (4, 5), (5, 6), (6, 6)):
        fused = whole.clone()[:, start:stop]
        _, state = module.step(state, *fused.split(widths, dim=-1), **options)
        before = [x.clone() for x in tensors(state)]
        fused.fill_(torch.nan)
        assert all(map(torch.equal, tensors(state), before))
        for x in tensors(state):
            assert x.untyped_storage().nbytes() == x.nbytes


# Padding, where there is no mask to hide it

NO_MASK = [
    name for name in MECHANISMS if "mask" not in inspect.signature(MODULES[name].attend).parameters
]
TOKENS = 75  # more than a chunk of the recurrences, and no multiple of one


def ragged(inputs, padding, places):
    """The tokens of one sequence at places of a longer one, which is padding elsewhere."""
    long = [x.clone() for x in padding]
    for whole, x in zip(long, inputs, strict=True):
        whole[..., places, :] = x
    return long


@cases("causality", but=lambda name, options: name not in NO_MASK)
def test_padding_on_the_right_changes_no_other_output(module, options):
    """What each docstring says is to be done where there is no mask; gradients included."""
    inputs = drawn(module, options, (2, TOKENS, 8), (2, TOKENS, 8))
    padding = drawn(module, options, (2, TOKENS + 60, 8), (2, TOKENS + 60, 8), seed=1)
    places = torch.arange(TOKENS)

    def real(*moved):
        return attended(module, ragged(moved, padding, places), **options)[:, :TOKENS]

    expected, wanted = differentiated(module, inputs, **options)
    out, grads = gradients(real, inputs)
    assert_close(out, expected)
    for grad, want in zip(grads, wanted, strict=True):
        assert_close(grad, want)


def no_feature(k, options):
    return torch.full_like(k, 0 if options.get("feature_map") == "relu" else -torch.inf)


# What leaves a state alone, by the name of the argument: the others may be anything.
NEUTRAL = {
    "linear": {"k": no_feature},
    "gated_linear": {"v": lambda v, _: 0 * v, "log_decay": lambda g, _: 0 * g},
    "delta_rule": {"beta": lambda beta, _: 0 * beta},
    "gated_delta_rule": {"beta": lambda beta, _: 0 * beta, "log_decay": lambda g, _: 0 * g},
}


@pytest.mark.parametrize("where", ["on the left", "on the right", "in between"])
@cases(but=lambda name, options: name not in NEUTRAL)
def test_neutral_padding_is_passed_over(module, options, where):
    """The state goes on as it was: what the docstrings advise for padding anywhere."""
    names = ["q", "k", "v", *gates_of(module)]
    inputs = drawn(module, options, (2, TOKENS, 8), (2, TOKENS, 8))
    padding = drawn(module, options, (2, TOKENS + 60, 8), (2, TOKENS + 60, 8), seed=1)
    made = NEUTRAL[name_of(module)]
    padding = [
        made[name](x, options) if name in made else x
        for name, x in zip(names, padding, strict=True)
    ]
    first = {"on the left": 60, "on the right": 0, "in between": 0}[where]
    places = torch.arange(first, first + TOKENS)
    places = places + 60 * (places >= 40) if where == "in between" else places

    def real(*moved):
        return attended(module, ragged(moved, padding, places), **options)[:, places]

    expected, wanted = differentiated(module, inputs, **options)
    out, grads = gradients(real, inputs)
    assert_close(out, expected)
    for grad, want in zip(grads, wanted, strict=True):
        assert_close(grad, want)


@pytest.mark.parametrize("name", NO_MASK)
def test_who_has_no_mask_says_what_to_do_with_padding(name):
    """`mask` was a TypeError, and the docstring silent."""
    words = " ".join(inspect.getdoc(MODULES[name].attend).split())
    assert "There is no ``mask``" in words
    assert "adding on the right" in words or "adding belongs on the right" in words
    with pytest.raises(TypeError, match="mask"):
        MODULES[name].attend(mask=None)


@pytest.mark.parametrize("name", MECHANISMS)
def test_help_begins_with_what_a_mechanism_does(name):
    """80 lines of what every tuple has came before `attend`."""
    page = pydoc.render_doc(MODULES[name], renderer=pydoc.plaintext)
    assert "CLASSES" not in page
    described = page.index("FUNCTIONS\n    attend(")
    assert page.count("\n", 0, described) < 70  # the docstring of the module, and no more
    doors = {"define", "attend", "cost", "visible", "step"} & vars(MODULES[name]).keys()
    assert all(f"\n    {door}(" in page for door in doors - {"visible"})


# Mixed precision


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@cases()
def test_autocast_changes_nothing(module, options, dtype):
    """It rounded what meets in a product, or half of a backward pass, or gave another dtype."""
    inputs = drawn(module, options, (2, 40, 8), (2, 40, 8), dtype=dtype)
    expected, gradients_expected = differentiated(module, inputs, **options)
    inputs = [x.requires_grad_() for x in inputs]
    upstream = torch.linspace(-1, 1, expected.numel(), dtype=dtype).view_as(expected)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = attended(module, inputs, **options)
    assert out.dtype == dtype
    assert torch.equal(out, expected)
    for actual, wanted in zip(
        torch.autograd.grad(out, inputs, upstream), gradients_expected, strict=True
    ):
        assert actual.dtype == wanted.dtype
        assert torch.equal(actual, wanted)


@cases()
def test_autocast_changes_no_backward_pass_within_it(module, options):
    """Forward in float32 and backward in half precision: PyTorch's own formulas round, too."""
    inputs = drawn(module, options, (2, 70, 8), (2, 70, 8), dtype=torch.float32)
    _, expected = differentiated(module, inputs, **options)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        _, all_within = differentiated(module, inputs, **options)
        every = tuple(range(len(inputs)))
        of_func = torch.func.grad(
            lambda *x: (attended(module, x, **options) * weights).sum(), argnums=every
        )
        weights = torch.linspace(-1, 1, inputs[2].numel()).view_as(inputs[2])
        by_func = of_func(*inputs)
    inputs = [x.requires_grad_() for x in inputs]
    out = attended(module, inputs, **options)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        backward_within = torch.autograd.grad(out, inputs, weights)
        product = weights @ weights.mT
    assert product.dtype == torch.bfloat16  # autocast goes on as it was
    for grads in (all_within, by_func, backward_within):
        assert all(map(torch.equal, grads, expected))


@cases("step", "causality", one_each=True)
def test_autocast_changes_no_backward_pass_through_a_stream(module, options):
    inputs = drawn(module, options, (2, 9, 8), (2, 9, 8), dtype=torch.float32)
    options = fitting(module.step, options, 9)

    def streamed(*inputs):
        return stream(module, inputs, [4, 4, 1], **options)[0]

    _, expected = gradients(streamed, inputs)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        _, grads = gradients(streamed, inputs)
    assert all(map(torch.equal, grads, expected))


@cases("step", "causality", one_each=True)
def test_autocast_changes_no_stream(module, options):
    """A step gave half precision, and refused to go on from its own state."""
    inputs = drawn(module, options, (2, 9, 8), (2, 9, 8), dtype=torch.float32)
    options = fitting(module.step, options, 9)
    expected, state = stream(module, inputs, [4, 4, 1], **options)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out, state_in_autocast = stream(module, inputs, [4, 4, 1], **options)
    assert torch.equal(out, expected)
    assert all(map(torch.equal, tensors(state_in_autocast), tensors(state)))


# Devices


TELLING = ["grouped heads", "one query against a cache", "no keys"]  # tried under all options
OTHERS = [name for name in TYPICAL if name not in TELLING]


@pytest.mark.parametrize("shapes", [SHAPES[name] for name in TELLING], ids=TELLING)
@cases()
def test_meta_device_gives_the_shape(module, options, shapes):
    """A forgotten device=, or a look at a value, fails here with no GPU at hand."""
    assert_meta_device_gives_the_shape(module, options, shapes)


@pytest.mark.parametrize("shapes", [SHAPES[name] for name in OTHERS], ids=OTHERS)
@cases(one_each=True)
def test_meta_device_gives_other_shapes(module, options, shapes):
    assert_meta_device_gives_the_shape(module, options, shapes)


@pytest.mark.deep  # each of these options, and each of these shapes, is tried above
@pytest.mark.parametrize("shapes", [SHAPES[name] for name in OTHERS], ids=OTHERS)
@cases(but=lambda name, options: options is CASES[name][0])
def test_meta_device_gives_other_shapes_too(module, options, shapes):
    assert_meta_device_gives_the_shape(module, options, shapes)


def assert_meta_device_gives_the_shape(module, options, shapes):
    inputs = drawn(module, options, *shapes, 5, dtype=torch.float32)
    expected = attended(module, inputs, **options)
    inputs = [x.to("meta").requires_grad_() for x in inputs]
    outputs = [attended(module, inputs, **options)]
    if "mask" in inspect.signature(module.attend).parameters:
        mask = torch.ones(shapes[0][-2], shapes[1][-2], dtype=torch.bool, device="meta")
        outputs.append(attended(module, inputs, mask=mask, **options))
    for out in outputs:
        out.sum().backward()
        assert (out.device.type, out.dtype, out.shape) == ("meta", torch.float32, expected.shape)


@cases("step", "causality")
def test_meta_device_streams(module, options):
    inputs = [x.to("meta") for x in drawn(module, options, (2, 3, 33, 8), (2, 1, 33, 8))]
    out, _ = stream(module, inputs, [7, 1, 25], **options)
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


BAD_SCALES = {
    "a word": "0.3",
    "a truth": True,
    "no number": float("nan"),
    "infinite": float("inf"),
    "infinite, of NumPy's": -np.float32("inf"),
    "an array": np.ones((2, 1, 1)),
    "integers": torch.ones(2, 1, 1, dtype=torch.long),
    "one a channel": torch.ones(8),
    "one a pair": torch.ones(5, 5),
    "other leading axes": torch.ones(3, 1, 1),
    "more leading axes than the scores": torch.ones(7, 2, 1, 1),
    "another device": torch.ones(2, 1, 1, device="meta"),
}


BAD_GATES = {
    "an array": np.zeros((2, 5, 1)),
    "one number": torch.zeros(()),
    "one axis of another length": torch.zeros(4),
    "one axis of length one, which would broadcast": torch.zeros(1),
    "an axis fewer, of another length": torch.zeros(2, 4),
    "an axis fewer, of other leading axes": torch.zeros(3, 5),
    "an axis fewer, which would broadcast": torch.zeros(1, 5),
    "an axis fewer, of integers": torch.zeros(2, 5, dtype=torch.long),
    "an axis fewer, on another device": torch.zeros(2, 5, device="meta"),
    "integers": torch.zeros(2, 5, 1, dtype=torch.long),
    "fewer rows than keys": torch.zeros(2, 4, 1),
    "one row for all keys, which would broadcast": torch.zeros(2, 1, 1),
    "another width": torch.zeros(2, 5, 3),
    "leading axes": torch.zeros(3, 5, 1),
    "device": torch.zeros(2, 5, 1, device="meta"),
}


@pytest.mark.parametrize("gate", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64], ids=str)
@cases("gates")
def test_gates_may_have_another_dtype_than_keys(module, options, dtype, gate):
    """Within autocast, keys come in half precision, and what is exponentiated in float32."""
    inputs = drawn(module, options, (2, 9, 8), (2, 9, 8), dtype=dtype)
    gates = [x.to(gate) for x in inputs[3:]]
    out, grads = differentiated(module, [*inputs[:3], *gates], **options)
    rounded = [*inputs[:3], *(x.to(dtype) for x in gates)]
    expected, wanted = differentiated(module, rounded, **options)
    assert out.dtype == dtype
    assert [x.dtype for x in grads[3:]] == [gate] * len(gates)
    for x, y in zip((out, *grads), (expected, *wanted), strict=True):
        assert_close(x.double(), y.double(), within=1e-2 if dtype == torch.bfloat16 else 1e-5)


def zeros(module, tokens):
    gates = {name: torch.zeros(2, tokens, 1) for name in gates_of(module)}
    return {name: torch.zeros(2, tokens, 8) for name in "qkv"} | gates


@pytest.mark.parametrize(("name", "change"), BAD.values(), ids=BAD)
@cases(one_each=True)
def test_bad_input_is_refused_by_name(module, options, name, change):
    with pytest.raises(ValueError, match=rf"^{name} must .*, got "):
        module.attend(**zeros(module, 5) | change, **fitting(module.attend, options, 5))


def tensor_options(module):
    """What a mechanism takes of tensors beside queries, keys, values and gates."""
    shapes = {"mask": (5, 5), "bias": (5, 5), "scale": (2, 1, 1), "sink": (2, 1, 1), "log_n": (1,)}
    takes = inspect.signature(module.attend).parameters
    return {name: torch.rand(shape) for name, shape in shapes.items() if name in takes}


@pytest.mark.parametrize("unfit", UNFIT.values(), ids=UNFIT)
@cases(one_each=True)
def test_a_tensor_that_is_not_dense_or_has_no_such_numbers_is_refused_by_name(
    module, options, unfit
):
    """Float8 and sparse ones died inside, in words about kernels."""
    options = fitting(module.attend, options, 5)
    for name, x in {**zeros(module, 5), **tensor_options(module)}.items():
        if name == "mask" and unfit(x).dtype == torch.bool and unfit not in LAYOUTS.values():
            continue
        given = {**zeros(module, 5), **options, name: unfit(x)}
        with pytest.raises(ValueError, match=rf"^{name} must be .*a dense tensor of .*, got "):
            module.attend(**given)
        if hasattr(module, "step") and name != "mask":
            given = {key: y for key, y in given.items() if key != "causal"}
            with pytest.raises(ValueError, match=rf"^{name} must be .*a dense tensor of .*, got "):
                module.step(None, **given)


@cases(one_each=True)
def test_a_subclass_of_a_tensor_is_one(module, options):
    """A parameter, what vmap hands over, and what a fake mode makes."""
    options = fitting(module.attend, options, 5)
    given = [x + 0.5 for x in zeros(module, 5).values()]
    expected = module.attend(*given, **options)
    parameters = [torch.nn.Parameter(x) for x in given]
    assert torch.equal(module.attend(*parameters, **options), expected)
    with FakeTensorMode() as mode:
        fake = [mode.from_tensor(x) for x in given]
        assert module.attend(*fake, **options).shape == expected.shape


@pytest.mark.parametrize("gate", BAD_GATES.values(), ids=BAD_GATES)
@cases("gates", one_each=True)
def test_bad_gate_is_refused_by_name(module, options, gate):
    for name in gates_of(module):
        with pytest.raises(ValueError, match=rf"^{name} must .*, got "):
            module.attend(**zeros(module, 5) | {name: gate}, **fitting(module.attend, options, 5))


@pytest.mark.parametrize("scale", BAD_SCALES.values(), ids=BAD_SCALES)
@cases("scale", one_each=True)
def test_bad_scale_is_refused_by_name(module, options, scale):
    """It failed deep inside, or broadcast to what nobody meant."""
    for door, state in (("attend", ()), ("step", (None,))):
        if hasattr(module, door):
            given = fitting(getattr(module, door), options, 5) | {"scale": scale}
            with pytest.raises(ValueError, match=r"^scale must .*, got "):
                getattr(module, door)(*state, **zeros(module, 5) | given)


@pytest.mark.parametrize("mask", BAD_MASKS.values(), ids=BAD_MASKS)
@cases("mask", one_each=True)
def test_bad_mask_is_refused_by_name(module, options, mask):
    with pytest.raises(ValueError, match=r"^mask must .*, got "):
        attended(module, [torch.zeros(2, 5, 8)] * 3, mask=mask, **options)


@pytest.mark.parametrize(("name", "change"), BAD.values(), ids=BAD)
@pytest.mark.parametrize("tokens", [0, 3], ids=["at the start", "in the middle"])
@cases("step", "causality", one_each=True)
def test_bad_step_is_refused_by_name(module, options, name, change, tokens):
    options, state = fitting(module.step, options, 5), None
    if tokens:
        _, state = module.step(None, **zeros(module, tokens), **options)
    with pytest.raises(ValueError, match=rf"^{name} must .*, got "):
        module.step(state, **zeros(module, 5) | change, **options)


@pytest.mark.parametrize(("n", "n_k", "name"), [(-1, 3, "n"), (3, -1, "n_k"), (2.0, 3, "n")])
@cases("visible", one_each=True)
def test_bad_length_is_refused_by_name(module, options, n, n_k, name):
    with pytest.raises(ValueError, match=rf"^{name} must .*, got "):
        module.visible(n, n_k=n_k, **fitting(module.visible, options, 3))
