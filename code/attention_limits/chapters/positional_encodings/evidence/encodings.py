"""Evidence on encodings: what a score knows of positions with them, and without.

Layers are random: W_q, W_k and W_v of independent normal entries with the standard deviation 1/√d,
one head, the output added to the input; tokens are independent standard normal.
"""

from collections.abc import Callable

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from attention_limits.attention import dense
from attention_limits.chapters.positional_encodings.derivations import encodings as derivations
from attention_limits.evidence import Evidence, evidence
from attention_limits.positions import alibi, learned, none, sinusoidal

SEEDS = range(10)
WIDTH, BASE, FAR = 64, 10000.0, 10_000


def draw(seed: int, *shape: int) -> torch.Tensor:
    """Independent standard normal numbers, in float64."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


# --- sinusoids ----------------------------------------------------------------------------------
@evidence()
def a_shift_is_a_rotation() -> Evidence:
    """PE(p + Δ) against PE(p) with its pairs turned by ω Δ: the largest difference."""
    p = torch.arange(FAR + 1)
    pairs = sinusoidal.encoding(p, WIDTH, base=BASE).unflatten(-1, (-1, 2))
    before = torch.view_as_complex(pairs)
    hands = sinusoidal.frequencies(WIDTH, base=BASE)
    worst = 0.0
    for shift in (1, 7, 100, 1000, FAR):
        # A sine and a cosine turn clockwise: e^(−iωΔ).
        turned = before * torch.polar(torch.ones_like(hands), -hands * shift)
        after = sinusoidal.encoding(p + shift, WIDTH, base=BASE)
        gap = after - torch.view_as_real(turned).flatten(-2)
        worst = max(worst, gap.abs().max().item())
    return Evidence(
        value=worst,
        expected=rounding_of_angles(2 * FAR),
        tolerance=0,
        unit="in any entry",
        how=f"every p up to {FAR}, Δ = 1, 7, 100, 1000 and {FAR}, d = {WIDTH}, float64; the bound "
        "is what rounding may do to the angles",
        relation="<",
    )


@evidence()
def inner_products_depend_on_the_distance() -> Evidence:
    """PE(p) · PE(p − Δ) against the kernel of Δ: the largest difference."""
    distance = torch.arange(100)
    kernel = _kernel(distance)
    gaps = []
    for p in (100, 999, FAR):
        one, other = (
            sinusoidal.encoding(at, WIDTH, base=BASE) for at in (torch.tensor([p]), p - distance)
        )
        gaps.append(np.abs((other @ one.mT)[:, 0].numpy() - kernel).max())
    return Evidence(
        value=max(gaps),
        expected=rounding_of_angles(2 * FAR),
        tolerance=0,
        unit="in the inner product",
        how=f"p = 100, 999 and {FAR}, Δ = 0 to 99, d = {WIDTH}, float64; the bound is what "
        "rounding may do to the angles of both",
        relation="<",
    )


def inner_products(steps: int = 100) -> torch.Tensor:
    """PE(0) · PE(Δ) for Δ = 0 to ``steps``."""
    encoding = sinusoidal.encoding(torch.arange(steps + 1), WIDTH, base=BASE)
    return encoding @ encoding[0]


@evidence()
def the_kernel_rises_again() -> Evidence:
    """Steps from one distance to the next at which the inner product rises."""
    return Evidence(
        value=int((inner_products().diff() > 0).sum()),
        expected=0,
        tolerance=0,
        unit="of 100 steps go up",
        how=f"PE(0) · PE(Δ), Δ = 0 to 100, d = {WIDTH}, b = {BASE:g}, float64",
        relation=">",
    )


@evidence()
def the_kernel_first_rises_where_the_formula_does() -> Evidence:
    """The first distance whose inner product is more than that of the distance before."""

    def first(values: np.ndarray) -> int:
        return int(np.argmax(np.diff(values) > 0)) + 1

    return Evidence.exactly(
        [first(inner_products().numpy())],
        expected=first(_kernel(torch.arange(101))),
        unit="tokens",
        how=f"PE(0) · PE(Δ), d = {WIDTH}, b = {BASE:g}, float64; expected by the formula",
    )


def _kernel(distance: torch.Tensor) -> np.ndarray:
    formula = derivations.KERNEL
    return formula.numpy(F=WIDTH // 2, base=BASE, delta=distance.numpy())


def rounding_of_angles(largest: float) -> float:
    """How far an entry may be off if angles up to ``largest`` are rounded to float64."""
    return largest * np.finfo(float).eps


# --- without positions --------------------------------------------------------------------------
def layers(
    x: torch.Tensor,
    seed: int,
    *,
    depth: int,
    causal: bool,
    encode: Callable[[torch.Tensor], torch.Tensor] = none.apply,
) -> torch.Tensor:
    """The outputs of some random layers for tokens (n, d), encoded at the inputs."""
    d = x.shape[-1]
    x = encode(x)
    for w_q, w_k, w_v in draw(seed, depth, 3, d, d) / d**0.5:
        x = x + dense.attend(x @ w_q, x @ w_k, x @ w_v, causal=causal)
    return x


def changes_of_the_last_output(depth: int, **options: Callable) -> list[float]:
    """How much of its length the last output changes when all tokens before are shuffled."""
    changes = []
    for seed in SEEDS:
        x = draw(1000 + seed, 32, WIDTH)
        order = torch.randperm(31, generator=torch.Generator().manual_seed(seed))
        shuffled = torch.cat([x[order], x[-1:]])
        here, there = (
            layers(tokens, seed, depth=depth, causal=True, **options)[-1]
            for tokens in (x, shuffled)
        )
        changes.append(((there - here).norm() / here.norm()).item())
    return changes


@evidence()
def without_a_mask_a_sequence_is_a_set(**options: Callable) -> Evidence:
    """Outputs of permuted tokens against the outputs, permuted: the largest difference."""
    gaps = []
    for seed in SEEDS:
        x = draw(1000 + seed, 32, WIDTH)
        order = torch.randperm(32, generator=torch.Generator().manual_seed(seed))
        here, there = (
            layers(tokens, seed, depth=2, causal=False, **options) for tokens in (x, x[order])
        )
        gaps.append((there - here[order]).abs().max().item())
    return Evidence(
        value=max(gaps),
        expected=1e-12,
        tolerance=0,
        unit="in any entry",
        how=f"two random layers without mask or positions, n = 32, d = {WIDTH}, float64, the most "
        f"of {len(gaps)} seeds",
        relation="<",
    )


@evidence()
def one_causal_layer_ignores_order(**options: Callable) -> Evidence:
    """The change of the last output when the tokens before are shuffled, in one layer."""
    return Evidence(
        value=max(changes_of_the_last_output(1, **options)),
        expected=1e-12,
        tolerance=0,
        unit="of the output's length",
        how=f"{_shuffled('one random causal layer')}, the most of {len(SEEDS)} seeds",
        relation="<",
    )


@evidence()
def two_causal_layers_see_order() -> Evidence:
    """The same in two layers."""
    changes = changes_of_the_last_output(2)
    return Evidence(
        value=min(changes),
        expected=1e-12,
        tolerance=np.ptp(changes),
        unit="of the output's length",
        how=f"{_shuffled('two random causal layers')}, the least of {len(SEEDS)} seeds; margin: "
        "their range",
        relation=">",
    )


def _shuffled(what: str) -> str:
    return f"{what} without positions, 31 tokens shuffled before the last, d = {WIDTH}, float64"


# --- slopes, tables -----------------------------------------------------------------------------
def weight_of_the_nearest(n: int, slopes: torch.Tensor) -> torch.Tensor:
    """What the last of n queries gives to the nearest of n equal keys, in each head: (h,)."""
    h = len(slopes)
    q, k = torch.zeros(h, 1, 1, dtype=slopes.dtype), torch.zeros(h, n, 1, dtype=slopes.dtype)
    v = torch.eye(n, dtype=slopes.dtype)[:, -1:].expand(h, n, 1)  # reads out the last weight
    return dense.attend(q, k, v, causal=True, bias=alibi.bias(1, n, slopes))[:, 0, 0]


@evidence()
def the_nearest_key_keeps_its_weight() -> Evidence:
    """Its measured weight under ALiBi's slopes against the formula: the largest difference."""
    slopes, gaps = alibi.slopes(8, dtype=torch.float64), []
    for n in (1, 2, 16, 256, 4096):
        derived = derivations.NEAREST.numpy(slope=slopes.numpy(), n=n)
        gaps.append(np.abs(weight_of_the_nearest(n, slopes).numpy() - derived).max())
    return Evidence(
        value=max(gaps),
        expected=1e-12,
        tolerance=0,
        unit="in any weight",
        how="dense attention with alibi.bias, equal keys, 8 heads, n = 1 to 4096, float64",
        relation="<",
    )


class Arithmetic(TorchDispatchMode):
    """How many floating-point numbers are computed, those that are only looked up left aside."""

    LOOKED_UP = (torch.ops.aten.embedding.default, torch.ops.aten.index.Tensor)

    def __init__(self):
        super().__init__()
        self.made = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        if isinstance(result, torch.Tensor) and result.is_floating_point():
            is_new = all(result.data_ptr() != x.data_ptr() for x in args if torch.is_tensor(x))
            self.made += result.numel() * (is_new and function not in self.LOOKED_UP)
        return result


@evidence()
def a_table_is_looked_up_and_added() -> Evidence:
    """Numbers that a learned table has computed, over those of the tokens that it encodes."""
    ratios = []
    for n, d in ((1, 2), (64, 32), (100, 64)):
        x, table = torch.zeros(n, d), torch.zeros(128, d)
        with Arithmetic() as counter:
            learned.apply(x, table)
        ratios.append(counter.made / (n * d))
    return Evidence.exactly(
        ratios,
        expected=1,
        unit="addition for each number",
        how="learned.apply, results of floating-point operations but the look-up, n = 1 to 100, "
        "d = 2 to 64",
    )


@evidence()
def a_table_is_kept_threefold(n_max: int = 1024) -> Evidence:
    """What AdamW keeps of a table of parameters, itself included, over its numbers."""
    table = torch.zeros(n_max, WIDTH, requires_grad=True)
    optimizer = torch.optim.AdamW([table])
    learned.apply(torch.zeros(8, WIDTH), table).sum().backward()
    optimizer.step()
    kept = [x.numel() for x in optimizer.state[table].values() if x.shape == table.shape]
    return Evidence.exactly(
        [(table.numel() + sum(kept)) / (n_max * WIDTH)],
        expected=3,
        unit="times the table",
        how=f"the table and the state of torch.optim.AdamW after a step, {n_max} rows, d = {WIDTH}",
    )
