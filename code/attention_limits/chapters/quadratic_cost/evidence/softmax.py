"""Evidence on the softmax: what it adds to the arithmetic, to memory, and to traffic."""

import math

import numpy as np
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode

from attention_limits.attention import dense, online_softmax
from attention_limits.chapters.quadratic_cost.derivations import softmax as derivations
from attention_limits.evidence import Evidence, evidence
from attention_limits.meters import PeakMemory


class _IntoSoftmax(TorchDispatchMode):
    """Counts the numbers that go into PyTorch's softmax kernels, to be exponentiated there."""

    def __init__(self):
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        if "softmax" in function.name():
            self.count += args[0].numel()
        return function(*args, **(kwargs or {}))


@evidence()
def one_number_a_pair_goes_into_the_softmax() -> Evidence:
    """Numbers that a softmax takes, over the pairs of tokens: the same order as the products."""
    ratios = []
    for n in (64, 97, 4096):
        inputs = [torch.empty(1, n, 64, device="meta") for _ in range(3)]
        with _IntoSoftmax() as taken, sdpa_kernel(SDPBackend.MATH):
            dense.attend(*inputs)
        ratios.append(taken.count / n**2)
    return Evidence.exactly(
        ratios,
        expected=1,
        unit="number into the softmax for each pair",
        how="numbers that go into PyTorch's softmax, n = 64, 97 and 4096",
    )


@evidence()
def memory_is_linear_in_tiles() -> Evidence:
    """The peak of live memory, there and back: equal steps in n take equal steps in bytes."""
    peaks = []
    for n in range(256, 1281, 256):
        inputs = [torch.empty(1, n, 64, device="meta", requires_grad=True) for _ in range(3)]
        with PeakMemory() as memory:
            online_softmax.attend(*inputs).backward(torch.empty(1, n, 64, device="meta"))
        peaks.append(memory.peak)
    return Evidence.exactly(
        np.diff(peaks, 2).tolist(),
        expected=0,
        unit="bytes, the second difference",
        how="peak of live tensors, forward and backward, n = 256 to 1280",
    )


# --- Traffic ----------------------------------------------------------------------------------


class Chip:
    """Fast memory of a limited size. It counts every number that crosses its border."""

    def __init__(self, size: float = math.inf):
        self.size, self.held, self.most, self.moved = size, 0, 0, 0

    def hold(self, x: np.ndarray) -> np.ndarray:
        """Make room for numbers that are computed on the chip."""
        self.held += x.size
        self.most = max(self.most, self.held)
        if self.held > self.size:
            raise MemoryError(f"{self.held} numbers on a chip that holds {self.size}")
        return x

    def load(self, x: np.ndarray) -> np.ndarray:
        """Bring numbers in from memory."""
        self.moved += x.size
        return self.hold(x)

    def store(self, x: np.ndarray) -> np.ndarray:
        """Write numbers out to memory; they stay on the chip until they are dropped."""
        self.moved += x.size
        return x

    def drop(self, *arrays: np.ndarray) -> None:
        """Free the room of numbers that are no longer needed."""
        self.held -= sum(x.size for x in arrays)


def tiled_attention(q: np.ndarray, k: np.ndarray, v: np.ndarray, chip: Chip, rows: int):
    """Attention on (n, d) arrays with ``rows`` queries on the chip, while keys pass one by one."""
    out = np.empty_like(q)
    for start in range(0, len(q), rows):
        tile = chip.load(q[start : start + rows])
        mix, total = chip.hold(np.zeros_like(tile)), chip.hold(np.zeros(len(tile)))
        top = chip.hold(np.full(len(tile), -np.inf))
        for key, value in zip(k, v, strict=True):
            score = chip.hold(tile @ chip.load(key) / np.sqrt(len(key)))
            new_top = np.maximum(top, score)
            keep, add = np.exp(top - new_top), np.exp(score - new_top)
            mix[:] = keep[:, None] * mix + np.outer(add, chip.load(value))
            total[:], top[:] = keep * total + add, new_top
            chip.drop(score, key, value)
        out[start : start + rows] = chip.store(mix / total[:, None])
        chip.drop(tile, mix, total, top)
    return out


def plain_attention(q: np.ndarray, k: np.ndarray, v: np.ndarray, chip: Chip, rows: int):
    """Attention on (n, d) arrays as three kernels, all scores going to memory in between."""
    n, d = q.shape
    groups = [slice(start, start + rows) for start in range(0, n, rows)]
    scores, weights, out = np.empty((n, n)), np.empty((n, n)), np.empty_like(q)
    for group in groups:  # the scores
        tile = chip.load(q[group])
        for j in range(n):
            column = chip.hold(tile @ chip.load(k[j]) / np.sqrt(d))
            scores[group, j] = chip.store(column)
            chip.drop(k[j], column)
        chip.drop(tile)
    for i in range(n):  # the softmax
        row = np.exp(chip.load(scores[i]) - scores[i].max())
        weights[i] = chip.store(row / row.sum())
        chip.drop(row)
    for group in groups:  # mixing
        mix = chip.hold(np.zeros_like(q[group]))
        for j in range(n):
            column = chip.load(weights[group, j])
            mix += np.outer(column, chip.load(v[j]))
            chip.drop(column, v[j])
        out[group] = chip.store(mix)
        chip.drop(mix)
    return out


SHAPES = ((96, 8, 4), (96, 8, 32), (128, 16, 64), (64, 16, 64), (40, 4, 100))  # n, d, rows


def _chip_that_just_fits(attention, moved, on_chip, *, row: bool) -> Evidence:
    """Numbers that cross the border of a chip as large as derived: counted against derived."""
    differences = []
    for n, d, rows in SHAPES:
        inputs, rows = np.random.default_rng(0).standard_normal((3, n, d)), min(rows, n)
        # A plain softmax wants a whole row of scores on the chip.
        chip = Chip(max(on_chip(B=rows, d=d), n if row else 0))
        gap = np.abs(attention(*inputs, chip, rows) - dense.define(*inputs)).max()
        if gap > 1e-12:
            raise ArithmeticError(f"this attention is off by {gap}")
        differences += [chip.moved - moved(n=n, d=d, B=rows), chip.most - chip.size, chip.held]
    return Evidence.exactly(
        differences,
        expected=0,
        unit="numbers of difference",
        how="a simulated chip that counts what it moves and refuses what does not fit, "
        f"{len(SHAPES)} shapes",
    )


@evidence()
def tiles_move_what_the_formula_says() -> Evidence:
    """Traffic and size of chip, tile by tile."""
    derived = derivations.TILED, derivations.TILE_ON_CHIP
    return _chip_that_just_fits(tiled_attention, *derived, row=False)


@evidence()
def plain_kernels_move_what_the_formula_says() -> Evidence:
    """The same for three kernels with all scores in memory between them."""
    derived = derivations.MATERIALISED, derivations.PLAIN_ON_CHIP
    return _chip_that_just_fits(plain_attention, *derived, row=True)


# --- The running maximum ------------------------------------------------------------------------


def changes(scores: np.ndarray) -> np.ndarray:
    """Where the running maximum of each row changes: booleans of the shape of ``scores``."""
    running = np.maximum.accumulate(scores, axis=-1)
    first = np.ones_like(scores[..., :1], dtype=bool)
    return np.concatenate([first, running[..., 1:] > running[..., :-1]], axis=-1)


def attention_scores(seed: int, rows: int, n: int, d: int = 64) -> np.ndarray:
    """Scores of ``rows`` random queries against the same n random keys."""
    rng = np.random.default_rng(seed)
    return rng.standard_normal((rows, d)) @ rng.standard_normal((n, d)).T


@evidence()
def maximum_changes_as_often_as_a_harmonic_number(n: int = 4096, seeds: int = 30) -> Evidence:
    """Changes of a row's running maximum, of random scores, against the harmonic number."""
    means = [changes(attention_scores(seed, 64, n)).sum(-1).mean() for seed in range(seeds)]
    return Evidence(
        value=float(np.mean(means)),
        expected=float(derivations.ROW_CHANGES.numpy(n=n)),
        tolerance=float(3 * np.std(means, ddof=1) / np.sqrt(seeds)),
        unit="changes a row",
        how=f"q·k of standard normal entries, n = {n}, 64 rows, {seeds} seeds; ± 3 standard errors",
    )


def changed_blocks(scores: np.ndarray, keys: int) -> np.ndarray:
    """In which blocks of ``keys`` the running maximum of each row changes: (rows, blocks)."""
    return np.any(changes(scores).reshape(len(scores), -1, keys), axis=-1)


@evidence()
def nearly_every_block_changes_some_row(
    n: int = 4096, rows: int = 128, keys: int = 128, seeds: int = 10
) -> Evidence:
    """Of the blocks of keys that pass a tile, those that bring a new maximum to one row or more."""
    drawn = [changed_blocks(attention_scores(seed, rows, n), keys) for seed in range(seeds)]
    counts = [int(changed.any(0).sum()) for changed in drawn]
    one_row = np.mean([changed.sum(-1).mean() for changed in drawn])
    return Evidence(
        value=min(counts),
        expected=n // keys / 2,
        tolerance=max(counts) - min(counts),
        unit=f"of {n // keys} blocks",
        how=f"q·k of standard normal entries, blocks of {keys} keys, tile of {rows} rows, least of "
        f"{seeds} seeds, margin: their range; for a single row it is {one_row:.1f}",
        relation=">",
    )
