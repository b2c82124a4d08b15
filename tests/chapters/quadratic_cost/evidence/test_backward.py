"""The rivals of the evidence on the backward pass are right in all but cost; the meters see it."""

import re
from functools import partial

import numpy as np
import pytest
import torch
from helpers.sources import ROOT
from torch import nn
from torch.nn.attention import sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from attention_limits.attention import online_softmax
from attention_limits.chapters.quadratic_cost.derivations.backward import (
    BACKWARD,
    FORWARD,
    GATED_KEPT,
    JACOBIANS,
    LINEAR_KEPT,
    RECOMPUTED,
    REST_KEPT,
)
from attention_limits.chapters.quadratic_cost.evidence import backward
from attention_limits.chapters.quadratic_cost.evidence.backward import IN_TILES, WRITTEN_OUT, Kept
from attention_limits.meters import PeakMemory

PAGE = ROOT / "chapters" / "quadratic-cost" / "backward-pass.md"
SOFTMAXES = {
    "entry by entry": backward.cubic_softmax,
    "block by block": backward.blocked_softmax,
    "kept": backward.hoarding_softmax,
    "composed": backward.composed_softmax,
}
PROGRAMS = {
    "written out": partial(backward.written_out, softmax=torch.softmax),
    "cubic": backward.CUBIC,
    "blocked": backward.BLOCKED,
    "all again": backward.ALL_AGAIN,
    "cubic again": backward.CUBIC_AGAIN,
    "tiles": online_softmax.attend,
}


def drawn(*shape):
    generator = torch.Generator().manual_seed(0)
    return torch.randn(*shape, dtype=torch.float64, generator=generator)


# --- rivals -------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [5, backward.BLOCK, 2 * backward.BLOCK + 3])
@pytest.mark.parametrize("softmax", SOFTMAXES.values(), ids=SOFTMAXES)
def test_a_rival_softmax_has_the_right_gradients(softmax, n):
    """A rival with wrong gradients would be refused by any test of gradients."""
    scores, u = drawn(2, 3, n, n)
    outputs, gradients = [], []
    for one in (torch.softmax, softmax):
        leaf = scores.clone().requires_grad_()
        outputs.append(one(leaf, dim=-1))
        gradients += torch.autograd.grad(outputs[-1], leaf, u)
    assert torch.allclose(*outputs, rtol=0, atol=1e-15)
    assert torch.allclose(*gradients, rtol=0, atol=1e-14)


@pytest.mark.parametrize("attend", PROGRAMS.values(), ids=PROGRAMS)
def test_a_rival_program_is_attention(attend):
    inputs, u = drawn(3, 2, 70, 8), drawn(2, 70, 8)
    found = []
    for one in (backward.keeping_weights, attend):
        leaves = [x.clone().requires_grad_() for x in inputs]
        output = one(*leaves)
        found.append([output, *torch.autograd.grad(output, leaves, u)])
    for expected, other in zip(*found, strict=True):
        assert torch.allclose(expected, other, rtol=0, atol=1e-13)


@pytest.mark.parametrize(
    "run",
    [
        backward.checkpointed,
        backward.checkpointed_attention,
        backward.stopping_early,
        backward.keeping_attention,
        partial(backward.square_for_a_moment, dtype=torch.bool),
    ],
)
def test_a_checkpointed_layer_is_the_same_layer(run):
    layer, x = backward.encoder_layer(16, 2, 32).double(), drawn(1, 20, 16)
    found = []
    for one in (backward.keeping_all, run):
        leaf = x.clone().requires_grad_()
        output = one(layer, leaf)
        gradients = torch.autograd.grad(output.square().sum(), [leaf, *layer.parameters()])
        found.append([output, *gradients])
    for expected, other in zip(*found, strict=True):
        assert torch.allclose(expected, other, rtol=0, atol=1e-12)


def test_jacrev_and_vjp_agree():
    scores, u = drawn(2, 9, 9)
    ways = (backward.through_jacobians, backward.by_products_with_vectors)
    assert torch.allclose(*(way(scores, u) for way in ways), rtol=0, atol=1e-14)


# --- what is true by construction, counted once ----------------------------------------------


def products(attend, n, d):
    q, k, v = (torch.empty(2, n, d, device="meta", requires_grad=True) for _ in range(3))
    with FlopCounterMode(display=False) as forward:
        output = attend(q, k, v)
    with FlopCounterMode(display=False) as back:
        output.backward(torch.empty_like(output))
    return forward.get_total_flops() / 2, back.get_total_flops() / 2


@pytest.mark.parametrize(("n", "d"), [(16, 8), (97, 60), (1024, 128)])
def test_products_take_what_the_formulas_say(n, d):
    """Of the products alone the ratios are exactly 2 and 2.5."""
    forward, back = products(backward.keeping_weights, n, d)
    assert (forward, back) == (FORWARD(n=n, d=d), BACKWARD(n=n, d=d))
    forward, back = products(online_softmax.attend, n, d)
    assert (forward, back) == (FORWARD(n=n, d=d), RECOMPUTED(n=n, d=d))


@pytest.mark.parametrize("n", [16, 97])
def test_products_with_jacobians_take_two_operations_an_entry(n):
    jacobians, u = torch.empty(n, n, n, device="meta"), torch.empty(n, n, 1, device="meta")
    with FlopCounterMode(display=False) as counter:
        jacobians @ u
    assert counter.get_total_flops() == 2 * n**3


class Counting(np.ndarray):
    """An array that counts one operation for each number it makes, and two for a multiply-add."""

    operations = 0

    def __array_ufunc__(self, ufunc, method, *inputs, **kwargs):
        plain = [np.asarray(x) for x in inputs]
        result = getattr(ufunc, method)(*plain, **kwargs)
        each = 2 * plain[0].shape[-1] if ufunc is np.matmul else 1
        Counting.operations += each * result.size
        return result.view(Counting)


@pytest.mark.parametrize("n", [4, 11])
def test_the_pages_program_takes_five_operations_an_entry(n):
    """The page said 3n³ of a program that takes 5n³."""
    source = PAGE.read_text(encoding="utf-8")
    (cell,) = re.findall(r"```\{code-cell\}[^`]*?(def softmax_back[^`]*)```", source)
    page = {"np": np}
    exec(cell, page)
    p, u = np.random.default_rng(0).random((2, n, n))
    Counting.operations = 0
    result = page["through_jacobians"](p.view(Counting), u.view(Counting))
    assert Counting.operations == JACOBIANS(n=n)
    assert np.allclose(result, page["softmax_back"](p, u))


# --- what is kept ------------------------------------------------------------------------------


def test_a_storage_is_kept_once_and_parameters_are_not():
    """A view counted as much as its storage again, or a weight as an activation."""
    weight = torch.zeros(4, 4, requires_grad=True)
    x = torch.zeros(3, 4, requires_grad=True)
    with Kept([weight]) as kept:
        y = x @ weight
        (y * y[:]).sum()
    assert kept.numbers == x.numel() + y.numel()


def test_dropout_keeps_a_mask_and_a_copy_of_the_weights():
    """Three numbers a pair and head, of which a GPU stores the mask in a byte: 2 + 1 + 2 = 5."""
    d_model, h, f = 16, 4, 64
    size = partial(
        backward.kept, d_model=d_model, h=h, f=f, kernel=WRITTEN_OUT, run=backward.keeping_all
    )
    first, second, third = (size(n, dropout=0.1) for n in (32, 64, 96))
    assert third - 2 * second + first == 3 * h * 2 * 32**2


def test_both_places_of_the_norm_keep_the_same():
    """The page speaks of the classic layer, and most models put their norms first."""
    layer = nn.TransformerEncoderLayer(
        32, 4, 128, dropout=0, activation="gelu", batch_first=True, norm_first=True
    )
    with sdpa_kernel(IN_TILES), Kept(layer.parameters()) as kept:
        layer(torch.zeros(1, 64, 32, requires_grad=True))
    assert kept.numbers == LINEAR_KEPT(b=1, n=64, d_model=32, h=4, f=128)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize(
    ("d_model", "h", "g", "f"), [(64, 4, 2, 96), (96, 6, 6, 224), (128, 4, 1, 448)]
)
def test_a_gated_layer_of_others_keeps_what_the_formula_says(d_model, h, g, f, dtype):
    """The page gave the classic layer's number for the layers that people train.

    Besides the formula: angles, the scale of each norm, a logarithm for each row and head, and in
    16 bits the norms' inputs in 32.
    """
    models = pytest.importorskip("transformers.models.llama.modeling_llama")
    config = models.LlamaConfig(
        hidden_size=d_model,
        num_attention_heads=h,
        num_key_value_heads=g,
        intermediate_size=f,
        attn_implementation="sdpa",
    )
    layer, n, d = models.LlamaDecoderLayer(config, 0).to(dtype), 24, d_model // h
    x, angles = torch.zeros(1, n, d_model, dtype=dtype), torch.zeros(2, 1, n, d, dtype=dtype)
    with sdpa_kernel(IN_TILES), Kept(layer.parameters()) as kept:
        layer(x.requires_grad_(), position_embeddings=(angles[0].clone(), angles[1].clone()))
    size = sum(saved.untyped_storage().nbytes() for saved in kept.saved.values())
    small = n * (2 * d * dtype.itemsize + 4 * (2 + h))
    copies = 0 if dtype == torch.float32 else 2 * n * d_model * dtype.itemsize
    expected = GATED_KEPT(b=dtype.itemsize, n=n, d_model=d_model, g=g, d=d, f=f)
    assert size == expected + small + copies


# --- what a training step costs ----------------------------------------------------------------

# The rows of the page's table for a whole layer: forward passes of all but attention, of attention.
ROWS = {
    "kept": (WRITTEN_OUT, backward.keeping_all, 3, 3),
    "scores recomputed": (IN_TILES, backward.keeping_all, 3, 3.5),
    "layer recomputed": (WRITTEN_OUT, backward.checkpointed, 4, 4),
    "layer recomputed, in tiles": (IN_TILES, backward.checkpointed, 4, 4.5),
    "all but attention": (IN_TILES, backward.keeping_attention, 4, 3.5),
    "weights frozen": (IN_TILES, backward.frozen, 2, 3.5),
    "weights frozen, all kept": (WRITTEN_OUT, backward.frozen, 2, 3),
}


@pytest.mark.parametrize("n", [16, 97, 1024])
@pytest.mark.parametrize(("kernel", "run", "rest", "attention"), ROWS.values(), ids=ROWS)
def test_a_row_of_the_table_is_what_pytorch_counts(kernel, run, rest, attention, n):
    """The table charged everybody for a second forward pass of attention."""
    forward, both, _ = backward.training_step(n, kernel=kernel, run=run)
    pairs = 4 * FORWARD(n=n, d=16)
    assert both == rest * (forward - pairs) + attention * pairs


@pytest.mark.parametrize("n", [64, 256, 1024])
def test_early_stopping_saves_the_last_matrix_of_a_pre_norm_layer_alone(n):
    """The page names both conditions under which a checkpoint costs a whole forward pass."""
    forward, *_ = backward.training_step(n, kernel=WRITTEN_OUT, run=backward.keeping_all)
    last = 2 * n * 256 * 64
    for norm_first, saved in ((False, 0), (True, last / forward)):
        passes = backward.forward_passes(
            backward.stopping_early, n, WRITTEN_OUT, norm_first=norm_first
        )
        assert passes == pytest.approx(4 - saved, rel=1e-12)


@pytest.mark.parametrize(("n", "d_model", "h"), [(64, 32, 4), (97, 48, 2)])
def test_what_is_kept_of_attention_is_its_output_and_a_logarithm_a_row(n, d_model, h):
    """The page said "one more number for each entry of the input"."""
    layer, held = backward.encoder_layer(d_model, h, 2 * d_model), []
    for run in (backward.checkpointed, backward.keeping_attention):
        x = torch.zeros(1, n, d_model, requires_grad=True)
        with sdpa_kernel(IN_TILES), PeakMemory() as memory:
            output = run(layer, x)  # noqa: F841 - it holds on to what was kept
            held.append(memory.now)
    assert held[1] - held[0] == 4 * n * (d_model + h)


def test_the_solution_of_the_exercise_is_right():
    """An answer of the page was computed by hand."""
    rest = REST_KEPT(b=1, n=1, d_model=4096, f=4 * 4096)
    assert rest == 65_536
    numbers = 40e9 / 2 / 32
    n = max(np.roots([32, rest, -numbers]).real)
    assert (round(n, -2), round((numbers / 32) ** 0.5, -2)) == (3500, 4400)
    assert round(numbers / rest, -2) == 9500
    assert round(20e9 / (32 * 4096 + rest), -2) == 101_700
    assert round(20e9 / (32 * 2 * 4096 + rest), -3) == 61_000
