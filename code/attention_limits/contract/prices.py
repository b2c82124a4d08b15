"""What ``cost`` of a module says, whether in the library's formulas or in a reader's functions."""

from collections.abc import Mapping

from attention_limits.contract.calls import FaultError, takes, told
from attention_limits.contract.mechanism import Case
from attention_limits.formula import Formula


def price(case: Case, part: str, **sizes: int) -> int | float | None:
    """One part of a cost for given sizes, or None if the module does not say it.

    ``cost(**options)`` returns an object or a mapping with ``executed`` and ``held``, each a
    Formula, a function of ``n``, ``d`` and ``b``, or a number.

    Raises:
        FaultError: if the reader's code cannot say.
    """
    if not case.has("cost"):
        return None
    with told("cost", case.home):
        options = case.options_at(sizes["n"])
        cost = case.module.cost(**case.fitting("cost", options))
        found = cost.get(part) if isinstance(cost, Mapping) else getattr(cost, part, None)
        if isinstance(found, Formula):
            return found(**{s.name: sizes[s.name] for s in found.symbols if s.name in sizes})
        if callable(found):
            return found(**{name: size for name, size in sizes.items() if takes(found, name)})
    if found is not None and not isinstance(found, int | float):
        kind = type(found).__name__
        raise FaultError(f"cost().{part} must be a Formula, a function or a number, got {kind}")
    return found
