"""The evidence on inference: rivals of cost are right, and so are the meters."""

from itertools import islice

import pytest
import torch
from torch.testing import assert_close

from attention_limits.attention import dense
from attention_limits.chapters.quadratic_cost.derivations.inference import CACHE
from attention_limits.chapters.quadratic_cost.evidence import inference
from attention_limits.shapes import SHAPES

F64 = {"dtype": torch.float64}


@pytest.fixture
def layers():
    torch.manual_seed(0)
    return [inference.Layer.draw(inference.ODD, device="cpu") for _ in range(3)]


@pytest.fixture
def layer(layers):
    return layers[0]


@pytest.fixture
def heads():
    """Queries, keys and values of eight tokens: two key-value heads, three query heads each."""
    torch.manual_seed(0)
    q = torch.randn(2, 3, 8, 10, **F64)
    return q, *torch.randn(2, 2, 1, 8, 10, **F64)


PROGRAMS = {
    "with a cache": inference.with_a_cache,
    "with a cache of inputs": inference.with_a_cache_of_inputs,
    "with the last row alone": inference.with_the_last_row_alone,
    "with n² exponentials a row": lambda layers, tokens: inference.without_a_cache(
        layers, tokens, attend=inference.cubic_exponentials
    ),
    "with more room than it needs": lambda layers, tokens: inference.without_a_cache(
        layers, tokens, keep=9
    ),
}


@pytest.mark.parametrize("start", [1, 3])
@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS)
def test_programs_generate_the_same(layers, program, start):
    """A rival of cost was refused because it computes something else."""
    tokens = torch.randn(start, inference.ODD["d_model"])
    expected = torch.cat(list(islice(inference.without_a_cache(layers, tokens), 6)))
    found = torch.cat(list(islice(program(layers, tokens), 6)))
    assert_close(found, expected, rtol=1e-3, atol=1e-3)
    assert (expected[1:] - expected[:-1]).abs().amin(-1).max() > 0, "it stands still"


@pytest.mark.parametrize("chunk", [1, 3, 6])
def test_a_prefill_in_chunks_is_a_prefill(layer, chunk):
    """Chunks forgot what came before them."""
    tokens = torch.randn(6, inference.ODD["d_model"])
    whole = inference.prefilled_with_all_pairs(layer, tokens)
    assert_close(inference.prefilled_in_chunks(layer, tokens, chunk), whole, rtol=1e-4, atol=1e-4)


STEPS = {
    "expanded": inference.step_for_every_query_head,
    "history": inference.step_with_history,
    "room": inference.step_with_room_to_spare,
}


@pytest.mark.parametrize("step", STEPS.values(), ids=STEPS)
def test_caches_that_hold_too_much_attend_as_they_should(heads, step):
    """A rival of memory was refused because it is wrong."""
    q, k, v = heads
    state, outputs = None, []
    for i in range(8):
        out, state = step(state, *(x[..., i : i + 1, :] for x in (q, k, v)))
        outputs.append(out)
    assert_close(torch.cat(outputs, -2), dense.attend(q, k, v, causal=True))


def test_windows_are_right_until_they_are_full(heads):
    """A rival that forgets was refused because it is wrong about what it keeps."""
    q, k, v = heads
    state, kept = None, []
    for i in range(8):
        x = (x[..., i : i + 1, :] for x in (q, k, v))
        out, state = inference.step_with_a_window(state, *x, window=5)
        kept.append(out)
    first, expected = torch.cat(kept, -2), dense.attend(q, k, v, causal=True)
    assert_close(first[..., :6, :], expected[..., :6, :])
    assert not torch.allclose(first[..., 6:, :], expected[..., 6:, :])
    last = (q[..., 6:, :], k, v)
    assert_close(inference.looking_back(*last, causal=True, window=7), expected[..., 6:, :])
    assert_close(
        inference.looking_back(*last, causal=True, window=3)[..., 1:, :],
        dense.attend(q[..., 7:, :], k[..., 4:, :], v[..., 4:, :]),
    )


def test_what_is_read_is_the_same_batch(heads):
    """The rivals of intensity computed another step."""
    q, k, v = (x[None] for x in heads)
    expected = dense.attend(q[..., -1:, :], k, v)
    copied = (inference.kept_for_every_query_head(x, 6) for x in (k, v))
    assert_close(dense.attend(q[..., -1:, :], *copied), expected)
    for attend in (
        inference.heads_as_queries,
        inference.repeated_for_every_query_head,
        inference.a_window_of_heads,
        inference.twice(inference.heads_as_queries),
    ):
        assert_close(attend(q[..., -1:, :], k, v), expected)
    # One prompt, and three sequences that go on in their own ways.
    several = torch.cat([q[..., i : i + 1, :] for i in (5, 6, 7)])
    k, v = (x.expand(3, -1, -1, -1, -1) for x in (k, v))
    assert_close(inference.one_prompt_for_all(several, k, v), dense.attend(several, k, v))


def test_sequences_that_take_turns_get_the_same(layer):
    """The rival that reads the weights for each sequence computes something else."""
    x = torch.randn(4, 1, inference.ODD["d_model"])
    assert_close(inference.one_by_one(layer, x), inference.together(layer, x))


def test_a_view_is_read_once_and_a_copy_as_often_as_it_is_copied():
    """Keys that a view repeats for three query heads counted three times, or a copy of them once.

    Views and copies alone count nothing, nor do products of other tensors.
    """
    k, q = torch.ones(2, 5), torch.ones(3, 5, 1)
    with inference.Read([k]) as read:
        view = k.expand(3, 2, 5)
        copy = k.repeat(3, 1, 1)
        assert read.count == 0
        scores = view @ q
        assert read.count == 10
        (2 * copy) @ q
        assert read.count == 10 + 30
        torch.softmax(scores, -1).mT @ torch.ones(3, 2, 5)
    assert read.count == 10 + 30


@pytest.mark.parametrize("name", ["GPT-2 XL", "Llama-2 7B", "Llama-3.1 8B"])
def test_a_cache_that_is_not_ours_holds_the_same(name):
    """The formula describes our cache alone: transformers' grows by the same bytes."""
    transformers = pytest.importorskip("transformers")
    shape, cache = SHAPES[name], transformers.DynamicCache()
    d = shape.d_model // shape.h
    for n in (24, *(1 for _ in range(24))):
        token = torch.zeros(1, shape.g, n, d, dtype=torch.bfloat16)
        for layer in range(shape.layers):
            keys, values = cache.update(token, token, layer)
            assert keys.shape == values.shape
    held = sum(inference.held((layer.keys, layer.values)) for layer in cache.layers)
    sizes = {s: shape.whole[s] for s in ("layers", "d_model", "h", "g")}
    assert held == CACHE(n=48, b=2, **sizes)
