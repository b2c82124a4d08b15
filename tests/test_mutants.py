"""The list of changes that tests are measured by: that each of them can still be made."""

import json

import mutants
import pytest
from mutants import LIST, Mutant

CHANGES = [Mutant(**entry) for entry in json.loads(LIST.read_text(encoding="utf-8"))]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.place)
def test_every_change_has_its_place(change):
    """Its line was rewritten, and what tests must not miss is tried no longer: move it."""
    found = mutants.located(change)
    assert found is not None, f"nowhere is {change.line!r}"
    path, row = found
    line = path.read_text(encoding="utf-8").split("\n")[row].strip()
    assert line[change.column :].startswith(change.old)
