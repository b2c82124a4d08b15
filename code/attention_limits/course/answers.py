"""What a check says of a student's answer: nothing if it is right, one sentence that helps if not.

    from attention_limits.course import answers

    def halved(x):  # what a student has written
        return 2 * x

    answers.check(halved, 3, expected=1.5, hints={"that is twice as much, not half": 6})

    NotYet: halved(3) gave 6, and 1.5 is right: that is twice as much, not half

Ask for a value with :func:`check`, for the order of the work with :func:`work`, for anything else
with :func:`called` and :func:`demand`.  Each raises :class:`NotYet`, of which a notebook shows the
sentence and no traceback; what the student's own code raises is passed on as it is.
"""

import copy
import sys
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

NUMBERS = "biuf"  # the kinds of NumPy's dtypes that an answer may have


class NotYet(AssertionError):  # noqa: N818 - the word that a student reads
    """An answer is not right yet; its message is a sentence to the student."""

    def _render_traceback_(self) -> list[str]:
        """What IPython shows: where in the check it was found is of no help to anybody."""
        return [f"{type(self).__name__}: {self}"]


def check(
    function: Callable,
    *given: Any,
    expected: Any,
    hints: Mapping[str, Any] | None = None,
    within: float = 1e-9,
) -> Any:
    """Call a student's function, and refuse what it returns unless it is what is expected.

    Args:
        function: the student's own; it gets copies of what is given.
        given: its arguments.
        expected: a number, an array or list of numbers, or a tuple of these. Whole numbers are
            compared exactly.
        hints: sentence → what comes out if somebody makes the mistake that it explains.
        within: how far an answer may be off, by the largest number that is expected.

    Returns:
        What the function returned.

    Raises:
        NotYet: with a sentence, if the function returns nothing, or what has another type, shape
            or value, or if it changes its arguments.
    """
    answer = called(function, *given)
    if problem := _problem(answer, expected, within):
        for hint, mistaken in (hints or {}).items():
            if not _problem(answer, mistaken, within):
                problem += f": {hint}"
        raise NotYet(f"{_call(function, given)} {problem}.")
    return answer


def called(function: Callable, *given: Any) -> Any:
    """What a student's function returns, which is something, and leaves its arguments as they are.

    Raises:
        NotYet: with a sentence, if it does not.
    """
    used = copy.deepcopy(given)
    answer = function(*used)
    if answer is None:
        problem = "put your code in the place of the dots, and end it with a return"
        raise NotYet(f"{_name(function)} returns nothing yet: {problem}.")
    for number, (before, after) in enumerate(zip(given, used, strict=True), 1):
        problem = f"changes its argument {number} in place, which its caller may still need"
        demand(_same(before, after), f"{_call(function, given)} {problem}: work on a copy.")
    return answer


def demand(is_so: object, sentence: str) -> None:
    """Raise NotYet with a sentence, unless something is so."""
    if not is_so:
        raise NotYet(sentence)


def work(function: Callable, *given: Any) -> int:
    """How much a student's function does, the same on every machine: no clock decides.

    Numbers that operations of NumPy and PyTorch read and write, plus lines of the student's own
    Python that run (a loop's as often as it turns).  An answer of the wrong order shows in how
    this grows with the size of what is given.
    """
    counted = [_Counted.of(x) if isinstance(x, np.ndarray) else copy.deepcopy(x) for x in given]
    tensors = _tensors_touched()
    lines, before, _Counted.touched = 0, sys.gettrace(), 0

    def trace(frame, event, _):
        nonlocal lines
        lines += event == "line"
        return trace if frame.f_globals is function.__globals__ else None

    sys.settrace(trace)
    try:
        with tensors:
            function(*counted)
    finally:
        sys.settrace(before)
    return lines + _Counted.touched + tensors.count


class _Counted(np.ndarray):
    """An array whose operations say how many numbers they read and write."""

    touched = 0

    @staticmethod
    def of(x: np.ndarray) -> "_Counted":
        return x.copy().view(_Counted)

    def __array_ufunc__(self, ufunc, method, *inputs, out=None, **options):
        if out is not None:
            options["out"] = tuple(map(_plain, out))
        result = getattr(ufunc, method)(*map(_plain, inputs), **options)
        return _Counted.add(inputs, result)

    def __array_function__(self, function, types, args, kwargs):
        return _Counted.add(args, super().__array_function__(function, types, args, kwargs))

    @staticmethod
    def add(inputs: Any, result: Any) -> Any:
        _Counted.touched += _numbers(inputs) + _numbers(result)
        return result.view(_Counted) if isinstance(result, np.ndarray) else result


def _plain(x: Any) -> Any:
    return x.view(np.ndarray) if isinstance(x, _Counted) else x


def _numbers(x: Any) -> int:
    """How many numbers there are in arrays, and in lists of them."""
    if isinstance(x, list | tuple):
        return sum(map(_numbers, x))
    return x.size if isinstance(x, np.ndarray | np.generic) else 0


def _tensors_touched() -> Any:
    from attention_limits.meters import Touched

    return Touched()


def _name(function: Callable) -> str:
    return getattr(function, "__name__", "your function")


def _call(function: Callable, given: tuple) -> str:
    return f"{_name(function)}({', '.join(map(_shown, given))})"


def _shown(x: Any) -> str:
    """An argument, short enough for a sentence."""
    if shape := getattr(x, "shape", ()):
        return f"{'×'.join(map(str, shape))} {type(x).__name__.removeprefix('nd').lower()}"
    text = repr(x.item() if hasattr(x, "item") else x)
    return text if len(text) <= 50 else f"{type(x).__name__} of {len(x)}"


def _same(before: Any, after: Any) -> bool:
    if isinstance(before, list | tuple):
        return len(before) == len(after) and all(map(_same, before, after))
    if isinstance(before, int | float):
        return before == after or before != before  # NaN is no number, and is as it was
    if not hasattr(before, "shape"):
        return True
    return np.shape(before) == np.shape(after) and np.array_equal(before, after, equal_nan=True)


def _problem(answer: Any, expected: Any, within: float) -> str:
    """What follows the call in the sentence; empty if nothing is wrong."""
    if isinstance(expected, tuple):
        if getattr(answer, "ndim", 0) and len(answer) == len(expected):
            answer = tuple(answer)  # an array of as many rows says the same
        if not isinstance(answer, tuple | list) or len(answer) != len(expected):
            return f"should return {len(expected)} things, and returned {_kind(answer)}"
        parts = [_problem(*pair, within) for pair in zip(answer, expected, strict=True)]
        found = ((number, part) for number, part in enumerate(parts, 1) if part)
        return next((f"{part}, in part {number} of what it returns" for number, part in found), "")
    right, given = np.asarray(expected), _array(answer)
    if given is None:
        return f"should return {_kind(right)}, and returned {_kind(answer)}"
    if given.shape != right.shape:
        return f"should return {_kind(right)}, and returned {_kind(given)}"
    if np.isnan(given).any() and not np.isnan(right).any():
        return f"gave NaN, which is no number, in {np.isnan(given).sum()} of {given.size} places"
    exact = right.dtype.kind in "biu"
    size = np.abs(right[np.isfinite(right)]).max(initial=0.0)
    bad = ~np.isclose(
        given.astype(float),
        right,
        rtol=0,
        atol=0 if exact else within * (size or 1),
        equal_nan=True,
    )
    if not bad.any():
        return ""
    place = tuple(map(int, np.argwhere(bad)[0]))
    came, due = _numbers_that_differ(given[place], right[place])
    if not right.ndim:
        return f"gave {came}, and {due} is right"
    at = f"at {list(place)}, and in {bad.sum()} of {bad.size} places"
    return f"gave {came} where {due} is right ({at})"


def _numbers_that_differ(came: float, due: float) -> tuple[str, str]:
    """Two numbers with six digits, or as many more as it takes to tell them apart."""
    came_6, due_6 = _number(came), _number(due)
    if came_6 != due_6:
        return came_6, due_6
    return f"{float(came)!r}", f"{float(due)!r} (was it computed in 64 bits?)"


def _number(x: float) -> str:
    """Whole numbers as they are, others with six digits."""
    return str(int(x)) if x == np.round(x) and abs(x) < 1e15 else f"{x:.6g}"


def _array(answer: Any) -> np.ndarray | None:
    """Numbers of any kind as an array, or None if they are none."""
    answer = answer.detach().cpu() if hasattr(answer, "detach") else answer
    try:
        found = np.asarray(answer)
        # SymPy's numbers and fractions are objects, and floats all the same.
        found = found.astype(float) if found.dtype.kind == "O" else found
    # Rows of different lengths, no numbers, or one that is too large for any float.
    except (TypeError, ValueError, OverflowError):
        return None
    return found if found.dtype.kind in NUMBERS else None


def _kind(x: Any) -> str:
    """What something is, in words."""
    if isinstance(x, np.ndarray) and x.ndim < 2:
        return f"{x.size} numbers in a row" if x.ndim else "a number"
    if isinstance(x, np.ndarray):
        return f"an array of shape {x.shape}"
    name = type(x).__name__
    a = "an" if name[0] in "aeiou" else "a"
    return f"{a} {name} of {len(x)}" if isinstance(x, list | tuple) else f"{a} {name}"
