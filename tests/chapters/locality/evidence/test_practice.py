"""The page on practice: its evidence, and that its table is what its numbers come from."""

from pathlib import Path

import pytest
import torch
from helpers.chapter_parts import (
    assert_all_found,
    assert_holds_by_no_accident,
    assert_refuses_rivals,
    pieces_in,
)

from attention_limits.chapters.locality.derivations import practice as derivations
from attention_limits.chapters.locality.evidence import practice as evidence
from attention_limits.chapters.locality.hybrids import HYBRIDS

PIECES = pieces_in(evidence)
ROOT = Path(__file__).parents[4]


def test_all_pieces_are_found():
    """One that a claim names was not among those that are tried below."""
    assert_all_found(PIECES, "practice")


@pytest.mark.parametrize("piece", PIECES, ids=lambda piece: piece.__name__)
def test_it_holds_and_is_no_accident(piece):
    """A second run found another number; or a bound is so wide that nothing would cross it."""
    assert_holds_by_no_accident(piece)


@pytest.mark.parametrize("piece", PIECES, ids=lambda piece: piece.__name__)
def test_it_refuses_its_rivals(piece):
    """No claim names these pieces, so that no other test tries their rivals."""
    assert_refuses_rivals(piece)


@pytest.mark.parametrize("local", [evidence.masked, evidence.viewed])
def test_what_holds_more_computes_the_same(local):
    """A rival was refused for its memory, and had computed something else."""
    tokens = [evidence.PROMPT, 1, 1]
    out, _ = evidence.streamed(local, tokens)
    due, _ = evidence.streamed(evidence.windowed, tokens)
    torch.testing.assert_close(out, due)


def rows_of_the_page():
    """The table of models: name, year, layers, window, share, source."""
    page = (ROOT / "chapters/locality/practice.md").read_text(encoding="utf-8")
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in page.splitlines()]
    return {row[0]: row[2:] for row in rows if len(row) == 6 and row[1].isdigit()}


def test_the_table_lists_what_is_computed():
    """A model was renamed or moved on the page, and another's share stood in its row."""
    assert [*rows_of_the_page()] == [*HYBRIDS]


@pytest.mark.parametrize("name", HYBRIDS)
def test_a_row_says_what_its_share_is_of(name):
    """The page and its numbers told two stories of one model."""
    layers, window, _, source = rows_of_the_page()[name]
    hybrid = HYBRIDS[name]
    assert layers == f"{hybrid.windowed} : {hybrid.full}"
    assert window == f"{hybrid.window:,}"
    assert hybrid.source in source


def test_the_share_of_a_model_is_the_derived_one():
    """Two ways to a share of the cache, one of which knows models without global layers."""
    hybrid = HYBRIDS["Gemma-3 27B"]
    sizes = dict(full=hybrid.full, layers=hybrid.full + hybrid.windowed, w=hybrid.window)
    for n in (100, 1023, 1024, 131_072):
        assert hybrid.share(n) == pytest.approx(derivations.SHARE(n=n, **sizes))


def test_what_is_kept_is_memory_and_counted_once():
    """Keys and values were parts of one tensor, whose memory was counted for each of them."""
    whole = torch.zeros(3, 10, 8)
    assert evidence.kept((whole[0], whole[1])) == whole.nbytes
    assert evidence.kept((whole[0, -2:].clone(), torch.zeros(2, 8))) == 2 * 2 * 8 * 4
    _, state = evidence.streamed(evidence.masked, [20])
    assert evidence.kept(state) == 2 * 20 * evidence.WIDTH * 4
