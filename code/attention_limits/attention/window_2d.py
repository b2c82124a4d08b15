r"""Windows on an image: each pixel or patch sees those of its own window, a rectangle of a grid.

.. math::

    o_i = \sum_{j \in W_i} \frac{e^{s_{ij}}}{\sum_{l \in W_i} e^{s_{il}}} \, v_j, \qquad
    s_{ij} = \frac{q_i \cdot k_j}{\sqrt{d}} + T_{y_j - y_i,\, x_j - x_i}

.. math::

    W_i = \left\{\, j :
    \left\lfloor \frac{y_j - s}{w} \right\rfloor = \left\lfloor \frac{y_i - s}{w} \right\rfloor,\;
    \left\lfloor \frac{x_j - s}{w} \right\rfloor = \left\lfloor \frac{x_i - s}{w} \right\rfloor
    \,\right\}

or, if causal, those of them with j ≤ i.  The tokens are the rows of a grid, one after the other:
token i is in row y_i = ⌊i / width⌋ and column x_i = i mod width.  Windows are w rows high and w
columns wide, and the first whole ones begin at row and column s, the shift; what is left at the
edges makes smaller windows.  T, a number for each offset, is 0 unless a ``table`` is given.  With
n_q ≠ n_k the last query sits at the last key (bottom-right alignment).  A ``mask`` takes keys out
of every W_i.  Where W_i is empty, o_i = 0.

It needs 4dnw² FLOPs if w divides both sides of the grid and there is no shift, and somewhat fewer
else, causal about half: linear in n, as is memory, with up to nw² scores a head.  The image is not
padded; with n_q < n_k all queries are computed and the last n_q given.  The price: what lies on the
other side of a border is not seen, however near.  Layers that take turns, with shift 0 and shift
⌊w / 2⌋, move the borders; information then goes half a window a layer in each direction.  A window
as large as the image wants no shift, which would only cut it.

Use it for images and volumes cut into slices, with at least two layers, or between global layers.

Source: :cite:t:`liu2021swin`, who roll the image and mask what meets there.
Taught in: "Locality".
"""

import functools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import sympy as sp
import torch
from torch.nn.functional import pad

from attention_limits import checks, symbols, tensors
from attention_limits.attention import dense, packed
from attention_limits.attention.cost import Cost
from attention_limits.attention.options import check_windows
from attention_limits.attention.packed import Segments
from attention_limits.attention.transforms import is_one_operation, one_call
from attention_limits.formula import Formula

# What `help` shows, and first of all functions.
__all__ = ["attend", "cost", "define", "visible"]


def visible(
    n: int,
    *,
    n_k: int | None = None,
    width: int,
    window: int | Sequence[int],
    shift: int | Sequence[int] = 0,
    causal: bool = False,
) -> np.ndarray:
    """Who sees whom: (n, n_k) booleans, query i in rows, key j in columns; n_k = n if not given."""
    n_k = n if n_k is None else n_k
    n = checks.check_count("n", n)
    n_k = checks.check_count("n_k", n_k)
    width, window, shift = check_windows(width, window, shift, n_k)
    places = np.divmod(np.arange(n_k - n, n_k), width), np.divmod(np.arange(n_k), width)
    (y_q, x_q), (y_k, x_k) = (
        [(place - s) // w for place, s, w in zip(both, shift, window, strict=True)]
        for both in places
    )
    i, j = np.ogrid[n_k - n : n_k, :n_k]  # the queries are the last n of n_k positions
    together = (y_q[:, None] == y_k) & (x_q[:, None] == x_k) & (i >= 0)
    return together & (j <= i) if causal else together


def define(
    q: np.ndarray,
    k: np.ndarray,
    v: np.ndarray,
    *,
    width: int,
    window: int | Sequence[int],
    shift: int | Sequence[int] = 0,
    causal: bool = False,
    mask: np.ndarray | None = None,
    scale: float | np.ndarray | None = None,
    table: np.ndarray | None = None,
) -> np.ndarray:
    """The equations above, dense attention's on the keys of W_i; leading axes broadcast."""
    n_q, n_k = q.shape[-2], k.shape[-2]
    sees = visible(n_q, n_k=n_k, width=width, window=window, shift=shift, causal=causal)
    bias = None
    if table is not None:
        (y_q, x_q), (y_k, x_k) = (
            np.divmod(np.arange(start, n_k), int(width)) for start in (n_k - n_q, 0)
        )
        down, right = y_k - y_q[:, None], x_k - x_q[:, None]
        # The middle of the table is the offset 0; what is in no window has none.
        rows, columns = (side // 2 for side in table.shape[-2:])
        bias = table[..., np.where(sees, down, 0) + rows, np.where(sees, right, 0) + columns]
    mask = sees if mask is None else sees & mask
    return dense.define(q, k, v, mask=mask, scale=scale, bias=bias)


@tensors.own_precision
def attend(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    *,
    width: int,
    window: int | Sequence[int],
    shift: int | Sequence[int] = 0,
    causal: bool = False,
    mask: torch.Tensor | None = None,
    scale: float | torch.Tensor | None = None,
    table: torch.Tensor | None = None,
    segments: Segments | None = None,
) -> torch.Tensor:
    """The same on (..., n, d) tensors, all windows of one size in one product.

    Differentiable any number of times.  Half precision is computed in float32.  Under a mask, what
    no query sees may hold anything, NaN included.

    Args:
        q: queries (..., n_q, d), the rows of the grid one after the other: an image (..., rows,
            columns, d) is flattened first.
        k: keys (..., n_k, d), in the dtype and on the device of ``q``.
        v: values (..., n_k, d_v), likewise.  Leading axes broadcast, as for ``dense.attend``.
        width: columns of the grid; n_k must be a multiple of it.
        window: rows and columns of a window, two numbers, or one for both.
        shift: in which row and column the first whole window begins, likewise; less than the
            window's.
        causal: whether a query sees only keys up to its own, row by row, as an image is read.
        mask: booleans that broadcast to (..., n_q, n_k), True = may look.  Joined with the windows
            by AND.  It is cut into windows, never expanded: one row for all queries stays one row.
        scale: what multiplies the inner products, a number or a tensor that broadcasts to
            (..., n_q, 1), such as (h, 1, 1); None means d^-1/2.
        table: (..., 2·rows − 1, 2·columns − 1), such as (h, 13, 13) for windows of 7 × 7, in the
            dtype of ``q``: what is added to a score, by the offset of the key from the query, 0 in
            the middle.  Swin's own, (169, h), is by the offset of the query from the key:
            ``swin.T.reshape(h, 13, 13).flip(-1, -2)``.
        segments: where packed sequences are: see ``attention_limits.attention.packed``.  The
            grid and its windows stay those of all tokens.

    Returns:
        (..., n_q, d_v), in the dtype of ``q``.  A query that sees nothing gets 0, and its
        gradients are 0.

    Raises:
        ValueError: naming the argument, if shapes, dtypes or devices do not fit, or if ``width``,
            ``window`` and ``shift`` do not fit each other and n_k.
    """
    lead = tensors.check(q, k, v, mask=mask)
    # Of a length that is open to a compiler, whether it fills its rows is seen when it comes.
    length = None if is_one_operation() else k.shape[-2]
    width, window, shift = check_windows(width, window, shift, length)
    if table is not None:
        _check_table(table, q, lead, window)
    dtype = q.dtype
    q, factor = tensors.folded(q, scale, lead)
    segments = packed.given(segments, lead, k.shape[-2])
    out = _computed(q, k, v, mask, table, factor, width, [*window], [*shift], causal, segments)
    return out.to(dtype)


def cost(
    *,
    width: int,
    window: int | Sequence[int],
    shift: int | Sequence[int] = 0,
    causal: bool = False,
) -> Cost:
    """Window by window, for those n that fill their rows; causal, windows are computed in full."""
    width, window, shift = check_windows(width, window, shift)
    n, d, b = symbols.n, symbols.d, symbols.b
    down, across = (
        _squares(side, w, s) for side, w, s in zip((n / width, width), window, shift, strict=True)
    )
    pairs = down * across
    return Cost(
        needed=Formula(
            4 * d * ((pairs + n) / 2 if causal else pairs), "FLOPs", "needed by windows on an image"
        ),
        executed=Formula(4 * d * pairs, "FLOPs", "executed by windows on an image"),
        held=Formula(2 * n * d * b, "bytes", "held by windows on an image"),
    )


def _squares(side: int | sp.Expr, window: int, shift: int) -> sp.Expr:
    """Along one side, the sum of the squared lengths of windows: pairs that see each other."""
    first = sp.Min(side, shift)
    whole = sp.floor((side - first) / window)
    rest = side - first - whole * window
    return first**2 + whole * window**2 + rest**2


def _check_table(
    table: torch.Tensor, q: torch.Tensor, lead: torch.Size, window: tuple[int, int]
) -> None:
    tensors.check_like("table", table, "q", q)
    wanted = tuple(2 * side - 1 for side in window)
    if table.shape[-2:] != wanted:
        raise ValueError(
            f"table must have a number for each offset in a window of {window}, "
            f"(..., {wanted[0]}, {wanted[1]}), got {tensors.shape_of(table)}"
        )
    if tensors.joined("table", table, lead) != lead:
        raise ValueError(
            f"table must have leading axes that broadcast to {tuple(lead)}, "
            f"got {tensors.shape_of(table)}"
        )


class Band(NamedTuple):
    """Windows of one length, side by side: where the first begins, and how many there are."""

    start: int
    number: int
    length: int

    @property
    def size(self) -> int:
        """How many rows, or columns, they cover."""
        return self.number * self.length

    @property
    def places(self) -> slice:
        """Which."""
        return slice(self.start, self.start + self.size)


def _bands(side: int, window: int, shift: int) -> list[Band]:
    """What the shift leaves at the beginning, whole windows, and what is left at the end."""
    first = min(side, shift)
    whole, rest = divmod(side - first, window)
    bands = Band(0, 1, first), Band(first, whole, window), Band(side - rest, 1, rest)
    return [band for band in bands if band.size] or [Band(0, 0, window)]


class Cut(NamedTuple):
    """Windows of one size, a part of the grid."""

    y: Band
    x: Band

    def __call__(self, part: torch.Tensor) -> torch.Tensor:
        """(..., rows, columns, d) → (..., windows down, windows across, tokens of a window, d)."""
        return self._apart(part, -3).transpose(-4, -3).flatten(-3, -2)

    def joined(self, windows: torch.Tensor) -> torch.Tensor:
        """From windows to the rows and columns that they cover."""
        x = windows.unflatten(-2, (self.y.length, self.x.length)).transpose(-4, -3)
        return x.flatten(-3, -2).flatten(-4, -3)

    def pairs(self, pairs: torch.Tensor, grid: tuple[int, int]) -> torch.Tensor:
        """(..., n, n), expanded or not, to the pairs of each window; a view until the last step."""
        places = self.y.places, self.x.places
        x = pairs.unflatten(-1, grid).unflatten(-3, grid)[(..., *places, *places)]
        x = self._apart(self._apart(x, -2), -6)  # (…, y, h, x, w) of queries, then of keys
        of_one_window = x.diagonal(0, -8, -4).diagonal(0, -6, -3)  # (…, h, w, h, w, y, x)
        return of_one_window.movedim((-2, -1), (-6, -5)).flatten(-4, -3).flatten(-2, -1)

    def _apart(self, x: torch.Tensor, rows: int) -> torch.Tensor:
        """The axis of rows, and that of columns behind it, each as windows and what is in them."""
        x = x.unflatten(rows + 1, (self.x.number, self.x.length))
        return x.unflatten(rows - 1, (self.y.number, self.y.length))


@one_call
def _computed(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    mask: torch.Tensor | None,
    table: torch.Tensor | None,
    scale: float,
    width: int,
    window: list[int],
    shift: list[int],
    causal: bool,
    segments: torch.Tensor | None,
) -> torch.Tensor:
    def compute(spans, queries, keys, pairs):
        (q,), (k, v), (mask, table) = queries, keys, pairs
        n_q, n_k = q.shape[-2], k.shape[-2]
        check_windows(width, window, shift, n_k)
        before = 0, 0, n_k - n_q, 0  # a query for each key: of those before the first, any will do
        dtype, wide = v.dtype, torch.promote_types(q.dtype, torch.float32)
        q, k, v = (x.to(wide) for x in (q if n_q == n_k else pad(q, before), k, v))
        if mask is not None:
            mask = mask.expand(torch.broadcast_shapes(mask.shape, (1, 1)))
            mask = mask if mask.shape[-2] in (1, n_k) else pad(mask, before)
            mask = mask.expand(*mask.shape[:-2], n_k, n_k)  # a view, no memory
        grid = n_k // width, width
        down, across = (_bands(*each) for each in zip(grid, window, shift, strict=True))
        numbers = None if spans is None else _numbers(spans, n_k, q.device).unflatten(-2, grid)

        def attended(cut, Q, K, V):
            sees = _sees(cut, grid, mask, numbers, causal, q.device)
            bias = None if table is None else _offsets(table.to(wide), cut.y.length, cut.x.length)
            return cut.joined(_softmax(cut(Q), cut(K), cut(V), sees, bias))

        # Split once: slices under autograd would each have a gradient as long as the sequence.
        bands = (_split(x.unflatten(-2, grid), down, -3) for x in (scale * q, k, v))
        rows = []
        for y, *band in zip(down, *bands, strict=True):
            parts = zip(across, *(_split(x, across, -2) for x in band), strict=True)
            rows.append(torch.cat([attended(Cut(y, x), *part) for x, *part in parts], dim=-2))
        out = torch.cat(rows, dim=-3).flatten(-3, -2).to(dtype)
        return out if n_q == n_k else pad(out, (0, 0, n_q - n_k, 0))

    return packed.by_row(compute, segments, [q], [k, v], [mask, table])


def _split(x: torch.Tensor, bands: list[Band], axis: int) -> tuple[torch.Tensor, ...]:
    return x.split([band.size for band in bands], dim=axis)


def _numbers(spans: list[int], n: int, device: torch.device) -> torch.Tensor:
    """The number of each token's sequence, (n, 1); −1 is padding."""
    numbers = torch.full((n, 1), -1, device=device)
    for number, (start, stop) in enumerate(packed.pairs_of(spans)):
        numbers[start:stop] = number
    return numbers


def _sees(
    cut: Cut,
    grid: tuple[int, int],
    mask: torch.Tensor | None,
    numbers: torch.Tensor | None,
    causal: bool,
    device: torch.device,
) -> torch.Tensor | None:
    """Who sees whom within each window; None if all see all."""
    every = []
    if causal:  # within a window tokens are in the order of the grid
        size = cut.y.length * cut.x.length
        every.append(torch.ones(size, size, dtype=torch.bool, device=device).tril())
    if numbers is not None:
        own = cut(numbers[cut.y.places, cut.x.places])
        every.append((own == own.mT) & (own >= 0))
    if mask is not None:
        every.append(cut.pairs(mask, grid))
    return functools.reduce(torch.logical_and, every) if every else None


def _offsets(table: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """What is added to the scores of a window of this size, which may be one at an edge."""
    middles = (side // 2 for side in table.shape[-2:])  # where the offset is 0
    down, right = (
        torch.arange(size, device=table.device)
        - torch.arange(size, device=table.device)[:, None]
        + middle
        for size, middle in zip((height, width), middles, strict=True)
    )
    of_pairs = table[..., down[:, None, :, None], right[:, None]]
    return of_pairs.flatten(-4, -3).flatten(-2, -1)[..., None, None, :, :]


def _softmax(
    Q: torch.Tensor,
    K: torch.Tensor,
    V: torch.Tensor,
    sees: torch.Tensor | None,
    bias: torch.Tensor | None,
) -> torch.Tensor:
    """Dense attention within each window, where nothing may be seen by nobody, NaN included."""
    if sees is not None:
        has_keys, seen = sees.any(-1)[..., None], sees.any(-2)[..., None]
        Q, K, V = torch.where(has_keys, Q, 0), torch.where(seen, K, 0), torch.where(seen, V, 0)
    S = Q @ K.mT if bias is None else Q @ K.mT + bias
    if sees is None:
        return S.softmax(-1) @ V
    # Of a query that sees nothing, scores stay numbers: a softmax of nothing is NaN.
    P = S.masked_fill(~sees & has_keys, -torch.inf).softmax(-1)
    return torch.where(has_keys, P @ V, 0)
