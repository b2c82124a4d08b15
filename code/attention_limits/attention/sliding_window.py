r"""Sliding-window attention: each query sees the ``window`` most recent keys, its own included.

.. math::

    o_i = \sum_{j \in W_i} \frac{e^{s_{ij}}}{\sum_{l \in W_i} e^{s_{il}}} \, v_j, \qquad
    s_{ij} = \frac{q_i \cdot k_j}{\sqrt{d}}

.. math::

    W_i = \{\, j : |i - j| < w \,\}
    \quad\text{or, if causal,}\quad
    W_i = \{\, j : 0 \le i - j < w \,\}

So w keys if causal, else 2w − 1, fewer at the ends.  With n_q ≠ n_k the last query sits at the
last key (bottom-right alignment): query i is at position i + n_k − n_q.  A ``mask`` takes keys out
of every W_i.  Where W_i is empty, o_i = 0.

Time and memory are linear in n: causal attention of n ≥ w tokens needs 4d (nw − w(w − 1)/2) FLOPs
where dense attention needs 2dn(n + 1), and a stream holds the last w − 1 keys and values only.
The price is reach.  One layer carries information w − 1 positions further, so information from a
token D positions back needs D/(w − 1) layers.

Use it where what matters is near, or in the layers between others that see far.

Source: :cite:t:`beltagy2020longformer`; an early form is in :cite:t:`child2019generating`.
Taught in: "Locality".
"""

import functools
from typing import NamedTuple

import numpy as np
import sympy as sp
import torch
from torch.nn.attention.flex_attention import BlockMask

from attention_limits import checks, symbols, tensors
from attention_limits.attention import dense, flex, packed, tiles
from attention_limits.attention.cost import Cost
from attention_limits.attention.packed import Segments
from attention_limits.attention.transforms import one_call
from attention_limits.formula import Formula

# What `help` shows, and first of all functions: states are looked up where they are returned.
__all__ = ["TILE", "attend", "cost", "define", "step", "visible"]

TILE = 64  # queries per tile: more of them see more keys that most of them must not


def visible(n: int, *, n_k: int | None = None, window: int, causal: bool = False) -> np.ndarray:
    """Who sees whom: (n, n_k) booleans, query i in rows, key j in columns; n_k = n if not given."""
    n_k = n if n_k is None else n_k
    n = checks.check_count("n", n)
    n_k = checks.check_count("n_k", n_k)
    window = checks.check_count("window", window, least=1)
    i, j = np.ogrid[n_k - n : n_k, :n_k]  # the queries are the last n of n_k positions
    return (i - j >= 0) & (i - j < window) if causal else abs(i - j) < window


def define(
    q: np.ndarray,
    k: np.ndarray,
    v: np.ndarray,
    *,
    window: int,
    causal: bool = False,
    mask: np.ndarray | None = None,
    scale: float | np.ndarray | None = None,
) -> np.ndarray:
    """The equation above, dense attention's on the keys of W_i; leading axes broadcast."""
    sees = visible(q.shape[-2], n_k=k.shape[-2], window=window, causal=causal)
    return dense.define(q, k, v, mask=sees if mask is None else sees & mask, scale=scale)


@tensors.own_precision
def attend(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    *,
    window: int,
    causal: bool = False,
    mask: torch.Tensor | None = None,
    scale: float | torch.Tensor | None = None,
    segments: Segments | None = None,
) -> torch.Tensor:
    """The same on (..., n, d) tensors, tile by tile, in time and memory linear in n.

    Differentiable twice.  Half precision is computed in float32.  On a GPU a fused kernel takes
    the call where it can: no mask, n_q = n_k, and no float64.  What may hold NaN is as for
    ``dense.attend``: what no query sees.

    Args:
        q: queries (..., n_q, d).
        k: keys (..., n_k, d), in the dtype and on the device of ``q``.
        v: values (..., n_k, d_v), likewise.  Leading axes broadcast, as for ``dense.attend``.
        window: how near a key must be: |i − j| < window.
        causal: whether a query sees only keys up to its own position, the last query's being
            that of the last key.
        mask: booleans that broadcast to (..., n_q, n_k), True = may look.  Joined with the window
            by AND.  It is cut into tiles, never expanded: one row for all queries stays one row.
        scale: what multiplies the inner products, a number or a tensor that broadcasts to
            (..., n_q, 1), such as (h, 1, 1); None means d^-1/2.
        segments: where packed sequences are: see ``attention_limits.attention.packed``.

    Returns:
        (..., n_q, d_v), in the dtype of ``q``.  A query that sees nothing gets 0, and its
        gradients are 0.

    Raises:
        ValueError: naming the argument, if shapes, dtypes or devices do not fit, or if ``window``
            is no integer of at least 1.
    """
    lead = tensors.check(q, k, v, mask=mask)
    window = checks.check_count("window", window, least=1)
    dtype = q.dtype
    q, factor = tensors.folded(q, scale, lead)
    segments = packed.given(segments, lead, k.shape[-2])
    return _computed(q, k, v, mask, factor, window, causal, segments).to(dtype)


def cost(*, window: int | sp.Symbol, causal: bool = False) -> Cost:
    """Dense attention's up to n = w, linear from there on; ``symbols.w`` leaves the window open.

    A tile of B queries sees its own B keys and, on each side that it looks to, up to w − 1.
    """
    if window != symbols.w:
        window = checks.check_count("window", window, least=1)
    n, d, b = symbols.n, symbols.d, symbols.b
    full = sp.Min(n, window)
    past = full * (full + 1) / 2 + (n - full) * window  # pairs with j ≤ i
    whole = sp.floor(n / TILE)
    rest = n - whole * TILE

    def beside(first: int | sp.Expr) -> sp.Expr:
        """Σ of what each full tile sees on one side: window − 1, or all that there is."""
        short = sp.Min(whole, sp.floor((window - 1 - first) / TILE) + 1)  # so many see all
        return short * first + TILE * short * (short - 1) / 2 + (whole - short) * (window - 1)

    sides = beside(0) if causal else beside(0) + beside(rest)
    executed = TILE * (TILE * whole + sides) + rest * (rest + sp.Min(n - rest, window - 1))
    return Cost(
        needed=Formula(
            4 * d * (past if causal else 2 * past - n), "FLOPs", "needed by a sliding window"
        ),
        executed=Formula(4 * d * executed, "FLOPs", "executed by a sliding window"),
        held=Formula(2 * d * b * sp.Min(n, window - 1), "bytes", "held by a sliding window"),
    )


class Recent(NamedTuple):
    """The last window − 1 keys and values of a stream, or all if there are fewer."""

    keys: torch.Tensor
    values: torch.Tensor


@tensors.own_precision
def step(
    state: Recent | None,
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    *,
    window: int,
    scale: float | torch.Tensor | None = None,
) -> tuple[torch.Tensor, Recent]:
    """Causal attention for the next token, or the next few, of a stream.

    Args:
        state: what the last step returned; None starts a stream.
        q: queries of the new tokens only, shaped as for ``attend``.
        k: their keys.
        v: their values.
        window: as for ``attend``, the same in every step.
        scale: as for ``attend``.

    Returns:
        The new tokens' outputs and the state that the next step wants, of a size that no longer
        grows after ``window`` − 1 tokens.

    Raises:
        ValueError: naming the argument, if it does not fit the others or the stream.
    """
    tensors.check(q, k, v)
    window = checks.check_count("window", window, least=1)
    tensors.check_stream(q, k)
    if state is not None:
        tensors.check_continues("k", k, state.keys)
        tensors.check_continues("v", v, state.values)
        k, v = torch.cat([state.keys, k], dim=-2), torch.cat([state.values, v], dim=-2)
    out = attend(q, k, v, window=window, causal=True, scale=scale)
    old = max(0, k.shape[-2] - (window - 1))  # from the front: `-(window - 1):` fails for 1
    # Copies, for a view would keep alive what it no longer shows.
    return out, Recent(k[..., old:, :].clone(), v[..., old:, :].clone())


@one_call
def _computed(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    mask: torch.Tensor | None,
    scale: float,
    window: int,
    causal: bool,
    segments: torch.Tensor | None,
) -> torch.Tensor:
    def compute(spans, queries, keys, pairs):
        (q,), (k, v), (mask,) = queries, keys, pairs
        n_q, n_k = q.shape[-2], k.shape[-2]
        width = min(window, max(n_q, n_k, 1))  # no two are further apart
        if flex.takes(q, k, v, mask):
            pattern = _block_mask(n_q, width, causal, q.device)
            return flex.attend(q, k, v, pattern, scale=scale, spans=spans)
        parts = _tiles(q, n_k, width, causal)
        if spans is not None:
            parts = tiles.within(parts, packed.pairs_of(spans), n_k - n_q)
        return tiles.attend(q, k, v, parts, mask=mask, scale=scale)

    return packed.by_row(compute, segments, [q], [k, v], [mask])


def _tiles(q: torch.Tensor, n_k: int, window: int, causal: bool) -> list[tiles.Tile]:
    """TILE queries at a time, and the keys from the first that one of them sees to the last."""
    n_q = q.shape[-2]
    ahead = 0 if causal else window - 1
    # The largest tile, of which every other is a part; its keys start window − 1 before it.
    i = torch.arange(TILE, device=q.device)[:, None] + window - 1
    j = torch.arange(window - 1 + TILE + ahead, device=q.device)
    limit = tiles.score_cap(_near(i - j, window, causal), q.dtype)
    parts = []
    shift = n_k - n_q  # from a query to its position
    for top in range(max(0, -shift - ahead), n_q, TILE):  # those before see nothing
        bottom = min(top + TILE, n_q)
        start = top + shift - (window - 1)
        left, right = max(0, start), min(bottom + shift + ahead, n_k)
        rows, columns = slice(0, bottom - top), slice(left - start, right - start)
        parts.append(tiles.Tile(slice(top, bottom), [slice(left, right)], limit[rows, columns]))
    return parts


@functools.lru_cache(maxsize=32)
def _block_mask(n: int, window: int, causal: bool, device: torch.device) -> BlockMask:
    """The pattern as the fused kernel wants it."""
    size = torch.tensor(window, device=device)
    return flex.block_mask(lambda b, h, i, j: _near(i - j, size, causal), n, device)


def _near(distance: torch.Tensor, window: int | torch.Tensor, causal: bool) -> torch.Tensor:
    """Whether a key so far back is in the window."""
    return (distance < window) & (distance >= 0 if causal else distance > -window)
