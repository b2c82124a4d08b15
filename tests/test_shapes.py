"""Published shapes: facts that were looked up, and what follows from them."""

from pathlib import Path

import pytest

from attention_limits.chapters.quadratic_cost.derivations.flops import (
    CROSSOVER,
    MASKED_CROSSOVER,
    MASKED_SHARE,
    MODEL_CROSSOVER,
    in_shares,
)
from attention_limits.chapters.quadratic_cost.derivations.inference import CACHE, WEIGHTS
from attention_limits.chapters.quadratic_cost.explorables.flops import PRESETS
from attention_limits.shapes import MEMORY, MODELS, ROTARY, SHAPES

ROOT = Path(__file__).parents[1]
REFERENCES = ROOT / "references.bib"


def rows_of_practice():
    """The table of published models on the page: name, year, base, tokens, what else, source."""
    page = (ROOT / "chapters/positional-encodings/practice.md").read_text(encoding="utf-8")
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in page.splitlines()]
    return {row[0]: row[1:] for row in rows if len(row) == 6 and row[1].isdigit()}


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_heads_share_the_width(shape):
    """Where they don't, as in Gemma 3 or Qwen 3, the formulas of a layer don't apply."""
    assert shape.d_model % shape.h == 0
    assert shape.h % shape.g == 0


@pytest.mark.parametrize(
    ("name", "tokens"),
    [("Llama-3 8B", 26_624), ("Llama-3 70B", 52_224), ("Llama-3.1 405B", 97_280)],
)
def test_crossovers_that_the_text_quotes(name, tokens):
    """The exercises' solutions name these numbers; by hand: d(1 + g/h) + 1.5 f."""
    assert CROSSOVER(**SHAPES[name].sizes) == tokens


@pytest.mark.parametrize(
    ("name", "billions"),
    [("GPT-2 XL", 1.5), ("Llama-2 7B", 7), ("Llama-3 8B", 8), ("Llama-3.1 405B", 405)],
)
def test_the_weights_add_up_to_what_the_models_are_named_after(name, billions):
    """A wrong number of layers, words or tables: the 8B's second table alone is half a billion."""
    assert WEIGHTS(b=1, **SHAPES[name].whole) / 1e9 == pytest.approx(billions, rel=0.04)


def test_every_model_has_its_memory():
    """A figure of caches left a model out."""
    assert MEMORY.keys() == MODELS.keys()


@pytest.mark.parametrize(
    ("name", "billions"),
    [("DeepSeek-V3", 671), ("Kimi Linear", 49), ("Qwen3-32B", 32.8), ("Gemma-3 27B", 27)],
)
def test_the_parameters_add_up_to_what_was_published(name, billions):
    """Experts that a token does not visit have to be held all the same."""
    assert MEMORY[name].parameters / 1e9 == pytest.approx(billions, rel=0.01)


@pytest.mark.parametrize("name", sorted(MODELS.keys() & SHAPES.keys()))
def test_one_model_has_one_cache(name):
    """The formula of a shape and the facts of a model told two stories of its memory."""
    shape, memory = SHAPES[name], MEMORY[name]
    sizes = {s: shape.whole[s] for s in ("layers", "d_model", "h", "g")}
    assert CACHE(n=1, b=1, **sizes) == memory.kappa
    assert WEIGHTS(b=1, **shape.whole) == memory.parameters


@pytest.mark.parametrize("name", [*sorted(MODELS.keys() & SHAPES.keys()), "Qwen3-32B"])
def test_a_model_has_as_many_heads_in_its_cache(name):
    """Key-value heads that tensor parallelism divides, and none of them in the cache."""
    model, memory = MODELS[name], MEMORY[name]
    assert memory.kappa == model.full * memory.g * (model.d_k + model.d_v)
    assert model.h % memory.g == 0


@pytest.mark.parametrize("name", sorted(MODELS.keys() & SHAPES.keys()))
def test_one_model_has_one_crossover(name):
    """The formula for any model, and the one for a layer, told two stories of the same one."""
    model, sizes = MODELS[name], SHAPES[name].sizes
    assert crossover_of(model) == CROSSOVER(**sizes)


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_is_the_model(name):
    """Sliders in ratios stood for another layer than the one that a preset is named after."""
    at = {symbol.name: value for symbol, value in PRESETS[name].items()}
    model = MODELS[name]
    star = in_shares(MASKED_CROSSOVER)(mask=1, **at)
    assert star == pytest.approx(crossover_of(model), rel=1e-12)
    causal = in_shares(MASKED_CROSSOVER)(mask=2, **at)
    assert causal == pytest.approx(2 * star - 1)
    for mask, half in ((1, round(star)), (2, round(causal))):
        assert in_shares(MASKED_SHARE).numpy(n=half, mask=mask, **at) == pytest.approx(
            0.5, abs=1e-3
        )


def crossover_of(model):
    """The length at which full attention is half of a model's FLOPs."""
    return MODEL_CROSSOVER(
        steady=model.steady, full=model.full, h=model.h, d_k=model.d_k, d_v=model.d_v
    )


@pytest.mark.parametrize(
    ("name", "billions"),
    [("DeepSeek-V3", 36.6), ("Kimi Linear", 3.1), ("Qwen3-32B", 32), ("Gemma-3 27B", 27)],
)
def test_a_token_meets_as_many_weights_as_published(name, billions):
    """All experts were counted, or one table of embeddings as if it were a product."""
    tables = {"DeepSeek-V3": 129280 * 7168, "Kimi Linear": 163840 * 2304}
    tables |= {"Qwen3-32B": 151936 * 5120, "Gemma-3 27B": 262208 * 5376}
    assert (MODELS[name].weights + tables[name]) / 1e9 == pytest.approx(billions, rel=0.01)


def test_no_model_stands_twice():
    """One shape under two names would vote twice."""
    shapes = [(m.layers, m.h, m.d_k, m.weights) for m in MODELS.values()]
    assert len(set(shapes)) == len(shapes)
    assert all(m.first <= m.trained and m.full + m.windowed <= m.layers for m in MODELS.values())


@pytest.mark.parametrize("name", sorted(ROTARY.keys() & SHAPES.keys()))
def test_a_model_has_one_width_of_a_head_and_one_context(name):
    """Two tables told two stories of one model."""
    model, shape = ROTARY[name], SHAPES[name]
    assert (model.d, model.trained) == (shape.d_model // shape.h, shape.trained)
    assert model.source == shape.source


PRACTICE = rows_of_practice()
LISTED = sorted(PRACTICE.keys() & (SHAPES.keys() | MODELS.keys()))


def test_the_page_on_practice_lists_models_of_ours():
    """A name was changed on the page, and its numbers were compared with nothing any more."""
    assert {*ROTARY, "DeepSeek-V3", "Gemma-3 27B", "Llama-3.1 8B"} <= {*LISTED}


@pytest.mark.parametrize("name", LISTED)
def test_a_model_has_one_base_and_one_context_on_the_page_too(name):
    """The table on the page and the presets of its neighbour told two stories of one model."""
    _, base, tokens, _, source = PRACTICE[name]
    model = SHAPES.get(name) or MODELS[name]
    assert tokens.split()[-1] == f"{model.trained:,}"
    assert model.source in source
    if name in ROTARY:
        assert base == f"{ROTARY[name].base:,.0f}"


def test_sources_are_among_the_references():
    """A fact cited a work that the bibliography does not have."""
    references = REFERENCES.read_text(encoding="utf-8")
    for model in (*SHAPES.values(), *MODELS.values(), *ROTARY.values()):
        assert f"{{{model.source}," in references, model.name
