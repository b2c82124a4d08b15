"""Builds small books in forks of a process that has imported once what each of them needs.

The command takes two seconds to begin, most of them for imports, and tests build two dozen books.
"""

import gc
import importlib
import json
import os
import signal
import sys

# What ``jupyter-book build`` imports for any book with the settings of ours, where it takes long.
NEEDED = (
    "attention_limits_book",
    "jupyter_book.cli.main",
    "jupyter_book.sphinx",
    "myst_nb.sphinx_ext",
    "sphinx.builders.html",
    "sphinx_book_theme",
    "sphinx_exercise",
    "sphinx_external_toc",
    "sphinx_proof",
    "sphinxcontrib.bibtex",
)
PATIENCE = 600  # seconds for what takes three, on the slowest of machines


def serve() -> None:
    """Take one order a line, and answer each with the exit status of its build."""
    for name in NEEDED:
        importlib.import_module(name)
    gc.freeze()
    for line in sys.stdin:
        order = json.loads(line)
        builder = os.fork()
        if not builder:
            build(**order)
        _, status = os.waitpid(builder, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


def build(folder: str, arguments: list[str], environment: dict[str, str], said: str) -> None:
    """Be the command, as a process of its own that somebody started in this folder."""
    from jupyter_book.cli.main import main

    os.setsid()
    signal.alarm(PATIENCE)
    os.chdir(folder)
    os.environ.update(environment)
    with open(os.devnull) as nothing, open(said, "w") as log:
        os.dup2(nothing.fileno(), 0)
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    sys.argv = ["jupyter-book", *arguments]
    sys.exit(main())


if __name__ == "__main__":
    serve()
