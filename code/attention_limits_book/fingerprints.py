"""What a page rests on: its cells, the code that they import, recorded results and versions.

A page's cells run again when one of these has changed, and the page is read again when something
has changed that its directives rest on, such as the docstrings that it prints.
"""

import hashlib
import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from IPython.core.inputtransformer2 import TransformerManager
from myst_nb.core.read import read_myst_markdown_notebook

from attention_limits import closure, drawing, figure_html
from attention_limits_book.faces import DIRECTIVES

NOTEBOOK = "format_name: myst"  # in a page's header, where jupytext puts it


def is_notebook(page: Path) -> bool:
    """Whether a page has cells to run."""
    return page.suffix == ".md" and NOTEBOOK in page.read_text(encoding="utf-8")[:500]


def versions(source: Path) -> str:
    """A hash of the Python that runs and of the versions of everything else."""
    digest = hashlib.sha256(sys.version.encode())
    if (constraints := source / "constraints.txt").is_file():
        digest.update(constraints.read_bytes())
    return digest.hexdigest()[:16]


def of_sphinx_side(versions: str) -> str:
    """A hash of the code that makes pages of what was computed."""
    digest = hashlib.sha256(versions.encode())
    own = Path(__file__).parent.rglob("*.py")
    drawn = (Path(inspect.getfile(module)) for module in (drawing, figure_html))
    for path in sorted([*own, *drawn]):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


def of_cells(page: Path, versions: str) -> str:
    """A hash of all that the outputs of a page's cells depend on."""
    return _digest(_cells(page.read_text(encoding="utf-8")), versions)


def of_page(page: Path, versions: str) -> str:
    """A hash of all that a page shows, its own words aside: Sphinx looks after those."""
    text = page.read_text(encoding="utf-8")
    cells = _cells(text) if is_notebook(page) else ""
    imports = "\n".join(f"import {name}" for name in sorted(set(_named(text))))
    return _digest(f"{imports}\n{cells}", versions)


def _digest(source: str, versions: str) -> str:
    try:
        return closure.digest(source, versions)
    except SyntaxError:  # the page fails when it runs, and says where
        return hashlib.sha256((source + versions).encode()).hexdigest()[:16]


def _cells(text: str) -> str:
    """The code of a page's cells as Python, IPython's own syntax rewritten."""
    notebook = read_myst_markdown_notebook(text)
    python = TransformerManager().transform_cell
    return "\n".join(python(cell.source) for cell in notebook.cells if cell.cell_type == "code")


def _named(text: str) -> Iterator[str]:
    """The modules that a page's directives show, or whose docstrings they print."""
    written = set(re.findall(r"^ *[`:]{3,}\{([\w-]+)\}", text, re.MULTILINE))
    for name in written & DIRECTIVES.keys():
        yield from DIRECTIVES[name].rests_on()
    yield from re.findall(r"attention_limits(?:_book)?(?:\.\w+)+", text)
