"""Slips of the pen: an equation's right side with a sign, factor, term, symbol or index wrong."""

from collections.abc import Callable, Iterator

import sympy as sp

from attention_limits.derivation import Step
from attention_limits.formula import Formula

WHOLE = {"minus": lambda side: -side, "twice": lambda side: 2 * side, "1 +": lambda side: side + 1}
TERM = {"minus": lambda term: -term, "twice": lambda term: 2 * term}


def slips(step: Step) -> Iterator[tuple[str, sp.Expr]]:
    """Wrong right sides of a step, each with what is wrong."""
    lhs, rhs = (side.expr if isinstance(side, Formula) else side for side in (step.lhs, step.rhs))
    symbols = sorted(lhs.free_symbols | rhs.free_symbols, key=str)
    wrong = [(f"{name} all of it", make(rhs)) for name, make in WHOLE.items()]
    for part, put in _parts(rhs):
        wrong += [(what, put(other)) for what, other in _changes(part, symbols)]
    return ((what, side) for what, side in wrong if side != rhs)


def _changes(part: sp.Basic, symbols: list[sp.Symbol]) -> Iterator[tuple[str, sp.Basic]]:
    """A sum with one term wrong; a symbol for the next of its kind; an index for its successor."""
    if isinstance(part, sp.Add):
        for term in part.args:
            for name, make in TERM.items():
                yield f"{name} {term}", part - term + make(term)
    if isinstance(part, sp.Symbol):
        kin = [other for other in symbols if other.assumptions0 == part.assumptions0]
        after = kin.index(part) + 1 if part in kin else 0
        if others := [other for other in kin[after:] + kin[:after] if other != part]:
            yield f"{others[0]} for {part}", others[0]
        if part.is_integer:
            yield f"{part} + 1 for {part}", part + 1


def _parts(side: sp.Basic) -> Iterator[tuple[sp.Basic, Callable[[sp.Basic], sp.Basic]]]:
    """Every part of an expression, with what puts another into its place."""
    yield side, lambda other: other
    first = 1 if isinstance(side, sp.Tuple) else 0  # the index that a sum runs over has to stay
    for k, argument in enumerate(side.args[first:], start=first):
        for part, put in _parts(argument):

            def put_here(other: sp.Basic, k: int = k, put: Callable = put) -> sp.Basic:
                return side.func(*side.args[:k], put(other), *side.args[k + 1 :])

            yield part, put_here
