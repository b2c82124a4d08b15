"""Text of one block without MyST: roles, links between pages and footnotes rewritten."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from markdown_it.token import Token

from attention_limits_book.notebooks.page import Page, look_up
from attention_limits_book.notebooks.syntax import error_at, parser


def inline(text: str, line: int, page: Page) -> str:
    """Text of one block without MyST: roles, links between pages and footnotes rewritten."""
    if fence := re.search(r"^\W*(```|:::)\s*\{[^`]", text, re.MULTILINE):
        at = line + text.count("\n", 0, fence.end())
        problem = "a fence that MyST reads as text (is there a backtick in its first line?)"
        raise error_at(at, problem)
    edits = []
    for token in parser().parseInline(text, page.env)[0].children or ():
        start, end = token.meta.get("place", (0, 0))
        at = line + text.count("\n", 0, start)
        if token.type == "myst_role":
            edits.append((start, end, _role(token, text[start:end], at, page)))
        elif token.type == "footnote_ref":
            edits.append((start, end, f"<sup>{token.meta['label']}</sup>"))
        elif token.type == "link_open":
            edits += _link(token, text, at, page)
        elif token.type == "substitution_inline":
            raise error_at(line, f"substitution {{{{{token.content}}}}} is not known")
    for start, end, new in sorted(edits, reverse=True):
        text = text[:start] + new + text[end:]
    return text


def _role(token: Token, written: str, line: int, page: Page) -> str:
    name = token.meta["name"]
    if name not in ROLES:
        raise error_at(line, f"role {{{name}}} is not known to the notebook converter")
    # The token's content has spaces for newlines, and so keeps the ">" of a quotation's margin.
    content = re.sub(r"\s*\n[>\s]*", " ", written[len(name) + 2 :].strip("`"))
    return ROLES[name](Role(name, content.strip(), line), page)


def _link(token: Token, text: str, line: int, page: Page) -> list[tuple[int, int, str]]:
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
    if text[start + 1 : text_end].strip():
        return [(start, start + 1, ""), (text_end, end, "")]
    if re.search(r"\.md(#.*)?$", href):
        return [(start, end, page.page_title(href, line))]
    return [(start, end, page.find(href.removeprefix("#"), line).title)]


@dataclass(frozen=True)
class Role:
    """A role as it was written; ``text <target>`` is taken apart."""

    name: str
    content: str
    line: int

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


def _keys(role: Role, page: Page) -> list[str]:
    keys = [key.strip() for key in role.content.split(",")]
    page.cited.update(keys)
    return [look_up(page.book.references, key, "reference", role.line) for key in keys]


def _cite_in_sentence(role: Role, page: Page) -> str:
    return ", ".join(_keys(role, page))


def _cite_in_parentheses(role: Role, page: Page) -> str:
    """From "Vaswani et al. (2017)" to "(Vaswani et al., 2017)"."""
    inner = [re.sub(r" \(([^()]*)\)$", r", \1", name) for name in _keys(role, page)]
    return f"({'; '.join(inner)})"


def _glue(role: Role, page: Page) -> str:
    """In a notebook the cell that measures a number prints it under this name."""
    return f"`{role.content.partition(':')[0]}`"


def _doc(role: Role, page: Page) -> str:
    return role.text or page.page_title(role.target, role.line)


def _ref(role: Role, page: Page) -> str:
    return role.text or page.find(role.target, role.line).title


def _term(role: Role, page: Page) -> str:
    return role.text or role.target


def _inline_code(role: Role, page: Page) -> str:
    """A name of Python's or a snippet; ``~`` asks Sphinx for the last part of a dotted name."""
    name = role.text or role.target
    return f"`{name.rpartition('.')[2] if name.startswith('~') else name}`"


PYTHON_NAMES = ["attr", "class", "data", "exc", "func", "meth", "mod", "obj"]

ROLES: dict[str, Callable[[Role, Page], str]] = {
    "cite": _cite_in_parentheses,
    "cite:t": _cite_in_sentence,
    "doc": _doc,
    "ref": _ref,
    "eq": _ref,
    "glue:text": _glue,
    "term": _term,
    **dict.fromkeys([f"py:{name}" for name in PYTHON_NAMES], _inline_code),
}
