"""Which files of the book's packages a piece of code rests on, found by reading its imports.

What was computed stays valid until one of these files changes, and no longer: a page is run again,
evidence is gathered again and a measured row is measured again when its closure has another digest.
Nothing is imported to find out.
"""

import ast
import functools
import hashlib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]  # of both packages
PACKAGES = ("attention_limits", "attention_limits_book")
LEDGER, RECORDS = "attention_limits.claims", "attention_limits.experiments."
BESIDE = {  # the data that modules read
    LEDGER: ("claims.yml",),
    "attention_limits.terms": ("terms.yml",),
}


def files(source: str) -> list[Path]:
    """The files that Python source rests on: its import closure, and the data that this reads.

    A module that imports others by a name which it puts together (``importlib``) reaches every
    module of the packages that it names, its own among them. The ledger is read by ``claims``, and
    the record of an experiment goes with the experiment's module.

    Args:
        source: the text of a module, or the cells of a page one after another.

    Returns:
        Paths in order, without ``source`` itself.

    Raises:
        SyntaxError: if it is no Python.
    """
    found: set[str] = set()
    waiting = set(_imported(source, ""))
    while waiting:
        name = waiting.pop()
        found.add(name)
        waiting |= _reached(name) - found
    paths = {path for name in found if (path := _path(name))}
    return sorted(paths | {path for name in found for path in _data(name)})


def digest(source: str, *more: str | Path) -> str:
    """A hash of source, of all files that it rests on, and of more texts or files."""
    total = hashlib.sha256(source.encode())
    for path in files(source):
        total.update(path.relative_to(ROOT).as_posix().encode() + b"\0" + path.read_bytes())
    for each in more:
        total.update(each.read_bytes() if isinstance(each, Path) else each.encode())
        total.update(b"\0")
    return total.hexdigest()[:16]


def module_digest(name: str, *more: str | Path) -> str:
    """The digest of a module of the packages, by its dotted name."""
    return digest(f"import {name}", *more)


def _imported(source: str, own: str) -> Iterator[str]:
    """The modules of the packages that a source imports; ``own`` is the package that it is in."""
    tree = ast.parse(source)
    named, by_name = set(), False
    for node in _executed(tree):
        if isinstance(node, ast.Import):
            named |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            named |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Attribute) and node.attr == "import_module":
            by_name = True
    modules = {module for name in named for module in _with_parents(name)}
    yield from modules
    if by_name:
        packages = {name for name in modules | {own} if name.count(".") and _is_package(name)}
        yield from (inner for name in packages for inner in _inside(name))


def _executed(tree: ast.AST) -> Iterator[ast.AST]:
    """All nodes but those that only a type checker looks at."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if not (isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING"):
            yield node
            waiting += ast.iter_child_nodes(node)


def _with_parents(name: str) -> Iterator[str]:
    """A dotted name's modules: ``a.b.C`` rests on ``a`` and ``a.b``, and ``C`` is no module."""
    parts = name.split(".")
    if parts[0] in PACKAGES:
        for length in range(1, len(parts) + 1):
            if _path(module := ".".join(parts[:length])):
                yield module


@functools.cache
def _path(name: str) -> Path | None:
    """The file of a module or package, if there is one."""
    place = ROOT.joinpath(*name.split("."))
    candidates = (place.with_suffix(".py"), place / "__init__.py")
    return next((path for path in candidates if path.is_file()), None)


def _is_package(name: str) -> bool:
    path = _path(name)
    return path is not None and path.name == "__init__.py"


def _inside(package: str) -> Iterator[str]:
    """All modules of a package."""
    folder = ROOT.joinpath(*package.split("."))
    for path in folder.rglob("*.py"):
        parts = path.relative_to(folder).with_suffix("").parts
        yield ".".join([package, *(part for part in parts if part != "__init__")])


def _reached(name: str) -> set[str]:
    """What a module imports. The package's own lazy ``__init__`` reaches nothing by itself."""
    if name in PACKAGES:
        return set()
    own = name if _is_package(name) else name.rpartition(".")[0]
    path = _path(name)
    return _imported_by(path, path.stat().st_mtime_ns, own) if path else set()


@functools.cache
def _imported_by(path: Path, changed: int, own: str) -> set[str]:
    """What a file imports, read again only when it has changed."""
    return set(_imported(path.read_text(encoding="utf-8"), own))


def _data(name: str) -> Iterator[Path]:
    """The files beside the code that a module reads."""
    package = ROOT / "attention_limits"
    if name in BESIDE:
        yield from (package / file for file in BESIDE[name])
    elif name.startswith(RECORDS):
        record = package / "results" / f"{name.removeprefix(RECORDS).split('.')[0]}.json"
        if record.is_file():
            yield record
