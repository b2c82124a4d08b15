r"""Evidence on a gated network, the LSTM, whose forget gates decide how far gradients reach.

.. math::

    c_t = f_t \odot c_{t-1} + i_t \odot g_t, \qquad h_t = o_t \odot \tanh c_t

where i, f and o are sigmoids and g a tanh of W_h h_{t−1} + W_x x_t + b, in the order and with the
weights of ``torch.nn.LSTMCell``.  The state is (h, c), 2d numbers.  The networks are random as in
``recurrence``.  Only biases differ: ``opened(n)`` sets that of the forget gates to ln n and that of
the input gates to −ln n, after :cite:t:`tallec2018can`.
"""

import math
from collections.abc import Callable, Sequence

import torch

from attention_limits.baselines import recurrent
from attention_limits.chapters.quadratic_cost.evidence import recurrence
from attention_limits.evidence import Evidence, evidence

SEEDS = range(3)
D = 8
LONG = 10_000  # the steps that the claim names


def opened(n: int) -> tuple[float, float]:
    """Biases of the forget and the input gates that keep a state for about n steps."""
    return math.log(n), -math.log(n)


def network(
    n: int, *, biases: tuple[float, float], gain: float = 1.0, d: int = D
) -> tuple[torch.Tensor, torch.Tensor]:
    """Random cells, one a seed: their drives W_x x_t + b, (seeds, n, 4d), and W_h, (seeds, 4d, d).

    Args:
        n: how many steps, of independent normal inputs of strength 1.
        biases: of the forget and of the input gates; the others have 0.
        gain: the standard deviation of W_h, times √d.
        d: how many cells.
    """
    bias = torch.zeros(4, d, dtype=torch.float64)
    bias[1], bias[0] = biases
    w_h, w_x, x = _drawn(n, d)
    return x @ w_x.mT + bias.flatten(), gain * w_h


def _drawn(n: int, d: int) -> list[torch.Tensor]:
    """W_h at gain 1, W_x and x, one a seed."""
    drawn = []
    for seed in SEEDS:
        generator = torch.Generator().manual_seed(seed)
        w_h, w_x, x = (
            torch.randn(rows, d, generator=generator, dtype=torch.float64)
            for rows in (4 * d, 4 * d, n)
        )
        drawn.append((w_h / d**0.5, w_x / d**0.5, x))
    return [torch.stack(part) for part in zip(*drawn, strict=True)]


def apply(drive: torch.Tensor, w_h: torch.Tensor) -> torch.Tensor:
    """The states (h, c) of all steps, one after another from 0: (seeds, n, 2d)."""
    state, states = drive.new_zeros(len(drive), 1, 2 * w_h.shape[-1]), []
    for now in drive.split(1, dim=-2):
        state = step(state, now, w_h)
        states.append(state)
    return torch.cat(states, dim=-2)


def step(state: torch.Tensor, drive: torch.Tensor, w_h: torch.Tensor) -> torch.Tensor:
    """The states after those given, each on its own."""
    h, c = state.chunk(2, dim=-1)
    i, f, g, o = _gates(h, drive, w_h)
    c = f * c + i * g
    return torch.cat([o * c.tanh(), c], dim=-1)


def jacobians(state: torch.Tensor, drive: torch.Tensor, w_h: torch.Tensor) -> torch.Tensor:
    """∂(h, c) after a step by ∂(h, c) before it, (seeds, n, 2d, 2d)."""
    h, c = state.chunk(2, dim=-1)
    i, f, g, o = _gates(h, drive, w_h)
    after = (f * c + i * g).tanh()
    w_i, w_f, w_g, w_o = (w.unsqueeze(-3) for w in w_h.chunk(4, dim=-2))
    i, f, g, o, c, after = (x.unsqueeze(-1) for x in (i, f, g, o, c, after))
    c_by_h = i * (1 - i) * g * w_i + f * (1 - f) * c * w_f + i * (1 - g**2) * w_g
    c_by_c = torch.diag_embed(f.squeeze(-1))
    slope = o * (1 - after**2)
    h_by_h = slope * c_by_h + o * (1 - o) * after * w_o
    rows = [torch.cat([h_by_h, slope * c_by_c], dim=-1), torch.cat([c_by_h, c_by_c], dim=-1)]
    return torch.cat(rows, dim=-2)


def newton(
    drive: torch.Tensor, w_h: torch.Tensor, tolerance: float = 1e-8
) -> tuple[list[int], float]:
    """Iterations that each network takes, and the largest gap from the states that ``apply`` finds.

    As ``recurrent.newton`` does it: from zero, by a scan over the tangents, h kept in [−1, 1].
    """
    taken, gaps = [], []
    for now, w in zip(drive.split(1), w_h.split(1), strict=True):
        n, d = now.shape[-2], w.shape[-1]
        path, iterations = now.new_zeros(1, n + 1, 2 * d), 0
        bound = torch.cat([now.new_ones(d), now.new_full((d,), n)])
        while iterations < n:
            iterations += 1
            guess = path[..., :-1, :]
            image = step(guess, now, w)
            change = recurrent.scan(jacobians(guess, now, w), image - path[..., 1:, :])
            better = torch.where(change.isfinite(), path[..., 1:, :] + change, image)
            moved = (better.clamp(-bound, bound) - path[..., 1:, :]).abs().max()
            path[..., 1:, :] = better.clamp(-bound, bound)
            if moved <= tolerance:
                break
        taken.append(iterations)
        gaps.append((path[..., 1:, :] - apply(now, w)).abs().max().item())
    return taken, max(gaps)


def factors(states: torch.Tensor, drive: torch.Tensor, w_h: torch.Tensor) -> torch.Tensor:
    """The Jacobian of every step, (seeds, n, 2d, 2d), from the states that ``apply`` found."""
    return jacobians(_before(states), drive, w_h)


def _before(states: torch.Tensor) -> torch.Tensor:
    return torch.cat([torch.zeros_like(states[..., :1, :]), states[..., :-1, :]], dim=-2)


def log_product(J: torch.Tensor) -> torch.Tensor:
    """Ln ‖J_n … J_1‖ over the root of the width, one number a seed."""
    product, logs = _product(J)
    return logs + (product.norm(dim=(-2, -1)) / J.shape[-1] ** 0.5).log()


def _product(J: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """J_n … J_1 over a factor that keeps it in range, and its logarithm; neighbours first."""
    width, logs = J.shape[-1], J.new_zeros(J.shape[:2])
    while J.shape[1] > 1:
        if J.shape[1] % 2:  # an identity more changes nothing
            one = torch.eye(width, dtype=J.dtype).expand(len(J), 1, width, width)
            J, logs = torch.cat([J, one], 1), torch.cat([logs, logs.new_zeros(len(J), 1)], 1)
        J, logs = J[:, 1::2] @ J[:, ::2], logs[:, 1::2] + logs[:, ::2]
        norms = J.norm(dim=(-2, -1))
        J, logs = J / norms[..., None, None], logs + norms.log()
    return J[:, 0], logs[:, 0]


def log_gradients(n: int, distances: Sequence[int], **what) -> torch.Tensor:
    """The sizes of ∂(h, c)_n/∂(h, c)_{n−Δ} as logarithms, for some Δ: (seeds, distances)."""
    drive, w_h = network(n, **what)
    J = factors(apply(drive, w_h), drive, w_h)
    return torch.stack([log_product(J[:, n - distance :]) for distance in distances], dim=-1)


def _gates(h: torch.Tensor, drive: torch.Tensor, w_h: torch.Tensor) -> tuple[torch.Tensor, ...]:
    i, f, g, o = (drive + h @ w_h.mT).chunk(4, dim=-1)
    return i.sigmoid(), f.sigmoid(), g.tanh(), o.sigmoid()


# --- the evidence -------------------------------------------------------------------------------


def left_by_gates(
    n: int, biases: tuple[float, float] | None = None, gain: float = 1.0
) -> torch.Tensor:
    """What is left of a gradient between states n steps apart: logarithms, one a seed."""
    drive, w_h = network(n, biases=opened(n) if biases is None else biases, gain=gain)
    return log_product(factors(apply(drive, w_h), drive, w_h))


def log_gradients_to_inputs(n: int, biases: tuple[float, float]) -> torch.Tensor:
    """The sizes of ∂(h, c)_n/∂x_1 and of ∂(h, c)_n/∂x_n as logarithms: (seeds, 2).

    The size of a matrix is its norm over the root of how many inputs there are a step.
    """
    drive, w_h = network(n, biases=biases)
    before = _before(apply(drive, w_h))
    by_drive = torch.func.vmap(torch.func.jacrev(step, argnums=1))
    first, newest = (by_drive(before[:, t], drive[:, t], w_h) @ _drawn(1, D)[1] for t in (0, n - 1))
    product, logs = _product(jacobians(before[:, 1:], drive[:, 1:], w_h))
    sizes = torch.stack([product @ first, newest]).norm(dim=(-2, -1)) / D**0.5
    return torch.stack([sizes[0].log() + logs, sizes[1].log()], dim=-1)


def gates_along_the_cells(n: int) -> torch.Tensor:
    """The product of the forget gates of n steps, the mean over cells, one number a seed."""
    drive, w_h = network(n, biases=opened(n))
    h = _before(apply(drive, w_h)).chunk(2, dim=-1)[0]
    return _gates(h, drive, w_h)[1].log().sum(1).exp().mean(-1)


def left_by_tanh(n: int, gain: float = 1.0) -> torch.Tensor:
    """The same of networks without gates."""
    left = []
    for seed in SEEDS:
        x, w_x, w_h, bias = recurrence.network(seed, n=n, d=D, gain=gain)
        states = recurrent.apply(x, w_x, w_h, bias)
        left.append(n * recurrent.lyapunov(states, w_h))
    return torch.stack(left)


@evidence(
    rivals={
        "an LSTM whose forget gates have a bias of ln n − 3": dict(
            left=lambda n: left_by_gates(n, (math.log(n) - 3, -math.log(n)))
        ),
        "an LSTM whose forget gates have the usual bias of 1, after 1000 steps": dict(
            n=1000, left=lambda n: left_by_gates(n, (1.0, 0.0))
        ),
        "a network of tanh units, after 1000 steps": dict(n=1000, left=left_by_tanh),
    }
)
def open_gates_keep_a_gradient_over_ten_thousand_steps(
    n: int = LONG, left: Callable[[int], torch.Tensor] = left_by_gates
) -> Evidence:
    """What is left of a gradient between states 10,000 steps apart: 32 bits can add it to one."""
    found = left(n).exp().numpy()
    return Evidence(
        value=found.min(),
        expected=recurrence.FLOAT32_KEEPS,
        tolerance=found.max() - found.min(),
        unit="of the gradient is left",
        how=f"∂(h, c)_n/∂(h, c)_0, n = {n:,} steps run, LSTM of {D} cells, gain 1, biases ln n and "
        f"−ln n, no training; the least of {len(found)} networks, ± their range; expected: more "
        "than 2⁻²⁴, the least that a 32-bit float can add to one",
        relation=">",
    )


@evidence(
    rivals={
        "an LSTM whose input gates have a bias of −3 ln n": dict(
            biases=lambda n: (math.log(n), -3 * math.log(n))
        ),
        "an LSTM whose forget gates have the usual bias of 1, after 1000 steps": dict(
            n=1000, biases=lambda n: (1.0, 0.0)
        ),
    }
)
def open_gates_let_a_gradient_reach_the_first_input(
    n: int = LONG, biases: Callable[[int], tuple[float, float]] = opened
) -> Evidence:
    """The gradient to the first of 10,000 inputs: past an input gate that is nearly closed."""
    found = log_gradients_to_inputs(n, biases(n))[:, 0].numpy()
    return Evidence(
        value=found.min(),
        expected=math.log(recurrence.FLOAT32_KEEPS),
        tolerance=found.max() - found.min(),
        unit="in the logarithm of the gradient to the first input",
        how=f"∂(h, c)_n/∂x_1 in the same LSTMs, n = {n:,}; the least of {len(found)} networks, "
        "± their range; expected: ln 2⁻²⁴",
        relation=">",
    )


@evidence(
    rivals={
        "the same LSTM whose input gates are not closed": dict(biases=(math.log(512), 0.0)),
        "the same LSTM whose input gates are closed half as far": dict(
            biases=(math.log(512), -math.log(512) / 2)
        ),
        "the same LSTM at a gain of 5": dict(gain=5.0),
        "the same LSTM at a gain of 10": dict(gain=10.0),
    }
)
def newton_needs_few_iterations_if_input_gates_are_closed(
    n: int = 512, biases: tuple[float, float] | None = None, gain: float = 3.0
) -> Evidence:
    """The most iterations of Newton's method for the same LSTM: fewer than a scan has rounds.

    What little is written into the cells is fed back as little, unless weights make up for it.
    """
    biases = opened(n) if biases is None else biases
    taken, gap = newton(*network(n, biases=biases, gain=gain))
    return Evidence(
        value=max(taken),
        expected=math.log2(n),
        tolerance=max(taken) - min(taken),
        unit="iterations",
        how=f"Newton's method to 1e-8, n = {n}, LSTM of {D} cells, gain {gain:g}, biases "
        f"{biases[0]:.1f} and {biases[1]:.1f}; the slowest of {len(taken)} networks, ± their "
        f"range; off the states by {gap:.0e}",
        relation="<",
    )
