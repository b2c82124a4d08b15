"""The evidence on costs: layers of others, and rivals that are right but for the cost."""

import pytest
import torch
from helpers.chapter_parts import assert_all_found, assert_holds_by_no_accident, pieces_in
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from attention_limits.chapters.locality.derivations import costs as derivations
from attention_limits.chapters.locality.evidence import costs as evidence

PIECES = pieces_in(evidence)


def test_all_pieces_are_found():
    """One that a claim names was not among those that are tried below."""
    assert_all_found(PIECES, "costs")


@pytest.mark.parametrize("piece", PIECES, ids=lambda piece: piece.__name__)
def test_it_holds_and_is_no_accident(piece):
    """A second run found another number; or a bound is so wide that nothing would cross it."""
    assert_holds_by_no_accident(piece)


def filled(layer, value=0.01):
    for weight in layer.parameters():
        torch.nn.init.normal_(weight, std=value, generator=torch.Generator().manual_seed(0))
    return layer


def test_the_local_layer_that_shares_nothing_is_a_convolution_if_all_its_kernels_agree():
    """A rival that is not local is refused for another reason than its parameters."""
    d, side = 3, 5
    convolution = filled(evidence.convolution(d, side))
    unshared = evidence.Unshared(d, side)
    kernel = convolution.weight.flatten(1).mT
    unshared.kernels.data = kernel.expand(side * side, -1, -1).clone()
    x = torch.randn(1, d, side, side)
    torch.testing.assert_close(unshared(x), convolution(x))


@pytest.mark.parametrize(("make", "parts"), [(evidence.Windowed, 4), (evidence.Quarters, 4)])
def test_windows_see_their_own_pixels(make, parts):
    """Windows were stripes, or of pixels that do not lie together."""
    d, side = 4, 2 * evidence.WINDOW
    layer = filled(make(d, side))
    x = torch.randn(1, d, side, side)
    found = layer(x)
    assert len(found) == parts
    corner = x[..., : evidence.WINDOW, : evidence.WINDOW]
    torch.testing.assert_close(found[:1], evidence.Attention.forward(layer, corner))


def flops(layer, *inputs):
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        layer(*inputs)
    return counter.get_total_flops()


def test_a_vision_transformer_of_others_costs_what_was_derived():
    """Formulas that fit PyTorch's layer only, which knows nothing of images."""
    vit = pytest.importorskip("transformers.models.vit.modeling_vit")
    config = vit.ViTConfig(hidden_size=96, num_attention_heads=4, attn_implementation="eager")
    with torch.device("meta"):
        layer = vit.ViTAttention(config)
        x = torch.empty(1, 14**2, 96)
    assert flops(layer, x) == derivations.GLOBAL(n=14**2, d=96)
    matrices = sum(weight.numel() for weight in layer.parameters() if weight.dim() == 2)
    assert matrices == derivations.ATTENTION_WEIGHTS(d=96)


@pytest.mark.parametrize("shift", [0, 3])
def test_shifted_windows_of_others_cost_what_was_derived(shift):
    """A shift cost something, or windows grew with the image."""
    swin = pytest.importorskip("transformers.models.swin.modeling_swin")
    config = swin.SwinConfig(embed_dim=64, window_size=7)
    with torch.device("meta"):
        layer = swin.SwinLayer(config, 64, (56, 56), 4, shift_size=shift)
        x = torch.empty(1, 56**2, 64)
    mlp = 2 * 2 * 56**2 * 64 * 4 * 64
    attention = derivations.WINDOWED(n=56**2, d=64, window=49)
    assert flops(layer, x, (56, 56)) == attention + mlp


@pytest.mark.parametrize("stride", [1, 2, 4])
def test_strides_cost_what_was_derived(stride):
    """The formula of the page that no piece of evidence uses."""
    with torch.device("meta"):
        layer = torch.nn.Conv2d(32, 32, 3, padding=1, stride=stride, bias=False)
        x = torch.empty(1, 32, 28, 28)
    assert flops(layer, x) == derivations.STRIDED(n=28**2, d=32, taps=3, stride=stride)


def test_separable_convolutions_cost_what_was_derived():
    """The same, of the table."""
    found = evidence.flops(evidence.separable, 64, 28)
    assert found == derivations.SEPARABLE(n=28**2, d=64, taps=3)
    weights = evidence.parameters(evidence.separable, 64, 28)
    assert weights == derivations.SEPARABLE_WEIGHTS(d=64, taps=3)
    assert evidence.parameters(evidence.Unshared, 4, 6) == derivations.UNSHARED_WEIGHTS(
        n=36, d=4, taps=3
    )


def test_tokens_are_patches():
    """Of an image of 224 pixels in patches of 16, as of ViT-B/16: its 197th is no patch."""
    assert derivations.TOKENS(H=224, patch=16, frames=1) == 196
    assert derivations.SCORES(h=12, n=196, b=2) == 12 * 196**2 * 2
