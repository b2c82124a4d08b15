"""The exercises of a page: what an instructor could not assign is refused, and says where."""

import functools
import re
import symtable
import warnings
from pathlib import Path
from typing import NamedTuple

import pytest
from helpers.sources import pages
from myst_nb.core.read import read_myst_markdown_notebook

from attention_limits.course.answers import NotYet
from attention_limits_book import faces
from attention_limits_book.exercises import PARTS, TAG, read
from attention_limits_book.notebooks import convert
from attention_limits_book.notebooks.syntax import MAY_RAISE

BOX = """\
```{exercise-start} Half of it
:label: half
:level: standard
:points: 4
:minutes: 20
```

Halve a number.

```{code-cell} ipython3
:tags: [exercise:half, stub]

def half(x): ...
```

```{code-cell} ipython3
:tags: [exercise:half, check, skip-execution]

assert half(3) == 1.5
```

```{exercise-end}
```

```{solution-start} half
```

```{code-cell} ipython3
:tags: [exercise:half, solution]

def half(x):
    return x / 2
```

```{solution-end}
```
"""
WORDS = """\
```{exercise} Why?
:label: why
:level: open-ended
:points: 2
:minutes: 10

Say why.
```

```{solution} why
Because.
```
"""


def test_all_that_an_exercise_has():
    half, why = read("# Title\n\n" + BOX + "\n" + WORDS)
    assert (half.label, half.title, half.level) == ("half", "Half of it", "standard")
    assert (half.points, half.minutes) == (4, 20)
    assert half.line == 3
    assert half.code == {
        "stub": "def half(x): ...",
        "check": "assert half(3) == 1.5",
        "solution": "def half(x):\n    return x / 2",
    }
    assert list(half.code) == list(PARTS)
    assert (why.label, why.code) == ("why", {})


def test_cells_of_the_page_itself_are_no_exercise():
    assert read("```{code-cell} ipython3\n:tags: [hide-input]\nx = 1\n```\n") == ()


FAULTS = {
    # what is wrong: (what is replaced, by what, what the message says)
    "no label": (":label: why\n", "", "label"),
    "a level of its own": (":level: standard", ":level: hard", "'half' needs a :level: .*'hard'"),
    "no level": (":level: standard\n", "", "'half' needs a :level: .*got ''"),
    "no points": (":points: 2\n", "", "'why' needs :points:"),
    "no minutes": (":minutes: 10", ":minutes: some", "'why' needs :minutes: .*'some'"),
    "no solution": ("```{solution} why\nBecause.\n```\n", "", "'why' has no solution"),
    "another's solution": ("{solution} why", "{solution} how", "'how', which is no exercise"),
    "one label twice": (":label: why", ":label: half", "two exercises are labelled 'half'"),
    "a cell without a part": ("exercise:half, check", "exercise:half", "one of .*'check'"),
    "a part twice": ("exercise:half, check", "exercise:half, solution", "two cells .*'solution'"),
    "a cell of no exercise": ("exercise:half, check", "exercise:hlaf, check", "a cell of 'hlaf'"),
    "no check": ("exercise:half, check, skip-execution", "", "no cell tagged check"),
    "a check of nothing yet": (", skip-execution", "", "check of 'half' would run on the stub"),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_faults_are_named(fault):
    before, after, message = fault
    source = BOX + "\n" + WORDS
    assert source.count(before) == 1
    with pytest.raises(ValueError, match=rf"^line \d+: .*{message}"):
        read(source.replace(before, after))


@pytest.mark.parametrize("page", pages("chapters"))
def test_labels_of_the_book(page):
    """A label is unique in the whole book if it begins with its chapter's name."""
    chapter = page.split("/")[1]
    for exercise in read(pages("chapters")[page].read_text(encoding="utf-8")):
        assert exercise.label.startswith(f"{chapter}-")
        assert not re.search(r"\[exercise:", "".join(exercise.code.values()))


# --- those of the book --------------------------------------------------------------------------


def bound(code):
    """The names that a cell gives a value."""
    symbols = symtable.symtable(code, "cell", "exec").get_symbols()
    return {one.get_name() for one in symbols if one.is_assigned() or one.is_imported()}


def read_by(code):
    """The names whose value a cell needs, also those that its functions find outside."""

    def of(scope, is_top=False):
        for one in scope.get_symbols():
            if one.is_referenced() and (is_top or one.is_global()):
                yield one.get_name()
        for inner in scope.get_children():
            yield from of(inner)

    return set(of(symtable.symtable(code, "cell", "exec"), is_top=True))


@functools.cache
def code_cells(page):
    """The cells of a page that run, read once and not for each answer."""
    return [cell for cell in read_myst_markdown_notebook(page).cells if cell.cell_type == "code"]


def before(page, exercise, answer):
    """The cells above an exercise that it needs: those that bind what it reads, and so on."""
    cells = code_cells(page)
    tags = [cell.metadata.get("tags", ()) for cell in cells]
    own = next(i for i, of_cell in enumerate(tags) if f"{TAG}{exercise.label}" in of_cell)
    own_cells = [*exercise.code.values(), answer]
    reads, binds = (set().union(*map(names, own_cells)) for names in (read_by, bound))
    wanted, needed = reads - binds, []
    for i in reversed(range(own)):
        code, is_of_another = cells[i].source, any(tag.startswith(TAG) for tag in tags[i])
        if not is_of_another and wanted & bound(code):
            needed.insert(0, code)
            wanted = wanted - bound(code) | read_by(code)
    return needed


def answered(page, exercise, answer):
    """What there is once everything above an exercise has run, and its stub became an answer."""
    namespace = {"display": lambda *_: None}
    for code in (*before(page, exercise, answer), exercise.code["stub"], answer):
        exec(code, namespace)
    return namespace


def said(page, exercise, answer):
    """What the check says of an answer: nothing if it is right."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a division by zero, which a student's code may do
        namespace = answered(page, exercise, answer)
        try:
            exec(exercise.code["check"], namespace)
        except NotYet as problem:
            return str(problem)
    return ""


EXERCISES = {
    exercise.label: (text, exercise)
    for path in pages("chapters").values()
    for text in [path.read_text(encoding="utf-8")]
    for exercise in read(text)
}
CODED = {label: pair for label, pair in EXERCISES.items() if pair[1].code}
# Exercises that were written before there were levels, and checks above the solution; and those
# whose check has met no answer but the book's. Neither list may grow.
OLD: frozenset[str] = frozenset()
UNTRIED: frozenset[str] = frozenset()
ANSWERS = Path(__file__).parents[1] / "answers"


@pytest.mark.parametrize("label", EXERCISES)
def test_an_exercise_says_its_level_and_is_checked_before_it_is_solved(label):
    """The solution stood above the check, under the stub's name: it is what the check tested."""
    _, exercise = EXERCISES[label]
    is_new = exercise.level != "" and list(exercise.code) in ([], list(PARTS))
    assert is_new == (label not in OLD)


@pytest.mark.parametrize("label", CODED)
def test_a_stub_is_a_function_of_dots(label):
    """What it returns is None, of which every check says the same."""
    stub = CODED[label][1].code["stub"]
    assert re.search(r"^def (?s:.*)^    \.\.\.  # your code$", stub, re.MULTILINE)


@pytest.mark.slow
@pytest.mark.parametrize("label", CODED)
def test_a_check_passes_after_the_solution_and_fails_after_the_stub(label):
    """Students who wrote nothing got full marks, or those who were right got none."""
    page, exercise = CODED[label]
    assert said(page, exercise, exercise.code["solution"]) == ""
    if label not in UNTRIED:
        name = re.findall(r"^def (\w+)", exercise.code["stub"], re.MULTILINE)[-1]
        begins = f"{name} returns nothing yet: put your code in the place of the dots"
        assert said(page, exercise, exercise.code["stub"]).startswith(begins)


class Anything(dict):
    """A title for whatever is referred to."""

    def __contains__(self, key):
        return True

    def __missing__(self, key):
        return f"({key})"


@pytest.mark.parametrize("label", CODED)
def test_in_a_notebook_nothing_but_the_check_runs_after_the_stub(label):
    """The solution was a cell above the check: with every stub untouched, Run All passed."""
    page, exercise = CODED[label]
    begun = "\n".join(page.split("\n")[exercise.line - 1 :])
    own, end, _ = begun.partition("```{solution-end}\n```\n")
    titles = {name: name for name in pages("chapters", "library")}
    of_all = dict(references=Anything(), page_titles=titles, labels=Anything())
    cells = convert(own + end, faces=faces.IN_NOTEBOOKS, claims={}, **of_all).cells
    task, solution = cells[1], cells[-1]  # behind the book's own first cell
    stub, check = (cell for cell in cells if f"{TAG}{label}" in cell.metadata.get("tags", ()))
    worth = f"{exercise.points} points · {exercise.minutes} minutes*"
    assert f"*{exercise.level.capitalize()} · {worth}" in task.source
    assert [stub.source, check.source] == [exercise.code[part] for part in ("stub", "check")]
    assert [*stub.metadata.tags, *check.metadata.tags] == [
        *(f"{TAG}{label}", "stub"),
        *(f"{TAG}{label}", "check", MAY_RAISE),
    ]
    assert solution.source.startswith("<details>\n<summary>Solution")
    assert f"```python\n{exercise.code['solution']}\n```" in solution.source
    assert solution.source.endswith("</details>")


# --- answers that students might write ------------------------------------------------------------


class Answer(NamedTuple):
    """One of those in a file of ``tests/answers``."""

    label: str
    says: str
    earns: str
    code: str


def answers_in(text, label):
    """The cells of such a file: ``# %% right: how`` or ``# %% wrong: how -> what it is told``."""
    _, *cells = re.split(r"^# %% ", text, flags=re.MULTILINE)
    for cell in cells:
        heading, code = cell.split("\n", 1)
        says, _, earns = heading.partition(" -> ")
        assert says.startswith("wrong: " if earns else "right: "), heading
        yield Answer(label, says, earns, code)


TRIED = {path.stem: path.read_text(encoding="utf-8") for path in sorted(ANSWERS.glob("*.py"))}
GIVEN = [answer for label, text in TRIED.items() for answer in answers_in(text, label)]


@pytest.mark.slow
@pytest.mark.parametrize("answer", GIVEN, ids=lambda answer: f"{answer.label}: {answer.says}")
def test_what_a_check_says_of_an_answer(answer):
    """A wrong one got full marks, a right one that is written in another way got none."""
    sentence = said(*CODED[answer.label], answer.code)
    assert answer.earns in sentence
    assert bool(answer.earns) == bool(sentence), sentence


@pytest.mark.parametrize("label", {**CODED, **TRIED})
def test_a_check_has_met_two_right_answers_and_four_wrong_ones(label):
    kinds = [answer.says.partition(":")[0] for answer in GIVEN if answer.label == label]
    is_tried = kinds.count("right") >= 2 and kinds.count("wrong") >= 4
    assert is_tried == (label not in UNTRIED)
    assert label in CODED


def test_a_cell_that_is_no_answer_is_refused():
    """A wrong answer that forgets to say what it earns would be taken for a right one."""
    with pytest.raises(AssertionError, match="wrong: twice"):
        list(answers_in("# %% wrong: twice\n2\n", "half"))
