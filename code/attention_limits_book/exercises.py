"""The exercises of a page, read from its source: what each is worth, and the code that checks it.

An exercise is a box of sphinx-exercise with a label, a ``level``, ``points`` and ``minutes``, and
has a solution on the same page.  If it is answered by code, there are three code cells, tagged
``exercise:<label>`` and with their part, in this order:

``stub``
    what the student begins with;
``check``
    what tests what stands in the stub now.  It is tagged ``skip-execution``, too: the book shows it
    and does not run it, since on a page nobody has answered;
``solution``
    what may stand in the stub's place, within the solution, which is folded.

The book runs stub and solution, the tests run all three.  In a notebook the solution is text in a
box to be opened, and no cell: what the check finds there is the student's own.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from attention_limits_book.notebooks.syntax import (
    NOT_RUN,
    Directive,
    code_options,
    directive_name,
    error_at,
    parse,
    read_directive,
)

PARTS = ("stub", "check", "solution")
LEVELS = ("warm-up", "standard", "harder", "open-ended")
TAG = "exercise:"


@dataclass
class Exercise:
    """One exercise of a page.

    Attributes:
        label: how the page calls it, and a grade book.
        title: what stands above it.
        level: one of ``LEVELS``.
        points: what a full answer is worth.
        minutes: how long it should take.
        line: where on the page it begins.
        code: the cells of an exercise that is answered by code, part by part in the order of the
            page; empty where words are asked for.
        is_solved: whether the page has a solution.
    """

    label: str
    title: str
    level: str
    points: int
    minutes: int
    line: int
    code: dict[str, str] = field(default_factory=dict)
    is_solved: bool = False


def read(source: str) -> tuple[Exercise, ...]:
    """The exercises of a page, in its order.

    Args:
        source: the page as it was typed, MyST.

    Raises:
        ValueError: naming the line, for an exercise without label, level, points, minutes or
            solution, or with some of its three cells and not all; for a level that is none; for
            two of one label; and for a cell or a solution of no exercise above it.
    """
    found: dict[str, Exercise] = {}
    for name, directive, content in _directives(source):
        if name in ("exercise", "exercise-start"):
            exercise = _begun(directive)
            if exercise.label in found:
                raise error_at(directive.line, f"two exercises are labelled {exercise.label!r}")
            found[exercise.label] = exercise
        elif name in ("solution", "solution-start"):
            _of(found, directive.argument, f"{{{name}}}", directive.line).is_solved = True
        elif name == "code-cell":
            _add_cell(found, content, directive.line)
    for exercise in found.values():
        _check(exercise)
    return tuple(found.values())


def _directives(source: str) -> Iterator[tuple[str, Directive, str]]:
    """Every directive at the top of a page: its name, as it was read, and all that is in it."""
    for token in parse(source.replace("\r\n", "\n").split("\n"), 1, {}).tokens:
        if token.type in ("fence", "colon_fence") and (name := directive_name(token)):
            line = token.map[0] + 1 if token.map else 0
            yield name, read_directive(token, line), token.content


def _begun(directive: Directive) -> Exercise:
    """An exercise whose cells and solution are still to come."""
    label = directive.options.get("label", "")
    if not label:
        raise error_at(directive.line, "an exercise needs a label, as in :label: my-chapter-name")
    worth = {}
    for name in ("points", "minutes"):
        number = directive.options.get(name, "")
        if not re.fullmatch("[1-9][0-9]*", number):
            problem = f"exercise {label!r} needs :{name}: and a positive integer, got {number!r}"
            raise error_at(directive.line, problem)
        worth[name] = int(number)
    level = directive.options.get("level", "")
    if level not in LEVELS:
        problem = f"exercise {label!r} needs a :level: of {', '.join(LEVELS)}, got {level!r}"
        raise error_at(directive.line, problem)
    points, minutes = worth["points"], worth["minutes"]
    return Exercise(label, directive.argument, level, points, minutes, directive.line)


def _of(found: dict[str, Exercise], label: str, what: str, line: int) -> Exercise:
    """The exercise that something says it belongs to."""
    if label not in found:
        raise error_at(line, f"{what} of {label!r}, which is no exercise above it")
    return found[label]


def _add_cell(found: dict[str, Exercise], content: str, line: int) -> None:
    """Take a code cell, if its tags say that it is some exercise's."""
    options, code = code_options(content, line)
    tags = options.get("tags", ())
    for label in (tag.removeprefix(TAG) for tag in tags if tag.startswith(TAG)):
        parts = [tag for tag in tags if tag in PARTS]
        if len(parts) != 1:
            raise error_at(line, f"a cell of {label!r} must be one of {PARTS}, got {parts}")
        cells = _of(found, label, "a cell", line).code
        if parts[0] in cells:
            raise error_at(line, f"exercise {label!r} has two cells tagged {parts[0]!r}")
        if parts == ["check"] and "solution" not in cells and NOT_RUN not in tags:
            problem = f"the check of {label!r} would run on the stub: tag it {NOT_RUN}"
            raise error_at(line, problem)
        cells[parts[0]] = "\n".join(code).strip("\n")


def _check(exercise: Exercise) -> None:
    """Refuse what an instructor could not assign."""
    if not exercise.is_solved:
        raise error_at(exercise.line, f"exercise {exercise.label!r} has no solution")
    missing = [part for part in PARTS if part not in exercise.code]
    if exercise.code and missing:
        problem = f"exercise {exercise.label!r} has no cell tagged {', '.join(missing)}"
        raise error_at(exercise.line, problem)
