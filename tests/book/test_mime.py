"""An explorable on a page, as MyST-NB asks for it."""

import json
from types import SimpleNamespace

from bs4 import BeautifulSoup
from helpers.built import makers

from attention_limits.notebook import MIME
from attention_limits_book.mime import FigureRenderer


def test_shown_twice_on_a_page_it_is_two_figures():
    """A link led to the first of them, or a picture was clipped by the other one's frame."""
    payload = makers()["quadratic_cost.flops.first_slider"]().payload()
    data = SimpleNamespace(mime_type=MIME, content=json.dumps(payload))
    page = SimpleNamespace(renderer=SimpleNamespace(document=SimpleNamespace(ids={})))
    shown = [FigureRenderer.handle_mime(page, data, False)[0].astext() for _ in range(2)]
    both = BeautifulSoup("".join(shown), "html.parser")
    ids = [element["id"] for element in both.select("[id]")]
    assert len(ids) == len(set(ids))
    assert [f["id"] for f in both.select("figure")] == ["first-slider", "first-slider-2"]


def test_what_is_not_ours_is_left_to_others():
    """A number in a sentence became a figure, or a table was taken for one."""
    data = SimpleNamespace(mime_type=MIME, content="{}")
    assert FigureRenderer.handle_mime(None, data, True) is None
    data.mime_type = "text/html"
    assert FigureRenderer.handle_mime(None, data, False) is None
