"""Evidence of the page on FLOPs: a layer that we did not write, counted while it runs."""

from collections.abc import Callable
from itertools import pairwise

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import linear
from torch.utils.flop_counter import FlopCounterMode

from attention_limits.attention import dense
from attention_limits.attention import linear as linear_attention
from attention_limits.chapters.quadratic_cost.derivations import flops as derivations
from attention_limits.evidence import Evidence, evidence
from attention_limits.meters import Touched

SMALL = dict(d_model=64, h=4, g=4, f=256, c=2)

ODD = dict(d_model=60, h=6, g=1, f=78, c=3)  # nothing here is a power of two

# Widths, heads and widths of the MLP of classic layers: the last is GPT-2 XL's.
CLASSIC = ((64, 4, 256), (60, 6, 77), (96, 1, 96), (1600, 25, 6400))

Attend = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]


# --- rivals -------------------------------------------------------------------------------------


def with_attention(attend: Attend) -> Callable[..., torch.nn.TransformerEncoderLayer]:
    """PyTorch's layer, but for what computes its attention from queries, keys and values."""

    class Attention(torch.nn.MultiheadAttention):
        def forward(self, query, key, value, **_):
            inputs = linear(query, self.in_proj_weight, self.in_proj_bias).chunk(3, dim=-1)
            q, k, v = (x.unflatten(-1, (self.num_heads, -1)).movedim(-2, -3) for x in inputs)
            return self.out_proj(attend(q, k, v).movedim(-3, -2).flatten(-2)), None

    def layer(d_model: int, heads: int, *args, **kwargs) -> torch.nn.TransformerEncoderLayer:
        built = torch.nn.TransformerEncoderLayer(d_model, heads, *args, **kwargs)
        device = built.linear1.weight.device
        built.self_attn = Attention(d_model, heads, batch_first=True, device=device)
        return built

    return layer


def scores_twice(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """Attention's results for half as much again: one product for its maxima, one for the rest."""
    q = q / q.shape[-1] ** 0.5
    largest = (q @ k.mT).amax(-1, keepdim=True)
    weights = (q @ k.mT - largest).exp()
    return weights / weights.sum(-1, keepdim=True) @ v


def through_an_identity(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """Attention's results for a cube: its weights meet an identity matrix before the values."""
    weights = softmax_of(q, k)
    return weights @ torch.eye(k.shape[-2], dtype=k.dtype, device=k.device).expand_as(weights) @ v


def through_an_identity_row_by_row(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor
) -> torch.Tensor:
    """The same cube, head by head in products of two matrices, as those with weights are."""
    weights = softmax_of(q, k)
    identity = torch.eye(k.shape[-2], dtype=k.dtype, device=k.device)
    through = torch.stack([one @ identity for one in weights.flatten(0, -3)])
    return through.unflatten(0, weights.shape[:-2]) @ v


def pairs_of_scores(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """Attention's results and products, with n³ exponentials: each score less each of its row's."""
    scores = q @ k.mT / q.shape[-1] ** 0.5
    return (scores[..., None, :] - scores[..., None]).exp().sum(-1).reciprocal() @ v


def softmax_of(q: torch.Tensor, k: torch.Tensor) -> torch.Tensor:
    """All weights, written out."""
    return torch.softmax(q @ k.mT / q.shape[-1] ** 0.5, dim=-1)


# --- counts -------------------------------------------------------------------------------------


def counted(
    layer: Callable[..., torch.nn.TransformerEncoderLayer], n: int, d_model: int, h: int, f: int
) -> dict[str, int]:
    """FLOPs of one layer on n tokens: products with weights, and all other products.

    Each token meets each weight once. Whatever the layer computes beyond that is "attention", in
    products of any kind.
    """
    model = layer(d_model, h, f, dropout=0.0, batch_first=True, device="meta")
    x = torch.empty(1, n, d_model, device="meta")
    # Fused kernels are invisible to the counter here; the plain one has the same products.
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        model(x)
    rest = 2 * n * sum(weight.numel() for weight in model.parameters() if weight.dim() == 2)
    return {"attention": counter.get_total_flops() - rest, "rest": rest}


def credited_to_a_fused_kernel(causal: bool, n: int = 256, d: int = 64) -> int:
    """FLOPs that PyTorch's counter reports for the fused kernel of GPUs, in one head."""
    q, k, v = (torch.empty(1, 1, n, d, device="meta", dtype=torch.float16) for _ in range(3))
    with FlopCounterMode(display=False) as counter:
        torch.ops.aten._scaled_dot_product_flash_attention(q, k, v, 0.0, causal)
    return counter.get_total_flops()


LINEAR = dict(layer=with_attention(linear_attention.attend))


@evidence(
    rivals={
        "a layer that computes its scores twice": dict(layer=with_attention(scores_twice)),
        "a layer with linear attention": LINEAR,
    }
)
def pytorchs_layer_costs_what_was_derived(layer=torch.nn.TransformerEncoderLayer) -> Evidence:
    """FLOPs of the layer that PyTorch ships, on lengths below and above n*, over the formula's."""
    ratios = []
    for d_model, h, f in CLASSIC:
        sizes = dict(d_model=d_model, h=h, g=h, f=f, c=2)
        for n in (d_model // 2, 10 * d_model):
            found = counted(layer, n, d_model, h, f)
            ratios.append(sum(found.values()) / derivations.LAYER(n=n, **sizes))
    return Evidence.exactly(
        ratios,
        expected=1,
        unit="× the formula",
        how="FLOPs that PyTorch counts (FlopCounterMode) in its own layer, "
        f"nn.TransformerEncoderLayer, {len(CLASSIC)} shapes",
    )


@evidence(
    rivals={
        "a layer with linear attention": LINEAR,
        "a layer whose attention takes n³": dict(layer=with_attention(through_an_identity)),
        "a layer that takes n³ in products of two matrices": dict(
            layer=with_attention(through_an_identity_row_by_row)
        ),
    }
)
def attention_quadruples_when_n_doubles(layer=torch.nn.TransformerEncoderLayer) -> Evidence:
    """FLOPs of all products in PyTorch's layer but those with weights, at 2n over those at n."""
    lengths = [2**power for power in range(4, 21)]
    counts = [counted(layer, n, 64, 4, 256)["attention"] for n in lengths]
    ratios = [later / earlier for earlier, later in pairwise(counts)]
    return Evidence.exactly(
        ratios,
        expected=4,
        unit="× for each doubling",
        how="FLOPs that PyTorch counts (FlopCounterMode) in its own layer, "
        "nn.TransformerEncoderLayer, less products with weights, "
        f"n = {lengths[0]} to {lengths[-1]:,}",
    )


@evidence(
    rivals={
        "a layer with linear attention": LINEAR,
        "a layer that computes its scores twice": dict(layer=with_attention(scores_twice)),
    }
)
def attention_equals_the_rest_at_crossover(layer=torch.nn.TransformerEncoderLayer) -> Evidence:
    """In PyTorch's layer at n*: all other products over products with weights."""
    ratios = []
    for d_model, h, f in CLASSIC:
        n = int(derivations.CROSSOVER(d_model=d_model, h=h, g=h, f=f, c=2))
        found = counted(layer, n, d_model, h, f)
        ratios.append(found["attention"] / found["rest"])
    return Evidence.exactly(
        ratios,
        expected=1,
        unit="× the rest of the layer",
        how="FLOPs that PyTorch counts (FlopCounterMode) in its own layer, "
        f"nn.TransformerEncoderLayer, at n = n*, {len(ratios)} shapes",
    )


@evidence(
    rivals={
        "a layer whose softmax takes n³ exponentials": dict(layer=with_attention(pairs_of_scores))
    }
)
def elementwise_work_grows_no_faster(layer=torch.nn.TransformerEncoderLayer) -> Evidence:
    """Numbers that any operation of PyTorch's layer reads or writes: their part beyond linear.

    The second difference leaves out all that is linear in n. A square's is four times as large for
    steps twice as long, a cube's more.
    """
    ratios = [_bend(layer, 2 * n) / _bend(layer, n) for n in (32, 100, 1024)]
    return Evidence.exactly(
        ratios,
        expected=4,
        unit="× for each doubling",
        how="numbers that each operation reads and writes in PyTorch's layer, "
        "nn.TransformerEncoderLayer, scores written out, less what is linear in n",
    )


def _bend(layer: Callable[..., torch.nn.TransformerEncoderLayer], n: int) -> int:
    """The second difference of the numbers touched, at n, 2n and 3n tokens."""
    touched = []
    model = layer(64, 4, 256, dropout=0.0, batch_first=True, device="meta")
    for tokens in (n, 2 * n, 3 * n):
        with Touched() as work, sdpa_kernel(SDPBackend.MATH):
            model(torch.empty(1, tokens, 64, device="meta"))
        touched.append(work.count)
    return touched[0] - 2 * touched[1] + touched[2]


# --- our own list of products -------------------------------------------------------------------


def counted_layer(*, n: int, d_model: int, h: int, g: int, f: int, c: int) -> dict[str, int]:
    """FLOPs of one layer's products, listed by us, under the names of the formulas."""

    def tensor(*shape: int) -> torch.Tensor:
        return torch.empty(shape, device="meta")

    def heads(x: torch.Tensor, count: int) -> torch.Tensor:
        return x.unflatten(-1, (count, d_model // h)).movedim(-2, -3)

    x, kv_width = tensor(n, d_model), g * d_model // h
    with FlopCounterMode(display=False) as projections:
        q, k, v = (linear(x, tensor(width, d_model)) for width in (d_model, kv_width, kv_width))
        linear(x, tensor(d_model, d_model))  # the output projection
    with FlopCounterMode(display=False) as attention, sdpa_kernel(SDPBackend.MATH):
        grouped = heads(q, h).unflatten(0, (g, h // g))
        dense.attend(grouped, heads(k, g).unsqueeze(-3), heads(v, g).unsqueeze(-3))
    with FlopCounterMode(display=False) as mlp:
        for _ in range(c - 1):  # one matrix in, or two if the MLP is gated
            wide = linear(x, tensor(f, d_model))
        linear(wide, tensor(d_model, f))
    counts = {"attention": attention, "projections": projections, "MLP": mlp}
    return {name: counter.get_total_flops() for name, counter in counts.items()}
