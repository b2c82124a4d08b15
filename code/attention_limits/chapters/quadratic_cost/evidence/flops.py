"""Evidence of the page on flops: what PyTorch counts while it runs the products themselves."""

from itertools import pairwise

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import linear
from torch.utils.flop_counter import FlopCounterMode

from attention_limits.attention import dense
from attention_limits.chapters.quadratic_cost.derivations import flops as derivations
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


@evidence()
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


@evidence()
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


@evidence()
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
