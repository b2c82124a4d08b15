"""How fast this package is next to its peers, in one run, so that ratios mean something.

Conventions:

- All of a group, and a square product of matrices that shows the machine's peak, take turns: once
  each, then once each again. A ratio is one median over another.
- "forward" computes the output and no gradient; "forward+backward" the output and the gradients of
  all inputs. Masks, layouts and modules that a model makes once are made outside the clock.
- Useful FLOPs are those that the equation needs, ``cost().needed``, whatever is executed. The
  backward pass has two products for each of the forward pass, so both together count three times
  as many.
- The meter of memory sees what operations make, outputs included, inputs and masks not, and nothing
  of what a kernel holds within itself; of compiled code it would see nothing, so there it is off.
- Before anything is timed, everyone is held to what it should equal. What nobody else computes has
  its proof in the tests of the mechanism.
"""

import functools
import math
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field

import torch

from attention_limits.checks import Plain
from attention_limits.experiments.speed import peers, resident
from attention_limits.experiments.speed.contests import GROUPS, SEQUENCES, Contestant, draw
from attention_limits.experiments.speed.sizes import Sizes
from attention_limits.meters import PeakMemory
from attention_limits.progress import Progress, silent
from attention_limits.runs import provenance, timing

COLUMNS = ("group", "contestant", "work", "n", "quantity", "repeat", "value")
TIMED = True
WORKS = ("forward", "forward+backward")
QUANTITIES = ("missing", "difference", "flops", "bytes", "seconds", "resident")
PACKAGES = tuple(peers.PACKAGES)  # whose versions the provenance of a run has to tell
PRODUCT = "square product"  # everyone's yardstick, in each group
BACKWARD = 3  # times the FLOPs of the forward pass, that included
TOLERANCE = 1e-4  # of values near 1, in float32
WARM = 0.5  # seconds: who takes longer is warm after one call, that of the meter


class DisagreementError(ValueError):
    """A contestant that computes something else than what it is compared with."""


@dataclass(frozen=True)
class Config(Plain):
    """What a run depends on, the machine aside.

    Args:
        groups: names of ``GROUPS``.
        lengths: numbers of tokens, ascending.
        sizes: everything else that has a size.
        product: rows of the square matrices whose product shows the peak.
        repeats: how often each is timed at most; 0 leaves the clock alone.
        budget_seconds: one whose repeats have taken as long together is timed no further.
        patience_seconds: a call that should take longer, as it grew so far, is not made.
        compiled: whether what takes a compiler takes part.
        million: tokens of one head whose peak of resident memory is measured; 0 for none.
        device: where.
        threads: how many threads of a CPU compute.
        seed: of the numbers that go in.

    Raises:
        ValueError: naming ``groups`` or ``lengths``.
    """

    groups: tuple[str, ...] = SEQUENCES
    lengths: tuple[int, ...] = (1024, 4096, 16384, 65536)
    sizes: Sizes = field(default_factory=Sizes)
    product: int = 1024
    repeats: int = 7
    budget_seconds: float = 3.0
    patience_seconds: float = 10.0
    compiled: bool = True
    million: int = 2**20
    device: str = "cpu"
    threads: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.groups or set(self.groups) - set(GROUPS):
            known = ", ".join(GROUPS)
            raise ValueError(f"groups must be one or more of {known}, got {self.groups}")
        if not self.lengths or list(self.lengths) != sorted(set(self.lengths)):
            raise ValueError(f"lengths must be one or more, ascending, got {self.lengths}")
        of_images = any(GROUPS[name].square for name in self.groups)
        if of_images and any(math.isqrt(n) ** 2 != n for n in self.lengths):
            raise ValueError(f"lengths must be squares for images, got {self.lengths}")


_SMALL = Sizes(heads=2, d=16, window=16, block=16, period=16)
PRESETS = {
    "smoke": Config(
        lengths=(256, 512), sizes=_SMALL, product=64, repeats=2, compiled=False, million=0
    ),
    "book": Config(lengths=(1024,), repeats=0, compiled=False, million=0),
    "full": Config(),
}
DURATIONS = {"smoke": "a few seconds", "book": "about ten seconds", "full": "about eight minutes"}


def measure(config: Config, progress: Progress | None = None) -> Iterator[dict]:
    """Hold everyone to what it should compute, then time and meter them; rows as they come.

    Who is missing, too slow or too large is named: ``progress`` is told.

    Raises:
        DisagreementError: if one computes something else than it should.
    """
    progress = progress or silent
    present = {}
    for name in config.groups:
        present[name] = yield from _present(name, config, progress)
    progress(0.0, "does everyone compute what it should?")
    for name, contestants in present.items():
        for contestant in contestants:
            yield from _verified(name, contestant, config)
    yield from _resident(config, progress)
    stages = len(present) * len(config.lengths)
    for number, (name, contestants) in enumerate(present.items()):
        growing = [_Entry(c.name, w, c) for c in contestants for w in WORKS[: 1 + c.trains]]
        for step, n in enumerate(config.lengths):
            done = (number * len(config.lengths) + step) / stages
            progress(done, f"{name}, n = {n:,}")
            growing = _fitting(growing, n, config, progress)
            growing = yield from _contest(name, growing, n, config, progress)


def _present(
    name: str, config: Config, progress: Progress
) -> Generator[dict, None, list[Contestant]]:
    """Those of a group that are here; the others are named."""
    here = []
    for contestant in GROUPS[name].contestants:
        left_out = contestant.needs == peers.COMPILER and not config.compiled
        if left_out or not peers.is_here(contestant.needs):
            why = "left out" if left_out else f"there is no {contestant.needs}"
            progress(None, f"{name}: {contestant.name} is not measured ({why})")
            yield _row(name, contestant.name, "forward", 0, "missing", 0, 1)
        else:
            here.append(contestant)
    return here


def _verified(name: str, contestant: Contestant, config: Config) -> Iterator[dict]:
    """The largest difference from what it should equal, at the shortest length."""
    if contestant.same is None:
        return
    n, sizes = config.lengths[0], config.sizes
    given = draw(GROUPS[name], sizes, n, config.seed, config.device)
    with torch.inference_mode():
        found, expected = (
            prepare(sizes, n, config.device)(*given)
            for prepare in (contestant.prepare, contestant.same)
        )
    difference = float((found - expected).abs().max())
    if not difference <= TOLERANCE:  # a NaN is no agreement
        raise DisagreementError(
            f"{contestant.name} must compute what the group {name} compares, "
            f"got values that are off by {difference:.2g} at n = {n:,}"
        )
    yield _row(name, contestant.name, "forward", n, "difference", 0, difference)


def _resident(config: Config, progress: Progress) -> Iterator[dict]:
    """What a process of its own holds for a very long sequence; who does not fit is named."""
    for name in resident.MECHANISMS if config.million else ():
        progress(0.0, f"{name}, n = {config.million:,}")
        try:
            peak = resident.peak_bytes(name, config.million, config.sizes.d)
        except MemoryError:
            progress(None, f"{name} does not fit into memory at n = {config.million:,}")
        else:
            yield _row("million", name, "forward", config.million, "resident", 0, peak)


# --- one length ---------------------------------------------------------------------------------


@dataclass(eq=False)
class _Entry:
    """Somebody at one kind of work, with what it took so far: by length, the longest last."""

    name: str
    work: str
    contestant: Contestant | None = None
    seconds: dict[int, float] = field(default_factory=dict)
    bytes: dict[int, float] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.name}, {self.work},"


def _expected(history: dict[int, float], n: int) -> float:
    """What n tokens should take, if growth goes on as it did; the square, as long as none did."""
    if not history:
        return 0.0
    *before, (longest, value) = history.items()
    power = 2.0
    if before and value and before[-1][1]:
        shorter, less = before[-1]
        power = min(2.0, max(1.0, math.log(value / less) / math.log(longest / shorter)))
    return value * (n / longest) ** power


def _fitting(entries: Sequence[_Entry], n: int, config: Config, progress: Progress) -> list[_Entry]:
    """Those who should end in time, and within the memory that is free."""
    free, fitting = provenance.free_bytes(config.device), []
    for entry in entries:
        seconds, size = (_expected(history, n) for history in (entry.seconds, entry.bytes))
        if seconds > config.patience_seconds:
            progress(None, f"{entry} stops before n = {n:,}, which should take {seconds:.0f} s")
        elif free is not None and size > free:
            progress(None, f"{entry} stops before n = {n:,}, which does not fit into memory")
        else:
            fitting.append(entry)
    return fitting


def _contest(
    name: str, entries: Sequence[_Entry], n: int, config: Config, progress: Progress
) -> Generator[dict, None, list[_Entry]]:
    """Meter each, then time all in turn, so that a disturbance of the machine meets everyone."""
    group = GROUPS[name]
    ready: dict[_Entry, Callable[[], object]] = {}
    given = draw(group, config.sizes, n, config.seed, config.device)
    prepare = functools.cache(lambda made: made.prepare(config.sizes, n, config.device))
    for entry in entries:
        contestant, work = entry.contestant, entry.work
        assert contestant is not None  # the product alone has none
        if contestant.cost:
            flops = useful_flops(contestant, work, n, config.sizes)
            yield _row(name, entry.name, work, n, "flops", 0, flops)
        try:
            ready[entry] = functools.partial(_WAYS[work], prepare(contestant), given)
            if contestant.metered:
                entry.bytes[n] = _peak_bytes(ready[entry])
                yield _row(name, entry.name, work, n, "bytes", 0, entry.bytes[n])
        except RuntimeError as error:
            if "memory" not in str(error):
                raise
            ready.pop(entry, None)
            progress(None, f"{entry} stops before n = {n:,}, which does not fit into memory")
    if config.repeats:
        yield from _time_in_turn(name, ready, n, config)
    return list(ready)


def useful_flops(contestant: Contestant, work: str, n: int, sizes: Sizes) -> int:
    """What the equation needs, over all heads."""
    assert contestant.cost is not None  # nobody asks for that of a peer
    needed = contestant.cost(sizes, n).needed(n=n, d=sizes.d)
    return int(needed) * sizes.heads * (1 if work == "forward" else BACKWARD)


def _forward(attend: Callable[..., torch.Tensor], given: Sequence[torch.Tensor]) -> torch.Tensor:
    with torch.no_grad():
        return attend(*given)


def _forward_backward(
    attend: Callable[..., torch.Tensor], given: Sequence[torch.Tensor]
) -> tuple[torch.Tensor, ...]:
    """The gradients of all inputs, of a sum that weighs each output as its value would."""
    with torch.inference_mode(False), torch.enable_grad():
        leaves = [x.detach().requires_grad_() for x in given]
        out = attend(*leaves)
        return torch.autograd.grad(out, leaves, given[2])  # any tensor shaped like the values


_WAYS = dict(zip(WORKS, (_forward, _forward_backward), strict=True))


def _peak_bytes(compute: Callable[[], object]) -> int:
    """The most bytes that one call holds at once."""
    with PeakMemory() as memory:
        compute()
    return memory.peak


def _time_in_turn(
    name: str, ready: dict[_Entry, Callable[[], object]], n: int, config: Config
) -> Iterator[dict]:
    """Rounds in which everyone is timed once, until each has had its repeats or its budget."""
    on = config.device, config.threads
    one = torch.randn(2, config.product, config.product, device=config.device)
    yardstick = _Entry(PRODUCT, WORKS[0])
    yield _row(name, PRODUCT, WORKS[0], n, "flops", 0, 2 * config.product**3)
    computations: dict[_Entry, Callable[[], object]] = {
        yardstick: functools.partial(torch.matmul, *one),
        **ready,
    }
    calls = {
        entry: 1
        if entry.bytes and _expected(entry.seconds, n) > WARM
        else timing.warm_up(compute, *on)
        for entry, compute in computations.items()
    }
    spent = dict.fromkeys(computations, 0.0)
    for repeat in range(config.repeats):
        for entry, compute in computations.items():
            if spent[entry] > config.budget_seconds:
                continue
            seconds = timing.seconds(compute, *on, calls[entry])
            spent[entry] += seconds * calls[entry]
            entry.seconds[n] = min(seconds, entry.seconds.get(n, seconds))
            yield _row(name, entry.name, entry.work, n, "seconds", repeat, seconds)


def _row(
    group: str, contestant: str, work: str, n: int, quantity: str, repeat: int, value: float
) -> dict:
    row = (group, contestant, work, n, quantity, repeat, value)
    return dict(zip(COLUMNS, row, strict=True))
