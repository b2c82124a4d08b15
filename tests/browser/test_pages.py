"""Every page, opened as readers open it: quiet, offline, accessible, and without dead ends."""

import functools
import re
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit

import lxml.html
import nbformat
import pytest
from axe_playwright_python.sync_playwright import Axe
from helpers.built import BOOK, figures, listings, loads, makes, pages, soup, written
from helpers.selection import in_turn, today
from helpers.windows import WIDTHS

pytestmark = pytest.mark.browser

DESKTOP, POCKET = ("http", 1280, "light"), ("file", 390, "dark")


def visits(way, often):
    """Visits to each page; to those that are not among the ones to be seen often, `make deep`.

    And so to the listings of code, which are of one make.
    """
    return [
        (page, way) if page in often else pytest.param((page, way), marks=pytest.mark.deep)
        for page in (*pages(), *listings())
    ]


# What a script fetches when a figure comes near.
LATER = {"_static/vega.js"}

# Every page as most readers see it; from disk, on a phone in the dark, one of each make.
VISITS = [*visits(DESKTOP, pages()), *visits(POCKET, makes())]
# The header's buttons come from the script of all pages.
OF_EACH_MAKE = [*visits(DESKTOP, makes()), *visits(POCKET, makes())]

# Preloading would fetch style sheets again, and nobody reads the paths to what was found.
AXE = {"preload": False, "resultTypes": ["violations"], "selectors": False}
COLOURS = ["color-contrast", "link-in-text-block"]
ALSO = {"target-size": {"enabled": True}}  # 24 pixels, for a thumb: axe asks only who asks for it
STRUCTURE = {**AXE, "rules": {rule: {"enabled": False} for rule in COLOURS} | ALSO}
CONTRAST = {**AXE, "runOnly": COLOURS}
FETCHED = {"img": "src", "script": "src", "link": "href", "iframe": "src", "source": "src"}


def visit_id(visit):
    page, way = visit
    return "-".join(map(str, (page, *way)))


def page_of(tab):
    """Which page is open over http, by its path from the book's root."""
    return urlsplit(tab.page.url).path.lstrip("/")


@pytest.fixture(scope="module", params=pages())
def name(request, book):
    return request.param


@pytest.fixture(scope="module", params=VISITS, ids=visit_id)
def tab(request, book, address, open_tab):
    """A page, all of its figures alive. Tests share it: those that change it stand last."""
    page, (scheme, width, theme) = request.param
    tab = open_tab(address(scheme, page), width=width, theme=theme)
    tab.wake()
    yield tab
    tab.close()


# --- In the browser ---------------------------------------------------------------------------


def test_is_quiet(tab):
    """An error, a warning or a failed request in the reader's console."""
    assert not tab.noise


def test_asks_nobody_else(tab):
    """A request to a host other than the book's own: dead offline, and it tells on the reader."""
    home = f"{urlsplit(tab.page.url).scheme}://{urlsplit(tab.page.url).netloc}/"
    home = home if home.startswith("http") else BOOK.as_uri()
    assert not [url for url in tab.requests if not url.startswith((home, "data:", "blob:"))]


@pytest.mark.parametrize("tab", visits(DESKTOP, pages()), indirect=True, ids=visit_id)
def test_loads_what_is_weighed(tab):
    """A file that the page fetches by a way of its own, and whose weight no test looks at."""
    page = page_of(tab)
    asked = {urlsplit(url).path.lstrip("/") for url in tab.requests if url.startswith("http")}
    assert asked - loads(page) <= LATER
    assert all(name.endswith((".woff", ".png", ".svg")) for name in loads(page) - asked)


def test_figures_have_words(tab):
    """An image, drawing or figure that says nothing to whoever does not see it."""
    silent = tab.page.evaluate("""() => {
        const words = (e, name) => (e.getAttribute(name) ?? "").trim();
        const hidden = '[aria-hidden="true"]';
        const told = (e) => [e.closest('[role="img"]')].some((up) => up && words(up, "aria-label"));
        const icon = (e) => e.closest("button") || (e.closest(hidden) && !e.closest("figure"));
        return [
            ...[...document.querySelectorAll("article img")].filter((e) => !words(e, "alt")),
            ...[...document.querySelectorAll("article svg")].filter((e) => !told(e) && !icon(e)),
            ...[...document.querySelectorAll("article canvas")].filter((e) => !told(e)),
            ...[...document.querySelectorAll("article figure")].filter(
                (e) => !e.querySelector("figcaption")?.textContent.trim()),
            ...[...document.querySelectorAll('[role="img"]')].filter(
                (e) => !words(e, "aria-label") && !icon(e)),
        ].map((e) => e.outerHTML.slice(0, 160));
    }""")
    assert not silent


def test_no_link_or_label_is_ambiguous(tab):
    """Two elements of one id, and something that refers to it: it finds the wrong one."""
    ambiguous = tab.page.evaluate("""() => {
        const elements = new Map();
        for (const e of document.querySelectorAll("[id]")) {
            elements.set(e.id, (elements.get(e.id) ?? new Set()).add(e.outerHTML));
        }
        const pointers = ["href", "xlink:href", "for", "clip-path", "fill", "mask",
            "aria-labelledby", "aria-describedby", "aria-controls"];
        const meant = new Set([...document.querySelectorAll("body *")].flatMap((e) =>
            pointers.flatMap((name) => (e.getAttribute(name) ?? "").match(/[\\w-]+/g) ?? [])));
        return [...elements].filter(([id, all]) => all.size > 1 && meant.has(id)).map(([id]) => id);
    }""")
    assert not ambiguous


def test_no_control_without_a_figure(tab):
    """An input that needs a kernel, which the page does not have."""
    strays = tab.page.evaluate("""() =>
        [...document.querySelectorAll("article :is(input, select, textarea, [role=slider])")]
        .filter((e) => e.checkVisibility() && !e.closest(".explorable, .belief, .bd-search"))
        .map((e) => e.outerHTML)""")
    assert not strays


def test_nothing_is_cut_or_too_small(tab):
    """The page scrolls sideways, or a word, a formula, a button ends where nothing scrolls."""
    assert not tab.stumbles()


# Those with sliders are made narrow where their charts have to follow: test_live_explorables.py.
STILL = {*pages()} - {page for page, _ in figures()}


@pytest.mark.parametrize("tab", visits(DESKTOP, STILL), indirect=True, ids=visit_id)
def test_fits_its_window(tab):
    """There it scrolled sideways, or the words of a still figure shrank with it, to 9 pixels."""
    check_windows(tab, in_turn(page_of(tab), WIDTHS, today()))


@pytest.mark.deep
@pytest.mark.parametrize("tab", visits(DESKTOP, ()), indirect=True, ids=visit_id)
def test_fits_every_window(tab):
    """The same in all widths, of which each day has two, and with all folds open."""
    tab.unfold()
    check_windows(tab, WIDTHS)


def check_windows(tab, widths):
    found = {}
    for width in widths:
        tab.resize(width)
        if stumbles := tab.stumbles():
            found[width] = stumbles
    assert not found


# Which page is asked in which window, and in which of the themes, is a matter of the day.
ASKED_IN, THEMES = WIDTHS[::4], ("light", "dark")


def visits_of_today(ways):
    """Visits to the pages that are looked at today in one of some ways."""
    return visits(DESKTOP, {page for page in pages() if in_turn(page, ways, today())})


@pytest.mark.parametrize("tab", visits_of_today(ASKED_IN), indirect=True, ids=visit_id)
def test_is_accessible(tab):
    """Something that readers with a screen reader, a keyboard or weak eyes cannot use."""
    tab.unfold()
    found = {}
    for width in in_turn(page_of(tab), ASKED_IN, today()) or ASKED_IN:  # all, in `make deep`
        tab.resize(width)
        tab.page.evaluate(THIN)
        found[width] = violations(tab, STRUCTURE)
    assert not any(found.values()), found


@pytest.mark.parametrize("tab", visits_of_today(THEMES), indirect=True, ids=visit_id)
def test_contrast(tab):
    """A colour that is not legible, or on white alone."""
    tab.unfold()
    tab.page.evaluate(THIN)
    tab.page.evaluate(ONE_OF_EACH)
    found, asked_for = {}, tab.page.evaluate("document.documentElement.dataset.theme")
    for theme in in_turn(page_of(tab), THEMES, today()) or THEMES:
        ask_for(tab, theme)
        found[theme] = violations(tab, CONTRAST)
    ask_for(tab, asked_for)
    assert not any(found.values()), found


def violations(tab, options):
    """What axe finds, in its words."""
    found = Axe().run(tab.page, options=options).response["violations"]
    return "\n".join(
        f"{v['impact']} {v['id']}: {v['help']}\n    "
        + "\n    ".join(node["html"][:160] for node in v["nodes"][:5])
        for v in found
    )


# What an element is to a style sheet: its own and its parents' names and classes.
STYLED = """
    const styled = (element) => {
        const path = [element.getAttribute("style")];
        for (let e = element; e; e = e.parentElement) {
            path.push(`${e.tagName}.${e.getAttribute("class")}`);
            if (e.tagName === "TR") path.push(e.rowIndex % 2);
        }
        return path.join();
    };
"""
# Axe looks at each element, and a chapter has 28 000: of what consists of many alike, one stays.
THIN = f"""() => {{
    {STYLED}
    document.querySelectorAll("[role=img] svg").forEach((e) => e.replaceChildren());
    document.querySelectorAll("mjx-container").forEach((e) => {{ e.textContent = "x" }});
    const seen = new Set();
    for (const leaf of document.querySelectorAll("article :is(span, em, code):not(:has(*))")) {{
        const path = styled(leaf);
        if (seen.has(path)) leaf.replaceWith(leaf.textContent);
        seen.add(path);
    }}
}}"""
# And it asks for the colours around each text, one by one: of those styled alike, one stays.
ONE_OF_EACH = f"""() => {{
    {STYLED}
    const seen = new Set(), texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (texts.nextNode()) {{
        const path = styled(texts.currentNode.parentElement);
        if (seen.has(path)) texts.currentNode.data = "";
        else if (texts.currentNode.data.trim()) seen.add(path);
    }}
}}"""


def ask_for(tab, theme):
    """The theme that the reader's system asks for."""
    tab.page.emulate_media(color_scheme=theme)
    tab.page.wait_for_function(
        "theme => document.documentElement.dataset.theme === theme", arg=theme
    )
    # A button on its way from one colour to the other has neither's contrast.
    tab.page.wait_for_function(
        "document.getAnimations().every(({ playState }) => playState === 'finished')"
    )


MOVING = """document.getAnimations().map((one) => one.effect)
    .filter((effect) => effect.getComputedTiming().endTime > 1)
    .map((effect) => effect.target.outerHTML.slice(0, 80))"""


@pytest.mark.parametrize("tab", OF_EACH_MAKE, indirect=True, ids=visit_id)
def test_header_buttons_work(tab, request):
    """A button in the page's header that does nothing."""
    tab.page.evaluate("""() => {
        window.effects = 0;
        const count = () => void effects++;
        window.print = Element.prototype.requestFullscreen = count;
        new MutationObserver(count).observe(document.documentElement,
            { attributes: true, subtree: true, attributeFilter: ["class", "open", "data-mode"] });
    }""")
    tab.resize(request.node.callspec.params["tab"][1][1])
    buttons = tab.page.locator(".bd-header-article button")
    assert buttons.count() >= 4, "the header lacks its buttons"
    for button in buttons.all():
        # Not by mouse: hovering shows a tooltip, which would count as an effect.
        button.evaluate("button => { window.effects = 0; button.click() }")
        tab.page.wait_for_function("effects > 0")
        # Who asks for less motion has it.
        assert not tab.page.evaluate(MOVING)
        tab.page.evaluate("document.querySelectorAll('dialog[open]').forEach((d) => d.close())")
    assert not tab.noise


# --- As written -------------------------------------------------------------------------------


def test_links_lead_somewhere(name):
    """A link, a script or an image that is not there, or a place that its page lacks."""
    dead = []
    for element in soup(name).find_all(["a", *FETCHED]):
        link = element.get(FETCHED.get(element.name, "href"))
        if not link or urlsplit(link).scheme:
            continue
        target = urlsplit(urljoin(name, link))
        path, place = unquote(target.path), unquote(target.fragment).partition("?")[0]
        if not (BOOK / path).is_file():
            dead.append(link)
        if place and path in pages() and place not in places(path):
            dead.append(link)
    assert not dead


@functools.cache
def places(page):
    """Where links into a page may lead."""
    return {element["id"] for element in soup(page).select("[id]")}


def test_mathematics_is_set(name):
    """A formula that was not set, so that readers see its source."""
    article = lxml.html.document_fromstring(written(name)).find(".//article")
    formulas = article.xpath(".//*[contains(concat(' ', @class), ' math ')]")
    assert all(f.find("mjx-container/math[@class='spoken']") is not None for f in formulas)
    for element in article.xpath(".//pre | .//code | .//script | .//svg | .//mjx-container"):
        element.drop_tree()
    prose = article.text_content()
    assert not re.findall(r"\\[(\[]|\$\$|\\(?:frac|sum|text|mathbb)\b", prose)


def test_download_is_a_notebook(name):
    """A page with code whose download button is missing, or gives what Jupyter cannot open."""
    links = soup(name).select("a.btn-download-notebook-button")
    assert len(links) == bool(soup(name).select_one("div.cell"))
    for link in links:
        path = Path(BOOK, name).parent / link["href"]
        notebook = nbformat.read(path, as_version=4)
        nbformat.validate(notebook)
        code = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
        assert any(source.strip() for source in code)
