"""Every lab of the chapters, found by itself: what whoever has no kernel sees of it."""

import pytest
from bs4 import BeautifulSoup
from helpers.chapter_parts import functions

from attention_limits.lab import Lab
from attention_limits.notebook import STILL

LABS = functions("lab", Lab)


def test_all_are_found():
    """The search went past a chapter, and its lab went untried."""
    chapters = {"locality.train_it", "positional_encodings.train_it", "quadratic_cost.time_it"}
    assert chapters <= LABS.keys()


@pytest.mark.parametrize("make", LABS.values(), ids=LABS)
def test_on_a_page_it_is_a_figure_with_a_date_and_no_control(make, monkeypatch):
    """A dead button in the published book, or nothing where the lab should be."""
    monkeypatch.setenv(STILL, "1")
    page = BeautifulSoup(make()._repr_mimebundle_()["text/html"], "html.parser")
    assert page.select_one('figure.plot [role="img"]')["aria-label"]
    assert "recorded on" in page.figcaption.get_text()
    assert (
        page.select("input, select, button, textarea, [onclick], [tabindex]:not([role=img])") == []
    )
