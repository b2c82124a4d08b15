"""Evidence of the page on backward: what PyTorch counts while it runs the products themselves."""

from itertools import pairwise

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from attention_limits.attention import dense, online_softmax
from attention_limits.evidence import Evidence, evidence


def counted_both_ways(n: int, d: int, heads: int = 2) -> tuple[int, int]:
    """FLOPs of attention forward and backward, with all gradients, as PyTorch counts them."""
    shape = (heads, n, d)
    inputs = [torch.empty(shape, device="meta", requires_grad=True) for _ in range(3)]
    with FlopCounterMode(display=False) as forward, sdpa_kernel(SDPBackend.MATH):
        output = dense.attend(*inputs)
    with FlopCounterMode(display=False) as backward:
        output.backward(torch.empty_like(output))
    return forward.get_total_flops(), backward.get_total_flops()


@evidence()
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


@evidence()
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


@evidence()
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


@evidence()
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


@evidence()
def recomputing_takes_a_fifth_product() -> Evidence:
    """FLOPs of the way back over those of the way there, where the weights are not kept."""
    ratios = []
    for n, d in ((64, 8), (97, 60), (1024, 64), (4096, 128)):
        inputs = [torch.zeros(2, n, d, requires_grad=True) for _ in range(3)]
        with FlopCounterMode(display=False) as forward:
            output = online_softmax.attend(*inputs)
        with FlopCounterMode(display=False) as backward:
            output.backward(torch.zeros_like(output))
        ratios.append(backward.get_total_flops() / forward.get_total_flops())
    return Evidence.exactly(
        ratios,
        expected=2.5,
        unit="× forward",
        how="FlopCounterMode around online_softmax, 4 shapes, n = 64 to 4096",
    )
