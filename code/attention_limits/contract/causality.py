"""Which output depends on which token: found by gradients, and by changing the token.

A gradient finds what depends smoothly, a change also what is chosen by a comparison or was detached
from its gradient.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
import torch

from attention_limits.contract.calls import told
from attention_limits.contract.findings import Finding, failed, listed, measured, passed
from attention_limits.contract.mechanism import Case, Inputs, shapes_of

FELT = 1e-10  # what is less, beside the largest change or gradient, is rounding


class Reach(NamedTuple):
    """Whose token j moves output i: (n, n) booleans, i in rows."""

    by_gradient: dict[str, np.ndarray]
    by_change: dict[str, np.ndarray]

    def through(self, *names: str) -> np.ndarray:
        """By either way, through these tensors."""
        return np.any([found[n] for found in self for n in names], axis=0)


def check_causality(case: Case) -> Iterator[Finding]:
    """Nothing reaches a query but what may: its own past, and what ``visible`` shows."""
    n = case.size.map
    inputs = case.draw(case.shape(n))
    names = ["q", "k", "v", *case.kinds.tokens]
    reach = Reach(_by_gradient(case, inputs, names, range(n)), _by_change(case, inputs, names))
    case.queries_meet = bool((reach.through("q") & ~np.eye(n, dtype=bool)).any())
    later = np.triu(np.ones((n, n), dtype=bool), 1)
    keys = reach.through(*names[1:])
    sees = case.visible(n, n)
    allowed = ~later if sees is None else sees
    # Queries in rows, keys in columns; where nothing is promised, everything is allowed.
    limits = allowed if case.causal or sees is not None else np.ones_like(allowed)
    data = {"seen": keys.tolist(), "allowed": limits.tolist()}
    if case.causal:
        if sees is not None and (sees & later).any():
            i, j = np.argwhere(sees & later)[0]
            found = f"`visible` itself lets query {i} see key {j}"
            yield failed("causality", "no query that sees a later key", found, f"n = {n}", **data)
            return
        if (reach.through(*names) & later).any():
            yield _leak(case, reach, names, later, inputs, data)
            return
    if sees is not None and (keys & ~sees).any():
        yield _beyond(keys, sees, inputs, data)
        return
    if case.causal or sees is not None:
        yield _from_afar(case, names[1:]) or _well(case, keys, allowed, data, sees is not None)
        return
    ahead = reach.through(*names) & later
    found = (
        f"{ahead.sum()} of {later.sum()} later tokens reach an output: it looks ahead; nothing "
        "says that it must not (CAUSAL = True would)"
        if ahead.any()
        else "no output depends on a later token; CAUSAL = True would make that a promise"
    )
    yield measured("causality", found, **data)


def _by_gradient(
    case: Case, inputs: Inputs, names: list[str], rows: Iterable[int]
) -> dict[str, np.ndarray]:
    """Which rows of these inputs have a gradient of which output; NaN is one."""
    leaves = {name: x.clone().requires_grad_(name in names) for name, x in inputs.items()}
    out = case.attend(leaves)
    weights = torch.linspace(1, 2, out[..., 0, :].numel(), dtype=out.dtype)
    found: dict[str, list] = {name: [] for name in names}
    for i in rows:
        row = (out[..., i, :] * weights.view_as(out[..., i, :])).sum()
        with told("the backward pass", case.home):
            grads = (
                torch.autograd.grad(
                    row, [leaves[n] for n in names], retain_graph=True, allow_unused=True
                )
                if row.requires_grad
                else [None] * len(names)
            )
        for name, grad in zip(names, grads, strict=True):
            moved = (
                torch.zeros(leaves[name].shape[-2], dtype=torch.bool)
                if grad is None
                else _per_row(~(grad.abs() <= FELT * grad.abs().nan_to_num().max()))
            )
            found[name].append(moved.cpu().numpy())
    return {name: np.array(rows_of) for name, rows_of in found.items()}


def _by_change(case: Case, inputs: Inputs, names: list[str]) -> dict[str, np.ndarray]:
    """Which outputs move when one row of one input becomes another."""
    other = case.draw(inputs["q"].shape, seed=1)
    before = case.attend(inputs)
    found = {}
    for name in names:
        columns = []
        for j in range(inputs[name].shape[-2]):
            x = inputs[name].clone()
            x[..., j, :] = other[name][..., j, :]
            columns.append(_moved(before, case.attend({**inputs, name: x})))
        found[name] = np.stack(columns, axis=1)
    return found


def _moved(before: torch.Tensor, after: torch.Tensor) -> np.ndarray:
    """Which rows differ, NaN included."""
    largest = before.detach().abs().nan_to_num().max()
    return _per_row(~((after - before).abs() <= FELT * largest)).cpu().numpy()


def _per_row(found: torch.Tensor) -> torch.Tensor:
    """Whether there is anything in a row, over all axes but that of rows."""
    return found.movedim(-2, 0).flatten(1).any(1)


# --- in words -------------------------------------------------------------------------------------


def _leak(
    case: Case, reach: Reach, names: list[str], later: np.ndarray, inputs: Inputs, data: dict
) -> Finding:
    leaks = reach.through(*names) & later
    i, j = np.argwhere(leaks)[0]
    through = [name for name in names if (reach.through(name) & later).any()]
    ways = [
        way
        for way, found in zip(("a gradient", "a change"), reach, strict=True)
        if any((found[name] & later).any() for name in names)
    ]
    found = (
        f"output {i} depends on token {j} ({leaks.sum()} of {later.sum()} such pairs leak), "
        f"through {listed(through)}, seen by {listed(ways)}{_pattern(leaks, through, ways)}"
    )
    expected = "no output that depends on a later token"
    return failed(
        "causality", expected, found, f"tokens {i} and {j} of {shapes_of(inputs)}", **data
    )


def _pattern(leaks: np.ndarray, through: list[str], ways: list[str]) -> str:
    """What kind of slip looks so."""
    if ways == ["a change"]:
        return (
            ". It has no gradient: what is chosen by a comparison, or detached, depends on later "
            "tokens"
        )
    if through == ["k"]:
        return (
            ". The values do not leak, but the keys do: a sum over keys, such as a softmax's "
            "normaliser, runs over later ones, too"
        )
    i, j = np.nonzero(leaks)
    if set((j - i).tolist()) == {1}:
        return ". Each query sees one token too far ahead: an index or a mask is one off"
    return ""


def _beyond(keys: np.ndarray, sees: np.ndarray, inputs: Inputs, data: dict) -> Finding:
    wrong = keys & ~sees
    i, j = np.argwhere(wrong)[0]
    n = len(keys)
    back = np.subtract.outer(np.arange(n), np.arange(n))
    most, farthest = (back[pattern].max() for pattern in (keys, sees))
    wide = (
        f". The farthest key is {most} positions back where `visible` has {farthest}"
        if most > farthest
        else ""
    )
    found = (
        f"query {i} sees key {j}, {abs(j - i)} {'position' if abs(j - i) == 1 else 'positions'} "
        f"{'ahead' if j > i else 'back'} (and {wrong.sum() - 1} more such pairs){wide}"
    )
    expected = "no more than `visible` shows"
    return failed("causality", expected, found, shapes_of(inputs), **data)


def _from_afar(case: Case, names: list[str]) -> Finding | None:
    """A few rows of a longer sequence: what a tile hides from a short one."""
    n = case.size.far
    rows = sorted({0, 1, n // 2, n - 2, n - 1})
    inputs = case.draw(case.shape(n))
    reach = _by_gradient(case, inputs, names, rows)
    seen = np.any([reach[name] for name in names], axis=0)
    pattern = case.visible(n, n)
    allowed = np.tri(n, dtype=bool) if pattern is None else pattern
    wrong = seen & ~allowed[rows]
    if not wrong.any():
        return None
    row, j = np.argwhere(wrong)[0]
    found = f"query {rows[row]} of {n} sees key {j}, which it must not; shorter sequences do not"
    return failed("causality", "the same pattern in long sequences", found, shapes_of(inputs))


def _well(
    case: Case, keys: np.ndarray, allowed: np.ndarray, data: dict, patterned: bool
) -> Finding:
    unfelt = (allowed & ~keys).sum()
    what = "nobody sees a later token" if case.causal else "nobody sees more than `visible` shows"
    if case.causal and patterned:
        what += ", nor more than `visible` shows"
    quiet = f"; {unfelt} that may be seen had no influence" if unfelt else ""
    return passed("causality", f"{what}, by gradients and by changes{quiet}", **data)
