"""A closure that is too small shows yesterday's numbers; one that is too large runs everything."""

from pathlib import Path

import pytest

from attention_limits import closure

PACKAGE = closure.ROOT / "attention_limits"


def reached(source):
    return {path.relative_to(PACKAGE).as_posix() for path in closure.files(source)}


def test_it_goes_through_imports_of_imports():
    """A change two imports away left the page as it was."""
    found = reached("from attention_limits.attention import dense")
    assert {"attention/dense.py", "attention/__init__.py", "symbols.py", "vega.py"} <= found


def test_what_is_not_imported_is_not_in_it():
    """A word in the help text ran every chapter again."""
    found = reached("from attention_limits.attention import dense")
    assert not {name for name in found if name.startswith(("cli", "chapters", "training"))}
    assert "attention/fractal.py" not in found


def test_an_import_inside_a_function_counts():
    """Imports that wait for their first call are imports all the same."""
    found = reached("def later():\n    from attention_limits.attention import fractal")
    assert "attention/fractal.py" in found


def test_what_only_a_type_checker_imports_does_not_count():
    """A chapter ran again for a change in a module that never runs with it."""
    guarded = "if TYPE_CHECKING:\n    from attention_limits.attention import fractal"
    assert reached(guarded) == set()


def test_a_registry_reaches_all_that_it_may_import():
    """A task found by its name changed, and nobody noticed."""
    assert "tasks/recall.py" in reached("from attention_limits import tasks")


def test_the_ledger_and_the_records_are_read_too():
    """A claim or a record was edited, and the page showed the old one."""
    assert "claims.yml" in reached("from attention_limits import claims")
    assert "terms.yml" in reached("from attention_limits import terms")
    assert "terms.yml" not in reached("from attention_limits import claims")
    assert "results/three_back.json" in reached(
        "from attention_limits.experiments import three_back"
    )
    assert "results/three_back.json" not in reached(
        "from attention_limits.experiments import scaling"
    )


def test_a_name_that_is_no_module_belongs_to_its_module():
    """`from …symbols import n` was looked for as a file."""
    assert "symbols.py" in reached("from attention_limits.symbols import n")


@pytest.fixture
def small(tmp_path, monkeypatch):
    """A package of two modules, of which one imports the other."""
    package = tmp_path / "attention_limits"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "above.py").write_text("from attention_limits import below\n")
    (package / "below.py").write_text("X = 1\n")
    (package / "aside.py").write_text("X = 1\n")
    monkeypatch.setattr(closure, "ROOT", tmp_path)
    closure._path.cache_clear()
    yield package
    closure._path.cache_clear()


def test_the_digest_follows_what_the_code_rests_on_and_nothing_else(small):
    """Rows of other code were taken for rows of this."""
    name = "attention_limits.above"
    before = closure.module_digest(name)
    (small / "aside.py").write_text("X = 2\n")
    assert closure.module_digest(name) == before
    (small / "below.py").write_text("X = 2\n")
    assert closure.module_digest(name) != before


def test_more_texts_and_files_are_part_of_the_digest(small, tmp_path):
    """The versions of other packages changed, and the outputs stayed."""
    versions = Path(tmp_path / "constraints.txt")
    versions.write_text("torch==1")
    before = closure.module_digest("attention_limits.above", versions)
    versions.write_text("torch==2")
    digests = {before, closure.module_digest("attention_limits.above", versions)}
    assert len(digests | {closure.module_digest("attention_limits.above", "3.13")}) == 3
