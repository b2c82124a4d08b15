"""Formulas of a whole model's inference, against a sum over its steps."""

import pytest

from attention_limits.accelerators import ACCELERATORS
from attention_limits.chapters.quadratic_cost.derivations import inference
from attention_limits.shapes import MEMORY

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
    given = dict(prompt=prompt, output=output, batch=batch, table=LLAMA.table)
    assert inference.DECODING_FLOPS(**given, **OF_MODEL) == flops
    without_r = {name: OF_MODEL[name] for name in ("kappa", "weights")}
    assert inference.DECODING_BYTES(**given, **without_r, b=2) == moved


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
