"""The exercises of a page: what an instructor could not assign is refused, and says where."""

import re

import pytest
from helpers.sources import ROOT

from attention_limits_book.exercises import PARTS, read

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


@pytest.mark.parametrize("page", sorted(ROOT.glob("chapters/*.md")), ids=lambda page: page.stem)
def test_labels_of_the_book(page):
    """A label is unique in the whole book if it begins with its chapter's name."""
    for exercise in read(page.read_text(encoding="utf-8")):
        assert exercise.label.startswith(f"{page.stem}-")
        assert list(exercise.code) in ([], list(PARTS))
        assert not re.search(r"\[exercise:", "".join(exercise.code.values()))
