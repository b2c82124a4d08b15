"""Does a stream of tokens give what all of them at once give, and what does it hold?"""

from collections.abc import Iterator, Mapping
from typing import Any

import torch

from attention_limits.contract.calls import FaultError, takes
from attention_limits.contract.differences import difference
from attention_limits.contract.findings import (
    Finding,
    counted,
    failed,
    listed,
    measured,
    passed,
    untried,
)
from attention_limits.contract.mechanism import Case, Inputs, shapes_of
from attention_limits.contract.prices import price
from attention_limits.contract.sizes import D

CHUNKS = {"token by token": [1] * 33, "uneven chunks": [7, 1, 1, 16, 3, 5]}
N = 33  # tokens of a stream
CHECKS = ("stream", "state", "state's memory", "bytes held")


def check_stream(case: Case) -> Iterator[Finding]:
    """All that is asked of ``step``."""
    if why := _why_not(case):
        for check in CHECKS:
            yield untried(check, why)
        return
    # A step that gives no outputs has no state to look at, either.
    parts = (_equals_parallel_form, _leaves_its_state, _owns_its_memory, _holds)
    for place, (check, part) in enumerate(zip(CHECKS, parts, strict=True)):
        try:
            yield part(case)
        except FaultError as fault:
            yield case.met(check, "an answer", fault, shapes_of(case.draw(case.shape(1))))
            for later in CHECKS[place + 1 :]:
                yield untried(later, f"see `{check}`")
            return


def _why_not(case: Case) -> str:
    if not case.has("step"):
        return "there is no `step`"
    if case.causal is False and not takes(case.module.attend, "causal"):
        return "these options are not causal, and a stream cannot look ahead"
    if "causality" in case.failed:
        return "see `causality`: a stream cannot look ahead"
    if case.kinds.pairs:
        return f"{listed(case.kinds.pairs)} has a number for each pair of tokens"
    return ""


def _streamed(case: Case, inputs: Inputs, chunks: list[int]) -> tuple[torch.Tensor, Any]:
    state, outputs = None, []
    n, start = sum(chunks), 0
    for count in chunks:
        part = _part(case, inputs, slice(start, start + count))
        out, state = case.step(state, part, n)
        outputs.append(out.detach())
        start += count
    return torch.cat(outputs, dim=-2), state


def _part(case: Case, inputs: Inputs, rows: slice) -> Inputs:
    """Some tokens, in copies of their own."""
    each = {*"qkv", *case.kinds.tokens}
    return {n: x[..., rows, :].clone() if n in each else x for n, x in inputs.items()}


def _equals_parallel_form(case: Case) -> Finding:
    inputs = case.draw(case.shape(N))
    causal = {"causal": True} if takes(case.module.attend, "causal") else {}
    expected = case.attend(inputs, **causal).detach()
    for name, chunks in CHUNKS.items():
        out, _ = _streamed(case, inputs, chunks)
        gap = difference(out, expected)
        if not gap.small:
            first = gap.rows[0]
            found = f"a difference of {gap.size:.2g}, first in token {first} ({name})"
            if first:
                found += (
                    f"; those before it agree, so that the state after {counted(first, 'token')} "
                    "is wrong"
                )
            elif len(gap.rows) < N:
                found += f"; {N - len(gap.rows)} of {N} tokens agree"
            return failed("stream", "what `attend` gives", found, _shortest(case, inputs, first))
    return passed("stream", f"`step` is `attend`, {' and in '.join(CHUNKS)}, {N} tokens")


def _shortest(case: Case, inputs: Inputs, first: int) -> str:
    return shapes_of(_part(case, inputs, slice(0, first + 1)))


def _leaves_its_state(case: Case) -> Finding:
    """Two continuations of one prefix, as beam search wants them, must not meet."""
    inputs = case.draw(case.shape(6))
    _, state = _streamed(case, _part(case, inputs, slice(0, 4)), [4])
    held = tensors_of(state)
    before = [x.clone() for x in held]
    case.step(state, _part(case, inputs, slice(4, 5)), 6)
    changed = [
        number
        for number, (x, old) in enumerate(zip(held, before, strict=True))
        if x.shape != old.shape or not torch.equal(x, old)
    ]
    if changed:
        found = (
            f"`step` writes into the state that it is given (tensor {changed[0] + 1} of "
            f"{len(held)}): two continuations of one beginning would meet"
        )
        return failed("state", "a state left as it was", found, "4 tokens, then 1")
    return passed("state", "`step` leaves the state that it is given as it was")


def _owns_its_memory(case: Case) -> Finding:
    """A caller fills her buffer with the next tokens, and what is held must not change."""
    inputs = case.draw(case.shape(6))
    state = None
    for rows in (slice(0, 4), slice(4, 6)):
        part = _part(case, inputs, rows)
        _, state = case.step(state, part, 6)
        before = [x.clone() for x in tensors_of(state)]
        for name in [*"qkv", *case.kinds.tokens]:
            part[name].fill_(torch.nan)
        if not all(map(torch.equal, tensors_of(state), before)):
            found = "the state holds the caller's own tensors: it changes when she reuses them"
            return failed("state's memory", "a state of its own memory", found, "4 tokens, then 2")
    return passed("state's memory", "the state owns what it holds")


def _holds(case: Case) -> Finding:
    """Bytes after n tokens, counted; what ``cost`` says of them."""
    counts = {}
    for n in (17, N):
        inputs = case.draw(case.shape(n), dtype=torch.float32)
        _, state = _streamed(case, inputs, [n])
        counts[n] = sum(x.nbytes for x in tensors_of(state)) // torch.Size(case.lead).numel()
    told = f"{counts[N]:,} bytes a head after {N} tokens of width {D} in float32"
    if counts[17] == counts[N]:
        told += ", as after 17"
    says = price(case, "held", n=N, d=D, b=4, r=1)
    if says is None:
        return measured("bytes held", told, held=counts)
    if says != counts[N]:
        expected = f"{says:,} bytes, as `cost().held` says"
        return failed("bytes held", expected, told, shapes_of(case.draw(case.shape(N))))
    return passed("bytes held", f"{told}, as `cost().held` says", held=counts)


def tensors_of(state: object) -> list[torch.Tensor]:
    """The tensors in a state, whatever it is made of."""
    if isinstance(state, torch.Tensor):
        return [state]
    if isinstance(state, Mapping):
        return tensors_of(list(state.values()))
    if isinstance(state, list | tuple):
        return [x for part in state for x in tensors_of(part)]
    return tensors_of(list(vars(state).values())) if hasattr(state, "__dict__") else []
