"""What a page's print button gives."""

import io

import pytest
from helpers.printed import all_of, colours
from pypdf import PdfReader

pytestmark = pytest.mark.browser

WITH_CHECKS, WITH_SLIDERS = "chapters/proofs.html", "index.html"
BADGE = (1.0, 1.0, 1.0)  # white, on a colour that is printed with it
FAINTEST = 4.5  # WCAG's contrast for text


def luminance(colour):
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour]
    return sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def printed(tab):
    return PdfReader(io.BytesIO(tab.page.pdf(format="A4", print_background=True)))


def test_a_dark_page_prints_dark_on_white_with_all_that_was_folded(address, open_tab):
    """Light grey on white, proofs folded away, and afterwards a page in another theme."""
    tab = open_tab(address("http", WITH_CHECKS), theme="dark")
    folds = tab.page.locator("article details:not(.d-print-none)")
    folded = folds.evaluate_all("folds => folds.map(({ open }) => open)")
    assert not all(folded)
    pdf = printed(tab)
    faint = {c for c in colours(pdf) - {BADGE} if 1.05 / (luminance(c) + 0.05) < FAINTEST}
    assert not faint
    text = "".join(all_of(pdf).split())
    inside = folds.locator(":scope > :not(summary)").all_text_contents()
    for words in [*inside, *tab.page.locator(".solution p").all_text_contents()]:
        assert "".join(words.split())[:20] in text
    assert "codecell" not in text
    assert folds.evaluate_all("folds => folds.map(({ open }) => open)") == folded
    assert tab.page.evaluate("document.documentElement.dataset.theme") == "dark"
    assert not tab.noise
    tab.close()


def test_a_figure_prints_as_its_reader_left_it(address, open_tab):
    """What was printed was where the sliders once began, or a chart without its numbers."""
    tab = open_tab(address("http", WITH_SLIDERS))
    began = tab.page.locator("figure.explorable .explorable-setting").text_content()
    tab.wake()
    tab.page.locator(".explorable-slider input").first.press("End")
    tab.page.wait_for_function(
        "began => document.querySelector('.explorable-setting').textContent !== began", arg=began
    )
    text = "".join(all_of(printed(tab)).split())
    for part in (".explorable-setting", ".explorable-readouts", "tbody"):
        words = tab.page.locator(f"figure.explorable {part}").first.text_content()
        assert "".join(words.split()) in text
    assert "".join(began.split()) not in text
    assert "Reset" not in text
    tab.close()
