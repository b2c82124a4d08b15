"""What the chapters hold, found by itself: a new chapter is tested without being listed."""

import functools
import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterator
from types import ModuleType

from attention_limits import chapters, claims


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
        for name, function in vars(module).items():
            local = inspect.isfunction(function) and function.__module__ == module.__name__
            if local and inspect.signature(function).return_annotation is returns:
                found[f"{place}.{name}"] = function
    return found


def _modules(package: ModuleType) -> Iterator[ModuleType]:
    for info in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        yield importlib.import_module(info.name)


def evidence_of(module: str) -> set[str]:
    """The pieces of evidence that claims name from a module of that name in their chapter."""
    return {name.partition(".")[2] for name in _named() if name.partition(".")[0] == module}


@functools.cache
def _named() -> frozenset[str]:
    return frozenset(name for claim in claims.load().values() for name in claim.evidence)
