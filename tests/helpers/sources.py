"""The sources of the book: which files are its own, and what its text notebooks begin with."""

import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]

HEADER = """\
---
jupytext:
  text_representation:
    extension: .md
    format_name: myst
kernelspec:
  display_name: Python 3
  language: python
  name: python3
---
"""


def tracked_files(root: Path = ROOT) -> list[Path]:
    """The files that git knows, relative to the root: no log or note that happens to lie there.

    What somebody wrote and forgot to add is noticed where it is missed: the wheel is built of
    these files alone, and what imports or lists the new one fails there.
    """
    command = ["git", "ls-files", "-z", "--cached"]
    names = subprocess.run(command, cwd=root, check=True, capture_output=True, text=True).stdout
    return sorted(Path(name) for name in names.split("\0") if name and (root / name).is_file())


def modules(*packages: str) -> list[Path]:
    """The Python files of our packages, relative to ``code``."""
    names = (name.relative_to("code") for name in tracked_files() if name.parts[0] == "code")
    return [name for name in names if name.suffix == ".py" and name.parts[0] in packages]


def pages(*folders: str) -> dict[str, Path]:
    """The Markdown files in and under folders of the book, by name as in ``_toc.yml``."""
    return {
        name.with_suffix("").as_posix(): ROOT / name
        for name in tracked_files()
        if name.suffix == ".md" and name.parts[0] in folders
    }
