"""What a check found, in words that need no look at the checker."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Status = Literal["passed", "failed", "not tried", "measured"]
MARKS: Mapping[Status, str] = {"passed": "✓", "failed": "✗", "not tried": "–", "measured": "·"}


@dataclass(frozen=True)
class Finding:
    """One check of one case, or why it could not be made, which is no pass.

    Attributes:
        check: its name, such as ``"causality"``.
        status: ``"measured"`` is what has no right or wrong, such as time.
        found: what came.
        expected: what should have come; empty unless it failed.
        smallest: the smallest input that shows it, likewise.
        case: the options in words, such as ``"window=4"``; empty if there are none.
        data: what its figure draws.
    """

    check: str
    status: Status
    found: str
    expected: str = ""
    smallest: str = ""
    case: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)

    @property
    def sentence(self) -> str:
        """All of it in one line, the options aside."""
        if self.status == "not tried":
            return f"not tried: {self.found}"
        if self.status != "failed":
            return self.found
        return (
            f"expected {self.expected}; found: {self.found}"
            f"{f'; smallest input: {self.smallest}' if self.smallest else ''}"
        )


@dataclass(frozen=True)
class Line:
    """What one or more cases have in common: one line of a report.

    Attributes:
        check: the name of the check, or of several that were not tried for one reason.
        cases: the options, in words, of the cases in which; empty if in all.
        finding: one of those that are alike.
    """

    check: str
    cases: tuple[str, ...]
    finding: Finding

    @property
    def heading(self) -> str:
        """Its mark, its name, and the cases: "✗ causality [window=4]"."""
        where = f" [{'; '.join(case or 'no options' for case in self.cases)}]" * bool(self.cases)
        return f"{MARKS[self.finding.status]} {self.check}{where}"

    def __str__(self) -> str:
        return f"{self.heading}: {self.finding.sentence}"


@dataclass(frozen=True)
class Report:
    """Everything that was found about one mechanism.

    Attributes:
        name: of the mechanism.
        findings: those of every check and case, in the order of the checks.
    """

    name: str
    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing failed; what was not tried is not known."""
        return not self.failed

    @property
    def failed(self) -> tuple[str, ...]:
        """The names of the checks that failed in some case."""
        return tuple(dict.fromkeys(f.check for f in self.findings if f.status == "failed"))

    def of(self, check: str) -> list[Finding]:
        """What one check found, case by case."""
        return [finding for finding in self.findings if finding.check == check]

    def lines(self) -> Iterator[Line]:
        """One line for each check, and more where cases differ in what was found."""
        alike: dict[tuple[str, Status, str], list[Finding]] = {}
        for f in self.findings:
            # Checks that were not tried for one reason share a line.
            check = "" if f.status == "not tried" else f.check
            alike.setdefault((check, f.status, f.sentence), []).append(f)
        cases = {f.case for f in self.findings}
        for group in alike.values():
            found_in = dict.fromkeys(f.case for f in group)
            named = () if set(found_in) == cases else tuple(found_in)
            yield Line(", ".join(dict.fromkeys(f.check for f in group)), named, group[0])

    def summary(self) -> str:
        """How many checks ended how: a check counts once, as its worst case does."""
        worst: dict[str, str] = {}
        for status in ("measured", "passed", "not tried", "failed"):
            worst |= {f.check: status for f in self.findings if f.status == status}
        counts = {status: list(worst.values()).count(status) for status in MARKS}
        told = ", ".join(f"{count} {status}" for status, count in counts.items() if count)
        return f"{counted(len(worst), 'check')}: {told}"

    def to_dict(self) -> dict[str, Any]:
        """For machines to read: what is NaN or infinite, which JSON has no word for, is None."""
        findings = [_finite(asdict(finding)) for finding in self.findings]
        return {"name": self.name, "ok": self.ok, "failed": self.failed, "findings": findings}

    def __str__(self) -> str:
        """A line a check, and how many ended how."""
        return "\n".join([*map(str, self.lines()), f"{self.name}: {self.summary()}"])


def listed(names: Iterable[str]) -> str:
    """Words in a row: "q, k and v"."""
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last


def _finite(x: Any) -> Any:
    if isinstance(x, Mapping):
        return {name: _finite(part) for name, part in x.items()}
    if isinstance(x, list | tuple):
        return [_finite(part) for part in x]
    return None if isinstance(x, float) and not math.isfinite(x) else x


def counted(count: int, what: str) -> str:
    """A number of things: "1 check", "2 checks"."""
    return f"{count} {what}{'' if count == 1 else 's'}"


def shapes_in_words(**tensors: Sequence[int]) -> str:
    """Shapes as a reader types them: "q (2, 5, 8), k (2, 9, 8)"."""
    return ", ".join(f"{name} {tuple(shape)}" for name, shape in tensors.items())


def passed(check: str, found: str, **data: Any) -> Finding:
    """It is as it should be."""
    return Finding(check, "passed", found, data=data)


def failed(check: str, expected: str, found: str, smallest: str = "", **data: Any) -> Finding:
    """It is not, and the smallest input shows it."""
    return Finding(check, "failed", found, expected, smallest, data=data)


def untried(check: str, why: str) -> Finding:
    """It could not be made, which is no pass."""
    return Finding(check, "not tried", why)


def measured(check: str, found: str, **data: Any) -> Finding:
    """It has no right or wrong."""
    return Finding(check, "measured", found, data=data)
