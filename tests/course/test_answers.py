"""What a check says of an answer: every sentence, and no word to one that is right."""

import subprocess
import sys
from fractions import Fraction

import numpy as np
import pytest
import sympy as sp
import torch

from attention_limits.course.answers import NotYet, check, demand, work


def doubled(x):
    return 2 * x


def given(answer):
    """A function that returns this, whatever it is given."""

    def function(*_):
        return answer

    return function


ROWS = np.arange(6.0).reshape(2, 3)
RIGHT = {
    # what is returned, what is expected
    "a number": (3, 3),
    "a float for a whole number": (3.0, 3),
    "a whole number for a float": (3, 3.0),
    "NumPy's number": (np.float32(1.5), 1.5),
    "an array without axes": (np.array(1.5), 1.5),
    "a list for an array": ([0, 1, 2], np.arange(3)),
    "an array for a list": (np.arange(3), [0, 1, 2]),
    "rows as lists": (ROWS.tolist(), ROWS),
    "a tensor": (torch.tensor(ROWS), ROWS),
    "a tensor with a gradient": (torch.tensor(ROWS, requires_grad=True), ROWS),
    "a tensor that is expected": (ROWS, torch.tensor(ROWS)),
    "parts": ([1.0, ROWS], (1.0, ROWS)),
    "parts in an array": (np.array([1.0, 2.0]), (1.0, 2.0)),
    "parts as rows of a tensor": (torch.tensor(ROWS), (ROWS[0], ROWS[1])),
    "NaN where NaN is right": (np.array([np.nan, 1]), np.array([np.nan, 1])),
    "minus infinity": (-np.inf, -np.inf),
    "SymPy's number": (sp.Integer(3), 3),
    "SymPy's numbers": ([sp.Rational(1, 2), sp.sqrt(4)], [0.5, 2.0]),
    "a fraction": (Fraction(1, 4), 0.25),
    "rounding": (ROWS + 1e-12, ROWS),
    "rounding of what is small": (1e-20 * (1 + 1e-12), 1e-20),
    "nothing in an array": (np.zeros((0, 2)), np.zeros((0, 2))),
}


@pytest.mark.parametrize(("answer", "expected"), RIGHT.values(), ids=RIGHT)
def test_what_is_right_is_returned(answer, expected):
    """A check that minds how a right answer is written teaches students to guess."""
    assert check(given(answer), expected=expected) is answer


WRONG = {
    # what is returned, what is expected, what is said
    "nothing": (None, 3, "function returns nothing yet: put your code in the place of the dots"),
    "text": ("3", 3, "function() should return a number, and returned a str."),
    "an iterator": (map(int, "12"), [1, 2], "return 2 numbers in a row, and returned a map."),
    "ragged rows": ([[1], [1, 2]], ROWS, "an array of shape (2, 3), and returned a list of 2."),
    "complex": (1j, 1.0, "should return a number, and returned a complex."),
    "too many": ([1, 2, 3], [1, 2], "2 numbers in a row, and returned 3 numbers in a row."),
    "transposed": (
        ROWS.T,
        ROWS,
        "an array of shape (2, 3), and returned an array of shape (3, 2).",
    ),
    "one row": (ROWS[0], ROWS, "shape (2, 3), and returned 3 numbers in a row."),
    "one part": ((1, 2), (1, 2, 3), "should return 3 things, and returned a tuple of 2."),
    "not a part": (5.0, (1, 2), "should return 2 things, and returned a float."),
    "one of two parts": (5, (1, 2), "should return 2 things, and returned an int."),
    "a part of an array": (np.array([1, 3]), (1, 2), "gave 3, and 2 is right, in part 2"),
    "no row for a part": (ROWS, (1, 2, 3), "3 things, and returned an array of shape (2, 3)."),
    "too large for a float": (10**400, 3.0, "should return a number, and returned an int."),
    "a part": ((1, 3), (1, 2), "gave 3, and 2 is right, in part 2 of what it returns."),
    "not a number": (np.nan, 1.0, "gave NaN, which is no number, in 1 of 1 places."),
    "some not numbers": ([1, np.nan], [1, 2], "gave NaN, which is no number, in 1 of 2 places."),
    "infinite": (np.inf, 1.0, "gave inf, and 1 is right."),
    "another value": (4, 3, "function() gave 4, and 3 is right."),
    "nearly a whole number": (3 + 1e-4, 3, "gave 3.0001, and 3 is right."),
    "off by one in a million": (10**6 + 1, 10**6, "gave 1000001, and 1000000 is right."),
    "small and wrong": (2e-20, 1e-20, "gave 2e-20, and 1e-20 is right."),
    "an entry": (
        ROWS + np.eye(2, 3),
        ROWS,
        "1 where 0 is right (at [0, 0], and in 2 of 6 places).",
    ),
    "32 bits": (
        float(np.float32(0.1)),
        0.1,
        "gave 0.10000000149011612, and 0.1 (was it computed in 64 bits?) is right.",
    ),
    "a symbol": (sp.Symbol("n"), 3, "should return a number, and returned a Symbol."),
    "true": (True, 3, "gave 1, and 3 is right."),
}


@pytest.mark.parametrize(("answer", "expected", "sentence"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_named(answer, expected, sentence):
    with pytest.raises(NotYet) as caught:
        check(given(answer), expected=expected)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_hint_is_given_for_its_mistake_alone():
    hints = {"that is twice as much": 6, "that is nothing": 0}
    for returned, says in ((6, "right: that is twice as much."), (0, "right: that is nothing.")):
        with pytest.raises(NotYet, match=f"{says}$"):
            check(given(returned), expected=3, hints=hints)
    with pytest.raises(NotYet, match=r"is right\.$"):
        check(given(5), expected=3, hints=hints)


def test_a_sentence_says_what_was_asked():
    """Of forty cases, the one that went wrong; of arrays, their shapes."""
    with pytest.raises(NotYet, match=r"doubled\(3\) gave 6, and 9 is right"):
        check(doubled, 3, expected=9)
    with pytest.raises(NotYet, match=r"doubled\(2×3 array\) gave 2 where 1 is right"):
        check(doubled, ROWS, expected=ROWS)
    with pytest.raises(NotYet, match=r"^function\(list of 99, 2×3 tensor, 0\.5\) gave 1"):
        check(given(1), list(range(99)), torch.tensor(ROWS), np.float64(0.5), expected=2)


@pytest.mark.parametrize("kind", [np.array, torch.tensor, list], ids=["array", "tensor", "list"])
def test_arguments_that_are_changed_are_noticed(kind):
    """The next check would be given what the first one left."""

    def first_to_zero(_, x):
        x[0] = 0
        return 1

    x = kind([1.0, 2.0])
    with pytest.raises(NotYet, match=r"changes its argument 2 in place, .*: work on a copy"):
        check(first_to_zero, 0, x, expected=1)
    assert x[0] == 1


def test_what_a_students_code_raises_is_passed_on():
    """Python says in which line; a sentence of ours would hide it."""
    with pytest.raises(ZeroDivisionError):
        check(lambda x: 1 / x, 0, expected=1)


def test_within_is_by_the_largest_number():
    check(given([100.0, 0.5]), expected=[100.0, 0.0], within=0.01)
    with pytest.raises(NotYet):
        check(given([100.0, 1.5]), expected=[100.0, 0.0], within=0.01)


def test_demand():
    demand(True, "Nothing is wrong.")
    with pytest.raises(NotYet, match=r"^It is\.$"):
        demand(np.bool_(False), "It is.")


def test_a_notebook_shows_the_sentence_alone():
    """A student read forty lines of traceback through code that is not hers."""
    from IPython.core.interactiveshell import InteractiveShell
    from IPython.utils.capture import capture_output

    shell = InteractiveShell()
    shell.run_cell("def halved(x): ...\nfrom attention_limits.course import answers")
    with capture_output() as shown:
        shell.run_cell("answers.check(halved, 3, expected=1.5)")
    assert shown.stdout.strip() == (
        "NotYet: halved returns nothing yet: "
        "put your code in the place of the dots, and end it with a return."
    )


def test_no_student_waits_for_pytorch():
    code = "import sys; import attention_limits.course.answers; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


# --- work -----------------------------------------------------------------------------------------


def by_lists(x):
    found = []
    for a in x.tolist():
        found.append(a + 1)
    return found


def by_generator(x):
    return sum(a for a in x.tolist())


def by_arrays(x):
    return np.concatenate([np.sin(x) + 1, x]).sum() + np.einsum("i,i->", x, x)


def by_tensors(x):
    return torch.tensor(x).exp().sum()


def by_apply(x):
    return np.apply_along_axis(lambda row: row + 1, 0, x)


def pairs_by_arrays(x):
    return np.subtract.outer(x, x).max()


def pairs_by_rows(x):
    return max((x - a).max() for a in x)


def pairs_by_lists(x):
    return max(a - b for a in x.tolist() for b in x.tolist())


def pairs_by_tensors(x):
    rows = torch.tensor(x)
    return (rows[:, None] - rows).max()


def pairs_by_product(x):
    return (np.eye(len(x)) @ x).max()


@pytest.mark.parametrize(
    ("function", "order"),
    [
        *((f, 1) for f in (by_lists, by_generator, by_arrays, by_tensors, by_apply)),
        *((f, 2) for f in (pairs_by_arrays, pairs_by_rows, pairs_by_lists, pairs_by_tensors)),
        (pairs_by_product, 2),
    ],
)
def test_work_grows_as_the_order_says(function, order):
    """Whoever does pairs in other words (rows, lists, tensors) would pass for linear."""
    few, many = (work(function, np.arange(n) + 1.0) for n in (400, 1600))
    assert 4**order * 0.8 < many / few < 4**order * 1.2


def test_work_is_the_same_each_time_and_leaves_no_trace():
    before, x = sys.gettrace(), np.arange(9.0)
    assert work(by_arrays, x) == work(by_arrays, x)
    assert sys.gettrace() is before
    assert type(x) is np.ndarray


def test_work_of_in_place_operations_counts():
    """`out` and `+=` are how one saves memory, not work."""

    def added(x):
        total = np.zeros_like(x)
        for _ in range(10):
            np.add(total, x, out=total)
            total += x
        return total

    assert work(added, np.ones(1000)) > 20 * 2 * 1000
