"""Evidence of the page on inference: programs that prefill and decode, counted while they run.

They run decoder layers of the book's own: four projections, attention with grouped heads, a
gated MLP, residuals.  The vector that comes out at the last position is the next token's.  Rivals
stand beside the honest programs; their outputs are the same, unless their words say otherwise.
What forgets old tokens would cost as much as the honest program while few tokens are there, so
that programs are counted after a long prompt, too; on the ``meta`` device it takes no longer.
"""

import functools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from itertools import chain, pairwise
from typing import Any, NamedTuple

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import silu
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode, flop_registry

from attention_limits.attention import dense
from attention_limits.chapters.quadratic_cost.derivations import inference as derivations
from attention_limits.chapters.quadratic_cost.derivations.flops import CROSSOVER
from attention_limits.evidence import Evidence, evidence
from attention_limits.meters import Touched
from attention_limits.shapes import SHAPES, Shape

BYTES = torch.bfloat16.itemsize

SMALL = dict(d_model=64, h=4, g=4, f=128, c=3)

ODD = dict(d_model=60, h=6, g=2, f=78, c=3)  # nothing here is a power of two

LAYERS = 2  # of the model that decodes

LLAMA = SHAPES["Llama-3.1 8B"]

STARTS = (1, 4090)  # tokens that a program begins with

Program = Callable[..., Iterator[torch.Tensor]]


class Layer(NamedTuple):
    """The weights of one decoder layer, and its heads."""

    query: torch.Tensor
    key: torch.Tensor
    value: torch.Tensor
    out: torch.Tensor
    gate: torch.Tensor
    up: torch.Tensor
    down: torch.Tensor
    h: int
    g: int

    @classmethod
    def draw(cls, sizes: Mapping[str, int], device: str = "meta") -> "Layer":
        """Random weights, or on the ``meta`` device their shapes alone.

        ``sizes`` are those of the formulas: d_model, h, g and f; c is 3, since the MLP is gated.
        """
        d_model, h, g, f = (sizes[name] for name in ("d_model", "h", "g", "f"))
        kv = g * d_model // h
        attention = [(d_model, d_model), (kv, d_model), (kv, d_model), (d_model, d_model)]
        shapes = [*attention, (f, d_model), (f, d_model), (d_model, f)]
        drawn = (torch.randn(*shape, device=device) / shape[1] ** 0.5 for shape in shapes)
        return cls._make([*drawn, h, g])

    def project(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Queries (..., g, h/g, n, d), keys and values (..., g, 1, n, d) of the tokens in ``x``."""
        x = _unit(x)

        def heads(weight: torch.Tensor, count: int) -> torch.Tensor:
            return (x @ weight.mT).unflatten(-1, (count, -1)).movedim(-2, -3)

        q = heads(self.query, self.h).unflatten(-3, (self.g, -1))
        return q, heads(self.key, self.g).unsqueeze(-3), heads(self.value, self.g).unsqueeze(-3)

    def finish(self, x: torch.Tensor, mixed: torch.Tensor) -> torch.Tensor:
        """All that comes after attention, token by token."""
        x = x + mixed.flatten(-4, -3).movedim(-3, -2).flatten(-2) @ self.out.mT
        hidden = _unit(x)
        return x + (silu(hidden @ self.gate.mT) * (hidden @ self.up.mT)) @ self.down.mT


def _unit(x: torch.Tensor) -> torch.Tensor:
    return x / x.square().mean(-1, keepdim=True).sqrt()


# --- Programs that decode: each goes on from some tokens, one after another, and never ends


def without_a_cache(
    layers: Sequence[Layer],
    tokens: torch.Tensor,
    attend: Callable[..., torch.Tensor] = dense.attend,
    keep: int | None = None,
) -> Iterator[torch.Tensor]:
    """It keeps the tokens, and for each new one all layers run over all of them again.

    With ``keep`` it is a rival, and another function: it forgets all but the last tokens.
    """
    while True:
        tokens = tokens if keep is None else tokens[-keep:]
        x = tokens
        for layer in layers:
            x = layer.finish(x, attend(*layer.project(x), causal=True))
        yield x[-1:]
        tokens = torch.cat([tokens, x[-1:]])


def with_the_last_row_alone(
    layers: Sequence[Layer], tokens: torch.Tensor
) -> Iterator[torch.Tensor]:
    """A rival: it keeps the tokens, too, but in the last layer only the newest one has a query.

    The layers below have to run over all tokens: their outputs are what keys are made of.
    """
    *below, last = layers
    while True:
        x = tokens
        for layer in below:
            x = layer.finish(x, dense.attend(*layer.project(x), causal=True))
        token = _newest(last, x, 1)
        yield token
        tokens = torch.cat([tokens, token])


def with_a_cache(
    layers: Sequence[Layer], tokens: torch.Tensor, step: Callable[..., tuple] = dense.step
) -> Iterator[torch.Tensor]:
    """Keys and values are kept, and only new tokens run through the layers."""
    caches = [None for _ in layers]
    while True:
        x = tokens
        for i, layer in enumerate(layers):
            mixed, caches[i] = step(caches[i], *layer.project(x))
            x = layer.finish(x, mixed)
        tokens = x[-1:]
        yield tokens


def with_a_cache_of_inputs(layers: Sequence[Layer], tokens: torch.Tensor) -> Iterator[torch.Tensor]:
    """A rival: it keeps each layer's inputs, and makes their keys and values anew at each step."""
    inputs = [tokens[:0] for _ in layers]
    while True:
        x = tokens
        for i, layer in enumerate(layers):
            inputs[i] = torch.cat([inputs[i], x])
            x = _newest(layer, inputs[i], len(x))
        tokens = x[-1:]
        yield tokens


def _newest(layer: Layer, x: torch.Tensor, count: int) -> torch.Tensor:
    """What a layer makes of the newest tokens, from the inputs of all tokens."""
    _, k, v = layer.project(x)
    q, _, _ = layer.project(x[-count:])
    return layer.finish(x[-count:], dense.attend(q, k, v, causal=True))


def linear_attention(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, *, causal: bool = True
) -> torch.Tensor:
    """A rival, and another function: features elu + 1, products in the order that needs no square.

    Only the last query may see all keys, and its output is the only one that these programs use.
    """
    q, k = (torch.nn.functional.elu(x) + 1 for x in (q, k))
    return q @ (k.mT @ v) / (q @ k.sum(-2, keepdim=True).mT)


def cubic_exponentials(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, *, causal: bool = True
) -> torch.Tensor:
    """A rival: the weight of j is 1 / Σₗ exp(sₗ - sⱼ), so that a row takes n² exponentials."""
    n, scores = k.shape[-2], q @ k.mT / q.shape[-1] ** 0.5
    hidden = torch.ones(n, n, dtype=torch.bool, device=q.device).triu(1)
    differences = scores.masked_fill(hidden, -math.inf)[..., None, :] - scores[..., :, None]
    return (1 / differences.exp().sum(-1)).masked_fill(hidden, 0) @ v


def looking_back(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, *, causal: bool = False, window: int
) -> torch.Tensor:
    """A rival, and another function: attention to the last keys alone, of which a window is left.

    Every query sees as many keys at least.
    """
    reach = window + q.shape[-2] - 1
    return dense.attend(q, k[..., -reach:, :], v[..., -reach:, :], causal=causal)


def _flops(program: Iterator[torch.Tensor], n: int) -> list[int]:
    """FLOPs of products that were counted after each of the first n tokens."""
    counter = FlopCounterMode(display=False)
    return _after_each(program, n, counter, counter.get_total_flops)


def _touched(program: Iterator[torch.Tensor], n: int) -> list[int]:
    """Numbers that operations had read and written after each of the first n tokens."""
    meter = Touched()
    return _after_each(program, n, meter, lambda: meter.count)


def _after_each(
    program: Iterator[torch.Tensor], n: int, meter: AbstractContextManager, read: Callable[[], int]
) -> list[int]:
    totals = []
    # Fused kernels are invisible to the counter; the mathematical one is the same products.
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), meter:
        for _ in range(n):
            next(program)
            totals.append(read())
    return totals


def _differences(values: list[int], times: int) -> list[int]:
    for _ in range(times):
        values = [later - earlier for earlier, later in pairwise(values)]
    return values


def _tokens(sizes: dict[str, int], n: int) -> torch.Tensor:
    return torch.empty(n, sizes["d_model"], device="meta")


def _decoded(program: Program, start: int, n: int, count: Callable[..., list[int]]) -> list[int]:
    """What a small model counts, in all, after each of n tokens that it generates."""
    layers = [Layer.draw(SMALL) for _ in range(LAYERS)]
    return count(program(layers, _tokens(SMALL, start)), n)


@evidence(
    rivals={
        "a program that keeps keys and values": dict(program=with_a_cache),
        "a program that keeps the tokens alone and skips old rows where it can": dict(
            program=with_the_last_row_alone
        ),
        "a program that keeps the last 1,024 tokens alone": dict(
            program=functools.partial(without_a_cache, keep=1024)
        ),
    }
)
def decoding_without_a_cache_is_cubic(
    program: Program = without_a_cache, steps: int = 8
) -> Evidence:
    """FLOPs of a program that decodes without a cache: their third difference, for each layer.

    It is constant and not zero for a cubic polynomial, and for nothing else.  There are two layers:
    in the first of them, all that a row needs are tokens.
    """
    thirds = [_differences(_decoded(program, start, steps, _flops), 3) for start in STARTS]
    return Evidence.exactly(
        [third / (SMALL["d_model"] * LAYERS) for third in chain(*thirds)],
        expected=8,
        unit="× d_model a layer, the third difference",
        how="FLOPs that PyTorch counts (FlopCounterMode) in a loop that generates "
        f"{steps} tokens with {LAYERS} layers, after {STARTS[0]} and after {STARTS[1]:,}",
    )


@evidence(rivals={"a softmax of n² exponentials a row": dict(attend=cubic_exponentials)})
def nothing_in_it_is_more_than_cubic(
    attend: Callable[..., torch.Tensor] = dense.attend, steps: int = 8
) -> Evidence:
    """Numbers touched by every operation: later third differences over one at the start."""
    program = functools.partial(without_a_cache, attend=attend)
    early, late = (_differences(_decoded(program, start, steps, _touched), 3) for start in STARTS)
    return Evidence.exactly(
        [third / early[2] for third in (*early[2:], *late)],
        expected=1,
        unit="× the third difference at the start",
        how="numbers that operations read and write in a loop that generates "
        f"{steps} tokens with {LAYERS} layers, after {STARTS[0]} and after {STARTS[1]:,}, "
        "elementwise work included",
    )


def step_with_a_window(cache, q, k, v, window=1024):
    """A rival, and another function: keys and values of the last tokens alone are kept."""
    out, now = dense.step(cache, q, k, v)
    return out, dense.Cache(*(x[..., -window:, :].clone() for x in now))


def prefilled_in_chunks(layer: Layer, tokens: torch.Tensor, chunk: int) -> torch.Tensor:
    """A prompt read some tokens at a time: what the mask hides in later chunks is skipped."""
    cache, outputs = None, []
    for some in tokens.split(chunk):
        mixed, cache = dense.step(cache, *layer.project(some))
        outputs.append(layer.finish(some, mixed))
    return torch.cat(outputs)


def _prefill(layer: Layer, tokens: torch.Tensor) -> torch.Tensor:
    return prefilled_in_chunks(layer, tokens, chunk=1)


def prefilled_with_all_pairs(layer: Layer, tokens: torch.Tensor) -> torch.Tensor:
    """A rival: the square is computed first, and its hidden half thrown away."""
    return layer.finish(tokens, dense.attend(*layer.project(tokens), causal=True))


@evidence(
    rivals={
        "a cache of the layer's inputs": dict(cached=with_a_cache_of_inputs),
        "a prefill that computes all pairs": dict(prefill=prefilled_with_all_pairs),
        "linear attention in the layer": dict(
            uncached=functools.partial(without_a_cache, attend=linear_attention)
        ),
        "a cache of the last 1,024 tokens": dict(
            cached=functools.partial(with_a_cache, step=step_with_a_window)
        ),
    }
)
def both_phases_cost_what_the_formulas_say(
    uncached: Program = without_a_cache,
    cached: Program = with_a_cache,
    prefill: Callable[[Layer, torch.Tensor], torch.Tensor] = _prefill,
    n: int = 8,
) -> Evidence:
    """FLOPs of decoding without and with a cache and of a causal prefill, over the formulas'."""
    layer, ratios = Layer.draw(ODD), []
    for formula, program in ((derivations.UNCACHED, uncached), (derivations.CACHED, cached)):
        for start in STARTS:
            found = _flops(program([layer], _tokens(ODD, start)), n)
            due = [formula(n=start + k, **ODD) for k in range(n)]
            # What a long prompt costs at first is the third program's part.
            ratios.append((found[-1] - found[0]) / (due[-1] - due[0]))
        ratios.append(_flops(program([layer], _tokens(ODD, 1)), 1)[0] / formula(n=1, **ODD))
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        prefill(layer, _tokens(ODD, n))
    ratios.append(counter.get_total_flops() / _prefill_of_one_layer(n, **ODD))
    return Evidence.exactly(
        ratios,
        expected=1,
        unit="× the formula",
        how=f"FLOPs that PyTorch counts (FlopCounterMode), one layer, {n} tokens read, and {n} "
        f"generated with and without a cache, after {STARTS[0]} and after {STARTS[1]:,}",
    )


def _prefill_of_one_layer(n: int, **sizes: int) -> float:
    """The formula of a whole model, without its tables: they are another layer's."""
    weights = 2 * sizes["d_model"] * CROSSOVER(**sizes)
    of_a_token = dict(kappa=2 * sizes["g"] * sizes["d_model"] // sizes["h"])
    one = dict(batch=1, prompt=n, weights=weights, r=sizes["h"] // sizes["g"], table=1)
    return derivations.PREFILL_FLOPS(**one, **of_a_token) - 2


@evidence(
    rivals={
        "Llama-3 8B, trained on 8,192 tokens": dict(shape=SHAPES["Llama-3 8B"]),
        "linear attention in the layer": dict(attend=linear_attention),
        "attention to the last 4,096 tokens": dict(
            attend=functools.partial(looking_back, window=4096)
        ),
    }
)
def prefill_is_mostly_the_square(
    shape: Shape = LLAMA, attend: Callable[..., torch.Tensor] = dense.attend, chunks: int = 16
) -> Evidence:
    """Attention's share of the FLOPs of a prompt as long as in training, hidden pairs skipped.

    Chunk after chunk, queries meet the keys up to the end of their own chunk.
    """
    layer = Layer.draw(shape.sizes)
    tokens, size = torch.empty(shape.trained, shape.d_model, device="meta"), shape.trained // chunks
    with FlopCounterMode(display=False) as others:
        q, k, v = layer.project(tokens)
        layer.finish(tokens, q)
    with FlopCounterMode(display=False) as attention, sdpa_kernel(SDPBackend.MATH):
        for end in range(size, shape.trained + 1, size):
            attend(*(x[..., start:end, :] for x, start in ((q, end - size), (k, 0), (v, 0))))
    square = attention.get_total_flops()
    return Evidence(
        value=square / (square + others.get_total_flops()),
        expected=0.5,
        tolerance=0,
        unit="of a layer's FLOPs in prefill",
        how=f"FLOPs that PyTorch counts (FlopCounterMode), a layer of {shape.name}, "
        f"{shape.trained} tokens in {chunks} chunks",
        relation=">",
    )


# --- Caches: what a stream holds ----------------------------------------------------------


def step_for_every_query_head(cache, q, k, v):
    """A rival: keys and values are copied for each query head before they are kept."""
    k, v = (x.expand(*q.shape[:-2], *x.shape[-2:]) for x in (k, v))
    return dense.step(cache, q, k, v)


def step_with_history(cache, q, k, v):
    """A rival: it keeps what the step before kept, too."""
    out, now = dense.step(cache and cache[0], q, k, v)
    return out, (now, cache and cache[0])


def step_with_room_to_spare(cache, q, k, v):
    """A rival: its memory doubles whenever it is full, and the tokens are a view of a part."""
    out, now = dense.step(cache, q, k, v)
    room = 2 ** math.ceil(math.log2(now.keys.shape[-2]))
    kept = []
    for x in now:
        memory = x.new_zeros(*x.shape[:-2], room, x.shape[-1])
        memory[..., : x.shape[-2], :] = x
        kept.append(memory[..., : x.shape[-2], :])
    return out, dense.Cache(*kept)


def held(state: object) -> int:
    """Bytes of all memory that a state keeps alive, each storage once."""
    storages = {
        x.untyped_storage()._cdata: x.untyped_storage()
        for x in tree_leaves(state)
        if isinstance(x, torch.Tensor)
    }
    return sum(storage.nbytes() for storage in storages.values())


STREAMED = [SHAPES[name] for name in ("GPT-2 XL", "Llama-2 7B", "Llama-3.1 8B")]


def held_by_a_stream(
    shape: Shape, lengths: Iterable[int], step: Callable[..., tuple] = dense.step
) -> list[int]:
    """Bytes that the caches of all layers hold when a stream has come to each of these lengths."""
    d, cache, found = shape.d_model // shape.h, None, []
    for n in (later - earlier for earlier, later in pairwise((0, *lengths))):
        q = torch.empty(shape.g, shape.h // shape.g, n, d, dtype=torch.bfloat16, device="meta")
        k, v = (q.new_empty(shape.g, 1, n, d) for _ in range(2))
        _, cache = step(cache, q, k, v)
        found.append(shape.layers * held(cache))
    return found


def _cache(shape: Shape, n: int) -> float:
    sizes = {name: shape.whole[name] for name in ("layers", "d_model", "h", "g")}
    return derivations.CACHE(n=n, b=BYTES, **sizes)


@evidence(
    rivals={
        "a cache for every query head": dict(step=step_for_every_query_head),
        "a cache that keeps the last step's, too": dict(step=step_with_history),
        "a cache whose memory doubles when it is full": dict(step=step_with_room_to_spare),
        "a cache of the last 1,024 tokens": dict(step=step_with_a_window),
    }
)
def cache_grows_as_the_formula_says(
    step: Callable[..., tuple] = dense.step, prompt: int = 24, steps: int = 12
) -> Evidence:
    """Bytes of memory that a stream keeps alive, at each of its steps, over the formula's.

    After some tokens one by one, it doubles until it is as long as the training's sequences.
    """
    ratios = []
    for shape in STREAMED:
        doublings = (2**power for power in range(6, shape.trained.bit_length()))
        lengths = [*range(prompt, prompt + steps + 1), *doublings, shape.trained + 1]
        found = held_by_a_stream(shape, lengths, step)
        ratios += [got / _cache(shape, n) for n, got in zip(lengths, found, strict=True)]
    longest = max(shape.trained for shape in STREAMED)
    return Evidence.exactly(
        ratios,
        expected=1,
        unit="× the formula",
        how=f"memory held by streams of {len(STREAMED)} models that read {prompt} tokens, then "
        f"{steps} one by one, then more and more, up to {longest:,} and one",
    )


@evidence(
    rivals={
        f"{name}, on as many tokens as in its training": dict(shape=SHAPES[name])
        for name in ("Llama-3 8B", "Llama-3.1 70B", "Llama-3.1 405B")
    }
    | {
        "a cache of the last 65,536 tokens": dict(
            step=functools.partial(step_with_a_window, window=65536)
        )
    }
)
def cache_outweighs_the_weights(
    shape: Shape = LLAMA, step: Callable[..., tuple] = dense.step
) -> Evidence:
    """Bytes that a stream holds at the length of the model's training, over its weights'."""
    *_, last = held_by_a_stream(shape, (shape.trained - 1, shape.trained), step)
    return Evidence(
        value=last / derivations.WEIGHTS(b=BYTES, **shape.whole),
        expected=1,
        tolerance=0,
        unit="× the weights",
        how=f"memory held by a stream of {shape.trained} tokens, {shape.name}, bfloat16",
        relation=">",
    )


# --- One step of decoding for a batch: FLOPs a byte ---------------------------------------


class Read(TorchDispatchMode):
    """How many numbers products read of tensors that were there before, such as weights.

    Each product counts a number of its arguments once, however often a view repeats it.  Copies of
    these tensors, and whatever else is made of them before a product, count as they do.
    """

    def __init__(self, tensors: Iterable[torch.Tensor]):
        super().__init__()
        self.count = 0
        # Kept alive, so that no other storage takes the address.
        self.watched = {x.untyped_storage()._cdata: x for x in tensors}

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        read = [x for x in tree_leaves((args, kwargs)) if self._is_watched(x)]
        if function._overloadpacket in flop_registry:
            for x in read:
                strides = zip(x.shape, x.stride(), strict=True)
                self.count += math.prod(size for size, stride in strides if stride)
        elif read:
            made = (x for x in tree_leaves(result) if isinstance(x, torch.Tensor))
            self.watched |= {x.untyped_storage()._cdata: x for x in made}
        return result

    def _is_watched(self, x: object) -> bool:
        return isinstance(x, torch.Tensor) and x.untyped_storage()._cdata in self.watched


def flops_and_bytes(work: Callable[[], object], tensors: Iterable[torch.Tensor]) -> tuple[int, int]:
    """FLOPs, and bytes that are read of these tensors, at two bytes a number."""
    # Fused kernels are invisible to both meters; the mathematical one is the same products.
    with sdpa_kernel(SDPBackend.MATH):
        with FlopCounterMode(display=False) as counter:
            work()
        with Read(tensors) as read:
            work()
    return counter.get_total_flops(), BYTES * read.count


def kept_once(k: torch.Tensor, h: int) -> torch.Tensor:
    """Keys (S, g, 1, n, d), as they are."""
    return k


def kept_for_every_query_head(k: torch.Tensor, h: int) -> torch.Tensor:
    """A rival: copies, one for each of the query heads that share them."""
    return k.expand(-1, -1, h // k.shape[1], -1, -1).clone()


def heads_as_queries(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """Attention of one query a head, (S, g, h/g, 1, d): heads of a group meet its keys together."""
    return dense.attend(q.transpose(-3, -2), k, v).transpose(-3, -2)


def repeated_for_every_query_head(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor
) -> torch.Tensor:
    """A rival: a cache that is kept once, and in each step repeated for each query head."""
    k, v = (x.repeat(1, 1, q.shape[2], 1, 1) for x in (k, v))
    return dense.attend(q, k, v)


def one_prompt_for_all(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """A rival, right where all sequences are the same: the first one's cache serves the batch."""
    together = q.movedim(0, 1).flatten(1, 2)[None]  # (1, g, S · h/g, 1, d)
    out = heads_as_queries(together, k[:1], v[:1])[0]
    return out.unflatten(1, (len(q), -1)).movedim(1, 0)


def twice(work: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
    """A rival: all is done again, so that both FLOPs and bytes are twice as many."""

    def again(*args: Any) -> torch.Tensor:
        work(*args)
        return work(*args)

    return again


def a_window_of_heads(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """A rival, and another function: heads look at the last 1,024 tokens alone."""
    return heads_as_queries(q, k[..., -1024:, :], v[..., -1024:, :])


BATCHES = (1, 4, 16)


@evidence(
    rivals={
        "a cache for every query head": dict(keep=kept_for_every_query_head, attend=dense.attend),
        "a cache that each step repeats for every query head": dict(
            attend=repeated_for_every_query_head
        ),
        "a batch that shares one prompt": dict(attend=one_prompt_for_all),
        "a step that reads the last 1,024 tokens alone": dict(attend=a_window_of_heads),
        "a step that reads everything twice": dict(attend=twice(heads_as_queries)),
    }
)
def no_batch_shares_a_cache(
    keep: Callable[[torch.Tensor, int], torch.Tensor] = kept_once,
    attend: Callable[..., torch.Tensor] = heads_as_queries,
    n: int = 4096,
) -> Evidence:
    """What products read of the caches in a step of decoding, and FLOPs for each byte of it."""
    h, g, d = LLAMA.h, LLAMA.g, LLAMA.d_model // LLAMA.h
    ratios = []
    for batch in BATCHES:
        q = torch.empty(batch, g, h // g, 1, d, device="meta")
        k, v = (keep(q.new_empty(batch, g, 1, n, d), h) for _ in range(2))
        flops, read = flops_and_bytes(functools.partial(attend, q, k, v), (k, v))
        ratios.append(read * LLAMA.layers / (batch * _cache(LLAMA, n)))
        ratios.append(flops / read / (2 * h / (g * BYTES)))
    return Evidence.exactly(
        ratios,
        expected=1,
        unit=f"× the bytes of S caches, or × {2 * h / (g * BYTES):g} FLOPs a byte",
        how="FLOPs that PyTorch counts (FlopCounterMode) and numbers that products read, "
        f"heads of {LLAMA.name}, {n:,} tokens, batches of S = 1, 4 and 16",
    )


def together(layer: Layer, x: torch.Tensor) -> torch.Tensor:
    """A step's products with all weights, (S, 1, d_model): a token of each sequence, no attention.

    Queries go on as if they were what attention returns.
    """
    q, _, _ = layer.project(x)
    return layer.finish(x, q)


def one_by_one(layer: Layer, x: torch.Tensor) -> torch.Tensor:
    """A rival: the sequences take turns."""
    return torch.stack([together(layer, one) for one in x])


@evidence(
    rivals={
        "sequences that take turns": dict(step=one_by_one),
        "a step that does everything twice": dict(step=twice(together)),
    }
)
def a_batch_shares_the_weights(
    step: Callable[[Layer, torch.Tensor], torch.Tensor] = together,
) -> Evidence:
    """What one step of decoding reads of the weights, and FLOPs for each byte of it."""
    layer = Layer.draw(ODD)
    weights, ratios = [x for x in layer if isinstance(x, torch.Tensor)], []
    for batch in BATCHES:
        x = torch.empty(batch, 1, ODD["d_model"], device="meta")
        flops, read = flops_and_bytes(functools.partial(step, layer, x), weights)
        ratios.append(read / (BYTES * sum(weight.numel() for weight in weights)))
        ratios.append(flops / read / (2 * batch / BYTES))
    return Evidence.exactly(
        ratios,
        expected=1,
        unit="× the weights' bytes, or × 2S/b FLOPs a byte",
        how="FLOPs that PyTorch counts (FlopCounterMode) and numbers that products read, "
        "one layer, batches of S = 1, 4 and 16 sequences",
    )
