"""What a page loads."""

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
