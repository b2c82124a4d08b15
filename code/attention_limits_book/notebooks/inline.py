"""Text of one block without MyST: roles, links between pages and footnotes rewritten."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from markdown_it.token import Token
from myst_nb.core.variables import format_plain_text

from attention_limits.numerals import in_words
from attention_limits_book.notebooks.page import Page, look_up
from attention_limits_book.notebooks.syntax import error_at, parser


def inline(text: str, line: int, page: Page, *, links: bool = True) -> str:
    """Text of one block without MyST: roles, links between pages and footnotes rewritten.

    ``links=False`` is for words that lead somewhere already, or stand where Markdown is not read.
    """
    if fence := re.search(r"^\W*(```|:::)\s*\{[^`]", text, re.MULTILINE):
        at = line + text.count("\n", 0, fence.end())
        problem = "a fence that MyST reads as text (is there a backtick in its first line?)"
        raise error_at(at, problem)
    edits = []
    within = 0  # links that are open
    for token in parser().parseInline(text, page.env)[0].children or ():
        start, end = token.meta.get("place", (0, 0))
        at = line + text.count("\n", 0, start)
        if token.type == "myst_role":
            linked = links and not within
            edits.append((start, end, _role(token, text[start:end], at, page, linked)))
        elif token.type == "footnote_ref":
            edits.append((start, end, f"<sup>{token.meta['label']}</sup>"))
        elif token.type == "link_open":
            within += 1
            edits += _link(token, text, at, page, links)
        elif token.type == "link_close":
            within -= 1
        elif token.type == "substitution_inline":
            raise error_at(line, f"substitution {{{{{token.content}}}}} is not known")
    for start, end, new in sorted(edits, reverse=True):
        text = text[:start] + new + text[end:]
    return text


def _role(token: Token, written: str, line: int, page: Page, linked: bool) -> str:
    name = token.meta["name"]
    if name not in ROLES:
        raise error_at(line, f"role {{{name}}} is not known to the notebook converter")
    # The token's content has spaces for newlines, and so keeps the ">" of a quotation's margin.
    content = re.sub(r"\s*\n[>\s]*", " ", written[len(name) + 2 :].strip("`"))
    return ROLES[name](Role(name, content.strip(), line, linked), page)


def _link(
    token: Token, text: str, line: int, page: Page, links: bool
) -> list[tuple[int, int, str]]:
    """A link keeps its address only if that leads somewhere from the reader's own machine."""
    href = str(token.attrs["href"])
    is_web = re.match(r"(https?|mailto):", href)
    if token.info == "auto":
        if not is_web:
            raise error_at(line, f"link <{href}> is not known to the notebook converter")
        return []
    (start, end), text_end = token.meta["place"], token.meta["text_end"]
    if is_web:  # a [text][reference] would be lost where its definition is in another cell
        return [] if text[end - 1] == ")" else [(text_end, end, f"]({href})")]
    if re.search(r"\.md(#.*)?$", href):
        kind, name = "page", page.page_named(href, line)
    else:
        kind, name = "label", href.removeprefix("#")
    address = page.address(kind, name) if links else ""
    before, after = ("[", f"]({address})") if address else ("", "")
    if text[start + 1 : text_end].strip():
        return [(start, start + 1, before), (text_end, end, after)]
    words = page.book.page_titles[name] if kind == "page" else page.find(name, line).title
    return [(start, end, f"{before}{words}{after}")]


@dataclass(frozen=True)
class Role:
    """A role as it was written; ``text <target>`` is taken apart.

    ``linked`` says whether what it becomes may be a link: none stands within another.
    """

    name: str
    content: str
    line: int
    linked: bool = True

    @property
    def text(self) -> str:
        """The author's own words for the target, or nothing."""
        return self._parts[0]

    @property
    def target(self) -> str:
        """What it leads to."""
        return self._parts[1]

    @property
    def _parts(self) -> tuple[str, str]:
        match = re.fullmatch(r"(.*?)\s*<([^<>]+)>", self.content)
        return (match[1], match[2]) if match else ("", self.content)


def _linked(role: Role, page: Page, text: str, kind: str, name: str) -> str:
    address = page.address(kind, name) if role.linked else ""
    return f"[{text}]({address})" if address else text


def _keys(role: Role, page: Page) -> list[tuple[str, str]]:
    """Each work that is cited: its key, and how prose names it."""
    keys = [key.strip() for key in role.content.split(",")]
    page.cited.update(keys)
    return [(key, look_up(page.book.references, key, "reference", role.line)) for key in keys]


def _cite_in_sentence(role: Role, page: Page) -> str:
    named = _keys(role, page)
    return ", ".join(_linked(role, page, name, "reference", key) for key, name in named)


def _cite_in_parentheses(role: Role, page: Page) -> str:
    """From "Vaswani et al. (2017)" to "(Vaswani et al., 2017)"."""
    named = [(key, re.sub(r" \(([^()]*)\)$", r", \1", name)) for key, name in _keys(role, page)]
    return f"({'; '.join(_linked(role, page, name, 'reference', key) for key, name in named)})"


def _glue(role: Role, page: Page) -> str:
    """The number that was recorded, marked as code: the cell that measures it shows it anew."""
    name, _, form = role.content.partition(":")
    if page.book.recorded is None:  # no page was run
        return f"`{name}`"
    value = look_up(page.book.recorded, name, "number", role.line)
    return f"`{in_words(format_plain_text(value, form or 's'))}`"


def _doc(role: Role, page: Page) -> str:
    name = page.page_named(role.target, role.line)
    return _linked(role, page, role.text or page.book.page_titles[name], "page", name)


def _ref(role: Role, page: Page) -> str:
    text = role.text or page.find(role.target, role.line).title
    return _linked(role, page, text, "label", role.target)


def _eq(role: Role, page: Page) -> str:
    return role.text or page.find(role.target, role.line).title


def _term(role: Role, page: Page) -> str:
    return _linked(role, page, role.text or role.target, "term", role.target)


def _inline_code(role: Role, page: Page) -> str:
    """A name of Python's or a snippet; ``~`` asks Sphinx for the last part of a dotted name."""
    name = role.text or role.target
    text = f"`{name.rpartition('.')[2] if name.startswith('~') else name}`"
    return _linked(role, page, text, "py", role.target.lstrip("~"))


PYTHON_NAMES = ["attr", "class", "data", "exc", "func", "meth", "mod", "obj"]

ROLES: dict[str, Callable[[Role, Page], str]] = {
    "cite": _cite_in_parentheses,
    "cite:t": _cite_in_sentence,
    "doc": _doc,
    "ref": _ref,
    "eq": _eq,
    "glue:text": _glue,
    "term": _term,
    **dict.fromkeys([f"py:{name}" for name in PYTHON_NAMES], _inline_code),
}
