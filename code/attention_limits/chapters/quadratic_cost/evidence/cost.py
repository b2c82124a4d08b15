"""Evidence on cost: FLOPs that PyTorch counts while it runs the products themselves.

Everything here runs on the ``meta`` device, which has shapes but no numbers: the counts are exact
and take milliseconds, whatever the length.
"""

from itertools import pairwise

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import linear
from torch.utils.flop_counter import FlopCounterMode

from attention_limits.attention import dense
from attention_limits.chapters.quadratic_cost import derivations
from attention_limits.evidence import Evidence, evidence
from attention_limits.shapes import SHAPES

SMALL = dict(d_model=64, h=4, g=4, f=256, c=2)
ODD = dict(d_model=60, h=6, g=1, f=78, c=3)  # nothing here is a power of two

# Layers to count: tokens, width, query and key-value heads, MLP width and matrices.
LAYERS = (
    dict(n=64, **SMALL),
    dict(n=97, **ODD),
    *(dict(n=shape.trained, **shape.sizes) for shape in SHAPES.values()),
)


def counted_layer(*, n: int, d_model: int, h: int, g: int, f: int, c: int) -> dict[str, int]:
    """FLOPs of one layer as PyTorch counts them, under the names of the formulas."""

    def tensor(*shape: int) -> torch.Tensor:
        return torch.empty(shape, device="meta")

    def heads(x: torch.Tensor, count: int) -> torch.Tensor:
        return x.unflatten(-1, (count, d_model // h)).movedim(-2, -3)

    x, kv_width = tensor(n, d_model), g * d_model // h
    with FlopCounterMode(display=False) as projections:
        q, k, v = (linear(x, tensor(width, d_model)) for width in (d_model, kv_width, kv_width))
        linear(x, tensor(d_model, d_model))  # the output projection
    # Fused kernels are invisible to the counter; the mathematical one is the same products.
    with FlopCounterMode(display=False) as attention, sdpa_kernel(SDPBackend.MATH):
        grouped = heads(q, h).unflatten(0, (g, h // g))
        dense.attend(grouped, heads(k, g).unsqueeze(-3), heads(v, g).unsqueeze(-3))
    with FlopCounterMode(display=False) as mlp:
        for _ in range(c - 1):  # one matrix in, or two if the MLP is gated
            wide = linear(x, tensor(f, d_model))
        linear(wide, tensor(d_model, f))
    counts = {"attention": attention, "projections": projections, "MLP": mlp}
    return {name: counter.get_total_flops() for name, counter in counts.items()}


@evidence
def layer_flops_match_torch() -> Evidence:
    """The three formulas of a layer against PyTorch's own count, shape by shape."""
    formulas = (derivations.ATTENTION, derivations.PROJECTIONS, derivations.MLP)
    differences = []
    for layer in LAYERS:
        counted = counted_layer(**layer)
        for formula in formulas:
            derived = formula(**{s.name: layer[s.name] for s in formula.symbols})
            differences.append(derived - counted[formula.name])
    return Evidence.exactly(
        differences,
        expected=0,
        unit="FLOPs of difference",
        how=f"FlopCounterMode, {len(LAYERS)} layers, {len(SHAPES)} of them published models'",
    )


@evidence
def attention_quadruples_when_n_doubles() -> Evidence:
    """Counted FLOPs of attention at 2n over those at n: four wherever it is tried."""
    lengths = [2**power for power in range(4, 21)]
    counts = [counted_layer(n=n, **SMALL)["attention"] for n in lengths]
    ratios = [later / earlier for earlier, later in pairwise(counts)]
    return Evidence.exactly(
        ratios,
        expected=4,
        unit="× for each doubling",
        how=f"FlopCounterMode, n = {lengths[0]} to {lengths[-1]}",
    )


def counted_both_ways(n: int, d: int, heads: int = 2) -> tuple[int, int]:
    """FLOPs of attention forward and backward, with all gradients, as PyTorch counts them."""
    shape = (heads, n, d)
    inputs = [torch.empty(shape, device="meta", requires_grad=True) for _ in range(3)]
    with FlopCounterMode(display=False) as forward, sdpa_kernel(SDPBackend.MATH):
        output = dense.attend(*inputs)
    with FlopCounterMode(display=False) as backward:
        output.backward(torch.empty_like(output))
    return forward.get_total_flops(), backward.get_total_flops()


@evidence
def backward_is_twice_forward() -> Evidence:
    """FLOPs of the way back over those of the way there, where the weights are kept."""
    shapes = [(n, d) for n in (16, 97, 1024, 65536) for d in (8, 60, 128)]
    ratios = [back / there for there, back in (counted_both_ways(*shape) for shape in shapes)]
    return Evidence.exactly(
        ratios,
        expected=2,
        unit="× forward",
        how=f"FlopCounterMode, {len(shapes)} shapes, n = 16 to 65536",
    )


@evidence
def backward_quadruples_when_n_doubles() -> Evidence:
    """FLOPs of the way back at 2n over those at n: four, where a cubic cost would need eight."""
    counts = [counted_both_ways(2**power, d=64)[1] for power in range(4, 21)]
    ratios = [later / earlier for earlier, later in pairwise(counts)]
    return Evidence.exactly(
        ratios,
        expected=4,
        unit="× for each doubling",
        how=f"FlopCounterMode, n = {2**4} to {2**20}",
    )


@evidence
def softmax_keeps_its_output_alone(n: int = 512) -> Evidence:
    """Numbers that PyTorch keeps for a softmax's way back, for each weight: no Jacobian."""
    kept = []

    def keep(saved: torch.Tensor) -> torch.Tensor:
        kept.append(saved.numel())
        return saved

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda saved: saved):
        torch.softmax(torch.empty(n, n, device="meta", requires_grad=True), dim=-1)
    return Evidence.exactly(
        [sum(kept) / n**2],
        expected=1,
        unit="number kept for each weight",
        how=f"saved_tensors_hooks around torch.softmax, n = {n}",
    )


@evidence
def jacobian_products_are_cubic() -> Evidence:
    """FLOPs of multiplying n written-out Jacobians with a vector each, over n cubed."""
    ratios = []
    for n in (16, 97, 1024):
        p, u = torch.empty(2, n, n, device="meta")
        jacobians = torch.diag_embed(p) - p[:, :, None] * p[:, None, :]
        with FlopCounterMode(display=False) as counter:
            jacobians @ u[:, :, None]
        ratios.append(counter.get_total_flops() / n**3)
    return Evidence.exactly(
        ratios,
        expected=2,
        unit="× n³, the products alone",
        how="FlopCounterMode, n = 16, 97 and 1024",
    )


@evidence
def writing_matches_torch(n: int = 40) -> Evidence:
    """Writing n tokens, without a cache and with one: formulas against PyTorch's count."""
    differences = []
    for sizes in (SMALL, ODD):
        layers = [counted_layer(n=length, **sizes) for length in range(1, n + 1)]
        uncached = sum(sum(layer.values()) for layer in layers)
        one_token = layers[0]["projections"] + layers[0]["MLP"]
        cached = sum(one_token + _counted_row(length, **sizes) for length in range(1, n + 1))
        differences += [
            derivations.UNCACHED(n=n, **sizes) - uncached,
            derivations.CACHED(n=n, **sizes) - cached,
        ]
    return Evidence.exactly(
        differences,
        expected=0,
        unit="FLOPs of difference",
        how=f"FlopCounterMode, 2 layers writing {n} tokens, each without a cache and with one",
    )


def _counted_row(length: int, *, d_model: int, h: int, **_: int) -> int:
    """FLOPs of one new query over the keys and values of ``length`` tokens, all heads."""
    q, keys = (torch.empty(h, rows, d_model // h, device="meta") for rows in (1, length))
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        dense.attend(q, keys, keys, causal=True)
    return counter.get_total_flops()


@evidence
def writing_without_cache_is_cubic(longest: int = 128) -> Evidence:
    """The third difference of the total: constant and not zero, which only a cubic has.

    The total's first difference is the layer at each length, so this is the layer's second.
    """
    layers = [sum(counted_layer(n=n, **SMALL).values()) for n in range(1, longest + 1)]
    first = [later - earlier for earlier, later in pairwise(layers)]
    second = [later - earlier for earlier, later in pairwise(first)]
    return Evidence.exactly(
        [difference / SMALL["d_model"] for difference in second],
        expected=8,
        unit="× d_model, the third difference",
        how=f"FlopCounterMode, every length to {longest}",
    )


@evidence
def attention_equals_the_rest_at_crossover() -> Evidence:
    """At n*, attention's counted FLOPs over those of everything else in the layer."""
    ratios = []
    for sizes in (SMALL, ODD, *(shape.sizes for shape in SHAPES.values())):
        counted = counted_layer(n=int(derivations.CROSSOVER(**sizes)), **sizes)
        ratios.append(counted.pop("attention") / sum(counted.values()))
    return Evidence.exactly(
        ratios,
        expected=1,
        unit="× the rest of the layer",
        how=f"FlopCounterMode at n = n* of {len(ratios)} layers",
    )
