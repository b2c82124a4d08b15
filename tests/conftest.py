import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def tracked_files():
    """What a commit of the working tree would hold, as paths relative to its root."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return sorted({Path(name) for name in names.split("\0") if name and (ROOT / name).is_file()})


@pytest.fixture(scope="session")
def tracked():
    """The tracked files, or those that are about to be."""
    return tracked_files()


@pytest.fixture(scope="session")
def checkout(tracked):
    """A function that makes a clean copy of the repository, without .venv, _build and the like."""

    def copy(folder):
        for name in tracked:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
        return folder

    return copy
