"""Evidence on encodings: what order a layer sees with them, and without, and what they cost.

Layers are random: W_q, W_k and W_v of independent normal entries with the standard deviation 1/√d,
one head, the output added to the input; tokens are independent standard normal.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from attention_limits.attention import dense
from attention_limits.chapters.positional_encodings.recorded import NAMES, half
from attention_limits.evidence import Evidence, evidence
from attention_limits.experiments import encoding_time
from attention_limits.meters import Touched
from attention_limits.positions import learned, none, sinusoidal
from attention_limits.runs import records

SEEDS = range(10)
WIDTH, BASE, FAR = 64, 10000.0, 10_000
Encoding = Callable[..., torch.Tensor]  # (positions, d) to (n, d), as ``sinusoidal.encoding``


def draw(seed: int, *shape: int) -> torch.Tensor:
    """Independent standard normal numbers, in float64."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


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


def changes_of_the_last_output(depth: int, *, causal: bool = True, **options: Any) -> list[float]:
    """How much of its length the last output changes when all tokens before are shuffled."""
    changes = []
    for seed in SEEDS:
        x = draw(1000 + seed, 32, WIDTH)
        order = torch.randperm(31, generator=torch.Generator().manual_seed(seed))
        shuffled = torch.cat([x[order], x[-1:]])
        here, there = (
            layers(tokens, seed, depth=depth, causal=causal, **options)[-1]
            for tokens in (x, shuffled)
        )
        changes.append(((there - here).norm() / here.norm()).item())
    return changes


@evidence(
    rivals={
        "layers with sinusoids at their inputs": dict(encode=sinusoidal.apply),
        "layers with a causal mask": dict(causal=True),
    }
)
def without_a_mask_outputs_go_along(causal: bool = False, **options: Callable) -> Evidence:
    """Outputs of permuted tokens against the outputs, permuted: the largest difference."""
    gaps = []
    for seed in SEEDS:
        x = draw(1000 + seed, 32, WIDTH)
        order = torch.randperm(32, generator=torch.Generator().manual_seed(seed))
        here, there = (
            layers(tokens, seed, depth=2, causal=causal, **options) for tokens in (x, x[order])
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


@evidence(
    rivals={
        "a layer with sinusoids at its inputs": dict(encode=sinusoidal.apply),
        "two layers": dict(depth=2),
    }
)
def one_causal_layer_ignores_order(depth: int = 1, **options: Any) -> Evidence:
    """The change of the last output when the tokens before are shuffled, in one layer."""
    return Evidence(
        value=max(changes_of_the_last_output(depth, **options)),
        expected=1e-12,
        tolerance=0,
        unit="of the output's length",
        how=f"{_shuffled('one random causal layer')}, the most of {len(SEEDS)} seeds",
        relation="<",
    )


@evidence(rivals={"two layers without a mask": dict(causal=False)})
def two_causal_layers_see_order(causal: bool = True) -> Evidence:
    """The same in two layers."""
    changes = changes_of_the_last_output(2, causal=causal)
    return Evidence(
        value=min(changes),
        expected=1e-12,
        tolerance=float(np.ptp(changes)),
        unit="of the output's length",
        how=f"{_shuffled('two random causal layers')}, the least of {len(SEEDS)} seeds; margin: "
        "their range",
        relation=">",
    )


def _shuffled(what: str) -> str:
    return f"{what} without positions, 31 tokens shuffled before the last, d = {WIDTH}, float64"


# --- sinusoids ----------------------------------------------------------------------------------


def in_float32(p: torch.Tensor, d: int, *, base: float = BASE) -> torch.Tensor:
    """Sinusoids whose angles are rounded to float32: right to seven digits, wrong far out."""
    angles = (p.float()[..., None] * sinusoidal.frequencies(d, base=base).float()).double()
    return torch.stack([angles.sin(), angles.cos()], -1).flatten(-2)


def one_pair(p: torch.Tensor, d: int, *, base: float = BASE) -> torch.Tensor:
    """Sinusoids of the first frequency, and nothing in all other entries."""
    return sinusoidal.encoding(p, d, base=base) * (torch.arange(d) < 2)


@evidence(
    rivals={
        "sinusoids with angles in float32": dict(encoding=in_float32),
        "one frequency, and zeros": dict(encoding=one_pair),
    }
)
def a_shift_is_a_rotation(encoding: Encoding = sinusoidal.encoding) -> Evidence:
    """PE(p + Δ) against PE(p) with its pairs turned by ω Δ: the largest difference.

    And whether pairs have the length 1, for an encoding of zeros is a rotation of itself.
    """
    p = torch.arange(FAR + 1)
    pairs = encoding(p, WIDTH, base=BASE).unflatten(-1, (-1, 2))
    before = torch.view_as_complex(pairs)
    frequencies = sinusoidal.frequencies(WIDTH, base=BASE)
    worst = 0.0
    for shift in (1, 7, 100, 1000, FAR):
        # A sine and a cosine turn clockwise: e^(−iωΔ).
        turned = before * torch.polar(torch.ones_like(frequencies), -frequencies * shift)
        gap = encoding(p + shift, WIDTH, base=BASE) - torch.view_as_real(turned).flatten(-2)
        worst = max(worst, gap.abs().max().item())
    return Evidence(
        value=max(worst, (before.abs() - 1).abs().max().item()),
        expected=rounding_of_angles(2 * FAR),
        tolerance=0,
        unit="in any entry, or off the length 1 of a pair",
        how=f"every p up to {FAR}, Δ = 1, 7, 100, 1000 and {FAR}, d = {WIDTH}, float64; the bound "
        "is what rounding may do to the angles",
        relation="<",
    )


def falling(p: torch.Tensor, d: int, *, base: float = BASE) -> torch.Tensor:
    """Encodings whose inner products fall, but for ripples of a few parts in a thousand.

    Inner products of features e^(−|p − c|/τ), nearly, with a small wave on top.
    """
    centres = torch.linspace(-200, 400, d - 2, dtype=torch.float64)
    bumps = torch.exp(-((p[..., None] - centres) ** 2) / (2 * 60.0**2))
    wave = 0.05 * torch.stack([torch.sin(p.double()), torch.cos(p.double())], -1)
    return torch.cat([bumps / bumps.norm(dim=-1, keepdim=True), wave], -1)


@evidence(rivals={"an encoding whose inner products fall but for ripples": dict(encoding=falling)})
def the_kernel_rises_again(encoding: Encoding = sinusoidal.encoding) -> Evidence:
    """By how much of its largest value the inner product of two encodings rises with distance.

    It bears on what inner products say of distance. Whether anything repeats is another question,
    which ``rotary.no_frequency_comes_back`` asks.
    """
    kernel = inner_products(encoding)
    kernel = kernel / kernel[0]
    risen = (kernel - kernel.cummin(0).values).max().item()
    return Evidence(
        value=risen,
        expected=0.1,
        tolerance=0,
        unit="of the largest inner product",
        how=f"the highest that PE(0) · PE(Δ) rises above what it had fallen to, Δ up to 100, "
        f"d = {WIDTH}, b = {BASE:g}, float64",
        relation=">",
    )


def inner_products(encoding: Encoding = sinusoidal.encoding, steps: int = 100) -> torch.Tensor:
    """PE(0) · PE(Δ) for Δ = 0 to ``steps``."""
    rows = encoding(torch.arange(steps + 1), WIDTH, base=BASE)
    return rows @ rows[0]


# --- what a table costs -------------------------------------------------------------------------


def by_product(x: torch.Tensor, table: torch.Tensor) -> torch.Tensor:
    """A look-up as a product with one-hot rows: the same results, at the price of a matrix."""
    return x + torch.eye(len(x), len(table), dtype=x.dtype) @ table


def unread(x: torch.Tensor, table: torch.Tensor) -> torch.Tensor:
    """A table that is ignored: what is added is as large as its rows, and is the input again."""
    return x + x


def _forward(apply: Callable, *given: torch.Tensor) -> int:
    with Touched() as counter, torch.no_grad():
        apply(*given)
    return counter.count


@evidence(
    rivals={
        "a table that is multiplied with one-hot rows": dict(apply=by_product),
        "a table that is never read": dict(apply=unread),
    }
)
def a_forward_pass_touches_only_its_rows(apply: Callable = learned.apply) -> Evidence:
    """Numbers that the forward pass reads and writes, over those of adding a matrix of its size.

    It counts as 0 if that does not add the rows: to touch no more is easy for what leaves them out.
    """
    ratios = []
    for seed, (n, d) in enumerate(((8, 32), (64, 32), (100, 64))):
        x, table = draw(seed, n, d), draw(100 + seed, 1024, d)
        used = torch.allclose(apply(x, table), x + table[:n], rtol=0, atol=1e-12)
        ratio = _forward(apply, x, table) / _forward(torch.add, x, x.clone())
        ratios.append(ratio if used else 0.0)
    return Evidence(
        value=max(ratios, key=lambda ratio: abs(ratio - 1)),
        expected=1,
        tolerance=0.02,
        unit="times what adding a matrix touches",
        how="learned.apply with 1024 rows, all that its operations read and write, n = 8 to 100, "
        "d = 32 and 64; the furthest from 1 of three",
    )


@evidence(rivals={"a step that updates only the rows that were used": dict(rows=8)})
def a_step_touches_the_whole_table(rows: int | None = None) -> Evidence:
    """How much more a training step touches if the table is twice as long, not the sequences."""
    counts = [_step(8, rows or n_max) for n_max in (4096, 8192)]
    return Evidence(
        value=counts[1] / counts[0],
        expected=2,
        tolerance=0.002,
        unit="times the numbers",
        how=f"all that a backward pass and a step of torch.optim.AdamW read and write, 8 tokens, "
        f"tables of 4096 and 8192 rows, d = {WIDTH}",
    )


def _step(n: int, n_max: int) -> int:
    """What the backward pass of a look-up and the optimiser's step read and write."""
    table = torch.zeros(n_max, WIDTH, requires_grad=True)
    optimizer = torch.optim.AdamW([table], foreach=False)
    loss = learned.apply(torch.zeros(n, WIDTH), table).square().sum()
    with Touched() as counter:
        loss.backward()
        optimizer.step()
    return counter.count


@evidence(rivals={"plain gradient descent": dict(optimizer=torch.optim.SGD)})
def a_table_is_kept_threefold(optimizer: type = torch.optim.AdamW) -> Evidence:
    """What an optimiser keeps of a table of parameters, itself included, over its numbers."""
    table = torch.zeros(1024, WIDTH, requires_grad=True)
    made = optimizer([table])
    learned.apply(torch.zeros(8, WIDTH), table).sum().backward()
    made.step()
    state = made.state[table].values()
    kept = [x.numel() for x in state if torch.is_tensor(x) and x.shape == table.shape]
    return Evidence.exactly(
        [(table.numel() + sum(kept)) / table.numel()],
        expected=3,
        unit="times the table",
        how=f"the table and the state of torch.optim.AdamW after a step, 1024 rows, d = {WIDTH}",
    )


@evidence(
    rivals={
        "ALiBi, added to all scores": dict(encoding="alibi"),
        "Shaw's vectors": dict(encoding="shaw 16"),
    }
)
def a_table_adds_next_to_no_time(encoding: str = "learned .02") -> Evidence:
    """Time of a layer's training step over that of one without positions, in the same repeat."""
    run = records.load(encoding_time)
    n = max(run.config["lengths"])
    found = encoding_time.ratios(run, encoding, encoding_time.PASSES[-1], n)
    return Evidence(
        value=float(np.mean(found)),
        expected=1.1,
        tolerance=half(found),
        unit="times the time without positions",
        how=f"{run.stamp}: {NAMES[encoding]}, one layer of width 64, forward and backward, batch "
        f"{run.config['batch']}, n = {n}; mean of {len(found)} repeats, {min(found):.2f} to "
        f"{max(found):.2f}; margin: half of its 95 % interval",
        relation="<",
    )
