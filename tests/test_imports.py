import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

import attention_limits

PACKAGE = Path(attention_limits.__file__).parent
MODULES = {path.relative_to(PACKAGE).as_posix(): path for path in sorted(PACKAGE.rglob("*.py"))}

# A module imports from its own line and from those above it.
LAYERS = [
    ["symbols", "shapes", "devices", "meters", "checks", "style", "closure", "notebook"],
    ["vega", "tensors", "store", "labels", "lab", "panel", "processes"],
    ["evidence"],
    ["claims"],
    ["formula"],
    ["derivation", "layer", "explorable"],
    ["attention", "positions", "baselines"],
    ["tasks"],
    ["models", "training"],
    ["runs"],
    ["experiments"],
    ["gallery"],
    ["chapters"],
    ["cli"],
    ["__init__"],
]
LAYER = {name: number for number, names in enumerate(LAYERS) for name in names}

HEAVY = ["torch", "sympy", "numpy", "altair", "matplotlib", "ipywidgets", "IPython", "yaml"]
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


@pytest.mark.alone
def test_importing_the_package_loads_nothing_heavy_and_takes_no_time():
    """`attention-limits --help` took seconds, because somebody imported PyTorch at the top."""
    runs = []
    for _ in range(9):  # of which the fastest counts: the machine may be busy for a while
        done = subprocess.run([sys.executable, "-c", PROBE], capture_output=True, check=True)
        runs.append(json.loads(done.stdout))
    assert [loaded for _, loaded in runs] == [[]] * 9
    assert min(seconds for seconds, _ in runs) < 0.1


# --- one way ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", MODULES)
def test_imports_go_one_way(name):
    """A lower layer imported from a higher one: the way to circles that nobody can cut."""
    layer = LAYER[parts(name)[0]]
    for other in imported(MODULES[name]):
        assert LAYER[other.split(".")[0]] <= layer, f"{name} imports {other}"


# --- definitions in NumPy, computations in PyTorch ---------------------------------------

DOORS = {
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
    for door in DOORS.keys() & functions.keys():
        used = {origin.get(used) for used in touched(door, functions)}
        assert DOORS[door] not in used, f"{name}: {door} touches {DOORS[door]}"


def test_every_mechanism_has_been_looked_at():
    """The scan looked for doors where there are none."""
    assert "attention/dense.py" in MECHANISMS
    tree = ast.parse(MODULES["attention/dense.py"].read_text())
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    used = {door: touched(door, functions) for door in ("define", "attend")}
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
