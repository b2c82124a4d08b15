"""The boxes of exercises and solutions: sphinx-exercise's on a page, Markdown in a notebook.

An exercise also says how hard it is, how many points it gives and how many minutes it takes, under
its title; ``exercises`` reads all three, and everything else that an exercise has.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

from docutils import nodes
from docutils.parsers.rst.directives import choice, positive_int
from sphinx_exercise.directive import (
    ExerciseDirective,
    ExerciseEndDirective,
    ExerciseStartDirective,
    SolutionDirective,
    SolutionEndDirective,
    SolutionStartDirective,
)

from attention_limits_book.directive import Faces
from attention_limits_book.exercises import LEVELS
from attention_limits_book.notebooks.blocks import CLOSED, body, details, opened, paragraphs, title
from attention_limits_book.notebooks.page import Landmark, Page
from attention_limits_book.notebooks.syntax import Directive

WORTH = {
    "level": lambda given: choice(given, LEVELS),
    "points": positive_int,
    "minutes": positive_int,
}


def worth(options: Mapping[str, Any]) -> str:
    """What the box says under its title: Warm-up · 2 points · 10 minutes."""
    words = [options["level"].capitalize()] if "level" in options else []
    for name in ("points", "minutes"):
        if name in options:
            number = int(options[name])
            words.append(f"{number} {name if number > 1 else name.removesuffix('s')}")
    return " · ".join(words)


class _Worth:
    """Write what an exercise is worth above its text."""

    def run(self) -> list[nodes.Node]:
        found = super().run()  # type: ignore[misc]
        if found and (words := worth(self.options)):  # type: ignore[attr-defined]
            (text,) = found[0].findall(nodes.section)
            text.insert(0, nodes.paragraph("", words, classes=["exercise-worth"]))
        return found


class Exercise(_Worth, ExerciseDirective):
    """``{exercise}``, with ``level``, ``points`` and ``minutes``."""

    option_spec: ClassVar = {**ExerciseDirective.option_spec, **WORTH}


class ExerciseStart(_Worth, ExerciseStartDirective):
    """``{exercise-start}``, with ``level``, ``points`` and ``minutes``: code cells follow."""

    option_spec: ClassVar = {**ExerciseStartDirective.option_spec, **WORTH}


def _exercise_in_notebook(directive: Directive, page: Page) -> str:
    number, words = page.count("exercise"), title(directive, page)
    name = f"Exercise: {words}" if words else f"Exercise {number}"
    page.remember(Landmark(name, number), directive.options.get("label", ""))
    says = worth(directive.options)
    return paragraphs(f"### {name}", says and f"*{says}*", body(directive, page))


def _solution_name(directive: Directive, page: Page) -> str:
    exercise = page.find(directive.argument, directive.line).title
    name = exercise.replace("Exercise", "Solution", 1)
    page.remember(Landmark(name), directive.options.get("label", ""))
    return name


def _solution_in_notebook(directive: Directive, page: Page) -> str:
    return details(_solution_name(directive, page), body(directive, page))


def _begun_solution_in_notebook(directive: Directive, page: Page) -> str:
    # Its code is text in the notebook (``notebooks.cells``), so that one box holds all of it.
    return opened(_solution_name(directive, page))


def _ended_solution_in_notebook(directive: Directive, page: Page) -> str:
    return CLOSED


def _nothing_in_notebook(directive: Directive, page: Page) -> str:
    return ""


DIRECTIVES = {
    "exercise": Faces(Exercise, _exercise_in_notebook),
    "exercise-start": Faces(ExerciseStart, _exercise_in_notebook),
    "exercise-end": Faces(ExerciseEndDirective, _nothing_in_notebook),
    "solution": Faces(SolutionDirective, _solution_in_notebook),
    "solution-start": Faces(SolutionStartDirective, _begun_solution_in_notebook),
    "solution-end": Faces(SolutionEndDirective, _ended_solution_in_notebook),
}
