"""What makes a page run again, or be read again, and what does not."""

from pathlib import Path

import pytest
from helpers.small_book import HEADER, cell

from attention_limits import closure
from attention_limits_book import claims, fingerprints

CELL = cell("from attention_limits.attention import dense\n\ndense.attend")


@pytest.fixture
def house(tmp_path, monkeypatch):
    """A package with some modules, two of which import one another."""
    modules = {
        "__init__.py": "",
        "attention/__init__.py": "",
        "attention/dense.py": "from attention_limits import symbols",
        "attention/fractal.py": '"""Old."""',
        "symbols.py": "n = 1",
        "cli.py": "",
        "claims.py": "",
        "claims.yml": "[]",
        "results/three_back.json": "{}",
        "experiments/__init__.py": "",
        "experiments/three_back.py": "",
        "chapters/__init__.py": "",
        "chapters/locality/evidence/__init__.py": "",
        "chapters/locality/evidence/cost.py": "",
    }
    for name, text in modules.items():
        write(tmp_path / "attention_limits" / name, text)
    monkeypatch.setattr(closure, "ROOT", tmp_path)
    for cached in (closure._path, closure._imported_by, claims._ledger_and_evidence):
        cached.cache_clear()
    yield tmp_path / "attention_limits"
    for cached in (closure._path, closure._imported_by, claims._ledger_and_evidence):
        cached.cache_clear()


@pytest.fixture
def page(tmp_path):
    """A function that writes a page and gives its fingerprints."""

    def write_page(*blocks: str, versions: str = "1") -> tuple[str, str]:
        path = tmp_path / "page.md"
        path.write_text("\n\n".join([HEADER, "# Page", *blocks, ""]))
        return fingerprints.of_cells(path, versions), fingerprints.of_page(path, versions)

    return write_page


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


@pytest.mark.parametrize("name", ["attention/dense.py", "symbols.py", "attention/__init__.py"])
def test_code_that_the_cells_rest_on_runs_them_again(house, page, name):
    """The page showed what code gave that is gone."""
    before = page(CELL)
    write(house / name, "from attention_limits import symbols  # new")
    after = page(CELL)
    assert before[0] != after[0]
    assert before[1] != after[1]


@pytest.mark.parametrize("name", ["cli.py", "attention/fractal.py", "results/three_back.json"])
def test_code_that_they_do_not_rest_on_does_not(house, page, name):
    """Editing a word of help ran every chapter."""
    before = page(CELL)
    write(house / name, '"""New."""')
    assert page(CELL) == before


def test_a_word_of_the_page_runs_nothing(house, page):
    """Correcting a comma cost five minutes."""
    assert page(CELL, "Old words.") == page(CELL, "New words.")


def test_a_record_that_the_cells_quote_runs_them_again(house, page):
    """The page quoted yesterday's record."""
    quotes = cell("from attention_limits.experiments import three_back")
    before = page(quotes)
    write(house / "results/three_back.json", '{"new": 1}')
    assert page(quotes)[0] != before[0]


def test_other_versions_run_everything_again(house, page):
    """The outputs of one PyTorch were shown as another's."""
    assert page(CELL, versions="1")[0] != page(CELL, versions="2")[0]


def test_a_printed_docstring_reads_the_page_again_and_runs_nothing(house, page):
    """The library's page printed a docstring that is gone."""
    shown = "```{eval-rst}\n.. automodule:: attention_limits.attention.fractal\n```"
    before = page(CELL, shown)
    write(house / "attention/fractal.py", '"""New."""')
    after = page(CELL, shown)
    assert before[0] == after[0]
    assert before[1] != after[1]


@pytest.mark.parametrize("name", ["claims.yml", "chapters/locality/evidence/cost.py"])
def test_a_card_is_read_again_when_its_claim_or_evidence_changes(house, page, name):
    """A card showed a verdict, or a number, that the ledger no longer has."""
    card = "```{claim} two-and-two\n```"
    before = page(card)
    write(house / name, "[] # new")
    after = page(card)
    assert before[0] == after[0]
    assert before[1] != after[1]


def test_magics_are_no_obstacle(house, page):
    """`%matplotlib inline` is no Python: the page had no fingerprint, or ran in every build."""
    magic = cell("%matplotlib inline\nfrom attention_limits.attention import dense")
    before = page(magic)
    assert page(magic) == before
    write(house / "symbols.py", "n = 2")
    assert page(magic)[0] != before[0]


def test_a_cell_that_is_no_python_has_a_fingerprint_all_the_same(house, page):
    """The build stopped with a traceback of ours, where the page's own error was to be shown."""
    assert page(cell("apples ="))[0] != page(cell("pears ="))[0]


def test_constraints_are_part_of_the_versions(tmp_path):
    """New versions were installed, and the outputs stayed those of the old."""
    write(tmp_path / "constraints.txt", "torch==1")
    before = fingerprints.versions(tmp_path)
    write(tmp_path / "constraints.txt", "torch==2")
    assert fingerprints.versions(tmp_path) != before


def test_another_python_is_another_version(tmp_path, monkeypatch):
    """The outputs of one Python were shown as another's."""
    before = fingerprints.versions(tmp_path)
    monkeypatch.setattr(fingerprints.sys, "version", "4.0.0")
    assert fingerprints.versions(tmp_path) != before
