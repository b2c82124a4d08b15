"""Does it run on every shape, and give there what its definition says?"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import torch

from attention_limits.contract.calls import FaultError
from attention_limits.contract.differences import Difference, difference
from attention_limits.contract.findings import Finding, failed, passed, untried
from attention_limits.contract.mechanism import Case, Inputs, shapes_of
from attention_limits.contract.reference import NOTHING, name_of, reference
from attention_limits.contract.sizes import D

SINGLE = 1e-4  # beside the largest entry: what rounding in float32 may add up to


class Shape(NamedTuple):
    """What goes in: (..., n_q, d), (..., n_k, d), and the width of the values if another."""

    q: tuple[int, ...]
    k: tuple[int, ...]
    width: int | None = None


def alike(case: Case) -> dict[str, Shape]:
    """Shapes with as many queries as keys, the smallest first."""
    shapes = {
        "one token": case.shape(1),
        "no batch axes, odd n, odd d": (7, 5),
        "values narrower than keys": case.shape(9),
        "values wider than keys": case.shape(11),
        "n a prime": case.shape(13),
        "five axes": (2, 1, 3, 5, D),
        "grouped heads": (2, 3, 9, D),
        "many tokens, n a prime": case.shape(case.size.long),
    }
    keys, widths = {"grouped heads": (2, 1, 9, D)}, {"narrower": D - 3, "wider": D + 3}
    return {
        name: Shape(q, keys.get(name, q), next((w for x, w in widths.items() if x in name), None))
        for name, q in shapes.items()
    }


def unlike(case: Case) -> dict[str, Shape]:
    """Shapes with fewer queries than keys."""
    return {
        "fewer queries than keys": Shape(case.shape(2), case.shape(5)),
        "one query against a cache": Shape(case.shape(1), case.shape(13)),
        "many fewer queries than keys": Shape(case.shape(5), case.shape(case.size.long)),
    }


def empty(case: Case) -> dict[str, Shape]:
    """Shapes in which something is missing."""
    return {
        "no tokens": Shape(case.shape(0), case.shape(0)),
        "an empty batch": Shape((0, *case.shape(4)), (0, *case.shape(4))),
        "no queries": Shape(case.shape(0), case.shape(3)),
        "no keys": Shape(case.shape(3), case.shape(0)),
    }


def check_shapes(case: Case) -> Iterator[Finding]:
    """Every shape has an answer, or a refusal in the reader's own words."""
    shapes = {**alike(case), **unlike(case)}
    refusals: dict[str, FaultError] = {}
    for name, shape in shapes.items():
        inputs = case.draw(*shape)
        try:
            case.attend(inputs)
        except FaultError as fault:
            if fault.refused:
                refusals[name] = fault
                continue
            expected = f"an output for every shape, also for {name}"
            yield case.met("shapes", expected, fault, shapes_of(inputs))
            return
    if len(refusals) < len(shapes):
        yield passed("shapes", f"{len(shapes) - len(refusals)} of {len(shapes)} run")
    yield from _refused("shapes", refusals)


def _refused(check: str, refusals: Mapping[str, FaultError]) -> Iterator[Finding]:
    """Names of shapes by what refuses them, and what it says of the first."""
    for kind in dict.fromkeys(fault.kind for fault in refusals.values()):
        names = [name for name, fault in refusals.items() if fault.kind == kind]
        yield untried(check, f"{', '.join(names)}: {refusals[names[0]]}")


def check_equality(case: Case) -> Iterator[Finding]:
    """As many queries as keys: the output is that of the reference."""
    if not name_of(case):
        yield untried("equality", NOTHING)
        return
    worst, compared = 0.0, 0
    unequal: dict[str, tuple[Inputs, Difference]] = {}
    for name, shape in alike(case).items():
        inputs = case.draw(*shape)
        try:
            out = case.attend(inputs)
        except FaultError:  # which the check of shapes tells
            continue
        gap = difference(out, reference(case, inputs))
        if not gap.small:
            unequal[name] = inputs, gap
        worst, compared = max(worst, gap.size), compared + 1
    if unequal:
        yield _unequal(case, unequal, compared)
    elif compared:
        yield passed("equality", f"{name_of(case)} to {worst:.0e}, in {compared} shapes")
    else:
        yield untried("equality", "attend runs on none of the shapes")


def _unequal(case: Case, unequal: dict[str, tuple[Inputs, Difference]], compared: int) -> Finding:
    """The first shape whose output differs, and how many do: one alone says what it is about."""
    name, (inputs, gap) = next(iter(unequal.items()))
    if "causality" in case.failed:
        return untried(
            "equality", f"it differs from {name_of(case)}, but see `causality`: mend that first"
        )
    hint = ""
    if gap.size < SINGLE:
        hint = "; that is float32's rounding: float64 must be computed in float64"
    elif not case.has("define"):
        hint = "; if it is another equation than a softmax's, write it down as `define`"
    where = f"{name}; {len(unequal)} of {compared} shapes differ"
    found = f"a difference of {gap.size:.2g}, first in output {gap.rows[0]} ({where})"
    return failed("equality", f"what {name_of(case)} gives", found + hint, shapes_of(inputs))


def check_alignment(case: Case) -> Iterator[Finding]:
    """With fewer queries than keys, the queries are the last tokens."""
    if why := _no_alignment(case):
        yield untried("alignment", why)
        return
    refusals: dict[str, FaultError] = {}
    count = 0
    for name, shape in unlike(case).items():
        inputs = case.draw(*shape)
        try:
            out = case.attend(inputs)
            if name_of(case):
                expected = reference(case, inputs)
            else:
                expected = case.attend(_with_queries_before(case, inputs))[..., -shape.q[-2] :, :]
        except FaultError as fault:
            if not fault.refused:
                yield case.met("alignment", "an output", fault, shapes_of(inputs))
                return
            refusals[name] = fault
            continue
        gap = difference(out, expected)
        if not gap.small:
            yield _misaligned(case, inputs, out, gap)
            return
        count += 1
    if count:
        against = name_of(case) or "the same queries among all of them"
        yield passed("alignment", f"the queries are the last tokens, by {against}")
    else:
        yield from _refused("alignment", refusals)


def _no_alignment(case: Case) -> str:
    """Why there is nothing to compare with, if so."""
    for check in ("causality", "equality"):
        if check in case.failed:
            return f"see `{check}`: mend that first"
    if name_of(case):
        return ""
    if case.queries_meet:
        return f"outputs depend on other queries, too, and {NOTHING}"
    return NOTHING if case.kinds.pairs else ""


def _with_queries_before(case: Case, inputs: Inputs) -> Inputs:
    """As many queries as keys, of which the last are those given."""
    n_q = inputs["q"].shape[-2]
    whole = case.draw(inputs["k"].shape)
    whole["q"][..., -n_q:, :] = inputs["q"]
    return {**inputs, "q": whole["q"]}


def _misaligned(case: Case, inputs: Inputs, out: torch.Tensor, gap: Difference) -> Finding:
    n_q, n_k = inputs["q"].shape[-2], inputs["k"].shape[-2]
    as_first = case.draw(inputs["k"].shape)["q"]
    as_first[..., :n_q, :] = inputs["q"]
    first = case.attend({**inputs, "q": as_first})[..., :n_q, :]
    found = f"a difference of {gap.size:.2g}, first in output {gap.rows[0]}"
    if difference(out, first).small:
        found = (
            f"the {n_q} queries are taken for the first of {n_k} tokens (top-left alignment): "
            f"query i stands at position i + n_k − n_q"
        )
    expected = "the queries at the end of the keys (bottom-right alignment)"
    return failed("alignment", expected, found, shapes_of(inputs))


def check_empty(case: Case) -> Iterator[Finding]:
    """Of nothing there is nothing, and who sees nothing gets 0."""
    shapes = empty(case)
    refusals: dict[str, FaultError] = {}
    if case.causal and "causality" not in case.failed:
        shapes["queries before the first key"] = Shape(case.shape(5), case.shape(2))
    for name, shape in shapes.items():
        inputs = case.draw(*shape)
        try:
            out = case.attend(inputs).detach()
        except FaultError as fault:
            if fault.refused:
                refusals[name] = fault
                continue
            yield case.met("empty", f"an answer for {name}, too", fault, shapes_of(inputs))
            return
        unseeing = out[..., : max(0, shape.q[-2] - shape.k[-2]), :]
        if unseeing.isnan().any() or unseeing.any():
            number = "NaN" if unseeing.isnan().any() else f"{float(unseeing.abs().max()):.2g}"
            found = f"{number} ({name})"
            yield failed("empty", "0 for a query that sees no key", found, shapes_of(inputs))
            return
    if len(refusals) < len(shapes):
        run = [name for name in shapes if name not in refusals]
        yield passed("empty", f"who sees nothing gets 0 (tried: {', '.join(run)})")
    yield from _refused("empty", refusals)
