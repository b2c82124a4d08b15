"""Formulas, set when the book is built: a page has them as soon as its text is there.

MathJax sets them in an engine of its own, without a browser. What it makes is a page's HTML: the
formula as it is seen, the same in MathML as it is read aloud, and its TeX for whoever copies it.
Each page holds the style of the characters that it shows; their fonts are loaded as far as they
are used. A formula that MathJax refuses is a warning, and warnings fail the build.
"""

import atexit
import functools
import html
import importlib.util
import json
import re
import shutil
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree import ElementTree

from docutils import nodes
from py_mini_racer import MiniRacer
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.math import get_node_equation_number

LOG = logging.getLogger(__name__)

RENDERER = "set"  # its name among the ways in which Sphinx writes mathematics
FONTS = "_static/mathematics"
ROOT = "%root%"  # stands in the style for the way from a page to the book's root
PARTS = (
    "loader.js",
    "core.js",
    "adaptors/liteDOM.js",
    "input/tex-base.js",
    "input/tex/extensions/ams.js",
    "output/chtml.js",
    "output/chtml/fonts/tex.js",
)
# Selectors, and between braces what holds: a brace of its own stands in quotation marks.
RULE = r'([^{}]+)\{((?:"(?:\\.|[^"\\])*"|[^{}"])*)\}'
RAISED = {ord(plain): raised for plain, raised in zip("0123456789−+", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺", strict=True)}
WITHOUT_A_PAGE = "globalThis.MathJax = {loader: {load: [], ready() {}}, startup: {typeset: false}};"


def setup(app: Sphinx) -> None:
    """Register the renderer and the fonts."""
    app.add_html_math_renderer(RENDERER, (_visit_inline, None), (_visit_display, None))
    app.add_js_file("mathematics.js", loading_method="defer")
    app.connect("config-inited", _use)
    app.connect("build-finished", _write_fonts)


def _use(app: Sphinx, config) -> None:
    config.html_math_renderer = RENDERER


# --- Setting formulas ---------------------------------------------------------------------------


class Outcome(NamedTuple):
    """What came of a formula: HTML, or what is wrong with it."""

    html: str = ""
    error: str = ""


class Typesetter:
    """MathJax in an engine that starts when the first formula comes, and ends with the build."""

    def __init__(self) -> None:
        self._engine: MiniRacer | None = None
        self._known: dict[tuple[str, bool], Outcome] = {}

    def set(self, tex: str, *, display: bool = False) -> Outcome:
        """A formula in HTML, on a line of its own or within one."""
        if (tex, display) not in self._known:
            (made,) = json.loads(self._running().call("setAll", json.dumps([[tex, display]])))
            self._known[tex, display] = Outcome(**made)
        return self._known[tex, display]

    @functools.cached_property
    def rules(self) -> list[tuple[list[str], str]]:
        """The style of everything that MathJax can make: selectors, and what holds for them."""
        css = re.sub(r"/\*.*?\*/", "", str(self._running().eval("styles()")), flags=re.DOTALL)
        return [
            ([selector.strip() for selector in selectors.split(",")], " ".join(body.split()))
            for selectors, body in re.findall(RULE, css)
            if "_:" not in selectors  # which browsers of today would not understand as a whole
        ]

    def close(self) -> None:
        """End the engine, which would keep the build from ending."""
        if self._engine:
            self._engine.close()
            self._engine = None

    def _running(self) -> MiniRacer:
        if not self._engine:
            self._engine = MiniRacer()
            atexit.register(self.close)
            scripts = [(mathjax() / part).read_text(encoding="utf-8") for part in PARTS]
            own = Path(__file__).with_name("typeset.js").read_text(encoding="utf-8")
            for script in (WITHOUT_A_PAGE, *scripts, f'const FONTS = "{ROOT}{FONTS}";{own}'):
                self._engine.eval(f"{script};0")
        return self._engine


def mathjax() -> Path:
    """The folder of MathJax, as its package brings it."""
    (spec,) = filter(None, [importlib.util.find_spec("sphinx-mathjax-offline")])
    return Path(str(spec.origin)).parent / "static" / "mathjax"


TYPESETTER = Typesetter()


def words(tex: str) -> str:
    """A formula on one line, where nothing but text can stand, as in √d or n²."""
    read = TYPESETTER.set(tex).html.partition("<math")[2].partition("</math>")[0]
    return _on_one_line(ElementTree.fromstring(f"<math{read}</math>"))


def _on_one_line(node: ElementTree.Element) -> str:
    parts = [_on_one_line(child) for child in node]
    match node.tag, parts:
        case "msqrt", _:
            return f"√{_one(''.join(parts))}"
        case "mfrac", [above, below]:
            return f"{_one(above)}/{_one(below)}"
        case "msub", [base, index]:
            return f"{base}_{_one(index)}"
        case "msup", [base, power]:
            return base + _raised(power)
        case "msubsup", [base, index, power]:
            return f"{base}_{_one(index)}{_raised(power)}"
    applied = "\N{FUNCTION APPLICATION}"  # which nobody sees
    return (node.text or "").replace(applied, " ") + "".join(parts)


def _raised(power: str) -> str:
    raised = power.translate(RAISED)
    return raised if set(raised) <= set(RAISED.values()) else f"^{_one(power)}"


def _one(text: str) -> str:
    """A part of a formula in brackets, unless it is a number or a symbol."""
    return text if len(text) < 2 or text.isdigit() else f"({text})"


# --- In pages -----------------------------------------------------------------------------------


def _visit_inline(writer: Any, node: nodes.math) -> None:
    made = _set(node, node.astext(), display=False)
    classes = "math notranslate nohighlight" + " in-pieces" * ("<mjx-piece" in made)
    _write(writer, node, "span", classes, made)


def _visit_display(writer: Any, node: nodes.math_block) -> None:
    number = ""
    if node["number"]:
        permalink = len(writer.body)
        writer.add_permalink_ref(node, "Link to this equation")
        number = "".join(writer.body[permalink:])
        del writer.body[permalink:]
        number = f'<span class="eqno">({get_node_equation_number(writer, node)}){number}</span>'
    tex = node.astext() if node["nowrap"] else in_lines(node.astext())
    made = _set(node, tex, display=True)
    _write(writer, node, "div", "math notranslate nohighlight", number + made)


def in_lines(tex: str) -> str:
    r"""Several equations under each other: an empty line parts two, ``\\`` two lines of one."""
    equations = [part.strip() for part in tex.split("\n\n") if part.strip()]
    lines = [rf"\begin{{split}}{e}\end{{split}}" if r"\\" in e else e for e in equations]
    if len(lines) == 1:
        return lines[0]
    together = r" \\ ".join(lines)
    return rf"\begin{{aligned}}{together}\end{{aligned}}"


def _write(writer: Any, node: nodes.Element, tag: str, classes: str, inner: str) -> None:
    tex = " ".join(node.astext().split())
    writer.body.append(writer.starttag(node, tag, "", CLASS=classes, **{"data-tex": tex}))
    writer.body.append(f"{inner}</{tag}>")
    raise nodes.SkipNode


def _set(node: nodes.Element, tex: str, *, display: bool) -> str:
    made = TYPESETTER.set(tex.strip(), display=display)
    if made.error:
        place: Any = node
        while place.line is None and place.parent is not None:
            place = place.parent
        LOG.warning("MathJax cannot set %r: %s", tex, made.error, location=place)
        return f"<code>{html.escape(tex)}</code>"
    return made.html


def with_style(page: str, root: str) -> str:
    """A page with the style of its formulas, ``root`` being the way to the book's."""
    if "<mjx-container" not in page:
        return page
    shown = style(page).replace(ROOT, root)
    return page.replace("</head>", f"<style>{shown}</style>\n</head>", 1)


def style(page: str) -> str:
    """The rules for the formulas of a page, and of no other character than theirs."""
    tags = set(re.findall(r"<(mjx-[\w-]+)", page.lower()))
    named = re.findall(r'<mjx-[\w-]+[^>]* class="([^"]*)"', page)
    classes = {name for names in named for name in names.split()}
    kept, fonts = [], []
    for selectors, body in TYPESETTER.rules:
        if selectors == ["@font-face"]:
            fonts.append(body)
        elif used := [s for s in selectors if _holds(s, tags, classes)]:
            kept.append(f"{','.join(used)}{{{body}}}")
    # The boxes have their widths without the fonts: until these are there, others stand in.
    written = "\n".join(kept)
    families = set(re.findall(r"MJX\w[\w-]*", written))
    faces = [
        f"@font-face{{{font} font-display: swap;}}"
        for font in fonts
        if families & {*re.findall(r"font-family: ([\w-]+)", font)}
    ]
    return "\n".join([*faces, written])


def _holds(selector: str, tags: set[str], classes: set[str]) -> bool:
    """Whether a selector speaks of nothing but what a page has."""
    bare = re.sub(r"\[[^]]*\]", "", selector)
    return (
        {tag.lower() for tag in re.findall(r"(?<![.\w-])mjx-[\w-]+", bare)} <= tags
        and {*re.findall(r"\.([\w-]+)", bare)} <= classes
    )  # fmt: skip


def _write_fonts(app: Sphinx, exception: Exception | None) -> None:
    TYPESETTER.close()
    if exception is not None or app.builder.format != "html":
        return
    target = Path(app.outdir, FONTS)
    target.mkdir(parents=True, exist_ok=True)
    for font in (mathjax() / "output/chtml/fonts/woff-v2").glob("*.woff"):
        shutil.copyfile(font, target / font.name)
