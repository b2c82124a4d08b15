r"""The plain recurrent network: each state is made of the state before it and of one input.

.. math::

    h_t = f(h_{t-1}, x_t) = \tanh(W_h h_{t-1} + W_x x_t + b), \qquad h_0 = 0 \text{ unless given}

All that a state knows of the past is in d numbers.  n steps need 4nd² FLOPs where x_t is d wide,
linear in n, and a stream holds one state, however long it is.  What is not in these numbers:

- *Depth*: ``apply`` takes n steps one after another, each too small to fill a GPU.
- *Reach*: ∂h_n/∂h_m is a product of n − m Jacobians, which vanishes or explodes with n − m:
  ``log_gradients``, ``lyapunov``.

The first can be traded.  ``newton`` finds all n states at once, as the root of n equations

.. math::

    h_t - f(h_{t-1}, x_t) = 0, \qquad J_t = \frac{\partial h_t}{\partial h_{t-1}}
    = \operatorname{diag}(1 - h_t^2) \, W_h

in a few iterations if small errors die out fast from step to step, which is where gradients
vanish, or if f is nearly linear; otherwise it may take up to n.  Each iteration costs about 2nd³
FLOPs, d times those of all n steps.  Use ``apply`` on short sequences and on a CPU, ``step`` for
a stream, ``newton`` on long sequences where errors die out, d is small and the device does many
products at once.

Sources: :cite:t:`bengio1994learning` and :cite:t:`pascanu2013difficulty` on the gradients,
:cite:t:`lim2024parallelizing`, :cite:t:`gonzalez2025predictability` and
:cite:t:`danieli2026pararnn` on the parallel form.  Taught in: "Quadratic cost".
"""

import numpy as np
import torch
from torch.nn.functional import linear

from attention_limits import symbols
from attention_limits.attention.cost import Cost
from attention_limits.attention.transforms import one_call
from attention_limits.baselines import affine
from attention_limits.baselines.growth import log_growth
from attention_limits.checks import check_count, check_number
from attention_limits.formula import Formula
from attention_limits.tensors import (
    check_kind,
    check_rows,
    check_shape,
    check_tensors,
    own_precision,
    shape_of,
)


def define(
    x: np.ndarray,
    w_x: np.ndarray,
    w_h: np.ndarray,
    bias: np.ndarray,
    *,
    start: np.ndarray | None = None,
) -> np.ndarray:
    """The equation above, word for word, on (n, d_in) arrays; leading axes broadcast."""

    def one_sequence(x, h):
        states = np.zeros((len(x), len(h)))
        for t, x_t in enumerate(x):
            states[t] = h = np.tanh(w_h @ h + w_x @ x_t + bias)
        return states

    sequences = np.vectorize(one_sequence, [float], signature="(n,i),(d)->(n,d)")
    return sequences(x, np.zeros(len(w_h)) if start is None else start)


@own_precision
def apply(
    x: torch.Tensor,
    w_x: torch.Tensor,
    w_h: torch.Tensor,
    bias: torch.Tensor,
    *,
    start: torch.Tensor | None = None,
) -> torch.Tensor:
    """The same on (..., n, d_in) tensors: one large product for the inputs, n small ones.

    Time and memory are linear in n, forward and backward.

    Args:
        x: inputs (..., n, d_in).
        w_x: weights of the inputs (d, d_in), in the dtype and on the device of ``x``.
        w_h: weights of the states (d, d), likewise.
        bias: (d,), likewise.
        start: h_0, (..., d), likewise; None means 0.  Its leading axes broadcast with those of
            ``x``.

    Returns:
        The states h_1 to h_n, (..., n, d), in the dtype of ``x``.

    Raises:
        ValueError: naming the argument, if shapes, dtypes or devices do not fit.
    """
    first = _first_state(x, w_x, w_h, bias, start)
    return _states(linear(x, w_x, bias), w_h, first)


@one_call
def _states(driven: torch.Tensor, w_h: torch.Tensor, start: torch.Tensor) -> torch.Tensor:
    """All states, from W_x x_t + b and the state before them, (..., 1, d)."""
    states = []
    # Split once, concatenate once: an index inside the loop would scatter each step's gradient
    # into a full-length tensor, and the backward pass would be quadratic.
    for now in driven.split(1, dim=-2):
        start = (now + start @ w_h.mT).tanh()
        states.append(start)
    return torch.cat(states, dim=-2)


def cost() -> Cost:
    """Of n steps where inputs are as wide as states; what is held does not depend on n."""
    n, d, b = symbols.n, symbols.d, symbols.b
    return Cost(
        needed=Formula(4 * n * d**2, "FLOPs", "needed by a recurrent network"),
        executed=Formula(4 * n * d**2, "FLOPs", "executed by a recurrent network"),
        held=Formula(d * b, "bytes", "held by a recurrent network"),
    )


@own_precision
def step(
    state: torch.Tensor | None,
    x: torch.Tensor,
    w_x: torch.Tensor,
    w_h: torch.Tensor,
    bias: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """The next step, or the next few, of a stream.

    Args:
        state: what the last step returned; None starts a stream.
        x: the new inputs only, shaped as for ``apply``.
        w_x: as for ``apply``.
        w_h: as for ``apply``.
        bias: as for ``apply``.

    Returns:
        The new states, and the last of them, which the next step wants.

    Raises:
        ValueError: naming the argument, if it does not fit the others or the stream.
    """
    if state is not None:
        check_kind("state", state)
        if check_kind("x", x).shape[:-2] != state.shape[:-1]:
            raise ValueError(
                f"x must continue its stream, state {shape_of(state)}, got {shape_of(x)}"
            )
    states = apply(x, w_x, w_h, bias, start=state)
    if not x.shape[-2]:
        return states, state
    # A view would keep all the new states alive, and a stream promises to hold one.
    return states, states[..., -1, :].clone()


@own_precision
def jacobians(states: torch.Tensor, w_h: torch.Tensor) -> torch.Tensor:
    """J_t = ∂h_t/∂h_{t−1} of every step, (..., n, d, d), from the states h_1 to h_n alone.

    Args:
        states: what ``apply`` returned, (..., n, d).
        w_h: weights of the states (d, d), in the dtype and on the device of ``states``.

    Raises:
        ValueError: naming the argument, if shapes, dtypes or devices do not fit.
    """
    _check_states(states, w_h)
    return (1 - states**2).unsqueeze(-1) * w_h


# --- how far back a gradient reaches ------------------------------------------------------------


@own_precision
def log_gradients(states: torch.Tensor, w_h: torch.Tensor) -> torch.Tensor:
    r"""How large ∂h_n/∂h_{n−Δ} is, for Δ = 0, 1, …, n: the logarithm of a product's norm.

    .. math::

        \ln \frac{\| J_n J_{n-1} \cdots J_{n-\Delta+1} \|_F}{\sqrt{d}}

    The norm is the root mean square, over all directions, of the factor by which one unit of
    gradient has grown in the backward pass.  It takes n products of d × d, one after another.

    Args:
        states: what ``apply`` returned, (..., n, d).
        w_h: weights of the states (d, d).

    Returns:
        (..., n + 1), natural logarithms, the first of them 0; −inf where the product is 0.

    Raises:
        ValueError: naming the argument, if shapes, dtypes or devices do not fit.
    """
    _check_states(states, w_h)
    zero = states.new_zeros(*states.shape[:-2], 1, 1)
    return torch.cat([zero, log_growth(states.flip(-2), w_h, zero)], dim=-2).squeeze(-1)


@own_precision
def lyapunov(states: torch.Tensor, w_h: torch.Tensor) -> torch.Tensor:
    r"""The largest Lyapunov exponent along a trajectory: mean growth a step, as a logarithm.

    .. math::

        \lambda = \frac{1}{n} \ln \frac{\| J_n J_{n-1} \cdots J_1 \|_F}{\sqrt{d}}

    Two nearby states come nearer by the factor e^λ a step (λ < 0: the network forgets where it
    started), or part by it until they are far apart (λ > 0: chaos).

    Args:
        states: what ``apply`` returned, (..., n, d), n at least 1.
        w_h: weights of the states (d, d).

    Returns:
        λ, one for each sequence: (...).

    Raises:
        ValueError: naming the argument, if shapes, dtypes or devices do not fit.
    """
    check_tensors(states=states, w_h=w_h)
    if states.ndim < 2 or not states.shape[-2]:
        raise ValueError(f"states must have at least one step, (..., n, d), got {shape_of(states)}")
    return log_gradients(states, w_h)[..., -1] / states.shape[-2]


# --- all steps at once --------------------------------------------------------------------------

compose = affine.compose  # of two maps, one


@own_precision
def scan(A: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Solve h_t = A_t h_{t−1} + b_t from h_0 = 0, for all t, in ⌈log₂ n⌉ rounds and back.

    Each round joins neighbouring steps into one of twice the stride; a pass in reverse fills in the
    states between.  About 2nd³ FLOPs in batched products, where one step after another needs
    2nd²: the price of the depth.

    Args:
        A: (..., n, d, d).
        b: (..., n, d), with the leading axes, dtype and device of ``A``.

    Returns:
        h_1 to h_n, (..., n, d).  What is not finite spoils the states after it, and none before.

    Raises:
        ValueError: naming the argument, if shapes, dtypes or devices do not fit.
    """
    check_tensors(b=b, A=A)
    check_rows("b", b, "(..., n, d)")
    check_shape("A", A, (*b.shape, b.shape[-1]))
    return affine.solved(A, b)


@torch.compiler.disable(
    reason="newton must run outside of compiled programs: it looks at values to know when to stop"
)
@torch.no_grad()
@own_precision
def newton(
    x: torch.Tensor,
    w_x: torch.Tensor,
    w_h: torch.Tensor,
    bias: torch.Tensor,
    *,
    start: torch.Tensor | None = None,
    tolerance: float | None = None,
    most: int | None = None,
) -> tuple[torch.Tensor, int]:
    """What ``apply`` computes, all n steps at once, by Newton's method from h_1 = … = h_n = 0.

    An iteration linearises the network around its guess and solves the linear recurrence by
    ``scan``: about 2nd³ FLOPs and nd² numbers, in 2⌈log₂ n⌉ rounds.  It pays where few iterations
    suffice.  They do if errors shrink from step to step around the guesses as well as around the
    solution.  In chaos they grow so fast that little more than one state an iteration comes right.

    The first state depends on h_0 alone, so the first iteration makes it exact, the next one the
    second, and n iterations always suffice.  So that this holds of floating-point numbers too,
    where products of Jacobians overflow:

    - States that must be exact by now are left alone, which also halves the work of n iterations.
    - Where a change is not finite, the state becomes f of the guess before it instead.
    - All states are clamped to [−1, 1], where the solution lies.  At the edge of chaos this saves
      about a third of the iterations.

    Even so, in chaos no two ways to round agree for long: expect states that follow from one
    another, not those of ``apply``.

    No gradients pass through.  When to stop is a matter of values, so that ``torch.compile`` leaves
    this function out of its graphs, or refuses it if told ``fullgraph=True``, and ``vmap`` is
    refused: leading axes do the same.

    Args:
        x: as for ``apply``.
        w_x: as for ``apply``.
        w_h: as for ``apply``.
        bias: as for ``apply``.
        start: as for ``apply``.
        tolerance: when to stop: once no entry of a state moves further than this.  Near the
            solution Newton's method squares the error, so what moved little is right to twice the
            digits; None asks for half the digits of the dtype, 1.5e-8 in float64.  More may never
            come, for rounding moves the states as well.
        most: how many iterations to take at most; None means n.  If they do not suffice, the
            states are the last guess.

    Returns:
        The states, (..., n, d), and how many iterations were taken, the last of which found
        nothing left to change; of several sequences, by the slowest.

    Raises:
        ValueError: naming the argument, if shapes, dtypes or devices do not fit, if ``tolerance``
            is negative or ``most`` is less than 1, or within ``vmap``.
    """
    given = {"x": x, "w_x": w_x, "w_h": w_h, "bias": bias, "start": start}
    for name, tensor in given.items():
        if isinstance(tensor, torch.Tensor) and torch._C._functorch.is_batchedtensor(tensor):
            raise ValueError(
                f"{name} must have its samples in leading axes, for newton looks at values to know "
                f"when to stop, got one of torch.func.vmap"
            )
    state = _first_state(x, w_x, w_h, bias, start)
    tolerance = torch.finfo(x.dtype).eps ** 0.5 if tolerance is None else tolerance
    tolerance = check_number("tolerance", tolerance, least=0)
    if most is not None:
        most = check_count("most", most, least=1)
    driven, n, iteration = linear(x, w_x, bias), x.shape[-2], 0
    path = torch.cat([state, state.new_zeros(*state.shape[:-2], n, len(w_h))], dim=-2)  # h_0 to h_n
    for iteration in range(1, min(n, most or n) + 1):
        guess = path[..., iteration - 1 :, :].clone()  # its first state is exact already
        path[..., iteration:, :] = _better(guess, driven[..., iteration - 1 :, :], w_h)
        if ((path[..., iteration - 1 :, :] - guess).abs() <= tolerance).all():
            break
    return path[..., 1:, :], iteration


def _better(guess: torch.Tensor, driven: torch.Tensor, w_h: torch.Tensor) -> torch.Tensor:
    """One iteration: h_t = f(g_{t−1}) + J_t (h_{t−1} − g_{t−1}) for all t ≥ 1, and h_0 = g_0."""
    image = (driven + guess[..., :-1, :] @ w_h.mT).tanh()  # f(g_{t−1}), around which J_t is taken
    change = scan(jacobians(image, w_h), image - guess[..., 1:, :])
    better = torch.where(change.isfinite(), guess[..., 1:, :] + change, image)
    return better.clamp(-1, 1)


# --- what all functions ask of their inputs -------------------------------------------------------


def _check_states(states: torch.Tensor, w_h: torch.Tensor) -> None:
    check_tensors(states=states, w_h=w_h)
    check_rows("states", states, "(..., n, d)")
    check_shape("w_h", w_h, (states.shape[-1],) * 2)


def _first_state(x, w_x, w_h, bias, start) -> torch.Tensor:
    """h_0 as a row of its own, (..., 1, d), if everything fits; else ValueError."""
    given = {"x": x, "w_x": w_x, "w_h": w_h, "bias": bias}
    check_tensors(**given if start is None else given | {"start": start})
    check_rows("x", x, "(..., n, d_in)")
    if w_h.ndim != 2 or w_h.shape[0] != w_h.shape[1]:
        raise ValueError(f"w_h must be square, (d, d), got {shape_of(w_h)}")
    d = len(w_h)
    check_shape("w_x", w_x, (d, x.shape[-1]))
    check_shape("bias", bias, (d,))
    if start is None:
        return x.new_zeros(*x.shape[:-2], 1, d)
    if start.shape[-1:] != (d,):
        raise ValueError(f"start must be as wide as a state, (..., {d}), got {shape_of(start)}")
    try:
        lead = torch.broadcast_shapes(x.shape[:-2], start.shape[:-1])
    except RuntimeError:
        raise ValueError(
            f"start must have leading axes that broadcast with {shape_of(x)[:-2]}, "
            f"got {shape_of(start)}"
        ) from None
    return start.expand(*lead, d).unsqueeze(-2)
