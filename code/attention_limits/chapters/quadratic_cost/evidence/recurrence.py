"""Evidence on the recurrent network: what n steps cost, how far gradients reach, who forgets.

The networks are random: W_h of independent normal entries with the standard deviation g/√d, g
being the gain, W_x likewise with 1/√d, no bias, inputs independent normal with the standard
deviation ``strength``.  Inputs drive the units towards saturation, where they pass on little: at
strength 1, chaos sets in at about g = 2, earlier where inputs are weaker, later where they are
stronger.  Nothing here is trained.
"""

import functools
import math
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from attention_limits.baselines import recurrent
from attention_limits.evidence import Evidence, evidence
from attention_limits.meters import Touched

SEEDS = range(5)
FLOAT32_KEEPS = 2.0**-24  # what a float32 of size one still notices, if it is added

Network = tuple[torch.Tensor, ...]  # x, w_x, w_h and bias, as ``recurrent.apply`` takes them


def network(seed: int, *, n: int, d: int, gain: float, strength: float = 1.0) -> Network:
    """A random network and its inputs: x, w_x, w_h and bias, as ``recurrent.apply`` takes them."""
    generator = torch.Generator().manual_seed(seed)

    def normal(rows: int, deviation: float) -> torch.Tensor:
        return deviation * torch.randn(rows, d, generator=generator, dtype=torch.float64)

    w_h, w_x, x = normal(d, gain / d**0.5), normal(d, d**-0.5), normal(n, strength)
    return x, w_x, w_h, torch.zeros(d, dtype=torch.float64)


# --- what n steps cost --------------------------------------------------------------------------


def by_index(
    x: torch.Tensor,
    w_x: torch.Tensor,
    w_h: torch.Tensor,
    bias: torch.Tensor,
    *,
    start: torch.Tensor | None = None,
) -> torch.Tensor:
    """A rival whose states, gradients and FLOPs are right and whose backward pass is quadratic.

    It takes x[t] inside the loop: each step's gradient is written into n × d zeros.
    """
    h, states = torch.zeros_like(bias) if start is None else start, []
    for t in range(len(x)):
        h = (x[t] @ w_x.mT + w_h @ h + bias).tanh()
        states.append(h)
    return torch.stack(states)


def by_copies(
    x: torch.Tensor, w_x: torch.Tensor, w_h: torch.Tensor, bias: torch.Tensor
) -> torch.Tensor:
    """A rival whose states and gradients are right and which keeps W_h once for each step."""
    h, states = torch.zeros_like(bias)[None], []
    for now in (x @ w_x.mT + bias).split(1):
        h = (now + h @ w_h.mT.clone()).tanh()
        states.append(h)
    return torch.cat(states)


def counted(n: int, apply: Callable = recurrent.apply, d: int = 32) -> tuple[int, ...]:
    """FLOPs and touched numbers of n steps, forward, and of all their gradients, backward."""
    shapes = (n, d), (d, d), (d, d), (d,)
    inputs = [torch.empty(shape, device="meta", requires_grad=True) for shape in shapes]
    start = torch.empty(d, device="meta", requires_grad=True)
    with FlopCounterMode(display=False) as flops, Touched() as touched:
        states = apply(*inputs, start=start)
    with FlopCounterMode(display=False) as flops_back, Touched() as touched_back:
        states.backward(torch.empty_like(states))
    return (
        flops.get_total_flops(),
        flops_back.get_total_flops(),
        touched.count,
        touched_back.count,
    )


@evidence(rivals={"a loop that indexes x, whose backward pass is quadratic": dict(apply=by_index)})
def the_work_doubles_when_n_doubles(apply: Callable = recurrent.apply) -> Evidence:
    """By how much the work added by a doubling of n grows at the next: two, forward and backward.

    FLOPs of the matrix products, and the numbers that every operation reads and writes.  What is
    paid once and not for each step cancels.
    """
    counts = np.array([counted(2**power, apply) for power in range(3, 7)])
    added = np.diff(counts, axis=0)
    return Evidence.exactly(
        (added[1:] / added[:-1]).ravel(),
        expected=2,
        unit="× for each doubling",
        how="FLOPs that PyTorch counts (FlopCounterMode) and numbers that all operations read and "
        f"write, n = {2**3} to {2**6}, forward and backward",
    )


@evidence(rivals={"a loop that copies W_h at each step": dict(apply=by_copies)})
def bptt_keeps_the_same_for_every_step(
    apply: Callable = recurrent.apply, longest: int = 64, d: int = 32
) -> Evidence:
    """Numbers that PyTorch keeps for the backward pass, by how many they grow with each step.

    One input and one state, 2d numbers: back-propagation through time is linear in memory too.
    """
    # From the second step on: the first depends on W_h by h_0 = 0 alone, so W_h is not kept.
    kept = [_numbers_kept(apply, n, d) for n in range(2, longest + 1)]
    return Evidence.exactly(
        [later - earlier for earlier, later in pairwise(kept)],
        expected=2 * d,
        unit="numbers kept for one more step",
        how="numbers that PyTorch keeps for the backward pass (saved_tensors_hooks), "
        f"every length from 2 to {longest}, d = {d}",
    )


def _numbers_kept(apply: Callable, n: int, d: int) -> int:
    kept = {}  # by address: what two operations keep is kept once

    def keep(saved: torch.Tensor) -> torch.Tensor:
        storage = saved.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes() // saved.itemsize
        return saved

    inputs = [x.requires_grad_() for x in network(0, n=n, d=d, gain=1.0)]
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda saved: saved):
        states = apply(*inputs)  # noqa: F841 - holds on to what was kept
    return sum(kept.values())


# --- how far gradients reach --------------------------------------------------------------------


def log_gradients(gain: float, *, distance: int, d: int = 64, strength: float = 1.0) -> np.ndarray:
    """The sizes of ∂h_n/∂h_{n−Δ} as logarithms, Δ from 0 to ``distance``, one network a row.

    The first ``distance`` steps are left out: a network that starts at 0 has to warm up.
    """
    rows = []
    for seed in SEEDS:
        x, w_x, w_h, bias = network(seed, n=2 * distance, d=d, gain=gain, strength=strength)
        states = recurrent.apply(x, w_x, w_h, bias)
        rows.append(recurrent.log_gradients(states[distance:], w_h))
    return torch.stack(rows).numpy()


def rates(gain: float, *, distance: int = 200, strength: float = 1.0) -> np.ndarray:
    """By how much the logarithm of the gradient changes a step: the slope of a straight line."""
    logs = log_gradients(gain, distance=distance, strength=strength)
    return np.polyfit(np.arange(distance + 1), logs.T, 1)[0]


@evidence(
    rivals={
        "the same networks at a gain of 1.9": dict(gain=1.9),
        "the same networks at a gain of 4": dict(gain=4.0),
    }
)
def gradient_vanishes_with_distance(gain: float = 1.0) -> Evidence:
    """The rate at which gradients change with distance, where the network contracts: below 0."""
    return _rate(gain, 1.0, "<")


@evidence(
    rivals={
        "the same networks at a gain of 1.9": dict(gain=1.9),
        "the same networks with inputs ten times as strong": dict(strength=10.0),
    }
)
def gradient_explodes_where_the_network_is_chaotic(
    gain: float = 4.0, strength: float = 1.0
) -> Evidence:
    """The rate at which gradients change with distance, where the network is chaotic: above 0."""
    return _rate(gain, strength, ">")


def _rate(gain: float, strength: float, relation: str) -> Evidence:
    found = rates(gain, strength=strength)
    return Evidence(
        value=found.mean(),
        expected=0,
        tolerance=np.ptp(found),
        unit="for each step, in the logarithm of the gradient",
        how=f"fitted over 200 steps, d = 64, gain {gain:g}, inputs of strength {strength:g}; the "
        f"mean of {len(found)} networks, ± their range",
        relation=relation,
    )


def _named(gains: tuple[float, ...]) -> str:
    return f"gain{'s' if gains[1:] else ''} {' and '.join(f'{gain:g}' for gain in gains)}"


def many_time_scales(gain: float, *, distance: int) -> np.ndarray:
    """A rival: units without a tanh, each with a decay of its own, spread evenly over (0, 1).

    Each unit forgets exponentially.  The whole forgets by a power law, about Δ to the −½.
    """
    decays = (np.arange(64) + 0.5) / 64
    left = decays ** np.arange(distance + 1)[:, None]
    return 0.5 * np.log((left**2).mean(-1))[None]


def bent(power: float, gain: float, *, distance: int) -> np.ndarray:
    """A rival: the same networks, noise and all, whose mean course is exp(cΔ^power)."""
    share = np.arange(distance + 1) / distance
    logs = log_gradients(gain, distance=distance)
    return logs + logs[:, -1:] * (share**power - share)


def slowing(gain: float, *, distance: int) -> np.ndarray:
    """A rival: the same networks, whose mean course is a power law, (1 + Δ/200) to some power."""
    steps = np.arange(distance + 1)
    logs = log_gradients(gain, distance=distance)
    return logs + logs[:, -1:] * (
        np.log1p(steps / 200) / np.log1p(distance / 200) - steps / distance
    )


@evidence(
    rivals={
        "units with many time scales, which forget by a power law": dict(logs=many_time_scales),
        "gradients that go as a power of 1 + Δ/200": dict(logs=slowing),
        "gradients that go as exp(cΔ^0.8)": dict(logs=functools.partial(bent, 0.8)),
        "the same networks at a gain of 1.7, near the edge": dict(gains=(1.7,)),
    }
)
def gradients_change_exponentially(
    logs: Callable[..., np.ndarray] = log_gradients,
    distance: int = 200,
    gains: tuple[float, ...] = (1.0, 4.0),
) -> Evidence:
    """Rate of ln(gradient) at the far half of all distances, over that at the near half: one.

    A power law slows down, and so does exp(−√Δ).
    """
    half = distance // 2
    steps = np.arange(half)
    ratios = []
    for gain in gains:
        for row in logs(gain, distance=distance):
            near, far = (np.polyfit(steps, row[s : s + half], 1)[0] for s in (1, half + 1))
            ratios.append(far / near)
    return Evidence(
        value=float(np.mean(ratios)),
        expected=1,
        tolerance=float(3 * np.std(ratios, ddof=1) / len(ratios) ** 0.5),
        unit="× the near half's rate at the far half",
        how=f"straight lines over Δ = 1 to {half} and {half + 1} to {distance}, d = 64, "
        f"{_named(gains)}, strength 1; the mean of {len(ratios)} networks, ± three "
        "standard errors of it",
    )


# --- a carry: a gradient that lasts, between units that saturate ---------------------------------


CARRY = "W_h = [[1, 0], [2000, 0.9]], W_x = diag(1e-4, 1)"


def carry(seed: int, *, n: int = 1024, reads: float = 2000.0, back: float = 0.0) -> Network:
    """Two units: one adds up small inputs and hardly bends, the other reads it 2000-fold and does.

    Nothing is written back to the first, unless ``back`` says so.
    """
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, 2, generator=generator, dtype=torch.float64)
    w_x = torch.diag(torch.tensor([1e-4, 1.0], dtype=torch.float64))
    w_h = torch.tensor([[1.0, back], [reads, 0.9]], dtype=torch.float64)
    return x, w_x, w_h, torch.zeros(2, dtype=torch.float64)


def written_back(back: float, seed: int, *, n: int = 1024) -> Network:
    """A rival: the same two units, the second of which writes to the first."""
    return carry(seed, n=n, back=back)


@evidence(
    rivals={
        "a unit that reads the carry 200-fold": dict(make=functools.partial(carry, reads=200.0))
    }
)
def beside_a_carry_a_unit_saturates(make: Callable[..., Network] = carry) -> Evidence:
    """On which share of all steps the second unit is beyond ±0.9, where it passes on little."""
    bent = []
    for seed in SEEDS:
        x, w_x, w_h, bias = make(seed)
        states = recurrent.apply(x, w_x, w_h, bias)
        bent.append((states[:, 1].abs() > 0.9).double().mean().item())
    return Evidence(
        value=float(np.mean(bent)),
        expected=0.5,
        tolerance=float(np.ptp(bent)),
        unit="of all steps have |h₂| > 0.9",
        how=f"{CARRY}, inputs of strength 1, n = 1024; the mean of {len(bent)} runs, from "
        f"{min(bent):.2f} to {max(bent):.2f}, ± their range",
        relation=">",
    )


@evidence(
    rivals={
        "the same units, if a thousandth is written back": dict(
            make=functools.partial(written_back, 1e-3)
        ),
    }
)
def a_carry_keeps_its_gradient(make: Callable[..., Network] = carry) -> Evidence:
    """What is left of ∂h₁(n)/∂h₁(0) in the same network after 1024 steps."""
    left = []
    for seed in SEEDS:
        x, w_x, w_h, bias = make(seed)
        product = torch.eye(len(w_h), dtype=w_h.dtype)
        for factor in recurrent.jacobians(recurrent.apply(x, w_x, w_h, bias), w_h):
            product = factor @ product
        left.append(product[0, 0].abs().item())
    return Evidence(
        value=min(left),
        expected=0.5,
        tolerance=float(np.ptp(left)),
        unit="of the gradient is left",
        how=f"{CARRY}, inputs of strength 1, n = 1024; the least of {len(left)} runs, ± their "
        "range",
        relation=">",
    )


@evidence(
    rivals={
        "the same units, if a hundredth is written back": dict(
            make=functools.partial(written_back, 1e-2)
        ),
    }
)
def newton_reads_a_carry_in_few_iterations(
    n: int = 1024, make: Callable[..., Network] = carry, newton: Callable = recurrent.newton
) -> Evidence:
    """The most iterations that Newton's method takes for the same network."""
    return _few([make(seed, n=n) for seed in SEEDS], n=n, what=CARRY, newton=newton)


# --- all steps at once --------------------------------------------------------------------------


def run_newton(
    x: torch.Tensor,
    w_x: torch.Tensor,
    w_h: torch.Tensor,
    bias: torch.Tensor,
    *,
    newton: Callable = recurrent.newton,
) -> tuple[float, int]:
    """A network's Lyapunov exponent, and the iterations that Newton's method takes to 1e-8."""
    exponent = recurrent.lyapunov(recurrent.apply(x, w_x, w_h, bias), w_h)
    return exponent.item(), newton(x, w_x, w_h, bias, tolerance=1e-8)[1]


def without_tangents(
    x: torch.Tensor, w_x: torch.Tensor, w_h: torch.Tensor, bias: torch.Tensor, *, tolerance: float
) -> tuple[torch.Tensor, int]:
    """A rival: all steps at once from the last guess, no tangent.  Its states are right.

    An iteration carries what a state knows one step further, so it takes as many as are remembered.
    """
    driven, path, iterations = x @ w_x.mT + bias, x.new_zeros(len(x) + 1, len(w_h)), 0
    while iterations < len(x):
        iterations += 1
        better = (driven + path[:-1] @ w_h.mT).tanh()
        moved = (better - path[1:]).abs().max()
        path = torch.cat([path[:1], better])
        if moved <= tolerance:
            break
    return path[1:], iterations


@evidence(
    rivals={
        "networks of gain 1.5, nearer to the edge": dict(gains=(1.5,)),
        "the same networks with inputs a tenth as strong": dict(strength=0.1),
    }
)
def newton_needs_few_iterations_if_contracting(
    n: int = 512,
    newton: Callable = recurrent.newton,
    gains: tuple[float, ...] = (0.5, 1.0),
    strength: float = 1.0,
) -> Evidence:
    """The most iterations that any contracting network takes: fewer than a scan has rounds."""
    networks = [
        network(s, n=n, d=16, gain=gain, strength=strength) for gain in gains for s in SEEDS
    ]
    what = f"d = 16, {_named(gains)}, inputs of strength {strength:g}"
    return _few(networks, n=n, what=what, newton=newton)


@evidence(
    rivals={
        "networks of gain 2, whose share falls as n grows": dict(gain=2.0),
        "networks of gain 1": dict(gain=1.0),
    }
)
def newton_needs_a_share_of_n_if_chaotic(gain: float = 4.0) -> Evidence:
    """The iterations that chaotic networks take over n, at two lengths: more than half of it."""
    networks = [network(s, n=n, d=16, gain=gain) for n in (64, 128) for s in SEEDS]
    what = f"n = 64 and 128, gain {gain:g}, inputs of strength 1"
    return _share(networks, more_than=1 / 2, what=what)


def growth(states: torch.Tensor, w_h: torch.Tensor, longest: int = 40) -> float:
    """The most that an error grows on any stretch of at most ``longest`` steps, as a logarithm.

    As λ is: the norm of the product of Jacobians over √d.
    """
    factors = recurrent.jacobians(states, w_h)
    product, most = factors, -math.inf
    for length in range(longest):
        if length:
            product = factors[length:] @ product[:-1]
        most = max(most, (product.norm(dim=(-2, -1)).max() / len(w_h) ** 0.5).log().item())
    return most


# All seeds below 60 whose network of gain 5, with inputs of strength 0.3, has λ < 0 over 640 steps.
# Newton's method solves the first of these steps only, over which λ is reported by itself.
STABLE = (3, 12, 13, 16, 18, 26, 38, 43, 47, 51, 55, 57)
LONGEST = 5 * 128


def stable(seed: int, *, n: int, gain: float = 5.0, strength: float = 0.3) -> Network:
    """The first n of the steps of such a network."""
    x, *weights = network(seed, n=LONGEST, d=16, gain=gain, strength=strength)
    return x[:n], *weights


@evidence(rivals={"networks of gain 1, stable as well": dict(gain=1.0)})
def newton_can_be_slow_where_the_trajectory_is_stable(
    n: int = 128, gain: float = 5.0, strength: float = 0.3
) -> Evidence:
    """Iterations over n of networks with λ < 0."""
    runs, most = [], []
    for seed in STABLE:
        x, w_x, w_h, bias = stable(seed, n=n, gain=gain, strength=strength)
        runs.append(run_newton(x, w_x, w_h, bias))
        most.append(growth(recurrent.apply(x, w_x, w_h, bias), w_h))
    shares = [iterations / n for _, iterations in runs]
    return Evidence(
        value=float(np.mean(shares)),
        expected=1 / 4,
        tolerance=float(np.ptp(shares)),
        unit="× n iterations",
        how=f"Newton's method to 1e-8, n = {n}, d = 16, gain {gain:g}, strength {strength:g}, the "
        f"{len(STABLE)} seeds of 0 to 59 that have λ < 0 over {LONGEST} steps at gain 5; over "
        f"these {n} steps {_exponents(runs)}; the largest ln of growth on a stretch from "
        f"{min(most):.1f} to {max(most):.1f}; the mean, ± the range",
        relation=">",
    )


@evidence(
    rivals={
        "networks of gain 2, stable as well, whose share falls as n grows": dict(
            gain=2.0, strength=1.0
        )
    }
)
def where_newton_is_slow_it_needs_a_share_of_n(
    gain: float = 5.0, strength: float = 0.3
) -> Evidence:
    """To which power of n the iterations of such networks grow, as n doubles: the first."""
    seeds, lengths = STABLE[:6], (128, 256)
    powers = []
    for seed in seeds:
        networks = [stable(seed, n=n, gain=gain, strength=strength) for n in lengths]
        few, many = (recurrent.newton(*net, tolerance=1e-8)[1] for net in networks)
        powers.append(math.log2(many / few))
    return Evidence(
        value=float(np.mean(powers)),
        expected=1,
        tolerance=float(3 * np.std(powers, ddof=1) / len(powers) ** 0.5),
        unit="is the power of n",
        how=f"Newton's method to 1e-8, n = {' and '.join(map(str, lengths))}, d = 16, gain "
        f"{gain:g}, strength {strength:g}; the mean of the first {len(seeds)} of these networks, "
        "± three standard errors of it",
    )


def newton_from(guess: torch.Tensor, network: Network, *, tolerance: float = 1e-8) -> int:
    """The iterations that Newton's method takes from another guess of all states than zero."""
    x, w_x, w_h, bias = network
    driven, path = x @ w_x.mT + bias, torch.cat([torch.zeros_like(guess[:1]), guess])
    for taken in range(1, len(x) + 1):
        image = (driven + path[:-1] @ w_h.mT).tanh()
        change = recurrent.scan(recurrent.jacobians(image, w_h), image - path[1:])
        better = torch.where(change.isfinite(), path[1:] + change, image).clamp(-1, 1)
        moved = (better - path[1:]).abs().max()
        path[1:] = better
        if moved <= tolerance:
            return taken
    return len(x)


def from_nearby(off: float, *, n: int = 128, draws: int = 3) -> list[float]:
    """What these networks take from a guess with normal errors of this deviation: one mean each."""
    taken = []
    for seed in STABLE:
        network = stable(seed, n=n)
        states = recurrent.apply(*network)
        generator = torch.Generator().manual_seed(seed)
        noise = off * torch.randn(draws, *states.shape, generator=generator, dtype=states.dtype)
        guesses = (states + noise).clamp(-1, 1)
        taken.append(float(np.mean([newton_from(guess, network) for guess in guesses])))
    return taken


def ranks_agree(one: list[float], other: list[float]) -> float:
    """Spearman's correlation: that of the ranks, from −1 to 1; equals share theirs."""
    ranks = [np.sign(np.subtract.outer(values, values)).sum(1) for values in (one, other)]
    return float(np.corrcoef(*ranks)[0, 1])


def _few(
    networks: list[Network], *, n: int, what: str, newton: Callable = recurrent.newton
) -> Evidence:
    """The most iterations that any of some networks takes, against the rounds of one scan."""
    runs = [run_newton(*network, newton=newton) for network in networks]
    taken = [iterations for _, iterations in runs]
    return Evidence(
        value=max(taken),
        expected=math.log2(n),
        tolerance=np.ptp(taken),
        unit="iterations",
        how=f"Newton's method to 1e-8, n = {n}, {what}; the slowest of {len(runs)} networks with "
        f"{_exponents(runs)}, ± their range",
        relation="<",
    )


def _share(networks: list[Network], *, more_than: float, what: str) -> Evidence:
    runs = [run_newton(*network) for network in networks]
    shares = [iterations / len(x) for (_, iterations), (x, *_) in zip(runs, networks, strict=True)]
    return Evidence(
        value=float(np.mean(shares)),
        expected=more_than,
        tolerance=float(np.ptp(shares)),
        unit="× n iterations",
        how=f"Newton's method to 1e-8, d = 16, {what}; the mean of {len(shares)} runs with "
        f"{_exponents(runs)}, ± their range",
        relation=">",
    )


def _exponents(runs: list[tuple[float, int]]) -> str:
    exponents = [exponent for exponent, _ in runs]
    return f"λ from {min(exponents):.2f} to {max(exponents):.2f}"


# --- a latch: memory without a gradient ---------------------------------------------------------


def latch(
    seed: int, *, bit: int, n: int = 1024, weight: float = 2.0, noise: float = 0.1
) -> Network:
    """One unit that feeds itself twice its state: the first input writes ±1, the rest is noise."""
    generator = torch.Generator().manual_seed(seed)
    x = noise * torch.randn(n, 1, generator=generator, dtype=torch.float64)
    one = torch.ones(1, 1, dtype=torch.float64)
    x[0] = 3 * bit
    return x, one, weight * one, torch.zeros(1, dtype=torch.float64)


def integrator(seed: int, *, bit: int, n: int = 1024) -> Network:
    """A rival: it holds its bit as well, and its gradient, as a small sum that hardly bends."""
    x, one, _, bias = latch(seed, bit=bit, n=n)
    return x, 1e-3 * one, one, bias


@evidence(
    rivals={
        "a unit that feeds itself nine tenths of its state": dict(weight=0.9),
        "noise five times as strong": dict(noise=0.5),
    }
)
def a_latch_holds_its_bit(weight: float = 2.0, noise: float = 0.1) -> Evidence:
    """How far apart the two bits still are after 1024 steps of noise; at most 2."""
    apart = []
    for seed in SEEDS:
        low, high = (
            recurrent.apply(*latch(seed, bit=bit, weight=weight, noise=noise))[-1].item()
            for bit in (-1, 1)
        )
        apart.append(high - low)
    return Evidence(
        value=min(apart),
        expected=1,
        tolerance=np.ptp(apart),
        unit="between the two states",
        how=f"h ← tanh({weight:g}h + x), n = 1024, noise of strength {noise:g}; the nearest of "
        f"{len(apart)} pairs, ± their range",
        relation=">",
    )


@evidence(rivals={"a sum, which holds its bit as well": dict(make=integrator)})
def a_latch_loses_its_gradient(make: Callable[..., Network] = latch) -> Evidence:
    """What is left in the same latch of a gradient after 1024 steps: less than 32 bits can add."""
    runs = [make(seed, bit=bit) for seed in SEEDS for bit in (-1, 1)]
    found = [
        len(x) * recurrent.lyapunov(recurrent.apply(x, w_x, w_h, bias), w_h).item()
        for x, w_x, w_h, bias in runs
    ]
    return Evidence(
        value=max(found),
        expected=math.log(FLOAT32_KEEPS),
        tolerance=np.ptp(found),
        unit="in the logarithm of the gradient",
        how=f"h ← tanh(2h + x), n = 1024, noise of strength 0.1; the largest of {len(found)} runs, "
        "± their range; expected: ln 2⁻²⁴",
        relation="<",
    )


@evidence(rivals={"substitution, without tangents": dict(newton=without_tangents)})
def newton_reads_a_latch_in_few_iterations(
    n: int = 1024, newton: Callable = recurrent.newton
) -> Evidence:
    """The most iterations for the same latch: what it keeps for ever does not slow Newton down."""
    latches = [latch(seed, bit=bit, n=n) for seed in SEEDS for bit in (-1, 1)]
    what = "h ← tanh(2h + x), noise of strength 0.1, guesses kept in [−1, 1]"
    return _few(latches, n=n, what=what, newton=newton)
