"""The library behind *The Limits of Attention*.

Importing it imports nothing else: each part arrives when it is first named, as in
``attention_limits.claims.load()``, and PyTorch and SymPy only with the parts that need them.
"""

import importlib
import pkgutil


def __getattr__(name: str) -> object:
    if name not in __dir__():
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return importlib.import_module(f"{__name__}.{name}")


def __dir__() -> list[str]:
    return [module.name for module in pkgutil.iter_modules(__path__)]
