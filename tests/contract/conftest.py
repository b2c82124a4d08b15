"""A reader's file, written down and loaded."""

import textwrap

import pytest

from attention_limits import contract


@pytest.fixture
def written(tmp_path):
    """A function that writes a reader's file, and says where."""

    def write(source, name="mine.py"):
        path = tmp_path / name
        path.write_text(textwrap.dedent(source))
        return path

    return write


@pytest.fixture
def brought(written):
    """A function that writes a reader's file, and loads it."""
    return lambda source: contract.load(written(source))
