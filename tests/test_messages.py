"""What a refusal says: which argument, what would be right, and what came."""

import ast
import re

import pytest
from helpers.sources import ROOT, modules

# "n must be an integer of at least 0, got -1". A name may be made at run time, and be told by
# where it stands: "rows of cell 'a' must …".
FORM = re.compile(r"^(--)?[\w{}.'’ ]+ must .+, got .", re.DOTALL)
# What is at fault there is no argument: a file, which is told by its place, and what to do with it.
OF_FILES = {
    "attention_limits/claims.py",
    "attention_limits/runs/records.py",
    "attention_limits/terms.py",
}


def text(node):
    """The words of a message, with {} for what is filled in."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(map(text, node.values))
    if isinstance(node, ast.BinOp):
        return text(node.left) + text(node.right)
    return "{}"


def messages(source):
    """Line and words of each refusal."""
    for node in ast.walk(ast.parse(source)):
        called = isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call)
        if called and getattr(node.exc.func, "id", None) == "ValueError":
            yield node.lineno, text(node.exc.args[0]) if node.exc.args else ""


@pytest.mark.parametrize("name", sorted({*map(str, modules("attention_limits"))} - OF_FILES))
def test_a_refusal_names_the_argument_and_says_what_is_right_and_what_came(name):
    for line, words in messages((ROOT / "code" / name).read_text(encoding="utf-8")):
        assert FORM.match(words), f"{name}, line {line}: {words!r} must be 'NAME must …, got …'"


@pytest.mark.parametrize(
    ("words", "fits"),
    [
        ("'n must be at least 0, got -1'", True),
        ("f'{name} must be {wanted}, got {value!r}'", True),
        ("f'{name} must be {wanted}; {value!r}'", False),
        ("'n is no integer'", False),
        ("message", False),
        ("", False),
    ],
)
def test_another_form_is_seen(words, fits):
    [(_, found)] = messages(f"raise ValueError({words})")
    assert bool(FORM.match(found)) == fits
