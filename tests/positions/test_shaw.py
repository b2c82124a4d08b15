"""Shaw's relative vectors, against tables of n × n vectors written out."""

import math

import pytest
import torch
from helpers.tensors import assert_close, draw
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from attention_limits.attention import dense
from attention_limits.meters import PeakMemory
from attention_limits.positions import shaw


def written_out(table, n_q, n_k):
    """One vector a pair, (..., n_q, n_k, d)."""
    r = table.shape[-2] // 2
    offsets = [[j - i for j in range(n_k)] for i in range(n_k - n_q, n_k)]
    rows = torch.tensor([[r + max(-r, min(r, x)) for x in row] for row in offsets])
    return table[..., rows.reshape(n_q, n_k), :]


def attended(q, k, v, key_table, value_table, *, causal, scale):
    """Attention with the vectors of every pair, by einsum."""
    sizes = q.shape[-2], k.shape[-2]
    keys = k.unsqueeze(-3) + written_out(key_table, *sizes)
    values = v.unsqueeze(-3) + written_out(value_table, *sizes)
    scores = scale * torch.einsum("...id,...ijd->...ij", q, keys)
    if causal:
        sees = torch.ones(sizes, dtype=torch.bool).tril(sizes[1] - sizes[0])
        scores = scores.masked_fill(~sees, -torch.inf)
    return torch.einsum("...ij,...ije->...ie", scores.softmax(-1), values)


def defined(*inputs, **options):
    return torch.from_numpy(shaw.define(*(x.numpy() for x in inputs), **options))


SHAPES = {  # of q, k and v, then the leading axes of the tables
    "one token": ((1, 4), (1, 4), ()),
    "no leading axes": ((9, 4), (9, 4), ()),
    "batch and heads": ((2, 3, 9, 4), (2, 3, 9, 4), ()),
    "a table for each head": ((2, 3, 9, 4), (2, 3, 9, 4), (3,)),
    "models side by side": ((5, 2, 3, 6, 4), (5, 2, 3, 6, 4), (5, 1, 1)),
    "grouped heads": ((2, 3, 9, 4), (2, 1, 9, 4), ()),
    "keys of a batch": ((9, 4), (2, 9, 4), ()),
    "one query against a cache": ((2, 1, 4), (2, 20, 4), ()),
    "fewer queries than keys": ((2, 5, 4), (2, 20, 4), ()),
}


@pytest.mark.parametrize("max_distance", [0, 1, 3, 30], ids="r={}".format)
@pytest.mark.parametrize("causal", [False, True], ids=["", "causal"])
@pytest.mark.parametrize(("q", "k", "lead"), SHAPES.values(), ids=SHAPES)
def test_equals_attention_with_the_vectors_written_out(q, k, lead, causal, max_distance):
    rows = 2 * max_distance + 1
    inputs = draw(q, k, (*k[:-1], 3), (*lead, rows, 4), (*lead, rows, 3))
    options = {"causal": causal, "scale": 0.4}
    expected = attended(*inputs, **options)
    assert_close(shaw.apply(*inputs, **options), expected)
    assert_close(defined(*inputs, **options), expected)


@pytest.mark.parametrize("causal", [False, True], ids=["", "causal"])
def test_without_vectors_it_is_dense_attention(causal):
    q, k, v, table = draw((2, 9, 4), (2, 12, 4), (2, 12, 3), (7, 4))
    expected = dense.attend(q, k, v, causal=causal)
    for given in ([0 * table], [0 * table, torch.zeros(5, 3, dtype=torch.float64)]):
        assert_close(shaw.apply(q, k, v, *given, causal=causal), expected)
    assert_close(shaw.apply(q, k, v, table), defined(q, k, v, table))


@pytest.mark.parametrize("causal", [False, True], ids=["", "causal"])
def test_a_query_that_sees_nothing_gets_zero_and_sends_no_gradient(causal):
    """Its softmax is 0/0, which would spoil the tables that all queries share."""
    inputs = draw((5, 4), (2, 4), (2, 3), (5, 4), (5, 3))
    out = shaw.apply(*(x.requires_grad_() for x in inputs), causal=causal)
    assert (out[:3] == 0).all() == causal
    assert_close(out, defined(*(x.detach() for x in inputs), causal=causal))
    gradients = torch.autograd.grad(out.square().sum(), inputs)
    assert all(gradient.isfinite().all() for gradient in gradients)
    assert (gradients[0][:3] == 0).all() == causal


# The score's side


def test_bias_is_the_part_of_the_score_that_depends_on_the_offset():
    q, table = draw((2, 5, 4), (7, 4))
    expected = torch.einsum("...id,ijd->...ij", q, written_out(table, 5, 9))
    assert_close(shaw.bias(q, table, 9, scale=1), expected)
    assert_close(shaw.bias(q, table, 9), expected / math.sqrt(4))


def test_offsets_lie_in_the_table_from_the_past_to_the_future():
    """Row 0 is for keys r and more behind; an exchange would give symmetric tests the same."""
    table = torch.arange(5.0)[:, None]
    bias = shaw.bias(torch.ones(4, 1), table, 4, scale=1)
    assert bias.tolist() == [[2, 3, 4, 4], [1, 2, 3, 4], [0, 1, 2, 3], [0, 0, 1, 2]]


def test_a_query_can_ask_for_the_key_three_back():
    """What no number a distance can do: another query, at the same place, asks for another."""
    table = 40 * torch.eye(9, dtype=torch.float64)[4 - 3 : 4]  # offsets −3, −2, −1 …
    table = torch.cat([torch.zeros(1, 9), table, torch.zeros(5, 9)]).double()
    q = torch.eye(9, dtype=torch.float64)[1:4]  # … of which each query names one
    weights = shaw.bias(q[:, None], table, 20, scale=1).softmax(-1)[:, 0]
    assert weights.argmax(-1).tolist() == [20 - 1 - 3, 20 - 1 - 2, 20 - 1 - 1]
    assert (weights.amax(-1) > 0.99).all()


def test_beyond_its_reach_all_keys_are_at_one_place():
    q, table = draw((1, 4), (7, 4))
    bias = shaw.bias(q, table, 50)[0]
    assert (bias[:-3] == bias[0]).all()
    assert len(bias[-4:].unique()) == 4


@pytest.mark.parametrize("end", [0, -1], ids=["behind", "ahead"])
def test_the_gradient_of_an_end_is_a_sum_over_all_beyond(end):
    q, table = draw((30, 4), (7, 4))
    upstream = draw((30, 30), seed=1)[0]
    table.requires_grad_()
    [gradient] = torch.autograd.grad(shaw.bias(q, table, 30, scale=1), [table], upstream)
    beyond = upstream.tril(-3) if end == 0 else upstream.triu(3)
    assert_close(gradient[end], (beyond.sum(-1, keepdim=True) * q).sum(0))


def test_positions_may_be_far_apart_and_are_clipped_all_the_same():
    """Shaw's could not be asked what all others are: positions that are stretched."""
    table = torch.arange(5.0)[:, None]
    p = torch.tensor([0, 1, 7, 8])
    bias = shaw.bias(torch.ones(4, 1), table, 4, scale=1, positions_q=p, positions_k=p)
    assert bias.tolist() == [[2, 3, 4, 4], [1, 2, 4, 4], [0, 0, 2, 3], [0, 0, 1, 2]]


@pytest.mark.parametrize("causal", [False, True], ids=["", "causal"])
def test_equals_its_definition_at_positions_of_each_sequence(causal):
    inputs = draw((2, 3, 5, 4), (2, 3, 9, 4), (2, 3, 9, 3), (7, 4), (7, 3))
    p = torch.tensor([[0, 2, 3, 4, 9, 11, 12, 20, 21], [5, 6, 7, 8, 9, 10, 11, 12, 13]])
    p = p[:, None]  # all heads of a sequence stand alike
    options = {"causal": causal, "scale": 0.4}
    given = {"positions_q": p[..., -5:], "positions_k": p}
    arrays = {name: x.numpy() for name, x in given.items()}
    assert_close(shaw.apply(*inputs, **options, **given), defined(*inputs, **options, **arrays))
    consecutive = shaw.apply(*inputs, **options)
    assert_close(shaw.apply(*inputs, **options, **given)[1], consecutive[1])


# The value's side


def test_mix_is_the_mean_of_displaced_values():
    weights, v, table = draw((2, 5, 9), (2, 9, 3), (7, 3))
    weights = weights.softmax(-1)
    values = v[:, None] + written_out(table, 5, 9)
    assert_close(shaw.mix(weights, v, table), torch.einsum("bij,bije->bie", weights, values))


def test_values_say_from_where_they_come():
    """Of values that are all 0, the output is the offset of the key that was looked at."""
    table = torch.arange(-4.0, 5.0, dtype=torch.float64)[:, None]
    weights = torch.eye(6, dtype=torch.float64)[:4]  # queries 2 … 5 look at keys 0 … 3
    out = shaw.mix(weights, torch.zeros(6, 1, dtype=torch.float64), table)
    assert out[:, 0].tolist() == [-2, -2, -2, -2]


class Sums(TorchDispatchMode):
    """In which dtypes `scatter_add` adds up."""

    def __init__(self):
        super().__init__()
        self.dtypes = set()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        if "scatter_add" in str(function):
            self.dtypes.add(result.dtype)
        return result


def test_half_precision_adds_up_the_weights_of_a_far_past():
    """4096 weights of 1/4096, one by one: bfloat16 stops at 1/16.  Not every kernel does that."""
    n = 4096
    weights = torch.full((1, n), 1 / n, dtype=torch.bfloat16)
    v, table = torch.zeros(n, 1, dtype=torch.bfloat16), torch.ones(3, 1, dtype=torch.bfloat16)
    with Sums() as sums:
        assert shaw.mix(weights, v, table).item() == 1
    assert sums.dtypes == {torch.float32}


def test_half_precision_adds_up_the_gradients_of_a_far_past():
    q = torch.ones(1, 1, dtype=torch.bfloat16)
    table = torch.zeros(3, 1, dtype=torch.bfloat16, requires_grad=True)
    bias = shaw.bias(q, table, 4096, scale=1)
    assert bias.dtype == torch.float32
    [gradient] = torch.autograd.grad(bias.sum(), [table])
    assert gradient[:, 0].tolist() == [4096, 1, 0]


# Cost


def test_each_query_meets_each_vector_once():
    """2n(2r + 1)d FLOPs, where a vector for each pair makes 2n²d."""
    q, table = draw((3, 64, 8), (9, 8))
    with FlopCounterMode(display=False) as counter:
        shaw.bias(q, table, 64)
    assert counter.get_total_flops() == 3 * 2 * 64 * 9 * 8


def test_products_of_the_price_are_those_that_run():
    h, n, d, max_distance = 3, 32, 8, 4
    tables = draw((9, 8), (9, 8), seed=1)
    inputs = draw(*[(h, n, d)] * 3)
    with FlopCounterMode(display=False) as counter:
        shaw.apply(*inputs, *tables)
    price = shaw.cost(max_distance=max_distance)
    sums = h * (2 * n**2 + n * (2 * max_distance + 1) + n * d)
    assert price.flops(h=h, n=n, d=d) - sums == counter.get_total_flops() - h * 4 * n**2 * d
    assert price.parameters(d=d) == sum(table.numel() for table in tables)


def test_no_tensor_holds_a_vector_for_each_pair():
    """Forward and backward stay below half of the n²d numbers of the keys' vectors alone."""
    n, d = 128, 128
    inputs = draw(*[(n, d)] * 3, (9, d), (9, d), dtype=torch.float32)
    with PeakMemory() as memory:
        shaw.apply(*(x.requires_grad_() for x in inputs)).sum().backward()
    assert memory.peak < n * n * d * 4 / 2


# Gradients, dtypes, devices, bad input


@pytest.mark.parametrize("causal", [False, True], ids=["", "causal"])
@pytest.mark.parametrize("n_q", [2, 3, 5])
def test_gradients_are_those_of_the_output(n_q, causal):
    inputs = draw((2, n_q, 2), (3, 2), (3, 2), (3, 2), (5, 2))
    inputs = [x.requires_grad_() for x in inputs]
    assert torch.autograd.gradcheck(lambda *x: shaw.apply(*x, causal=causal), inputs)


@pytest.mark.parametrize(("dtype", "within"), [(torch.bfloat16, 3e-2), (torch.float16, 4e-3)])
def test_half_precision_stays_near(dtype, within):
    inputs = [x.to(dtype) for x in draw((2, 40, 16), (2, 40, 16), (2, 40, 8), (7, 16), (7, 8))]
    out = shaw.apply(*inputs, causal=True)
    assert out.dtype == dtype
    expected = defined(*(x.double() for x in inputs), causal=True)
    assert (out.double() - expected).square().mean().sqrt() < within


def test_runs_on_meta():
    inputs = [x.to("meta") for x in draw((2, 4, 8), (2, 9, 8), (2, 9, 3), (5, 8), (5, 3))]
    assert shaw.apply(*inputs, causal=True).shape == (2, 4, 3)
    assert shaw.bias(inputs[0], inputs[3], 9).is_meta


P = torch.arange(4)
Q, K, V, A, B = draw((4, 2), (4, 2), (4, 3), (5, 2), (5, 3))
REFUSED = {
    "queries no tensor": ("q", lambda: shaw.bias([[1.0]], A, 4)),
    "keys of another width": ("k", lambda: shaw.apply(Q, V, V, A)),
    "a key table of another width": ("key_table", lambda: shaw.apply(Q, K, V, B)),
    "an even number of rows": ("table", lambda: shaw.bias(Q, A[1:], 4)),
    "no rows": ("table", lambda: shaw.bias(Q, A[:0], 4)),
    "a table in another dtype": ("table", lambda: shaw.bias(Q, A.float(), 4)),
    "a table elsewhere": ("table", lambda: shaw.bias(Q, A.to("meta"), 4)),
    "tables of another batch": (
        "table",
        lambda: shaw.bias(Q.expand(4, 4, 2), A.expand(3, 5, 2), 4),
    ),
    "n_k": ("n_k", lambda: shaw.bias(Q, A, -1)),
    "a value table of another width": ("value_table", lambda: shaw.apply(Q, K, V, A, A)),
    "values of other keys": ("v", lambda: shaw.mix(Q @ K.mT, V[1:], B)),
    "values in another dtype": ("v", lambda: shaw.mix(Q @ K.mT, V.float(), B)),
    "as many positions": ("positions_q", lambda: shaw.bias(Q, A, 4, positions_q=P[:3])),
    "positions of keys": ("positions_k", lambda: shaw.bias(Q, A, 4, positions_k=P.double())),
    "positions of another batch": (
        "positions",
        lambda: shaw.bias(Q.expand(4, 4, 2), A, 4, positions_k=P.expand(3, 4)),
    ),
    "positions of more than there is": (
        "positions",
        lambda: shaw.mix(Q @ K.mT, V, B, positions_k=P.expand(3, 4)),
    ),
    "max_distance": ("max_distance", lambda: shaw.cost(max_distance=-1)),
}


@pytest.mark.parametrize(("name", "call"), REFUSED.values(), ids=REFUSED)
def test_bad_input_is_refused_by_name(name, call):
    with pytest.raises(ValueError, match=rf"^{name} must "):
        call()
