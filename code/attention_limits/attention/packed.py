"""Packed sequences: several in one row, each of which attends to itself alone.

Every ``attend`` takes ``segments``, which says where they are:

- *lengths*, as many integers as there are sequences, which sum to n_k; of PyTorch's ``cu_seqlens``
  that is ``cu_seqlens.diff().tolist()``; or
- *a number for each token*, a tensor of integers (..., n_k) with leading axes that broadcast to
  those of the keys, (b, 1, n_k) for keys (b, h, n_k, d): neighbours of one number are a sequence.
  A negative one is padding, wherever it stands: it sees no key, no query sees it, and it may hold
  anything, NaN included.

Each sequence gets what it would get alone, gradients too, and what is counted from the first token
(a clock's ticks, the leaves of fractal attention, an encoding's ``positions``) begins anew.  Only a
block-sparse layout stays where it is: a query sees those of its keys that are in its sequence.
Nothing holds a number for each pair of tokens.  With fewer queries than keys, the queries are the
last ones, each in the sequence of its token.  So cross attention takes no ``segments``: there a
``mask`` hides the padding of the keys.

Numbers are looked at, which makes an accelerator wait; lengths are not.  But each new list of
lengths is compiled anew, where one graph serves all numbers.  ``vmap`` cannot run along numbers.
"""

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import torch

from attention_limits.attention.transforms import is_one_operation
from attention_limits.checks import check_counts
from attention_limits.tensors import INTEGERS, check_kind, joined, shape_of

Segments = torch.Tensor | Sequence[int]
# Where the sequences of a row are: the first token of each and the one after its last, in one list,
# which is what an operation of PyTorch takes; None if all tokens are one sequence.
Spans = list[int] | None


def positions(segments: Segments) -> torch.Tensor:
    """The position of each token in its own sequence, (..., n), from 0 on; padding counts, too.

    Args:
        segments: as above; of lengths, the positions are on the CPU.

    Raises:
        ValueError: naming the argument, if it is neither.
    """
    if not isinstance(segments, torch.Tensor):
        each = [torch.arange(length) for length in check_counts("segments", segments)]
        return torch.cat(each)
    check_kind("segments", segments, INTEGERS)
    n = segments.shape[-1] if segments.ndim else 0
    place = torch.arange(n, device=segments.device).expand(segments.shape)
    begins = torch.ones_like(segments, dtype=torch.bool)
    begins[..., 1:] = segments[..., 1:] != segments[..., :-1]
    return place - torch.where(begins, place, 0).cummax(-1).values


def given(segments: Segments | None, lead: torch.Size, n: int) -> Segments | None:
    """What an operation of PyTorch is handed: compiled, lengths are numbers, whose values are open.

    Args:
        segments: as above.
        lead: the leading axes of the outputs.
        n: how many keys there are.
    """
    if segments is None or not is_one_operation():
        return segments
    if not isinstance(segments, torch.Tensor):
        lengths = torch.tensor(_checked_lengths(segments, n))
        return torch.arange(len(lengths)).repeat_interleave(lengths, output_size=n)
    if joined("segments", segments[..., None], lead) != lead:
        raise ValueError(
            f"segments must have leading axes that the others have, {tuple(lead)}, got "
            f"{shape_of(segments)}"
        )
    return segments


def _checked_lengths(segments: Sequence[int], n: int) -> tuple[int, ...]:
    lengths = check_counts("segments", segments)
    if sum(lengths) != n:
        raise ValueError(f"segments must be lengths that sum to n_k = {n}, got {segments!r}")
    return lengths


def alone(
    compute: Callable[..., torch.Tensor],
    segments: Segments | None,
    queries: Sequence[torch.Tensor],
    keys: Sequence[torch.Tensor],
    pairs: Sequence[torch.Tensor | None] = (),
) -> torch.Tensor:
    """What a mechanism computes, on each sequence alone.

    Args:
        compute: takes queries, keys and pairs, all in one list of arguments.
        segments: as above; None means that all is one sequence.
        queries: tensors of a row for each query, or of one for all.
        keys: tensors of a row for each key.
        pairs: tensors of a number for each of both, or for all of one, or None.
    """

    def each(spans: Spans, queries: Any, keys: Any, pairs: Any) -> torch.Tensor:
        if spans is None:
            return compute(*queries, *keys, *pairs)
        return _joined(compute, pairs_of(spans), queries, keys, pairs)

    return by_row(each, segments, queries, keys, pairs)


def by_row(
    compute: Callable[..., torch.Tensor],
    segments: Segments | None,
    queries: Sequence[torch.Tensor],
    keys: Sequence[torch.Tensor],
    pairs: Sequence[torch.Tensor | None] = (),
) -> torch.Tensor:
    """What ``compute`` makes of spans and the tensors, called for all rows that have these spans.

    Raises:
        ValueError: naming the segments, if they do not fit the keys.
    """
    if segments is None:
        return compute(None, queries, keys, pairs)
    n = keys[0].shape[-2]
    if not isinstance(segments, torch.Tensor):
        ends = list(itertools.accumulate(_checked_lengths(segments, n)))
        return compute(
            [*itertools.chain.from_iterable(zip([0, *ends], ends, strict=False))],
            queries,
            keys,
            pairs,
        )
    check_kind("segments", segments, INTEGERS)
    if torch._C._functorch.is_batchedtensor(segments):
        raise ValueError(
            "segments must be the same for all that torch.func.vmap runs along, for they are "
            "looked at, got a batched tensor"
        )
    if segments.device != keys[0].device or segments.is_meta:
        raise ValueError(
            f"segments must be on the device of q, {keys[0].device}, and hold values, got "
            f"{segments.device}"
        )
    if segments.shape[-1:] != (n,):
        raise ValueError(f"segments must be lengths or (..., {n}), got {shape_of(segments)}")
    lead = torch.broadcast_shapes(*(x.shape[:-2] for x in (*queries, *keys)))
    if joined("segments", segments[..., None], lead) != lead:
        raise ValueError(
            f"segments must have leading axes that broadcast to {tuple(lead)}, "
            f"got {shape_of(segments)}"
        )
    if not segments.numel():
        return compute([], queries, keys, pairs)
    return _by_row(compute, segments.tolist(), segments.ndim, queries, keys, pairs)


def _by_row(
    compute: Callable[..., torch.Tensor],
    numbers: list,
    axes: int,
    queries: Sequence[torch.Tensor],
    keys: Sequence[torch.Tensor],
    pairs: Sequence[torch.Tensor | None],
) -> torch.Tensor:
    """Along the first axis of the numbers, each row for itself if they are not all alike."""
    if axes == 1:
        return compute(_spans(numbers), queries, keys, pairs)
    if all(row == numbers[0] for row in numbers):
        return _by_row(compute, numbers[0], axes - 1, queries, keys, pairs)
    axis = -axes - 1  # of a tensor, which has one axis more
    unbound = [[_unbound(x, axis, len(numbers)) for x in xs] for xs in (queries, keys, pairs)]
    outputs = []
    for row, numbers_of_row in enumerate(numbers):
        parts: list[Any] = [[x[row] for x in xs] for xs in unbound]
        outputs.append(_by_row(compute, numbers_of_row, axes - 1, *parts))
    return torch.stack(outputs, dim=axis)


def _unbound(x: torch.Tensor | None, axis: int, count: int) -> Sequence[torch.Tensor | None]:
    """A tensor's parts along an axis, which it may lack, or have for all alike."""
    if x is None or x.ndim < -axis:
        return [x] * count
    return x.unbind(axis) if x.shape[axis] == count else [x.squeeze(axis)] * count


def pairs_of(spans: list[int]) -> list[tuple[int, int]]:
    """Each sequence's first token, and the one after its last."""
    return [*zip(spans[::2], spans[1::2], strict=True)]


def _spans(numbers: list[int]) -> list[int]:
    """Where each run of equal numbers is, but for padding."""
    spans: list[int] = []
    start = 0
    for number, run in itertools.groupby(numbers):
        stop = start + len(list(run))
        if number >= 0:
            spans += start, stop
        start = stop
    return spans


def _joined(
    compute: Callable[..., torch.Tensor],
    spans: list[tuple[int, int]],
    queries: Sequence[torch.Tensor],
    keys: Sequence[torch.Tensor],
    pairs: Sequence[torch.Tensor | None],
) -> torch.Tensor:
    """The outputs of all sequences of a row, and zeros between them."""
    v, n_q, n_k = keys[1], queries[0].shape[-2], keys[1].shape[-2]
    first = n_k - n_q  # position of the first query
    ends = sorted({0, n_k, *itertools.chain.from_iterable(spans)})
    between = list(itertools.pairwise(ends))
    sequences = set(spans)
    if not any(stop > first for _, stop in sequences):
        # Nobody asks, and an empty sequence makes the output depend on the inputs: else there
        # would be no backward pass for gradients of 0.
        between = [(0, 0), *between]
        sequences = {(0, 0)}
    lengths = [stop - start for start, stop in between]
    rows = [max(0, -first), *(max(0, stop - max(first, start)) for start, stop in between)]
    above = itertools.accumulate(rows)  # queries before each
    # Splitting once keeps the backward pass linear; see ``recurrence.scan``.
    cut_queries = zip(*(_split(x, rows)[1:] for x in queries), strict=True)
    cut_keys = zip(*(x.split(lengths, dim=-2) for x in keys), strict=True)
    lead = torch.broadcast_shapes(*(x.shape[:-2] for x in (*queries, *keys)))
    outputs = [v.new_zeros(*lead, rows[0], v.shape[-1])]
    for span, top, count, of_queries, of_keys in zip(
        between, above, rows[1:], cut_queries, cut_keys, strict=False
    ):
        if span in sequences and (count or span == (0, 0)):
            of_pairs = (_corner(x, slice(top, top + count), slice(*span)) for x in pairs)
            outputs.append(compute(*of_queries, *of_keys, *of_pairs))
        else:
            outputs.append(v.new_zeros(*lead, count, v.shape[-1]))
    return torch.cat(outputs, dim=-2)


def _split(x: torch.Tensor, rows: list[int]) -> Sequence[torch.Tensor]:
    """So many rows for each; or for each the one row that there is for all."""
    if x.ndim < 2 or x.shape[-2] != sum(rows):
        return [x] * len(rows)
    return x.split(rows, dim=-2)


def _corner(x: torch.Tensor | None, rows: slice, columns: slice) -> torch.Tensor | None:
    """The pairs of some queries and some keys."""
    if x is None:
        return None
    x = x if x.ndim < 2 or x.shape[-2] == 1 else x[..., rows, :]
    return x if x.ndim < 1 or x.shape[-1] == 1 else x[..., columns]
