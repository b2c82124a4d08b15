"""The book's words: that a reader finds each of them, defined once, where the list says."""

import re

import pytest
import yaml
from helpers.sources import ROOT, pages

from attention_limits import terms

BOOK = terms.book()
PAGES = pages("chapters")


@pytest.mark.parametrize("term", BOOK.values(), ids=BOOK)
def test_a_meaning_fits_a_card(term):
    """A card beside the mouse showed dollar signs and backticks, or half a page."""
    assert not re.search(r"[$`*_{}\\]", term.meaning)
    assert re.fullmatch(r"[A-Z].*[.]", term.meaning)
    assert len(term.meaning.split()) <= 45
    assert "  " not in term.meaning


@pytest.mark.parametrize("term", BOOK.values(), ids=BOOK)
def test_a_meaning_is_none_by_the_word_itself(term):
    """A reader who looks up prefill is told that it is prefill."""
    assert term.meaning.casefold().split()[0] != term.term.casefold()
    assert len(term.meaning.split()) >= 6


@pytest.mark.parametrize("term", BOOK.values(), ids=BOOK)
def test_a_term_is_introduced_on_a_page_that_there_is(term):
    """The entry led to a page that was renamed."""
    assert not term.page or term.page in PAGES


@pytest.mark.parametrize("term", BOOK.values(), ids=BOOK)
def test_a_page_has_in_bold_what_it_introduces(term):
    """The list sends a reader to a page that never says what the word means."""
    if term.page:
        text = PAGES[term.page].read_text(encoding="utf-8")
        prose = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
        bold = re.findall(r"\*\*(.+?)\*\*", prose, flags=re.DOTALL)
        assert any(map(term.is_called, bold)), f"{term.page} must have {term.names} in bold"


def test_a_term_is_known_by_its_names():
    """A page had "keys" in bold, or a kernel without its brackets, and was taken for silent."""
    assert BOOK["key"].is_called("Keys")
    assert BOOK["kernel (program)"].is_called("kernel")
    assert BOOK["vector–Jacobian product"].is_called("vector-Jacobian\nproducts")
    assert BOOK["backward pass"].is_called("backward passes")
    assert not BOOK["key"].is_called("keyboard")


def test_no_two_terms_share_an_anchor():
    """A link led to the other one."""
    anchors = [term.anchor for term in BOOK.values()]
    assert len(set(anchors)) == len(anchors)


def test_terms_are_in_the_order_of_the_alphabet():
    """A reader looked for HBM between SETH and FLOP."""
    entries = yaml.safe_load((ROOT / "code/attention_limits/terms.yml").read_text("utf-8"))
    names = [entry["term"] for entry in entries]
    assert names == sorted(names, key=str.casefold)
    assert names == list(BOOK)


ONE = {"term": "head", "meaning": "One of several attentions."}
REFUSED = {
    "no list": ({"head": "One."}, "a list of terms is wanted"),
    "no name": ([{"meaning": "One."}], "must have a name"),
    "no meaning": ([{"term": "head"}], "'head': meaning must be some text"),
    "another field": ([{**ONE, "see": "key"}], "'head': field 'see' is not known"),
    "one other name": ([{**ONE, "also": "MHA"}], "'head': also must be a list of names"),
    "twice": ([ONE, {"term": "heads", "meaning": "More.", "also": ["Head"]}], "the name 'head'"),
}


@pytest.mark.parametrize(("entries", "message"), REFUSED.values(), ids=REFUSED)
def test_a_list_that_does_not_add_up_is_refused(tmp_path, entries, message):
    """A misspelt field was dropped in silence."""
    path = tmp_path / "terms.yml"
    path.write_text(yaml.safe_dump(entries))
    with pytest.raises(ValueError, match=message):
        terms.load(path)
