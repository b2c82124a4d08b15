"""What the chapters hold, found by itself: a new chapter is tested without being listed."""

import functools
import importlib
import inspect
import pkgutil
from collections.abc import Callable, Collection, Iterator
from types import ModuleType

from attention_limits import chapters, claims
from attention_limits.evidence import Evidence, rivals


def functions(part: str, returns: type) -> dict[str, Callable]:
    """The chapters' functions that return this type, by name: ``quadratic_cost.flops.layer_flops``.

    ``part`` is the module or folder that holds them in each chapter, as ``derivations`` does.
    """
    found = functions_of(chapters, returns)
    inside = {name: f for name, f in found.items() if part in f.__module__.split(".")}
    return {name.replace(f".{part}.", "."): function for name, function in inside.items()}


def functions_of(package: ModuleType, returns: type) -> dict[str, Callable]:
    """A package's functions that return this type, by their names within the package."""
    found = {}
    for module in _modules(package):
        place = module.__name__.removeprefix(f"{package.__name__}.")
        found |= {f"{place}.{name}": f for name, f in _functions_in(module, returns).items()}
    return found


def _functions_in(module: ModuleType, returns: type) -> dict[str, Callable]:
    found = {}
    for name, function in vars(module).items():
        local = inspect.isfunction(function) and function.__module__ == module.__name__
        if local and inspect.signature(function).return_annotation is returns:
            found[name] = function
    return found


def _modules(package: ModuleType) -> Iterator[ModuleType]:
    for info in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        yield importlib.import_module(info.name)


def pieces_in(module: ModuleType) -> list[Callable]:
    """A module's pieces of evidence, those that no claim names among them, by name."""
    found = _functions_in(module, Evidence)
    return [found[name] for name in sorted(found) if not name.startswith("_")]


def assert_all_found(pieces: Collection[Callable], module: str) -> None:
    """No claim names a piece from a module of that name that is not among these."""
    missing = evidence_of(module) - {piece.__name__ for piece in pieces}
    assert not missing, f"not found in {module}: {sorted(missing)}"


def assert_holds_by_no_accident(piece: Callable[[], Evidence]) -> None:
    """It holds, a second run finds the same, and its bound is not so wide that nothing crosses."""
    found = piece()
    assert found.holds, str(found)
    assert found == piece()
    assert found.slack is None or found.slack > 0.1


def evidence_of(module: str) -> set[str]:
    """The pieces of evidence that claims name from a module of that name in their chapter."""
    return {name.partition(".")[2] for name in _named() if name.partition(".")[0] == module}


@functools.cache
def _named() -> frozenset[str]:
    return frozenset(name for claim in claims.load().values() for name in claim.evidence)


def assert_recorded_and_refuses_rivals(piece: Callable[..., Evidence]) -> None:
    """It holds of what was recorded, and of no rival."""
    found = piece()
    assert found.holds, str(found)
    assert found.how.startswith("recorded on")
    assert_refuses_rivals(piece)


def assert_refuses_rivals(piece: Callable[..., Evidence]) -> None:
    """It has some, and holds for none; those of pieces that claims name are tried with claims."""
    assert rivals(piece)
    for words, rival in rivals(piece).items():
        assert not rival().holds, words
