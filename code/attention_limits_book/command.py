"""What the build's commands have in common: a line that says what was made, or what is wrong."""

import argparse
import sys
from collections.abc import Callable


def parser(doc: str) -> argparse.ArgumentParser:
    """A parser that describes its command by the first line of the module's docstring."""
    return argparse.ArgumentParser(description=doc.partition("\n")[0])


def run(made: Callable[[], str], *also: type[Exception]) -> int:
    """Print what was made; or an error as a sentence, without a traceback.

    Args:
        made: makes it, and says what.
        also: what it raises to say that something is wrong, beside OSError and ValueError.

    Returns:
        The exit status.
    """
    wrong: tuple[type[Exception], ...] = (OSError, ValueError, *also)
    try:
        print(made())
    except wrong as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0
