"""Calls of a reader's code: whatever it raises becomes words, with the line of her file."""

import inspect
import itertools
import re
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
    """

    def __init__(self, words: str, *, refused: bool = False) -> None:
        super().__init__(words)
        self.refused = refused

    @property
    def kind(self) -> str:
        """The words without their numbers: the same fault at other sizes has the same."""
        return re.sub(r"\d+", "", str(self))


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
        raise FaultError(words, refused=refused) from error


def _raised(frame: traceback.FrameSummary) -> bool:
    """Whether the innermost line is a ``raise``; PyTorch's and NumPy's own are no refusals."""
    foreign = {"torch", "numpy"} & set(Path(frame.filename).parts)
    return not foreign and (frame.line or "").startswith("raise")


def home_of(function: Callable) -> Path | None:
    """The file in which a function is written, decorators aside."""
    try:
        return Path(inspect.getfile(inspect.unwrap(_written(function))))
    except TypeError:  # it was written in C
        return None


def parameters_of(function: Callable) -> dict[str, inspect.Parameter]:
    """What a function takes, by name."""
    return dict(inspect.signature(_written(function)).parameters)


def _written(function: Callable) -> Callable:
    """What its author wrote: of a layer of PyTorch's, ``forward``."""
    return getattr(function, "forward", function)


def takes(function: Callable, name: str) -> bool:
    """Whether it has a parameter of that name, or takes any keyword."""
    parameters = parameters_of(function)
    return name in parameters or any(p.kind is p.VAR_KEYWORD for p in parameters.values())


def needed(function: Callable) -> list[str]:
    """What a function cannot do without, beside q, k and v."""
    parameters = itertools.islice(parameters_of(function).values(), 3, None)
    named = [p for p in parameters if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)]
    return [p.name for p in named if p.default is p.empty]
