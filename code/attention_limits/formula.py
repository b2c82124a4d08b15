"""One expression, several lives: the formula that is derived is the one that runs.

A :class:`Formula` holds a SymPy expression and turns it into NumPy, PyTorch, Vega's expression
language (for sliders that work in the reader's browser) and LaTeX. Nobody types it twice.
"""

import functools
import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import sympy as sp

from attention_limits import symbols, vega
from attention_limits.tex import latex

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Formula:
    """An expression in the book's symbols, with its unit.

    Args:
        expr: a SymPy expression over the symbols of :mod:`attention_limits.symbols`.
        unit: the unit of its value, such as ``"FLOPs"``.
        name: what a chart or a table calls it.

    Values go in by symbol name: ``flops(n=1024, d=64)``. A name that the expression does not
    contain, one that is missing, or a value outside the symbol's domain raises ValueError.
    """

    expr: sp.Expr
    unit: str = ""
    name: str = ""

    def __post_init__(self) -> None:
        unknown = [s.name for s in sp.sympify(self.expr).free_symbols - symbols.MEANING.keys()]
        if unknown:
            raise ValueError(
                "expr must be of the book's symbols, made in attention_limits/symbols.py, "
                f"got {', '.join(sorted(unknown))}"
            )
        object.__setattr__(self, "expr", sp.sympify(self.expr))

    @functools.cached_property
    def symbols(self) -> tuple[sp.Symbol, ...]:
        """The free symbols, by name."""
        return tuple(sorted(self.expr.free_symbols, key=lambda symbol: symbol.name))

    def __call__(self, **values: float) -> int | float:
        """The exact value, computed by SymPy: an int where it is one, else a float."""
        self._check(values)
        value = self.expr.subs({s: sp.sympify(values[s.name]) for s in self.symbols}).doit()
        return int(value) if value.is_integer else float(value)

    def numpy(self, **values: np.typing.ArrayLike) -> np.ndarray:
        """The value in float64, on numbers or arrays that broadcast."""
        self._check(values)
        values = {k: np.asarray(v, dtype=np.float64) for k, v in values.items()}
        # np.select evaluates every branch of a Piecewise, those without a meaning included.
        ignore: Literal["ignore", "warn"] = "ignore" if self.expr.has(sp.Piecewise) else "warn"
        with np.errstate(divide=ignore, over=ignore, invalid=ignore):
            return np.asarray(self._numpy(**self._counts_as_int(values)), dtype=np.float64)

    def torch(self, **values: "Tensor | float") -> "Tensor":
        """The value as a tensor, differentiable, on the device and in the dtype of the tensors.

        Plain numbers become 0-dimensional float64 tensors, which take on the device of the
        tensors that they meet; among plain numbers only, the value is in float64.
        """
        import torch

        self._check({k: v for k, v in values.items() if not isinstance(v, torch.Tensor)}, values)
        for name, value in values.items():
            if isinstance(value, torch.Tensor) and not value.is_floating_point():
                raise ValueError(f"{name} must be a floating-point tensor, got {value.dtype}")
        dtypes = {v.dtype for v in values.values() if isinstance(v, torch.Tensor)}
        dtype = functools.reduce(torch.promote_types, dtypes) if dtypes else torch.float64
        values = {k: torch.as_tensor(v, dtype=_float_dtype(v)) for k, v in values.items()}
        return torch.as_tensor(self._torch(**self._counts_as_int(values)), dtype=dtype)

    def vega(self, names: Mapping[sp.Symbol, str]) -> str:
        """The value in Vega's expression language, each symbol under the given name."""
        return vega.expression(self.expr, names)

    @property
    def latex(self) -> str:
        """The expression as TeX."""
        return latex(self.expr)

    def subs(self, replacements: Mapping[sp.Symbol, sp.Expr | float]) -> "Formula":
        """The same formula with symbols replaced, all at once."""
        expr = self.expr.subs(replacements, simultaneous=True)
        return Formula(expr, self.unit, self.name)

    def _repr_latex_(self) -> str:
        return f"$\\displaystyle {self.latex}$"

    def _check(self, values: Mapping[str, object], given: Mapping[str, object] | None = None):
        """Every symbol is there, no other is, and each value lies in its symbol's domain."""
        given, wanted = given or values, {s.name: s for s in self.symbols}
        for name in given.keys() ^ wanted.keys():
            takes = f"of this formula, which takes {', '.join(wanted) or 'none'}"
            if name in wanted:
                raise ValueError(f"{name} must be given, as a symbol {takes}, got {list(given)}")
            raise ValueError(f"{name} must be a symbol {takes}, got {given[name]!r}")
        for name, value in values.items():
            check_domain(wanted[name], value)

    def _counts_as_int(self, values: dict) -> dict:
        """Limits of a sum count its terms, so they are plain ints and not arrays."""
        for symbol in self._counting:
            if getattr(values[symbol.name], "ndim", 0):
                raise ValueError(
                    f"{symbol} must be one number, as it limits a sum, got {values[symbol.name]!r}"
                )
            values = {**values, symbol.name: int(values[symbol.name])}
        return values

    @functools.cached_property
    def _counting(self) -> set[sp.Symbol]:
        """The symbols that limit a sum."""
        limits = [limit for s in self.expr.atoms(sp.Sum) for limit in s.limits]
        return set().union(*(sp.Tuple(*limit[1:]).free_symbols for limit in limits))

    @functools.cached_property
    def _numpy(self) -> Callable[..., np.ndarray]:
        return sp.lambdify(self.symbols, self.expr, [_numpy_functions(), "numpy"])

    @functools.cached_property
    def _torch(self) -> "Callable[..., Tensor]":
        # Without a last branch, PyTorch's printer gives 0 where no condition holds; NumPy's NaN.
        otherwise = (sp.nan, True)
        expr = self.expr.replace(sp.Piecewise, lambda *cases: sp.Piecewise(*cases, otherwise))
        return sp.lambdify(self.symbols, expr, [_torch_functions(), "torch"])


def check_domain(symbol: sp.Symbol, value: object) -> None:
    """Raise ValueError, naming the symbol, if a value lies outside the symbol's assumptions."""
    array = np.asarray(value, dtype=np.float64)
    for assumption, fine in {
        "positive": array > 0,
        "nonnegative": array >= 0,
        "integer": array == np.floor(array),
    }.items():
        if getattr(symbol, f"is_{assumption}") and not np.all(fine):
            kind = "an integer" if assumption == "integer" else assumption
            raise ValueError(f"{symbol} must be {kind}, got {value}")


def _float_dtype(value: object):
    import torch

    return value.dtype if isinstance(value, torch.Tensor) else torch.float64


def _numpy_functions() -> dict[str, Any]:
    """What NumPy lacks: the error function, and joined conditions of shapes that broadcast."""
    joined: dict[str, Any] = {
        join.__name__: SimpleNamespace(reduce=functools.partial(functools.reduce, join))
        for join in (np.logical_and, np.logical_or)
    }
    return joined | {"erf": np.vectorize(math.erf, otypes=[np.float64])}


def _torch_functions() -> dict[str, Callable]:
    """What SymPy's printer calls, taking plain numbers too: torch.log(2) is an error, ours is not.

    A constant inside a formula, such as the log 2 of a base-2 logarithm, is a plain number, and
    so is the index of a sum.
    """
    import torch

    def promoted(function: Callable) -> Callable:
        return lambda *args: function(*(torch.as_tensor(a, dtype=_float_dtype(a)) for a in args))

    same = ["sqrt", "exp", "log", "sin", "cos", "tan", "asin", "acos", "atan", "tanh", "erf"]
    same += ["floor", "ceil", "abs", "eq", "ne", "gt", "ge", "lt", "le", "where"]
    functions = {name: promoted(getattr(torch, name)) for name in same}
    functions |= {"max": promoted(torch.maximum), "min": promoted(torch.minimum)}
    return functions | {"pow": operator.pow}
