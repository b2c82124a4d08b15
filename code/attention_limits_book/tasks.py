"""The page of the tasks: each with its rule, from its docstring, and a text that was drawn for it.

``{tasks} lookup`` is a section about the tasks of a module, ``{task-table}`` all of them at a
glance. The texts are drawn when the page is made, and are words of the page rather than an image.
"""

import html
import importlib
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from fractions import Fraction
from typing import Any

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

from attention_limits import tasks
from attention_limits.checks import check_choice
from attention_limits.tasks import IGNORE, Batch, Task
from attention_limits.tasks.agreement import VERB, WORDS
from attention_limits.tasks.states import Permutations, elements
from attention_limits_book.directive import Faces
from attention_limits_book.library import (
    anchor_at_heading,
    drop_numbered_ids,
    from_rst,
    interface,
    note_source,
    table,
)

DIGITS, LETTERS = "0123456789", "abcdefghij"
BLANK, QUERY = "·", "?"


@dataclass(frozen=True)
class Example:
    """A text of a task, short enough to be read.

    Attributes:
        n: how many tokens it has.
        words: what each token is called.
        parameters: of the task, for tokens that take up little room.
        answers: what each answer is called; None for what the first tokens are.
        legend: what the names mean, where they do not speak for themselves.
    """

    n: int
    words: Callable[[Any], Sequence[str]]
    parameters: Mapping[str, object] = field(default_factory=dict)
    answers: Sequence[str] | None = None
    legend: Callable[[Any], str] = lambda task: ""

    def make(self, name: str) -> tuple[Task, Batch]:
        """The task, and a batch of the one text."""
        task = tasks.make(name, **self.parameters)
        return task, task.sample(0, 1, self.n)

    def call(self, name: str) -> str:
        """What one types to get that text."""
        parameters = "".join(f", {name}={value!r}" for name, value in self.parameters.items())
        return f'tasks.make("{name}"{parameters}).sample(0, 1, {self.n})'


def _digits(task: Task) -> Sequence[str]:
    return DIGITS[: task.classes]


def _digits_and_query(task: Task) -> Sequence[str]:
    return [*_digits(task), BLANK, QUERY]


def _elements(task: Permutations) -> Sequence[str]:
    return ["".join(map(str, p)) for p in elements(task.group)]


EXAMPLES = {
    "token_back": Example(12, _digits, {"symbols": 10}),
    "most_recent": Example(
        12,
        lambda task: [*_digits(task), *(f"{x}!" for x in _digits(task)), BLANK, QUERY],
        {"symbols": 10, "marks": 3},
        legend=lambda task: "3! is a 3 with a mark, ? the query",
    ),
    "first_token": Example(
        12, _digits_and_query, {"symbols": 10}, legend=lambda task: "? is the query"
    ),
    "recall": Example(
        14,
        lambda task: [*_digits(task), *LETTERS[: task.keys], BLANK],
        {"pairs": 4, "keys": 10, "values": 10, "queries": 3},
        legend=lambda task: "letters are keys, digits values",
    ),
    "copy": Example(
        12,
        lambda task: [*_digits(task), "|"],
        {"symbols": 10},
        legend=lambda task: "| is the separator",
    ),
    "prefix_majority": Example(12, _digits),
    "motif": Example(
        14,
        lambda task: [*LETTERS, BLANK, QUERY],
        {"letters": 10},
        ("no", "yes"),
        legend=lambda task: f"the motif is {''.join(LETTERS[x] for x in task.motif)}",
    ),
    "rule_110": Example(12, _digits),
    "parity": Example(12, _digits),
    "modular_counting": Example(12, _digits),
    "permutations": Example(
        8,
        _elements,
        legend=lambda task: "201 is the permutation that takes 0 to 2, 1 to 0 and 2 to 1",
    ),
    "agreement": Example(
        14, lambda task: WORDS, answers=VERB, legend=lambda task: "… is the place of the verb"
    ),
    "irregular_events": Example(
        10,
        _digits_and_query,
        {"values": 10},
        legend=lambda task: "above each event stands its time; ? is the query",
    ),
}


def modules() -> dict[str, list[str]]:
    """The names of the tasks in each module, in the order of the package."""
    found: dict[str, list[str]] = {}
    for name in tasks.TASKS:
        found.setdefault(tasks.find(name).__module__.rpartition(".")[2], []).append(name)
    return found


def text(name: str) -> str:
    """The example of a task as a list in HTML: each token, and under it what it is asked for."""
    example = EXAMPLES[name]
    task, batch = example.make(name)
    words = example.words(task)
    answers = example.answers or words
    times = [None] * example.n if batch.times is None else batch.times[0]
    rows = zip(batch.inputs[0], batch.targets[0], times, strict=True)
    items = (
        _item(words[token], None if answer == IGNORE else answers[answer], time)
        for token, answer, time in rows
    )
    return f'<ol class="tokens">{"".join(items)}</ol>'


def _item(word: str, answer: str | None, time: float | None) -> str:
    said = "" if time is None else f'<span class="time">{time:.2f}</span> '
    said += f'<span class="token">{html.escape(word)}</span>'
    if answer is None:
        return f"<li>{said}</li>"
    said += '<span class="visually-hidden">, answer: </span>'
    return f'<li class="asked">{said}<span class="answer">{html.escape(answer)}</span></li>'


# --- directives ---------------------------------------------------------------------------------


class Tasks(SphinxDirective):
    """``{tasks} lookup``: a section about a module's tasks, each with an example."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Build the section, or fail the build for a module that has no tasks."""
        name = self.arguments[0]
        try:
            check_choice("module", name, modules())
        except ValueError as error:
            raise self.error(str(error)) from error
        module = importlib.import_module(f"{tasks.__name__}.{name}")
        title = (inspect.getdoc(module) or "").partition(":")[0]
        # Not by its bare name, which may be a task's as well.
        section = nodes.section("", nodes.title("", title), ids=[f"tasks-{name}"])
        section += from_rst(self, f".. automodule:: {module.__name__}")
        anchor_at_heading(section)
        section += [self._task(task) for task in modules()[name]]
        functions = [line for line in interface(module) if line.startswith(".. autofunction")]
        section += from_rst(self, "\n\n".join(functions))
        drop_numbered_ids(section)
        return [section]

    def _task(self, name: str) -> nodes.section:
        kind, example = tasks.find(name), EXAMPLES[name]
        title = nodes.title("", "", nodes.literal("", name))
        section = nodes.section("", title, ids=[name.replace("_", "-")], names=[name])
        section += from_rst(self, f".. autoclass:: {kind.__module__}.{kind.__name__}")
        task, _ = example.make(name)
        section += from_rst(self, f"``{example.call(name)}``: {example.legend(task)}")
        section += nodes.raw("", text(name), format="html")
        return section


class TaskTable(SphinxDirective):
    """``{task-table}``: every task, its question and its parameters."""

    def run(self) -> list[nodes.Node]:
        """Build the table."""
        head = ("task", "asks", "parameters", "tokens", "answers", "chance")
        return from_rst(self, table(head, map(self._row, tasks.TASKS), look="tasks"))

    def _row(self, name: str) -> tuple[str, ...]:
        kind, task = tasks.find(name), tasks.make(name)
        note_source(self, kind)
        parameters = (f"``{own.name}={own.default!r}``" for own in fields(kind) if own.init)
        return (
            f":py:class:`{name} <{kind.__module__}.{kind.__name__}>`",
            (inspect.getdoc(kind) or "").partition("\n")[0],
            ", ".join(parameters),
            str(task.vocabulary),
            str(task.classes),
            str(Fraction(task.chance).limit_denominator(1000)),
        )


DIRECTIVES = {
    "tasks": Faces(Tasks, rests_on=lambda: (__name__,)),
    "task-table": Faces(TaskTable, rests_on=lambda: (__name__,)),
}
