"""The exercises of a page: what an instructor could not assign is refused, and says where."""

import re
import symtable

import pytest
from helpers.sources import pages
from myst_nb.core.read import read_myst_markdown_notebook

from attention_limits_book.exercises import PARTS, TAG, read

BOX = """\
```{exercise-start} Half of it
:label: half
:points: 4
:minutes: 20
```

Halve a number.

```{code-cell} ipython3
:tags: [exercise:half, stub]

def half(x): ...
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

```{code-cell} ipython3
:tags: [exercise:half, check]

assert half(3) == 1.5
```

```{solution-end}
```
"""
WORDS = """\
```{exercise} Why?
:label: why
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
    assert (half.label, half.title, half.points, half.minutes) == ("half", "Half of it", 4, 20)
    assert half.line == 3
    assert half.code == {
        "stub": "def half(x): ...",
        "solution": "def half(x):\n    return x / 2",
        "check": "assert half(3) == 1.5",
    }
    assert (why.label, why.code) == ("why", {})


def test_cells_of_the_page_itself_are_no_exercise():
    assert read("```{code-cell} ipython3\n:tags: [hide-input]\nx = 1\n```\n") == ()


FAULTS = {
    # what is wrong: (what is replaced, by what, what the message says)
    "no label": (":label: why\n", "", "label"),
    "no points": (":points: 2\n", "", "'why' needs :points:"),
    "no minutes": (":minutes: 10", ":minutes: some", "'why' needs :minutes: .*'some'"),
    "no solution": ("```{solution} why\nBecause.\n```\n", "", "'why' has no solution"),
    "another's solution": ("{solution} why", "{solution} how", "'how', which is no exercise"),
    "one label twice": (":label: why", ":label: half", "two exercises are labelled 'half'"),
    "a cell without a part": ("exercise:half, check", "exercise:half", "one of .*'check'"),
    "a part twice": ("exercise:half, check", "exercise:half, solution", "two cells .*'solution'"),
    "a cell of no exercise": ("exercise:half, check", "exercise:hlaf, check", "a cell of 'hlaf'"),
    "no check": ("[exercise:half, check]", "[]", "no cell tagged check"),
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
        assert list(exercise.code) in ([], list(PARTS))
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


def before(page, exercise):
    """The cells above an exercise that it needs: those that bind what it reads, and so on."""
    cells = [cell for cell in read_myst_markdown_notebook(page).cells if cell.cell_type == "code"]
    tags = [cell.metadata.get("tags", ()) for cell in cells]
    own = next(i for i, of_cell in enumerate(tags) if f"{TAG}{exercise.label}" in of_cell)
    wanted, needed = set().union(*map(read_by, exercise.code.values())), []
    for i in reversed(range(own)):
        code, is_of_another = cells[i].source, any(tag.startswith(TAG) for tag in tags[i])
        if not is_of_another and wanted & bound(code):
            needed.insert(0, code)
            wanted = wanted - bound(code) | read_by(code)
    return needed


def answered(page, exercise, part):
    """What there is once everything above an exercise has run, and an answer to it."""
    namespace = {"display": lambda *_: None}
    for code in (*before(page, exercise), exercise.code[part]):
        exec(code, namespace)
    return namespace


CODED = {
    exercise.label: (text, exercise)
    for path in pages("chapters").values()
    for text in [path.read_text(encoding="utf-8")]
    for exercise in read(text)
    if exercise.code
}


@pytest.mark.slow
@pytest.mark.parametrize("label", CODED)
def test_a_check_passes_after_the_solution_and_fails_after_the_stub(label):
    """Students who wrote nothing got full marks, or those who were right got none."""
    page, exercise = CODED[label]
    exec(exercise.code["check"], answered(page, exercise, "solution"))
    begun = answered(page, exercise, "stub")
    with pytest.raises(Exception):  # noqa: B017, PT011 - a check of nothing fails in any way
        exec(exercise.code["check"], begun)
