"""What a piece of evidence is: a number, what it ought to be, and how near is near enough."""

import functools
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Any

from attention_limits import store
from attention_limits.numerals import in_words, numeral, power_of_ten

RELATIONS = ("=", ">", "<")


@dataclass(frozen=True)
class Evidence:
    """A number that was computed or measured, next to the number that a claim predicts.

    Whether it holds is worked out from the numbers and cannot be passed in, so that nobody,
    not even in a hurry, can write evidence that holds whatever was found.

    Args:
        value: what was found.
        expected: what the claim predicts, or the bound that it sets.
        tolerance: how far ``value`` may be off; for ">" and "<" its own uncertainty, by more
            than which it has to clear ``expected``. Zero asks for the exact number.
        unit: what one of ``value`` is, as in "2 × forward"; empty for a pure number.
        how: where the number comes from: the instrument and the sizes.
        relation: "=" (near ``expected``), ">" (above it) or "<" (below it).

    Raises:
        ValueError: for an unknown relation, a tolerance that is negative or not finite, and
            evidence that does not say how it was obtained.
    """

    value: float
    expected: float
    tolerance: float
    unit: str
    how: str
    relation: str = "="

    def __post_init__(self):
        if self.relation not in RELATIONS:
            raise ValueError(f"relation must be one of {RELATIONS}, got {self.relation!r}")
        if not 0 <= self.tolerance < math.inf:
            raise ValueError(f"tolerance must be finite and at least 0, got {self.tolerance}")
        if not self.how.strip():
            raise ValueError("how must say where the number comes from, got an empty string")

    @classmethod
    def exactly(
        cls, values: Iterable[float], *, expected: float, unit: str, how: str
    ) -> "Evidence":
        """Counts that must all equal one number: the one furthest from it, with no tolerance.

        Raises:
            ValueError: if there are no values.
        """
        values = list(values)
        if not values:
            raise ValueError("values must hold one count or more, got none")
        # A NaN is further than anything, and compares with nothing.
        furthest = max(values, key=lambda value: (math.isnan(value), abs(value - expected)))
        how = f"{how}; the furthest of {len(values)} counts" if len(values) > 1 else how
        return cls(value=furthest, expected=expected, tolerance=0, unit=unit, how=how)

    @property
    def holds(self) -> bool:
        """Whether the numbers bear the claim out; a NaN never does."""
        above = self.value - self.expected
        match self.relation:
            case "=":
                holds = abs(above) <= self.tolerance
            case ">":
                holds = above > self.tolerance
            case "<":
                holds = -above > self.tolerance
        return bool(holds)

    @property
    def slack(self) -> float | None:
        """The share of its tolerance that a "=" uses up; None where there is none to use.

        Above 1 the evidence fails. Near 0 the tolerance is so wide that it tests nothing.
        """
        if self.relation != "=" or self.tolerance == 0:
            return None
        return float(abs(self.value - self.expected) / self.tolerance)

    def to_dict(self) -> dict[str, object]:
        """Every field with ``holds``, ready for JSON, which knows no NaN: that becomes None."""
        numbers = {name: _finite(getattr(self, name)) for name in ("value", "expected")}
        return asdict(self) | numbers | {"tolerance": float(self.tolerance), "holds": self.holds}

    def __str__(self) -> str:
        return f"{self.found} {self._source}"

    def _repr_markdown_(self) -> str:
        found = f"{'✓' if self.holds else '✗'} **{self.found}**"
        return f"{found if self.holds else _in_red(found)} {self._source}"

    @property
    def found(self) -> str:
        """The number with its unit, as in "2 × forward"; all "of the answers" is no 1 of them."""
        share = _WHOLE.get(self.value) if self.unit.startswith("of the ") else None
        return f"{share or self._value_in_words} {self.unit}".strip()

    @property
    def _value_in_words(self) -> str:
        """The number, with more digits where four would set it on the bound that it is beside."""
        bound, most = numeral(self.expected), 17  # digits, which tell any two floats apart
        if self.value == self.expected or (self.relation == "=" and self.tolerance):
            return numeral(self.value)
        longer = (power_of_ten(f"{float(self.value):.{n}g}") for n in range(5, most + 1))
        return next((x for x in (numeral(self.value), *longer) if x != bound), bound)

    @property
    def expectation(self) -> str:
        """What the number was to be, as in "4 ± 0.1" or "> 4 by more than 0.1"."""
        expected, tolerance = numeral(self.expected), numeral(self.tolerance)
        if self.relation == "=":
            return f"{expected} ± {tolerance}" if self.tolerance else expected
        margin = f" by more than {tolerance}" if self.tolerance else ""
        return f"{self.relation} {expected}{margin}"

    @property
    def _source(self) -> str:
        exactly = ", exactly" if self.relation == "=" and not self.tolerance else ""
        return f"(expected {self.expectation}{exactly}) · {in_words(' '.join(self.how.split()))}"


def evidence(
    *, rivals: Mapping[str, Mapping[str, Any]] = MappingProxyType({})
) -> Callable[[Callable[..., Evidence]], Callable[..., Evidence]]:
    """Mark a function as a piece of evidence, and name what it would refuse.

        @evidence(rivals={"a softmax that writes out its Jacobians": dict(softmax=cubic_softmax)})
        def backward_grows_with_the_square(softmax=torch.softmax) -> Evidence: ...

    Within a build of the book it runs once, and once for each rival: called without arguments, it
    is looked up in the build's ``store`` first; with some, or outside a build, it is always
    gathered.

    Args:
        rivals: what a **rival** is, in words that follow "it would have given 3 for", and the
            keyword arguments that put it in the place of what the claim is about. A rival is a
            program, or a world, that is wrong in just the way that the claim denies, and right
            otherwise; the evidence must not hold for it.
    """

    def mark(function: Callable[..., Evidence]) -> Callable[..., Evidence]:
        @functools.wraps(function)
        def gathered(*args: Any, **kwargs: Any) -> Evidence:
            if args or kwargs:
                return function(*args, **kwargs)
            return _kept(function, function.__name__)

        setattr(gathered, _RIVALS, rivals)
        return gathered

    return mark


_WHOLE: dict[float, str] = {0: "none", 1: "all"}  # how a share reads that is no share
_RIVALS = "rivals"  # the attribute of a function that is evidence


def rivals(function: Callable[..., Evidence]) -> dict[str, Callable[[], Evidence]]:
    """The rivals of a piece of evidence, by their words: what it finds of each when it is called.

    Raises:
        ValueError: if ``function`` is not marked as evidence.
    """
    given = getattr(function, _RIVALS, None)
    if given is None:
        raise ValueError(f"function must be marked with @evidence, got {function!r}")
    names = {words: f"{function.__name__}.rival{k}" for k, words in enumerate(given)}
    return {
        words: functools.partial(_kept, function, names[words], **arguments)
        for words, arguments in given.items()
    }


def _kept(function: Callable[..., Evidence], name: str, /, **arguments: Any) -> Evidence:
    """What a function finds, from the build's store if it is there under this name."""
    found = store.kept(function.__module__, name, lambda: _fields(function(**arguments)))
    return Evidence(**found)


def _fields(found: Evidence) -> dict[str, object]:
    """As JSON keeps them, and gives them back: NumPy's numbers are no numbers to it."""
    if not isinstance(found, Evidence):
        raise TypeError(f"evidence must be an Evidence, got {type(found).__name__}")
    return {k: v.item() if hasattr(v, "item") else v for k, v in asdict(found).items()}


def _in_red(words: str) -> str:
    return f'<span class="refused">{words}</span>'


def _finite(number: float) -> float | None:
    return float(number) if math.isfinite(number) else None
