"""Evidence on the softmax: what it adds to the arithmetic, to memory, and to traffic."""

import functools
import itertools
import math
from collections.abc import Callable

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from attention_limits.attention import linear, online_softmax
from attention_limits.chapters.quadratic_cost.derivations import softmax as derivations
from attention_limits.evidence import Evidence, evidence
from attention_limits.experiments.scaling import written_out
from attention_limits.meters import PeakMemory, Touched

Attention = Callable[..., torch.Tensor]

# --- Arithmetic -------------------------------------------------------------------------------


def softmax_of_differences(scores: torch.Tensor, dim: int) -> torch.Tensor:
    """A softmax from all differences of scores: right, with no maximum, and cubic in all.

    1 / Σ exp(s_l − s_j) is the weight of key j: n exponentials for each weight.
    """
    scores = scores.movedim(dim, -1)
    weights = 1 / (scores[..., None, :] - scores[..., :, None]).exp().sum(-1)
    return weights.movedim(-1, dim)


def softmax_through_an_identity(scores: torch.Tensor, dim: int) -> torch.Tensor:
    """A softmax times the identity: right, n² numbers touched, and n³ products within."""
    weights = scores.movedim(dim, -1).softmax(-1)
    return (weights @ torch.eye(weights.shape[-1]).to(weights)).movedim(-1, dim)


@evidence(
    rivals={
        "a softmax of all differences": dict(softmax=softmax_of_differences),
        "a softmax times the identity matrix": dict(softmax=softmax_through_an_identity),
    }
)
def softmax_works_in_proportion_to_pairs(softmax: Attention = torch.softmax) -> Evidence:
    """Numbers that every operation of a softmax touches, and FLOPs of products, at twice n."""

    def work(n: int) -> int:
        with Touched() as touched, FlopCounterMode(display=False) as counter:
            softmax(torch.empty(n, n, device="meta"), dim=-1)
        return touched.count + counter.get_total_flops()

    return Evidence.exactly(
        [work(2 * n) / work(n) for n in (64, 97, 512)],
        expected=4,
        unit="× the work at twice the length",
        how="numbers that all operations of a softmax of n × n scores read and write, and FLOPs of "
        "its products of matrices, n = 64, 97 and 512",
    )


def each_score_twice(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, block: int = 128):
    """Exact attention in tiles that first sum all exponentials, then compute all scores again."""
    Q, K, V = (x.split(block, dim=-2) for x in (q, k, v))
    scale, out = q.shape[-1] ** -0.5, []
    for tile in Q:
        parts = [(tile @ near.mT * scale).logsumexp(-1, keepdim=True) for near in K]
        whole = torch.cat(parts, -1).logsumexp(-1, keepdim=True)
        pairs = zip(K, V, strict=True)
        out.append(sum((tile @ near.mT * scale - whole).exp() @ value for near, value in pairs))
    return torch.cat(out, -2)


@evidence(
    rivals={
        "linear attention": dict(attend=linear.attend),
        "tiles that compute each score twice": dict(attend=each_score_twice),
    }
)
def tiles_save_no_flops(attend: Attention = online_softmax.attend) -> Evidence:
    """FLOPs of the products in tiles, over the 4n²d of attention that is written out."""
    shares = []
    for n, d in ((256, 64), (300, 32), (512, 128)):
        inputs = [torch.empty(1, n, d, device="meta") for _ in range(3)]
        with FlopCounterMode(display=False) as counter:
            attend(*inputs)
        shares.append(counter.get_total_flops() / (4 * n**2 * d))
    return Evidence.exactly(
        shares,
        expected=1,
        unit="× 4n²d",
        how="FLOPs that PyTorch counts (FlopCounterMode) in an online softmax in "
        "tiles of 128, n = 256, 300 and 512",
    )


# --- Memory -----------------------------------------------------------------------------------


def under_a_square_mask(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """The same tiles under a mask that hides nothing, and holds a byte for each pair."""
    everything = torch.ones(q.shape[-2], k.shape[-2], dtype=torch.bool, device=q.device)
    return online_softmax.attend(q, k, v, mask=everything)


def after_a_square(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, dtype: torch.dtype
) -> torch.Tensor:
    """The same tiles, after one n × n tensor that is made and freed at once."""
    q.new_empty(q.shape[-2], k.shape[-2], dtype=dtype)
    return online_softmax.attend(q, k, v)


@evidence(
    rivals={
        "the same tiles under one n × n mask": dict(attend=under_a_square_mask),
        "one n × n mask of a byte a pair, freed before the tiles": dict(
            attend=functools.partial(after_a_square, dtype=torch.bool)
        ),
        "one n × n tensor in 16 bits, freed before the tiles": dict(
            attend=functools.partial(after_a_square, dtype=torch.bfloat16)
        ),
        "attention with its scores written out": dict(attend=written_out),
    }
)
def memory_is_linear_in_tiles(attend: Attention = online_softmax.attend) -> Evidence:
    """The peak of live memory, forward and backward: equal steps in n, equal steps in bytes.

    The head is so narrow that the smallest square is larger than all that is linear.
    """
    peaks = []
    for n in (768, 896, 1024):
        inputs = [torch.empty(1, n, 8, device="meta", requires_grad=True) for _ in range(3)]
        with PeakMemory() as memory:
            attend(*inputs).backward(torch.empty(1, n, 8, device="meta"))
        peaks.append(memory.peak)
    return Evidence.exactly(
        np.diff(peaks, 2).tolist(),
        expected=0,
        unit="bytes, the second difference",
        how="peak of live tensors, forward and backward, n = 768 to 1,024, d = 8",
    )


# --- Traffic ----------------------------------------------------------------------------------


class Chip(PeakMemory):
    """On-chip memory of a limited size, and the traffic between it and the memory outside.

    Within ``with chip:`` all that an operation makes is on the chip for as long as anything refers
    to it, temporaries included; PyTorch itself says what that is. Numbers come in by ``load`` and
    leave by ``store``, which count them. An operation on anything else is refused, and so is what
    does not fit. It has no cache: what is loaded twice counts twice.
    """

    def __init__(self, size: float = math.inf, number: int = 8):
        super().__init__()
        self.size, self.number, self.moved, self.crossing = size, number, 0, False

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        if not (function.is_view or self.crossing):
            for x in args:
                if isinstance(x, torch.Tensor) and x.untyped_storage()._cdata not in self.alive:
                    raise LookupError(f"{function} must read what is on the chip; load it first")
        result = super().__torch_dispatch__(function, types, args, kwargs)
        if self.most > self.size:
            raise MemoryError(f"{self.most} numbers on a chip that holds {self.size}")
        return result

    @property
    def most(self) -> int:
        """The most numbers that it held at once."""
        return self.peak // self.number

    def load(self, x: torch.Tensor) -> torch.Tensor:
        """Bring numbers in."""
        return self._cross(x, x.clone)

    def store(self, x: torch.Tensor, target: torch.Tensor) -> None:
        """Write numbers out; they stay on the chip until nothing refers to them."""
        self._cross(x, lambda: target.copy_(x))

    def _cross(self, x: torch.Tensor, move: Callable[[], torch.Tensor]) -> torch.Tensor:
        self.moved, self.crossing = self.moved + x.numel(), True
        try:
            return move()
        finally:
            self.crossing = False


def one_key(
    chip: Chip,
    tile: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    top: torch.Tensor,
    total: torch.Tensor,
    mix: torch.Tensor,
) -> torch.Tensor:
    """A key and its value pass a tile of queries: the new maxima; all else changes in place."""
    score = tile @ chip.load(key)
    higher = torch.maximum(top, score)
    keep, add = top.sub_(higher).exp_(), score.sub_(higher).exp_()
    total.mul_(keep).add_(add)
    mix.mul_(keep[:, None]).addr_(add, chip.load(value))
    return higher


def one_key_with_a_temporary(chip, tile, key, value, top, total, mix):
    """The same, but the outer product is written down before it is added."""
    score = tile @ chip.load(key)
    higher = torch.maximum(top, score)
    keep, add = top.sub_(higher).exp_(), score.sub_(higher).exp_()
    total.mul_(keep).add_(add)
    mix.mul_(keep[:, None]).add_(torch.outer(add, chip.load(value)))
    return higher


def _in_tiles(one_tile, q, k, v, chip: Chip, rows: int) -> torch.Tensor:
    """Attention on (n, d), a tile of ``rows`` queries after the other."""
    out = torch.empty_like(q)
    with chip:
        for queries, target in zip(q.split(rows), out.split(rows), strict=True):
            one_tile(chip, queries, k, v, target)
    return out


def tiled(q, k, v, chip: Chip, rows: int, step=one_key) -> torch.Tensor:
    """Attention on (n, d), ``rows`` queries on the chip at a time, while keys pass one by one."""
    return _in_tiles(functools.partial(_one_tile, step=step), q, k, v, chip, rows)


def _one_tile(chip, queries, k, v, target, step):
    tile = chip.load(queries).mul_(queries.shape[-1] ** -0.5)
    mix, total = torch.zeros_like(tile), torch.zeros_like(tile[:, 0])
    top = torch.full_like(total, -math.inf)
    for key, value in zip(k, v, strict=True):
        top = step(chip, tile, key, value, top, total, mix)
    chip.store(mix.div_(total[:, None]), target)


def reloading(q, k, v, chip: Chip, rows: int) -> torch.Tensor:
    """Tiles that leave their queries in memory, and load them again for every key."""
    return _in_tiles(_one_tile_anew, q, k, v, chip, rows)


def _one_tile_anew(chip, queries, k, v, target):
    mix = torch.zeros(queries.shape, dtype=queries.dtype, device=queries.device)
    total = torch.zeros_like(mix[:, 0])
    top = torch.full_like(total, -math.inf)
    for key, value in zip(k, v, strict=True):
        tile = chip.load(queries).mul_(queries.shape[-1] ** -0.5)
        top = one_key(chip, tile, key, value, top, total, mix)
        del tile
    chip.store(mix.div_(total[:, None]), target)


def two_passes(q, k, v, chip: Chip, rows: int) -> torch.Tensor:
    """Tiles whose softmax reads all keys for the maxima and sums, and again for the weights."""
    return _in_tiles(_one_tile_twice, q, k, v, chip, rows)


def _one_tile_twice(chip, queries, k, v, target):
    tile = chip.load(queries).mul_(queries.shape[-1] ** -0.5)
    mix, total = torch.zeros_like(tile), torch.zeros_like(tile[:, 0])
    top = torch.full_like(total, -math.inf)
    for key in k:
        top = _maximum_and_sum(tile @ chip.load(key), top, total)
    for key, value in zip(k, v, strict=True):
        mix.addr_((tile @ chip.load(key)).sub_(top).exp_(), chip.load(value))
    chip.store(mix.div_(total[:, None]), target)


def _maximum_and_sum(score, top, total):
    higher = torch.maximum(top, score)
    total.mul_(top.sub_(higher).exp_()).add_(score.sub_(higher).exp_())
    return higher


def without_softmax(q, k, v, chip: Chip, rows: int) -> torch.Tensor:
    """The two products alone, (QKᵀ/√d) V, in tiles."""
    return _in_tiles(_one_bare_tile, q, k, v, chip, rows)


def _one_bare_tile(chip, queries, k, v, target):
    tile = chip.load(queries).mul_(queries.shape[-1] ** -0.5)
    mix = torch.zeros_like(tile)
    for key, value in zip(k, v, strict=True):
        mix.addr_(tile @ chip.load(key), chip.load(value))
    chip.store(mix, target)


def plain(q, k, v, chip: Chip, rows: int) -> torch.Tensor:
    """Attention on (n, d) as three kernels, all scores going to memory in between."""
    scores, weights = (q.new_empty(len(q), len(k)) for _ in range(2))
    out = torch.empty_like(q)
    with chip:
        for queries, group in zip(q.split(rows), scores.split(rows), strict=True):
            _some_scores(chip, queries, k, group)
        for row, target in zip(scores, weights, strict=True):
            _one_softmax(chip, row, target)
        for group, target in zip(weights.split(rows), out.split(rows), strict=True):
            _some_mixing(chip, group, v, target)
    return out


def _some_scores(chip, queries, k, group):
    tile = chip.load(queries).mul_(queries.shape[-1] ** -0.5)
    for key, column in zip(k, group.mT, strict=True):
        chip.store(tile @ chip.load(key), column)


def _one_softmax(chip, row, target):
    row = chip.load(row)
    row.sub_(row.max()).exp_()
    chip.store(row.div_(row.sum()), target)


def _some_mixing(chip, group, v, target):
    mix = torch.zeros(target.shape, dtype=target.dtype, device=target.device)
    for column, value in zip(group.mT, v, strict=True):
        mix.addr_(chip.load(column), chip.load(value))
    chip.store(mix, target)


def random_inputs(n: int, d: int) -> tuple[torch.Tensor, ...]:
    """Queries, keys and values of one head."""
    generator = torch.Generator().manual_seed(0)
    return tuple(torch.randn(3, n, d, generator=generator, dtype=torch.float64))


def most_rows(attention: Attention, size: int, d: int) -> int:
    """The most rows that the program can take on a chip of this size: found by trying."""

    def fits(rows: int) -> bool:
        q, k, v = random_inputs(rows, d)
        try:
            attention(q, k[:2], v[:2], Chip(size), rows)
        except MemoryError:
            return False
        return True

    low, high = 1, size  # fits, does not fit
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low


def moved(attention: Attention, size: int, n: int, d: int) -> int:
    """The numbers that the program moves, with as many rows as fit on a chip of this size."""
    chip = Chip(size)
    attention(*random_inputs(n, d), chip, most_rows(attention, size, d))
    return chip.moved


with_a_temporary = functools.partial(tiled, step=one_key_with_a_temporary)


@evidence(
    rivals={
        "tiles that load their queries again for every key": dict(attention=reloading),
        "tiles that write down one outer product": dict(attention=with_a_temporary),
    }
)
def tiles_move_what_was_derived(attention: Attention = tiled) -> Evidence:
    """Traffic in tiles on chips of many sizes, as many rows at a time as fit, over the formula."""
    ratios = []
    for size, n, d in ((70, 33, 4), (300, 45, 8), (700, 45, 8)):
        rows = derivations.TILE_ROWS(M=size, d=d)
        ratios.append(moved(attention, size, n, d) / derivations.TILED(n=n, d=d, B=rows))
    return Evidence.exactly(
        ratios,
        expected=1,
        unit="× derived",
        how="numbers loaded and stored on a simulated chip that counts every temporary and refuses "
        "what does not fit, 3 sizes, n no multiple of the rows",
    )


def passing(attention: Attention, size: int, d: int, keys: int = 12) -> float:
    """Numbers of keys and values that pass for each query and key, in a tile of full size.

    A long sequence is many such tiles, and each of them moves as much.
    """
    rows, chip = most_rows(attention, size, d), Chip(size)
    q, k, v = random_inputs(max(rows, keys), d)
    attention(q[:rows], k[:keys], v[:keys], chip, rows)
    return (chip.moved - 2 * rows * d) / (rows * keys)


@evidence(
    rivals={
        "a softmax that reads all keys twice": dict(attention=two_passes),
        "tiles that write down one outer product": dict(attention=with_a_temporary),
    }
)
def softmax_moves_little_of_its_own(attention: Attention = tiled) -> Evidence:
    """Keys and values that pass with the softmax, over those of the two products alone.

    Rows are whole, so the ratio is off by a part in as many as fit: two hundred or more.
    """
    ratios = []
    for d in (4, 8, 16):
        size = int(derivations.TILE_ON_CHIP(B=200, d=d))
        with_it, alone = (passing(f, size, d) for f in (attention, without_softmax))
        ratios.append(with_it / alone / derivations.SOFTMAX_TRAFFIC(d=d))
    return Evidence(
        value=max(ratios, key=lambda ratio: abs(ratio - 1)),
        expected=1,
        tolerance=0.01,
        unit="× (2d + 4)/(2d + 1)",
        how="traffic of keys and values for each query in full tiles, with and without a softmax, "
        "on a simulated chip for about 200 rows, d = 4, 8 and 16; the furthest of 3",
    )


@evidence(rivals={"tiles that load their queries again for every key": dict(attention=reloading)})
def plain_kernels_move_more_on_the_same_chip(
    attention: Attention = tiled, n: int = 48, d: int = 8, size: int = 256
) -> Evidence:
    """Traffic of three plain kernels over that of tiles, on a chip of 4d² numbers."""
    return Evidence(
        value=moved(plain, size, n, d) / moved(attention, size, n, d),
        expected=1,
        tolerance=0,
        unit="× the traffic of tiles",
        how=f"simulated chip of {size} = 4d² numbers, n = {n}, d = {d}, each program with as many "
        "rows as fit",
        relation=">",
    )


# --- The running maximum ------------------------------------------------------------------------


def changes(scores: np.ndarray) -> np.ndarray:
    """Where the running maximum of each row changes: booleans of the shape of ``scores``."""
    running = np.maximum.accumulate(scores, axis=-1)
    first = np.ones_like(scores[..., :1], dtype=bool)
    return np.concatenate([first, running[..., 1:] > running[..., :-1]], axis=-1)


def attention_scores(seed: int, rows: int, n: int, d: int = 64, memory: float = 0) -> np.ndarray:
    """Scores of ``rows`` random queries against the same n random keys.

    With ``memory``, a key is so many times the key before it, plus noise: keys of one length that
    resemble their neighbours.
    """
    rng = np.random.default_rng(seed)
    queries, keys = rng.standard_normal((rows, d)), rng.standard_normal((n, d))
    if memory:
        keys[1:] *= math.sqrt(1 - memory**2)
        for before, key in itertools.pairwise(keys):
            key += memory * before
    return queries @ keys.T / math.sqrt(d)


@evidence(rivals={"keys that resemble their neighbours (correlation .9)": dict(memory=0.9)})
def maximum_changes_as_often_as_a_harmonic_number(
    n: int = 4096, seeds: int = 30, memory: float = 0
) -> Evidence:
    """Changes of a row's running maximum, of random scores, against the harmonic number."""
    drawn = (changes(attention_scores(seed, 64, n, memory=memory)) for seed in range(seeds))
    means = [changed.sum(-1).mean() for changed in drawn]
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


def blocks_with_a_change(
    sink: float, n: int = 4096, rows: int = 128, keys: int = 128, seeds: int = 10
) -> tuple[list[int], str]:
    """Blocks that bring a new maximum to a row of the tile or more, each seed; and how counted.

    ``sink`` is added to every row's score of the first key.
    """
    counts = []
    for seed in range(seeds):
        scores = attention_scores(seed, rows, n)
        scores[:, 0] += sink
        counts.append(int(changed_blocks(scores, keys).any(0).sum()))
    first = f", the first key's scores raised by {sink:g}" if sink else ""
    how = f"q·k/√d of standard normal entries{first}, n = {n}, blocks of {keys} keys, tile of "
    return counts, how + f"{rows} rows, {seeds} seeds"


def mean_and_error(counts: list[int]) -> tuple[float, float]:
    """The mean of a few counts, and three standard errors of it."""
    return float(np.mean(counts)), float(3 * np.std(counts, ddof=1) / math.sqrt(len(counts)))


@evidence(rivals={"an attention sink, 5 above the others, as first key": dict(sink=5.0)})
def in_random_order_nearly_every_block_changes_some_row(sink: float = 0) -> Evidence:
    """Blocks of keys that bring a new maximum to at least one row of a tile: random order."""
    counts, how = blocks_with_a_change(sink)
    mean, error = mean_and_error(counts)
    return Evidence(
        value=mean,
        expected=0.9 * 32,
        tolerance=error,
        unit="of 32 blocks, the mean",
        how=f"{how}; margin: 3 standard errors",
        relation=">",
    )
