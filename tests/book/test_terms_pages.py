"""Links to terms and their cards, the index of terms, and the lists, as readers get them."""

import itertools
import json
import re

import pytest
from bs4 import BeautifulSoup
from helpers.small_book import Book
from helpers.sources import HEADER

from attention_limits import terms
from attention_limits.symbols import TABLE
from attention_limits_book import faces, notebooks
from attention_limits_book.terms import HOME, _by_name, _pattern

FIRST = """\
# A KV cache in a heading

Below, `prefill` is code and $n$ is none. Prefill comes before
decoding, which reads a KV
cache. Another KV cache, and prefill again.

| table |
|---|
| throughput |

Multi-query attention has a name of its own, and a [fused kernel](second.md) is a link.
A `key` in {term}`its own sense <key>`; {term}`HBM`, and HBM once more. High-bandwidth
memory is the same. This is about **latency**, and latency is not linked. Prefilled is another word.
"""
SECOND = """\
# Attention

Softmax at first.

## Weights

A **softmax** makes weights. Gradients vanish; Jacobians do not.
"""


@pytest.fixture(scope="module")
def book(tmp_path_factory):
    """A page that uses terms, one that introduces some, and a home for the list."""
    book = Book(tmp_path_factory.mktemp("terms"))
    book.write("chapters/first.md", FIRST)
    book.write("chapters/attention.md", SECOND)
    book.write("chapters/second.md", "# Second\n\nNothing.\n")
    book.write(f"{HOME}.md", "# Terms\n\nWords such as prefill.\n")
    book.claim()
    book.contents("chapters/first", "chapters/attention", "chapters/second", HOME)
    built = book.build()
    assert built.status == 0, built.output
    return book


def links(book, page):
    page = BeautifulSoup(book.html(page), "html.parser")
    return {" ".join(link.get_text().split()): link for link in page.select("article a.term")}


def test_the_first_use_of_a_term_is_a_link(book):
    """None is, or each is; a heading, code, a table, a link or a definition is linked within."""
    assert [*links(book, "chapters/first")] == [
        "Prefill",
        "decoding",
        "KV cache",
        "Multi-query attention",
        "its own sense",
        "HBM",
    ]
    assert links(book, HOME) == {}


def test_a_link_leads_to_the_entry_and_says_what_it_means(book):
    """It leads to the top of the list, or shows the meaning of another term."""
    found = links(book, "chapters/first")
    for words, name in {"Prefill": "prefill", "its own sense": "key", "HBM": "HBM"}.items():
        term = terms.book()[name]
        assert found[words]["href"] == f"notation.html#{term.anchor}"
        assert found[words]["title"] == term.meaning
    assert found["Multi-query attention"]["href"].endswith("#term-grouped-query-attention")


def test_a_page_does_not_send_away_from_what_it_introduces(book):
    """The reader of a definition is offered another one."""
    assert [*links(book, "chapters/attention")] == ["Jacobians"]


def test_a_search_leads_to_the_section_that_introduces_a_term(book):
    """Whoever looks for a term lands at the top of a long page, or on one that only uses it."""
    script = book.file("_build/html/searchindex.js").read_text(encoding="utf-8")
    index = json.loads(re.fullmatch(r"Search\.setIndex\((.*)\)", script, flags=re.DOTALL)[1])
    [[page, place, is_main]] = index["indexentries"]["softmax"]
    assert (index["docnames"][page], place, is_main) == ("chapters/attention", "weights", True)
    [[_, place, _]] = index["indexentries"]["temperature"]  # the page does not have it in bold
    assert place == ""
    assert "prefill" not in index["indexentries"]  # its page is not in this book


def found_in(text):
    return [_by_name()[" ".join(m[0].lower().split())].term for m in _pattern().finditer(text)]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a backward\npass", ["backward pass"]),
        ("Backward passes", ["backward pass"]),
        ("KV caches", ["KV cache"]),
        ("kV cache", ["KV cache"]),
        ("the softmaxed", []),
        ("online softmax", ["online softmax"]),
        ("FlashAttention-3", []),
        ("pre-prefill", []),
        ("a key, a value and a state", []),
    ],
)
def test_whole_words_are_terms_and_the_longest_wins(text, found):
    """A part of a word was linked, or "softmax" within "online softmax"."""
    assert found_in(text) == found


def test_a_notebook_has_both_lists_and_plain_words():
    """The page was downloaded with directives in it."""
    page = f"{HEADER}# Words\n\nA {{term}}`KV cache`.\n\n```{{term-list}}\n```\n\n"
    introduced = [*terms.book().values(), *itertools.chain(*TABLE.values())]
    notebook = notebooks.convert(
        page + "```{notation-table}\n```\n",
        faces=faces.IN_NOTEBOOKS,
        claims={},
        references={},
        page_titles={one.page: "A page" for one in introduced if one.page},
    )
    text = "\n".join(cell.source for cell in notebook.cells)
    assert "A KV cache." in text
    for term in terms.book().values():
        assert f"- **{term.term}**: {term.meaning}" in text
    for heading, rows in TABLE.items():
        assert f"### {heading}\n" in text
        units = any(row.unit for row in rows)
        written = (f" | {row.words} | {f'{row.unit} | ' if units else ''}" for row in rows)
        assert all(row in text for row in written)
