"""What mechanisms ask of their options, tensors aside.

A mechanism refuses with these what it is called with, and ``models.Architecture`` what it is made
of, before there is a tensor.
"""

from collections.abc import Iterable, Sequence

import numpy as np

from attention_limits.checks import check_count


def distinct_offsets(offsets: Iterable[int], causal: bool) -> list[int]:
    """The offsets in order, each once; refused if there is none, or one that may not be."""
    try:
        given = list(offsets)
    except TypeError:  # no collection
        given = []
    if not given or not all(isinstance(x, int) and not isinstance(x, bool) for x in given):
        raise ValueError(f"offsets must be integers, at least one, got {given or offsets!r}")
    distinct = sorted(set(given))
    if causal and distinct[0] < 0:
        raise ValueError(f"offsets must be at least 0 in causal attention, got {distinct[0]}")
    return distinct


def check_period(period: int | Sequence[int], lead: tuple[int, ...]) -> None:
    """Refuse what is neither a count nor a sequence of one for each head."""
    for p in period if isinstance(period, Sequence) else [period]:
        check_count("period", p, least=1)
    if isinstance(period, Sequence) and lead[-1:] != (len(period),):
        raise ValueError(
            "period must be one integer, or one for each head along the last of the leading axes, "
            f"{tuple(lead)}, got {len(period)} of them"
        )


def check_layout(layout: np.ndarray, block: int, n_k: int | None = None) -> None:
    """Refuse a layout that is no square of booleans or, if n_k is given, does not cover it."""
    check_count("block", block, least=1)
    kind = str(getattr(layout, "dtype", type(layout)))
    if kind != "bool":
        raise ValueError(f"layout must be a NumPy array of booleans, True = sees, got {kind}")
    if n_k is not None and block > max(n_k, 1):
        raise ValueError(f"block must be at most n_k = {n_k}, or 1 if n_k is 0, got {block}")
    blocks = max(layout.shape, default=0) if n_k is None else -(-n_k // block)
    if layout.shape != (blocks, blocks):
        raise ValueError(f"layout must have shape {(blocks, blocks)}, got {layout.shape}")
