"""What the reader believes of a claim, from the question to her score, as she meets it."""

import json

import pytest

from attention_limits import claims

pytestmark = pytest.mark.browser

OPENING, VERDICTS = "chapters/quadratic-cost/index.html", "chapters/verdicts.html"
ARGUED = {claim.id: claim.verdict for claim in claims.load().values() if claim.verdict != "open"}
CLAIM = "cost-time"
KEY = "attention-limits.beliefs"


def card_page(tab):
    """Where the opening page says that the claim is argued."""
    return tab.page.locator(f'a[href$="#claim-{CLAIM}"]').first.evaluate("link => link.href")


@pytest.mark.parametrize("scheme", ["http", "file"])
def test_what_she_says_is_on_the_card_and_counts(address, open_tab, scheme):
    """Chosen with the keyboard on one page, lost on the next, or counted wrongly."""
    tab = open_tab(address(scheme, OPENING))
    first = tab.page.locator(f'.belief[data-claim="{CLAIM}"] input').first
    first.focus()
    tab.page.keyboard.press("Space")
    tab.page.keyboard.press("ArrowRight")
    assert tab.page.evaluate(f'JSON.parse(localStorage["{KEY}"])') == {CLAIM: "qualified"}
    argued, verdicts = (open_tab(url) for url in (card_page(tab), address(scheme, VERDICTS)))
    card = argued.page.locator(f"#claim-{CLAIM} .belief-said")
    assert card.text_content() == "you said: qualified"
    score = verdicts.page.locator(".belief-score")
    right = int(ARGUED[CLAIM] == "qualified")
    assert f"judged 1 of {len(ARGUED)} claims" in score.text_content()
    assert f"agrees with {right} of your 1 answers" in score.text_content()
    assert verdicts.page.locator(".claim-row .belief-said").count() == 1
    verdicts.page.get_by_role("button", name="Forget my answers").click()
    assert score.is_hidden()
    assert verdicts.page.locator(".belief-said").count() == 0
    for each in (tab, argued, verdicts):
        assert not each.noise
        each.close()


def test_touch_and_every_claim_of_the_chapter(address, open_tab):
    """On a phone each question is there, and its answers are large enough to be met."""
    tab = open_tab(address("file", OPENING), width=390, theme="dark")
    asked = tab.page.locator(".belief").evaluate_all("all => all.map(e => e.dataset.claim)")
    own = [claim.id for claim in claims.load().values() if claim.chapter == "quadratic-cost"]
    assert asked == own
    heights = tab.page.locator(".belief label").evaluate_all(
        "all => all.map(e => e.getBoundingClientRect().height)"
    )
    assert len(heights) == 3 * len(own)
    assert min(heights) >= 24
    tab.page.locator(f'.belief[data-claim="{CLAIM}"] label').first.click()
    assert tab.page.evaluate(f'JSON.parse(localStorage["{KEY}"])') == {CLAIM: "holds"}
    tab.close()


def test_another_tab_hears_of_it(address, open_tab):
    """Two pages open side by side say different things."""
    tab, other = (open_tab(address("http", OPENING)) for _ in range(2))
    tab.page.locator(f'.belief[data-claim="{CLAIM}"] input[value="false"]').check()
    other.page.wait_for_selector(f'.belief[data-claim="{CLAIM}"] input[value="false"]:checked')
    other.page.close()
    tab.close()


@pytest.mark.parametrize("kept", ["[", "null", json.dumps({CLAIM: "nonsense", "gone": "holds"})])
def test_what_is_no_answer_does_no_harm(address, open_tab, kept):
    """Something else stands under the book's name in the browser, or answers of an old ledger."""
    tab = open_tab(address("http", OPENING))
    tab.page.evaluate("([key, kept]) => localStorage.setItem(key, kept)", [KEY, kept])
    tab.page.reload()
    assert tab.page.locator(".belief fieldset").count() == tab.page.locator(".belief").count()
    assert tab.page.locator(".belief input:checked").count() == 0
    assert not tab.noise
    tab.close()


def test_without_scripts_nothing_is_hidden_and_no_control_is_dead(address, open_tab):
    tab = open_tab(address("file", OPENING), javascript=False)
    assert tab.page.locator(".at-stake p").first.is_visible()
    assert tab.page.locator(".at-stake input, .belief fieldset").count() == 0
    tab.page.close()


def test_an_old_address_leads_to_the_chapter(address, open_tab):
    """Links to the page of one chapter that is now several, and to a claim on it."""
    tab = open_tab(address("http", f"chapters/quadratic-cost.html#claim-{CLAIM}"))
    tab.page.wait_for_url(f"**/{OPENING}#claim-{CLAIM}")
    assert tab.page.locator(f"#claim-{CLAIM}").count() == 1
    tab.close()
