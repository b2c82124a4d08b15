"""Formulas of a whole model's inference, against a sum over its steps."""

from itertools import combinations, product
from statistics import mean

import pytest

from attention_limits.accelerators import ACCELERATORS
from attention_limits.chapters.quadratic_cost.derivations import inference
from attention_limits.chapters.quadratic_cost.explorables import inference as explorables
from attention_limits.shapes import MEMORY, MODELS

LLAMA, H100 = MEMORY["Llama-3.1 8B"], ACCELERATORS["H100"]
OF_MODEL = dict(kappa=LLAMA.kappa, weights=LLAMA.weights, r=4)


def test_each_step_of_decoding_is_counted():
    """A sum in closed form forgot the first token, or the last, or a sequence of the batch."""
    prompt, output, batch = 7, 5, 3
    steps = range(prompt + 1, prompt + output)  # tokens that each step reads, its own included
    assert inference.READ(prompt=prompt, output=output) == sum(steps)
    once = LLAMA.weights + LLAMA.table
    flops = sum(batch * (2 * once + 8 * LLAMA.kappa * n) for n in steps)
    moved = sum(2 * (once + batch * LLAMA.kappa * n) for n in steps)
    alone = dict(b=2, b_w=2, g=LLAMA.g, devices=1, routed=0, experts=1, chosen=1)
    given = dict(prompt=prompt, output=output, batch=batch, table=LLAMA.table)
    assert inference.DECODING_FLOPS(**given, **OF_MODEL) == flops
    without_r = {name: OF_MODEL[name] for name in ("kappa", "weights")}
    assert inference.DECODING_BYTES(**given, **without_r, **alone) == moved


def test_a_long_prompt_takes_the_seconds_that_the_page_says():
    """By hand: 2nP + rκn² FLOPs at 989.4 TFLOP/s, and 32.2 GB at 3.35 TB/s."""
    n = 131_072
    flops = inference.PREFILL_FLOPS(prompt=n, batch=1, table=LLAMA.table, **OF_MODEL)
    hidden = inference.PREFILL_ATTENTION(prompt=n, batch=1, kappa=LLAMA.kappa, r=4)
    assert flops / H100.peak == pytest.approx(6.40, abs=0.01)
    assert (flops + hidden) / H100.peak == pytest.approx(10.95, abs=0.01)
    read = 2 * (LLAMA.weights + LLAMA.table + LLAMA.kappa * n)
    assert 1000 * read / H100.bandwidth == pytest.approx(9.6, abs=0.02)


def test_the_batch_turns_where_the_two_times_meet():
    """Solved for the batch with a wrong sign."""
    n, rates = 200, dict(peak=H100.peak, bandwidth=H100.bandwidth)
    batch = inference.TURNING_BATCH_CACHED(n=n, b=2, **OF_MODEL, **rates)
    computing = batch * (2 * LLAMA.weights + 8 * LLAMA.kappa * n) / H100.peak
    reading = 2 * (LLAMA.weights + batch * LLAMA.kappa * n) / H100.bandwidth
    assert computing == pytest.approx(reading)
    assert batch > inference.TURNING_BATCH(b=2, **rates)
    last = inference.NEVER_FROM(b=2, **OF_MODEL, **rates)
    assert inference.TURNING_BATCH_CACHED(n=int(last), b=2, **OF_MODEL, **rates) > 1e4
    assert inference.TURNING_BATCH_CACHED(n=int(last) + 1, b=2, **OF_MODEL, **rates) < 0


@pytest.mark.parametrize(("devices", "parts"), [(1, 1), (4, 4), (8, 8), (16, 8)])
def test_accelerators_share_weights_and_heads(devices, parts):
    """Two accelerators to a head were each said to read half of its cache."""
    given = dict(prompt=100, output=1, batch=3, kappa=LLAMA.kappa, b=2)
    layers = dict(weights=LLAMA.weights, routed=0, experts=1, chosen=1, table=LLAMA.table)
    layers |= dict(tables=2, b_w=1, g=8, devices=devices)
    held = LLAMA.parameters / devices + 2 * 300 * LLAMA.kappa / parts
    assert inference.RESIDENT(**given, **layers) == pytest.approx(held, rel=1e-12)


def test_latent_attention_is_copied_to_each():
    """All heads read one vector, which no number of accelerators divides."""
    one = dict(kappa=MEMORY["DeepSeek-V3"].kappa, b=2, batch=1, prompt=1000)
    found = {inference.CACHE_WRITTEN(g=1, devices=t, **one) for t in (1, 2, 16)}
    assert found == {2 * 1000 * 61 * 576}


@pytest.mark.parametrize("batch", [1, 2, 3])
def test_experts_that_a_batch_reaches_are_counted(batch):
    """All choices of 2 of 4 experts by each token, one by one, and no formula."""
    routings = product(combinations(range(4), 2), repeat=batch)
    reached = mean(len(set().union(*tokens)) for tokens in routings)
    read = inference.WEIGHTS_READ(weights=100, routed=40, experts=4, chosen=2, batch=batch)
    assert read == pytest.approx(100 - 20 + 10 * reached)


@pytest.mark.parametrize("name", MEMORY)
def test_weights_of_a_token_and_weights_in_all(name):
    """Active and total parameters told of two models; a token that meets all of them has 671."""
    memory, met = MEMORY[name], MODELS[name].weights
    routing = dict(routed=memory.routed, experts=memory.experts, chosen=memory.chosen)
    assert inference.WEIGHTS_HELD(weights=met, **routing) == memory.weights
    assert inference.WEIGHTS_READ(weights=met, batch=1, **routing) == met
    assert inference.WEIGHTS_READ(weights=met, batch=2000, **routing) == pytest.approx(
        memory.weights, rel=1e-9
    )


def test_with_experts_the_batch_turns_where_the_two_times_meet():
    """A token's experts stood for all that a large batch reads."""
    memory, rates = MEMORY["DeepSeek-V3"], dict(peak=H100.peak, bandwidth=H100.bandwidth)
    model = dict(weights=MODELS["DeepSeek-V3"].weights, routed=memory.routed)
    model |= dict(experts=memory.experts, chosen=memory.chosen)
    batch = inference.TURNING_BATCH_EXPERTS(b_w=1, **model, **rates)
    reading = inference.WEIGHTS_READ.numpy(batch=round(batch), **model) / H100.bandwidth
    assert batch * 2 * model["weights"] / H100.peak == pytest.approx(reading, rel=1e-6)
    dense = dict(weights=LLAMA.weights, routed=0, experts=1, chosen=1)
    turning = inference.TURNING_BATCH(b=2, **rates)
    assert inference.TURNING_BATCH_EXPERTS(b_w=2, **dense, **rates) == pytest.approx(turning)


@pytest.mark.parametrize(("decoded", "billions"), [(False, 4.997), (True, 16.99)])
def test_latent_attention_has_another_product_in_decoding(decoded, billions):
    """By hand, for 1,000 tokens of cache: 61 layers, 128 heads, 192 + 128 or 576 + 512 numbers."""
    facts = explorables.served(decoded=decoded)
    at = {explorables.model: explorables.SERVED.index("DeepSeek-V3") + 1}
    of_a_number, numbers = (facts[s].subs(at) for s in (explorables.group, explorables.kappa))
    assert float(2 * 1000 * of_a_number * numbers) / 1e9 == pytest.approx(billions, rel=1e-3)
