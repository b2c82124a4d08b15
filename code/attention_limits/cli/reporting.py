"""How the commands talk: to any console, of how far they are, and of what they refuse."""

import contextlib
import shutil
import sys
import textwrap
from collections.abc import Callable, Iterator


def allow_any_console() -> None:
    """A console that knows no ✓ or × shows a ? instead."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")


def refuse(command: str, words: str) -> int:
    """Say why a command does not start, and return its exit status."""
    print(f"attention-limits {command}: {words}", file=sys.stderr)
    return 2


def filled(words: str, *, margin: str, hang: int | None = None) -> str:
    """A paragraph behind a margin; further lines begin below its words, or at ``hang``."""
    return textwrap.fill(
        words,
        min(shutil.get_terminal_size().columns, 100),
        initial_indent=margin,
        subsequent_indent=" " * (len(margin) if hang is None else hang),
        break_long_words=False,
        break_on_hyphens=False,
    )


@contextlib.contextmanager
def reporting() -> Iterator[Callable[[float | None, str], None]]:
    """How far a run is, on stderr: a bar for a terminal; for a log a line each percent."""
    if not sys.stderr.isatty():
        yield Log()
        return
    from tqdm import tqdm

    with tqdm(total=1, bar_format="{l_bar}{bar}| {elapsed}{postfix}", file=sys.stderr) as bar:

        def show(share: float | None, words: str) -> None:
            if share is None:
                bar.write(words, file=sys.stderr)
            else:
                bar.n = share
                bar.set_postfix_str(words)  # which draws it

        yield show


class Log:
    """Lines as a run goes on; training would report many times in a percent."""

    def __init__(self) -> None:
        self.last: str | None = None

    def __call__(self, share: float | None, words: str) -> None:
        """Print how it goes, unless this percent has a line already; remarks always."""
        done = "  ..  " if share is None else f"[{share:4.0%}]"
        if share is None or done != self.last:
            print(done, words, file=sys.stderr, flush=True)
            self.last = done if share is not None else self.last
