"""Evidence of the page on inference: what PyTorch counts while it runs the products themselves."""

from itertools import pairwise

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from attention_limits.attention import dense
from attention_limits.chapters.quadratic_cost.derivations import inference as derivations
from attention_limits.chapters.quadratic_cost.evidence.flops import ODD, SMALL, counted_layer
from attention_limits.evidence import Evidence, evidence
from attention_limits.shapes import SHAPES, Shape

BYTES = torch.bfloat16.itemsize


@evidence()
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


@evidence()
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


def held_by_a_stream(shape: Shape, n: int) -> int:
    """Bytes that the caches of all layers hold after n tokens, measured on real state."""
    d, grouped = shape.d_model // shape.h, (shape.g, shape.h // shape.g)
    q = torch.empty(*grouped, n, d, dtype=torch.bfloat16, device="meta")
    k, v = (torch.empty(shape.g, 1, n, d, dtype=torch.bfloat16, device="meta") for _ in range(2))
    _, cache = dense.step(None, q, k, v)
    return shape.layers * sum(x.nbytes for x in cache)


@evidence()
def cache_holds_what_the_formula_says(n: int = 1000) -> Evidence:
    """Bytes of a whole model's cache, measured on a stream's state, against the formula."""
    differences = []
    for shape in SHAPES.values():
        sizes = {
            s.name: shape.whole[s.name] for s in derivations.CACHE.symbols if s.name not in "nb"
        }
        derived = derivations.CACHE(n=n, b=BYTES, **sizes)
        differences.append(derived - held_by_a_stream(shape, n))
    return Evidence.exactly(
        differences,
        expected=0,
        unit="bytes of difference",
        how=f"state of dense.step after {n} tokens in bfloat16, {len(SHAPES)} published shapes",
    )


@evidence()
def cache_outweighs_the_weights() -> Evidence:
    """Bytes of Llama-3.1 8B's cache at the length of its training, over those of its weights."""
    shape = SHAPES["Llama-3.1 8B"]
    held = held_by_a_stream(shape, shape.trained)
    weights = derivations.WEIGHTS(b=BYTES, **shape.whole)
    return Evidence(
        value=held / weights,
        expected=1,
        tolerance=0,
        unit="× the weights",
        how=f"state of dense.step after {shape.trained} tokens of one text, bfloat16",
        relation=">",
    )
