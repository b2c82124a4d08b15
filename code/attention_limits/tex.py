"""How the book prints mathematics: in the order in which a person would write it.

SymPy sorts factors and terms by rules of its own: ``4 d_model n²``, ``g/h + 1``, ``-m + s``.  Here
lengths stand before widths, what is added before what is taken away, and a 1 before a ratio.
"""

import re

import sympy as sp
from sympy.core.sorting import default_sort_key
from sympy.printing.latex import LatexPrinter

from attention_limits.symbols import MEANING, c, layers, n, tables

_NAMES = {symbol: meaning.tex for symbol, meaning in MEANING.items() if meaning.tex}
_RANK = {symbol: place for place, symbol in enumerate(MEANING)}
_AHEAD = {tables: -3, layers: -2, c: -1}  # in products: how many there are, then how large


def latex(expr: sp.Basic) -> str:
    """An expression as the book prints it."""
    return _Printer(
        {
            "symbol_names": _NAMES,
            "mul_symbol": r" \, ",
            "fold_short_frac": True,
            "fold_func_brackets": True,
            "order": "none",
        }
    ).doprint(expr)


def lines(expr: sp.Basic, width: int) -> list[str]:
    """The same on as many lines as a sum needs, each ``width`` characters long or about that."""
    if not isinstance(expr, sp.Add | sp.MatAdd) or printed_length(latex(expr)) <= width:
        return [latex(expr)]
    broken: list[str] = []
    for term in sorted(expr.args, key=_place_of_term):
        is_less = term.could_extract_minus_sign()
        tex = f"{'-' if is_less else '+'} {latex(-term if is_less else term)}"
        if broken and printed_length(f"{broken[-1]} {tex}") <= width:
            broken[-1] += f" {tex}"
        else:
            broken.append(tex)
    return [broken[0].removeprefix("+ "), *broken[1:]]


def printed_length(tex: str) -> int:
    """About how many characters wide TeX prints: a function's name, else a command is one."""
    above = re.sub(r"\\frac\{(.*?)\}\{.*?\}", r"\1", tex)  # the denominator stands underneath
    named = re.sub(r"\\(sin|cos|tanh|log|lim)", r"\1", above.replace(r"\text", ""))
    return len(re.sub(r"\\[a-z]+\*?|[{}\s]|\\,", "", named))


class _Printer(LatexPrinter):
    """SymPy's own, with terms and factors in the book's order."""

    def _as_ordered_terms(self, expr, order=None):
        return sorted(expr.args, key=_place_of_term)

    def _print_Mul(self, expr):  # noqa: N802 - SymPy looks printers up by class name
        if expr.is_Mul and expr.could_extract_minus_sign() and not (-expr).is_Add:
            return f"- {self._print(-expr)}"
        return super()._print_Mul(_ordered(expr))

    def _print_log(self, expr, exp=None):
        tex = self._print(expr.args[0])
        if self._needs_function_brackets(expr.args[0]):
            tex = rf"\left({tex}\right)"
        return rf"\log^{{{exp}}} {tex}" if exp else rf"\log {tex}"

    def _needs_function_brackets(self, expr):
        return not all(
            x.is_Symbol or x.is_Integer or (x.is_Pow and not x.exp.is_number) or x is sp.pi
            for x in sp.Mul.make_args(expr)
        )


def _ordered(expr: sp.Expr) -> sp.Expr:
    """A product with its factors in the book's order, which SymPy would not keep by itself."""
    if expr.is_Mul and expr.is_commutative:
        return sp.Mul._from_args([_ordered(x) for x in sorted(expr.args, key=_place_of_factor)])
    if expr.is_Pow and expr.base.is_Mul and expr.exp == -1:  # below the line, and not yet cancelled
        return sp.Pow(_ordered(expr.base), -1, evaluate=False)
    return expr


def _place_of_factor(factor: sp.Expr) -> tuple:
    """Numbers, symbols, sums in brackets, and then functions."""
    base = factor.as_base_exp()[0]
    if factor.is_Number:
        return (-1,)
    if base.is_Symbol:
        return 0, _AHEAD.get(base, _RANK.get(base, len(_RANK)))
    return (1 if base.is_Add else 2), default_sort_key(factor)


def _place_of_term(term: sp.Expr) -> tuple:
    """What is added first; of that the highest powers, of n above all; a 1 before ratios only."""
    powers = {
        base: power if power.is_Number else 0
        for base, power in (x.as_base_exp() for x in sp.Mul.make_args(term))
        if not base.is_number
    }
    degree = sum(power for base, power in powers.items() if base.is_Symbol or base.is_Add)
    is_ratio = degree == 0 or any(power < 0 for power in powers.values())
    known = sorted(_RANK.get(symbol, len(_RANK)) for symbol in term.free_symbols)
    return (
        term.could_extract_minus_sign(),
        1 if term.is_number else 2 * is_ratio,
        -powers.get(n, 0),
        -degree,
        known,
        default_sort_key(term),
    )
