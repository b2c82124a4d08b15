"""Attention under a pattern in one fused kernel, on a GPU: PyTorch's ``flex_attention``.

A loop over tiles, which is what a CPU likes, would keep a GPU waiting for Python.  The kernel is
compiled once for all patterns of a kind; it skips the blocks of a ``BlockMask`` that nobody sees
and asks, within those that only some see, a function of positions: who sees whom.

Source: :cite:t:`dong2025flex`.
"""

import functools
import importlib.util
import math
from collections.abc import Callable

import torch
from torch.nn.attention.flex_attention import BlockMask, flex_attention

from attention_limits.attention.packed import Spans, pairs_of

SIZE = 128  # queries and keys per block of the kernel
WIDTHS = range(16, 257)  # of heads, that the kernel takes
KINDS = 64  # so many kernels may be compiled, for dtypes, widths, patterns, with gradients and not


def takes(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, mask: torch.Tensor | None) -> bool:
    """Whether the kernel takes the call."""
    return (
        q.is_cuda
        and importlib.util.find_spec("triton") is not None  # what the kernel is compiled by
        and mask is None
        and q.dtype != torch.float64
        and q.shape[-2] == k.shape[-2]
        and q.shape[-1] in WIDTHS
        and v.shape[-1] in WIDTHS
        and min(q.numel(), k.numel()) > 0
    )


def attend(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    pattern: BlockMask,
    *,
    scale: float,
    spans: Spans = None,
) -> torch.Tensor:
    """Attention under a pattern; a query that sees nothing gets 0.

    With ``spans``, each of these sequences sees itself alone, and what is in none is padding.
    """
    if spans is not None:
        pattern, real = _within(pattern, spans, q.shape[-2], q.device)
        # The kernel takes whole blocks of keys, and 0 · NaN would be NaN.
        q, k, v = (torch.where(real[:, None], x, 0) for x in (q, k, v))
    q = q.to(v.dtype)
    lead = torch.broadcast_shapes(*(x.shape[:-2] for x in (q, k, v)))
    batch, heads = math.prod(lead[:-1]), math.prod(lead[-1:])
    q, k, v = (
        x.expand(*lead, *x.shape[-2:]).reshape(batch, heads, *x.shape[-2:]) for x in (q, k, v)
    )
    # Beyond the limit PyTorch would fall back, quietly, on a computation that holds the square.
    with torch._dynamo.config.patch(recompile_limit=KINDS):
        out = _kernel()(q, k, v, block_mask=pattern, scale=scale)
    return out.reshape(*lead, *out.shape[-2:])


def _within(
    pattern: BlockMask, spans: list[int], n: int, device: torch.device
) -> tuple[BlockMask, torch.Tensor]:
    """The part of a pattern within sequences, and which tokens are in one."""
    number = torch.full((n,), -1)
    for one, (start, stop) in enumerate(pairs_of(spans)):
        number[start:stop] = one
    number = number.to(device)
    real = number >= 0

    def sees(batch, head, i, j):
        same = (number[i] == number[j]) & real[i]
        return pattern.mask_mod(batch, head, i, j) & same

    return block_mask(sees, n, device), real


def block_mask(
    sees: Callable[..., torch.Tensor], n: int, device: torch.device, *, size: int = SIZE
) -> BlockMask:
    """The blocks of an (n, n) pattern that somebody sees, and those in which all see all.

    Found strip by strip: PyTorch's ``create_block_mask`` holds the whole square.

    Args:
        sees: from batch, head, query and key, all indices, to booleans; what it holds besides
            should be tensors, for a number would be compiled into the kernel.
        n: how many queries and keys.
        device: where the pattern is wanted.
        size: queries and keys per block.
    """
    position = torch.arange(-(-n // size) * size, device=device)
    inside, position = position < n, position.clamp(max=n - 1)
    some, every = [], []
    for i, real in zip(position.split(size), inside.split(size), strict=True):
        strip = sees(0, 0, i[:, None], position) & real[:, None] & inside
        blocks = strip.unflatten(-1, (-1, size))
        some.append(blocks.any(-1).any(0))
        every.append(blocks.all(-1).all(0))
    touched, filled = torch.stack(some), torch.stack(every)
    lists = [_listed(touched & ~filled), _listed(filled)]
    return BlockMask.from_kv_blocks(
        *lists[0], *lists[1], BLOCK_SIZE=size, mask_mod=sees, seq_lengths=(n, n)
    )


def _listed(blocks: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """For each row how many are true, and their columns first; one batch, one head."""
    columns = blocks.int().argsort(dim=-1, descending=True, stable=True)
    return blocks.sum(-1).int()[None, None], columns.int()[None, None]


@functools.cache
def _kernel() -> Callable[..., torch.Tensor]:
    return torch.compile(flex_attention, fullgraph=True)
