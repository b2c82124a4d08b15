"""What the gated recurrences share beyond the contract: chunks, gates, streams, gradients."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode

from attention_limits.attention import delta_rule, gated_delta_rule, gated_linear
from attention_limits.attention.recurrence import CHUNK
from attention_limits.meters import PeakMemory


def remove(S, k, beta):
    """(I − β k kᵀ) S."""
    return S - beta[..., None] * k[..., :, None] * (k[..., None, :] @ S)


def unit(k):
    return k / k.norm(dim=-1, keepdim=True)


def outer(k, v):
    return k[..., :, None] * v[..., None, :]


# One token of each recurrence: the state before and the token's k, v and gates, in; the next, out.
TOKEN = {
    "gated_linear": lambda S, k, v, g: g.exp()[..., None] * S + outer(k, v),
    "gated_linear per channel": lambda S, k, v, g: g.exp()[..., None] * S + outer(k, v),
    "delta_rule": lambda S, k, v, beta: remove(S, unit(k), beta) + outer(unit(k), beta * v),
    "gated_delta_rule": lambda S, k, v, g, beta: (
        g.exp()[..., None] * remove(S, unit(k), beta) + outer(unit(k), beta * v)
    ),
}
MODULES = {
    "gated_linear": gated_linear,
    "gated_linear per channel": gated_linear,
    "delta_rule": delta_rule,
    "gated_delta_rule": gated_delta_rule,
}
each = pytest.mark.parametrize("name", TOKEN)


def draw_gates(name, *lead, d, generator=None, **options):
    """One row for each key, at the end of ``lead``."""

    def noise(width):
        return torch.randn(*lead, width, generator=generator, **options)

    decay = -torch.nn.functional.softplus(noise(d if name.endswith("channel") else 1))
    beta = 2 * noise(1).sigmoid()
    return {
        "gated_linear": [decay],
        "gated_linear per channel": [decay],
        "delta_rule": [beta],
        "gated_delta_rule": [decay, beta],
    }[name]


def draw_inputs(name, n_q, n_k, d=8, d_v=5, lead=(2,), **options):
    options = {"dtype": torch.float64} | options
    if options.get("device") != "meta":
        options["generator"] = torch.Generator().manual_seed(0)
    shapes = (n_q, d), (n_k, d), (n_k, d_v)
    inputs = [torch.randn(*lead, *shape, **options) for shape in shapes]
    return [*inputs, *draw_gates(name, *lead, n_k, d=d, **options)]


def token_by_token(name, q, k, v, *gates):
    """The recurrence under autograd; a query that comes before all keys gets 0."""
    S = torch.zeros(*k.shape[:-2], k.shape[-1], v.shape[-1], dtype=k.dtype)
    surplus = k.shape[-2] - q.shape[-2]
    rows = [torch.zeros_like(v[..., 0, :])] * max(0, -surplus)
    for j in range(k.shape[-2]):
        S = TOKEN[name](S, *(x[..., j, :] for x in (k, v, *gates)))
        if j >= surplus:
            row = q[..., j - surplus, None, :] @ S / math.sqrt(q.shape[-1])
            rows.append(row.squeeze(-2))
    return torch.stack(rows, dim=-2)


EDGES = [(n, n) for n in (1, 2, 3, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK + 37)]
UNEQUAL = [(70, 200), (200, 70), (1, CHUNK + 1), (CHUNK + 1, 1), (3, CHUNK)]


@pytest.mark.parametrize(("n_q", "n_k"), EDGES + UNEQUAL)
@each
def test_is_the_recurrence_that_it_shortens(name, n_q, n_k):
    """Outputs and the gradient of every input, around every edge of a chunk."""
    inputs = [x.requires_grad_() for x in draw_inputs(name, n_q, n_k)]
    out, expected = MODULES[name].attend(*inputs), token_by_token(name, *inputs)
    torch.testing.assert_close(out, expected, atol=1e-12, rtol=1e-12)
    upstream = torch.linspace(-1, 1, out.numel(), dtype=out.dtype).view_as(out)
    for one, other in zip(
        torch.autograd.grad(out, inputs, upstream),
        torch.autograd.grad(expected, inputs, upstream),
        strict=True,
    ):
        torch.testing.assert_close(one, other, atol=1e-11, rtol=1e-11)


@given(data=st.data())
@each
def test_gates_broadcast_like_all_else(name, data):
    """A gate may be shared by heads that have keys of their own, or the other way round."""
    axes = data.draw(st.lists(st.integers(1, 3), max_size=3))
    n_q, n_k, d, d_v = (data.draw(st.integers(1, 9)) for _ in range(4))

    def part():
        kept = [data.draw(st.sampled_from([1, axis])) for axis in axes]
        return kept[data.draw(st.integers(0, len(kept))) :]

    generator = torch.Generator().manual_seed(0)
    inputs = [
        torch.randn(*part(), *shape, dtype=torch.float64, generator=generator)
        for shape in ((n_q, d), (n_k, d), (n_k, d_v))
    ]
    some, other = (
        draw_gates(name, *part(), n_k, d=d, dtype=torch.float64, generator=generator)
        for _ in range(2)
    )
    inputs += [some[0], *other[1:]]  # the second gate has leading axes of its own
    out = MODULES[name].attend(*inputs)
    expected = MODULES[name].define(*(x.numpy() for x in inputs))
    assert out.shape == expected.shape
    torch.testing.assert_close(out, torch.from_numpy(expected), atol=1e-12, rtol=1e-12)


@each
def test_gradients_of_shared_gates_add_up(name):
    """Three heads with one gate: its gradient is the sum of what it would be in each."""
    inputs = draw_inputs(name, 9, 9, lead=(3,))
    shared = [x[:1].clone().requires_grad_() for x in inputs[3:]]
    apart = [x.detach().expand(3, -1, -1).clone().requires_grad_() for x in shared]
    for gates in (shared, apart):
        MODULES[name].attend(*inputs[:3], *gates).sum().backward()
    for one, three in zip(shared, apart, strict=True):
        torch.testing.assert_close(one.grad, three.grad.sum(0, keepdim=True))


@pytest.mark.parametrize("seen", [0, 3, CHUNK, 150])
@each
def test_a_later_gate_does_not_reach_an_earlier_output(name, seen):
    inputs = draw_inputs(name, 180, 180)
    changed = [*inputs[:3], *(x.clone() for x in inputs[3:])]
    for gate in changed[3:]:
        gate[:, seen:] *= 0.5
    before, after = (MODULES[name].attend(*x)[:, :seen] for x in (inputs, changed))
    torch.testing.assert_close(after, before, atol=1e-13, rtol=1e-13)


# Streams

CHUNKS = [[1, CHUNK - 1, CHUNK, 12], [CHUNK + 1, 1, 70, 4], [0, 140], [1] * 5 + [100], [21] * 7]


@pytest.mark.parametrize("chunks", CHUNKS, ids=str)
@each
def test_a_stream_may_come_in_any_chunks(name, chunks):
    """Those of a step and those of the scan have different edges."""
    module, inputs = MODULES[name], draw_inputs(name, sum(chunks), sum(chunks))
    state, outputs = None, []
    for tokens in zip(*(x.split(chunks, dim=-2) for x in inputs), strict=True):
        out, state = module.step(state, *tokens)
        outputs.append(out)
    torch.testing.assert_close(torch.cat(outputs, -2), module.attend(*inputs))


@each
def test_a_stream_whose_gates_have_heads_of_their_own(name):
    """Keys and values shared by three heads, which forget each at its own pace."""
    q, k, v, *gates = draw_inputs(name, 9, 9, lead=(3,))
    inputs = [q[:1], k[:1], v[:1], *gates]
    expected, state = MODULES[name].attend(*inputs), None
    for start, end in ((0, 0), (0, 4), (4, 9)):
        out, state = MODULES[name].step(state, *(x[:, start:end] for x in inputs))
        assert out.shape == (3, end - start, 5)
        torch.testing.assert_close(out, expected[:, start:end])
        assert state.matrix.shape == (3, 8, 5)


@each
def test_a_state_is_that_of_the_recurrence(name):
    _, k, v, *gates = inputs = draw_inputs(name, 140, 140)
    S = torch.zeros(2, 8, 5, dtype=torch.float64)
    for j in range(140):
        S = TOKEN[name](S, *(x[:, j] for x in (k, v, *gates)))
    _, state = MODULES[name].step(None, *inputs)
    torch.testing.assert_close(state.matrix, S)


@each
def test_gradients_flow_through_a_state(name):
    """Truncated or not, training on a stream needs the gradient of what came steps before."""
    inputs = [x.requires_grad_() for x in draw_inputs(name, 100, 100)]
    module = MODULES[name]
    _, state = module.step(None, *(x[:, :70] for x in inputs))
    last, _ = module.step(state, *(x[:, 70:] for x in inputs))
    wanted = torch.autograd.grad(module.attend(*inputs)[:, 70:].sum(), inputs)
    for one, other in zip(torch.autograd.grad(last.sum(), inputs), wanted, strict=True):
        torch.testing.assert_close(one, other)


@each
def test_a_stream_holds_the_same_however_long_it_is(name):
    sizes = {MODULES[name].step(None, *draw_inputs(name, n, n))[1].matrix.shape for n in (40, 1000)}
    assert sizes == {(2, 8, 5)}


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
@each
def test_half_precision_is_rounded_at_the_end_only(name, dtype):
    """In bfloat16 a sum of ones stops at 256, and a decay of 0.999 is a decay of 1."""
    inputs = [x.to(dtype) for x in draw_inputs(name, 300, 300)]
    single = MODULES[name].attend(*(x.float() for x in inputs))
    assert torch.equal(MODULES[name].attend(*inputs), single.to(dtype))
    _, state = MODULES[name].step(None, *inputs)
    assert state.matrix.dtype == torch.float32


@pytest.mark.parametrize(
    "change", [{"d": 6}, {"d_v": 6}, {"lead": (3,)}, {"dtype": torch.float64}], ids=str
)
@each
def test_a_step_that_does_not_continue_its_stream_is_refused(name, change):
    """All inputs changed alike, so that they fit each other and not the state."""
    _, state = MODULES[name].step(None, *draw_inputs(name, 4, 4, dtype=torch.float32))
    with pytest.raises(ValueError, match=r"^k must continue its stream"):
        MODULES[name].step(state, *draw_inputs(name, 4, 4, **{"dtype": torch.float32} | change))


@each
def test_a_step_has_a_query_for_each_key(name):
    with pytest.raises(ValueError, match=r"^q must have one row per key, 4"):
        MODULES[name].step(None, *draw_inputs(name, 3, 4))


BAD_GATES = {
    "a number": 0.5,
    "an array": np.zeros((2, 4, 1)),
    "integers": torch.zeros(2, 4, 1, dtype=torch.long),
    "another device": torch.zeros(2, 4, 1, dtype=torch.float64, device="meta"),
    "one row, which would broadcast": torch.zeros(2, 1, 1, dtype=torch.float64),
    "a row a query": torch.zeros(2, 6, 1, dtype=torch.float64),
    "heads last": torch.zeros(1, 2, 4, dtype=torch.float64),
    "neither one number nor d": torch.zeros(2, 4, 3, dtype=torch.float64),
    "other leading axes": torch.zeros(3, 4, 1, dtype=torch.float64),
}


@pytest.mark.parametrize("gate", BAD_GATES.values(), ids=BAD_GATES)
@each
def test_a_bad_gate_is_refused_by_name(name, gate):
    good = draw_inputs(name, 4, 4)
    names = {"gated_delta_rule": ["log_decay", "beta"], "delta_rule": ["beta"]}
    for place, called in enumerate(names.get(name, ["log_decay"]), start=3):
        inputs = [*good[:place], gate, *good[place + 1 :]]
        with pytest.raises(ValueError, match=rf"^{called} must "):
            MODULES[name].attend(*inputs)
        with pytest.raises(ValueError, match=rf"^{called} must "):
            MODULES[name].step(None, *inputs)


@pytest.mark.parametrize("name", ["delta_rule", "gated_delta_rule"])
def test_gates_that_scale_a_whole_state_have_one_number_a_token(name):
    """A decay of its own for each channel would need other chunks."""
    inputs = draw_inputs(name, 4, 4)
    inputs[3] = inputs[3].expand(2, 4, 8)
    with pytest.raises(ValueError, match=r"must have one row per key, \(\.\.\., 4, 1\)"):
        MODULES[name].attend(*inputs)


def test_two_gates_that_do_not_fit_each_other_are_refused():
    """Each of them would fit the keys."""
    q, k, v, log_decay, _ = draw_inputs("gated_delta_rule", 4, 4, lead=(1,))
    beta = torch.ones(3, 4, 1, dtype=torch.float64)
    with pytest.raises(ValueError, match=r"^beta must have leading axes that broadcast"):
        gated_delta_rule.attend(q, k, v, log_decay.expand(2, 4, 1), beta)


# What it costs


@pytest.mark.slow
@each
def test_the_way_back_is_linear_and_keeps_little(name):
    """Equal steps in n cost equal FLOPs; and some twenty times the bytes of the keys are held.

    At d = 64 a chunk's square and its state are as big as its keys; the backward pass needs some.
    """
    flops = []
    for n in (256, 512, 768):
        inputs = draw_inputs(name, n, n, d=64, d_v=64, lead=(), dtype=torch.float32)
        with FlopCounterMode(display=False) as counter, PeakMemory() as memory:
            MODULES[name].attend(*(x.requires_grad_() for x in inputs)).sum().backward()
        flops.append(counter.get_total_flops())
    assert np.diff(flops, 2) == 0
    assert memory.peak < 24 * inputs[1].nbytes
