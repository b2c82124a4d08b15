r"""Block-sparse attention: a fixed layout says which blocks of keys a block of queries sees.

.. math::

    o_i = \sum_{j \in L_i} \frac{e^{s_{ij}}}{\sum_{l \in L_i} e^{s_{il}}} \, v_j, \qquad
    s_{ij} = \frac{q_i \cdot k_j}{\sqrt{d}}, \qquad
    L_i = \{\, j : \mathrm{layout}[\lfloor i/B \rfloor, \lfloor j/B \rfloor] \,\}

for blocks of B positions, the last one shorter if B does not divide n; if causal, those j ≤ i of
L_i.  With n_q ≠ n_k the last query sits at the last key (bottom-right alignment): query i is at
position i + n_k − n_q, and the layout is one of positions, ⌈n_k/B⌉ blocks by as many.  A ``mask``
takes keys out of every L_i.  Where L_i is empty, o_i = 0.

It needs 4dB² FLOPs for each pair of full blocks in the layout: linear in n if each row has a fixed
number of them.  Blocks, not single keys, because a processor computes a square of scores in the
time of a few scattered ones.  The price: the layout is chosen before any token is read.
Information from a block that is not in it needs several layers, if there is a path at all.

The usual layouts are here, to be joined with ``|``: ``local`` ones see their surroundings, a few
``global_blocks`` bring any two blocks within two layers of each other, unless causal; ``strided``
ones joined with ``local`` ones as wide as the stride do too, causal or not; ``random`` ones most
likely need a few layers more.  ``bigbird`` joins three of them.

Source: :cite:t:`child2019generating` for layouts, :cite:t:`zaheer2020bigbird` for blocks,
global blocks and chance.  Taught in: "Locality".
"""

import functools

import numpy as np
import torch
from torch.nn.attention.flex_attention import BlockMask

from attention_limits import checks, symbols, tensors
from attention_limits.attention import dense, flex, packed, tiles
from attention_limits.attention.cost import Cost
from attention_limits.attention.options import as_layout, check_layout
from attention_limits.attention.packed import Segments
from attention_limits.attention.transforms import is_one_operation, one_call
from attention_limits.formula import Formula

Layout = np.ndarray  # booleans (blocks, blocks): the block of queries in a row sees these of keys


def visible(
    n: int, *, n_k: int | None = None, layout: Layout, block: int, causal: bool = False
) -> np.ndarray:
    """Who sees whom: (n, n_k) booleans, query i in rows, key j in columns; n_k = n if not given."""
    n_k = n if n_k is None else n_k
    n = checks.check_count("n", n)
    n_k = checks.check_count("n_k", n_k)
    block = check_layout(layout, block, n_k)
    i, j = np.arange(n_k - n, n_k), np.arange(n_k)  # the queries are the last n of n_k positions
    sees, real = np.full((n, n_k), False), i >= 0
    sees[real] = layout[np.ix_(i[real] // block, j // block)]
    return sees & (j <= i[:, None]) if causal else sees


def define(
    q: np.ndarray,
    k: np.ndarray,
    v: np.ndarray,
    *,
    layout: Layout,
    block: int,
    causal: bool = False,
    mask: np.ndarray | None = None,
    scale: float | np.ndarray | None = None,
) -> np.ndarray:
    """The equation above, dense attention's on the keys of L_i; leading axes broadcast."""
    sees = visible(q.shape[-2], n_k=k.shape[-2], layout=layout, block=block, causal=causal)
    return dense.define(q, k, v, mask=sees if mask is None else sees & mask, scale=scale)


@tensors.own_precision
def attend(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    *,
    layout: Layout,
    block: int,
    causal: bool = False,
    mask: torch.Tensor | None = None,
    scale: float | torch.Tensor | None = None,
    segments: Segments | None = None,
) -> torch.Tensor:
    """The same on (..., n, d) tensors, one block of queries at a time against all that it sees.

    Differentiable twice.  Half precision is computed in float32.  On a GPU a fused kernel takes
    the call where it can: no mask, n_q = n_k, and no float64.  What may hold NaN is as for
    ``dense.attend``: what no query sees.

    Args:
        q: queries (..., n_q, d).
        k: keys (..., n_k, d), in the dtype and on the device of ``q``.
        v: values (..., n_k, d_v), likewise.  Leading axes broadcast, as for ``dense.attend``.
        layout: NumPy booleans (blocks, blocks), blocks = ⌈n_k / block⌉; True = this block of
            queries, in rows, sees that block of keys.
        block: positions per block, at most n_k.
        causal: whether, within the layout, a query sees only keys up to its own position, the
            last query's being that of the last key.
        mask: booleans that broadcast to (..., n_q, n_k), True = may look.  Joined with the layout
            by AND.  It is cut into tiles, never expanded: one row for all queries stays one row.
        scale: what multiplies the inner products, a number or a tensor that broadcasts to
            (..., n_q, 1), such as (h, 1, 1); None means d^-1/2.
        segments: where packed sequences are: see ``attention_limits.attention.packed``.

    Returns:
        (..., n_q, d_v), in the dtype of ``q``.  A query that sees nothing gets 0, and its
        gradients are 0.

    Raises:
        ValueError: naming the argument, if shapes, dtypes or devices do not fit, or if ``layout``
            and ``block`` do not fit n_k.
    """
    lead = tensors.check(q, k, v, mask=mask)
    table: Layout | torch.Tensor = layout
    if is_one_operation():  # an array is a tensor there, of which nothing is known
        if torch.compiler.is_exporting() and torch.compiler.is_dynamo_compiling():
            raise ValueError(  # the program would be saved with whatever is in fresh memory
                "layout must be exported with strict=False, which keeps its values, "
                "got torch.export(..., strict=True)"
            )
        table = torch.as_tensor(layout)
    else:
        block = check_layout(layout, block, k.shape[-2])
    dtype = q.dtype
    q, factor = tensors.folded(q, scale, lead)
    segments = packed.given(segments, lead, k.shape[-2])
    return _computed(q, k, v, mask, factor, table, block, causal, segments).to(dtype)


def cost(*, layout: Layout, block: int, causal: bool = False) -> Cost:
    """Block by block, for those n that the layout fits: ⌈n / block⌉ is its number of blocks.

    Causal, blocks in the future are skipped; those on the diagonal are computed in full.
    """
    block = check_layout(layout, block)
    n, d, b = symbols.n, symbols.d, symbols.b
    last = n - (len(layout) - 1) * block  # positions in the last block
    seen = np.tril(layout) if causal else layout
    whole, corner = seen[:-1, :-1], int(seen[-1:, -1:].sum())
    edge = int(seen[:-1, -1:].sum() + seen[-1:, :-1].sum())
    computed = int(whole.sum()) * block**2 + edge * block * last + corner * last**2
    future = int(np.trace(whole)) * block * (block - 1) / 2 + corner * last * (last - 1) / 2
    needed = computed - future if causal else computed
    return Cost(
        needed=Formula(4 * d * needed, "FLOPs", "needed by block-sparse attention"),
        executed=Formula(4 * d * computed, "FLOPs", "executed by block-sparse attention"),
        held=Formula(2 * n * d * b, "bytes", "held by block-sparse attention"),
    )


def local(blocks: int, *, width: int) -> Layout:
    """Each block sees those less than ``width`` away: itself, and width − 1 on either side."""
    width = checks.check_count("width", width, least=1)
    return abs(_offsets(blocks)) < width


def strided(blocks: int, *, stride: int) -> Layout:
    """Each block sees every ``stride``-th, counted from itself."""
    stride = checks.check_count("stride", stride, least=1)
    return _offsets(blocks) % stride == 0


def global_blocks(blocks: int, *, first: int) -> Layout:
    """The first few blocks see all and are seen by all: global attention, as papers call it."""
    blocks = checks.check_count("blocks", blocks)
    first = checks.check_count("first", first)
    row = np.arange(blocks) < first
    return row | row[:, None]


def random(
    blocks: int,
    *,
    per_row: int,
    seed: int,
    causal: bool = False,
    besides: Layout | None = None,
) -> Layout:
    """Each block sees ``per_row`` others drawn at random, none of them twice.

    Args:
        blocks: how many blocks there are.
        per_row: how many each one draws; all that are left, if fewer are.
        seed: where the draw starts; the same seed, the same layout.
        causal: whether to draw from a block and those before it only, as no other would count.
        besides: a layout whose blocks are not drawn again, so that ``per_row`` join them.
    """
    per_row = checks.check_count("per_row", per_row)
    seed = checks.check_count("seed", seed)
    offsets, draw = _offsets(blocks), np.random.default_rng(seed)
    free = offsets >= 0 if causal else np.full_like(offsets, True, dtype=bool)
    free = free if besides is None else free & ~besides
    layout = np.full_like(free, False)
    for row, left in zip(layout, map(np.flatnonzero, free), strict=True):
        row[draw.choice(left, min(per_row, len(left)), replace=False)] = True
    return layout


def bigbird(
    blocks: int, *, width: int, first: int, per_row: int, seed: int, causal: bool = False
) -> Layout:
    """BigBird's layout: local, with global blocks, and ``per_row`` random blocks beside those."""
    planned = local(blocks, width=width) | global_blocks(blocks, first=first)
    drawn = random(blocks, per_row=per_row, seed=seed, causal=causal, besides=planned)
    return planned | drawn


def _offsets(blocks: int) -> np.ndarray:
    """How far back each block lies, (blocks, blocks)."""
    blocks = checks.check_count("blocks", blocks)
    return np.subtract.outer(np.arange(blocks), np.arange(blocks))


@one_call
def _computed(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    mask: torch.Tensor | None,
    scale: float,
    table: torch.Tensor,
    block: int,
    causal: bool,
    segments: torch.Tensor | None,
) -> torch.Tensor:
    def compute(spans, queries, keys, pairs):
        (q,), (k, v), (mask,) = queries, keys, pairs
        layout = as_layout(table)
        check_layout(layout, block, k.shape[-2])
        if flex.takes(q, k, v, mask):
            pattern = _block_mask(q.shape[-2], layout.tobytes(), block, causal, q.device)
            return flex.attend(q, k, v, pattern, scale=scale, spans=spans)
        parts = _tiles(q, k.shape[-2], layout, block, causal)
        if spans is not None:
            parts = tiles.within(parts, packed.pairs_of(spans), k.shape[-2] - q.shape[-2])
        return tiles.attend(q, k, v, parts, mask=mask, scale=scale)

    return packed.by_row(compute, segments, [q], [k, v], [mask])


def _tiles(q: torch.Tensor, n_k: int, layout: Layout, block: int, causal: bool) -> list[tiles.Tile]:
    """The blocks of queries, each with the blocks of keys that it sees, but for empty ones."""
    n_q = q.shape[-2]
    shift = n_k - n_q  # from a query to its position
    parts = []
    for here in range(max(0, shift) // block, len(layout)):
        seen = layout[here].nonzero()[0].tolist()
        seen = [there for there in seen if there <= here] if causal else seen
        if seen and n_q:
            rows = slice(max(0, here * block - shift), min((here + 1) * block, n_k) - shift)
            on_diagonal = causal and seen[-1] == here
            parts.append((rows, _spans(seen, block, n_k), on_diagonal))
    # On the diagonal the last query and the last key are at one position, so that these tiles are
    # all corners, bottom right, of the largest.
    widths = [sum(span.stop - span.start for span in spans) for _, spans, _ in parts]
    widest = max(widths, default=0) if causal else 0
    past = torch.ones(block, widest, dtype=torch.bool, device=q.device)
    limit = tiles.score_cap(past.tril(widest - block), q.dtype)
    return [
        tiles.Tile(rows, spans, limit[rows.start - rows.stop :, -width:] if on_diagonal else None)
        for (rows, spans, on_diagonal), width in zip(parts, widths, strict=True)
    ]


def _spans(columns: list[int], block: int, n_k: int) -> list[slice]:
    """Where those blocks are, neighbours joined: what lies together need not be gathered."""
    spans: list[slice] = []
    for column in columns:
        start, stop = column * block, min((column + 1) * block, n_k)
        if spans and spans[-1].stop == start:
            start = spans.pop().start
        spans.append(slice(start, stop))
    return spans


@functools.lru_cache(maxsize=32)
def _block_mask(n: int, layout: bytes, block: int, causal: bool, device: torch.device) -> BlockMask:
    """The pattern as the fused kernel wants it."""
    table = torch.frombuffer(bytearray(layout), dtype=torch.bool).to(device)
    blocks = -(-n // block)
    size, width = (torch.tensor(number, device=device) for number in (block, blocks))

    def sees(batch, head, i, j):
        seen = table[i // size * width + j // size]
        return seen & (j <= i) if causal else seen

    return flex.block_mask(sees, n, device)
