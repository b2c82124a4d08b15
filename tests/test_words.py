"""The field's words: pages and public docstrings say what a reader finds in papers.

A reader searches for "backward pass" and finds nothing on a page that says "way back".
"""

import ast
import re
from pathlib import Path

import pytest
from helpers.sources import ROOT, modules, pages

# What not to say, as a pattern, and what to say.
WORDS = {
    r"(?:the|its|on the|a) way back": "the backward pass",
    r"(?:the|on the) way there": "the forward pass",
    r"h(?:a|u)ngs? on": "depends on",
    r"hanging on": "depending on",
    r"dear(?:er|est)?": "expensive, slow",
    r"hardly hears?": "depends only weakly on",
    r"news from": "information from",
    r"in (?:its|their) stride": "say what happens",
    r"turn(?:s|ed)? (?:it|with a slider)(?! into)": "move the slider",
    r"numbers? moved": "memory traffic",
    r"(?:long|short|longer|shorter|random|new) texts?": "sequence",
    r"(?:length|start|end) of (?:a|the) texts?": "sequence",
    r"texts of": "sequences of",
    r"writ(?:e|es|ing|ten) (?:a|the|long|n) (?:long )?(?:texts?|tokens?)": "decoding, generating",
    r"might as well have": "say what holds",
    r"in use": "at inference",
}  # fmt: skip
SPACE = r"\s+"  # a phrase may be broken by the end of a line
BANNED = {
    re.compile(rf"\b{said.replace(' ', SPACE)}\b", re.IGNORECASE): say
    for said, say in WORDS.items()
}

PAGES = {
    "index": ROOT / "index.md",
    "README": ROOT / "README.md",
    **pages("chapters", "library"),
}
MODULES = {
    Path("code", name).as_posix(): ROOT / "code" / name for name in modules("attention_limits")
}


def faults(text):
    """What a text says and should not, in lines of its own: ``'hangs on': say depends on``."""
    return "\n".join(
        f"{found[0]!r}: say {say}" for said, say in BANNED.items() for found in said.finditer(text)
    )


def prose(page):
    """A page without its code, its mathematics, and what is quoted from elsewhere."""
    return re.sub(r"^```.*?^```|\$[^$]+\$|`[^`\n]+`", " ", page, flags=re.DOTALL | re.MULTILINE)


def docstrings(source):
    """The public docstrings of a module, its own included."""
    nodes = [ast.parse(source)]
    while nodes:
        node = nodes.pop()
        yield ast.get_docstring(node) or ""
        nodes += [
            child
            for child in node.body
            if isinstance(child, ast.ClassDef | ast.FunctionDef) and not child.name.startswith("_")
        ]


@pytest.mark.parametrize("path", PAGES.values(), ids=PAGES)
def test_a_page_uses_the_words_of_the_field(path):
    """What a reader cannot search for, or cannot read twice and be sure."""
    assert not faults(prose(path.read_text(encoding="utf-8")))


@pytest.mark.parametrize("path", MODULES.values(), ids=MODULES)
def test_a_docstring_uses_the_words_of_the_field(path):
    """The library's pages are made of these."""
    assert not faults("\n".join(docstrings(path.read_text(encoding="utf-8"))))


@pytest.mark.parametrize(
    "said",
    [
        "The way back costs twice the way there.",
        "A score hangs on the distance.",
        "Longer texts are dearer.",
        "Below, it is turned\nwith a slider.",
        "In use, nobody writes a long text without a cache.",
    ],
)
def test_what_is_banned_is_seen(said):
    """The patterns find nothing, whatever is written."""
    assert faults(said)


@pytest.mark.parametrize(
    "said",
    ["endeared", "the backward pass", "in useful units", "the text field", "changing one number"],
)
def test_what_is_no_such_word_is_let_be(said):
    """A part of a word, or a word that means something else, was refused."""
    assert not faults(said)
