"""Are the tests sharp? Change one token of the packages at a time, and see which tests notice.

    python tests/mutants.py sample --count 80 --seed 20261129   # writes tests/mutants.json
    python tests/mutants.py run --out found.json                 # goes on where it was stopped
    python tests/mutants.py report before.json after.json        # 1 if one is noticed no longer

A mutant is a changed sign, comparison, constant or Boolean, a swapped min and max, or a dropped
line, inside a function or in a constant of a module. It is known by its function, its line and the
place of its token, so that it is found again in a file that was moved or edited elsewhere.

Each mutant meets the tests that reach its module through imports, the nearest first: the file that
mirrors it, then the contract's items of its name, then the files with the fewest imports, then
those of the folder that mirrors its own. The first red ends it, once the test that failed is seen
to pass without the change. Tests of the built book stay out (markers ``browser``, ``alone``,
``deep``): they take minutes a mutant.

The working tree is never touched: mutants live in a copy of ``code``. ``mutants_before.json`` says
what the tests noticed at 94cc47b, before they were made quicker. A change whose code was rewritten
since has moved to the same decision in the new code: its ``note`` says why.
"""

import argparse
import ast
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).parents[1]
LIST = Path(__file__).with_suffix(".json")
PACKAGES = ("attention_limits", "attention_limits_book")
SECONDS = 3600  # for the tests of one mutant; one that hangs is noticed
NEAREST = 6  # test files, beside the mirror and the contract
MARKERS = "not browser and not alone and not deep"
SWAPS = {"+": "-", "-": "+", "*": "/", "/": "*", "//": "/", "<": "<=", "<=": "<", ">": ">="}
SWAPS |= {">=": ">", "==": "!=", "!=": "==", "and": "or", "or": "and", "is not": "is"}
OPERATOR = re.compile(r"(?<![*/<>=!])(//|<=|>=|==|!=|[-+*/<>]|\band\b|\bor\b)(?![*/<>=])")
SWAPS |= {"min": "max", "max": "min", "True": "False", "False": "True"}


@dataclass(frozen=True)
class Mutant:
    """One change: ``line`` is stripped, ``column`` counts in it, ``nth`` of such lines in place."""

    file: str
    place: str
    line: str
    nth: int
    column: int
    old: str
    new: str
    note: str = ""

    @property
    def name(self) -> str:
        return f"{self.place}: {self.line[self.column :][:30]} [{self.old} → {self.new}]"


# --- finding what can be changed ----------------------------------------------------------------


def mutants_of(path: Path) -> Iterator[Mutant]:
    """Every change that can be made to a file."""
    text = path.read_text(encoding="utf-8")
    lines, tree = text.split("\n"), ast.parse(text)
    file = path.relative_to(ROOT / "code").as_posix()
    for place, body in _places(tree):
        seen = set()
        for row, column, old, new in _edits(body, lines):
            # The parser counts bytes where the others count characters.
            if (row, column) in seen or not lines[row].isascii():
                continue
            seen.add((row, column))
            line = lines[row].strip()
            first = body[0].lineno - 1
            nth = sum(x.strip() == line for x in lines[first:row])
            indent = len(lines[row]) - len(lines[row].lstrip())
            yield Mutant(file, place, line, nth, column - indent, old, new)


def _places(tree: ast.Module) -> Iterator[tuple[str, list[ast.stmt]]]:
    """The functions, methods and constants of a module, with their statements."""

    def inside(node: ast.AST, prefix: str) -> Iterator[tuple[str, list[ast.stmt]]]:
        for child in getattr(node, "body", ()):
            if isinstance(child, ast.FunctionDef):
                docstring = ast.get_docstring(child) is not None
                if body := child.body[docstring:]:
                    yield f"{prefix}{child.name}", body
            elif isinstance(child, ast.ClassDef):
                yield from inside(child, f"{prefix}{child.name}.")
            elif isinstance(child, ast.Assign | ast.AnnAssign) and not prefix:
                target = child.target if isinstance(child, ast.AnnAssign) else child.targets[0]
                name = getattr(target, "id", "")
                if name.isupper():
                    yield name, [child]

    return inside(tree, "")


def _edits(body: list[ast.stmt], lines: list[str]) -> Iterator[tuple[int, int, str, str]]:
    """Row, column, old and new token of each change within some statements."""
    for statement in body:
        for node in _walk(statement):
            if isinstance(node, ast.BinOp | ast.Compare | ast.BoolOp):
                yield from _operators(node, lines)
            elif isinstance(node, ast.Constant) and node.lineno == node.end_lineno:
                yield from _constants(node, lines)
            elif isinstance(node, ast.Name) and node.id in ("min", "max"):
                yield node.lineno - 1, node.col_offset, node.id, SWAPS[node.id]
            elif isinstance(node, ast.Attribute) and node.attr in ("min", "max"):
                row, end = node.end_lineno - 1, node.end_col_offset
                yield row, end - 3, node.attr, SWAPS[node.attr]
            elif _can_be_dropped(node):
                old = lines[node.lineno - 1][node.col_offset : node.end_col_offset]
                yield node.lineno - 1, node.col_offset, old, "pass"


def _can_be_dropped(node: ast.AST) -> bool:
    """Whether a node is a statement of one line that does something and names nothing."""
    if not isinstance(node, ast.Expr | ast.AugAssign) or node.lineno != node.end_lineno:
        return False
    return not isinstance(node.value, ast.Constant | ast.Yield)


def _walk(node: ast.AST) -> Iterator[ast.AST]:
    """All nodes that compute: no types, no texts, no messages of errors, no inner functions."""
    yield node
    left_out = {"annotation", "returns", "decorator_list", "exc", "msg"}
    for name, value in ast.iter_fields(node):
        if name in left_out or isinstance(node, ast.JoinedStr):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST) and not isinstance(child, ast.ClassDef):
                yield from _walk(child)


def _operators(node: ast.expr, lines: list[str]) -> Iterator[tuple[int, int, str, str]]:
    sides = {
        ast.BinOp: lambda: [node.left, node.right],
        ast.Compare: lambda: [node.left, *node.comparators],
        ast.BoolOp: lambda: node.values,
    }[type(node)]()
    for left, right in pairwise(sides):
        row, start = left.end_lineno - 1, left.end_col_offset
        end = right.col_offset if right.lineno - 1 == row else len(lines[row])
        between = lines[row][start:end]
        found = OPERATOR.search(between)
        if found:
            yield row, start + found.start(), found[1], SWAPS[found[1]]


def _constants(node: ast.Constant, lines: list[str]) -> Iterator[tuple[int, int, str, str]]:
    row, old = node.lineno - 1, lines[node.lineno - 1][node.col_offset : node.end_col_offset]
    if isinstance(node.value, bool):
        yield row, node.col_offset, str(node.value), SWAPS[str(node.value)]
    elif isinstance(node.value, int):
        yield row, node.col_offset, old, str(node.value + 1)
    elif isinstance(node.value, float):
        yield row, node.col_offset, old, repr(node.value * 2 or 1.0)


def sample(count: int, seed: int) -> list[Mutant]:
    """So many changes, each module's share as its length is."""
    drawn, files = random.Random(seed), []
    for package in PACKAGES:
        for path in sorted((ROOT / "code" / package).rglob("*.py")):
            if found := list(mutants_of(path)):
                files.append((len(path.read_text(encoding="utf-8").split("\n")), found))
    chosen: list[Mutant] = []
    while len(chosen) < count:
        [(_, found)] = drawn.choices(files, weights=[length for length, _ in files])
        mutant = drawn.choice(found)
        if mutant not in chosen:
            chosen.append(mutant)
    return chosen


# --- finding its place again --------------------------------------------------------------------


def located(mutant: Mutant) -> tuple[Path, int] | None:
    """The file and row where a mutant is now: its own file, or the only other with its line."""
    own = ROOT / "code" / mutant.file
    paths = [own] if own.is_file() else []
    if paths and (found := _row(own, mutant)) is not None:
        return own, found
    everywhere = [p for package in PACKAGES for p in (ROOT / "code" / package).rglob("*.py")]
    hits = [(path, row) for path in everywhere if (row := _row(path, mutant)) is not None]
    return hits[0] if len(hits) == 1 else None


def _row(path: Path, mutant: Mutant) -> int | None:
    text = path.read_text(encoding="utf-8")
    if mutant.line not in text:  # seen at once, where parsing every file takes seconds
        return None
    lines = text.split("\n")
    for place, body in _places(ast.parse(text)):
        if place.rpartition(".")[2] == mutant.place.rpartition(".")[2]:
            rows = range(body[0].lineno - 1, body[-1].end_lineno)
            same = [row for row in rows if lines[row].strip() == mutant.line]
            if mutant.nth < len(same):
                return same[mutant.nth]
    return None


def write_mutant(mutant: Mutant, path: Path, row: int, code: Path) -> None:
    """Put the changed file into a copy of the code."""
    lines = path.read_text(encoding="utf-8").split("\n")
    indent = len(lines[row]) - len(lines[row].lstrip())
    at = indent + mutant.column
    assert lines[row][at:].startswith(mutant.old), f"{mutant.name} is not at its place"
    lines[row] = lines[row][:at] + mutant.new + lines[row][at + len(mutant.old) :]
    (code / path.relative_to(ROOT / "code")).write_text("\n".join(lines), encoding="utf-8")


# --- which tests reach a module -----------------------------------------------------------------


@cache
def _files() -> dict[str, Path]:
    """Every module of the packages and of the tests, by each name that imports it."""
    found = {}
    for base in (ROOT / "code", ROOT / "tests"):
        for path in base.rglob("*.py"):
            parts = path.relative_to(base).with_suffix("").parts
            name = ".".join(part for part in parts if part != "__init__")
            found[name] = path
            if base.name == "tests":
                found.setdefault(path.stem, path)  # helpers of an older layout
    return found


@cache
def _imports(path: Path) -> frozenset[Path]:
    """The files that one imports, by reading it."""
    names, by_name = set(), False
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Attribute) and node.attr == "import_module":
            by_name = True
    names -= set(PACKAGES)
    if by_name:  # a registry: whatever lies in the packages that it names
        for name in [n for n in names if n in _files() and _files()[n].name == "__init__.py"]:
            names |= {other for other in _files() if other.startswith(f"{name}.")}
    return frozenset(_files()[name] for name in names if name in _files())


@cache
def closure(path: Path) -> frozenset[Path]:
    """All that a file imports, and what that imports."""
    found, waiting = set(), [path]
    while waiting:
        new = _imports(waiting.pop()) - found
        found |= new
        waiting += new
    return frozenset(found)


def runs(path: Path) -> list[list[str]]:
    """The calls of pytest that a mutant of this file meets, one after another."""
    tests = [p for p in sorted((ROOT / "tests").rglob("test_*.py")) if path in closure(p)]
    tests = [p for p in tests if "browser" not in p.parts and p.name != "test_wheel.py"]
    parts = {part.strip("_") for part in (path.stem, path.parent.name)}
    mirror = [p for p in tests if p.stem.removeprefix("test_") == path.stem]
    mirror += [p for p in tests if path.stem in p.stem and p not in mirror]
    contracts = [p for p in tests if "contract" in p.stem and p.parent.name in parts]
    others = sorted(set(tests) - {*mirror, *contracts}, key=lambda p: (len(closure(p)), p))
    calls = [[str(p) for p in mirror]] if mirror else []
    if contracts and path.stem not in ("__init__", *PACKAGES):
        calls.append([*map(str, contracts), "-k", path.stem])
    near, far = others[:NEAREST], others[NEAREST:]
    folder = [p for p in far if p.parent.name == path.parent.name]
    return calls + [[str(p) for p in group] for group in (near, folder) if group]


# --- running ------------------------------------------------------------------------------------


def noticed(mutant: Mutant, code: Path) -> dict[str, str]:
    """What came of one mutant: noticed (and by which test), survived, or not found."""
    where = located(mutant)
    if where is None:
        return {"outcome": "not found"}
    path, row = where
    copy = code / path.relative_to(ROOT / "code")
    write_mutant(mutant, path, row, code)
    try:
        calls = runs(path)
        if not calls:
            return {"outcome": "no test reaches it"}
        for call in calls:
            try:
                done = _pytest(call, code)
            except subprocess.TimeoutExpired:
                return {"outcome": "noticed", "by": "it hangs"}
            if done.returncode not in (0, 1, 2, 5):  # pytest went wrong: nothing was tried
                return {"outcome": "not run", "by": done.stdout[-200:] + done.stderr[-200:]}
            if done.returncode in (1, 2):  # a test is red, or a file of tests cannot be imported
                failed = re.findall(r"^(?:FAILED|ERROR) (.+?)(?: - |$)", done.stdout, re.MULTILINE)
                shutil.copy(path, copy)
                if failed and _pytest(failed[:1], code).returncode:
                    return {"outcome": "red without the change", "by": failed[0]}
                return {"outcome": "noticed", "by": failed[0] if failed else "the whole run"}
        return {"outcome": "survived"}
    finally:
        shutil.copy(path, copy)


def _pytest(arguments: list[str], code: Path) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "-m", MARKERS]
    environment = {**os.environ, "PYTHONPATH": str(code), "OMP_NUM_THREADS": "1"}
    environment |= {"PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [*command, *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


def run(out: Path, only: list[int]) -> None:
    """Run the list, or a part of it, and keep each result at once."""
    mutants = [Mutant(**entry) for entry in json.loads(LIST.read_text(encoding="utf-8"))]
    results = json.loads(out.read_text(encoding="utf-8")) if out.exists() else {}
    with tempfile.TemporaryDirectory() as folder:
        code = Path(folder) / "code"  # in a repository of this commit, of which records tell
        subprocess.run(["git", "clone", "-qsn", ROOT, folder], check=True)
        shutil.copytree(ROOT / "code", code, ignore=shutil.ignore_patterns("__pycache__"))
        for number, mutant in enumerate(mutants):
            if str(number) in results or (only and number not in only):
                continue
            results[str(number)] = {"mutant": mutant.name, **noticed(mutant, code)}
            out.write_text(json.dumps(results, indent=1, ensure_ascii=False), encoding="utf-8")
            print(number, *results[str(number)].values(), flush=True)


def report(before: Path, after: Path) -> int:
    """Compare two runs of the list; 1 if one that was noticed is noticed no longer."""
    old, new = (json.loads(path.read_text(encoding="utf-8")) for path in (before, after))
    for name, results in (("before", old), ("after", new)):
        caught = sum(result["outcome"] == "noticed" for result in results.values())
        print(f"{name}: {caught} of {len(results)} noticed")
    lost = [k for k in old if old[k]["outcome"] == "noticed" != new.get(k, {}).get("outcome")]
    for key in lost:
        print("lost:", key, old[key]["mutant"], "— before by", old[key]["by"])
    return int(bool(lost))


def main() -> int:
    """The three commands."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    sampler = commands.add_parser("sample")
    sampler.add_argument("--count", type=int, default=80)
    sampler.add_argument("--seed", type=int, required=True)
    runner = commands.add_parser("run")
    runner.add_argument("--out", type=Path, required=True)
    runner.add_argument("--only", type=int, nargs="*", default=[])
    reporter = commands.add_parser("report")
    reporter.add_argument("before", type=Path)
    reporter.add_argument("after", type=Path)
    args = parser.parse_args()
    if args.command == "sample":
        entries = [asdict(mutant) for mutant in sample(args.count, args.seed)]
        LIST.write_text(json.dumps(entries, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    elif args.command == "run":
        run(args.out, args.only)
    else:
        return report(args.before, args.after)
    return 0


if __name__ == "__main__":
    sys.exit(main())
