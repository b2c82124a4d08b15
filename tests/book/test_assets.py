"""What a page loads."""

from types import SimpleNamespace

import pytest

from attention_limits_book import assets


def test_an_edited_style_sheet_reaches_the_book(tmp_path):
    """Sphinx copies no asset in a build that writes no page: the fingerprint must change."""
    sheet, script = tmp_path / "book.css", tmp_path / "figures.js"
    sheet.write_text("p {}")
    script.write_text("")
    before = assets.fingerprint(tmp_path)
    assert assets.fingerprint(tmp_path) == before
    sheet.write_text("p { color: red }")
    edited = assets.fingerprint(tmp_path)
    script.unlink()
    assert len({before, edited, assets.fingerprint(tmp_path)}) == 3


@pytest.mark.parametrize(
    "script",
    [
        SimpleNamespace(filename=None, attributes={"body": "var THEBE_JS_URL = 'https://cdn.org'"}),
        SimpleNamespace(filename="https://cdn.org/thebe.js", attributes={}),
        SimpleNamespace(filename="thebe.js", attributes={"body": None}),
    ],
)
def test_no_page_names_what_starts_kernels_elsewhere(script):
    """The theme loads it on each page, in use or not."""
    own = SimpleNamespace(filename="explorables.js", attributes={"body": "explorables"})
    context = {"script_files": [own, script]}
    assets._without_thebe(None, "index", "page.html", context, None)
    assert context["script_files"] == [own]


def test_an_arrow_that_unfolds_a_chapter_has_a_name():
    """A screen reader says "button" and not what it is for."""
    made = "<details><summary><i></i></summary></details>"
    context = {"generate_toctree_html": lambda kind, depth: made if depth else None}
    assets._with_named_buttons(None, "index", "page.html", context, None)
    make = context["generate_toctree_html"]
    assert make("sidebar", depth=1).startswith("<details><summary aria-label=")
    assert make("sidebar", depth=0) == ""
    assets._with_named_buttons(None, "search", "page.html", {}, None)
