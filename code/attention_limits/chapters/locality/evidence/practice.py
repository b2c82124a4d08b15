"""Evidence on what practice does: what caches hold, what a stem sees, what one layer connects."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import nn

from attention_limits.attention import dense, sliding_window
from attention_limits.chapters.locality.derivations import practice as derivations
from attention_limits.chapters.locality.derivations import reach as reaches
from attention_limits.chapters.locality.evidence import reach
from attention_limits.evidence import Evidence, evidence

Pair = tuple[torch.Tensor, torch.Tensor]  # keys and values
Step = Callable[..., tuple[torch.Tensor, Any]]  # of a stream: state, q, k, v

WINDOW = 16  # tokens
LAYERS, EVERY = 6, 6  # the last of so many is global
WIDTH = 8  # of the head
PROMPT, MORE = 200, 4  # tokens read at once, and one by one

windowed = partial(sliding_window.step, window=WINDOW)


# --- what a stream keeps ------------------------------------------------------------------------


def masked(
    state: Pair | None, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor
) -> tuple[torch.Tensor, Pair]:
    """A window that is only a mask: the right output, over a cache of all tokens."""
    if state is not None:
        k, v = torch.cat([state[0], k], -2), torch.cat([state[1], v], -2)
    return sliding_window.attend(q, k, v, window=WINDOW, causal=True), (k, v)


def viewed(
    state: Pair | None, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor
) -> tuple[torch.Tensor, Pair]:
    """The last keys and values only, as a view, which keeps the whole prompt alive."""
    out, (k, v) = masked(state, q, k, v)
    return out, (k[..., 1 - WINDOW :, :], v[..., 1 - WINDOW :, :])


def streamed(step: Step, tokens: Sequence[int]) -> tuple[torch.Tensor, Any]:
    """The last outputs of a layer that reads so many tokens at a time, and what it keeps."""
    generator = torch.Generator().manual_seed(0)
    state, out = None, torch.empty(0)
    for new in tokens:
        # One by one: parts of one tensor would share its memory, and any would keep all of it.
        q, k, v = (torch.randn(new, WIDTH, generator=generator) for _ in range(3))
        out, state = step(state, q, k, v)
    return out, state


def kept(state: Pair) -> int:
    """Bytes of memory behind keys and values."""
    storages = (tensor.untyped_storage() for tensor in state)
    return sum({storage.data_ptr(): storage.nbytes() for storage in storages}.values())


@evidence(
    rivals={
        "windows that are only masks": dict(local=masked),
        "windows that are views of the prompt": dict(local=viewed),
    }
)
def windows_free_their_cache(local: Step = windowed) -> Evidence:
    """Bytes that a stack keeps, over the derived ones, after a prompt and some tokens later."""
    steps = [dense.step if layer % EVERY == EVERY - 1 else local for layer in range(LAYERS)]
    ratios = []
    for more in (0, MORE):
        held = sum(kept(streamed(step, [PROMPT] + [1] * more)[1]) for step in steps)
        sizes = dict(n=PROMPT + more, d=WIDTH, b=4, layers=LAYERS, full=LAYERS // EVERY, w=WINDOW)
        ratios.append(held / derivations.CACHE(**sizes))
    return Evidence(
        value=reach.furthest(ratios),
        expected=1,
        tolerance=0,
        unit="× the formula",
        how=f"memory that PyTorch holds for keys and values, {LAYERS} layers, one of them global, "
        f"windows of {WINDOW}, after a prompt of {PROMPT} tokens and {MORE} tokens later",
    )


# --- what one layer connects --------------------------------------------------------------------

DEPTH = 4
TOKENS = 12 * reach.WINDOW


def everywhere() -> reach.Layer:
    """PyTorch's multi-head attention over all tokens."""
    attention = nn.MultiheadAttention(reach.CHANNELS, 4, batch_first=True)
    return lambda x: attention(x, x, x, need_weights=False)[0]


def connected(place: int) -> list[reach.Layer]:
    """Blocks that are never shifted, but for one global layer in their place."""
    layers = reach.unshifted(DEPTH)
    layers[place] = everywhere()
    return layers


def _without(place: int) -> list[reach.Layer]:
    """The same blocks, none of them global."""
    return reach.unshifted(DEPTH)


def _shifted(place: int) -> list[reach.Layer]:
    """Blocks that are shifted by half in every second layer, none of them global."""
    return reach.blocks(DEPTH)


@evidence(
    rivals={
        "no global layer": dict(stack=_without),
        "shifts in place of a global layer": dict(stack=_shifted),
    }
)
def one_global_layer_connects_all(
    stack: Callable[[int], Sequence[reach.Layer]] = connected,
) -> Evidence:
    """The share of inputs that an output owes anything to, wherever the global layer stands."""
    reached = [
        (reach.influence(stack(place), TOKENS, TOKENS // 2 + 2) > 0).mean()
        for place in range(DEPTH)
    ]
    return Evidence(
        value=float(min(reached)),
        expected=1,
        tolerance=0,
        unit="of all tokens",
        how=f"inputs with a gradient, {DEPTH} layers, one of them global, the others in blocks of "
        f"{reach.WINDOW} that are never shifted; the least of {DEPTH} places for the global one",
    )


# --- what a stem sees ---------------------------------------------------------------------------

STRIDES = (2, 2, 2, 2)
PATCH = 16  # pixels, the product of the strides
HIDDEN = 8  # channels


def stem(strides: Sequence[int] = STRIDES) -> nn.Module:
    """Convolutions of three by three with these strides, in place of patches."""
    sides = [3, *[HIDDEN] * len(strides)]
    return nn.Sequential(
        *(
            nn.Conv2d(before, after, 3, stride, padding=1)
            for before, after, stride in zip(sides, sides[1:], strides, strict=False)
        )
    )


def patches() -> nn.Module:
    """What a plain ViT has: one convolution that is as wide as its stride."""
    return nn.Conv2d(3, HIDDEN, PATCH, PATCH)


def late_stride() -> nn.Module:
    """The same convolutions, all of the stride in the last."""
    return stem((1, 1, 1, PATCH))


def seen(make: Callable[[], nn.Module]) -> int:
    """How many pixels along a side the token in the middle of an image depends on."""
    image = torch.randn(1, 3, 8 * PATCH, 8 * PATCH, requires_grad=True)
    tokens = make()(image)
    if tokens.shape[-2:] != (8, 8):
        raise ValueError(
            f"make must give a token for each {PATCH} pixels, got {tuple(tokens.shape)}"
        )
    tokens[0, :, 4, 4].sum().backward()
    assert image.grad is not None
    return int((image.grad[0].abs().sum((0, 1)) > 0).sum())


@evidence(
    rivals={
        "patches that do not overlap": dict(make=patches),
        "a stride in the last convolution alone": dict(make=late_stride),
    }
)
def a_stem_makes_patches_overlap(make: Callable[[], nn.Module] = stem) -> Evidence:
    """Pixels along a side that a token depends on, over the derived field."""
    return Evidence(
        value=seen(make) / reaches.DILATED_FIELD(layers=len(STRIDES), taps=3),
        expected=1,
        tolerance=0,
        unit="× the formula",
        how=f"pixels with a gradient, {len(STRIDES)} of PyTorch's Conv2d of three by three with a "
        f"stride of 2, a token for each {PATCH} pixels",
    )
