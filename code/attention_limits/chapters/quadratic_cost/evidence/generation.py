"""Evidence on generation: what a long text costs a model that writes it token by token."""

import torch

from attention_limits.attention import dense
from attention_limits.chapters.quadratic_cost import derivations
from attention_limits.evidence import Evidence, evidence
from attention_limits.shapes import SHAPES, Shape

BYTES = torch.bfloat16.itemsize


def held_by_a_stream(shape: Shape, n: int) -> int:
    """Bytes that the caches of all layers hold after n tokens, measured on real state."""
    d, grouped = shape.d_model // shape.h, (shape.g, shape.h // shape.g)
    q = torch.empty(*grouped, n, d, dtype=torch.bfloat16, device="meta")
    k, v = (torch.empty(shape.g, 1, n, d, dtype=torch.bfloat16, device="meta") for _ in range(2))
    _, cache = dense.step(None, q, k, v)
    return shape.layers * sum(x.nbytes for x in cache)


@evidence
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


@evidence
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
