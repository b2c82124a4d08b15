"""SymPy expressions in Vega's expression language, so that the browser computes our formula.

Vega's language is a small, safe part of JavaScript. It has no sums, so a formula with a Σ becomes
a pipeline of data transforms: one row a term, then one aggregate.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import sympy as sp
from sympy.printing.printer import Printer

FUNCTIONS = {
    sp.exp: "exp",
    sp.log: "log",
    sp.sin: "sin",
    sp.cos: "cos",
    sp.tan: "tan",
    sp.asin: "asin",
    sp.acos: "acos",
    sp.atan: "atan",
    sp.Abs: "abs",
    sp.floor: "floor",
    sp.ceiling: "ceil",
    sp.Max: "max",
    sp.Min: "min",
}


def expression(expr: sp.Basic, names: Mapping[sp.Basic, str]) -> str:
    """One expression without sums, each symbol printed under its name.

    Raises:
        ValueError: for a symbol that has no name, or a function that Vega lacks.
    """
    return VegaPrinter(names).doprint(sp.sympify(expr))


def pipeline(
    expr: sp.Expr, field: str, names: Mapping[sp.Symbol, str], also: Sequence[str] = ()
) -> list[dict]:
    """Vega-Lite transforms that add ``field`` to every row, sums and all.

    Args:
        expr: what to compute; its sums have at least one term and are not nested.
        field: the column that takes the result.
        names: the column (``"datum.x"``) or signal (``"d_model"``) behind each symbol. A sum keeps
            these columns, and no others but
        also: columns that no symbol stands for.
    """
    names, transforms = dict(names), []
    columns = [name.removeprefix("datum.") for name in names.values() if name.startswith("datum.")]
    columns += also
    for number, total in enumerate(sorted(expr.atoms(sp.Sum), key=sp.default_sort_key)):
        (index, low, high), *more = total.limits
        if more or total.function.has(sp.Sum):
            raise ValueError(
                f"expr must have no sum within a sum, for which there is no pipeline, got {total}"
            )
        parts = ("terms", "at", "term", "sum")
        terms, at, term, result = (f"_{field}_{number}_{part}" for part in parts)
        transforms += [
            _calculate(f"sequence({expression(low, names)}, {expression(high + 1, names)})", terms),
            {"flatten": [terms], "as": [at]},
            _calculate(expression(total.function, {**names, index: f"datum.{at}"}), term),
            {
                "aggregate": [{"op": "sum", "field": term, "as": result}],
                "groupby": list(columns),
            },
        ]
        names[total] = f"datum.{result}"
        columns.append(result)
    return [*transforms, _calculate(expression(expr, names), field)]


def compiled(transform: Mapping[str, Any]) -> dict:
    """One of these transforms, or a filter, in the words of Vega itself."""
    match transform:
        case {"calculate": formula, "as": field}:
            return {"type": "formula", "expr": formula, "as": field}
        case {"flatten": fields, "as": names}:
            return {"type": "flatten", "fields": fields, "as": names}
        case {"aggregate": [{"op": op, "field": field, "as": name}], "groupby": columns}:
            together = {"ops": [op], "fields": [field], "as": [name]}
            return {"type": "aggregate", "groupby": columns, **together}
        case {"filter": condition}:
            return {"type": "filter", "expr": condition}
    raise ValueError(f"transform must be one of a pipeline's, got {transform}")


def _calculate(formula: str, field: str) -> dict:
    return {"calculate": formula, "as": field}


class VegaPrinter(Printer):
    """Prints every operation inside its own parentheses, so that no precedence can go wrong."""

    def __init__(self, names: Mapping[sp.Basic, str]):
        super().__init__()
        self.names = names

    def emptyPrinter(self, expr: sp.Basic) -> str:
        """What no method below prints."""
        raise ValueError(f"expr must be in Vega's language, got {type(expr).__name__} in {expr}")

    def _print_Symbol(self, symbol: sp.Symbol) -> str:
        if symbol not in self.names:
            raise ValueError(f"expr must be of the axis, the sliders and the columns, got {symbol}")
        return self.names[symbol]

    def _print_Sum(self, total: sp.Sum) -> str:
        if total not in self.names:
            raise ValueError(f"expr must have no sums, which need a pipeline, got {total}")
        return self.names[total]

    def _print_Function(self, expr: sp.Function) -> str:
        if expr.func in FUNCTIONS:
            return f"{FUNCTIONS[expr.func]}({', '.join(map(self._print, expr.args))})"
        in_exponentials = expr.rewrite(sp.exp)  # sinh and its kin, which Vega lacks
        if in_exponentials.has(expr.func):
            return self.emptyPrinter(expr)
        return self._print(in_exponentials)

    _print_Max = _print_Min = _print_Function

    def _print_tanh(self, expr: sp.tanh) -> str:
        # Its quotient of exponentials would be ∞/∞ beyond 709.
        return f"(1 - (2 / (exp(2 * {self._print(expr.args[0])}) + 1)))"

    def _print_erf(self, expr: sp.erf) -> str:
        # Vega has the distribution of which this is the part near zero.
        return f"((2 * cumulativeNormal({self._print(expr.args[0] * sp.sqrt(2))}, 0, 1)) - 1)"

    def _print_Add(self, expr: sp.Add) -> str:
        return f"({' + '.join(map(self._print, expr.args))})"

    def _print_Mul(self, expr: sp.Mul) -> str:
        above, below = sp.fraction(expr, exact=True)
        if below != 1:
            return f"({self._print(above)} / {self._print(below)})"
        return f"({' * '.join(map(self._print, expr.args))})"

    def _print_Pow(self, expr: sp.Pow) -> str:
        if expr.exp == sp.Rational(1, 2):
            return f"sqrt({self._print(expr.base)})"
        if expr.exp == -1:
            return f"(1 / {self._print(expr.base)})"
        return f"pow({self._print(expr.base)}, {self._print(expr.exp)})"

    def _print_Mod(self, expr: sp.Mod) -> str:
        # JavaScript's remainder takes the sign of the dividend, SymPy's that of the divisor.
        value, modulus = map(self._print, expr.args)
        rest = f"({value} % {modulus})"
        return f"(({rest} * {modulus}) < 0 ? ({rest} + {modulus}) : {rest})"

    def _print_Piecewise(self, expr: sp.Piecewise) -> str:
        printed = "NaN"  # where no condition holds, as in NumPy
        for value, condition in reversed(expr.args):
            printed = f"({self._print(condition)} ? {self._print(value)} : {printed})"
        return printed

    def _print_Relational(self, expr: sp.Rel) -> str:
        return f"({self._print(expr.lhs)} {expr.rel_op} {self._print(expr.rhs)})"

    def _print_And(self, expr: sp.And) -> str:
        return f"({' && '.join(map(self._print, expr.args))})"

    def _print_Or(self, expr: sp.Or) -> str:
        return f"({' || '.join(map(self._print, expr.args))})"

    def _print_Not(self, expr: sp.Not) -> str:
        return f"(!{self._print(expr.args[0])})"

    def _print_BooleanTrue(self, expr: sp.Basic) -> str:
        return "true"

    def _print_BooleanFalse(self, expr: sp.Basic) -> str:
        return "false"

    def _print_Integer(self, expr: sp.Integer) -> str:
        return f"({int(expr)})" if expr < 0 else str(int(expr))

    def _print_Rational(self, expr: sp.Rational) -> str:
        return f"({expr.p} / {expr.q})"

    def _print_Float(self, expr: sp.Float) -> str:
        return f"({float(expr)!r})"

    def _print_Pi(self, expr: sp.Basic) -> str:
        return "PI"

    def _print_Exp1(self, expr: sp.Basic) -> str:
        return "E"
