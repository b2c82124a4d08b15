import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.sources import modules

import attention_limits

PACKAGE = Path(attention_limits.__file__).parent
CODE = PACKAGE.parent
PACKAGES = ("attention_limits", "attention_limits_book")
MODULES = {name.relative_to(PACKAGE.name).as_posix(): CODE / name for name in modules(PACKAGE.name)}

# A module imports from its own line and from those above it.
LAYERS = [
    [
        "symbols",
        "shapes",
        "accelerators",
        "devices",
        "meters",
        "checks",
        "style",
        "closure",
        "notebook",
        "numerals",
        "drawing",
        "live",
        "chromium",
    ],
    ["tex", "vega", "tensors", "store", "labels", "lab", "panel", "processes", "progress"],
    ["evidence"],
    ["claims", "terms"],
    ["formula", "figure_html"],
    ["derivation", "layer", "explorable"],
    ["attention", "positions", "baselines"],
    ["tasks"],
    ["models", "training"],
    ["runs", "course"],
    ["experiments", "contract"],
    ["gallery"],
    ["chapters"],
    ["cli"],
    ["__init__"],
]
LAYER = {name: number for number, names in enumerate(LAYERS) for name in names}

HEAVY = ["torch", "sympy", "numpy", "altair", "matplotlib", "ipywidgets", "IPython", "yaml"]
HEAVY += ["anywidget", "vl_convert", "PIL"]
PROBE = f"""
import json, sys, time
before = set(sys.modules)
start = time.process_time()
import attention_limits
seconds = time.process_time() - start
print(json.dumps([seconds, sorted(set({HEAVY}) & (set(sys.modules) - before))]))
"""


def parts(name):
    """The file's place in the package: ("attention", "dense") for attention/dense.py."""
    return tuple(Path(name).with_suffix("").parts)


def imported(path):
    """What a file imports from the package, as dotted names without the package's own."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: a relative import hides its layer"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            package, _, rest = name.partition(".")
            if package == "attention_limits" and rest:
                yield rest


# --- lazy -------------------------------------------------------------------------------


def probed(code):
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    return json.loads(done.stdout)


def test_importing_the_package_loads_nothing_heavy():
    """`attention-limits --help` took seconds, because somebody imported PyTorch at the top."""
    _, loaded = probed(PROBE)
    assert loaded == []


@pytest.mark.alone
def test_importing_the_package_takes_no_time(record_property):
    """The fastest of nine counts, beside a part of the standard library that everybody loads."""
    yardstick = PROBE.replace("import attention_limits", "import asyncio")
    ours, theirs = (min(probed(code)[0] for _ in range(9)) for code in (PROBE, yardstick))
    record_property("importing the package, by importing asyncio", f"{ours / theirs:.2f}")
    assert ours < theirs


# --- one way ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", MODULES)
def test_imports_go_one_way(name):
    """A lower layer imported from a higher one: the way to circles that nobody can cut."""
    layer = LAYER[parts(name)[0]]
    for other in imported(MODULES[name]):
        assert LAYER[other.split(".")[0]] <= layer, f"{name} imports {other}"


@pytest.mark.parametrize("name", [name for name in MODULES if parts(name)[0] == "chapters"])
def test_chapters_never_import_each_other(name):
    """One chapter was rewritten, and another fell with it: what two of them use lies above."""
    own = parts(name)[1]
    chapters = {other.split(".")[1] for other in imported(MODULES[name]) if "chapters." in other}
    assert chapters <= {own}


# --- no circles, and nothing private -----------------------------------------------------


def dotted(path):
    """The name that imports a file: attention_limits.attention.dense."""
    return ".".join(path.relative_to(CODE).with_suffix("").parts).removesuffix(".__init__")


OURS = {dotted(CODE / name): CODE / name for name in modules(*PACKAGES)}


def uses(tree):
    """Our modules that a file imports, within functions and for type checkers too.

    Yields what an import is known as, the module, and the name from it; None if that is the module.
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name in OURS:
                    yield alias.asname or alias.name, alias.name, None
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                if whole in OURS:
                    yield alias.asname or alias.name, whole, None
                elif node.module in OURS:
                    yield alias.asname or alias.name, node.module, alias.name


def circles(imports):
    """The modules that reach themselves, given the modules that each imports."""
    reached = {}
    for name in imports:
        found, waiting = set(), [name]
        while waiting:
            new = imports[waiting.pop()] - found
            found |= new
            waiting += new
        reached[name] = found
    return sorted(name for name, found in reached.items() if name in found)


def borrowed(tree):
    """What a file takes from our other modules although its name begins with an underscore."""
    found = list(uses(tree))
    modules = {known for known, _, name in found if name is None}
    yield from (f"{module}.{name}" for _, module, name in found if name and name.startswith("_"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and re.match("_(?!_)", node.attr):
            owner = ast.unparse(node.value)
            if owner in modules:
                yield f"{owner}.{node.attr}"


def test_no_module_imports_itself_by_way_of_others():
    """Two modules that need each other can neither be understood nor moved alone."""
    imports = {
        name: {module for _, module, _ in uses(ast.parse(path.read_text()))} - {name}
        for name, path in OURS.items()
    }
    assert "attention_limits.models.layers" in imports["attention_limits.models.transformer"]
    assert circles(imports) == []


def test_a_circle_is_seen():
    """The search would find none, whatever is there."""
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": set()}) == ["b", "c"]


@pytest.mark.parametrize("name", OURS)
def test_what_is_private_stays_in_its_module(name):
    """Who renames a helper with an underscore breaks a module that he never looked at."""
    assert list(borrowed(ast.parse(OURS[name].read_text()))) == []


def test_what_is_borrowed_is_seen():
    """An underscore was overlooked behind a module's short name, or its full one."""
    source = """
import attention_limits.store
from attention_limits import claims as ledger
from attention_limits.claims import _claim, load
attention_limits.store._write, ledger._check_field, ledger.__name__, load._other
"""
    assert list(borrowed(ast.parse(source))) == [
        "attention_limits.claims._claim",
        "attention_limits.store._write",
        "ledger._check_field",
    ]


# --- definitions in NumPy, computations in PyTorch ---------------------------------------

FORBIDDEN = {
    "define": "torch",
    "visible": "torch",
    "attend": "numpy",
    "apply": "numpy",
    "step": "numpy",
}
MECHANISMS = [name for name in MODULES if parts(name)[0] in ("attention", "positions", "baselines")]


def libraries(tree):
    """Which library each name of a module comes from."""
    for node in tree.body:
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.asname or alias.name.split(".")[0], alias.name.split(".")[0]
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                yield alias.asname or alias.name, node.module.split(".")[0]


def touched(function, functions):
    """The names that a function uses, itself or through others of its module."""
    names, waiting = set(), [function]
    while waiting:
        nodes = list(ast.walk(functions[waiting.pop()]))
        used = {node.id for node in nodes if isinstance(node, ast.Name)}
        # An argument hides a function of the same name.
        used -= {node.arg for node in nodes if isinstance(node, ast.arg)}
        waiting += (used - names) & functions.keys()
        names |= used
    return names


@pytest.mark.parametrize("name", MECHANISMS)
def test_definitions_and_computations_share_no_library(name):
    """The definition that a computation is tested against ran on the same code."""
    tree = ast.parse(MODULES[name].read_text())
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    origin = dict(libraries(tree))
    for own in FORBIDDEN.keys() & functions.keys():
        used = {origin.get(used) for used in touched(own, functions)}
        assert FORBIDDEN[own] not in used, f"{name}: {own} touches {FORBIDDEN[own]}"


def test_every_mechanism_has_been_looked_at():
    """The scan looked for functions where there are none."""
    assert "attention/dense.py" in MECHANISMS
    tree = ast.parse(MODULES["attention/dense.py"].read_text())
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    used = {own: touched(own, functions) for own in ("define", "attend")}
    assert "np" in used["define"]
    assert "torch" in used["attend"]
    assert "scaled_dot_product_attention" in used["attend"]  # through a helper of the module


def test_a_part_arrives_when_it_is_named():
    """`import attention_limits` reaches every part; a reader explores with the tab key."""
    probe = "import attention_limits as a; print(a.claims.load()['cost-time'].verdict, dir(a))"
    told = subprocess.run(
        [sys.executable, "-c", probe], capture_output=True, text=True, check=True
    ).stdout
    assert told.startswith("holds ")
    assert "'chapters'" in told


def test_a_part_that_is_not_there_is_an_attribute_error():
    """Anything else breaks hasattr, and with it doctest, pickle and tab completion."""
    with pytest.raises(AttributeError, match="no attribute 'synapse'"):
        attention_limits.synapse
