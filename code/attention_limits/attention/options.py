"""What mechanisms ask of their options, tensors aside.

A mechanism refuses with these what it is called with, and ``models.Architecture`` what it is made
of, before there is a tensor.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from attention_limits.checks import as_integer, check_count


def distinct_offsets(offsets: Iterable[int], causal: bool) -> list[int]:
    """The offsets in order, each once; refused if there is none, or one that may not be."""
    try:
        given = list(offsets)
    except TypeError:  # no collection
        given = []
    each = [as_integer(x) for x in given]
    if not each or None in each:
        raise ValueError(f"offsets must be integers, at least one, got {given or offsets!r}")
    distinct = sorted(set(each))
    if causal and distinct[0] < 0:
        raise ValueError(f"offsets must be at least 0 in causal attention, got {distinct[0]}")
    return distinct


def column(gate: np.ndarray, q: np.ndarray, k: np.ndarray, v: np.ndarray) -> np.ndarray:
    """A gate as (..., n, 1), which may come as (n,), or shaped like keys or outputs, less d."""
    lead = np.broadcast_shapes(*(x.shape[:-2] for x in (q, k, v)))
    without = k.shape[-2:-1], k.shape[:-1], (*lead, k.shape[-2])
    return gate[..., None] if gate.shape in without else gate


def check_period(period: Any, lead: tuple[int, ...]) -> int | tuple[int, ...]:
    """Refuse what is neither a count nor one for each head, in any sequence; give back plain ones.

    An array or a tensor of no axes is one count.
    """
    if _is_one(period):
        return check_count("period", period, least=1)
    each = tuple(check_count("period", p, least=1) for p in period)
    if lead[-1:] != (len(each),):
        raise ValueError(
            "period must be one integer, or one for each head along the last of the leading axes, "
            f"{tuple(lead)}, got {len(each)} of them"
        )
    return each


def _is_one(given: Any) -> bool:
    """Whether it is a number, or a word in place of one, rather than several numbers."""
    return isinstance(given, int | str) or not getattr(given, "ndim", isinstance(given, Sequence))


def check_layout(layout: np.ndarray, block: int, n_k: int | None = None) -> int:
    """Refuse a layout that is no square of booleans or, if n_k is given, does not cover it.

    Returns:
        The block as a plain integer.
    """
    block = check_count("block", block, least=1)
    kind = str(getattr(layout, "dtype", type(layout)))
    if kind != "bool":
        raise ValueError(f"layout must be a NumPy array of booleans, True = sees, got {kind}")
    if n_k is not None and block > max(n_k, 1):
        raise ValueError(f"block must be at most n_k = {n_k}, or 1 if n_k is 0, got {block}")
    blocks = max(layout.shape, default=0) if n_k is None else -(-n_k // block)
    if layout.shape != (blocks, blocks):
        raise ValueError(f"layout must have shape {(blocks, blocks)}, got {layout.shape}")
    return block


def check_windows(
    width: int,
    window: int | Sequence[int],
    shift: int | Sequence[int],
    n_k: int | None = None,
) -> tuple[int, tuple[int, int], tuple[int, int]]:
    """Refuse windows that fit no grid, shifts past a window and, if n_k is given, rows not full.

    Returns:
        The width, and windows and shifts as two plain integers each, down and across.
    """
    width = check_count("width", width, least=1)
    high, wide = _two("window", window, least=1)
    down, right = _two("shift", shift, least=0)
    if down >= high or right >= wide:
        raise ValueError(f"shift must be less than the window, {(high, wide)}, got {(down, right)}")
    if n_k is not None and n_k % width:
        raise ValueError(f"width must divide n_k = {n_k} into full rows, got {width}")
    return width, (high, wide), (down, right)


def _two(name: str, given: Any, least: int) -> tuple[int, int]:
    """Rows and columns, or one number for both."""
    if _is_one(given):
        both = check_count(name, given, least=least)
        return both, both
    each = [check_count(name, x, least=least) for x in given]
    if len(each) != 2:
        raise ValueError(f"{name} must be one integer, or two, of rows and columns, got {given!r}")
    return each[0], each[1]


def as_layout(layout: Any) -> np.ndarray:
    """A layout as an array, which is a tensor if it comes through a compiler."""
    if isinstance(layout, np.ndarray):
        return layout
    # What a transform has taken has no ``numpy``, but a list it has.
    return np.array(layout.tolist(), dtype=bool).reshape(layout.shape)
