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
    JACOBIANS,
    LINE_KEPT,
    RECOMPUTED,
    REST_KEPT,
)
from attention_limits.chapters.quadratic_cost.evidence import backward
from attention_limits.chapters.quadratic_cost.evidence.backward import IN_TILES, WRITTEN_OUT, Kept

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
    assert kept.numbers == LINE_KEPT(b=1, n=64, d_model=32, h=4, f=128)


def test_the_solution_of_the_exercise_is_right():
    """An answer of the page was computed by hand."""
    rest = REST_KEPT(b=1, n=1, d_model=4096, f=4 * 4096)
    assert rest == 65_536
    numbers = 40e9 / 2 / 32
    n = max(np.roots([32, rest, -numbers]).real)
    assert (round(n, -2), round((numbers / 32) ** 0.5, -2)) == (3500, 4400)
    assert round(numbers / rest, -2) == 9500
    assert round(20e9 / (32 * 4096 + rest), -2) == 101_700
