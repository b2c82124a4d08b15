"""What a call costs as sequences grow: FLOPs and memory, counted, and time, compared."""

from collections.abc import Iterator, Mapping, Sequence
from statistics import median

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from attention_limits.attention import dense
from attention_limits.contract.calls import told
from attention_limits.contract.findings import Finding, failed, measured, passed
from attention_limits.contract.mechanism import Case, Inputs, shapes_of
from attention_limits.contract.prices import price
from attention_limits.contract.sizes import TAIL
from attention_limits.meters import PeakMemory
from attention_limits.runs import timing
from attention_limits.runs.statistics import Fit, fit

WIDTH = 16  # of queries, keys and values
STEEPER = 0.3  # by how much memory may outgrow the work that `cost` admits: n log n for n, no more


def check_flops(case: Case) -> Iterator[Finding]:
    """Those of matrix products, as PyTorch counts them, to the last one."""
    counts = {n: _flops(case, n) for n in case.size.lengths}
    grown = grows("FLOPs a head", counts)
    says = {n: price(case, "executed", n=n, d=WIDTH, b=4, r=1) for n in counts}
    for n, flops in counts.items():
        claimed = says[n]
        if claimed is not None and claimed != flops:
            ratio = f", {flops / claimed:.3g} times as many" if claimed else ""
            found = f"{flops:,} counted by PyTorch{ratio}; {grown}"
            expected = f"{claimed:,} FLOPs a head, as `cost().executed` says"
            yield failed("FLOPs", expected, found, shapes_of(_drawn(case, n)), flops=counts)
            return
    if None in says.values():
        yield measured("FLOPs", grown, flops=counts)
    else:
        yield passed("FLOPs", f"to the last one what `cost().executed` says; {grown}", flops=counts)


def check_memory(case: Case) -> Iterator[Finding]:
    """The most that is held at once, backward pass included; it may not outgrow the work."""
    counts = {n: _bytes(case, n) for n in case.size.lengths}
    grown = grows("bytes a head", counts)
    claims = {n: price(case, "executed", n=n, d=WIDTH, b=4, r=1) or 0 for n in counts}
    if "FLOPs" in case.failed or not all(claims.values()):
        yield measured("memory", grown, bytes=counts)
        return
    work, memory = exponent(claims), exponent(counts)
    if memory.slope > work.slope + STEEPER:
        found = f"{grown}: a tensor with a number for each pair of tokens, say"
        expected = f"memory that grows no faster than the work, n^{work}, that `cost()` says"
        longest = shapes_of(_drawn(case, max(counts)))
        yield failed("memory", expected, found, longest, bytes=counts)
        return
    yield passed("memory", f"{grown}, and the work as n^{work}", bytes=counts)


def exponent(counts: Mapping[int, float]) -> Fit:
    """The power of n over the longest lengths."""
    longest = sorted(counts)[-TAIL:]
    return fit(longest, [counts[n] for n in longest])


def grows(what: str, counts: Mapping[int, float]) -> str:
    """How a count grows, in words."""
    last = max(counts)
    if not all(counts.values()):
        return f"no {what}: of matrix products, which PyTorch counts, there are none"
    return f"{counts[last]:,} {what} at n = {last:,}, growing as n^{exponent(counts)}"


def _heads(case: Case) -> int:
    return torch.Size(case.lead).numel()


def _drawn(case: Case, n: int) -> Inputs:
    # On the CPU, whose kernels need a fifth of the time that the meta device's Python does.
    return case.draw(case.shape(n, WIDTH), dtype=torch.float32)


def _flops(case: Case, n: int) -> int:
    inputs = _drawn(case, n)
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        case.attend(inputs, raw=True)
    return counter.get_total_flops() // _heads(case)


def _bytes(case: Case, n: int) -> int:
    inputs = _drawn(case, n)
    leaves = {name: x.requires_grad_(x.is_floating_point()) for name, x in inputs.items()}
    # What is written into the inputs in place would be refused of leaves.
    leaves = leaves if "in place" not in case.failed else {n: x * 1 for n, x in leaves.items()}
    with PeakMemory() as memory, told("the backward pass", case.home):
        out = case.attend(leaves, raw=True)
        if out.requires_grad:
            out.sum().backward()
    return memory.peak // _heads(case)


# --- time -----------------------------------------------------------------------------------------


def check_time(case: Case) -> Iterator[Finding]:
    """In turn with dense attention, on one thread; no clock decides anything."""
    n = case.size.timed
    inputs = _drawn(case, n)
    q, k, v = (inputs[name] for name in "qkv")

    def attend() -> torch.Tensor:
        return case.attend(inputs, raw="in place" not in case.failed)

    def plain() -> torch.Tensor:
        return dense.attend(q, k, v, causal=bool(case.causal))

    calls = [timing.warm_up(one, "cpu", 1) for one in (attend, plain)]
    ratios = [
        timing.seconds(attend, "cpu", 1, calls[0]) / timing.seconds(plain, "cpu", 1, calls[1])
        for _ in range(case.size.repeats)
    ]
    yield measured(
        "time",
        f"{median(ratios):.3g} times that of dense attention ({_spread(ratios)}), forward, "
        f"n = {n:,}, one thread of a CPU",
        ratios=ratios,
    )


def _spread(ratios: Sequence[float]) -> str:
    return f"{len(ratios)} repeats from {min(ratios):.3g} to {max(ratios):.3g}"
