"""The boxes of exercises and solutions: sphinx-exercise's on a page, Markdown in a notebook.

An exercise also says how many points it gives and how many minutes it takes; ``exercises`` reads
both, and everything else that an exercise has.
"""

from typing import ClassVar

from docutils.parsers.rst.directives import positive_int
from sphinx_exercise.directive import (
    ExerciseDirective,
    ExerciseEndDirective,
    ExerciseStartDirective,
    SolutionDirective,
    SolutionEndDirective,
    SolutionStartDirective,
)

from attention_limits_book.directive import Faces
from attention_limits_book.notebooks.blocks import body, details, paragraphs, title
from attention_limits_book.notebooks.page import Landmark, Page
from attention_limits_book.notebooks.syntax import Directive

WORTH = {"points": positive_int, "minutes": positive_int}


class Exercise(ExerciseDirective):
    """``{exercise}``, with ``points`` and ``minutes``."""

    option_spec: ClassVar = {**ExerciseDirective.option_spec, **WORTH}


class ExerciseStart(ExerciseStartDirective):
    """``{exercise-start}``, with ``points`` and ``minutes``: code cells follow."""

    option_spec: ClassVar = {**ExerciseStartDirective.option_spec, **WORTH}


def _exercise_in_notebook(directive: Directive, page: Page) -> str:
    number, words = page.count("exercise"), title(directive, page)
    name = f"Exercise: {words}" if words else f"Exercise {number}"
    page.remember(Landmark(name, number), directive.options.get("label", ""))
    return paragraphs(f"### {name}", body(directive, page))


def _solution_name(directive: Directive, page: Page) -> str:
    exercise = page.find(directive.argument, directive.line).title
    name = exercise.replace("Exercise", "Solution", 1)
    page.remember(Landmark(name), directive.options.get("label", ""))
    return name


def _solution_in_notebook(directive: Directive, page: Page) -> str:
    return details(_solution_name(directive, page), body(directive, page))


def _opened_solution_in_notebook(directive: Directive, page: Page) -> str:
    # Code cells follow, and no box can be drawn around several cells.
    return f"#### {_solution_name(directive, page)}"


def _nothing_in_notebook(directive: Directive, page: Page) -> str:
    return ""


DIRECTIVES = {
    "exercise": Faces(Exercise, _exercise_in_notebook),
    "exercise-start": Faces(ExerciseStart, _exercise_in_notebook),
    "exercise-end": Faces(ExerciseEndDirective, _nothing_in_notebook),
    "solution": Faces(SolutionDirective, _solution_in_notebook),
    "solution-start": Faces(SolutionStartDirective, _opened_solution_in_notebook),
    "solution-end": Faces(SolutionEndDirective, _nothing_in_notebook),
}
