"""Evidence of the page on the backward pass: all of its work, its memory, and what is kept for it.

Products of matrices are counted by PyTorch while it runs them, everything else by the numbers that
it touches, since a counter of FLOPs cannot see a Jacobian that is written and summed entry by
entry. Most counts are taken on the ``meta`` device, which has shapes and no memory.
"""

import functools
import math
from collections.abc import Callable, Iterable
from itertools import pairwise
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.checkpoint import (
    checkpoint,
    create_selective_checkpoint_contexts,
    set_checkpoint_early_stop,
)
from torch.utils.flop_counter import FlopCounterMode

from attention_limits.attention import online_softmax
from attention_limits.chapters.quadratic_cost.derivations.backward import (
    ALL_KEPT,
    FORWARD,
    LINEAR_KEPT,
    RECOMPUTED,
)
from attention_limits.evidence import Evidence, evidence
from attention_limits.meters import PeakMemory, Touched

Attend = Callable[[Tensor, Tensor, Tensor], Tensor]
Softmax = Callable[..., Tensor]
Layer = nn.TransformerEncoderLayer
Run = Callable[[Layer, Tensor], Tensor]

WRITTEN_OUT, IN_TILES = SDPBackend.MATH, SDPBackend.FLASH_ATTENTION  # PyTorch's names of kernels
# The kernel in tiles that PyTorch has for the CPU, whose FLOPs its counter does not know: of these
# two products forward and five backward are counted, as `recomputing_takes_a_fifth_product` does.
TILED = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
TILED_BACKWARD = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward
BLOCK = 64  # rows whose Jacobians a rival writes out at a time


# --- what is counted ------------------------------------------------------------------------------


def keeping_weights(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """PyTorch's own attention, in its kernel that writes the weights out and keeps them."""
    with sdpa_kernel(WRITTEN_OUT):
        return nn.functional.scaled_dot_product_attention(q, k, v)


def through_jacobians(scores: Tensor, u: Tensor) -> Tensor:
    """A softmax's backward pass by way of its Jacobians, as PyTorch's own tools write them out."""
    jacobians = torch.func.vmap(torch.func.jacrev(lambda row: torch.softmax(row, -1)))(scores)
    return (u[:, None, :] @ jacobians)[:, 0]


def by_products_with_vectors(scores: Tensor, u: Tensor) -> Tensor:
    """Rival: the same gradient by vector-Jacobian products, in time quadratic in n."""
    return torch.func.vjp(lambda s: torch.softmax(s, -1), scores)[1](u)[0]


def _tiled_forward(q: torch.Size, *_: Any, **__: Any) -> float:
    batch, heads, n, d = q
    return batch * heads * FORWARD(n=n, d=d)


def _tiled_backward(u: torch.Size, q: torch.Size, *_: Any, **__: Any) -> float:
    batch, heads, n, d = q
    return batch * heads * RECOMPUTED(n=n, d=d)


def products_counted() -> FlopCounterMode:
    """PyTorch's counter of FLOPs, which learns here of the CPU's kernel in tiles."""
    formulas = {TILED: _tiled_forward, TILED_BACKWARD: _tiled_backward}
    return FlopCounterMode(display=False, custom_mapping=formulas)


class Work(NamedTuple):
    """FLOPs of products plus numbers touched by anything, and the backward pass's peak in bytes."""

    forward: int
    backward: int
    peak: int


def work(attend: Attend, n: int, d: int = 64, heads: int = 2) -> Work:
    """All the work of attention and of its backward pass, with the gradients of q, k and v."""
    q, k, v = (torch.empty(heads, n, d, device="meta", requires_grad=True) for _ in range(3))
    with FlopCounterMode(display=False) as there, Touched() as forward:
        output = attend(q, k, v)
    u = torch.empty_like(output)
    with FlopCounterMode(display=False) as back, Touched() as backward, PeakMemory() as memory:
        output.backward(u)
    return Work(
        there.get_total_flops() + forward.count,
        back.get_total_flops() + backward.count,
        memory.peak,
    )


def furthest(ratios: list[float], expected: float) -> float:
    """The one that speaks most against what is expected."""
    return max(ratios, key=lambda ratio: abs(ratio - expected))


def _doubling(counts: list[int], *, expected: float, tolerance: float, how: str) -> Evidence:
    """By how much counts at lengths that double grow each time: the growth furthest from it."""
    ratios = [later / earlier for earlier, later in pairwise(counts)]
    return Evidence(
        value=furthest(ratios, expected),
        expected=expected,
        tolerance=tolerance,
        unit="× for each doubling",
        how=f"{how}; the furthest of {len(ratios)}",
    )


# --- rivals: gradients right, cost wrong ----------------------------------------------------------


def written_out(q: Tensor, k: Tensor, v: Tensor, *, softmax: Softmax) -> Tensor:
    """Attention as in a textbook, with any softmax in it."""
    return softmax(q @ k.mT / math.sqrt(q.shape[-1]), dim=-1) @ v


def _jacobians(p: Tensor) -> Tensor:
    return torch.diag_embed(p) - p[..., :, None] * p[..., None, :]


def _entry_by_entry(p: Tensor, u: Tensor) -> Tensor:
    return (_jacobians(p) * u[..., None, :]).sum(-1)


def _block_by_block(p: Tensor, u: Tensor) -> Tensor:
    blocks = zip(p.split(BLOCK, -2), u.split(BLOCK, -2), strict=True)
    return torch.cat([(_jacobians(p) @ u[..., None])[..., 0] for p, u in blocks], -2)


def _softmax(back: Callable[[Tensor, Tensor], Tensor]) -> Softmax:
    """A softmax with right gradients, found from its weights and their gradient by ``back``."""

    class Softmax(torch.autograd.Function):
        @staticmethod
        def forward(ctx, scores):
            weights = torch.softmax(scores, -1)
            ctx.save_for_backward(weights)
            return weights

        @staticmethod
        def backward(ctx, u):
            return back(*ctx.saved_tensors, u)

    def softmax(scores: Tensor, dim: int = -1) -> Tensor:
        if dim != -1:
            raise ValueError(f"dim must be -1, got {dim}")
        return Softmax.apply(scores)

    return softmax


# Every Jacobian written out and summed entry by entry: cubic in time and memory, in no product.
cubic_softmax = _softmax(_entry_by_entry)
# Jacobians multiplied as matrices, a few rows at a time: cubic in time, memory small.
blocked_softmax = _softmax(_block_by_block)


class _KeptJacobians(torch.autograd.Function):
    @staticmethod
    def forward(ctx, scores):
        weights = torch.softmax(scores, -1)
        ctx.save_for_backward(_jacobians(weights))
        return weights

    @staticmethod
    def backward(ctx, u):
        return (ctx.saved_tensors[0] @ u[..., None])[..., 0]


def hoarding_softmax(scores: Tensor, dim: int = -1) -> Tensor:
    """Rival: writes the Jacobians in its forward pass, and keeps them; its gradients are right."""
    return _KeptJacobians.apply(scores)


def composed_softmax(scores: Tensor, dim: int = -1) -> Tensor:
    """Rival: exponentials and their sum as separate steps, each of which keeps what it needs."""
    exponentials = torch.exp(scores - scores.amax(dim, keepdim=True).detach())
    return exponentials / exponentials.sum(dim, keepdim=True)


CUBIC = functools.partial(written_out, softmax=cubic_softmax)
BLOCKED = functools.partial(written_out, softmax=blocked_softmax)


def _again(run: Callable[..., Tensor], *inputs: Any, stop_early: bool, **options: Any) -> Tensor:
    with set_checkpoint_early_stop(stop_early):
        return checkpoint(run, *inputs, use_reentrant=False, preserve_rng_state=False, **options)


# Keeps no weights, as a kernel in tiles does, but computes all of the forward pass again.
ALL_AGAIN = functools.partial(_again, keeping_weights, stop_early=False)
# Keeps no weights and recomputes the scores alone, and then writes every Jacobian out.
CUBIC_AGAIN = functools.partial(_again, CUBIC, stop_early=True)


# --- cost-backward --------------------------------------------------------------------------------


@evidence(
    rivals={
        "a softmax that writes its Jacobians out and sums them": {"attend": CUBIC},
        "a softmax that multiplies its Jacobians block by block": {"attend": BLOCKED},
        "a kernel that recomputes its scores": {"attend": online_softmax.attend},
    }
)
def backward_is_twice_forward(attend: Attend = keeping_weights) -> Evidence:
    """All work of the backward pass over the forward's: twice, up to what is not in products."""
    counts = [work(attend, n, d) for n in (256, 512) for d in (64, 128)]
    return Evidence(
        value=furthest([count.backward / count.forward for count in counts], 2),
        expected=2,
        tolerance=0.05,
        unit="× forward",
        how="FLOPs of products + numbers read and written, PyTorch's attention with its weights "
        "kept, n = 256 and 512, d = 64 and 128; the furthest of 4",
    )


@evidence(
    rivals={
        "a softmax that writes its Jacobians out and sums them": {"attend": CUBIC},
        "a softmax that multiplies its Jacobians block by block": {"attend": BLOCKED},
    }
)
def backward_quadruples_when_n_doubles(attend: Attend = keeping_weights) -> Evidence:
    """All work of the backward pass at 2n over that at n: four, where a cubic cost needs eight."""
    counts = [work(attend, 2**power).backward for power in range(8, 13)]
    return _doubling(
        counts,
        expected=4,
        tolerance=0.05,
        how=f"FLOPs of products + numbers read and written, n = {2**8} to {2**12:,}, d = 64",
    )


@evidence(
    rivals={"a softmax that writes its Jacobians out and sums them": {"attend": CUBIC}},
)
def memory_of_the_backward_pass_quadruples(attend: Attend = keeping_weights) -> Evidence:
    """The most bytes alive at once in the backward pass, at 2n over n: no n Jacobians of n²."""
    peaks = [work(attend, 2**power).peak for power in range(10, 15)]
    return _doubling(
        peaks,
        expected=4,
        tolerance=0.1,
        how=f"peak memory of the backward pass, n = {2**10:,} to {2**14:,}, d = 64",
    )


@evidence(
    rivals={
        "a softmax that keeps its Jacobians": {"softmax": hoarding_softmax},
        "a softmax composed of exponentials and a sum": {"softmax": composed_softmax},
    }
)
def softmax_keeps_its_output_alone(softmax: Softmax = torch.softmax) -> Evidence:
    """Numbers that PyTorch keeps for a softmax's backward pass, for each weight: no Jacobian."""
    counts = []
    for n in (16, 97, 512):
        with Kept() as kept:
            softmax(torch.empty(n, n, device="meta", requires_grad=True), dim=-1)
        counts.append(kept.numbers / n**2)
    return Evidence.exactly(
        counts,
        expected=1,
        unit="kept for each weight",
        how="numbers that PyTorch keeps for the backward pass (saved_tensors_hooks) of "
        "torch.softmax, n = 16, 97 and 512",
    )


@evidence(
    rivals={
        "a program that keeps its weights": {"attend": keeping_weights},
        "a program that recomputes all of its forward pass": {"attend": ALL_AGAIN},
        "a program that recomputes its scores and writes its Jacobians out": {
            "attend": CUBIC_AGAIN
        },
    }
)
def recomputing_takes_a_fifth_product(attend: Attend = online_softmax.attend) -> Evidence:
    """All work of the backward pass over the forward's, where the weights are not kept."""
    counts = [work(attend, n, d) for n, d in ((256, 64), (512, 64), (512, 128))]
    return Evidence(
        value=furthest([count.backward / count.forward for count in counts], 2.5),
        expected=2.5,
        tolerance=0.05,
        unit="× forward",
        how="FLOPs of products + numbers read and written, attention in tiles (online_softmax), "
        "n = 256 and 512, d = 64 and 128; the furthest of 3",
    )


# --- cost-cubic-where -----------------------------------------------------------------------------


@evidence(rivals={"vector–Jacobian products": {"back": by_products_with_vectors}})
def jacobians_are_cubic(back: Callable[[Tensor, Tensor], Tensor] = through_jacobians) -> Evidence:
    """All work of PyTorch's own jacrev on each row of a softmax, at 2n over that at n."""
    counts = []
    for power in range(5, 10):
        scores, u = torch.empty(2, 2**power, 2**power, device="meta")
        with FlopCounterMode(display=False) as products, Touched() as touched:
            back(scores, u)
        counts.append(products.get_total_flops() + touched.count)
    return _doubling(
        counts,
        expected=8,
        tolerance=0.2,
        how=f"FLOPs of products + numbers read and written, vmap of jacrev, n = {2**5} to {2**9}",
    )


# --- cost-activations -----------------------------------------------------------------------------


class Kept:
    """What autograd keeps for the backward pass: each storage once, parameters left out.

    with Kept(layer.parameters()) as kept:
        layer(x)
    kept.numbers
    """

    def __init__(self, parameters: Iterable[Tensor] = ()):
        self.parameters = {p.untyped_storage()._cdata for p in parameters}
        self.saved: dict[int, Tensor] = {}
        self.hooks = torch.autograd.graph.saved_tensors_hooks(self._keep, lambda saved: saved)

    def __enter__(self) -> "Kept":
        self.hooks.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self.hooks.__exit__(*error)

    def _keep(self, saved: Tensor) -> Tensor:
        storage = saved.untyped_storage()._cdata
        if storage not in self.parameters:
            self.saved[storage] = saved  # alive, so that no other storage takes its address
        return saved

    @property
    def numbers(self) -> int:
        """How many, views counted as what they look into."""
        return sum(s.untyped_storage().nbytes() // s.element_size() for s in self.saved.values())


def encoder_layer(
    d_model: int, h: int, f: int, dropout: float = 0.0, norm_first: bool = False
) -> Layer:
    """A Transformer layer that PyTorch wrote; its norms come after attention and MLP, or before."""
    kind: dict[str, Any] = dict(activation="gelu", batch_first=True, norm_first=norm_first)
    with torch.random.fork_rng(devices=[]):
        return Layer(d_model, h, f, dropout=dropout, **kind)


def keeping_all(layer: Layer, x: Tensor) -> Tensor:
    """A layer that keeps what its backward pass needs."""
    return layer(x)


def checkpointed(layer: Layer, x: Tensor) -> Tensor:
    """A layer that is computed again in the backward pass, to its end."""
    return _again(layer, x, stop_early=False)


def stopping_early(layer: Layer, x: Tensor) -> Tensor:
    """The same, until the backward pass has what it needs: PyTorch's default."""
    return _again(layer, x, stop_early=True)


def keeping_attention(layer: Layer, x: Tensor) -> Tensor:
    """A layer that is computed again but for attention's kernel, whose results are kept."""
    keep = functools.partial(create_selective_checkpoint_contexts, [TILED.default])
    return _again(layer, x, stop_early=False, context_fn=keep)


def frozen(layer: Layer, x: Tensor) -> Tensor:
    """A layer that keeps what its backward pass needs, without gradients of its weights."""
    return layer.requires_grad_(False)(x)


def checkpointed_attention(layer: Layer, x: Tensor) -> Tensor:
    """Rival: the same layer, in which only the attention is computed again."""
    mixed = _again(lambda x: layer.self_attn(x, x, x, need_weights=False)[0], x, stop_early=False)
    y = layer.norm1(x + mixed)
    return layer.norm2(y + layer.linear2(nn.functional.gelu(layer.linear1(y))))


SHAPES = ((64, 32, 4, 128), (97, 48, 2, 96), (256, 64, 8, 256))  # n, d_model, h, f


def kept(n: int, d_model: int, h: int, f: int, *, kernel: SDPBackend, run: Run, **options) -> int:
    """Numbers that one layer keeps for its backward pass, of one sequence."""
    layer = encoder_layer(d_model, h, f, **options)
    with sdpa_kernel(kernel), Kept(layer.parameters()) as found:
        run(layer, torch.zeros(1, n, d_model, requires_grad=True))
    return found.numbers


@evidence(
    rivals={
        "a kernel in tiles": {"kernel": IN_TILES},
        "dropout on the weights": {"dropout": 0.1},
        "a layer that is checkpointed": {"run": checkpointed},
    }
)
def a_layer_keeps_its_weights(
    kernel: SDPBackend = WRITTEN_OUT, run: Run = keeping_all, dropout: float = 0.0
) -> Evidence:
    """Numbers that PyTorch's layer keeps with its weights written out, over the formula's."""
    found = [
        kept(*shape, kernel=kernel, run=run, dropout=dropout)
        / ALL_KEPT(b=1, **dict(zip(("n", "d_model", "h", "f"), shape, strict=True)))
        for shape in SHAPES
    ]
    return Evidence.exactly(
        found,
        expected=1,
        unit="× the formula",
        how="numbers that PyTorch keeps for the backward pass (saved_tensors_hooks) of its own "
        "layer, nn.TransformerEncoderLayer, 3 shapes, n = 64 to 256",
    )


@evidence(
    rivals={
        "a kernel that writes the weights out": {"kernel": WRITTEN_OUT},
        "a layer that is checkpointed": {"run": checkpointed},
    }
)
def in_tiles_a_layer_keeps_linear_memory(
    kernel: SDPBackend = IN_TILES, run: Run = keeping_all
) -> Evidence:
    """Numbers that PyTorch's layer keeps with FlashAttention's kernel, over the formula's."""
    found = [
        kept(*shape, kernel=kernel, run=run)
        / LINEAR_KEPT(b=1, **dict(zip(("n", "d_model", "h", "f"), shape, strict=True)))
        for shape in SHAPES
    ]
    return Evidence.exactly(
        found,
        expected=1,
        unit="× the formula",
        how="numbers that PyTorch keeps for the backward pass (saved_tensors_hooks) of its own "
        "layer, nn.TransformerEncoderLayer, 3 shapes, n = 64 to 256",
    )


def training_step(
    n: int,
    *,
    kernel: SDPBackend,
    run: Run,
    norm_first: bool = False,
    d_model: int = 64,
    h: int = 4,
    f: int = 256,
) -> tuple[int, int, int]:
    """FLOPs of one layer forward, of its forward and backward pass, and its peak in bytes."""
    layer = encoder_layer(d_model, h, f, norm_first=norm_first)
    x = torch.zeros(1, n, d_model, requires_grad=True)
    with sdpa_kernel(kernel), PeakMemory() as memory, products_counted() as products:
        output = run(layer, x)
        forward = products.get_total_flops()
        output.backward(torch.zeros_like(output))
    return forward, products.get_total_flops(), memory.peak


def square_for_a_moment(layer: Layer, x: Tensor, *, dtype: torch.dtype) -> Tensor:
    """Rival: the same layer, after one n × n tensor that is made and freed at once."""
    x.new_empty(x.shape[-2], x.shape[-2], dtype=dtype)
    return layer(x)


@evidence(
    rivals={
        "a kernel that writes the weights out": {"kernel": WRITTEN_OUT},
        "a checkpointed layer that writes the weights out": {
            "kernel": WRITTEN_OUT,
            "run": checkpointed,
        },
        "one n × n mask of a byte a pair, freed before the layer runs": {
            "run": functools.partial(square_for_a_moment, dtype=torch.bool)
        },
        "one n × n tensor in 16 bits, freed before the layer runs": {
            "run": functools.partial(square_for_a_moment, dtype=torch.bfloat16)
        },
    }
)
def memory_of_training_doubles_in_tiles(
    kernel: SDPBackend = IN_TILES, run: Run = keeping_all
) -> Evidence:
    """The most bytes alive in one layer's forward and backward pass, at 2n over n.

    The sequences are so long that the smallest square is larger than all that is linear. Tensors
    are fake: they have the shapes and kernels of the CPU's, and no memory.
    """
    with FakeTensorMode():
        peaks = [training_step(2**p, kernel=kernel, run=run)[-1] for p in range(12, 16)]
    return _doubling(
        peaks,
        expected=2,
        tolerance=0.01,
        how="peak memory of nn.TransformerEncoderLayer forward and backward, FlashAttention's "
        f"kernel, n = {2**12:,} to {2**15:,}, width 64, 4 heads",
    )


@evidence(
    rivals={
        "a layer that keeps what it needs, in tiles": {"run": keeping_all},
        "a checkpoint around its attention alone": {"run": checkpointed_attention},
    }
)
def a_checkpoint_keeps_the_input_alone(run: Run = checkpointed) -> Evidence:
    """Numbers that a layer keeps if all of it is recomputed, for each entry of its input."""
    return Evidence.exactly(
        [kept(*shape, kernel=IN_TILES, run=run) / (shape[0] * shape[1]) for shape in SHAPES],
        expected=1,
        unit="kept for each number of the input",
        how="numbers that PyTorch keeps for the backward pass (saved_tensors_hooks) of a layer in "
        "torch.utils.checkpoint, 3 shapes, n = 64 to 256",
    )


@evidence(
    rivals={
        "a layer that keeps what it needs": {"run": keeping_all},
        "a checkpoint around its attention alone": {"run": checkpointed_attention},
        "PyTorch's default in a pre-norm layer, which skips the last matrix": {
            "run": stopping_early,
            "norm_first": True,
        },
    }
)
def a_checkpoint_costs_a_fourth_forward_pass(
    run: Run = checkpointed, norm_first: bool = False
) -> Evidence:
    """FLOPs of one layer's training step over those of its forward pass."""
    lengths = (64, 97, 256)
    return Evidence.exactly(
        [forward_passes(run, n, WRITTEN_OUT, norm_first=norm_first) for n in lengths],
        expected=4,
        unit="× forward",
        how="FLOPs that PyTorch counts (FlopCounterMode) in its own layer, "
        "nn.TransformerEncoderLayer (post-norm), recomputed to its end "
        "(set_checkpoint_early_stop(False)), n = 64, 97 and 256",
    )


def forward_passes(
    run: Run, n: int, kernel: SDPBackend = IN_TILES, *, norm_first: bool = False
) -> float:
    """FLOPs of a training step of one layer over those of its forward pass."""
    forward, both, _ = training_step(n, kernel=kernel, run=run, norm_first=norm_first)
    return both / forward


def over_the_row(run: Run, n: int, *, rest: float, attention: float) -> float:
    """A step's FLOPs over a row of the table: ``rest`` + (``attention`` − ``rest``) a passes."""
    h, d = 4, 16
    forward, both, _ = training_step(n, kernel=IN_TILES, run=run, h=h, d_model=h * d)
    pairs = h * FORWARD(n=n, d=d)
    return both / (rest * (forward - pairs) + attention * pairs)


@evidence(
    rivals={
        "a checkpoint that keeps nothing but its input": {"run": checkpointed},
        "a layer that keeps what it needs": {"run": keeping_all},
        "a checkpoint around its attention alone": {"run": checkpointed_attention},
    }
)
def keeping_attention_costs_less_than_a_fourth_forward_pass(
    run: Run = keeping_attention,
) -> Evidence:
    """FLOPs of a step that recomputes all but attention: over 4 − a/2 forward passes.

    Attention is a share a of the forward pass.
    """
    return Evidence.exactly(
        [over_the_row(run, n, rest=4, attention=3.5) for n in (64, 97, 256)],
        expected=1,
        unit="× (4 − a/2) forward passes",
        how="FLOPs that PyTorch counts in nn.TransformerEncoderLayer under selective "
        "checkpointing (create_selective_checkpoint_contexts) to its end, FlashAttention's "
        "kernel, n = 64, 97 and 256",
    )
