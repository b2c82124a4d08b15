"""Derivations as data: every printed equals sign is an assertion.

A :class:`Derivation` is an ordered list of steps, each with a left side, a right side and a reason.
Displaying one proves it first, so a chapter cannot print an equation that does not hold.
"""

import functools
import hashlib
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import sympy as sp
from sympy.concrete.expr_with_limits import ExprWithLimits
from sympy.functions.elementary.trigonometric import TrigonometricFunction

from attention_limits import store
from attention_limits.formula import Formula
from attention_limits.tex import latex, lines, printed_length

POINTS = 5  # random points at which the two sides of a step must agree
DIGITS = 30  # to which they are evaluated there
LINE = 48  # characters, about; a longer equation is printed on two lines
LONGEST = 52  # and a longer side of it on several
LARGEST = 400  # operations; beyond this, simplify may not come back
BINDING = ExprWithLimits, sp.Derivative, sp.Lambda, sp.Limit, sp.Subs  # a symbol that is no number


class NotProven(AssertionError):  # noqa: N818  (it reads as what it says)
    """A step whose two sides are not shown to be equal; the message names the step."""


@dataclass(frozen=True)
class Step:
    """One equality.

    Args:
        name: what the step is called, in a word or three.
        lhs: left side: an expression, a matrix or a Formula. Sums, limits, derivatives and
            substitutions may stand there unevaluated; the proof evaluates them.
        rhs: right side, of the same shape.
        why: the reason, in words; Markdown with ``$mathematics$``.
    """

    name: str
    lhs: sp.Expr | sp.MatrixBase | Formula
    rhs: sp.Expr | sp.MatrixBase | Formula
    why: str

    def prove(self, where: Mapping[sp.Symbol, sp.Expr] | None = None) -> None:
        """Show that both sides are equal, at random points and then symbolically.

        The points come first: they refute a wrong step at once and name a counterexample, so
        that only true equalities reach the slower algebra.

        Args:
            where: what the abbreviations in this step stand for.

        Raises:
            NotProven: if they differ somewhere, or no normal form makes them meet.
        """
        for left, right in self._entries(where or {}):
            self._agree_at_random_points(left, right)
            if not any(form == 0 for form in _normal_forms(left - right)):
                raise NotProven(
                    f"step {self.name!r}: {left} = {right} holds at {POINTS} random points, but is "
                    "not proven symbolically; break it into smaller steps"
                )

    @property
    def latex(self) -> str:
        """The equation as TeX, on as many lines as it needs."""
        left, right = (lines(_plain(side), LONGEST) for side in (self.lhs, self.rhs))
        if sum(map(printed_length, (*left, *right))) < LINE:
            return f"{left[0]} = {right[0]}"
        above, below = r" \\ & \quad ".join(left), r" \\ & \qquad ".join(right)
        return rf"\begin{{aligned}} & {above} \\ & = {below} \end{{aligned}}"

    def _entries(self, where: Mapping) -> Iterator[tuple[sp.Expr, sp.Expr]]:
        left, right = (_written_out(_plain(side), where) for side in (self.lhs, self.rhs))
        shapes = [side.shape if isinstance(side, sp.MatrixBase) else () for side in (left, right)]
        if shapes[0] != shapes[1]:
            raise NotProven(f"step {self.name!r}: shapes {shapes[0]} and {shapes[1]} differ")
        return zip(left, right, strict=True) if shapes[0] else iter([(left, right)])

    def _agree_at_random_points(self, left: sp.Expr, right: sp.Expr) -> None:
        drawn = random.Random(self.name)
        free = sorted(left.free_symbols | right.free_symbols, key=lambda symbol: symbol.name)
        for _ in range(POINTS):
            point = tuple((symbol, _draw(symbol, drawn)) for symbol in free)
            a, b = (_value(side, point) for side in (left, right))
            at = "".join(f", {symbol} = {value}" for symbol, value in point)
            if not (a.is_finite and b.is_finite):
                raise NotProven(f"step {self.name!r}: a side is not a finite number{at}")
            if abs(a - b) > 10 ** (10 - DIGITS) * max(1, abs(a)):
                a, b = sp.N(a, 6), sp.N(b, 6)
                raise NotProven(f"step {self.name!r}: left side {a}, right side {b}{at}")


class Derivation:
    """Steps in order. ``prove()`` runs them all; displaying a derivation proves it first.

    Args:
        steps: the equalities, each under its own name.
        where: abbreviations that the steps are written in, printed above them.

    Raises:
        ValueError: if it has no steps, or two of one name.
    """

    def __init__(self, *steps: Step, where: Mapping[sp.Symbol, sp.Expr | Formula] | None = None):
        names = [step.name for step in steps]
        if not steps or len(set(names)) < len(names):
            raise ValueError(f"steps must be at least one, each under its own name, got {names}")
        self.steps = steps
        self.where = {symbol: _plain(expr) for symbol, expr in (where or {}).items()}

    def prove(self) -> "Derivation":
        """Prove every step; raises NotProven naming the first that fails."""
        written = repr(
            [(s.name, sp.srepr(_plain(s.lhs)), sp.srepr(_plain(s.rhs))) for s in self.steps]
        )
        written += sp.srepr(sorted(self.where.items(), key=str))
        proof = f"proof.{hashlib.sha256(written.encode()).hexdigest()[:16]}"
        store.kept(__name__, proof, self._prove)  # within a build, what was proven is not again
        return self

    def _prove(self) -> int:
        for step in self.steps:
            step.prove(self.where)
        return len(self.steps)

    def _repr_markdown_(self) -> str:
        self.prove()
        blocks = [f"**{s.name}.** {s.why}\n\n$$\n{s.latex}\n$$" for s in self.steps]
        if self.where:
            let = (f"{latex(s)} &:= {latex(e)}" for s, e in self.where.items())
            lines = r" \\ ".join(let)
            blocks.insert(0, f"**Let**\n\n$$\n\\begin{{aligned}} {lines} \\end{{aligned}}\n$$")
        count = "1 step" if len(self.steps) == 1 else f"{len(self.steps)} steps"
        proven = f"*Proven just now: {count}, by algebra and at random points.*"
        return "\n\n".join([*blocks, proven])

    def __repr__(self) -> str:
        return "\n".join(f"{s.name}: {_plain(s.lhs)} = {_plain(s.rhs)}" for s in self.steps)


@dataclass(frozen=True)
class Caught:
    """What the proof of a step says against it; false if that is nothing."""

    step: Step
    message: str

    def __bool__(self) -> bool:
        return bool(self.message)

    def __str__(self) -> str:
        return self.message or f"step {self.step.name!r}: nothing to be said against it"

    def _repr_markdown_(self) -> str:
        left, right = (latex(_plain(side)) for side in (self.step.lhs, self.step.rhs))
        sign, mark = ("\\neq", '<span class="refused">✗</span>') if self else ("=", "✓")
        return f"$$\n{left} {sign} {right}\n$$\n\n{mark} {self}"


def caught(step: Step, where: Mapping[sp.Symbol, sp.Expr] | None = None) -> Caught:
    """Try to prove a step, and show what comes of it: a slip is a result here, and no error."""
    try:
        step.prove(where)
    except NotProven as error:
        return Caught(step, str(error))
    return Caught(step, "")


def ratio(above: sp.Expr, below: sp.Expr) -> sp.Expr:
    """A fraction that prints as it is, before anything cancels."""
    return sp.Mul(above, sp.Pow(below, -1, evaluate=False), evaluate=False)


def _written_out(side: sp.Expr | sp.MatrixBase, where: Mapping) -> sp.Expr | sp.MatrixBase:
    """Without abbreviations, whose definitions may use one another."""
    for _ in where:
        side = side.subs(where)
    return side


def _plain(side: sp.Expr | sp.MatrixBase | Formula) -> sp.Expr | sp.MatrixBase:
    return side.expr if isinstance(side, Formula) else sp.sympify(side)


@functools.lru_cache(maxsize=2 * POINTS)  # who looks for slips tries one left side many times
def _value(side: sp.Expr, point: tuple[tuple[sp.Symbol, sp.Number], ...]) -> sp.Expr:
    put = side.subs if side.has(*BINDING) else side.xreplace  # which need not look for such symbols
    return put(dict(point)).doit().evalf(DIGITS)


def _normal_forms(difference: sp.Expr) -> Iterator[sp.Expr]:
    """The difference in one normal form after another, the cheap ones first."""
    difference = difference.doit()
    yield difference
    yield sp.expand(difference)
    if difference.has(TrigonometricFunction):
        yield sp.expand(difference.rewrite(sp.exp))  # where their identities are those of powers
    yield sp.cancel(sp.together(difference))
    if difference.count_ops() <= LARGEST:
        yield sp.simplify(difference)


def _draw(symbol: sp.Symbol, drawn: random.Random) -> sp.Number:
    """A value in the symbol's domain: small, so that sums stay short, and exact."""
    low = 1 if symbol.is_positive else 0 if symbol.is_nonnegative else -9
    if symbol.is_integer:
        return sp.Integer(drawn.randint(low, 9))
    return sp.Rational(drawn.randint(100 * low + 1, 900), 257)
