"""What this package is compared with: PyTorch's own kernels, two libraries, and plain algorithms.

Each function takes the sizes and a length and returns the computation, so that masks, which a
model would make once, are made outside the clock. Plain algorithms are those of the papers, without
what this package adds to them, and do avoid one known trap: they split a tensor once and never
slice it in a loop, which would make the backward pass quadratic.
"""

import functools
import importlib.util
import math
import shutil
from collections.abc import Callable

import numpy as np
import torch
from torch.nn.functional import elu, normalize, pad, scaled_dot_product_attention

from attention_limits.experiments.speed.sizes import Sizes

COMPILER = "a C++ compiler"
PACKAGES = {"local-attention": "local_attention", "transformers": "transformers"}  # as imported
FLEX_BLOCK = 128  # queries and keys of a block of flex_attention, its own default
CHUNK = 64  # tokens of a chunk of the plain algorithms

Attend = Callable[..., torch.Tensor]


def is_here(need: str) -> bool:
    """Whether a package can be imported, or a compiler called."""
    if need == COMPILER:
        return any(map(shutil.which, ("g++", "clang++", "c++")))
    return not need or importlib.util.find_spec(PACKAGES[need]) is not None


# --- PyTorch's own kernels ----------------------------------------------------------------------


def sdpa(sizes: Sizes, n: int, device: str) -> Attend:
    """Every earlier token."""
    return functools.partial(scaled_dot_product_attention, is_causal=True)


def everywhere(sizes: Sizes, n: int, device: str) -> Attend:
    """Every token of an image."""
    return scaled_dot_product_attention


def masked(visible: Callable[[Sizes, int], np.ndarray]) -> Callable[[Sizes, int, str], Attend]:
    """Dense attention under a mask of n² booleans, which hides what the pattern leaves out."""

    def prepare(sizes: Sizes, n: int, device: str) -> Attend:
        mask = torch.from_numpy(visible(sizes, n)).to(device)
        return functools.partial(scaled_dot_product_attention, attn_mask=mask)

    return prepare


def flex_window(sizes: Sizes, n: int, device: str) -> Attend:
    """Compiled flex_attention, told which blocks the window touches and which it fills."""
    start = FLEX_BLOCK * np.arange(-(-n // FLEX_BLOCK))
    apart, reach = np.subtract.outer(start, start), FLEX_BLOCK - 1
    touched = (apart + reach >= 0) & (apart - reach < sizes.window)
    filled = (apart - reach >= 0) & (apart + reach < sizes.window)

    def sees(b, h, i, j):
        return (i >= j) & (i - j < sizes.window)

    return _flex(touched & ~filled, filled, sees, n, FLEX_BLOCK, device)


def flex_blocks(sizes: Sizes, n: int, device: str) -> Attend:
    """Compiled flex_attention on the layout's blocks; only those on the diagonal need a mask."""
    layout = sizes.layout(n)
    diagonal = layout & np.eye(len(layout), dtype=bool)
    below = layout & np.tri(len(layout), k=-1, dtype=bool)
    return _flex(diagonal, below, lambda b, h, i, j: i >= j, n, sizes.block, device)


def _flex(touched, filled, sees, n: int, block: int, device: str) -> Attend:
    from torch.nn.attention.flex_attention import BlockMask, flex_attention

    def listed(blocks: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        """How many blocks each row has, and which: those first."""
        chosen = torch.from_numpy(blocks)[None, None].to(device)
        order = torch.argsort(~chosen, dim=-1, stable=True)
        return chosen.sum(-1, dtype=torch.int32), order.to(torch.int32)

    mask = BlockMask.from_kv_blocks(
        *listed(touched), *listed(filled), BLOCK_SIZE=block, mask_mod=sees, seq_lengths=(n, n)
    )
    torch.compiler.reset()  # else a new length is compiled for any length, into slower code
    compiled = torch.compile(flex_attention, dynamic=False)
    return lambda q, k, v: compiled(q, k, v, block_mask=mask)


# --- libraries ----------------------------------------------------------------------------------


def local_attention(sizes: Sizes, n: int, device: str) -> Attend:
    """Of local-attention, without rotary embedding; it sees window + 1 keys."""
    from local_attention import LocalAttention

    return LocalAttention(
        window_size=sizes.window,
        causal=True,
        exact_windowsize=True,
        use_rotary_pos_emb=False,
    ).to(device)


def longformer(sizes: Sizes, n: int, device: str) -> Attend:
    """The sliding chunks of transformers' Longformer; it sees ``window`` keys on either side."""
    from transformers import LongformerConfig
    from transformers.models.longformer.modeling_longformer import LongformerSelfAttention

    layer = LongformerSelfAttention(
        LongformerConfig(
            hidden_size=sizes.heads * sizes.d,
            num_attention_heads=sizes.heads,
            attention_window=[2 * sizes.window],
        ),
        layer_id=0,
    )

    def attend(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        q, k, v = (x.transpose(1, 2) for x in (q / q.shape[-1] ** 0.5, k, v))  # (batch, n, h, d)
        scores = layer._sliding_chunks_query_key_matmul(q, k, sizes.window)
        weights = torch.softmax(scores, dim=-1)
        out = layer._sliding_chunks_matmul_attn_probs_value(weights, v, sizes.window)
        return out.transpose(1, 2)

    return attend


def swin(sizes: Sizes, n: int, device: str) -> Attend:
    """Shifted windows by the functions of transformers' Swin, without its table of offsets.

    Within windows it calls PyTorch's fused attention, as transformers does by default.
    """
    from transformers import SwinConfig
    from transformers.models.swin import modeling_swin

    side = math.isqrt(n)
    config = SwinConfig(window_size=sizes.side)
    width = sizes.heads * sizes.d
    layer = modeling_swin.SwinLayer(
        config, width, (side, side), sizes.heads, shift_size=sizes.side // 2
    )
    mask = layer.get_attn_mask(side, side, torch.float32, torch.device(device))
    assert mask is not None  # there is a shift

    def cut(x: torch.Tensor) -> torch.Tensor:
        image = x.transpose(1, 2).reshape(1, side, side, width)
        windows = modeling_swin.window_partition(layer.cyclic_shift(image), sizes.side)
        return windows.view(-1, sizes.side**2, sizes.heads, sizes.d).transpose(1, 2)

    def attend(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        out = scaled_dot_product_attention(cut(q), cut(k), cut(v), attn_mask=mask[:, None])
        windows = out.transpose(1, 2).reshape(-1, sizes.side, sizes.side, width)
        image = modeling_swin.window_reverse(windows, sizes.side, side, side)
        image = layer.cyclic_shift(image, reverse=True)
        return image.view(1, n, sizes.heads, sizes.d).transpose(1, 2)

    return attend


# --- plain algorithms ---------------------------------------------------------------------------


def gathered(sizes: Sizes, n: int, device: str) -> Attend:
    """Block-sparse attention: each row's blocks are gathered, then one call of SDPA has them all.

    Rows with fewer blocks than others are filled up with block 0, hidden.
    """
    layout, block = sizes.layout(n), sizes.block
    counts = layout.sum(-1)
    chosen = np.argsort(~layout, axis=-1, stable=True)[:, : counts.max()]
    there = np.arange(counts.max()) < counts[:, None]
    keys = (block * chosen[..., None] + np.arange(block)).reshape(len(layout), -1)
    queries = np.arange(n).reshape(len(layout), block)
    sees = np.repeat(there, block, axis=-1)[:, None, :] & (keys[:, None, :] <= queries[..., None])
    mask, blocks = torch.from_numpy(sees).to(device), torch.from_numpy(chosen).to(device)

    def attend(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        q, k, v = (x.unflatten(-2, (-1, block)) for x in (q, k, v))
        k, v = (x[..., blocks, :, :].flatten(-3, -2) for x in (k, v))
        return scaled_dot_product_attention(q, k, v, attn_mask=mask).flatten(-3, -2)

    return attend


def rolled(sizes: Sizes, n: int, device: str) -> Attend:
    """Shifted windows as published: turn the image in a ring, cut, mask what meets, turn back."""
    side, window, shift = math.isqrt(n), sizes.side, sizes.side // 2

    def cut(x: torch.Tensor) -> torch.Tensor:
        """(1, heads, n, d) → (windows, heads, tokens of a window, d)."""
        image = x[0].unflatten(1, (side, side)).roll((-shift, -shift), (1, 2))
        rows = image.unflatten(2, (-1, window)).unflatten(1, (-1, window))
        return rows.permute(1, 3, 0, 2, 4, 5).flatten(3, 4).flatten(0, 1)

    before = (torch.arange(side, device=device) < shift).float()
    region = cut((2 * before[:, None] + before).reshape(1, 1, n, 1))
    mask = region == region.mT

    def attend(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        out = scaled_dot_product_attention(cut(q), cut(k), cut(v), attn_mask=mask)
        rows = out.unflatten(2, (window, window)).unflatten(0, (side // window, -1))
        image = rows.permute(2, 0, 3, 1, 4, 5).flatten(3, 4).flatten(1, 2)
        return image.roll((shift, shift), (1, 2)).flatten(1, 2)[None]

    return attend


def linear_chunks(sizes: Sizes, n: int, device: str) -> Attend:
    """Linear attention in chunks, the state before each of them held in one tensor."""

    def attend(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        q, k, v = (x.unflatten(-2, (-1, CHUNK)) for x in _features(q, k, v))
        states = (k.mT @ v).cumsum(-3)
        before = pad(states[..., :-1, :, :], (0, 0, 0, 0, 1, 0))
        sums = ((q @ k.mT).tril() @ v + q @ before).flatten(-3, -2)
        return sums[..., :-1] / sums[..., -1:]

    return attend


def linear_loop(sizes: Sizes, n: int, device: str) -> Attend:
    """Linear attention as a loop over chunks, as one would write it down."""

    def attend(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        state: torch.Tensor | int = 0
        outputs: list[torch.Tensor] = []
        for chunk in zip(*(x.split(CHUNK, dim=-2) for x in (q, k, v)), strict=True):
            q, k, v = _features(*chunk)
            within = (q @ k.mT).tril() @ v
            sums = within + q @ state if outputs else within
            state = state + k.mT @ v
            outputs.append(sums[..., :-1] / sums[..., -1:])
        return torch.cat(outputs, dim=-2)

    return attend


def linear_tokens(sizes: Sizes, n: int, device: str) -> Attend:
    """Linear attention as a cumulative sum: the state after each token held in one tensor."""

    def attend(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        q, k, v = _features(q, k, v)
        states = (k[..., :, None] * v[..., None, :]).cumsum(-3)
        sums = (q[..., None, :] @ states).squeeze(-2)
        return sums[..., :-1] / sums[..., -1:]

    return attend


def _features(q, k, v) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """φ(q), φ(k) and v, with a column of ones for the normaliser."""
    return elu(q) + 1, elu(k) + 1, pad(v, (0, 1), value=1)


def decaying_chunks(sizes: Sizes, n: int, device: str) -> Attend:
    """Linear attention with a decay, in chunks, a loop handing the state from one to the next."""

    def attend(q: torch.Tensor, *tokens: torch.Tensor) -> torch.Tensor:
        state: torch.Tensor | int = 0
        outputs: list[torch.Tensor] = []
        every = (x.split(CHUNK, dim=-2) for x in (q / q.shape[-1] ** 0.5, *tokens))
        for q, k, v, log_decay in zip(*every, strict=True):
            total = log_decay.cumsum(-2)
            within = (q @ k.mT) * _decay_between(total)
            outputs.append(within @ v + (q * total.exp()) @ state if outputs else within @ v)
            last = total[..., -1:, :]
            state = state * last.exp() + (k * (last - total).exp()).mT @ v
        return torch.cat(outputs, dim=-2)

    return attend


def delta_chunks(sizes: Sizes, n: int, device: str) -> Attend:
    """The delta rule in chunks, each chunk's triangular system solved row by row."""

    def attend(q, k, v, beta) -> torch.Tensor:
        q, k = q / q.shape[-1] ** 0.5, normalize(k, dim=-1)
        q, k, v, beta = (x.unflatten(-2, (-1, CHUNK)) for x in (q, k, v, beta))
        inverse = _inverse(beta * (k @ k.mT))
        writes, erases = inverse @ (beta * v), inverse @ (beta * k)
        state, outputs = q.new_zeros(*q.shape[:-3], q.shape[-1], v.shape[-1]), []
        every = (x.unbind(-3) for x in (q, k, writes, erases))
        for q, k, write, erase in zip(*every, strict=True):
            fresh = write - erase @ state
            outputs.append(q @ state + (q @ k.mT).tril() @ fresh)
            state = state + k.mT @ fresh
        return torch.cat(outputs, dim=-2)

    return attend


def gated_delta_chunks(sizes: Sizes, n: int, device: str) -> Attend:
    """The same with a decay."""

    def attend(q, k, v, log_decay, beta) -> torch.Tensor:
        q, k = q / q.shape[-1] ** 0.5, normalize(k, dim=-1)
        q, k, v, total, beta = (x.unflatten(-2, (-1, CHUNK)) for x in (q, k, v, log_decay, beta))
        total = total.cumsum(-2)
        decay = _decay_between(total)
        inverse = _inverse(beta * (k @ k.mT) * decay)
        writes, erases = inverse @ (beta * v), inverse @ (beta * k * total.exp())
        state, outputs = q.new_zeros(*q.shape[:-3], q.shape[-1], v.shape[-1]), []
        every = (x.unbind(-3) for x in (q, k, decay, total, writes, erases))
        for q, k, decay, total, write, erase in zip(*every, strict=True):
            fresh = write - erase @ state
            outputs.append((q * total.exp()) @ state + ((q @ k.mT) * decay) @ fresh)
            last = total[..., -1:, :]
            state = state * last.exp() + (k * (last - total).exp()).mT @ fresh
        return torch.cat(outputs, dim=-2)

    return attend


def _inverse(square: torch.Tensor) -> torch.Tensor:
    """(1 + the part of a square below its diagonal)⁻¹, row by row: forward substitution."""
    rows = -square.tril(-1)
    for i in range(1, rows.shape[-1]):
        row, above = rows[..., i : i + 1, :i].clone(), rows[..., :i, :i].clone()
        rows[..., i : i + 1, :i] = row + row @ above
    return rows + torch.eye(rows.shape[-1], dtype=rows.dtype, device=rows.device)


def _decay_between(total: torch.Tensor) -> torch.Tensor:
    """What is left at row i of what was written at row j, from log decays summed up to each."""
    below = torch.ones(2 * (total.shape[-2],), dtype=torch.bool, device=total.device).tril()
    return (total - total.mT).masked_fill(~below, -torch.inf).exp()
