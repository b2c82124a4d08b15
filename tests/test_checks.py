"""What is refused, and what comes in as another library's and stays as Python's."""

import dataclasses
import importlib
import json
import math
import subprocess
import sys
from fractions import Fraction

import numpy as np
import pytest
import torch
from helpers.integers import INTEGERS, Index, replaced

from attention_limits import checks, experiments, tasks
from attention_limits.attention import dense, sliding_window
from attention_limits.attention.options import check_period, distinct_offsets
from attention_limits.checks import check_count, check_counts, check_number, plain
from attention_limits.experiments.registry import EXPERIMENTS
from attention_limits.experiments.speed.sizes import Sizes
from attention_limits.models import Architecture
from attention_limits.models.layers import Initializer
from attention_limits.positions import rotary
from attention_limits.training import Recipe

# Integers


@pytest.mark.parametrize("kind", INTEGERS.values(), ids=INTEGERS)
def test_an_integer_of_any_library_is_one(kind):
    """Python's own comes back: 100 of eight bits, times 2, would be −56."""
    for value in (0, 3, 100, 2**40):
        assert check_count("n", kind(value)) == value
        assert type(check_count("n", kind(value))) is int


NO_INTEGERS = {
    "True": True,
    "NumPy's truth": np.bool_(1),
    "an array's truth": np.array(True),
    "a tensor's truth": torch.tensor(True),
    "a float": 3.0,
    "NumPy's float": np.float32(3),
    "a tensor's float": torch.tensor(3.0),
    "a fraction": Fraction(3),
    "a word": "3",
    "nothing": None,
    "several": np.arange(3),
    "one on meta, which holds none": torch.empty((), dtype=torch.long, device="meta"),
}


@pytest.mark.parametrize("value", NO_INTEGERS.values(), ids=NO_INTEGERS)
def test_what_is_no_integer_is_refused(value):
    with pytest.raises(ValueError, match=r"^n must be an integer of at least 0, got "):
        check_count("n", value)
    for call in (lambda x: check_counts("seeds", [x]), lambda x: distinct_offsets([x], False)):
        with pytest.raises(ValueError, match=r"^(seeds|offsets) must be .*integers.*, got "):
            call(value)


@pytest.mark.parametrize("value", [-1, np.int8(-1), 11, np.uint8(11), torch.tensor(11)], ids=repr)
def test_limits_are_those_of_the_integer(value):
    with pytest.raises(ValueError, match=r"^n must be an integer from 0 to 10, got "):
        check_count("n", value, most=10)


COLLECTIONS = {
    "an array": np.array,
    "an array of eight bits": lambda values: np.array(values, dtype=np.int8),
    "a tensor": torch.tensor,
    "a size": torch.Size,
    "a tuple of NumPy's": lambda values: tuple(map(np.int64, values)),
    "a list of tensors": lambda values: list(map(torch.tensor, values)),
    "a range": lambda values: range(values[0], values[-1] + 1),
}


@pytest.mark.parametrize("kind", COLLECTIONS.values(), ids=COLLECTIONS)
def test_any_collection_of_integers_is_one(kind):
    values = [1, 2, 3]
    for given in (
        distinct_offsets(kind(values), True),
        check_period(kind(values), (2, 3)),
        check_counts("seeds", kind(values)),
    ):
        assert list(given) == values
        assert {type(x) for x in given} == {int}
    assert len(Initializer(kind(values)).generators) == 3


def test_offsets_are_a_set():
    assert distinct_offsets({4, 0, 2}, True) == [0, 2, 4]
    assert distinct_offsets((2**i for i in range(3)), True) == [1, 2, 4]


@pytest.mark.parametrize("period", [{1, 2, 3}, "123", [], np.ones(3), [True, 1, 2]], ids=repr)
def test_periods_have_an_order_and_are_integers(period):
    with pytest.raises(ValueError, match=r"^period must be .*, got "):
        check_period(period, (2, 3))


# Numbers


@pytest.mark.parametrize("value", [0.25, 1, np.float32(0.25), np.float16(2), np.int8(3)], ids=repr)
def test_a_number_of_any_library_is_one(value):
    assert check_number("scale", value) == value
    assert type(check_number("scale", value)) is float


@pytest.mark.parametrize(
    "value", [math.nan, math.inf, -math.inf, np.float32("nan"), 10**400, True, "1", None], ids=repr
)
def test_what_is_no_finite_number_is_refused(value):
    with pytest.raises(ValueError, match=r"^scale must be a finite number, got "):
        check_number("scale", value)


# Symbolic sizes


def test_checks_need_no_pytorch():
    code = "import sys, attention_limits.checks; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


# PyTorch warns of what its own compiler does.
@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")
@pytest.mark.parametrize("dynamic", [False, True])
def test_checks_are_compiled_in_one_graph(dynamic):
    """A size of the inputs may be an option, and none is asked for its value."""

    def attend(q, k, v):
        n, d = q.shape[-2:]
        return sliding_window.attend(q, k, v, window=n // 2, causal=True, scale=d**-0.5)

    compiled = torch.compile(attend, fullgraph=True, backend="aot_eager", dynamic=dynamic)
    inputs = torch.randn(3, 2, 12, 4)
    torch.testing.assert_close(compiled(*inputs), attend(*inputs))


class Attention(torch.nn.Module):
    """Causal, of turned heads, under a bias made for as many tokens as there are."""

    def forward(self, q, k, v):
        q, k = rotary.apply(q), rotary.apply(k)
        n = checks.check_count("n", q.shape[-2])
        bias = torch.arange(n, device=q.device, dtype=q.dtype) / 10
        return dense.attend(q, k, v, causal=True, bias=bias)


@pytest.mark.parametrize("strict", [False, True])
def test_a_symbolic_size_stays_one(strict):
    """To ask for its value would write one length into the exported program."""
    n = torch.export.Dim("n", min=2)
    sizes = {name: {1: n} for name in "qkv"}
    program = torch.export.export(
        Attention(), tuple(torch.randn(3, 2, 12, 4)), dynamic_shapes=sizes, strict=strict
    )
    inputs = torch.randn(3, 2, 7, 4)
    torch.testing.assert_close(program.module()(*inputs), Attention()(*inputs))


# What is recorded


def configs():
    """A frozen value of each kind that is a key or is written down, and its name."""
    values = {"Recipe": Recipe(max_position=64), "Sizes": Sizes()}
    for name in tasks.TASKS:
        values[name] = tasks.make(name)
    for name in EXPERIMENTS:
        module = importlib.import_module(f"{experiments.__name__}.{name}")
        values |= {f"{name}, {preset}": config for preset, config in module.PRESETS.items()}
    values |= {
        "Architecture": Architecture(),
        "clock": Architecture(mechanism="clock", options={"period": (1, 2, 4, 8)}),
        "offsets": Architecture(mechanism="offsets", options={"offsets": (0, 1, 2)}),
        "bias": Architecture(position="relative_bias", position_options={"max_distance": 40}),
    }
    return values


def fields(value):
    return {
        field.name: getattr(value, field.name) for field in dataclasses.fields(value) if field.init
    }


CONFIGS = configs()


def test_no_experiment_is_forgotten():
    """Each has a Config that is written down."""
    assert {name.partition(",")[0] for name in CONFIGS} >= set(EXPERIMENTS)


@pytest.mark.parametrize("kind", INTEGERS.values(), ids=INTEGERS)
@pytest.mark.parametrize("value", CONFIGS.values(), ids=CONFIGS)
def test_a_value_of_other_integers_is_the_same_value(value, kind):
    """Equal, the same key, and fit for JSON, which knows nobody's integers but Python's."""
    same = type(value)(**replaced(fields(value), kind))
    assert same == value
    assert repr(same) == repr(value)
    if not isinstance(value, Sizes):  # holds no mapping, and is no key
        assert json.dumps(dataclasses.asdict(same)) == json.dumps(dataclasses.asdict(value))
    if type(value).__hash__ is not None:
        assert hash(same) == hash(value)


def test_collections_become_tuples():
    """What JSON makes of a list, and what a key can hold."""
    given = {"a": [1, np.int8(2)], "b": np.eye(2, dtype=bool), "c": {3, 1}, "d": Index(4)}
    assert plain(given) == {"a": (1, 2), "b": ((True, False), (False, True)), "c": (1, 3), "d": 4}
    assert plain("word") == "word"
    assert plain(None) is None
    assert plain(np.True_) is True
