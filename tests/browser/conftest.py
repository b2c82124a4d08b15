"""A real Chromium, and the built book over http and from disk."""

import functools
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from helpers.built import BOOK, check_built, pages
from helpers.windows import READING, SETTLE
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

ARGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
# Playwright lifts Chromium's limit on how often a page may rewrite its address; readers have it.
KEPT = ["--disable-ipc-flooding-protection"]
LIMIT = (
    300_000  # milliseconds until an event has come, on whatever machine: only faults wait so long
)
HEIGHT = 900  # of a window

# Formulas that leave the box that clips them, or the window, and the box does not scroll.
CUT = """() => {
    const clips = (e) => e.nodeName === "BODY" || getComputedStyle(e).overflowX !== "visible";
    return [...document.querySelectorAll("article mjx-container mjx-math")].filter((formula) => {
        if (!formula.checkVisibility()) return false;
        let box = formula.parentElement;
        while (!clips(box)) box = box.parentElement;
        const { right } = formula.getBoundingClientRect();
        const end = Math.min(innerWidth, box.getBoundingClientRect().right);
        const scrolls = ["auto", "scroll"].includes(getComputedStyle(box).overflowX);
        return right > end + 1 && !(scrolls && box.scrollWidth > box.clientWidth);
    }).map((formula) => formula.closest("p, li, td, dd, div").textContent.slice(0, 80));
}"""
# Words in still figures that are set smaller than 11 pixels; an exponent may be.
SMALL = """() => [...document.querySelectorAll("figure.plot svg text")].filter((text) => {
    const svg = text.ownerSVGElement;
    if (!svg.checkVisibility()) return false;
    const scale = svg.getBoundingClientRect().width / svg.viewBox.baseVal.width;
    const sizes = [text, ...text.children].map((e) => parseFloat(getComputedStyle(e).fontSize));
    return scale * Math.max(...sizes) < 10.9;
}).map((text) => text.textContent)"""


@dataclass
class Tab:
    """One open page, everything that it complained about and all that it asked for."""

    page: Page
    noise: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.on("console", self._hear)
        self.page.on("pageerror", lambda error: self.noise.append(f"exception: {error}"))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("requestfailed", self._miss)
        self.page.on("response", self._check)

    def _hear(self, message) -> None:
        if message.type in ("error", "warning"):
            self.noise.append(f"console {message.type}: {message.text}")

    def _miss(self, request) -> None:
        if request.failure != "net::ERR_ABORTED":  # by the browser, which leaves the page
            self.noise.append(f"failed: {request.url} {request.failure}")

    def _check(self, response) -> None:
        if response.status >= 400:
            self.noise.append(f"status {response.status}: {response.url}")

    def wake(self) -> None:
        """Bring every figure near the reader, and wait until all of them live."""
        figures = self.page.locator("figure.explorable")
        for number in range(figures.count()):
            figures.nth(number).scroll_into_view_if_needed()
        self.page.wait_for_function(
            "[...document.querySelectorAll('figure.explorable')].every(f => f.dataset.ready)"
        )
        self.typeset()

    def resize(self, width: int) -> None:
        """Make the window so wide if it is not, and wait until everything has followed."""
        if self.page.viewport_size["width"] == width:
            return
        self.page.set_viewport_size({"width": width, "height": HEIGHT})
        self.settle()

    def settle(self) -> None:
        """Wait until everything stands where it will."""
        self.page.evaluate(SETTLE)

    def stumbles(self) -> list[str]:
        """What a reader cannot reach or make out, in a window as wide as this one."""
        found = self.page.evaluate(READING)
        found += [f"the end of “{words}” is out of reach" for words in self.page.evaluate(CUT)]
        return found + [f"“{words}” is set too small" for words in self.page.evaluate(SMALL)]

    def unfold(self) -> None:
        """Open every fold."""
        self.page.evaluate("document.querySelectorAll('details').forEach((e) => { e.open = true })")
        self.settle()

    def typeset(self) -> None:
        """Wait until the fonts are there, those of formulas among them."""
        self.page.evaluate("document.fonts.ready.then(() => {})")

    def close(self) -> None:
        """Close the page; nobody who opens another finds what it kept, such as a theme."""
        self.page.evaluate("localStorage.clear()")
        self.page.close()


class _Quiet(SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args: object) -> None:
        """Say nothing; a missing file shows up as the page's own complaint."""


class _Server(ThreadingHTTPServer):
    def handle_error(self, request, client_address) -> None:
        """A tab that closes while a file is on its way is no error."""


@pytest.fixture(scope="session")
def book() -> Path:
    """The built book."""
    check_built()
    for toc in _table_of_contents():
        assert f"{toc}.html" in pages(), f"{toc} is in _toc.yml and has no page: run make book"
    return BOOK


def _table_of_contents() -> Iterator[str]:
    import yaml

    def entries(node):
        if isinstance(node, dict):
            yield from (node[key] for key in ("root", "file") if key in node)
            node = list(node.values())
        if isinstance(node, list):
            for child in node:
                yield from entries(child)

    path = BOOK.parents[1] / "_toc.yml"
    return (entry.removesuffix(".md") for entry in entries(yaml.safe_load(path.read_text("utf-8"))))


@pytest.fixture(scope="session")
def address(book: Path) -> Iterator[Callable[[str, str], str]]:
    """Where a page is: ``address("http", "index.html")``, or "file"."""
    with _Server(("127.0.0.1", 0), functools.partial(_Quiet, directory=book)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        roots = {"http": f"http://127.0.0.1:{server.server_port}", "file": book.as_uri()}
        yield lambda scheme, page: f"{roots[scheme]}/{page}"
        server.shutdown()


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    """One for each file of tests: while it is open, no other test may run an event loop."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium, args=ARGS, ignore_default_args=KEPT
        )
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def open_tab(browser: Browser) -> Callable[..., Tab]:
    """Opens a page; close it with ``tab.close()``. Pages opened alike share a profile.

    A new profile compiles each script anew, which takes longer than most pages need.
    """

    @functools.cache
    def profile(width: int, theme: str, javascript: bool) -> BrowserContext:
        context = browser.new_context(
            viewport={"width": width, "height": HEIGHT},
            color_scheme=theme,
            reduced_motion="reduce",  # or the contrast of a fading button is measured half-way
            java_script_enabled=javascript,
        )
        context.set_default_timeout(LIMIT)
        return context

    def open_tab(
        url: str,
        *,
        width: int = 1280,
        theme: str = "light",
        javascript: bool = True,
    ) -> Tab:
        tab = Tab(profile(width, theme, javascript).new_page())
        tab.page.goto(url)
        return tab

    return open_tab
