"""The page on FLOPs: a layer of ours, layers of others, and rivals that are right but for the cost.

A layer of transformers' is nobody's on this page: neither its formulas nor its code are ours.
"""

import pytest
import torch
from helpers.chapter_parts import evidence_of
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from attention_limits.chapters.quadratic_cost.derivations import flops as derivations
from attention_limits.chapters.quadratic_cost.evidence import flops
from attention_limits.evidence import rivals
from attention_limits.shapes import MODELS, SHAPES

EVIDENCE = {name: piece for name, piece in vars(flops).items() if name in evidence_of("flops")}
RIVALS = {
    f"{name}: {words}": gather
    for name, piece in EVIDENCE.items()
    for words, gather in rivals(piece).items()
}


@pytest.mark.parametrize("name", EVIDENCE)
def test_every_piece_has_a_rival(name):
    """Nothing could have refuted it."""
    assert rivals(EVIDENCE[name])


@pytest.mark.parametrize("gather", RIVALS.values(), ids=RIVALS)
def test_rivals_are_refused(gather):
    """The evidence would have held for a layer that costs something else."""
    assert not gather().holds


@pytest.mark.parametrize(
    "attend",
    [
        flops.scores_twice,
        flops.through_an_identity,
        flops.through_an_identity_row_by_row,
        flops.pairs_of_scores,
    ],
)
def test_rivals_differ_in_cost_alone(attend):
    """A rival with a wrong result would have been refused by any check."""
    torch.manual_seed(0)
    built = (torch.nn.TransformerEncoderLayer, flops.with_attention(attend))
    own, rival = (
        layer(32, 4, 64, dropout=0.0, batch_first=True, dtype=torch.float64) for layer in built
    )
    rival.self_attn.double()
    rival.load_state_dict(own.state_dict())
    x = torch.randn(2, 19, 32, dtype=torch.float64)
    torch.testing.assert_close(rival(x), own(x))


# --- our own list of products --------------------------------------------------------------------


@pytest.mark.parametrize(
    "layer",
    [
        dict(n=64, **flops.SMALL),
        dict(n=97, **flops.ODD),
        *(dict(n=shape.trained, **shape.sizes) for shape in SHAPES.values()),
    ],
)
def test_our_list_of_products_is_the_formulas(layer):
    """Rows and columns of a product were swapped, or keys as wide as queries."""
    counted = flops.counted_layer(**layer)
    for formula in (derivations.ATTENTION, derivations.PROJECTIONS, derivations.MLP):
        sizes = {symbol.name: layer[symbol.name] for symbol in formula.symbols}
        assert counted[formula.name] == formula(**sizes)


# --- layers of transformers' ----------------------------------------------------------------------

LLAMAS = [
    dict(d_model=64, h=4, g=4, f=256, c=3),
    dict(d_model=96, h=6, g=2, f=100, c=3),
    dict(d_model=128, h=8, g=1, f=77, c=3),
    SHAPES["Llama-3.1 8B"].sizes,
    SHAPES["Llama-3.1 405B"].sizes,
]


def llama_layer(sizes):
    """A decoder layer of transformers' Llama, on the meta device."""
    models = pytest.importorskip("transformers.models.llama.modeling_llama")
    config = models.LlamaConfig(
        hidden_size=sizes["d_model"],
        num_attention_heads=sizes["h"],
        num_key_value_heads=sizes["g"],
        intermediate_size=sizes["f"],
        attn_implementation="eager",
    )
    with torch.device("meta"):
        return models.LlamaDecoderLayer(config, 0)


@pytest.mark.slow
@pytest.mark.parametrize("n", [50, 5000])
@pytest.mark.parametrize("sizes", LLAMAS, ids=str)
def test_a_llama_layer_of_others_costs_what_was_derived(sizes, n):
    """Grouped heads or a gated MLP cost something else in a layer that people use."""
    layer, d = llama_layer(sizes), sizes["d_model"] // sizes["h"]
    angles = torch.empty(1, n, d, device="meta"), torch.empty(1, n, d, device="meta")
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        layer(torch.empty(1, n, sizes["d_model"], device="meta"), position_embeddings=angles)
    assert counter.get_total_flops() == derivations.LAYER(n=n, **sizes)


def text_config(name):
    """The configuration that a model was published with, as far as its FLOPs depend on it."""
    from transformers import DeepseekV3Config, Gemma3TextConfig, KimiLinearConfig, Qwen3Config

    return {
        "DeepSeek-V3": lambda: DeepseekV3Config(),
        "Kimi Linear": lambda: KimiLinearConfig(
            layer_types=[
                "full_attention" if layer in (4, 8, 12, 16, 20, 24, 27) else "linear_attention"
                for layer in range(1, 28)
            ]
        ),
        "Qwen3-32B": lambda: Qwen3Config(
            hidden_size=5120,
            num_hidden_layers=64,
            num_attention_heads=64,
            num_key_value_heads=8,
            head_dim=128,
            intermediate_size=25600,
        ),
        "Gemma-3 27B": lambda: Gemma3TextConfig(
            hidden_size=5376,
            num_hidden_layers=62,
            num_attention_heads=32,
            num_key_value_heads=16,
            head_dim=128,
            intermediate_size=21504,
            sliding_window=1024,
        ),
    }[name]()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["DeepSeek-V3", "Kimi Linear", "Qwen3-32B", "Gemma-3 27B"])
def test_weights_are_those_of_the_models_that_others_built(name):
    """A projection was left out, or an expert that every token visits."""
    transformers = pytest.importorskip("transformers")
    config = text_config(name)
    with torch.device("meta"):
        layers = transformers.AutoModel.from_config(config).layers
    weights = 0
    for name_of, parameter in layers.named_parameters():
        if parameter.dim() < 2 or "conv1d" in name_of or "A_log" in name_of:
            continue  # norms, biases, short convolutions
        visited = config.num_experts_per_tok / len(parameter) if parameter.dim() == 3 else 1
        weights += int(parameter.numel() * visited)
    assert weights == MODELS[name].weights


@pytest.mark.slow
def test_layers_that_see_everything_are_as_many_as_others_count():
    """One layer in six of Gemma 3 sees everything: ten of 62."""
    pytest.importorskip("transformers")
    kinds = text_config("Gemma-3 27B").layer_types
    assert sum(kind == "full_attention" for kind in kinds) == MODELS["Gemma-3 27B"].full


def test_pytorch_credits_a_fused_kernel_with_what_a_mask_hides():
    """The page warns of it; a PyTorch that no longer does so makes the warning false."""
    full, causal = (flops.credited_to_a_fused_kernel(mask, n=96, d=32) for mask in (False, True))
    assert full == causal == 4 * 96**2 * 32
