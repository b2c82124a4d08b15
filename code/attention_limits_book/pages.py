"""What is done to each page when its template has been filled in, and to nothing before.

One style sheet comes before the first line is painted, and no script. Icons and the style of
formulas are in the page, and so is the choice between light and dark.
"""

import functools
import hashlib
import re
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.jinja2glue import BuiltinTemplateLoader
from sphinx.util import logging

from attention_limits_book import icons, mathematics, publishing, sheets

LOG = logging.getLogger(__name__)

SHEETS = "_static/pages"  # with what it is made of, and .css
# Of the theme: icons, which are in the page; Thebe, which would need kernels.
UNUSED_SHEETS = ("sphinx-thebe.css",)
UNUSED_SCRIPTS = ("scripts/fontawesome.js", "sphinx-thebe.js")
# What searches a book is half a megabyte, and the page of results alone has a use for it. There the
# words are marked by Sphinx, on all other pages by ``found.js``.
FOR_SEARCH = ("searchtools.js", "language_data.js", "searchindex.js", "sphinx_highlight.js")

LINK = re.compile(r'[ \t]*<link [^>]*href="([^"?]+\.css)[^>]*rel="stylesheet"[^>]*>\n?')
LINK_TOO = re.compile(r'[ \t]*<link [^>]*rel="stylesheet"[^>]*href="([^"?]+\.css)[^>]*>\n?')
SCRIPT = re.compile(r'[ \t]*<script([^>]*) src="([^"?]+)([^>]*)></script>\n?')
PRELOAD = re.compile(r'[ \t]*<link rel="preload" as="script"[^>]*>\n?')
OPTIONS = "_static/documentation_options.js"
THEME = re.compile(r'<script data-cfasync="false">.*?</script>', re.DOTALL)
# Before anything is painted: the reader's own choice, or else what her system asks for.
CHOOSE_THEME = """<script>
    (() => {
      let kept = {};
      try {
        kept = { mode: localStorage.getItem("mode") };
      } catch {
        // a browser that keeps nothing
      }
      const { dataset } = document.documentElement;
      const dark = matchMedia("(prefers-color-scheme: dark)").matches;
      dataset.mode = ["light", "dark"].includes(kept.mode) ? kept.mode : "auto";
      dataset.theme = dataset.mode === "auto" ? (dark ? "dark" : "light") : dataset.mode;
    })();
  </script>
  <style>
    html { color-scheme: light }
    html[data-theme="dark"] { background: #121212; color-scheme: dark }
    @media (prefers-color-scheme: dark) {
      html:not([data-mode]) { background: #121212; color-scheme: dark }
    }
  </style>"""
# Where no script runs, what opens the contents is dead: a link leads to where they are then.
TOGGLE = '<button class="sidebar-toggle primary-toggle'
SIDEBAR = '<div id="pst-primary-sidebar"'  # with the book's name, in no landmark of its own
TO_CONTENTS = '<noscript><a class="to-contents" href="#pst-primary-sidebar">Contents</a></noscript>'


def setup(app: Sphinx) -> None:
    """Let pages be written by the templates below."""
    app.connect("config-inited", _use)


def _use(app: Sphinx, config) -> None:
    config.template_bridge = f"{__name__}.Pages"


class Pages(BuiltinTemplateLoader):
    """Sphinx's own templates; a page that is complete is finished as this module says."""

    def init(self, builder, theme=None, dirs=None) -> None:
        """Begin a build."""
        super().init(builder, theme, dirs)
        config = builder.config
        self._folder, self._address = Path(builder.outdir), config.html_baseurl
        # What style sheets are made of: packages of these versions, and the book's own.
        self._version = f"{config.book_fingerprint[:8]}{config.assets_fingerprint[:8]}"
        self._sheets: dict[str, tuple[str, ...]] = {}
        builder.app.connect("build-finished", self._write_sheets, priority=900)

    def render(self, template: str, context: dict) -> str:  # type: ignore[override]
        """Fill a template in."""
        page = super().render(template, context)
        if "</head>" not in page:
            return page
        root, name = context.get("content_root", ""), context.get("pagename", "")
        for icon in icons.unknown(page):
            LOG.warning("nobody has drawn the icon %r: icons.py lacks it", icon, location=name)
        head, end, body = icons.drawn(page).partition("</head>")
        head = self._in_one_sheet(head, root)
        scripts = functools.partial(self._script, searches=name == "search")
        page = SCRIPT.sub(scripts, f"{head}{end}{body}")
        page = mathematics.with_style(PRELOAD.sub("", page), root)
        page = re.sub(r'data-theme="auto"', 'data-theme="light"', page, count=1)
        page = THEME.sub(lambda _: CHOOSE_THEME, page, count=1)
        page = page.replace(TOGGLE, f"{TO_CONTENTS}{TOGGLE}", 1)
        page = page.replace(SIDEBAR, f'{SIDEBAR} role="region" aria-label="The book"', 1)
        if name == publishing.MISSING:
            return publishing.from_anywhere(page, self._address)
        return page

    def _in_one_sheet(self, head: str, root: str) -> str:
        """The head with one sheet in the place of all: each would take the line's time again."""
        links = [*LINK.finditer(head), *LINK_TOO.finditer(head)]
        links.sort(key=lambda link: link.start())
        names = [link[1].removeprefix(root) for link in links]
        names = [name for name in names if not name.endswith(UNUSED_SHEETS)]
        if not names:
            return head
        first = links[0].start()
        for link in reversed(links):
            head = head[: link.start()] + head[link.end() :]
        one = f'    <link rel="stylesheet" href="{root}{self._sheet(tuple(names))}">\n'
        return head[:first] + one + head[first:]

    def _sheet(self, names: tuple[str, ...]) -> str:
        """Where several style sheets will be one."""
        digest = hashlib.sha256("\n".join(names).encode()).hexdigest()[:8]
        self._sheets[f"{SHEETS}-{digest}.css"] = names
        return f"{SHEETS}-{digest}.css?v={self._version}"

    def _write_sheets(self, app: Sphinx, exception: Exception | None) -> None:
        """Write them once all have their last form: the theme changes one at the end of a build."""
        if exception is None:
            for target, names in self._sheets.items():
                css = sheets.together(self._folder, names)
                (self._folder / target).write_text(css, encoding="utf-8")

    def _script(self, script: re.Match, *, searches: bool) -> str:
        """A script that waits until the page is there, is in it, or is not needed."""
        attributes, address, rest = script.groups()
        if address.endswith(UNUSED_SCRIPTS) or (address.endswith(FOR_SEARCH) and not searches):
            return ""
        if address.endswith(OPTIONS):  # others in the page need it
            return f"<script>{(self._folder / OPTIONS).read_text(encoding='utf-8')}</script>\n"
        if "defer" in attributes + rest:
            return script[0]
        return f'    <script defer{attributes} src="{address}{rest}></script>\n'
