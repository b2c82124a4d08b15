"""Every encoding, held to the contract of attention_limits/positions/__init__.py.

A new encoding joins by its name in POSITIONS, its arguments in ARGUMENTS and its rows in CASES.
"""

import importlib
import inspect
import math
import pkgutil
from typing import NamedTuple

import numpy as np
import pytest
import sympy as sp
import torch
from helpers.integers import INTEGERS, replaced
from helpers.kinds import UNFIT
from helpers.tables import assert_rows_for
from helpers.tensors import assert_close, gradients, on_devices
from hypothesis import given
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from attention_limits import positions
from attention_limits.attention import dense
from attention_limits.positions import POSITIONS
from attention_limits.positions.cost import EncodingCost

PLACES = ("inputs", "queries and keys", "scores")
NO_ENCODING = {"inputs", "cost", "options", "scores"}
HEADS, N_MAX, HIDDEN, BUCKETS, MAX_DISTANCE, KNOTS = 3, 140, 5, 8, 6, 2


class Size(NamedTuple):
    """Leading axes, tokens, and how many of them are keys as well; width."""

    lead: tuple[int, ...]
    n: int
    n_k: int
    d: int = 8


def tokens(size):
    return {"x": (*size.lead, size.n, size.d)}


def scores(size):
    return {"scores": (*size.lead, HEADS, size.n, size.n_k)}


def heads(size):
    n, n_k, d = size.n, size.n_k, size.d
    lead = (*size.lead, HEADS)
    return {"q": (*lead, n, d), "k": (*lead, n_k, d), "v": (*lead, n_k, d)}


# What each door takes beside its options, as shapes. Names in LEARNED are the parameters.
ARGUMENTS = {
    "none": tokens,
    "sinusoidal": tokens,
    "learned": lambda size: {**tokens(size), "table": (N_MAX, size.d)},
    "rotary": tokens,
    "alibi": lambda size: {**scores(size), "slopes": (HEADS,)},
    "relative_bias": lambda size: {**scores(size), "table": (HEADS, BUCKETS)},
    "shaw": lambda size: {
        **heads(size),
        "key_table": (2 * MAX_DISTANCE + 1, size.d),
        "value_table": (2 * MAX_DISTANCE + 1, size.d),
    },
    "time_aware": lambda size: {
        **scores(size),
        "times_q": (*size.lead, size.n),
        "times_k": (*size.lead, size.n_k),
        "slopes": (HEADS,),
        "knots": (KNOTS,),
        "changes": (HEADS, KNOTS),
    },
    "lstm_generated": lambda size: {
        **tokens(size),
        "w_x": (4 * HIDDEN, size.d),
        "w_h": (4 * HIDDEN, HIDDEN),
        "bias": (4 * HIDDEN,),
        "w_out": (size.d, HIDDEN),
    },
}
CASES = {
    "none": [{}, {"start": 7}],
    "sinusoidal": [{}, {"start": 7}, {"base": 20.0}],
    "learned": [{}, {"start": 7}],
    "rotary": [{}, {"start": 7}, {"base": 20.0, "layout": "half"}, {"layout": "half"}],
    "alibi": [{}],
    "relative_bias": [
        {"causal": True, "buckets": BUCKETS, "max_distance": 32},
        {"causal": False, "buckets": BUCKETS, "max_distance": 32},
    ],
    "shaw": [{}, {"causal": True, "scale": 0.7}],
    "time_aware": [{}],
    "lstm_generated": [{}],
}
LEARNED = {"table", "slopes", "key_table", "value_table", "knots", "changes"}
LEARNED |= {"w_x", "w_h", "bias", "w_out"}
# What `cost` wants to know, and `apply` sees for itself.
SIZES_OF_TABLES = {
    "shaw": {"max_distance": MAX_DISTANCE},
    "time_aware": {"knots": KNOTS},
    "lstm_generated": {"hidden": HIDDEN},
}

MODULES = {name: importlib.import_module(f"{positions.__name__}.{name}") for name in POSITIONS}


def cases(*, place=None, needs=(), but=lambda name, options: False):
    """All cases, of a place or of those whose `apply` takes some option, if told; but for some."""
    params = []
    for name, rows in CASES.items():
        module = MODULES[name]
        takes = {*vars(module), *inspect.signature(module.apply).parameters}
        if place in (None, module.PLACE) and takes.issuperset(needs):
            for options in rows:
                words = [f"{key}={value}" for key, value in options.items()]
                if not but(name, options):
                    params.append(pytest.param(module, options, id="-".join([name, *words])))
    return pytest.mark.parametrize(("module", "options"), params)


def name_of(module):
    return module.__name__.rpartition(".")[-1]


def draw_arguments(module, size, *, seed=0, dtype=torch.float64, device="cpu"):
    """The arguments of a module's doors, by name: standard normal, but for times."""
    generator, drawn = torch.Generator().manual_seed(seed), {}
    for name, shape in ARGUMENTS[name_of(module)](size).items():
        noise = torch.randn(shape, generator=generator, dtype=torch.float64)
        drawn[name] = noise.to(device, dtype)
        if name.startswith("times"):  # never back, and the last query with the last key
            times = noise.abs().cumsum(-1)
            drawn[name] = (times - times[..., -1:] + 100).to(device)
    return drawn


def fitting(door, options):
    takes = inspect.signature(door).parameters
    return {name: x for name, x in options.items() if name in takes}


def encode(module, arguments, options):
    return module.apply(**arguments, **options)


def bias_of(module, options, arguments):
    """What the door called `bias` makes of the same arguments."""
    takes = inspect.signature(module.bias).parameters
    n_q, n_k = arguments["scores"].shape[-2:]
    given = {"n_q": n_q, "n_k": n_k, **arguments, **options}
    return module.bias(**{name: x for name, x in given.items() if name in takes})


def defined(module, arguments, options):
    arrays = {
        name: x.detach().cpu().double().numpy() if x.is_floating_point() else x.cpu().numpy()
        for name, x in arguments.items()
    }
    return torch.from_numpy(np.asarray(module.define(**arrays, **options)))


def differentiable(arguments):
    """Those that have a gradient; times are given."""
    return [name for name in arguments if not name.startswith("times")]


def differentiated(module, arguments, options):
    """Output, and gradients of a sum with unequal weights."""
    names = differentiable(arguments)

    def encoded(*moved):
        return encode(module, arguments | dict(zip(names, moved, strict=True)), options)

    return gradients(encoded, [arguments[name] for name in names])


def rows(arguments, first, last):
    """What a stream hands over at its tokens first … last − 1: their rows, and all keys so far."""
    part = {}
    for name, x in arguments.items():
        if name in ("x", "q"):
            part[name] = x[..., first:last, :]
        elif name in ("k", "v"):
            part[name] = x[..., :last, :]
        elif name == "scores":
            part[name] = x[..., first:last, :last]
        elif name == "times_q":
            part[name] = x[..., first:last]
        elif name == "times_k":
            part[name] = x[..., :last]
        else:
            part[name] = x
    return part


def test_registry_is_the_list_of_modules():
    """An encoding that is in the folder but in no test would be trusted for nothing."""
    modules = {module.name for module in pkgutil.iter_modules(positions.__path__)}
    assert_rows_for(
        modules - NO_ENCODING,
        {
            "POSITIONS in attention_limits/positions/__init__.py": POSITIONS,
            "CASES in tests/positions/test_contract.py (the options to test it under)": CASES,
            "ARGUMENTS in tests/positions/test_contract.py (the tensors that it takes)": ARGUMENTS,
        },
    )


@pytest.mark.parametrize("module", MODULES.values(), ids=MODULES)
def test_has_a_place_and_its_doors(module):
    assert module.PLACE in PLACES
    doors = ["define", "apply", "cost"] + ["bias"] * (module.PLACE == "scores")
    assert all(callable(getattr(module, door)) for door in doors)
    names = [list(inspect.signature(door).parameters) for door in (module.define, module.apply)]
    assert names[0] == names[1]
    first = "scores" if module.PLACE == "scores" else "x"
    assert names[0][0] == ("q" if name_of(module) == "shaw" else first)


# Equal to the definition

SIZES = {
    "one token": Size((), 1, 1),
    "no batch axes, odd n": Size((), 97, 97, 6),
    "one leading axis": Size((3,), 16, 16),
    "batch and a further axis": Size((2, 3), 17, 17),
    "an axis of one": Size((2, 1, 3), 5, 5),
    "of one pair": Size((2,), 9, 9, 2),
    "one query against a cache": Size((2,), 1, 40),
    "fewer queries than keys": Size((2,), 5, 131),
    "more queries than keys": Size((2,), 9, 4),
    "no tokens": Size((3,), 0, 0),
    "no queries": Size((3,), 0, 5),
    "an empty batch": Size((0,), 4, 4),
}


@on_devices
@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
@cases()
def test_equals_its_definition(module, options, size, device):
    arguments = draw_arguments(module, size, device=device)
    assert_close(encode(module, arguments, options), defined(module, arguments, options))


@st.composite
def sizes(draw_one):
    """Any leading axes, lengths and widths."""
    lead = tuple(draw_one(st.lists(st.integers(1, 3), max_size=3)))
    length = st.integers(1, 20)
    return Size(lead, draw_one(length), draw_one(length), 2 * draw_one(st.integers(1, 5)))


@given(size=sizes(), seed=st.integers(0, 99))
@cases()
def test_equals_its_definition_whatever_the_shapes(module, options, size, seed):
    arguments = draw_arguments(module, size, seed=seed)
    assert_close(encode(module, arguments, options), defined(module, arguments, options))


@on_devices
@pytest.mark.parametrize("lead", [(9,), (1, 9), (2, 1, 9), (3, 9), (2, 3, 9)], ids=str)
@cases(needs=["start"])
def test_positions_may_be_those_of_each_sequence(module, options, lead, device):
    arguments = draw_arguments(module, Size((2, 3), 9, 9), device=device)
    where = torch.randint(N_MAX, lead, generator=torch.Generator().manual_seed(0)).to(device)
    options = {name: x for name, x in options.items() if name != "start"}
    arguments["positions"] = where
    out = encode(module, arguments, options)
    assert_close(out, defined(module, arguments, options))
    alone = {**arguments, "x": arguments["x"][1, 2], "positions": where.expand(2, 3, 9)[1, 2]}
    assert_close(encode(module, alone, options), out[1, 2].cpu())


@cases(needs=["start"])
def test_start_is_where_the_positions_start(module, options):
    arguments = draw_arguments(module, Size((2,), 9, 9))
    start = options.get("start", 0)
    given = {name: x for name, x in options.items() if name != "start"}
    given["positions"] = torch.arange(start, start + 9)
    assert torch.equal(encode(module, arguments, options), encode(module, arguments, given))


@pytest.mark.parametrize("kind", INTEGERS.values(), ids=INTEGERS)
@cases(but=lambda name, options: not any(type(x) is int for x in options.values()))
def test_an_option_may_be_an_integer_of_any_library(module, options, kind):
    """Sizes are computed, and what computes them is seldom Python: NumPy's were refused."""
    arguments = draw_arguments(module, Size((), 133, 133))  # 7 more do not fit in eight bits
    arguments = {name: x[..., :8] if name == "x" else x for name, x in arguments.items()}
    same = replaced(options, kind)
    assert torch.equal(encode(module, arguments, same), encode(module, arguments, options))
    if isinstance(kind(0), np.generic):  # the equation knows NumPy alone
        assert torch.equal(defined(module, arguments, same), defined(module, arguments, options))
    if hasattr(module, "bias") and "scores" in arguments:
        expected = bias_of(module, options, arguments)
        assert torch.equal(bias_of(module, same, arguments), expected)
    known = {**options, **SIZES_OF_TABLES.get(name_of(module), {})}
    known = fitting(module.cost, known)
    assert module.cost(**replaced(known, kind)) == module.cost(**known)


@cases(needs=["scores"])
def test_what_is_added_depends_on_no_score(module, options):
    """Else `bias`, which sees no scores, could not be what `apply` adds."""
    arguments = draw_arguments(module, Size((2,), 5, 9))
    added = encode(module, arguments, options) - arguments["scores"]
    nothing = {**arguments, "scores": torch.zeros_like(arguments["scores"])}
    assert_close(encode(module, nothing, options), added)
    assert_close(bias_of(module, options, arguments).expand_as(added), added)


@pytest.mark.parametrize("n_q", [9, 4])
@cases(needs=["scores"])
def test_dense_attention_takes_the_bias(module, options, n_q):
    """What `apply` makes of the scores is what attention makes of them, where it may look.

    Shaw's, which is made of queries, is a whole attention and has tests of its own.
    """
    heads_of = draw_arguments(MODULES["shaw"], Size((2,), n_q, 9))
    q, k, v = (heads_of[name] for name in "qkv")
    arguments = {**draw_arguments(module, Size((2,), n_q, 9)), "scores": q @ k.mT / 8**0.5}
    by_hand = encode(module, arguments, options)
    ahead = torch.ones(n_q, 9, dtype=torch.bool).triu(9 - n_q + 1)
    expected = by_hand.masked_fill(ahead, -torch.inf).softmax(-1) @ v
    assert_close(
        dense.attend(q, k, v, causal=True, bias=bias_of(module, options, arguments)), expected
    )


def learned_by(name):
    """What each model has of its own; all heads, and all models, share their knots."""
    return [of for of in ARGUMENTS[name](Size((2,), 5, 5)) if of in LEARNED - {"knots"}]


@cases(but=lambda name, options: not learned_by(name))
def test_models_side_by_side_are_as_if_alone(module, options):
    """Several seeds train at once: what is learned has an axis for them, what is read may not."""
    read, *models = (draw_arguments(module, Size((2,), 5, 5), seed=seed) for seed in range(3))
    learned = learned_by(name_of(module))
    first = next(iter(read.values()))
    batch = [1] * (first.ndim - (3 if "scores" in read else 2))
    stacks = {name: torch.stack([model[name] for model in models]) for name in learned}
    together = {name: x.view(2, *batch, *x.shape[1:]) for name, x in stacks.items()}
    out = encode(module, {**read, **together}, options)
    for index, model in enumerate(models):
        alone = {**read, **{name: model[name] for name in learned}}
        assert_close(out[index], encode(module, alone, options))


@cases()
def test_numpy_and_torch_keep_apart(module, options, monkeypatch):
    """`define` never touches torch, `apply` never touches NumPy: neither can copy the other."""
    arguments = draw_arguments(module, Size((2,), 4, 4))
    with monkeypatch.context() as patch:
        patch.setattr(module, "torch", None)
        expected = defined(module, arguments, options)
    monkeypatch.setattr(module, "np", None)
    assert_close(encode(module, arguments, options), expected)


# Gradients


@pytest.mark.parametrize("size", [Size((2,), 3, 3, 4), Size((), 1, 5, 2)], ids=str)
@cases()
def test_gradients_are_those_of_the_output(module, options, size):
    arguments = draw_arguments(module, size)
    names = differentiable(arguments)

    def encoded(*moved):
        return encode(module, {**arguments, **dict(zip(names, moved, strict=True))}, options)

    moved = [arguments[name].requires_grad_() for name in names]
    assert torch.autograd.gradcheck(encoded, moved)


@cases()
def test_strides_do_not_matter(module, options):
    """Heads are transposed out of the model's width in practice, so no input is contiguous."""
    arguments = draw_arguments(module, Size((2, 3), 7, 7))
    strided = {
        name: x.transpose(0, -1).contiguous().transpose(0, -1) for name, x in arguments.items()
    }
    assert any(not x.is_contiguous() for x in strided.values())
    expected, wanted = differentiated(module, arguments, options)
    out, grads = differentiated(module, strided, options)
    assert_close(out, expected)
    for grad, want in zip(grads, wanted, strict=True):
        assert_close(grad, want)


@cases()
def test_leaves_its_inputs_as_they_came(module, options):
    """An addition in place would encode a token twice where its input is used again."""
    arguments = draw_arguments(module, Size((2,), 5, 5))
    before = {name: x.clone() for name, x in arguments.items()}
    encode(module, arguments, options)
    assert all(torch.equal(arguments[name], x) for name, x in before.items())


# Low precision


@cases()
def test_autocast_changes_nothing(module, options):
    """It rounded what meets in a product, or gave another dtype."""
    arguments = draw_arguments(module, Size((2,), 5, 9), dtype=torch.float32)
    expected = encode(module, arguments, options)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = encode(module, arguments, options)
    assert out.dtype == torch.float32
    assert torch.equal(out, expected)


@on_devices
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("n", [97, 5])
@cases()
def test_outputs_are_those_of_the_definition_rounded(module, options, n, dtype, device):
    """A few roundings of the inputs' dtype, relative to the largest output; never an alias."""
    arguments = draw_arguments(module, Size((2,), n, 97), dtype=dtype, device=device)
    out = encode(module, arguments, options)
    assert out.dtype == dtype
    exact = defined(module, arguments, options)
    error = (out.cpu().double() - exact).abs().max()
    assert error <= 4 * torch.finfo(dtype).eps * exact.abs().max()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
@cases()
def test_gradients_keep_their_dtype_and_their_digits(module, options, dtype):
    arguments = draw_arguments(module, Size((2,), 33, 33), dtype=dtype)
    _, grads = differentiated(module, arguments, options)
    exact = {name: x.double() for name, x in arguments.items()}
    _, wanted = differentiated(module, exact, options)
    for grad, want in zip(grads, wanted, strict=True):
        assert grad.dtype == dtype
        error = (grad.double() - want).norm()
        assert error <= 16 * torch.finfo(dtype).eps * want.norm()


# Streams

CHUNKS = {"token by token": [1] * 19, "uneven chunks": [7, 1, 1, 6, 4], "at once": [19]}
chunks = pytest.mark.parametrize("chunks", CHUNKS.values(), ids=CHUNKS)


def pieces(chunks):
    ends = np.cumsum(chunks).tolist()
    return list(zip([0, *ends[:-1]], ends, strict=True))


def streams_another_way(name, options):
    """A state of one's own, which is tried below; or the whole sees what a stream has not met."""
    return hasattr(MODULES[name], "step") or (name == "shaw" and not options.get("causal"))


@chunks
@cases(but=streams_another_way)
def test_a_stream_is_encoded_as_the_whole(module, options, chunks):
    """A cache hands over new tokens, and all keys so far: none may forget where it is."""
    arguments = draw_arguments(module, Size((2,), 19, 19))
    outputs = encode(module, arguments, options)
    for first, last in pieces(chunks):
        counted = {}
        if "start" in inspect.signature(module.apply).parameters:
            counted["start"] = options.get("start", 0) + first
        part = encode(module, rows(arguments, first, last), {**options, **counted})
        width = last if "scores" in arguments else None  # no key has come yet that is ahead
        assert_close(part, outputs[..., first:last, :width])


@chunks
@cases(needs=["step"])
def test_a_stream_with_a_state_equals_the_whole(module, options, chunks):
    arguments = draw_arguments(module, Size((2,), 19, 19))
    state, outputs = None, []
    for first, last in pieces(chunks):
        out, state = module.step(state, **rows(arguments, first, last), **options)
        outputs.append(out)
    assert_close(torch.cat(outputs, dim=-2), encode(module, arguments, options))


@chunks
@cases(needs=["start"])
def test_attention_with_a_cache_equals_attention_without(module, options, chunks):
    """The cache holds keys that were turned when they came, at positions counted from there."""
    arguments, start = draw_arguments(module, Size((2,), 19, 19)), options.get("start", 0)
    keys = draw_arguments(module, Size((2,), 19, 19), seed=1)
    other = {name: x for name, x in options.items() if name != "start"}

    def turned(arguments, start):
        return encode(module, arguments, {**other, "start": start})

    expected = dense.attend(turned(arguments, start), turned(keys, start), keys["x"], causal=True)
    state, outputs = None, []
    for first, last in pieces(chunks):
        q = turned(rows(arguments, first, last), start + first)
        k = turned(rows(keys, first, last), start + first)
        out, state = dense.step(state, q, k, rows(keys, first, last)["x"])
        outputs.append(out)
    assert_close(torch.cat(outputs, dim=-2), expected)


# Relative and absolute


def rotary_scores(offset, dtype):
    turn = MODULES["rotary"].apply
    q, k = (
        draw_arguments(MODULES["rotary"], Size((), 33, 33, 64), seed=seed, dtype=dtype)["x"]
        for seed in (0, 1)
    )
    return turn(q, start=offset).double() @ turn(k, start=offset).double().mT / 8


def alibi_scores(offset, dtype):
    slopes, at = torch.tensor([0.5, 0.01], dtype=dtype), torch.arange(offset, offset + 33)
    return MODULES["alibi"].bias(33, 33, slopes, positions_q=at, positions_k=at)


def time_aware_scores(offset, dtype):
    slopes = torch.tensor([0.5, 0.01], dtype=dtype)
    times = torch.arange(33, dtype=torch.float64).sqrt() * 5 + offset
    return MODULES["time_aware"].bias(times, times, slopes)


RELATIVE = {"rotary": rotary_scores, "alibi": alibi_scores, "time_aware": time_aware_scores}


@pytest.mark.parametrize("offset", [10**3, 10**4, 10**5, 10**6])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("name", RELATIVE)
def test_scores_depend_on_distances_alone(name, dtype, offset):
    """Whatever the offset: what is left is the rounding of queries, keys or slopes."""
    here, there = (RELATIVE[name](start, dtype).double() for start in (0, offset))
    # A score is as precise as its two factors, and a bias no less so: 2⁻²³ or 2⁻⁸ each.
    assert (here - there).abs().max() <= 5 * torch.finfo(dtype).eps * here.abs().max().clamp(min=1)
    assert here.std() > 0.1


# Where tokens stand may be counted from anywhere: the year 0, or nanoseconds since 1970.
ORIGINS = {
    "seconds since 1970": 1_700_000_000,
    "past the last odd number of float64": 2**53 + 1,
    "nanoseconds since 1970": 1_700_000_000_123_456_789,
    "before zero": -1_700_000_000_123_456_789,
    "as far as integers go": 2**62 - 2000,
}
AT = torch.tensor([0, 3, 10, 11, 400, 1999])


def scores_at(module, where):
    """What queries and keys at such positions, or times, score: all that attention has of them."""
    name, (q, k) = name_of(module), torch.randn(2, 6, 8, generator=torch.manual_seed(0)).double()
    slopes = torch.tensor([0.5, 0.01], dtype=torch.float64)
    table = torch.randn(2, BUCKETS, generator=torch.manual_seed(1)).double()
    both = {"positions_q": where, "positions_k": where}
    match name:
        case "sinusoidal":
            encoded = module.apply(torch.zeros_like(q), positions=where)
            return encoded @ encoded.mT
        case "rotary" | "none":
            return module.apply(q, positions=where) @ module.apply(k, positions=where).mT
        case "alibi":
            return module.bias(6, 6, slopes, **both)
        case "shaw":
            vectors = torch.randn(9, 8, generator=torch.manual_seed(1)).double()
            return module.bias(q, vectors, 6, **both)
        case "relative_bias":
            sizes = {"causal": False, "buckets": BUCKETS, "max_distance": 300}
            return module.bias(6, 6, table, **sizes, **both)
        case "time_aware":
            periods = torch.tensor([1.0, 7.0, 1e3, 1e9], dtype=torch.float64)
            turned = [module.rotate(x, where, periods=periods) for x in (q, k)]
            return turned[0] @ turned[1].mT + module.bias(where, where, slopes)


def takes_no_distances(name, options):
    """A table of its own, or no positions at all."""
    takes = inspect.signature(MODULES[name].apply).parameters
    return name == "learned" or not takes.keys() & {"positions", "positions_q", "times_q"}


every_module_with_distances = pytest.mark.parametrize(
    "module", [MODULES[name] for name in POSITIONS if not takes_no_distances(name, {})], ids=name_of
)


@pytest.mark.parametrize("origin", ORIGINS.values(), ids=ORIGINS)
@every_module_with_distances
def test_a_shift_of_the_origin_changes_no_score(module, origin):
    """Nanoseconds since 1970 moved the scores of a pair that turns in a microsecond by 10."""
    assert_close(scores_at(module, AT + origin), scores_at(module, AT), within=1e-13)


@pytest.mark.parametrize(("dtype", "origin"), [(torch.float64, 2**52), (torch.float32, 2**22)])
@every_module_with_distances
def test_a_shift_of_floats_changes_no_score(module, dtype, origin):
    """As far as floats are whole: their own spacing is not of our making."""
    takes = inspect.signature(module.apply).parameters
    if not takes.keys() & {"positions_q"}:  # which are integers
        expected = scores_at(module, AT)
        assert_close(scores_at(module, AT.to(dtype) + origin), expected, within=1e-13)


@pytest.mark.parametrize("number", [*ORIGINS.values(), 0.1, 12345.678, 2.0**62], ids=str)
def test_angles_are_those_of_exact_arithmetic(number):
    """Against SymPy, of a frequency that a float has and a position that it has not."""
    omega = [1.0, 0.1, 1e-4, 7e-9, 3e4]
    found = MODULES["sinusoidal"].angles(torch.tensor([number]), torch.tensor(omega).double())
    for angle, w in zip(found[0].tolist(), torch.tensor(omega).double().tolist(), strict=True):
        turns = sp.Rational(w / (2 * math.pi)) * sp.Rational(torch.tensor(number).item())
        exact = 2 * sp.pi * (turns - sp.floor(turns))
        assert math.cos(angle) == pytest.approx(float(sp.cos(exact)), abs=1e-15)
        assert math.sin(angle) == pytest.approx(float(sp.sin(exact)), abs=1e-15)


def test_angles_of_a_device_without_float64_are_as_exact_as_its_floats(monkeypatch):
    """Where a digit of a position is one of ten bits."""
    module, omega = MODULES["sinusoidal"], torch.tensor([1.0, 0.1, 1e-4])
    monkeypatch.setattr(module, "widest_float", lambda device: torch.float32)
    here = module.angles(AT, omega)
    assert here.dtype == torch.float32
    for origin in ORIGINS.values():
        moved = module.angles(AT + origin, omega) - module.angles(torch.tensor([origin]), omega)
        assert (moved.cos() - here.cos()).abs().max() < 2e-6


def test_positions_and_frequencies_have_gradients():
    """Learned periods and times: whole turns, which do not count, must not stop them."""
    where = torch.tensor([0.3, 5.0, 1e6 + 0.25], dtype=torch.float64, requires_grad=True)
    omega = torch.tensor([1.0, 0.01], dtype=torch.float64, requires_grad=True)
    ours = MODULES["sinusoidal"].angles(where, omega)
    plain = where[:, None] * omega
    for hand in (torch.sin, torch.cos):
        found, expected = (
            torch.autograd.grad(hand(angle).sum(), (where, omega), retain_graph=True)
            for angle in (ours, plain)
        )
        for grad, want in zip(found, expected, strict=True):
            torch.testing.assert_close(grad, want, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("start", [2**62 - 4, 2**53])
@cases(needs=["start"], but=lambda name, options: name == "learned")
def test_a_stream_may_be_as_long_as_it_likes(module, options, start):
    arguments = draw_arguments(module, Size((2,), 9, 9))
    options = {name: x for name, x in options.items() if name != "start"}
    given = {**options, "positions": torch.arange(start, start + 9)}
    counted = {**options, "start": start}
    assert torch.equal(encode(module, arguments, counted), encode(module, arguments, given))
    refuses(module, arguments, {**options, "start": 2**62 + 1}, "start")


@pytest.mark.parametrize("name", ["sinusoidal", "learned"])
def test_scores_of_encoded_inputs_depend_on_the_position(name):
    """The other case: tokens meet positions, and a shift of both changes what they score."""
    module = MODULES[name]
    arguments = draw_arguments(module, Size((), 9, 9, 64))
    here, there = (encode(module, arguments, {"start": start}) for start in (0, 100))
    assert (here @ here.mT - there @ there.mT).abs().max() / 8 > 0.5


# What it costs

COUNTED = {torch.ops.aten.add, torch.ops.aten.sub, torch.ops.aten.rsub, torch.ops.aten.mul}


def of_attention_itself(n, d):
    """Two products, and a scale for each score."""
    return HEADS * (4 * n**2 * d + n**2)


NOT_ADDED = {"shaw": of_attention_itself}  # its `apply` is the whole of an attention


class Arithmetic(TorchDispatchMode):
    """Counts additions and multiplications of what depends on the given tensors, number by number.

    Constant tables (angles, distances) depend on none of them, and matrix products are counted by
    PyTorch's own counter.
    """

    def __init__(self, given):
        super().__init__()
        self.hanging, self.flops = list(given), 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        takes = [x for x in tree_leaves((args, kwargs)) if isinstance(x, torch.Tensor)]
        if any(x is y for x in takes for y in self.hanging):
            made = [x for x in tree_leaves(result) if isinstance(x, torch.Tensor)]
            self.hanging += made
            if function.overloadpacket in COUNTED:
                self.flops += sum(x.numel() for x in made)
            elif function.overloadpacket == torch.ops.aten.scatter_add:
                self.flops += args[3].numel()  # each of these is added to one of the others
        return result


def priced(module, options):
    known = {**options, **SIZES_OF_TABLES.get(name_of(module), {})}
    return module.cost(**fitting(module.cost, known))


def values(formula, n, d):
    known = {"n": n, "d": d, "h": HEADS, "n_max": N_MAX}
    return {symbol.name: known[symbol.name] for symbol in formula.symbols}


@pytest.mark.parametrize(("n", "d"), [(1, 2), (16, 8), (97, 12)])
@cases()
def test_flops_are_counted_to_the_last_one(module, options, n, d):
    """Each addition and each multiplication on the way to the output, and no other.

    On meta, where nothing is looked at: a check of times subtracts them, too.
    """
    arguments = draw_arguments(module, Size((), n, n, d), device="meta")
    with FlopCounterMode(display=False) as products, Arithmetic(arguments.values()) as counter:
        encode(module, arguments, options)
    flops = priced(module, options).flops
    base = NOT_ADDED.get(name_of(module), lambda n, d: 0)(n, d)
    counted = counter.flops + products.get_total_flops() - base
    assert counted == flops(**values(flops, n, d))
    assert flops.unit == "FLOPs"


@cases()
def test_parameters_are_what_apply_takes(module, options):
    price = priced(module, options)
    assert isinstance(price, EncodingCost)
    arguments = draw_arguments(module, Size((), 5, 5, 12))
    learned = sum(math.prod(x.shape) for name, x in arguments.items() if name in LEARNED)
    assert price.parameters(**values(price.parameters, 5, 12)) == learned
    assert price.parameters.unit == "numbers"


# Devices


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
@cases()
def test_meta_device_gives_the_shape(module, options, size):
    """A forgotten device=, or a look at a value, fails here with no GPU at hand."""
    arguments = draw_arguments(module, size, dtype=torch.float32)
    expected = encode(module, arguments, options)
    out = encode(module, {name: x.to("meta") for name, x in arguments.items()}, options)
    assert out.is_meta
    assert out.shape == expected.shape
    assert out.dtype == expected.dtype


@cases(needs=["start"])
def test_positions_may_be_on_meta(module, options):
    arguments = draw_arguments(module, Size((2,), 9, 9), device="meta")
    arguments["positions"] = torch.zeros(2, 9, dtype=torch.int64, device="meta")
    options = {name: x for name, x in options.items() if name != "start"}
    assert encode(module, arguments, options).shape == (2, 9, 8)


# Bad input


def refuses(module, arguments, options, *names):
    """A ValueError that begins with one of these arguments' names, or with any, if none."""
    names = names or inspect.signature(module.apply).parameters
    with pytest.raises(ValueError, match=rf"^({'|'.join(names)}) must .*, got "):
        encode(module, arguments, options)


@cases()
def test_what_is_no_tensor_of_floats_here_is_refused_by_name(module, options):
    """NumPy's arrays, integers, booleans, single numbers, another device, another dtype."""
    good = draw_arguments(module, Size((2,), 5, 5))
    encode(module, good, options)
    for name, x in good.items():
        bad = [x.numpy(), x.bool(), x.flatten()[0]]
        if not name.startswith("times"):  # which may be counted in whole seconds
            bad.append(x.long())
        if name in LEARNED and "scores" not in good:
            bad.append(x.half())
        for y in bad:
            refuses(module, {**good, name: y}, options, name)
        if len(good) > 1:  # of two devices either may be the wrong one
            refuses(module, {**good, name: x.to("meta")}, options)


@pytest.mark.parametrize("kind", UNFIT)
@cases()
def test_a_tensor_that_is_not_dense_or_has_no_such_numbers_is_refused_by_name(
    module, options, kind
):
    """Float8 and sparse ones died inside, in words about kernels."""
    good = draw_arguments(module, Size((2,), 5, 5), dtype=torch.float32)
    if "start" in inspect.signature(module.apply).parameters:
        options = {name: x for name, x in options.items() if name != "start"}
        good["positions"] = torch.arange(5.0 if module.PLACE != "inputs" else 5)
    for name, x in good.items():
        may_count = name.startswith(("times", "positions"))
        if may_count and kind in ("integers", "small integers"):
            continue
        bad = {**good, name: UNFIT[kind](x)}
        with pytest.raises(ValueError, match=rf"^{name} must be a dense tensor of .*, got "):
            encode(module, bad, options)
        if hasattr(module, "bias") and "scores" in good and name != "scores":
            with pytest.raises(ValueError, match=rf"^{name} must be a dense tensor of .*, got "):
                bias_of(module, options, bad)


X, TIMES = torch.rand(3, 4), torch.arange(3)
MORE_DOORS = {
    "frequencies": lambda bad: MODULES["rotary"].apply(X, frequencies=bad),
    "frequencies at inputs": lambda bad: MODULES["sinusoidal"].apply(X, frequencies=bad),
    "positions of sines": lambda bad: MODULES["rotary"].cos_sin(bad, X[0]),
    "frequencies of sines": lambda bad: MODULES["rotary"].cos_sin(TIMES, bad),
    "x by sines": lambda bad: MODULES["rotary"].rotate(bad, X[:, :2], X[:, :2]),
    "cos": lambda bad: MODULES["rotary"].rotate(X, bad, X[:, :2]),
    "sin": lambda bad: MODULES["rotary"].rotate(X, X[:, :2], bad),
    "frequencies to interpolate": lambda bad: MODULES["rotary"].interpolated(bad, 2),
    "x in pairs": MODULES["rotary"].to_half,
    "x in halves": MODULES["rotary"].to_interleaved,
    "periods": lambda bad: MODULES["time_aware"].rotate(X, TIMES, periods=bad),
    "x at times": lambda bad: MODULES["time_aware"].rotate(bad, TIMES, periods=torch.ones(2)),
    "positions of an encoding": lambda bad: MODULES["sinusoidal"].encoding(bad, 4),
    "distance": lambda bad: MODULES["relative_bias"].bucket(bad, causal=True),
    "q": lambda bad: MODULES["shaw"].bias(bad, X[:, :4], 3),
    "table": lambda bad: MODULES["shaw"].bias(X, bad, 3),
    "weights": lambda bad: MODULES["shaw"].mix(bad, X, X),
}


@pytest.mark.parametrize("kind", UNFIT)
@pytest.mark.parametrize("door", MORE_DOORS)
def test_no_door_takes_a_tensor_that_is_not_dense_or_has_no_such_numbers(door, kind):
    counts = door.startswith(("positions", "distance"))
    if not (counts and kind in ("integers", "small integers")):
        name = door.partition(" ")[0]
        with pytest.raises(ValueError, match=rf"^{name} must be a dense tensor of .*, got "):
            MORE_DOORS[door](UNFIT[kind](torch.ones(3, 4)))


# Where one more fits: another table, another number of tokens.
LONGER = {
    ("none", "x", -1),
    ("none", "x", -2),
    ("sinusoidal", "x", -2),
    ("learned", "x", -2),
    ("learned", "table", -2),
    ("rotary", "x", -2),
    ("alibi", "scores", -1),
    ("alibi", "scores", -2),
    ("relative_bias", "scores", -1),
    ("relative_bias", "scores", -2),
    ("shaw", "q", -2),
    ("lstm_generated", "x", -2),
}


@cases()
def test_a_size_that_does_not_fit_is_refused_by_name(module, options):
    """One more in one argument, along either of its last axes: broadcasting may not hide it."""
    good = draw_arguments(module, Size((2,), 5, 5))
    for name, x in good.items():
        for axis in range(-min(x.ndim, 2), 0):
            longer = torch.cat([x, x.narrow(axis, 0, 1)], dim=axis)
            if (name_of(module), name, axis) in LONGER:
                encode(module, {**good, name: longer}, options)
            else:
                refuses(module, {**good, name: longer}, options)


@cases(but=lambda name, options: not ARGUMENTS[name](Size((2,), 5, 5)).keys() & LEARNED)
def test_leading_axes_that_do_not_broadcast_are_refused_by_name(module, options):
    """Four models against two sequences: whose are whose? Two have one each."""
    good = draw_arguments(module, Size((2,), 5, 5))
    for name in good.keys() & LEARNED:

        def models(count, name=name):
            inner = [1] * ("q" in good) + [HEADS] * (name == "knots")  # shared ones have no lead
            return {**good, name: good[name].expand(count, *inner, *good[name].shape)}

        encode(module, models(2), options)
        refuses(module, models(4), options, *good)


@pytest.mark.parametrize("start", [-1, 1.0, True, None, "0"])
@cases(needs=["start"])
def test_a_start_that_is_no_count_is_refused(module, options, start):
    refuses(module, draw_arguments(module, Size((2,), 5, 5)), {**options, "start": start}, "start")


BAD_POSITIONS = {
    "too few": torch.arange(4),
    "one for all": torch.arange(1),
    "a number": torch.tensor(3),
    "of another batch": torch.zeros(3, 5, dtype=torch.int64),
    "with more axes than the inputs": torch.zeros(1, 2, 5, dtype=torch.int64),
    "booleans": torch.ones(5, dtype=torch.bool),
    "bfloat16, which skips integers": torch.ones(5, dtype=torch.bfloat16),
    "an array": np.arange(5),
    "a list": [0, 1, 2, 3, 4],
    "elsewhere": torch.zeros(5, dtype=torch.int64, device="meta"),
}


@pytest.mark.parametrize("bad", BAD_POSITIONS.values(), ids=BAD_POSITIONS)
@cases(needs=["start"])
def test_positions_that_do_not_fit_are_refused(module, options, bad):
    options = {name: x for name, x in options.items() if name != "start"}
    arguments = draw_arguments(module, Size((2,), 5, 5))
    refuses(module, arguments, {**options, "positions": bad}, "positions")


@cases(needs=["start"])
def test_positions_and_a_start_are_one_too_many(module, options):
    """Which of them counts would be a guess."""
    options = {**options, "start": 3, "positions": torch.arange(5)}
    refuses(module, draw_arguments(module, Size((2,), 5, 5)), options, "start")
