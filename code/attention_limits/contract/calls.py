"""Calls of a reader's code: whatever it raises becomes words, with the line of her file."""

import inspect
import itertools
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

LONGEST = 240  # letters of a message of somebody else's that are repeated
DELIBERATE = (ValueError, NotImplementedError)  # what a function refuses its arguments by


class FaultError(Exception):
    """What a reader's code did instead of giving an answer.

    Args:
        words: what happened, and where.
        refused: whether it was her own ``raise`` of a ValueError or NotImplementedError: an
            answer of its kind, and no crash.
        place: what is at fault, such as a line of her file, so that it is told once; None if
            nobody knows.
    """

    def __init__(self, words: str, *, refused: bool = False, place: str | None = None) -> None:
        super().__init__(words)
        self.refused, self.place = refused, place


@contextmanager
def told(what: str, home: Path | None) -> Iterator[None]:
    """Turn what is raised within into a FaultError.

    Args:
        what: whose call it is, such as ``"attend"``.
        home: the reader's file, whose lines are quoted.
    """
    try:
        yield
    except FaultError:
        raise
    except (Exception, SystemExit) as error:  # exit() in a reader's code ends no check
        frames = traceback.extract_tb(error.__traceback__)
        message = " ".join(str(error).split()) or "no message"
        if len(message) > LONGEST:
            message = f"{message[:LONGEST]} …"
        refused = isinstance(error, DELIBERATE) and _raised(frames[-1])
        own = [frame for frame in frames if home and Path(frame.filename) == home]
        line = f"line {own[-1].lineno}" if own else None
        verb = "refuses" if refused else f"raises {type(error).__name__}"
        place = f" in {line} of {home.name}" if home and line else ""
        quoted = "" if refused or not own else f", `{own[-1].line}`"
        words = f"{what} {verb}{place}{quoted}: {message}"
        raise FaultError(words, refused=refused, place=line) from error


def _raised(frame: traceback.FrameSummary) -> bool:
    """Whether the innermost line is a ``raise``; PyTorch's and NumPy's own are no refusals."""
    foreign = {"torch", "numpy"} & set(Path(frame.filename).parts)
    return not foreign and (frame.line or "").startswith("raise")


def home_of(function: Callable) -> Path | None:
    """The file in which a function is written, decorators aside."""
    try:
        return Path(inspect.getfile(inspect.unwrap(function)))
    except TypeError:  # it was written in C
        return None


def parameters_of(function: Callable) -> dict[str, inspect.Parameter]:
    """What a function takes, by name."""
    return dict(inspect.signature(function).parameters)


def takes(function: Callable, name: str) -> bool:
    """Whether it has a parameter of that name, or takes any keyword."""
    parameters = parameters_of(function)
    return name in parameters or any(p.kind is p.VAR_KEYWORD for p in parameters.values())


def needed(function: Callable) -> list[str]:
    """What a function cannot do without, beside q, k and v."""
    parameters = itertools.islice(parameters_of(function).values(), 3, None)
    named = [p for p in parameters if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)]
    return [p.name for p in named if p.default is p.empty]
