"""Recurrent and convolutional networks, against PyTorch's own and against the baselines."""

import pytest
import torch
from helpers.small_models import CASES, SEEDS, built, sequences, small
from torch.nn import functional

from attention_limits.baselines import convolution, recurrent

RECURRENT = ("rnn", "gru", "lstm")


def of(model, number):
    """One of the models side by side: its weights by name, which take gradients of their own."""
    return {name: x.detach()[number].requires_grad_() for name, x in model.named_parameters()}


def assert_alike(model, number, logits, expected, weights):
    """Logits, and the gradients of something that depends on each of them."""
    torch.testing.assert_close(logits, expected, atol=1e-11, rtol=1e-11)
    actual = torch.autograd.grad(logits.square().sum(), list(model.parameters()), retain_graph=True)
    slopes = torch.autograd.grad(expected.square().sum(), list(weights.values()))
    for name, one, other in zip(weights, actual, slopes, strict=True):
        torch.testing.assert_close(one[number], other, atol=1e-9, rtol=1e-9, msg=name)


@pytest.mark.parametrize("kind", RECURRENT)
def test_recurrent_networks_are_pytorchs(kind):
    model = built(CASES[kind])
    tokens, _ = sequences(CASES[kind])
    logits = model(tokens)
    for number in range(len(SEEDS)):
        weights = of(model, number)
        peer = getattr(torch.nn, kind.upper())(8, 8, num_layers=2, batch_first=True).double()
        theirs = {
            f"{theirs}_l{layer}": weights[f"{ours}.{layer}.{part}"].reshape(shape)
            for layer in range(2)
            for ours, end in (("inward", "ih"), ("back", "hh"))
            for part, theirs, shape in (
                ("weight", f"weight_{end}", (-1, 8)),
                ("bias", f"bias_{end}", (-1,)),
            )
        }
        x = functional.embedding(tokens[number], weights["embedding.table"])
        states, _ = torch.func.functional_call(peer, theirs, x)
        expected = functional.linear(states, weights["head.weight"], weights["head.bias"][0])
        assert_alike(model, number, logits[number], expected, weights)


def test_the_plain_one_is_the_baseline():
    model = built(CASES["rnn"])
    tokens, _ = sequences(CASES["rnn"])
    logits = model(tokens)
    for number in range(len(SEEDS)):
        weights = of(model, number)
        x = weights["embedding.table"][tokens[number]]
        for layer in range(2):
            inward, back = f"inward.{layer}", f"back.{layer}"
            bias = (weights[f"{inward}.bias"] + weights[f"{back}.bias"])[0]
            x = recurrent.apply(x, weights[f"{inward}.weight"], weights[f"{back}.weight"], bias)
        expected = x @ weights["head.weight"].T + weights["head.bias"]
        assert_alike(model, number, logits[number], expected, weights)


CONVOLUTIONS = {
    "causal": {"layers": 3},
    "causal and even": {"width": 2},
    "not causal": {"causal": False, "layers": 3},
    "of width one": {"width": 1},
    "wider than the sequence": {"width": 15, "causal": False},
}


@pytest.mark.parametrize("fields", CONVOLUTIONS.values(), ids=CONVOLUTIONS)
def test_convolutions_are_the_baseline(fields):
    architecture = small(kind="convolution", **fields)
    model, (tokens, _) = built(architecture), sequences(architecture)
    logits, causal = model(tokens), architecture.causal
    for number in range(len(SEEDS)):
        weights = of(model, number)

        def normed(x, name, weights=weights):
            gain, shift = (weights[f"{name}.{part}"].flatten() for part in ("gain", "shift"))
            return functional.layer_norm(x, gain.shape, gain, shift)

        x = weights["embedding.table"][tokens[number]]
        for level in range(architecture.layers):
            # One row of all that a token sees, the oldest first; of the baseline's, it is the last.
            rows = weights[f"kernels.{level}.weight"].unflatten(-1, (architecture.width, -1))
            kernel, bias = rows.movedim(1, 0).flip(0), weights[f"kernels.{level}.bias"][0]
            y = normed(x, f"norms.{level}")
            x = x + convolution.apply(y, kernel, bias, causal=causal, dilation=2**level).relu()
        expected = functional.linear(
            normed(x, "norm"), weights["head.weight"], weights["head.bias"][0]
        )
        assert_alike(model, number, logits[number], expected, weights)


def test_a_convolution_sees_as_far_as_its_kernels_reach():
    """Three layers of width 3 and dilations 1, 2, 4: 1 + 2 (1 + 2 + 4) tokens."""
    architecture = small(kind="convolution", layers=3)
    model, (tokens, _) = built(architecture), sequences(architecture, n=20)
    before = model(tokens)
    tokens[..., 0] = (tokens[..., 0] + 1) % 5
    difference = (model(tokens) - before).abs().amax((0, 1, 3))
    assert convolution.receptive_field(3, [1, 2, 4]) == 15
    assert difference[14] > 1e-6
    assert not difference[15:].any()
