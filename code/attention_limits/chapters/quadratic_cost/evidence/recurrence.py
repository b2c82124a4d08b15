"""Evidence on the recurrent network: what n steps cost, how far gradients reach, who forgets.

The networks are random: W_h of independent normal entries with the standard deviation g/√d, g
being the gain, W_x likewise with 1/√d, no bias, inputs independent normal with the standard
deviation ``strength``.  Inputs drive the units towards saturation, where they pass on little: at
strength 1, chaos sets in at about g = 2, and earlier where inputs are weaker.
"""

import math
from itertools import pairwise

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from attention_limits.baselines import recurrent
from attention_limits.evidence import Evidence, evidence

SEEDS = range(5)


def network(
    seed: int, *, n: int, d: int, gain: float, strength: float = 1.0
) -> tuple[torch.Tensor, ...]:
    """A random network and its inputs: x, w_x, w_h and bias, as ``recurrent.apply`` takes them."""
    generator = torch.Generator().manual_seed(seed)

    def normal(rows: int, deviation: float) -> torch.Tensor:
        return deviation * torch.randn(rows, d, generator=generator, dtype=torch.float64)

    w_h, w_x, x = normal(d, gain / d**0.5), normal(d, d**-0.5), normal(n, strength)
    return x, w_x, w_h, torch.zeros(d, dtype=torch.float64)


# --- what n steps cost --------------------------------------------------------------------------


def counted_both_ways(n: int, d: int = 32) -> tuple[int, int]:
    """FLOPs of n steps forward and backward, with all gradients, as PyTorch counts them."""
    shapes = (n, d), (d, d), (d, d), (d,)
    inputs = [torch.empty(shape, device="meta", requires_grad=True) for shape in shapes]
    start = torch.empty(d, device="meta", requires_grad=True)
    with FlopCounterMode(display=False) as forward:
        states = recurrent.apply(*inputs, start=start)
    with FlopCounterMode(display=False) as backward:
        states.backward(torch.empty_like(states))
    return forward.get_total_flops(), backward.get_total_flops()


@evidence()
def flops_double_when_n_doubles() -> Evidence:
    """FLOPs of a recurrent network at 2n over those at n: two, on the way there and back."""
    counts = [counted_both_ways(2**power) for power in range(4, 8)]
    ratios = [
        at_2n / at_n
        for once, twice in pairwise(counts)
        for at_n, at_2n in zip(once, twice, strict=True)
    ]
    return Evidence.exactly(
        ratios,
        expected=2,
        unit="× for each doubling",
        how=f"FlopCounterMode, n = {2**4} to {2**7}, forward and backward",
    )


@evidence()
def bptt_keeps_the_same_for_every_step(longest: int = 64, d: int = 32) -> Evidence:
    """Numbers that PyTorch keeps for the way back, by how many they grow with each step.

    One input and one state, 2d numbers: back-propagation through time is linear in memory too.
    """
    # From the second step on: the first hangs on W_h by h_0 = 0 alone, so W_h is not kept.
    kept = [_numbers_kept(n, d) for n in range(2, longest + 1)]
    return Evidence.exactly(
        [later - earlier for earlier, later in pairwise(kept)],
        expected=2 * d,
        unit="numbers kept for one more step",
        how=f"saved_tensors_hooks, every length from 2 to {longest}, d = {d}",
    )


def _numbers_kept(n: int, d: int) -> int:
    kept = {}  # by address: what two operations keep is kept once

    def keep(saved: torch.Tensor) -> torch.Tensor:
        storage = saved.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes() // saved.itemsize
        return saved

    inputs = [x.requires_grad_() for x in network(0, n=n, d=d, gain=1.0)]
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda saved: saved):
        states = recurrent.apply(*inputs)  # noqa: F841 - holds on to what was kept
    return sum(kept.values())


# --- how far gradients reach --------------------------------------------------------------------


def log_gradients(gain: float, *, distance: int, d: int = 64) -> np.ndarray:
    """The sizes of ∂h_n/∂h_{n−Δ} as logarithms, Δ from 0 to ``distance``, one network a row.

    The first ``distance`` steps are left out: a network that starts at 0 has to warm up.
    """
    rows = []
    for seed in SEEDS:
        x, w_x, w_h, bias = network(seed, n=2 * distance, d=d, gain=gain)
        states = recurrent.apply(x, w_x, w_h, bias)
        rows.append(recurrent.log_gradients(states[distance:], w_h))
    return torch.stack(rows).numpy()


def rates(gain: float, *, distance: int = 200) -> np.ndarray:
    """By how much the logarithm of the gradient changes a step: the slope of a straight line."""
    return np.polyfit(np.arange(distance + 1), log_gradients(gain, distance=distance).T, 1)[0]


@evidence()
def gradient_vanishes_with_distance(gain: float = 1.0) -> Evidence:
    """The rate at which gradients change with distance, where the network contracts: below 0."""
    return _rate(gain, "<")


@evidence()
def gradient_explodes_where_the_network_is_chaotic(gain: float = 4.0) -> Evidence:
    """The rate at which gradients change with distance, where the network is chaotic: above 0."""
    return _rate(gain, ">")


def _rate(gain: float, relation: str) -> Evidence:
    found = rates(gain)
    return Evidence(
        value=found.mean(),
        expected=0,
        tolerance=np.ptp(found),
        unit="in ln |∂h_n/∂h_{n−Δ}| for each step",
        how=f"fitted over 200 steps, d = 64, gain {gain:g}, inputs of strength 1; the mean of "
        f"{len(found)} networks, ± their range",
        relation=relation,
    )


# --- all steps at once --------------------------------------------------------------------------


def run_newton(
    x: torch.Tensor, w_x: torch.Tensor, w_h: torch.Tensor, bias: torch.Tensor
) -> tuple[float, int]:
    """A network's Lyapunov exponent, and the iterations that Newton's method takes to 1e-8."""
    exponent = recurrent.lyapunov(recurrent.apply(x, w_x, w_h, bias), w_h)
    return exponent.item(), recurrent.newton(x, w_x, w_h, bias, tolerance=1e-8)[1]


@evidence()
def newton_needs_few_iterations_if_contracting(n: int = 1024) -> Evidence:
    """The most iterations that any contracting network takes: fewer than a scan has rounds."""
    networks = [network(s, n=n, d=16, gain=gain) for gain in (0.5, 1) for s in SEEDS]
    return _few(networks, n=n, what="d = 16, gains 0.5 and 1, inputs of strength 1")


@evidence()
def newton_needs_a_share_of_n_if_chaotic() -> Evidence:
    """The iterations that chaotic networks take over n, at two lengths: more than half of it."""
    networks = [network(s, n=n, d=16, gain=4) for n in (128, 256) for s in SEEDS]
    return _share(networks, more_than=1 / 2, what="n = 128 and 256, gain 4, inputs of strength 1")


@evidence()
def newton_can_be_slow_where_the_trajectory_is_stable(n: int = 256) -> Evidence:
    """Iterations over n of one network with λ < 0: λ is a mean, and some stretches of it grow.

    The network swings between saturated states in one of several ways, and keeps to it for ever.
    """
    x, *weights = network(3, n=5 * n, d=16, gain=5, strength=0.3)
    stretches = [(stretch, *weights) for stretch in x.split(n)]
    what = f"n = {n}, one network of gain 5, five inputs of strength 0.3"
    return _share(stretches, more_than=1 / 4, what=what)


def orthogonal(seed: int, *, n: int = 1024, d: int = 16) -> tuple[torch.Tensor, ...]:
    """A network whose W_h is orthogonal, with inputs so weak that its tanh is nearly straight."""
    x, w_x, w_h, bias = network(seed, n=n, d=d, gain=1, strength=1e-4)
    return x, w_x, torch.linalg.qr(w_h).Q, bias


@evidence()
def a_nearly_linear_network_keeps_its_gradient() -> Evidence:
    """What is left of a gradient after 1024 steps, with W_h orthogonal and the tanh straight."""
    left = []
    for seed in SEEDS:
        x, w_x, w_h, bias = orthogonal(seed)
        states = recurrent.apply(x, w_x, w_h, bias)
        left.append(recurrent.log_gradients(states, w_h)[-1].exp().item())
    return Evidence(
        value=min(left),
        expected=0.9,
        tolerance=np.ptp(left),
        unit="of the gradient is left after 1024 steps",
        how=f"orthogonal W_h, d = 16, inputs of strength 1e-4; the least of {len(left)} networks, "
        "± their range",
        relation=">",
    )


@evidence()
def newton_reads_a_nearly_linear_network_in_few_iterations(n: int = 1024) -> Evidence:
    """The most iterations for the same networks: tangents are all but the steps themselves."""
    networks = [orthogonal(seed, n=n) for seed in SEEDS]
    return _few(networks, n=n, what="orthogonal W_h, d = 16, inputs of strength 1e-4")


def _few(networks: list[tuple[torch.Tensor, ...]], *, n: int, what: str) -> Evidence:
    """The most iterations that any of some networks takes, against the rounds of one scan."""
    runs = [run_newton(*network) for network in networks]
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


def _share(networks: list[tuple[torch.Tensor, ...]], *, more_than: float, what: str) -> Evidence:
    runs = [run_newton(*network) for network in networks]
    shares = [iterations / len(x) for (_, iterations), (x, *_) in zip(runs, networks, strict=True)]
    return Evidence(
        value=float(np.mean(shares)),
        expected=more_than,
        tolerance=float(np.ptp(shares)),
        unit="× n iterations",
        how=f"Newton's method to 1e-8, d = 16, {what}; the mean of {len(runs)} runs with "
        f"{_exponents(runs)}, ± their range",
        relation=">",
    )


def _exponents(runs: list[tuple[float, int]]) -> str:
    exponents = [exponent for exponent, _ in runs]
    return f"λ from {min(exponents):.2f} to {max(exponents):.2f}"


# --- a latch: memory without a gradient ---------------------------------------------------------


def latch(seed: int, *, bit: int, n: int = 1024) -> tuple[torch.Tensor, ...]:
    """One unit that feeds itself twice its state: the first input writes ±1, the rest is noise."""
    noise = torch.randn(n, 1, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    x, one = 0.1 * noise, torch.ones(1, 1, dtype=torch.float64)
    x[0] = 3 * bit
    return x, one, 2 * one, torch.zeros(1, dtype=torch.float64)


@evidence()
def a_latch_holds_its_bit() -> Evidence:
    """How far apart the two bits still are after 1024 steps of noise; at most 2."""
    ends = torch.stack(
        [
            torch.cat([recurrent.apply(*latch(seed, bit=bit))[-1] for bit in (-1, 1)])
            for seed in SEEDS
        ]
    )
    apart = (ends[:, 1] - ends[:, 0]).numpy()
    return Evidence(
        value=apart.min(),
        expected=1,
        tolerance=np.ptp(apart),
        unit="between the two states",
        how=f"h ← tanh(2h + x), n = 1024, noise of strength 0.1; the nearest of {len(apart)} "
        "pairs, ± their range",
        relation=">",
    )


@evidence()
def a_latch_loses_its_gradient() -> Evidence:
    """By how much the logarithm of the gradient falls a step in the same latch."""
    runs = [latch(seed, bit=bit) for seed in SEEDS for bit in (-1, 1)]
    found = [recurrent.lyapunov(recurrent.apply(*run), run[2]).item() for run in runs]
    return Evidence(
        value=max(found),
        expected=0,
        tolerance=np.ptp(found),
        unit="in ln |∂h_n/∂h_0| for each step",
        how=f"h ← tanh(2h + x), n = 1024, noise of strength 0.1; the largest of {len(found)} runs, "
        "± their range",
        relation="<",
    )


@evidence()
def newton_reads_a_latch_in_few_iterations(n: int = 1024) -> Evidence:
    """The most iterations for the same latch: what it keeps for ever does not slow Newton down."""
    latches = [latch(seed, bit=bit, n=n) for seed in SEEDS for bit in (-1, 1)]
    return _few(
        latches, n=n, what="h ← tanh(2h + x), noise of strength 0.1, guesses kept in [−1, 1]"
    )
